"""Inputs of estimates, recommendations and setups."""

from __future__ import annotations

from enum import Enum

import strawberry
from strawberry.scalars import JSON

from api.answers.choices.models import ModelKind, Wanted
from api.errors import bad_input
from api.graphql.core.described import describe
from api.graphql.core.enums import BackendKind, EngineKind, Vendor
from api.graphql.core.inputs import within_reach
from api.graphql.core.scalars import Int64, PartialDate
from estimator.judgement import recommend
from estimator.judgement.serving.curve import MAX_STREAMS
from estimator.server_options import SplitMode
from estimator.types import CacheType, WorkloadKind


@strawberry.input(
    description="Speculative decoding: a small model of the same vocabulary drafts tokens, the model checks them at once."
)
class DraftInput:
    """Acceptance depends on both models and the text, and nobody can know it for you."""

    model: str = strawberry.field(description="Draft model, by slug or alias; `mtp`: the heads of the model itself.")
    quant: str | None = strawberry.field(
        default=None, description="Quantization of the draft model, by slug or alias; none for `mtp`."
    )
    tokens: int = strawberry.field(description="Tokens that are drafted before each check, 1 to 64.")
    acceptance_rate: float = strawberry.field(
        description="Share of drafted tokens that the model accepts, 0 to 1: measure it, engines print it."
    )


@strawberry.input(description="One model.", one_of=True)
class ModelReference:
    slug: str | None = strawberry.field(
        default=strawberry.UNSET, description="A model of the catalog, by slug or alias."
    )
    config: JSON | None = strawberry.field(
        default=strawberry.UNSET,
        description="A model of one's own: the content of its `config.json`, as published with weights; or its text, which "
        "may have `Infinity` and `NaN` as Python writes them. At most 8 MiB.",
    )
    gguf: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="A model of one's own: the header of a GGUF file in base64, at most 1,000,000 characters; the "
        "tokenizer may be left out of it, as `fitgraph gguf-header FILE` does. The weights are then the file's own, "
        "tensor by tensor, unless another quantization is asked for.",
    )
    url: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="A model of one's own: https address of a GGUF file or a `config.json` on a host that this server's "
        "operator has listed. No more than the header is read.",
    )


@strawberry.input(description="One machine.", one_of=True)
class MachineReference:
    gpu: str | None = strawberry.field(
        default=strawberry.UNSET, description="An accelerator of the catalog, by slug or alias."
    )
    gpus: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Several accelerators, equal or not, by slug or alias; at most 64, and without `gpuCount`. Layers are "
        "spread over them in this order, by memory.",
    )
    facts: JSON | None = strawberry.field(
        default=strawberry.UNSET,
        description="An accelerator of one's own: facts in the keys and units of a catalog file; at least `memory_gb`, "
        "`bandwidth_gbps` and `engines`.",
    )


#: Parts of the references, by the keys of a question that they are.
REFERENCES = {
    "model": ("model", "slug"),
    "model_config": ("model", "config"),
    "model_gguf": ("model", "gguf"),
    "model_url": ("model", "url"),
    "gpu": ("machine", "gpu"),
    "gpus": ("machine", "gpus"),
    "gpu_facts": ("machine", "facts"),
}


