"""Advised changes: their kinds, their gains, and the questions that they lead to."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.core.described import describe
from api.graphql.core.enums import FitStatus
from api.graphql.core.scalars import Int64
from estimator.advice.gains import Gain
from estimator.advice.search import Advice, AdviceCode
from estimator.fit_facts import FitFacts
from estimator.structure.files import StoredQuant
from estimator.types import CacheType, EstimateRequest

describe(
    AdviceCode,
    "AdviceCode",
    "Kind of change, and the values of its message. All have the effect too: `statusBefore`, `statusAfter`, "
    "`tokensPerSecondBefore`, `tokensPerSecondAfter`, `freeBytes`, `gradeBefore`, `gradeAfter`.",
    {
        "FLASH_ATTENTION": "Flash attention on.",
        "PLANNED_OFFLOAD": "Another split between device and host: `gpuLayers`, `cpuMoeLayers`.",
        "LARGER_MICRO_BATCH": "`batchTokens` of the prompt a step, so that weights in host memory are copied over less often; "
        "the first token after `ttftMs`.",
        "QUANTIZED_KV_CACHE": "A KV cache in `cacheType`.",
        "WIRED_LIMIT": "A GPU memory limit of macOS of `limitBytes`.",
        "OTHER_QUANT": "The quantization `quant` instead of `present`.",
        "LESS_CONTEXT": "A context of `contextTokens` instead of `presentTokens`.",
        "OTHER_MODEL": "Another model, `name` in `quant`: `points` of capability in `kind`, where this one has `presentPoints`.",
        "MORE_HOST_MEMORY": "Host memory of `memoryBytes`.",
        "SECOND_GPU": "One more accelerator `gpu`, `count` in all.",
        "GPU_UPGRADE": "Another accelerator, `gpu`, the best by `goal` (`CHEAPEST`, `SAME_VENDOR`, `LEAST_POWER`), for "
        "`launchUsd` at launch.",
        "NOTHING_NEEDED": "No change helps: `workload` is `comfortable`, or what is in reach gains nothing; `trainedTokens` "
        "where the model's own context is what is short.",
    },
)


@strawberry.type(description="Gain of a change: changed less present; null where one of the two does not run.")
class FitGain:
    """Computed by the estimator on the changed setup."""

    status_after: FitStatus = strawberry.field(description="Outcome after the change.")
    decode_tokens_per_second: float | None = strawberry.field(
        description="Difference in decode speed, tokens per second.",
    )
    ttft_ms: float | None = strawberry.field(description="Difference in time to the first token, milliseconds.")
    safe_context_tokens: int | None = strawberry.field(description="Difference in safe context, tokens.")
    headroom_bytes: Int64 = strawberry.field(description="Difference in free device memory, bytes.")
    score: float = strawberry.field(description="Difference in score, points.")
    rating_points: float | None = strawberry.field(
        description="Difference in rating on the scale of capability: how good the answers are, less charges for time and "
        "for a full memory, as in recommendations of the balanced mode; null where the present setup does not run or the "
        "capability of its model is unknown."
    )


@strawberry.type(
    description="A change in the names of `EstimateInput`: the question of this setup with these values is the setup after "
    "the change. `model` and `gpu` replace the question's `model` and `machine` whole. Unchanged fields are null."
)
class FitChange:
    model: Model | None = strawberry.field(description="The model.")
    quant: Quant | None = strawberry.field(description="The quantization.")
    gpu: Gpu | None = strawberry.field(description="The accelerator.")
    gpu_count: int | None = strawberry.field(description="How many of the accelerator.")
    host_memory_gb: float | None = strawberry.field(description="Memory of the host, GiB.")
    kv_cache_type: CacheType | None = strawberry.field(description="Element type of the KV cache.")
    context_tokens: int | None = strawberry.field(description="Context to allocate, tokens.")
    micro_batch: int | None = strawberry.field(description="Prompt tokens a step, as llama.cpp's `-ub`.")
    wired_limit_mb: int | None = strawberry.field(description="GPU memory limit of a Mac, MiB.")
    gpu_layers: int | None = strawberry.field(description="Layers on the device, as llama.cpp's `-ngl`.")
    cpu_moe_layers: int | None = strawberry.field(description="Layers whose experts stay on the host.")
    left_out: list[str] = strawberry.field(
        description="Fields of `EstimateInput` that the new question must not have; empty for a published fit."
    )


def gain_of(gain: Gain) -> FitGain:
    """The GraphQL object of a gain."""
    return FitGain(
        status_after=gain.status_after,
        decode_tokens_per_second=gain.decode_tok_s,
        ttft_ms=gain.ttft_ms,
        safe_context_tokens=gain.safe_context_tokens,
        headroom_bytes=Int64(gain.headroom_bytes),
        score=gain.score,
        rating_points=gain.rating_points,
    )


def change_of(faces: Faces, facts: FitFacts, advice: Advice) -> FitChange | None:
    """The change of an advice in the names of a question; None where nothing is needed."""
    if advice.code is AdviceCode.NOTHING_NEEDED:
        return None
    before, after, placement = facts.request, advice.request, advice.after.placement

    def changed(name: str) -> Any:
        value = getattr(after, name)
        return None if value == getattr(before, name) else value

    def named(kind: str, name: str) -> Any:
        entity = changed(name)
        return None if entity is None else faces.by_slug(kind, entity.slug)

    splits = advice.code is AdviceCode.PLANNED_OFFLOAD
    gpu, gpu_count = named("gpu", "accelerator"), changed("gpu_count")
    # A list of accelerators has no count to change: it is replaced by one accelerator and its count.
    if facts.accelerators and (gpu is not None or gpu_count is not None):
        gpu, gpu_count = faces.by_slug("gpu", after.accelerator.slug), after.gpu_count
    same_model = advice.model is facts.model
    limit, memory = changed("wired_limit_bytes"), None if after.host == before.host else after.host
    return FitChange(
        model=None if same_model else faces.by_slug("model", advice.model.slug),
        quant=named("quant", "quant"),
        gpu=gpu,
        gpu_count=gpu_count,
        host_memory_gb=None if memory is None else memory.memory_bytes / 1024**3,
        kv_cache_type=changed("kv_cache_type"),
        context_tokens=changed("context_tokens"),
        micro_batch=changed("micro_batch_tokens"),
        wired_limit_mb=None if limit is None else limit // 1024**2,
        gpu_layers=placement.gpu_layers if splits else None,
        cpu_moe_layers=placement.cpu_moe_layers if splits else None,
        left_out=[
            *(["modelIndex"] if not same_model and isinstance(facts.quant, StoredQuant) else []),
            *_left_out(before, after, splits=splits),
        ],
    )


def _left_out(before: EstimateRequest, after: EstimateRequest, *, splits: bool) -> list[str]:
    names = ["flash_attention", "backend", "wired_limit_bytes"]
    if not splits:
        names = ["gpu_layers", "cpu_moe_layers", *names]
    if after.kv_cache_type is not before.kv_cache_type:
        # One type of both replaces one of each.
        names = ["v_cache_type", *names]
    dropped = [name for name in names if getattr(before, name) is not None and getattr(after, name) is None]
    return [to_camel_case("wired_limit_mb" if name == "wired_limit_bytes" else name) for name in dropped]
