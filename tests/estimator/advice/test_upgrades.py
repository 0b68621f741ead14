"""Hardware that fits the class of the machine, is worth its price, and keeps to a buyer's limits."""

from __future__ import annotations

from dataclasses import replace

from estimator.advice.gains import SWITCHING_POINTS, improves, meets_use
from estimator.advice.options import Options
from estimator.advice.search import AdviceCode, Search
from estimator.advice.upgrades import UpgradeGoal, hardware, upgrades
from estimator.types import Engine, Status
from estimator.usability import comfortable_seconds
from tests.estimator.advice.test_changes import ask
from tests.support import answers as support

_CARDS = {"consumer", "workstation"}
#: Kinds that may be advised in place of each kind.
IN_PLACE_OF = {
    **dict.fromkeys(_CARDS, _CARDS),
    "soc": {"soc"},
    "laptop": {"laptop", "soc", "integrated"},
    "integrated": {"laptop", "soc", "integrated"},
    "datacenter": {*_CARDS, "datacenter"},
    "cpu": {*_CARDS, "cpu"},
}


def hardware_only() -> Options:
    return Options(accelerators=support.everything().accelerators)


def test_only_what_fits_the_class_of_the_machine_is_advised() -> None:
    """A sixth of the accelerators of the catalog, with a model that asks for more than most of them have."""
    assert {support.accelerator(slug).kind for slug in support.GPUS} == set(IN_PLACE_OF)
    named = dict.fromkeys(IN_PLACE_OF, 0)
    for slug in support.GPUS[::6]:
        present = support.accelerator(slug)
        quant = "q4-k-m" if Engine.LLAMA_CPP in present.engines else "bf16-safetensors"
        facts = support.facts_of("qwen3-32b", slug, quant, "chat")
        for change in hardware(Search(facts, support.CALIBRATION, hardware_only())):
            if change.code is AdviceCode.GPU_UPGRADE:
                assert change.request.accelerator.kind in IN_PLACE_OF[present.kind], (slug, change.message)
                named[present.kind] += 1
            if change.code is AdviceCode.SECOND_GPU:
                assert present.kind in {*_CARDS, "datacenter"}, slug
    assert min(named[kind] for kind in ("consumer", "workstation", "laptop", "soc", "datacenter", "cpu")) > 0, named


def test_upgrades_are_the_best_of_all_one_by_one() -> None:
    checked = 0
    for facts in support.random_facts(10, seed=15):
        if meets_use(facts, facts.estimate):
            continue
        search = Search(facts, support.CALIBRATION, hardware_only())
        best_of = upgrades(search)
        good = []
        for device in search.options.accelerators:
            if device.slug == facts.accelerator.slug or device.memory_bytes is None:
                continue
            if device.kind not in IN_PLACE_OF[facts.accelerator.kind]:
                continue
            request = replace(facts.request, accelerator=device)
            tried = ask(facts, request)
            if tried is None or tried.status not in (Status.FITS, Status.FITS_TIGHTLY):
                continue
            after = search.standing(request, tried)
            seconds = replace(facts, request=request, estimate=tried).answer_seconds(search.use)
            if seconds <= 1.4 * comfortable_seconds(search.use) and improves(search.present, after, SWITCHING_POINTS):
                good.append(device)
        prices = [device.msrp_usd for device in good if device.msrp_usd is not None]
        powers = [device.tdp_w for device in good if device.tdp_w is not None]
        own = [device.memory_bytes or 0 for device in good if device.vendor == facts.accelerator.vendor]
        assert (UpgradeGoal.CHEAPEST in best_of) == bool(prices)
        assert (UpgradeGoal.LEAST_POWER in best_of) == bool(powers)
        assert (UpgradeGoal.SAME_VENDOR in best_of) == bool(own)
        if prices:
            assert best_of[UpgradeGoal.CHEAPEST][0].msrp_usd == min(prices)
        if powers:
            assert best_of[UpgradeGoal.LEAST_POWER][0].tdp_w == min(powers)
        if own:
            assert best_of[UpgradeGoal.SAME_VENDOR][0].memory_bytes == min(own)
        checked += bool(good)
    assert checked > 1


def test_a_buyers_limits_hold() -> None:
    options = replace(hardware_only(), budget_usd=1200.0, max_power_w=300.0)
    bought = 0
    for facts in support.random_facts(60, seed=17):
        for change in hardware(Search(facts, support.CALIBRATION, options)):
            device = change.request.accelerator
            if change.code in (AdviceCode.GPU_UPGRADE, AdviceCode.SECOND_GPU):
                assert device.msrp_usd is not None
                assert device.msrp_usd <= 1200
                bought += 1
            if change.code is AdviceCode.GPU_UPGRADE:
                assert device.tdp_w is not None
                assert device.tdp_w <= 300
    assert bought > 0


def test_more_system_memory_is_the_least_that_helps() -> None:
    advised_count = 0
    for facts in support.random_facts(80, seed=23):
        for change in hardware(Search(facts, support.CALIBRATION, Options())):
            if change.code is not AdviceCode.MORE_HOST_MEMORY:
                continue
            host, present = change.request.host, facts.request.host
            assert host is not None
            assert present is not None
            assert host == replace(present, memory_bytes=host.memory_bytes)
            assert host.memory_bytes > present.memory_bytes
            assert not facts.accelerator.unified_memory
            advised_count += 1
    assert advised_count > 0