@strawberry.input(description="One question. A setting that is left out is chosen as an engine would choose it.")
class EstimateInput:
    model: ModelReference = strawberry.field(description="The model.")
    machine: MachineReference = strawberry.field(description="The accelerators.")
    quant: str | None = strawberry.field(
        default=None,
        description="Quantization, by slug or alias; may be left out for a GGUF file, which states its own.",
    )
    model_index: JSON | None = strawberry.field(
        default=None,
        description="Beside the model: its checkpoint's `model.safetensors.index.json` or the text of it, or the header of "
        "its only safetensors file. At most 600,000 tensors. The weights then have the bytes that it states, as AWQ, GPTQ "
        "or FP8 files really do.",
    )
    draft: DraftInput | None = strawberry.field(
        default=None, description="A draft model for speculative decoding, held whole on the first accelerator."
    )
    vision: bool | None = strawberry.field(
        default=None, description="Whether the model's vision projector is loaded too; false when left out."
    )
    projector_bytes: Int64 | None = strawberry.field(
        default=None, description="Size of the vision projector's file, bytes; that of the catalog when left out."
    )
    workload: WorkloadKind | None = strawberry.field(
        default=None, description="Workload whose lengths and thresholds count where the question gives none."
    )
    host_memory_gb: float | None = strawberry.field(default=None, description="Memory of the host, GiB.")
    host_bandwidth_gbps: float | None = strawberry.field(
        default=None, description="Memory bandwidth of the host, 10^9 bytes per second."
    )
    gpu_count: int | None = strawberry.field(
        default=None, description="Equal accelerators; 1 when left out. Those that share the host's memory: 1 only."
    )
    host: str | None = strawberry.field(default=None, description="Host profile, by slug or alias.")
    engine: EngineKind | None = strawberry.field(default=None, description="Engine; the best one when left out.")
    backend: BackendKind | None = strawberry.field(default=None, description="Interface; the best one when left out.")
    prompt_tokens: int | None = strawberry.field(default=None, description="Tokens of the prompt; 512 when left out.")
    output_tokens: int | None = strawberry.field(default=None, description="Tokens of the answer; 128 when left out.")
    depth: int | None = strawberry.field(default=None, description="Tokens already in context; 0 when left out.")
    context_tokens: int | None = strawberry.field(
        default=None, description="Tokens that the KV cache is allocated for; depth, prompt and output when left out."
    )
    kv_cache_type: CacheType | None = strawberry.field(
        default=None, description="Element type of the KV cache; F16 when left out."
    )
    k_cache_type: CacheType | None = strawberry.field(
        default=None, description="Element type of the keys alone, in place of `kvCacheType`; F16 when left out."
    )
    v_cache_type: CacheType | None = strawberry.field(
        default=None, description="Element type of the values alone, in place of `kvCacheType`; F16 when left out."
    )
    flash_attention: bool | None = strawberry.field(
        default=None, description="Whether flash attention is on; true when left out."
    )
    batch: int | None = strawberry.field(default=None, description="Sequences at once; 1 when left out.")
    is_occupancy_expected: bool | None = strawberry.field(
        default=None,
        description="Whether the sequences are at all depths at once, as those of users are: an engine that pages then holds "
        "the tokens that are expected of each and a margin, not the whole context. False when left out.",
    )
    micro_batch: int | None = strawberry.field(
        default=None,
        description="Prompt tokens per step. Left out, speeds are at the engine's own: 512 for llama.cpp, 2,048 for MLX, "
        "2,048 or 8,192 for vLLM by memory; buffers are those of 512.",
    )
    gpu_layers: int | None = strawberry.field(
        default=None, description="Layers on the device, as llama.cpp's `-ngl`; the best number when left out."
    )
    cpu_moe_layers: int | None = strawberry.field(
        default=None, description="Layers whose experts stay on the host; the best number when left out."
    )
    split_mode: SplitMode | None = strawberry.field(
        default=None,
        description="How llama.cpp shares the model over several accelerators (`-sm`): whole layers when left out. `TENSOR` "
        "cuts every matrix and the cache, on CUDA and ROCm; `ROW` was removed from llama.cpp in June 2026.",
    )
    link: str | None = strawberry.field(
        default=None,
        description="How the accelerators reach each other and the host: `NVLink`, `PCIe`, or by generation and lanes, as "
        "`PCIe 4.0 x8`. Left out, server GPUs have the link of their vendor and others the PCIe of their datasheet.",
    )
    power_limit_w: float | None = strawberry.field(
        default=None, description="Power limit of each accelerator, W; that of its datasheet when left out."
    )
    gpu_memory_utilization: float | None = strawberry.field(
        default=None,
        description="Share of each accelerator's memory that a server of checkpoints takes; 0.9 when left out.",
    )
    max_num_batched_tokens: int | None = strawberry.field(
        default=None,
        description="Tokens of a step of a server of checkpoints; 2,048, or 8,192 from 70 GiB on, when left out.",
    )
    max_num_seqs: int | None = strawberry.field(
        default=None, description="Most sequences in a step of a server of checkpoints; 256 when left out."
    )
    data_parallel: int | None = strawberry.field(
        default=None,
        description="Replicas of a server among the accelerators, each with a cache of its own; 1 when left out.",
    )
    pipeline_parallel: int | None = strawberry.field(
        default=None, description="Stages of layers in each replica of a server; 1 when left out."
    )
    expert_parallel: bool | None = strawberry.field(
        default=None,
        description="Whether the experts are spread over all accelerators of a server; false when left out.",
    )
    latent_cache: bool | None = strawberry.field(
        default=None,
        description="Whether the file keeps latent attention as latent rows; false for a GGUF file of before April 2025. As "
        "the header says, or true, when left out.",
    )
    build_date: str | None = strawberry.field(
        default=None,
        description="Date of the engine's build, as 2025-06 or 2025-06-30: older builds reserve more and are slower. A current "
        "build when left out.",
    )
    wired_limit_mb: int | None = strawberry.field(
        default=None,
        description="GPU memory limit of a Mac that was set with `sudo sysctl iogpu.wired_limit_mb=N`, MiB; the default of "
        "macOS when left out.",
    )


