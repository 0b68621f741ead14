"""Measured rows of servers as questions: how many streams, which lengths, how the accelerators share the model.

A row is left out for what it states itself, never for its error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estimator.accuracy.observations import Entities, build_age_of, date_of, is_old_vllm, source_of
from estimator.calibration.stream_constants import before_v1
from estimator.placement.hardware import backends_of, server_sequences
from estimator.placement.layer_sums import model_tables
from estimator.placement.memory import VLLM_MAX_SEQUENCES
from estimator.server_options import DEFAULT_SERVER, ServerOptions
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Backend, CacheType, Engine, EstimateRequest

#: Part of an engine's name in lower case -> engine whose rules hold, name of a software with a pace of its own.
_ENGINES: tuple[tuple[str, tuple[Engine, str | None]], ...] = (
    ("llama.cpp", (Engine.LLAMA_CPP, None)),
    ("vllm-mlx", (Engine.MLX, None)),
    ("vllm", (Engine.VLLM, None)),
    ("sglang", (Engine.SGLANG, None)),
    ("tensorrt", (Engine.VLLM, "tensorrt-llm")),
    ("lmdeploy", (Engine.VLLM, "lmdeploy")),
)
_CACHE_TYPES: Mapping[str, CacheType] = {
    "auto": CacheType.F16, "bf16": CacheType.F16, "bfloat16": CacheType.F16, "f16": CacheType.F16, "fp8": CacheType.FP8,
    "fp8_e4m3": CacheType.FP8, "q8_0": CacheType.Q8_0, "q8": CacheType.Q8_0, "q4_0": CacheType.Q4_0,
}  # fmt: skip
#: Forks and plugins with kernels of their own, whose speed says nothing of the engine that their name holds.
_FORKS = re.compile(r"AEON|Anemll|patched|1Cat|LLMBoost|vllm-(?:ascend|tpu)", re.IGNORECASE)
#: Sources that let everything start at once and decode together, without prompts in between.
_BATCHED = re.compile(r"llama-batched-bench|sustained decode at context|static batch|static offline batch")
_BURST = re.compile(r"all N? ?\d* ?requests start together|start together")
#: Requests with one context are answered alike: they read its cache once, and few experts.
_SHARED = re.compile(r"context shared")
_UNPACKING = re.compile(r"--linear-backend marlin")
_ALL_AT_ONCE = re.compile(r"offline|throughput|max throughput|\binf\b", re.IGNORECASE)
_OTHER_SPLIT = re.compile(
    r"attention DP|dp-attention|--dp[ =]|data.parallel|expert.parallel|moe.?ep|disaggregat"
    r"|parallelism [^;]*\b(?:PP|EP|Pipeline)\b",
    re.IGNORECASE,
)
#: Checkpoints of NVIDIA's Model Optimizer say ``"kv_cache_quant_algo": "FP8"`` in their ``hf_quant_config.json``, which
#: TensorRT-LLM's cache type ``auto`` takes (nvidia.github.io/TensorRT-LLM, "Quantization").
_OWN_CACHE = frozenset({"fp8", "nvfp4"})
#: Share of the memory beside the weights that TensorRT-LLM's cache takes (``free_gpu_memory_fraction``).
_FREE_SHARE = 0.9
#: Streams at once of a server that nobody limits, by engine: ``max_num_seqs`` and its like. TensorRT-LLM's is the
#: ``max_batch_size`` of its ``BuildConfig``, SGLang's the least that it gives any pool of tokens
#: (python/sglang/srt/model_executor/model_runner_kv_cache_mixin.py).
MOST_STREAMS: Mapping[str, int] = {"sglang": 2048, "tensorrt-llm": 2048, "lmdeploy": 256}
_MOST = re.compile(r"max[_-]num[_-]seqs[ =](\d+)")
#: Least and most of the stated requests at once that a row's own times must give.
_LEAST_AT_ONCE, _MOST_AT_ONCE = 0.75, 1.15
#: An answer so long, to a prompt no longer, spends about a hundredth of its time on the prompt.
_LONG_ANSWER = 1000
#: Fewer tokens of output than this say more of the first token than of the following ones.
_LEAST_OUTPUT = 16


@dataclass(frozen=True, slots=True)
class Served:
    """One speed of a server.

    ``kind`` is ``stream`` (tok/s of each stream) or ``total`` (output tok/s of all). ``prompts`` are those that are read
    during a request, its own included for a total; ``unlimited`` says that only the engine bounds ``streams``.
    """

    row: Mapping[str, Any]
    kind: str
    tok_s: float
    model: ModelArchitecture
    request: EstimateRequest
    prompts: float
    unlimited: bool

    @property
    def streams(self) -> int:
        return self.request.batch

    @property
    def source(self) -> str:
        return str(self.row["source"])

    @property
    def engine(self) -> str:
        """Name of the software, with its age where that decides."""
        name = self.request.software or str(self.request.engine)
        if name != Engine.VLLM.value or not is_old_vllm(self.row):
            return name
        return before_v1(next(iter(backends_of(self.request.accelerator, Engine.VLLM)), Backend.CUDA))

    @property
    def unpacks(self) -> bool:
        """Whether it is told to unpack weights to 16 bits for its products."""
        return _UNPACKING.search(_note(self.row)) is not None


def why_left_out(row: Mapping[str, Any]) -> str | None:
    """The stated rule by which a row of a server does not count, or None when it does."""
    for key in ("gpu_slug", "model_slug", "quant_slug"):
        if not row.get(key):
            return f"no catalog entity for its {key.removesuffix('_slug')}"
    rules = (
        (bool(row.get("suspect")), "its table states a reason to doubt it"),
        (_engine(row) is None, "an engine that the estimator does not know"),
        (
            _FORKS.search(str(row.get("engine") or "")) is not None,
            "a fork or plugin of its engine with kernels of its own",
        ),
        (bool(row.get("speculative")), "speculative decoding"),
        (_cache(row) is None, "a KV cache type that the estimator does not know"),
        (_shares(row) is None, "how the accelerators share the model is not stated, or in several ways"),
        (_lengths(row) is None, "lengths are not stated"),
        (
            not row.get("concurrency") and not _is_unlimited(row),
            "the number of streams is not stated: requests arrive at a rate",
        ),
        (_contradicts_streams(row), "requests at once that its own times contradict"),
        (bool(_SHARED.search(_note(row))) and row.get("concurrency") != 1, "all requests share one context"),
        (bool(row.get("prefix_cache")) and not _decodes_alone(row), "prompts were in the cache"),
    )
    return next((reason for applies, reason in rules if applies), None)


def served_rows(entities: Entities, rows: Sequence[Mapping[str, Any]]) -> list[Served]:
    """The speeds of the usable rows, in order."""
    usable = (row for row in rows if why_left_out(row) is None)
    return [
        speed
        for row in usable
        if (model := entities.models[row["model_slug"]])
        for speed in _speeds(entities, row, model)
    ]


def _speeds(entities: Entities, row: Mapping[str, Any], model: ModelArchitecture) -> list[Served]:
    accelerator = entities.accelerators[row["gpu_slug"]]
    streams, prompt, output = _streams(row, accelerator) or 1, *(_lengths(row) or (1, 1))
    unlimited = not row.get("concurrency")
    request = _request(entities, row, model, streams, prompt, output)
    alone = _decodes_alone(row)
    others = 0.0 if alone else (streams - 1.0) * (0.5 if _BURST.search(_note(row)) else 1.0)
    out = []
    stream_tok_s = _each_tok_s(row)
    if stream_tok_s is not None and streams > 1 and not unlimited and output >= _LEAST_OUTPUT:
        out.append(Served(row, "stream", stream_tok_s, model, request, others, unlimited))
    total = row.get("output_tok_s_total")
    batched = "static offline batch" in _note(row)
    if total and streams > 1 and (batched or not _BURST.search(_note(row))) and output >= _LEAST_OUTPUT:
        read = 0.0 if alone and not batched else float(streams)
        out.append(Served(row, "total", float(total), model, request, read, unlimited))
    return out


def _each_tok_s(row: Mapping[str, Any]) -> float | None:
    if row.get("decode_tok_s_per_user"):
        return float(row["decode_tok_s_per_user"])
    tpot = row.get("tpot_ms") or row.get("tpot_ms_median")
    return 1000.0 / float(tpot) if tpot else None


def _request(
    entities: Entities, row: Mapping[str, Any], model: ModelArchitecture, streams: int, prompt: int, output: int
) -> EstimateRequest:
    engine, software = _engine(row) or (Engine.VLLM, None)
    quant, accelerator = entities.quants[row["quant_slug"]], entities.accelerators[row["gpu_slug"]]
    count = _shares(row) or 1
    server = DEFAULT_SERVER
    if software == Engine.TENSORRT_LLM and accelerator.memory_bytes:
        weights = float(model_tables(model, (quant,)).device[0]) / (accelerator.memory_bytes * count)
        server = ServerOptions(memory_fraction=_FREE_SHARE + (1.0 - _FREE_SHARE) * min(weights, 1.0))
    return EstimateRequest(
        quant=quant,
        accelerator=accelerator,
        gpu_count=count,
        server=server,
        host=entities.default_host,
        engine=engine,
        software=software,
        build_age_years=build_age_of(row),
        kv_cache_type=_cache(row),
        prompt_tokens=prompt,
        output_tokens=output,
        batch=streams,
    )


def _note(row: Mapping[str, Any]) -> str:
    return str(row.get("source_note") or "")


def _engine(row: Mapping[str, Any]) -> tuple[Engine, str | None] | None:
    name = str(row.get("engine") or "").casefold()
    return next((known for part, known in _ENGINES if part in name), None)


def _cache(row: Mapping[str, Any]) -> CacheType | None:
    stated = str(row.get("kv_cache_type") or "auto").casefold().partition(" (")[0]
    engine = _engine(row)
    if stated == "auto" and engine and engine[1] == "tensorrt-llm" and row.get("quant_slug") in _OWN_CACHE:
        return CacheType.FP8
    return _CACHE_TYPES.get(stated)


def _shares(row: Mapping[str, Any]) -> int | None:
    """Accelerators over which every matrix is cut, or whole layers in llama.cpp; None when another way is used."""
    count, tensor = row.get("gpu_count"), row.get("tensor_parallel")
    if row.get("expert_parallel") or row.get("parallelism") or _OTHER_SPLIT.search(_note(row)):
        return None
    if (row.get("pipeline_parallel") or 1) != 1:
        return None
    if tensor is None:
        # A static batch of the paper of several accelerators is tensor parallel; elsewhere several may be replicas.
        stated = count == 1 or row.get("source") == "argonne-LLM-Inference-Bench"
        return int(count) if count and stated else None
    return int(tensor) if count in (None, tensor) else None


def _lengths(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens of a prompt and of an answer, means as measured before medians or what was asked for."""
    prompt = row.get("input_tokens_mean_measured") or row.get("input_tokens") or row.get("input_tokens_p50")
    output = row.get("output_tokens_mean_measured") or row.get("output_tokens") or row.get("output_tokens_p50")
    if row.get("context_depth") is not None and prompt:
        prompt = float(prompt) + float(row["context_depth"])
    return (max(int(prompt), 1), max(int(output), 1)) if prompt and output else None


