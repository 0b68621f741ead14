"""Advice that a person follows: each advised change, asked as a question, is answered with what was promised."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from api.answers.questions import Answerer
from db.entries import specs
from estimator.advice.amounts import gib, pace
from estimator.advice.changes import advice
from estimator.advice.search import Advice, AdviceCode
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts
from estimator.structure.architecture import ModelArchitecture
from estimator.types import EstimateRequest, EstimatorError
from tests.support import answers as support

HOSTS = tuple(specs.host(entry) for entry in support.CATALOG.hosts.values())
ANSWERER = Answerer(support.CATALOG, support.CALIBRATION)


def question_of(facts: FitFacts, request: EstimateRequest, model: ModelArchitecture) -> dict[str, Any]:
    """The request as a person asks it, by names."""
    limit = request.wired_limit_bytes
    assert request.host is not None
    assert facts.workload is not None
    asked: dict[str, Any] = {
        "model": model.slug,
        "gpu": request.accelerator.slug,
        "gpu_count": request.gpu_count,
        "quant": request.quant.slug,
        "host": request.host.slug,
        "host_memory_gb": request.host.memory_bytes / 1024**3,
        "micro_batch": request.micro_batch_tokens,
        "wired_limit_mb": None if limit is None else limit // 1024**2,
        "workload": facts.workload.slug.upper().replace("-", "_"),
        "context_tokens": request.context_tokens,
        "gpu_layers": request.gpu_layers,
        "cpu_moe_layers": request.cpu_moe_layers,
        "kv_cache_type": request.kv_cache_type.value.upper() if request.kv_cache_type else None,
    }
    return {key: value for key, value in asked.items() if value is not None}


def starts(count: int, seed: int) -> list[FitFacts]:
    """Random setups of one to four cards with memory of their own, and computers of every size."""
    pick = random.Random(seed)
    found: list[FitFacts] = []
    while len(found) < count:
        one = next(iter(support.random_facts(1, seed=pick.randrange(2**31))))
        cards = 1 if one.accelerator.unified_memory or one.accelerator.kind == "cpu" else pick.choice((1, 1, 2, 4))
        request = replace(one.request, gpu_count=cards, host=pick.choice(HOSTS))
        try:
            answer = estimate(one.model, request, support.CALIBRATION, one.workload)
        except EstimatorError:
            continue
        found.append(replace(one, request=request, estimate=answer))
    return found


def check(facts: FitFacts, each: Advice, question: dict[str, Any]) -> None:
    before, after = facts.estimate, ANSWERER.answer(question).estimate
    assert after.status is each.gain.status_after, (question, each.message)
    assert after.score - before.score == pytest.approx(each.gain.score, abs=1e-4), (question, each.message)
    if each.code is AdviceCode.NOTHING_NEEDED:
        return
    _, _, effect = each.message.partition(": ")
    told = effect.split(", ")
    assert any(part.startswith(f"grade {after.grade}") for part in told), (question, each.message, after.grade)
    if after.decode is not None:
        assert any(part.startswith(pace(after.decode.value)) for part in told), (question, each.message)
    free = [part for part in told if part.endswith(" free")]
    if free:
        assert free == [f"{gib(after.memory.usable_bytes - after.memory.total_bytes)} free"], (question, each.message)


def test_every_advised_change_is_answered_with_its_promise() -> None:
    seen: dict[AdviceCode, int] = {}
    several = hosts = 0
    known = support.facts_of("qwen3-235b-a22b", "rtx-4090", "q2-k", "reasoning")
    for one in (known, *starts(16, seed=41)):
        for each in advice(one, support.CALIBRATION, support.everything(one.model.slug)):
            check(one, each, question_of(one, each.request, each.model))
            seen[each.code] = seen.get(each.code, 0) + 1
            several += each.request.gpu_count > 1
            hosts += each.code is AdviceCode.MORE_HOST_MEMORY
    assert len(seen) >= 6
    assert several > 5
    assert hosts > 0


def test_cards_listed_one_by_one_are_answered_as_their_count() -> None:
    checked = 0
    for one in starts(16, seed=43):
        for each in advice(one, support.CALIBRATION, support.everything(one.model.slug)):
            if each.request.gpu_count < 2:
                continue
            question = question_of(one, each.request, each.model)
            question["gpus"] = [question.pop("gpu")] * question.pop("gpu_count")
            check(one, each, question)
            checked += 1
    assert checked > 5
