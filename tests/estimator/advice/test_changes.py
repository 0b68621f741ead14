"""Advice: every promised gain is what an estimate of the changed setup gives, and no alternative was missed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.advice.changes import CONTEXT_STEP_TOKENS, Advice, AdviceCode, advice, best_quant, least_context_tokens
from estimator.advice.gains import headroom, improves, meets_use, worth_buying
from estimator.advice.upgrades import Options, UpgradeGoal, upgrades
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts
from estimator.types import STATUSES, Estimate, EstimateRequest, EstimatorError, Status
from tests.support import answers as support


def ask(facts: FitFacts, request: EstimateRequest) -> Estimate | None:
    try:
        return estimate(facts.model, request, support.CALIBRATION, facts.workload)
    except EstimatorError:
        return None


def found_for(facts: FitFacts, options: Options | None = None) -> tuple[Advice, ...]:
    return advice(facts, support.CALIBRATION, options or support.everything())


def test_every_promise_is_kept_by_an_estimate_of_the_changed_setup() -> None:
    kinds = set()
    for one in support.random_facts(150, seed=21):
        for each in found_for(one):
            kinds.add(each.code)
            again = ask(one, each.request)
            assert again is not None
            assert again.status is each.gain.status_after
            assert again.score - one.estimate.score == pytest.approx(each.gain.score, abs=1e-4)
            assert headroom(again) - headroom(one.estimate) == each.gain.headroom_bytes
            if each.gain.decode_tok_s is not None:
                assert again.decode is not None
                assert one.estimate.decode is not None
                change = again.decode.value - one.estimate.decode.value
                assert change == pytest.approx(each.gain.decode_tok_s, rel=1e-5, abs=1e-4)
            if each.code not in (AdviceCode.NOTHING_NEEDED, AdviceCode.LESS_CONTEXT):
                assert improves(one.estimate, again)
    assert kinds >= {
        AdviceCode.OTHER_QUANT,
        AdviceCode.QUANTIZED_KV_CACHE,
        AdviceCode.LESS_CONTEXT,
        AdviceCode.MORE_HOST_MEMORY,
        AdviceCode.SECOND_GPU,
        AdviceCode.GPU_UPGRADE,
        AdviceCode.NOTHING_NEEDED,
    }


def test_the_best_quant_is_the_best_of_all_one_by_one() -> None:
    quants = support.everything().quants
    for one in support.random_facts(60, seed=3):
        answers = [(quant, ask(one, replace(one.request, quant=quant))) for quant in quants]
        running = [(quant, each) for quant, each in answers if each is not None and each.decode is not None]
        found = best_quant(one, support.CALIBRATION, quants)
        assert (found is None) == (not running)
        if found is not None:
            assert found[1].score == pytest.approx(max(each.score for _, each in running), abs=1e-4)
            advised = [each for each in found_for(one) if each.code is AdviceCode.OTHER_QUANT]
            if found[0].slug == one.quant.slug:
                assert not advised


def test_the_advised_context_is_the_longest_with_a_better_status() -> None:
    seen = 0
    for one in support.random_facts(400, seed=8):
        advised = [each for each in found_for(one, Options()) if each.code is AdviceCode.LESS_CONTEXT]
        if one.estimate.status is Status.FITS:
            assert not advised
            continue
        now = STATUSES.index(one.estimate.status)
        longest = None
        for context in range(least_context_tokens(one), one.estimate.context_tokens, CONTEXT_STEP_TOKENS):
            tried = ask(one, replace(one.request, context_tokens=context))
            if tried is not None and STATUSES.index(tried.status) < now:
                longest = context
        assert [each.request.context_tokens for each in advised] == ([longest] if longest else [])
        seen += bool(advised)
    assert seen > 5


_CARDS = {"consumer", "workstation"}
_BUILT_IN = {"laptop", "soc", "integrated"}
#: Kinds that may be advised in place of each kind.
IN_PLACE_OF = {
    **dict.fromkeys(_CARDS, _CARDS),
    **dict.fromkeys(_BUILT_IN, _CARDS | _BUILT_IN),
    "datacenter": {*_CARDS, "datacenter"},
    "cpu": {*_CARDS, "cpu"},
}


def test_only_what_can_be_put_there_or_bought_is_advised() -> None:
    """Every accelerator of the catalog once, with a model that asks for more than most of them have."""
    assert {support.accelerator(slug).kind for slug in support.GPUS} == set(IN_PLACE_OF)
    named = dict.fromkeys(IN_PLACE_OF, 0)
    for slug in support.GPUS:
        present = support.accelerator(slug)
        one = support.facts_of("qwen3-32b", slug, "q4-k-m", "coding")
        for each in found_for(one):
            if each.code is AdviceCode.GPU_UPGRADE:
                assert each.request.accelerator.kind in IN_PLACE_OF[present.kind], (slug, each.message)
                named[present.kind] += 1
            if each.code is AdviceCode.SECOND_GPU:
                assert present.kind in {*_CARDS, "datacenter"}, slug
    assert min(named[kind] for kind in ("consumer", "workstation", "laptop", "soc", "datacenter", "cpu")) > 0, named


def test_upgrades_are_the_best_of_all_one_by_one() -> None:
    devices = support.everything().accelerators
    checked = 0
    for one in support.random_facts(30, seed=13):
        if meets_use(one, one.estimate):
            continue
        found = upgrades(one, support.CALIBRATION, support.everything())
        good = []
        for device in devices:
            if device.slug == one.accelerator.slug or device.memory_bytes is None:
                continue
            if device.kind not in IN_PLACE_OF[one.accelerator.kind]:
                continue
            tried = ask(one, replace(one.request, accelerator=device))
            if tried is not None and meets_use(one, tried) and worth_buying(one.estimate, tried):
                good.append(device)
        prices = [device.msrp_usd for device in good if device.msrp_usd is not None]
        powers = [device.tdp_w for device in good if device.tdp_w is not None]
        own = [device.memory_bytes for device in good if device.vendor == one.accelerator.vendor]
        assert (UpgradeGoal.CHEAPEST in found) == bool(prices)
        assert (UpgradeGoal.LEAST_POWER in found) == bool(powers)
        assert (UpgradeGoal.SAME_VENDOR in found) == bool(own)
        if prices:
            assert found[UpgradeGoal.CHEAPEST][0].msrp_usd == min(prices)
        if powers:
            assert found[UpgradeGoal.LEAST_POWER][0].tdp_w == min(powers)
        if own:
            assert found[UpgradeGoal.SAME_VENDOR][0].memory_bytes == min(own)
        checked += bool(good)
    assert checked > 5


def test_no_accelerator_is_advised_for_a_few_points() -> None:
    for one in support.random_facts(120, seed=19):
        for each in found_for(one, support.everything()):
            bought = each.code in (AdviceCode.GPU_UPGRADE, AdviceCode.SECOND_GPU)
            if bought and one.estimate.status in (Status.FITS, Status.FITS_TIGHTLY):
                assert each.gain.score >= 5.0, each.message


def test_a_buyers_limits_hold() -> None:
    everything = support.everything()
    options = Options(accelerators=everything.accelerators, budget_usd=1200.0, max_power_w=300.0)
    for one in support.random_facts(120, seed=17):
        for each in found_for(one, options):
            device = each.request.accelerator
            if each.code is AdviceCode.GPU_UPGRADE:
                assert device.msrp_usd is not None
                assert device.tdp_w is not None
                assert device.msrp_usd <= 1200
                assert device.tdp_w <= 300
            if each.code is AdviceCode.SECOND_GPU:
                assert device.msrp_usd is not None
                assert device.msrp_usd <= 1200


def test_a_split_by_hand_is_compared_with_the_searched_one() -> None:
    one = support.facts_of("llama-3.3-70b", "rtx-4090", "q4-k-m")
    request = replace(one.request, gpu_layers=5)
    forced = ask(one, request)
    assert forced is not None
    found = found_for(replace(one, request=request, estimate=forced), Options())
    planned = [each for each in found if each.code is AdviceCode.PLANNED_OFFLOAD]
    assert len(planned) == 1
    assert f"-ngl {one.estimate.placement.gpu_layers}" in planned[0].message
    assert planned[0].after == one.estimate


def test_nothing_is_needed_where_everything_is_met() -> None:
    one = support.facts_of("qwen3-8b", "rtx-5090", "q8-0", "chat")
    own = found_for(one, Options(quants=(one.quant,), accelerators=support.everything().accelerators))
    assert [each.code for each in own] == [AdviceCode.NOTHING_NEEDED]
    assert meets_use(one, one.estimate)


def test_order_is_by_what_runs_then_by_score() -> None:
    for one in support.random_facts(80, seed=29):
        scores = [round(each.after.score, 1) for each in found_for(one)]
        assert scores == sorted(scores, reverse=True)
