"""A fit in words: headline, summary, capacity, limits and questions, all from the fit's own numbers.

Pure functions: the same numbers give the same text, so text never disagrees with the tables beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from estimator import verdict
from estimator.advice.amounts import duration, gib, pace
from estimator.advice.breakdown import Terms
from estimator.calibration.loss import Divergence
from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT, retained_share
from estimator.fit_facts import FitFacts
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.types import OperatingMode, Status, Strategy
from estimator.usability import FREE_USE, Usability, comfortable_seconds, wait_ms

#: A share of time or memory from which a term is worth naming.
_NOTABLE_SHARE = 0.15
#: Free share of the usable memory from which there is room to spare.
_ROOM_TO_SPARE = 0.1
#: Words of a verdict.
WORDS = {
    Usability.YES: "Yes",
    Usability.SLOWLY: "Yes, slowly",
    Usability.BARELY: "Barely",
    Usability.NO: "No",
}


class LimitCode(StrEnum):
    """A resource that binds a setup."""

    ENGINE_SUPPORT = "ENGINE_SUPPORT"
    MEMORY_CAPACITY = "MEMORY_CAPACITY"
    MEMORY_BANDWIDTH = "MEMORY_BANDWIDTH"
    COMPUTE = "COMPUTE"
    HOST_LINK = "HOST_LINK"
    KV_CACHE = "KV_CACHE"
    CONTEXT = "CONTEXT"
    FIXED_COST = "FIXED_COST"


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that binds: ``share`` is 0..1 of the memory or the time that ``message`` names, ``values`` what it states."""

    code: LimitCode
    share: float
    message: str
    values: dict[str, Any]


def headline(facts: FitFacts) -> str:
    """The verdict in a few words: the word that the score stands for, and where it runs or what keeps it from a better one."""
    status, strategy, memory = facts.estimate.status, facts.estimate.placement.strategy, facts.estimate.memory
    if status is Status.UNSUPPORTED:
        return "No: no engine runs it here"
    if not facts.runs:
        return "No: it does not fit"
    word = verdict.word_of(facts.estimate.score)
    if word is not Usability.YES:
        return f"{WORDS[word]}: {'it runs, but ' if word is Usability.NO else ''}{shortfall(facts, word)}"
    if status is Status.FITS_WITH_OFFLOAD:
        return (
            f"Yes, with some of its {'experts' if strategy is Strategy.EXPERT_OFFLOAD else 'layers'} in system memory"
        )
    roomy = memory.usable_bytes - memory.total_bytes >= _ROOM_TO_SPARE * memory.usable_bytes
    where = " with room to spare" if roomy else "" if status is Status.FITS else ", with little memory left"
    return f"Yes: it fits{where}"


def shortfall(facts: FitFacts, word: Usability) -> str:
    """The figure that misses its bound by most: the comfortable one of a usable setup, else the usable one."""
    estimate, use = facts.estimate, facts.workload or FREE_USE
    speed = estimate.decode.value if estimate.decode is not None else 0.0
    slowly = word is Usability.SLOWLY
    least = use.comfortable_decode_tok_s if slowly else use.minimum_decode_tok_s
    patience = use.patience_ttft_ms if slowly else use.usable_ttft_ms
    bound = "comfortable" if slowly else f"the least that {facts.workload_name} can do with"
    limit = "comfortable" if slowly else f"the most that {facts.workload_name} can do with"
    wait = wait_ms(use, estimate.ttft_ms or 0.0)
    known = estimate.ttft_ms is not None
    first = (
        f"the first token takes {duration(float(wait))}, where {duration(patience)} is {limit}"
        if known
        else "the time to read the prompt is not known"
    )
    shortfalls = [
        (least / max(speed, 1e-9), f"{pace(speed)}, where {pace(least)} is {bound}"),
        (float(wait) / patience, first),
    ]
    seconds = facts.answer_seconds(use)
    longest = float(comfortable_seconds(use)) if slowly else use.usable_answer_s
    shortfalls.append((seconds / longest, f"{whole_answer(facts)}, where {duration(longest * 1e3)} is {limit}"))
    return max(shortfalls)[1]


