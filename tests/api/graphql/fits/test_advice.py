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
    setups: list[FitFacts] = []
    while len(setups) < count:
        facts = next(iter(support.random_facts(1, seed=pick.randrange(2**31))))
        cards = 1 if facts.accelerator.unified_memory or facts.accelerator.kind == "cpu" else pick.choice((1, 1, 2, 4))
        request = replace(facts.request, gpu_count=cards, host=pick.choice(HOSTS))
        try:
            answer = estimate(facts.model, request, support.CALIBRATION, facts.workload)
        except EstimatorError:
            continue
        setups.append(replace(facts, request=request, estimate=answer))
    return setups


def check(facts: FitFacts, item: Advice, question: dict[str, Any]) -> None:
    before, after = facts.estimate, ANSWERER.answer(question).estimate
    assert after.status is item.gain.status_after, (question, item.message)
    assert after.score - before.score == pytest.approx(item.gain.score, abs=1e-4), (question, item.message)
    if item.code is AdviceCode.NOTHING_NEEDED:
        return
    _, _, effect = item.message.partition(": ")
    effects = effect.split(", ")
    assert any(part.startswith(f"grade {after.grade}") for part in effects), (question, item.message, after.grade)
    if after.decode is not None:
        assert any(part.startswith(pace(after.decode.value)) for part in effects), (question, item.message)
    free = [part for part in effects if part.endswith(" free")]
    if free:
        assert free == [f"{gib(after.memory.usable_bytes - after.memory.total_bytes)} free"], (question, item.message)


def test_every_advised_change_is_answered_with_its_promise() -> None:
    counts: dict[AdviceCode, int] = {}
    several = hosts = 0
    known = support.facts_of("qwen3-235b-a22b", "rtx-4090", "q2-k", "reasoning")
    for facts in (known, *starts(16, seed=41)):
        for item in advice(facts, support.CALIBRATION, support.everything(facts.model.slug)):
            check(facts, item, question_of(facts, item.request, item.model))
            counts[item.code] = counts.get(item.code, 0) + 1
            several += item.request.gpu_count > 1
            hosts += item.code is AdviceCode.MORE_HOST_MEMORY
    assert len(counts) >= 6
    assert several > 5
    assert hosts > 0


def test_cards_listed_one_by_one_are_answered_as_their_count() -> None:
    checked = 0
    for facts in starts(16, seed=43):
        for item in advice(facts, support.CALIBRATION, support.everything(facts.model.slug)):
            if item.request.gpu_count < 2:
                continue
            question = question_of(facts, item.request, item.model)
            question["gpus"] = [question.pop("gpu")] * question.pop("gpu_count")
            check(facts, item, question)
            checked += 1
    assert checked > 5
