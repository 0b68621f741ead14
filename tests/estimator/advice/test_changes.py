"""Advice: every promised gain is what an estimate of the changed setup gives, and nothing is worse after it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from estimator.advice.changes import advice
from estimator.advice.gains import NOTICEABLE_POINTS, SWITCHING_POINTS, headroom, improves, meets_use
from estimator.advice.options import Options
from estimator.advice.search import Advice, AdviceCode, Search
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import has_weights
from estimator.types import STATUSES, Estimate, EstimateRequest, EstimatorError, Status
from tests.support import answers as support

FREE = (
    AdviceCode.FLASH_ATTENTION, AdviceCode.PLANNED_OFFLOAD, AdviceCode.LARGER_MICRO_BATCH,
    AdviceCode.QUANTIZED_KV_CACHE, AdviceCode.WIRED_LIMIT, AdviceCode.OTHER_QUANT, AdviceCode.LESS_CONTEXT,
)  # fmt: skip
HARDWARE = (AdviceCode.MORE_HOST_MEMORY, AdviceCode.SECOND_GPU, AdviceCode.GPU_UPGRADE)


def ask(facts: FitFacts, request: EstimateRequest, model: ModelArchitecture | None = None) -> Estimate | None:
    try:
        return estimate(model or facts.model, request, support.CALIBRATION, facts.workload)
    except EstimatorError:
        return None


def found_for(facts: FitFacts, options: Options | None = None) -> tuple[Advice, ...]:
    return advice(facts, support.CALIBRATION, options or support.everything(facts.model.slug))


#: Setups that among them have nearly every kind of advice, and what a user fixed of each.
KNOWN: tuple[tuple[tuple[str, str, str, str], dict[str, int]], ...] = (
    (("qwen3-235b-a22b", "rtx-4090", "q2-k", "reasoning"), {}),
    (("qwen3-235b-a22b", "rtx-4090", "iq2-xxs", "rag"), {}),
    (("qwen3.8-27b", "rtx-5090", "q6-k", "chat"), {}),
    (("qwen3-30b-a3b", "rtx-4090", "q8-0", "coding"), {"gpu_layers": 4}),
)


@pytest.fixture(scope="module")
def advised() -> list[tuple[FitFacts, tuple[Advice, ...]]]:
    """Advice of known setups and of random ones: pairings of the catalog, some with settings that a user fixed."""
    pick = random.Random(21)
    setups = []
    asked: list[tuple[FitFacts, dict[str, int]]] = [(support.facts_of(*slugs), fixed) for slugs, fixed in KNOWN]
    choices: tuple[dict[str, int], ...] = (
        {}, {}, {"flash_attention": False}, {"gpu_layers": 3}, {"context_tokens": 48_000},
    )  # fmt: skip
    asked += [(facts, pick.choice(choices)) for facts in support.random_facts(24, seed=21)]
    for facts, changed in asked:
        request = replace(facts.request, **changed)
        answer = ask(facts, request)
        if answer is not None:
            facts = replace(facts, request=request, estimate=answer)
        setups.append((facts, found_for(facts)))
    return setups


def test_every_promise_is_kept_by_an_estimate_of_the_changed_setup(
    advised: list[tuple[FitFacts, tuple[Advice, ...]]],
) -> None:
    kinds = set()
    for facts, changes in advised:
        for advised_change in changes:
            kinds.add(advised_change.code)
            again = ask(facts, advised_change.request, advised_change.model)
            assert again is not None
            assert again.status is advised_change.gain.status_after
            assert again.score - facts.estimate.score == pytest.approx(advised_change.gain.score, abs=1e-4)
            assert headroom(again) - headroom(facts.estimate) == advised_change.gain.headroom_bytes
            if advised_change.gain.decode_tok_s is not None:
                assert again.decode is not None
                assert facts.estimate.decode is not None
                change = again.decode.value - facts.estimate.decode.value
                assert change == pytest.approx(advised_change.gain.decode_tok_s, rel=1e-5, abs=1e-4)
    assert kinds >= {
        *FREE[1:4], AdviceCode.OTHER_QUANT, AdviceCode.LESS_CONTEXT, AdviceCode.OTHER_MODEL, *HARDWARE,
        AdviceCode.NOTHING_NEEDED,
    }  # fmt: skip


def test_no_change_makes_a_setup_worse_or_gains_less_than_one_notices(
    advised: list[tuple[FitFacts, tuple[Advice, ...]]],
) -> None:
    for facts, changes in advised:
        before = Search(facts, support.CALIBRATION, support.everything(facts.model.slug)).present
        for change in changes:
            if change.code is AdviceCode.NOTHING_NEEDED:
                assert len(changes) == 1
                continue
            least = NOTICEABLE_POINTS if change.code in FREE else SWITCHING_POINTS
            assert change.standing.runs
            assert change.standing.usable >= before.usable
            if before.usable or (before.runs and not change.standing.usable):
                assert change.gain.rating_points is not None
                assert change.gain.rating_points >= least, change.message
                assert change.standing.worth_points >= before.worth_points - SWITCHING_POINTS


def test_what_is_free_comes_first_and_hardware_last(advised: list[tuple[FitFacts, tuple[Advice, ...]]]) -> None:
    groups = [FREE, (AdviceCode.OTHER_MODEL,), (*HARDWARE, AdviceCode.NOTHING_NEEDED)]
    for _, changes in advised:
        order = [next(g for g, codes in enumerate(groups) if change.code in codes) for change in changes]
        assert order == sorted(order)
        for g in range(len(groups)):
            own = [change.standing for change, at in zip(changes, order, strict=True) if at == g]
            assert own == sorted(own, key=lambda standing: (not standing.usable, -round(standing.rating_points, 2)))


def test_nothing_is_advised_against_the_verdict(advised: list[tuple[FitFacts, tuple[Advice, ...]]]) -> None:
    for facts, changes in advised:
        if meets_use(facts, facts.estimate):
            assert not [change for change in changes if change.code in HARDWARE]
        elif changes and changes[0].code is AdviceCode.NOTHING_NEEDED:
            assert "comfortably" not in changes[0].message


def test_nothing_is_needed_where_everything_is_met() -> None:
    facts = support.facts_of("qwen3-8b", "rtx-5090", "q8-0", "chat")
    own = found_for(facts, Options(quants=(facts.quant,), accelerators=support.everything().accelerators))
    assert [change.code for change in own] == [AdviceCode.NOTHING_NEEDED]
    assert meets_use(facts, facts.estimate)


def test_a_smaller_model_is_advised_where_the_present_one_is_too_slow() -> None:
    facts = support.facts_of("llama-3.3-70b", "rtx-4090", "f16", "coding")
    (other,) = [change for change in found_for(facts) if change.code is AdviceCode.OTHER_MODEL]
    assert support.TRAITS[other.model.slug].total_b < support.TRAITS[facts.model.slug].total_b
    assert other.standing.usable


def test_the_other_model_is_the_best_of_all() -> None:
    """Against the worth of every model in every quantization, without the bounds that spare most of them."""
    facts = support.facts_of("llama-3.1-8b", "apple-m4-10c-16gb", "f16", "chat")
    search = Search(facts, support.CALIBRATION, support.everything(facts.model.slug))
    best = 0.0
    for candidate in support.pool().models:
        quants = [quant for quant in support.pool().quants if has_weights(quant, candidate.architecture())]
        tried = search.best_quant_of(candidate, quants)
        if tried is not None and tried.standing.usable and candidate.traits.slug != facts.model.slug:
            best = max(best, tried.standing.rating_points)
    (other,) = [change for change in found_for(facts) if change.code is AdviceCode.OTHER_MODEL]
    assert other.standing.rating_points == pytest.approx(best)


def test_the_present_quant_is_kept_unless_another_is_noticeably_better() -> None:
    quants = support.everything().quants
    for facts in support.random_facts(12, seed=3):
        search = Search(facts, support.CALIBRATION, support.everything(facts.model.slug))
        answers = [ask(facts, replace(facts.request, quant=quant)) for quant in quants]
        best = search.best_quant(quants)
        assert (best is None) == (not any(answer is not None and answer.decode is not None for answer in answers))
        if best is not None and not improves(search.present, best.standing):
            assert not [change for change in found_for(facts) if change.code is AdviceCode.OTHER_QUANT]


def test_status_is_never_worse_than_before_for_the_same_model(
    advised: list[tuple[FitFacts, tuple[Advice, ...]]],
) -> None:
    for facts, changes in advised:
        for change in changes:
            if change.code in (*FREE, *HARDWARE) and facts.estimate.status is Status.DOES_NOT_FIT:
                assert STATUSES.index(change.after.status) < STATUSES.index(Status.DOES_NOT_FIT)