def whole_answer(facts: FitFacts) -> str:
    """The time of a whole answer of the workload, as a clause."""
    thinks = facts.workload is not None and facts.model.training.least_thinking > 0
    taken = duration(facts.answer_seconds(facts.workload or FREE_USE) * 1e3)
    return f"an answer{' and the thinking before it take' if thinks else ' takes'} {taken}"


def summary(facts: FitFacts, terms: Terms | None = None) -> str:
    """One or two sentences with the numbers: memory, placement, speed, first token."""
    estimate, memory = facts.estimate, facts.estimate.memory
    name = f"{facts.model_name} in {facts.quant.name}"
    if estimate.status is Status.UNSUPPORTED:
        return f"No engine runs {name} on {facts.device_name}."
    if estimate.status is Status.DOES_NOT_FIT:
        needed = terms.full_bytes if terms else memory.total_bytes
        if tables := _tables_message(facts, terms):
            return f"{name} does not fit: {tables[0]}."
        return (
            f"{name} needs {gib(needed)} for {estimate.context_tokens:,} tokens of context; {facts.device_name} has "
            f"{gib(memory.usable_bytes)} usable{_host_clause(facts)}."
        )
    speeds = ""
    if estimate.decode is not None:
        wait = "" if estimate.ttft_ms is None else f" and the first token after {duration(estimate.ttft_ms)}"
        speeds = f" Expect {pace(estimate.decode.value)}{wait}."
    if estimate.status is Status.FITS_WITH_OFFLOAD:
        return (
            f"{name} takes {gib(memory.total_bytes)} of the {gib(memory.usable_bytes)} usable on {facts.device_name} "
            f"and {gib(memory.host_bytes)} of system memory, where {percent(estimate.placement.offload_fraction)} of its "
            "weights are."
            f"{speeds}"
        )
    return (
        f"{name} takes {gib(memory.total_bytes)} of the {gib(memory.usable_bytes)} usable on {facts.device_name} for "
        f"{estimate.context_tokens:,} tokens of context.{speeds}"
    )


def _tables_message(facts: FitFacts, terms: Terms | None) -> tuple[str, dict[str, int | float]] | None:
    """The message where input tables, and not the device, stop a load, as system memory has no room for them; else None."""
    memory, host = facts.estimate.memory, facts.request.host
    if facts.runs or terms is None or terms.over_bytes or host is None or memory.host_bytes <= HOST_RESERVE_BYTES:
        return None
    shared = facts.accelerator.unified_memory
    needed = memory.host_bytes + shared * memory.total_bytes
    usable = max(memory.usable_bytes, host.memory_bytes - HOST_RESERVE_BYTES) if shared else host.memory_bytes
    beside = f" beside the {gib(memory.total_bytes)} on the device" if shared else ""
    message = f"{gib(memory.host_bytes)} of input tables{beside} are more than the {gib(usable)} of the computer"
    return message, {"over_share": max(needed - usable, 0) / needed, "needed_bytes": needed, "usable_bytes": usable}


def _host_clause(facts: FitFacts) -> str:
    host = facts.request.host
    if host is None or facts.accelerator.unified_memory:
        return ""
    return f", and {gib(host.memory_bytes)} of system memory does not hold the rest"


def capacity_message(facts: FitFacts, terms: Terms, *, some_quant_runs: bool) -> str:
    """How far from the memory limit: ``3.2 GiB over``, or how much stays free.

    ``some_quant_runs``: whether any quantization of the model runs in this setup.
    """
    if terms.over_bytes > 0:
        smaller = "a smaller quantization" if some_quant_runs else "a smaller model"
        repair = "kept in system memory" if facts.runs else f"needs {smaller} or more memory"
        return f"{gib(terms.over_bytes)} over what {facts.device_name} can hold: {repair}"
    free = max(facts.estimate.memory.usable_bytes - facts.estimate.memory.total_bytes, 0)
    return f"{gib(free)} free of {gib(facts.estimate.memory.usable_bytes)} usable"


