"""Texts say what the numbers say, for every kind of fit."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from estimator.advice import changes, explain, questions
from estimator.advice.amounts import duration, gib, pace, tokens
from estimator.advice.breakdown import terms
from estimator.advice.commands import commands
from estimator.advice.explain import LimitCode
from estimator.advice.options import Options
from estimator.advice.questions import QuestionCode
from estimator.placement.layer_sums import model_tables
from estimator.structure.context import context_extension
from estimator.types import OperatingMode, Status
from estimator.usability import USABILITIES
from estimator.verdict import BANDS, word_of
from tests.support import answers as support


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00 GiB"), (3 * 2**30, "3.00 GiB"), (35.2 * 2**30, "35.2 GiB"), (664 * 2**30, "664 GiB")],
)
def test_bytes_read_well(value: float, text: str) -> None:
    assert gib(value) == text


def test_times_paces_and_counts_read_well() -> None:
    assert [duration(duration_ms) for duration_ms in (3.2, 999.4, 999.6, 12_903, 120_000, 900_000)] == [
        "3 ms", "999 ms", "1.0 s", "12.9 s", "120 s", "15 min",
    ]  # fmt: skip
    assert (pace(15.04), pace(123.6), tokens(8_000), tokens(131_072)) == ("15.0 tok/s", "124 tok/s", "8,000", "128K")


def test_the_seed_pairing_has_every_text() -> None:
    facts = support.facts_of("kimi-linear-48b-a3b", support.CATALOG.resolve("gpu", "V100 32GB"), "q4-k-m")
    parts = terms(facts.model, facts.request, support.CALIBRATION, facts.workload)
    assert parts.full_bytes == facts.estimate.memory.total_bytes
    assert explain.headline(facts).startswith("Yes")
    assert "Kimi Linear" in explain.summary(facts, parts)
    assert "free of" in explain.capacity_message(facts, parts, some_quant_runs=True)
    answers = questions.faq(facts, parts, facts, changes.advice(facts, support.CALIBRATION, Options()))
    assert [answer.code for answer in answers] == [*QuestionCode]
    assert all(answer.question.endswith("?") and answer.answer.endswith(".") for answer in answers)


def test_no_text_contradicts_its_numbers() -> None:
    for facts in support.random_facts(250, seed=11):
        parts = terms(facts.model, facts.request, support.CALIBRATION, facts.workload)
        status, memory = facts.estimate.status, facts.estimate.memory
        head, text = explain.headline(facts), explain.summary(facts, parts)
        capacity = explain.capacity_message(facts, parts, some_quant_runs=True)
        limits = {limit.code: limit for limit in explain.limits(facts, parts)}
        words = {"SAB": "Yes", "C": "Yes, slowly: ", "D": "Barely: ", "F": "No: "}
        assert head.startswith(next(word for letters, word in words.items() if facts.estimate.grade in letters))
        assert ("slowly" in head) == (facts.estimate.grade == "C")
        assert ("it runs, but" in head) == (facts.estimate.grade == "F" and facts.runs)
        if "room to spare" in head:
            assert memory.total_bytes <= 0.9 * memory.usable_bytes
        elif head == "Yes: it fits":
            assert memory.total_bytes > 0.9 * memory.usable_bytes
        assert ("Expect" in text) == (facts.estimate.decode is not None) == facts.runs
        if facts.estimate.decode is not None:
            assert pace(facts.estimate.decode.value) in text
        assert ("over what" in capacity) == (parts.over_bytes > 0)
        assert (parts.over_bytes > 0) == (status in (Status.FITS_WITH_OFFLOAD, Status.DOES_NOT_FIT))
        assert bool(commands(facts)) <= facts.runs
        if parts.over_bytes:
            assert next(iter(limits)) is LimitCode.MEMORY_CAPACITY
        else:
            assert parts.full_bytes == memory.total_bytes
        if status is Status.FITS:
            assert LimitCode.MEMORY_CAPACITY not in limits
        if status is not Status.FITS_WITH_OFFLOAD:
            assert "system memory takes" not in " ".join(limit.message for limit in limits.values())
        assert all(0 <= limit.share <= 1 for limit in limits.values())
        for question in questions.faq(facts, parts, facts if facts.runs else None):
            assert not re.search(r"\bnan\b|\binf\b|None tok|\{", question.answer)


def test_a_longer_context_says_what_extends_it() -> None:
    facts = support.facts_of("qwen3-8b", "rtx-4090", "q4-k-m")
    extended = context_extension(support.CATALOG.models["qwen3-8b"])
    facts = replace(facts, context_extension=extended, estimate=replace(facts.estimate, context_tokens=100_000))
    parts = terms(facts.model, facts.request, support.CALIBRATION, facts.workload)
    message = next(limit.message for limit in explain.limits(facts, parts) if limit.code is LimitCode.CONTEXT)
    assert message.startswith("the model was trained for 40,960 tokens, less than the 100,000")
    assert message.endswith("; it takes 131,072 with YaRN of factor 4, which the engine must be told")
    question = next(
        answer.answer for answer in questions.faq(facts, parts, facts) if "How long a context" in answer.question
    )
    assert "it takes 131,072 with YaRN" in question


def test_shares_of_time_add_up() -> None:
    for facts in support.random_facts(200, seed=5):
        parts = terms(facts.model, facts.request, support.CALIBRATION, facts.workload)
        decode = (
            parts.decode_weights, parts.decode_kv_cache, parts.decode_compute, parts.decode_host, parts.decode_fixed,
        )  # fmt: skip
        prefill = (parts.prefill_compute, parts.prefill_weights, parts.prefill_host, parts.prefill_fixed)
        for shares, known in ((decode, facts.estimate.decode), (prefill, facts.estimate.prefill)):
            assert all(share >= 0 for share in shares)
            assert sum(shares) == pytest.approx(0.0 if known is None else 1.0, abs=1e-9)


def test_score_parts_make_the_score() -> None:
    for facts in support.random_facts(300, seed=9):
        bits = float(model_tables(facts.model, (facts.quant,)).bits_per_weight[0])
        divergence = support.CALIBRATION.losses.divergence(facts.model.training, facts.quant, bits)
        parts = explain.score_parts(facts, divergence)
        assert bool(parts) == facts.runs
        total = 100 * sum(part.value * part.weight for part in parts)
        # A score is stated to a hundredth.
        least, most = BANDS[USABILITIES.index(word_of(facts.estimate.score))]
        if facts.estimate.grade in "SAB":
            # What is usable in comfort is never graded below its word.
            assert facts.estimate.score == pytest.approx(max(total, least), abs=0.0051)
        elif parts:
            assert facts.estimate.score == pytest.approx(least + (most - least) * total / 100, abs=0.0051)
        for mode in OperatingMode:
            weights = [part.weight for part in explain.score_parts(facts, divergence, mode)]
            assert not weights or sum(weights) == pytest.approx(1.0)


def test_the_first_step_of_a_setup_that_runs_is_one_that_makes_it_usable() -> None:
    facts = support.facts_of("granite-3.1-8b", "rx-5500-xt-8-gb", "q2-k", "agentic-coding")
    advised = changes.advice(facts, support.CALIBRATION, support.everything(facts.model.slug))
    assert not advised[0].standing.usable
    usable = next(change for change in advised if change.standing.usable)
    step = questions.faq(facts, None, None, advised)[-1]
    assert step.code is QuestionCode.FIRST_STEP
    assert step.values["advice"] == usable.code.value
