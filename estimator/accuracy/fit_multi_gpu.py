"""Constants of several GPUs on one model: fitted on rows that ran so, over the calibrated speed of one GPU.

Seconds are linear in these constants, so each row is estimated once with all of them 0 and once per constant. A row is
left out for what it states itself, never for its error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.accuracy.crossval import held_range, row_errors, share_of
from estimator.accuracy.fit_offload import design, solve
from estimator.accuracy.observations import (
    CLEARLY_FITS,
    Entities,
    build_age_of,
    is_unrecorded,
    micro_batch_of,
    source_of,
    stated_backend,
)
from estimator.calibration.coefficients import Calibration
from estimator.calibration.intervals import DEPTH
from estimator.estimate import estimate
from estimator.placement.layer_sums import model_tables
from estimator.server_options import SplitMode
from estimator.speed.coefficients import depth_log
from estimator.speed.links import with_stated_link
from estimator.speed.multi_gpu import MODES
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.types import (
    Accelerator,
    Backend,
    CacheType,
    Engine,
    EstimateRequest,
    EstimatorError,
    QuantFormat,
    Status,
)

#: Constants by kind of speed, in fitting order, with their first guess.
STARTS: Mapping[str, Mapping[str, float]] = {
    "decode": {"hop": 0.5, "sum": 4.0, "host_sum": 4.0},
    "prefill": {"unpipelined": 0.4},
}
#: The ``parallel`` part before anything is fitted.
FIRST: Mapping[str, Any] = {
    **{name: value for starts in STARTS.values() for name, value in starts.items()},
    "ranges": {f"{kind} {mode}": (0.7, 1.4) for kind in STARTS for mode in MODES},
}
#: A (GPU, model, count) group of n rows counts as n to this power.
GROUP_POWER = 0.5
#: Fewer rows than this make no range of their own: one that also holds those of all modes is taken.
MINIMUM_ROWS = 40
#: llama.cpp cut every matrix by rows over several GPUs before this year, and whole layers from then on.
LAYER_SPLIT_YEAR = 2024
_ENGINES = {engine.value: engine for engine in Engine}
_TENSOR_ENGINES = frozenset({"vllm", "mlc-llm", "sglang", "tensorrt-llm", "lmdeploy"})
_LAYER_ENGINES = frozenset({"llama.cpp", "ik_llama.cpp", "ollama"})
_TENSOR_DEGREE = re.compile(r"\btp=(\d+)")
#: Ways of llama.cpp and its fork to cut matrices that are not estimated, and of vLLM to cut the cache by tokens.
_CUT_MODES = ("row", "graph")
_CACHE_CUT = re.compile(r"\bdcp(?!1\b)\d")
_CACHE = re.compile(r"\b(?:ctk=|kv )([a-z0-9_]+)")
_SWEPT_CONTEXT = re.compile(r"run_id kvsweep/[^;]*/c(\d+)/")
#: Names of cache types in rows; ``auto`` is 16 bits.
_CACHE_TYPES: Mapping[str, CacheType] = {
    "auto": CacheType.F16, "none": CacheType.F16, "f16": CacheType.F16, "fp16": CacheType.F16,
    "bfloat16": CacheType.F16, "q8_0": CacheType.Q8_0, "fp8": CacheType.FP8, "fp8_e4m3": CacheType.FP8,
    "fp8_e5m2": CacheType.FP8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shared:
    """A row on several GPUs with what it states; ``mode`` is one of :data:`estimator.speed.multi_gpu.MODES`."""

    row: Mapping[str, Any]
    mode: str
    model: ModelArchitecture
    request: EstimateRequest

    @property
    def count(self) -> int:
        return self.request.gpu_count

    @property
    def kind(self) -> str:
        """``decode`` or ``prefill``."""
        return str(self.row["kind"])

    @property
    def tokens(self) -> int:
        """Tokens whose time is meant: the prompt, or one."""
        return 1 if self.kind == "decode" else int(self.row.get("n_prompt") or 512)


def why_not(row: Mapping[str, Any]) -> str | None:
    """The stated rule by which a row on several GPUs does not count, or None when it does."""
    for key in ("gpu_slug", "model_slug", "quant_slug"):
        if not row.get(key):
            return f"no catalog entity for its {key.removesuffix('_slug')}"
    note = str(row.get("source_note") or "")
    cache = _CACHE.search(note)
    if row.get("suspect"):
        return "its table states a reason to doubt it"
    if row.get("offload") and not is_unrecorded(row):
        return "weights in system memory"
    if row.get("engine") not in _TENSOR_ENGINES | _LAYER_ENGINES:
        return "an engine that the estimator does not know"
    split = str(row.get("split_mode") or "")
    if row["engine"] in _LAYER_ENGINES and (_TENSOR_DEGREE.search(note) or split.startswith(_CUT_MODES)):
        return "matrices cut by a fork of llama.cpp, or by rows as it no longer does"
    if _CACHE_CUT.search(split):
        return "vLLM asked to cut the cache by tokens, which is not its default"
    if row.get("backend") == Backend.CPU.value:
        return "processors on several sockets"
    if row["engine"] in _LAYER_ENGINES and str(row.get("date") or "9999") < str(LAYER_SPLIT_YEAR):
        return f"llama.cpp before {LAYER_SPLIT_YEAR}, which cut every matrix by rows"
    if cache and cache.group(1).casefold() not in _CACHE_TYPES:
        return "a KV cache type that the estimator does not know"
    if row["kind"] == "prefill" and not row.get("n_prompt") and not _SWEPT_CONTEXT.search(note):
        return "prefill of an unstated prompt"
    return None


def shared_rows(entities: Entities, rows: Sequence[Mapping[str, Any]]) -> list[Shared]:
    """The usable rows on several GPUs, in order."""
    usable = (row for row in rows if (row.get("gpu_count") or 1) > 1 and why_not(row) is None)
    return [_shared(entities, row, model) for row in usable if (model := entities.models[row["model_slug"]])]


def _shared(entities: Entities, row: Mapping[str, Any], model: ModelArchitecture) -> Shared:
    note = str(row.get("source_note") or "")
    engine = str(row["engine"])
    cache, micro, swept = _CACHE.search(note), micro_batch_of(row), _SWEPT_CONTEXT.search(note)
    cache_type = _CACHE_TYPES[cache.group(1).casefold()] if cache else CacheType.F16
    cuts = engine == Engine.LLAMA_CPP.value and row.get("split_mode") == SplitMode.TENSOR.value
    quant = entities.quants[row["quant_slug"]]
    prefill = row["kind"] == "prefill"
    depth = int(row.get("depth") or 0)
    if swept:
        row = {**row, "n_prompt": int(swept.group(1))} if prefill else row
        depth = 0 if prefill else int(swept.group(1))
    request = EstimateRequest(
        quant=quant,
        accelerator=_linked(entities.accelerators[row["gpu_slug"]], row),
        gpu_count=int(row["gpu_count"]),
        host=entities.default_host,
        engine=_ENGINES.get(engine, Engine.LLAMA_CPP if quant.format is QuantFormat.GGUF else Engine.VLLM),
        software=None if engine in _ENGINES else engine,
        backend=stated_backend(row),
        build_age_years=build_age_of(row),
        kv_cache_type=cache_type,
        depth_tokens=depth,
        prompt_tokens=int(row["n_prompt"]) if prefill else None,
        output_tokens=int(row.get("n_gen") or 128),
        micro_batch_tokens=micro,
        split_mode=SplitMode.TENSOR if cuts else None,
    )
    return Shared(row, "cut" if cuts else "tensor" if engine in _TENSOR_ENGINES else "layers", model, request)


def _linked(accelerator: Accelerator, row: Mapping[str, Any]) -> Accelerator:
    """The accelerator with the link that a row states; PCIe is taken to be whole where its lanes are not stated."""
    stated = str(row.get("pcie") or "")
    return with_stated_link(accelerator, stated, int(row["gpu_count"])) if stated else accelerator


def seconds_of(calibration: Calibration, shared: Shared) -> float | None:
    """Seconds per token, or of the prompt; None when the estimator says that not everything fits on the GPUs.

    A row that does not say whether weights were offloaded counts when they clearly fit, as on one GPU.
    """
    model, request = shared.model, shared.request
    if is_unrecorded(shared.row):
        device = float(model_tables(model, (request.quant,)).device[0])
        memory = request.accelerator.memory_bytes
        if memory is None or device > CLEARLY_FITS * memory * shared.count:
            return None
    try:
        answer = estimate(model, request, calibration)
    except EstimatorError:
        return None
    speed = answer.decode if shared.kind == "decode" else answer.prefill
    if answer.status not in (Status.FITS, Status.FITS_TIGHTLY) or speed is None:
        return None
    return shared.tokens / speed.value


@dataclass(frozen=True, slots=True)
class Fitted:
    """Constants by name, and for each usable row the log residual (measured over estimated seconds) when its model
    (``by_model``) or its source (``by_source``) was left out."""

    constants: dict[str, float]
    rows: list[Shared]
    by_model: Floats
    by_source: Floats


def fit_kind(rows: Sequence[Shared], result: Mapping[str, Any], kind: str) -> Fitted:
    """Fit the constants of one kind of speed; those of the other kind stay as ``result`` has them."""
    starts = STARTS[kind]
    own = [row for row in rows if row.kind == kind]
    kept, fixed, unit = design(own, result, "parallel", starts, seconds_of)
    measured = np.array([shared.tokens / float(shared.row["tok_s"]) for shared in kept])
    groups = Counter(_group(shared) for shared in kept)
    weight = np.array([groups[_group(shared)] ** (GROUP_POWER - 1.0) for shared in kept])

    def left_out(key: Callable[[Shared], str]) -> Floats:
        residual = np.zeros(len(kept))
        names = np.array([key(shared) for shared in kept])
        for name in sorted(set(names.tolist())):
            held = names == name
            solution = solve(fixed[~held], unit[~held], measured[~held], weight[~held], starts)
            residual[held] = np.log(measured[held]) - np.log(fixed[held] + unit[held] @ solution)
        return residual

    solution = solve(fixed, unit, measured, weight, starts)
    constants = {name: round(float(value), 4) for name, value in zip(starts, solution, strict=True)}
    by_source = left_out(lambda shared: source_of(shared.row))
    return Fitted(constants, kept, left_out(lambda shared: shared.model.slug), by_source)


def _group(shared: Shared) -> tuple[Any, ...]:
    return shared.row["gpu_slug"], shared.row["model_slug"], shared.count


def fit_parallel(
    entities: Entities, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """The ``parallel`` part of the calibration: constants, ranges and errors by kind and mode."""
    shared = shared_rows(entities, rows)
    out: dict[str, Any] = {**result["parallel"], "errors": {}}
    # Each kind is fitted with the constants of the other, which are guesses the first time.
    for kind in STARTS:
        out |= fit_kind(shared, {**result, "parallel": out}, kind).constants
    for kind in STARTS:
        fitted = fit_kind(shared, {**result, "parallel": out}, kind)
        out |= fitted.constants
        modes = np.array([row.mode for row in fitted.rows])
        residual = fitted.by_source / _widths(fitted.rows, float(result[kind]["ranges"]["none"]["spread"][DEPTH]))
        sources = np.array([source_of(row.row) for row in fitted.rows])
        widest = held_range(sources.tolist(), residual)
        for mode in MODES:
            mask = modes == mode
            ends, inside = held_range(sources[mask].tolist(), residual[mask]) if mask.any() else widest
            if mask.sum() < MINIMUM_ROWS:
                ends, inside = (min(ends[0], widest[0][0]), max(ends[1], widest[0][1])), None
            out["ranges"] = {**out["ranges"], f"{kind} {mode}": ends}
            out["errors"] |= {f"{kind} {mode}": {**_errors(fitted, mask), "inside": share_of(inside)}}
            say(f"parallel {kind} {mode}: {fitted.constants} {out['errors'][f'{kind} {mode}']} range {ends}")
    return out


def _widths(rows: Sequence[Shared], slope: float) -> Floats:
    """How many times wider a range is at the depth of each row than at an empty context, as the estimator widens it."""
    depths = [
        (row.request.depth_tokens or 0) + ((row.request.output_tokens or 0) / 2.0 if row.kind == "decode" else 0.0)
        for row in rows
    ]
    return np.asarray(np.exp(slope * depth_log(np.array(depths))))


def _errors(fitted: Fitted, mask: Any) -> dict[str, Any]:
    rows = [row for row, wanted in zip(fitted.rows, mask, strict=True) if wanted]
    if not rows:
        return {"rows": 0}
    out: dict[str, Any] = {"rows": len(rows), "groups": len({_group(row) for row in rows})}
    out["gpus"] = len({row.row["gpu_slug"] for row in rows})
    out["models"] = len({row.row["model_slug"] for row in rows})
    out["sources"] = len({source_of(row.row) for row in rows})
    out["model"], out["source"] = (row_errors(residual[mask]) for residual in (fitted.by_model, fitted.by_source))
    return out