def limits(facts: FitFacts, terms: Terms | None) -> tuple[Limit, ...]:
    """Limits of this setup: those that stop it before others, the largest share first.

    ``terms`` may be None only for an unsupported fit.
    """
    if facts.estimate.status is Status.UNSUPPORTED or terms is None:
        message = f"no engine runs {facts.quant.name} on {facts.device_name}"
        return (
            Limit(LimitCode.ENGINE_SUPPORT, 1.0, message, {"quant": facts.quant.name, "device": facts.device_name}),
        )
    limits = [*_memory_limits(facts, terms)]
    if facts.runs:
        limits += _time_limits(facts, terms)
    context = facts.model.context_tokens
    if context is not None and context < facts.estimate.context_tokens:
        share = min(context / facts.estimate.context_tokens, 1.0)
        limits.append(
            Limit(
                LimitCode.CONTEXT,
                share,
                f"the model was trained for {context:,} tokens, less than the {facts.estimate.context_tokens:,} "
                f"of {facts.workload_name}{extended(facts, context)}",
                {"trained_tokens": context, "context_tokens": facts.estimate.context_tokens}
                | extension_values(facts, context),
            )
        )
    stopping = {LimitCode.MEMORY_CAPACITY} if terms.over_bytes else set()
    return tuple(sorted(_one_a_code(limits), key=lambda limit: (limit.code not in stopping, -limit.share)))


def _one_a_code(limits: list[Limit]) -> list[Limit]:
    """Limits of the same code as one: the larger share, both messages, all values."""
    merged: dict[LimitCode, Limit] = {}
    for limit in limits:
        before = merged.get(limit.code)
        if before is None:
            merged[limit.code] = limit
        else:
            message = f"{before.message}; {limit.message}"
            share, values = max(limit.share, before.share), before.values | limit.values
            merged[limit.code] = Limit(limit.code, share, message, values)
    return list(merged.values())


def _memory_limits(facts: FitFacts, terms: Terms) -> list[Limit]:
    limits = []
    filled = terms.full_bytes / max(terms.usable_bytes, 1)
    if terms.over_bytes:
        share = terms.over_bytes / terms.full_bytes
        limits.append(
            Limit(
                LimitCode.MEMORY_CAPACITY,
                share,
                f"{percent(share)} of the {gib(terms.full_bytes)} does not fit in {gib(terms.usable_bytes)}",
                {"over_share": share, "needed_bytes": terms.full_bytes, "usable_bytes": terms.usable_bytes},
            )
        )
    elif tables := _tables_message(facts, terms):
        limits.append(Limit(LimitCode.MEMORY_CAPACITY, float(tables[1]["over_share"]), *tables))
    elif facts.estimate.status is Status.FITS_TIGHTLY:
        taken = min(filled, 1.0)
        message = f"{percent(taken)} of the memory is taken"
        limits.append(Limit(LimitCode.MEMORY_CAPACITY, taken, message, {"taken_share": taken}))
    cache = terms.full_kv_cache_bytes / max(terms.full_bytes, 1)
    if cache >= _NOTABLE_SHARE:
        limits.append(
            Limit(
                LimitCode.KV_CACHE,
                cache,
                f"the KV cache of {facts.estimate.context_tokens:,} tokens is {percent(cache)} of the memory "
                f"({gib(terms.full_kv_cache_bytes)})",
                {
                    "context_tokens": facts.estimate.context_tokens,
                    "memory_share": cache,
                    "cache_bytes": terms.full_kv_cache_bytes,
                },
            )
        )
    return limits


