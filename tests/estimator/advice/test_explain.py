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
    assert [duration(each) for each in (3.2, 999.4, 999.6, 12_903, 120_000, 900_000)] == [
        "3 ms", "999 ms", "1.0 s", "12.9 s", "120 s", "15 min",
    ]  # fmt: skip
    assert (pace(15.04), pace(123.6), tokens(8_000), tokens(131_072)) == ("15.0 tok/s", "124 tok/s", "8,000", "128K")


def test_the_seed_pairing_has_every_text() -> None:
    one = support.facts_of("kimi-linear-48b-a3b", support.CATALOG.resolve("gpu", "V100 32GB"), "q4-k-m")
    parts = terms(one.model, one.request, support.CALIBRATION, one.workload)
    assert parts.full_bytes == one.estimate.memory.total_bytes
    assert explain.headline(one).startswith("Yes")
    assert "Kimi Linear" in explain.summary(one, parts)
    assert "free of" in explain.capacity_message(one, parts, some_quant_runs=True)
    found = questions.faq(one, parts, one, changes.advice(one, support.CALIBRATION, Options()))
    assert [each.code for each in found] == [*QuestionCode]
    assert all(each.question.endswith("?") and each.answer.endswith(".") for each in found)


def test_no_text_contradicts_its_numbers() -> None:
    for one in support.random_facts(250, seed=11):
        parts = terms(one.model, one.request, support.CALIBRATION, one.workload)
        status, memory = one.estimate.status, one.estimate.memory
        head, text = explain.headline(one), explain.summary(one, parts)
        capacity = explain.capacity_message(one, parts, some_quant_runs=True)
        limits = {limit.code: limit for limit in explain.limits(one, parts)}
        words = {"SAB": "Yes", "C": "Yes, slowly: ", "D": "Barely: ", "F": "No: "}
        assert head.startswith(next(word for letters, word in words.items() if one.estimate.grade in letters))
        assert ("slowly" in head) == (one.estimate.grade == "C")
        assert ("it runs, but" in head) == (one.estimate.grade == "F" and one.runs)
        if "room to spare" in head:
            assert memory.total_bytes <= 0.9 * memory.usable_bytes
        elif head == "Yes: it fits":
            assert memory.total_bytes > 0.9 * memory.usable_bytes
        assert ("Expect" in text) == (one.estimate.decode is not None) == one.runs
        if one.estimate.decode is not None:
            assert pace(one.estimate.decode.value) in text
        assert ("over what" in capacity) == (parts.over_bytes > 0)
        assert (parts.over_bytes > 0) == (status in (Status.FITS_WITH_OFFLOAD, Status.DOES_NOT_FIT))
        assert bool(commands(one)) <= one.runs
        if parts.over_bytes:
            assert next(iter(limits)) is LimitCode.MEMORY_CAPACITY
        else:
            assert parts.full_bytes == memory.total_bytes
        if status is Status.FITS:
            assert LimitCode.MEMORY_CAPACITY not in limits
        if status is not Status.FITS_WITH_OFFLOAD:
            assert "system memory takes" not in " ".join(limit.message for limit in limits.values())
        assert all(0 <= limit.share <= 1 for limit in limits.values())
        for question in questions.faq(one, parts, one if one.runs else None):
            assert not re.search(r"\bnan\b|\binf\b|None tok|\{", question.answer)


def test_a_longer_context_says_what_extends_it() -> None:
    one = support.facts_of("qwen3-8b", "rtx-4090", "q4-k-m")
    extended = context_extension(support.CATALOG.models["qwen3-8b"])
    one = replace(one, context_extension=extended, estimate=replace(one.estimate, context_tokens=100_000))
    parts = terms(one.model, one.request, support.CALIBRATION, one.workload)
    message = next(limit.message for limit in explain.limits(one, parts) if limit.code is LimitCode.CONTEXT)
    assert message.startswith("the model was trained for 40,960 tokens, less than the 100,000")
    assert message.endswith("; it takes 131,072 with YaRN of factor 4, which the engine must be told")
    question = next(each.answer for each in questions.faq(one, parts, one) if "How long a context" in each.question)
    assert "it takes 131,072 with YaRN" in question


def test_shares_of_time_add_up() -> None:
    for one in support.random_facts(200, seed=5):
        parts = terms(one.model, one.request, support.CALIBRATION, one.workload)
        decode = (
            parts.decode_weights, parts.decode_kv_cache, parts.decode_compute, parts.decode_host, parts.decode_fixed,
        )  # fmt: skip
        prefill = (parts.prefill_compute, parts.prefill_weights, parts.prefill_host, parts.prefill_fixed)
        for shares, known in ((decode, one.estimate.decode), (prefill, one.estimate.prefill)):
            assert all(share >= 0 for share in shares)
            assert sum(shares) == pytest.approx(0.0 if known is None else 1.0, abs=1e-9)


def test_score_parts_make_the_score() -> None:
    for one in support.random_facts(300, seed=9):
        bits = float(model_tables(one.model, (one.quant,)).bits_per_weight[0])
        divergence = support.CALIBRATION.losses.divergence(one.model.training, one.quant, bits)
        parts = explain.score_parts(one, divergence)
        assert bool(parts) == one.runs
        total = 100 * sum(part.value * part.weight for part in parts)
        # A score is stated to a hundredth.
        if one.estimate.grade in "SAB":
            assert one.estimate.score == pytest.approx(total, abs=0.0051)
        elif parts:
            least, most = BANDS[USABILITIES.index(word_of(one.estimate.score))]
            assert one.estimate.score == pytest.approx(least + (most - least) * total / 100, abs=0.0051)
        for mode in OperatingMode:
            weights = [part.weight for part in explain.score_parts(one, divergence, mode)]
            assert not weights or sum(weights) == pytest.approx(1.0)


def test_the_first_step_of_a_setup_that_runs_is_one_that_makes_it_usable() -> None:
    one = support.facts_of("granite-3.1-8b", "rx-5500-xt-8-gb", "q2-k", "agentic-coding")
    found = changes.advice(one, support.CALIBRATION, support.everything(one.model.slug))
    assert not found[0].standing.usable
    usable = next(each for each in found if each.standing.usable)
    step = questions.faq(one, None, None, found)[-1]
    assert step.code is QuestionCode.FIRST_STEP
    assert step.values["advice"] == usable.code.value