def _streams(row: Mapping[str, Any], accelerator: Accelerator) -> int | None:
    if row.get("concurrency"):
        return round(float(row.get("concurrency_mean_measured") or row["concurrency"]))
    if not _is_unlimited(row):
        return None
    engine, software = _engine(row) or (Engine.VLLM, None)
    stated = _MOST.search(_note(row))
    if stated:
        most = int(stated.group(1))
    elif (software or engine) == Engine.VLLM:
        most = VLLM_MAX_SEQUENCES if is_old_vllm(row) else server_sequences(accelerator)
    else:
        most = MOST_STREAMS.get(software or str(engine), 8)
    return min(most, int(row.get("num_prompts") or most))


def _is_unlimited(row: Mapping[str, Any]) -> bool:
    """Whether all requests come at once."""
    rate = str(row.get("request_rate") or "")
    return bool(_ALL_AT_ONCE.search(f"{rate} {_note(row)}")) and not rate.replace(".", "").isdigit()


def _contradicts_streams(row: Mapping[str, Any]) -> bool:
    """Whether the times of a row give other numbers of requests at once than it states (Little's law): they are only how
    many may be, or answers were of other lengths."""
    stated, total, first = row.get("concurrency"), row.get("output_tok_s_total"), row.get("ttft_ms")
    each, lengths = _each_tok_s(row), _lengths(row)
    if not (stated and total and first and each and lengths) or float(stated) == 1 or _decodes_alone(row):
        return False
    request_s = float(first) / 1000.0 + (lengths[1] - 1) / each
    at_once = float(total) / lengths[1] * request_s / float(row.get("concurrency_mean_measured") or stated)
    return not _LEAST_AT_ONCE <= at_once <= _MOST_AT_ONCE


