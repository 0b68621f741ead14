"""Free changes: flags, micro-batch, cache type, wired limit, quantization, context."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.advice.commands import commands
from estimator.advice.free_changes import CONTEXT_STEP_TOKENS, free_changes, least_context_tokens
from estimator.advice.gains import improves
from estimator.advice.options import Options
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.fit_facts import FitFacts
from estimator.placement.hardware import usable_bytes
from estimator.types import STATUSES, Status
from tests.estimator.advice.test_changes import ask
from tests.support import answers as support


def free(facts: FitFacts, options: Options | None = None) -> dict[AdviceCode, Advice]:
    search = Search(facts, support.CALIBRATION, options or Options())
    return {change.code: change for change in free_changes(search)}


def test_the_advised_context_is_the_longest_with_a_better_status() -> None:
    advised_count = 0
    for facts in support.random_facts(150, seed=8):
        advised = free(facts).get(AdviceCode.LESS_CONTEXT)
        if facts.estimate.status in (Status.FITS, Status.FITS_TIGHTLY) or advised is None:
            assert advised is None
            continue
        now, longest = STATUSES.index(facts.estimate.status), None
        for context in range(least_context_tokens(facts), facts.estimate.context_tokens, CONTEXT_STEP_TOKENS):
            tried = ask(facts, replace(facts.request, context_tokens=context))
            if tried is not None and STATUSES.index(tried.status) < now:
                longest = context
        assert advised.request.context_tokens == longest
        advised_count += 1
    assert advised_count > 0


def test_a_split_by_hand_is_compared_with_the_searched_one() -> None:
    facts = support.facts_of("llama-3.3-70b", "rtx-4090", "q4-k-m")
    request = replace(facts.request, gpu_layers=5)
    forced = ask(facts, request)
    assert forced is not None
    planned = free(replace(facts, request=request, estimate=forced))[AdviceCode.PLANNED_OFFLOAD]
    assert f"-ngl {facts.estimate.placement.gpu_layers}" in planned.message
    assert planned.after == facts.estimate


def test_prompts_are_read_in_larger_steps_where_experts_are_in_system_memory() -> None:
    facts = support.facts_of("qwen3-235b-a22b", "rtx-4090", "iq2-xxs", "rag")
    assert facts.estimate.placement.offload_fraction > 0
    larger = free(facts)[AdviceCode.LARGER_MICRO_BATCH]
    assert larger.request.micro_batch_tokens is not None
    assert larger.request.micro_batch_tokens > 512
    assert larger.gain.ttft_ms is not None
    assert larger.gain.ttft_ms < 0
    fitting = support.facts_of("qwen3-8b", "rtx-4090", "q4-k-m", "rag")
    assert AdviceCode.LARGER_MICRO_BATCH not in free(fitting)


@pytest.mark.parametrize(("gpu", "raised"), [("apple-m4-10c-32gb", True), ("rtx-4090", False)])
def test_the_memory_limit_of_a_mac_is_raised_where_that_helps(gpu: str, raised: bool) -> None:
    device = support.accelerator(gpu)
    raises = 0
    for slug in ("qwen3-30b-a3b", "qwen3-32b", "qwen3-14b", "gemma-3-27b", "gpt-oss-20b"):
        for quant in ("q4-k-m", "q6-k", "q8-0", "f16"):
            facts = support.facts_of(slug, gpu, quant, "chat")
            change = free(facts).get(AdviceCode.WIRED_LIMIT)
            if change is None:
                continue
            limit = change.request.wired_limit_bytes
            assert limit is not None
            assert device.memory_bytes is not None
            assert (usable_bytes(device) or 0) < limit < device.memory_bytes
            assert f"sudo sysctl iogpu.wired_limit_mb={limit // 1024**2}`" in change.message
            assert change.after.memory.usable_bytes == limit
            after = replace(facts, request=change.request, estimate=change.after)
            sets = f"sudo sysctl iogpu.wired_limit_mb={limit // 1024**2}\n"
            assert all(command.text.startswith(sets) for command in commands(after))
            raises += 1
    assert bool(raises) == raised


def test_flash_attention_and_a_quantized_cache_are_advised_only_where_they_help() -> None:
    for facts in support.random_facts(60, seed=4):
        request = replace(facts.request, flash_attention=False)
        answer = ask(facts, request)
        if answer is None:
            continue
        without = replace(facts, request=request, estimate=answer)
        search = Search(without, support.CALIBRATION, Options())
        tried = search.tried(replace(request, flash_attention=None))
        helps = tried is not None and improves(search.present, tried.standing)
        assert (AdviceCode.FLASH_ATTENTION in free(without)) == helps
