"""Changes that cost nothing: flags, cache type, memory limit, quantization, context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from estimator.advice.amounts import duration
from estimator.advice.command import wired_limit_command
from estimator.advice.gains import SWITCHING_POINTS, Tried, improves, meets_use
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.estimate import situation_of_request
from estimator.fit_facts import FitFacts, cache_type
from estimator.placement.hardware import largest_wired_limit_bytes
from estimator.types import LLAMA_ENGINES, STATUSES, CacheType, Engine, Status

#: Contexts are advised in whole steps of this many tokens.
CONTEXT_STEP_TOKENS = 1000
#: Prompt tokens a step that are tried in place of llama.cpp's 512.
MICRO_BATCH_TOKENS = (1024, 2048, 4096)


def free_changes(search: Search) -> list[Advice]:
    """All that help, in the order of their codes."""
    sources: tuple[Callable[[Search], Iterator[Advice]], ...] = (
        _flash_attention, _planned_offload, _larger_micro_batch, _quantized_cache, _wired_limit, _other_quant,
        _less_context,
    )  # fmt: skip
    return [advice for source in sources for advice in source(search)]


def _flash_attention(search: Search) -> Iterator[Advice]:
    if search.facts.request.flash_attention is False:
        tried = search.better(replace(search.facts.request, flash_attention=None))
        if tried is not None:
            yield search.advice(AdviceCode.FLASH_ATTENTION, "turn flash attention on", tried)


def _planned_offload(search: Search) -> Iterator[Advice]:
    """A split that was fixed by hand against the searched one."""
    request = search.facts.request
    if request.gpu_layers is None and request.cpu_moe_layers is None:
        return
    tried = search.better(replace(request, gpu_layers=None, cpu_moe_layers=None))
    if tried is not None:
        placement = tried.estimate.placement
        flags = f"-ngl {placement.gpu_layers}"
        if placement.cpu_moe_layers:
            flags += f" --n-cpu-moe {placement.cpu_moe_layers}"
        yield search.advice(
            AdviceCode.PLANNED_OFFLOAD, f"split as {flags}", tried, gpu_layers=placement.gpu_layers,
            cpu_moe_layers=placement.cpu_moe_layers,
        )  # fmt: skip


def _larger_micro_batch(search: Search) -> Iterator[Advice]:
    """More prompt tokens a step: weights in system memory are copied over once a step."""
    facts = search.facts
    waits = facts.estimate.placement.offload_fraction > 0 and not meets_use(facts, facts.estimate)
    if facts.estimate.engine not in LLAMA_ENGINES or not waits:
        return
    prompt = situation_of_request(facts.request, facts.workload).prompt_tokens
    larger = [size for size in MICRO_BATCH_TOKENS if (facts.request.micro_batch_tokens or 512) < size <= prompt]
    tried = [change for size in larger if (change := search.better(replace(facts.request, micro_batch_tokens=size)))]
    if not tried:
        return
    best = max(tried, key=lambda change: change.standing.rating_points)
    size, wait = best.request.micro_batch_tokens, best.estimate.ttft_ms
    first = "" if wait is None else f", first token after {duration(wait)}"
    text = f"read prompts with -b {size} -ub {size}{first}"
    yield search.advice(AdviceCode.LARGER_MICRO_BATCH, text, best, batch_tokens=size, ttft_ms=wait)


def _quantized_cache(search: Search) -> Iterator[Advice]:
    request = search.facts.request
    if cache_type(request) not in (CacheType.F16, CacheType.BF16, CacheType.F32) or request.flash_attention is False:
        return
    types = {Engine.LLAMA_CPP: CacheType.Q8_0, Engine.OLLAMA: CacheType.Q8_0, Engine.VLLM: CacheType.FP8}
    engine = search.facts.estimate.engine
    if engine is None or engine not in types:
        return
    tried = search.better(replace(request, kv_cache_type=types[engine], v_cache_type=None))
    if tried is not None:
        text = f"store the KV cache in {types[engine].value.upper()}"
        yield search.advice(AdviceCode.QUANTIZED_KV_CACHE, text, tried, cache_type=types[engine].name)


def _wired_limit(search: Search) -> Iterator[Advice]:
    """More of a Mac's memory for the GPU than macOS gives by default."""
    request = search.facts.request
    limit = largest_wired_limit_bytes(request.accelerator)
    if limit is None or request.wired_limit_bytes is not None:
        return
    tried = search.better(replace(request, wired_limit_bytes=limit))
    if tried is not None:
        text = f"raise the GPU's memory limit (until the next start of macOS) with `{wired_limit_command(limit)}`"
        yield search.advice(AdviceCode.WIRED_LIMIT, text, tried, limit_bytes=limit)


def _other_quant(search: Search) -> Iterator[Advice]:
    best, present = search.best_quant(search.options.quants), search.facts.quant
    if best is None or best.request.quant.slug == present.slug or not improves(search.present, best.standing):
        return
    if search.present.runs and best.standing.worth_points < search.present.worth_points - SWITCHING_POINTS:
        # Speed that costs so much of the answers is no speed; a smaller model has both.
        return
    text = f"use {best.request.quant.name} instead of {present.name}"
    yield search.advice(AdviceCode.OTHER_QUANT, text, best, quant=best.request.quant.name, present=present.name)


def least_context_tokens(facts: FitFacts) -> int:
    """The shortest context that still holds one prompt and its answer, in whole steps."""
    situation = situation_of_request(facts.request, facts.workload)
    need = situation.prompt_tokens + situation.output_tokens
    return -(-need // CONTEXT_STEP_TOKENS) * CONTEXT_STEP_TOKENS


def _less_context(search: Search) -> Iterator[Advice]:
    """The longest shorter context with a better status: a longer one never fits better, so the step is bisected."""
    facts, now = search.facts, search.facts.estimate
    if now.status not in (Status.FITS_WITH_OFFLOAD, Status.DOES_NOT_FIT) or facts.request.depth_tokens is not None:
        return
    low = least_context_tokens(facts) // CONTEXT_STEP_TOKENS
    high = (now.context_tokens - 1) // CONTEXT_STEP_TOKENS
    if high < low:
        return

    def at(step: int) -> Tried | None:
        """The setup with a context of so many steps, where its status is better."""
        tried = search.tried(replace(facts.request, context_tokens=step * CONTEXT_STEP_TOKENS))
        better = tried is not None and STATUSES.index(tried.estimate.status) < STATUSES.index(now.status)
        return tried if better else None

    best = at(low)
    while best is not None and low < high:
        middle = (low + high + 1) // 2
        tried = at(middle)
        if tried is None:
            high = middle - 1
        else:
            low, best = middle, tried
    if best is not None and improves(search.present, best.standing):
        text = f"shorten the context from {now.context_tokens:,} to {low * CONTEXT_STEP_TOKENS:,} tokens"
        shorter = low * CONTEXT_STEP_TOKENS
        yield search.advice(
            AdviceCode.LESS_CONTEXT, text, best, present_tokens=now.context_tokens, context_tokens=shorter
        )