def _time_limits(facts: FitFacts, terms: Terms) -> list[Limit]:
    """Terms of the time per token, and what fills the wait for the first one."""
    candidates = [
        (LimitCode.HOST_LINK, terms.decode_host, "reading the part in system memory takes {} of the time per token"),
        (LimitCode.MEMORY_BANDWIDTH, terms.decode_weights + terms.decode_kv_cache, ""),
        (LimitCode.FIXED_COST, terms.decode_fixed, "starting each layer's work takes {} of the time per token"),
        (LimitCode.COMPUTE, terms.decode_compute, "arithmetic takes {} of the time per token"),
    ]
    cache = percent(terms.decode_kv_cache)
    bandwidth = (
        f"reading weights and cache from {facts.memory_name} takes {{}} of the time per token (the cache {cache})"
    )
    memory_values = {"memory": facts.memory_name, "cache_share": terms.decode_kv_cache}
    limits = [
        Limit(
            code,
            share,
            (text or bandwidth).format(percent(share)),
            {"token_share": share, **({} if text else memory_values)},
        )
        for code, share, text in candidates
        if share >= _NOTABLE_SHARE
    ]
    patience = facts.workload.patience_ttft_ms if facts.workload else None
    waits = facts.estimate.ttft_ms is not None and patience is not None and facts.estimate.ttft_ms > patience
    if waits and facts.estimate.ttft_ms is not None and patience is not None:
        code, share, activity = max(
            (LimitCode.COMPUTE, terms.prefill_compute, "arithmetic"),
            (LimitCode.HOST_LINK, terms.prefill_host, "moving weights from system memory"),
            (LimitCode.MEMORY_BANDWIDTH, terms.prefill_weights, "reading weights"),
            key=lambda term: term[1],
        )
        limits.append(
            Limit(
                code,
                share,
                f"{activity} takes {percent(share)} of reading the prompt, which lasts {duration(facts.estimate.ttft_ms)} "
                f"where {duration(patience)} is comfortable",
                {"prompt_share": share, "ttft_ms": facts.estimate.ttft_ms, "comfortable_ms": patience},
            )
        )
    return limits


def score_parts(
    facts: FitFacts, divergence: Divergence, mode: OperatingMode = OperatingMode.BALANCED
) -> tuple[verdict.ScorePart, ...]:
    """The parts that made the score of a fit that runs, with the weights of ``mode``; empty when nothing runs."""
    estimate, workload = facts.estimate, facts.workload
    if not facts.runs or estimate.decode is None or workload is None:
        return ()
    memory = estimate.memory
    values = (
        verdict.decode_part(estimate.decode.value, workload.comfortable_decode_tok_s),
        verdict.ttft_part(estimate.ttft_ms or 0.0, workload.patience_ttft_ms),
        verdict.context_part(float(estimate.safe_context_tokens), float(workload.context_tokens)),
        retained_share(RETENTION_PER_NAT[KIND_OF_WORKLOAD[workload.kind]], divergence.task_nats),
        verdict.headroom_part(memory.total_bytes, memory.usable_bytes, estimate.placement.offload_fraction),
    )
    return tuple(
        verdict.ScorePart(name, float(value), weight)
        for name, value, weight in zip(verdict.PART_NAMES, values, verdict.MODE_WEIGHTS[mode], strict=True)
    )


def extended(facts: FitFacts, trained: int) -> str:
    """The option that takes a model beyond the context that it has as published."""
    extension = facts.context_extension
    return f"; it takes {extension}" if extension is not None and extension.tokens > trained else ""


def extension_values(facts: FitFacts, trained: int) -> dict[str, Any]:
    """The values of :func:`extended`."""
    extension = facts.context_extension
    return {"extended_tokens": extension.tokens} if extension is not None and extension.tokens > trained else {}


def percent(share: float) -> str:
    if 0 < share < 0.005:
        return "less than 1 %"
    return f"{share * 100:.0f} %"