@strawberry.input(
    description="Thresholds that a recommendation must reach. A field that is left out sets no threshold."
)
class RecommendationTarget:
    decode_tokens_per_second: float | None = strawberry.field(
        default=None, description="Least decode speed, tokens per second; with `users` that of each."
    )
    ttft_ms: float | None = strawberry.field(default=None, description="Longest time to the first token, milliseconds.")
    safe_context_tokens: int | None = strawberry.field(
        default=None, description="Least safe context, tokens; with `users` that of each."
    )
    bits_per_weight: float | None = strawberry.field(
        default=None, description="Least bits per weight of the quantization, on average over the model's weights."
    )
    users: int | None = strawberry.field(
        default=None,
        description=f"Users that are answered at once, 1 to {MAX_STREAMS:,}, each with the workload's context and with "
        "everything on the accelerator: each at the speed asked for, or at the workload's comfortable speed.",
    )


def target_of(wanted: RecommendationTarget | None) -> recommend.Target:
    """The estimator's target. Raises ``BAD_USER_INPUT`` for a number of users out of range."""
    if wanted is None:
        return recommend.Target()
    if wanted.users is not None and not 1 <= wanted.users <= MAX_STREAMS:
        raise bad_input(f"users must be 1 to {MAX_STREAMS:,}, not {wanted.users:,}.", field="users")
    decode, wait, bits = map(within_reach, (wanted.decode_tokens_per_second, wanted.ttft_ms, wanted.bits_per_weight))
    return recommend.Target(decode, wait, wanted.safe_context_tokens, bits, wanted.users)


def wanted_of(asked: RecommendationInput) -> Wanted:
    """Which models the input lets pass."""
    return Wanted(asked.family, asked.license, asked.model_kind, asked.released_from)


class RecommendationAim(Enum):
    SCORE = recommend.Aim.SCORE
    FASTEST = recommend.Aim.FASTEST
    CHEAPEST = recommend.Aim.CHEAPEST
    EFFICIENT = recommend.Aim.EFFICIENT


describe(
    RecommendationAim,
    "RecommendationAim",
    "Order of recommendations.",
    {
        "SCORE": "The highest rating in the operating mode.",
        "FASTEST": "The highest decode speed.",
        "CHEAPEST": "The lowest price today; accelerators of unknown price are left out. On one "
        "accelerator: the highest rating.",
        "EFFICIENT": "The highest decode speed per watt of board power; accelerators of unknown power are left out. On one "
        "accelerator: the highest decode speed.",
    },
)


@strawberry.input(
    description="Subject of a recommendation: a model (which accelerators?), an accelerator (which models?), or both "
    "(which quantizations?)."
)
class RecommendationInput:
    model: str | None = strawberry.field(default=None, description="Model, by slug or alias.")
    gpu: str | None = strawberry.field(default=None, description="Accelerator, by slug or alias.")
    workload: WorkloadKind = strawberry.field(default=WorkloadKind.CODING, description="The workload.")
    aim: RecommendationAim = strawberry.field(
        default=RecommendationAim.SCORE, description="Order of the recommendations."
    )
    budget_usd: float | None = strawberry.field(
        default=None, description="Highest price today, US dollars; unknown prices do not meet it."
    )
    max_power_watts: float | None = strawberry.field(
        default=None, description="Highest board power, watts; unknown powers do not meet it."
    )
    vendors: list[Vendor] | None = strawberry.field(
        default=None, description="Makers to choose from; all when left out."
    )
    family: str | None = strawberry.field(default=None, description="Only models of this family, such as `Qwen3`.")
    license: str | None = strawberry.field(
        default=None, description="Only models under this licence, such as `apache-2.0`."
    )
    model_kind: ModelKind | None = strawberry.field(
        default=None, description="Only models of this kind; all but base models when left out."
    )
    released_from: PartialDate | None = strawberry.field(
        default=None, description="Only models released in this month or later, such as `2025-06`."
    )
    target: RecommendationTarget | None = strawberry.field(
        default=None, description="Thresholds that a choice must reach."
    )
