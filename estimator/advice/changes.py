"""What to change or buy, ranked, each with the gain that the estimator computes for the changed setup.

Nothing is promised by rule: an alternative is kept only when its own estimate is better in a way that this use needs,
and its gain is the difference of the two estimates. ``Advice.request`` is the changed question, so a live estimate of
it (with the same workload) gives exactly the numbers promised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from estimator.advice.amounts import gib, pace
from estimator.advice.gains import (
    MIN_SPEED_GAIN,
    MIN_UPGRADE_GAIN,
    Gain,
    gain_of,
    headroom,
    improves,
    meets_use,
    worth_buying,
)
from estimator.advice.upgrades import Options, cell_estimate, request_alone, upgrades
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate, situation_of_request, sweep
from estimator.fit_facts import RUNNING, FitFacts, cache_type
from estimator.types import (
    STATUSES,
    CacheType,
    Engine,
    Estimate,
    EstimateRequest,
    EstimatorError,
    Quant,
    Status,
)

#: Contexts are advised in whole steps of this many tokens.
CONTEXT_STEP_TOKENS = 1000
#: Headroom below which freeing memory is a gain of its own.
_TIGHT = (Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD, Status.DOES_NOT_FIT)


class AdviceCode(StrEnum):
    """Kind of change; those that cost nothing come first."""

    OTHER_QUANT = "OTHER_QUANT"
    PLANNED_OFFLOAD = "PLANNED_OFFLOAD"
    QUANTIZED_KV_CACHE = "QUANTIZED_KV_CACHE"
    LESS_CONTEXT = "LESS_CONTEXT"
    MORE_HOST_MEMORY = "MORE_HOST_MEMORY"
    SECOND_GPU = "SECOND_GPU"
    GPU_UPGRADE = "GPU_UPGRADE"
    NOTHING_NEEDED = "NOTHING_NEEDED"


@dataclass(frozen=True, slots=True)
class Advice:
    """One change with its computed gain, the changed request and its estimate."""

    code: AdviceCode
    message: str
    gain: Gain
    request: EstimateRequest
    after: Estimate


def advice(facts: FitFacts, calibration: Calibration, options: Options) -> tuple[Advice, ...]:
    """Changes that help, best first: what runs at all before what is faster, then by score, then what costs nothing.

    One entry says that nothing is needed when no change helps and the setup meets its use.
    """
    if facts.estimate.status is Status.UNSUPPORTED:
        return _best_upgrades(facts, calibration, options)
    sources: tuple[Callable[[FitFacts, Calibration, Options], Iterator[Advice]], ...] = (
        _other_quant, _planned_offload, _quantized_cache, _less_context, _more_host_memory, _second_gpu,
    )  # fmt: skip
    found = [each for source in sources for each in source(facts, calibration, options)]
    found += _best_upgrades(facts, calibration, options)
    if not found:
        return (_nothing_needed(facts),) if facts.runs else ()
    return tuple(sorted(found, key=_rank))


def _rank(one: Advice) -> tuple[int, float, int]:
    return (
        0 if one.after.status in RUNNING else 1,
        -round(one.after.score, 1),
        tuple(AdviceCode).index(one.code),
    )


def best_quant(facts: FitFacts, calibration: Calibration, quants: Sequence[Quant]) -> tuple[Quant, Estimate] | None:
    """The quant of ``quants`` with the highest score in this setup, the wider one on a tie; None when none runs."""
    if not quants:
        return None
    request = replace(facts.request, gpu_layers=None, cpu_moe_layers=None)
    block = sweep(facts.model, request, (request.accelerator,), tuple(quants), calibration, facts.workload)
    runs = block.available[0] & (block.status[0, :, 0] < STATUSES.index(Status.DOES_NOT_FIT))
    if not runs.any():
        return None
    rank = np.where(runs, block.score[0, :, 0].astype(np.float64) + block.bits_per_weight * 1e-9, -1.0)
    q = int(rank.argmax())
    return quants[q], cell_estimate(facts, block, request, 0, q)


def _other_quant(facts: FitFacts, calibration: Calibration, options: Options) -> Iterator[Advice]:
    found = best_quant(facts, calibration, options.quants)
    if found is None:
        return
    quant, after = found
    if quant.slug != facts.quant.slug and improves(facts.estimate, after):
        request = replace(facts.request, quant=quant, gpu_layers=None, cpu_moe_layers=None)
        yield _made(facts, AdviceCode.OTHER_QUANT, f"use {quant.name} instead of {facts.quant.name}", request, after)


def _planned_offload(facts: FitFacts, calibration: Calibration, options: Options) -> Iterator[Advice]:
    """A split that was fixed by hand against the searched one."""
    if facts.request.gpu_layers is None and facts.request.cpu_moe_layers is None:
        return
    request = replace(facts.request, gpu_layers=None, cpu_moe_layers=None)
    after, before = _try(facts, calibration, request), facts.estimate.decode
    if after is None or after.decode is None:
        return
    # Speed decides here: a split that leaves memory unused would score for the room it wastes.
    if before is None or after.decode.value >= before.value * MIN_SPEED_GAIN:
        placement = after.placement
        flags = f"-ngl {placement.gpu_layers}"
        if placement.cpu_moe_layers:
            flags += f" --n-cpu-moe {placement.cpu_moe_layers}"
        yield _made(facts, AdviceCode.PLANNED_OFFLOAD, f"split as {flags}", request, after)


def _quantized_cache(facts: FitFacts, calibration: Calibration, options: Options) -> Iterator[Advice]:
    if cache_type(facts.request) not in (CacheType.F16, CacheType.BF16, CacheType.F32):
        return
    types = {
        Engine.LLAMA_CPP: CacheType.Q8_0,
        Engine.OLLAMA: CacheType.Q8_0,
        Engine.VLLM: CacheType.FP8,
    }
    engine = facts.estimate.engine
    if engine is None or engine not in types or facts.request.flash_attention is False:
        return
    request = replace(facts.request, kv_cache_type=types[engine])
    after = _try(facts, calibration, request)
    if after is not None and improves(facts.estimate, after):
        name = types[engine].value.upper()
        yield _made(facts, AdviceCode.QUANTIZED_KV_CACHE, f"store the KV cache in {name}", request, after)


def least_context_tokens(facts: FitFacts) -> int:
    """The shortest context that still holds one prompt and its answer, in whole steps."""
    situation = situation_of_request(facts.request, facts.workload)
    need = situation.prompt_tokens + situation.output_tokens
    return -(-need // CONTEXT_STEP_TOKENS) * CONTEXT_STEP_TOKENS


def _less_context(facts: FitFacts, calibration: Calibration, options: Options) -> Iterator[Advice]:
    """The longest shorter context with a better status: a longer one never fits better, so the step is bisected."""
    now = facts.estimate
    if now.status not in _TIGHT or facts.request.depth_tokens is not None:
        return
    low = least_context_tokens(facts) // CONTEXT_STEP_TOKENS
    high = (now.context_tokens - 1) // CONTEXT_STEP_TOKENS
    if high < low:
        return

    def at(step: int) -> tuple[EstimateRequest, Estimate | None]:
        request = replace(facts.request, context_tokens=step * CONTEXT_STEP_TOKENS)
        return request, _try(facts, calibration, request)

    def better(after: Estimate | None) -> bool:
        return after is not None and STATUSES.index(after.status) < STATUSES.index(now.status)

    best = at(low)
    if not better(best[1]):
        return
    while low < high:
        middle = (low + high + 1) // 2
        tried = at(middle)
        if better(tried[1]):
            low, best = middle, tried
        else:
            high = middle - 1
    request, after = best
    if after is not None:
        text = f"shorten the context from {now.context_tokens:,} to {low * CONTEXT_STEP_TOKENS:,} tokens"
        yield _made(facts, AdviceCode.LESS_CONTEXT, text, request, after)


def _more_host_memory(facts: FitFacts, calibration: Calibration, options: Options) -> Iterator[Advice]:
    """The smallest computer whose memory makes a model run that did not, or the one that helps an offload most."""
    present = facts.request.host
    if present is None or facts.accelerator.unified_memory or meets_use(facts, facts.estimate):
        return
    tried = []
    for host in options.hosts:
        if host.slug == present.slug:
            continue
        after = _try(facts, calibration, replace(facts.request, host=host))
        if after is not None and improves(facts.estimate, after):
            tried.append((host, after))
    if not tried:
        return
    if facts.runs:
        enough = [each for each in tried if meets_use(facts, each[1])]
        least = [min(enough, key=lambda each: each[0].bandwidth_bytes_s)] if enough else []
        host, after = max(least or tried, key=lambda each: (each[1].score, -each[0].memory_bytes))
    else:
        host, after = min(tried, key=lambda each: (each[0].memory_bytes, -each[1].score))
    text = f"use system memory like {host.name} ({gib(host.memory_bytes)} at {host.bandwidth_bytes_s / 1e9:,.0f} GB/s)"
    yield _made(facts, AdviceCode.MORE_HOST_MEMORY, text, replace(facts.request, host=host), after)


def _second_gpu(facts: FitFacts, calibration: Calibration, options: Options) -> Iterator[Advice]:
    device = facts.accelerator
    if device.comes_alone or meets_use(facts, facts.estimate):
        return
    if options.budget_usd is not None and (device.msrp_usd is None or device.msrp_usd > options.budget_usd):
        return
    count = facts.request.gpu_count
    if options.max_power_w is not None and (device.tdp_w is None or device.tdp_w * (count + 1) > options.max_power_w):
        return
    request = replace(facts.request, gpu_count=count + 1)
    after = _try(facts, calibration, request)
    if after is None or not improves(facts.estimate, after):
        return
    # Under the cap of an offload points are few, and less of it is worth a card.
    less = after.placement.offload_fraction < facts.estimate.placement.offload_fraction
    if less or worth_buying(facts.estimate, after):
        text = f"add a {'second' if count == 1 else 'further'} {device.name}"
        yield _made(facts, AdviceCode.SECOND_GPU, text, request, after)


def _best_upgrades(facts: FitFacts, calibration: Calibration, options: Options) -> tuple[Advice, ...]:
    """Per goal the best accelerator that meets this use, or nothing when the present one already does."""
    if meets_use(facts, facts.estimate) or not options.accelerators:
        return ()
    found = upgrades(facts, calibration, options)
    out: dict[str, Advice] = {}
    for goal, (device, after) in found.items():
        request = replace(request_alone(facts), accelerator=device)
        price = f", ${device.msrp_usd:,.0f} at launch" if device.msrp_usd is not None else ""
        one = "one " if facts.request.gpu_count > 1 else ""
        text = f"change to {one}{device.name} ({goal.value}{price})"
        if device.slug not in out:
            out[device.slug] = _made(facts, AdviceCode.GPU_UPGRADE, text, request, after)
    return tuple(sorted(out.values(), key=_rank))


def _try(facts: FitFacts, calibration: Calibration, request: EstimateRequest) -> Estimate | None:
    """The estimate of a changed request, None when it has none."""
    try:
        return estimate(facts.model, request, calibration, facts.workload)
    except EstimatorError:
        return None


def _made(facts: FitFacts, code: AdviceCode, text: str, request: EstimateRequest, after: Estimate) -> Advice:
    gain = gain_of(facts.estimate, after)
    return Advice(code, f"{text}: {_effect(facts.estimate, after)}", gain, request, after)


def _effect(before: Estimate, after: Estimate) -> str:
    """What the change does, in numbers."""
    parts = []
    if after.status is not before.status:
        parts.append(_STATUS_WORDS[after.status])
    if after.decode is not None:
        now = pace(after.decode.value)
        parts.append(f"{now} instead of {pace(before.decode.value)}" if before.decode else now)
    if not parts or before.status in _TIGHT:
        free = headroom(after)
        if free >= 0:
            parts.append(f"{gib(free)} free")
    parts.append(f"grade {after.grade}" if before.grade == after.grade else f"grade {after.grade}, was {before.grade}")
    return ", ".join(parts)


_STATUS_WORDS = {
    Status.FITS: "fits with room",
    Status.FITS_TIGHTLY: "fits, tightly",
    Status.FITS_WITH_OFFLOAD: "runs with offload",
    Status.DOES_NOT_FIT: "does not fit",
    Status.UNSUPPORTED: "unsupported",
}


def _nothing_needed(facts: FitFacts) -> Advice:
    trained = facts.model.context_tokens
    if not meets_use(facts, facts.estimate):
        if facts.estimate.grade == "S":
            what = f"nothing worth a change with grade S for {facts.workload_name}"
        else:
            what = "nothing in reach helps"
        text = (
            f"{what}: no other quantization, cache type or computer scores higher, and no accelerator in its place that is "
            f"comfortable in {facts.quant.name} gains {MIN_UPGRADE_GAIN:.0f} points"
        )
    elif trained is not None and trained < facts.estimate.context_tokens:
        text = f"no hardware helps further: the model itself was trained for {trained:,} tokens"
    else:
        text = f"nothing needed: {facts.quant.name} on {facts.device_name} does {facts.workload_name} comfortably"
    gain = gain_of(facts.estimate, facts.estimate)
    return Advice(AdviceCode.NOTHING_NEEDED, text, gain, facts.request, facts.estimate)