def _decodes_alone(row: Mapping[str, Any]) -> bool:
    return bool(_BATCHED.search(_note(row)))


def rows_of_one_stream(
    serving: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The decode speeds of ``serving`` rows with one stream, with the keys of ``known``, without the sources of these."""
    sources, doubtful = {source_of(row) for row in known}, _doubtful(serving)
    usable = (
        row
        for row in serving
        if source_of(row) not in sources and _teller(row) not in doubtful and why_left_out(row) is None
    )
    return [decode for row in usable if row.get("concurrency") == 1 and (decode := _decode_alone(row)) is not None]


def _teller(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("source")), str(row.get("engine"))


def _doubtful(serving: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Sources of which most rows about an engine are suspect, with that engine."""
    rows, suspect = Counter(map(_teller, serving)), Counter(_teller(row) for row in serving if row.get("suspect"))
    return {teller for teller, count in suspect.items() if 2 * count > rows[teller]}


def _decode_alone(row: Mapping[str, Any]) -> dict[str, Any] | None:
    engine, software = _engine(row) or (Engine.VLLM, None)
    prompt, output = _lengths(row) or (1, 1)
    tok_s = _each_tok_s(row)
    if tok_s is None and output >= max(prompt, _LONG_ANSWER):
        tok_s = row.get("output_tok_s_total")
    if tok_s is None or _cache(row) is not CacheType.F16:
        return None
    kept = ("gpu_slug", "model_slug", "quant_slug", "quant_match", "source_url", "source_note")
    return {
        **{key: row.get(key) for key in kept},
        "kind": "decode",
        "tok_s": float(tok_s),
        "engine": software or engine.value,
        "build": row.get("engine_version"),
        "date": date_of(row),
        "gpu_count": _shares(row),
        "depth": prompt,
        "n_gen": output,
    }
