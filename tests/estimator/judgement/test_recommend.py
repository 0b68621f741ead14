"""Recommendations equal what a plain loop over all choices finds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from estimator import verdict
from estimator.grid import FitBlock, evaluate_block
from estimator.judgement.recommend import (
    Aim,
    Buyer,
    Target,
    best_devices,
    mode_scores,
    rank_models,
    smallest_setups,
    tiers,
    upgrade_gains,
)
from estimator.types import STATUSES, OperatingMode, Status
from tests.support import answers as support

OPTIONS = support.everything()
WORKLOADS = tuple(map(support.workload, support.WORKLOADS))
_RUNNING = [STATUSES.index(status) for status in (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)]


def block_of(model: str) -> FitBlock:
    return evaluate_block(
        support.architecture(model),
        OPTIONS.accelerators,
        OPTIONS.quants,
        WORKLOADS,
        support.ALL_HOSTS,
        support.CALIBRATION,
    )


def cells(block: FitBlock, g: int, w: int) -> list[int]:
    """Quants that run there: those with known weights, or all where none of them has any."""
    running = [q for q in range(len(OPTIONS.quants)) if block.available[g, q] and block.status[g, q, w] in _RUNNING]
    return [q for q in running if block.has_weights[q]] or running


def test_modes_rank_and_never_change_what_runs() -> None:
    block = block_of("llama-3.1-8b")
    for mode in OperatingMode:
        scores = mode_scores(block, WORKLOADS, mode)
        running = np.isin(block.status, _RUNNING) & block.available[:, :, None]
        assert ((scores > 0) <= running).all()


@pytest.mark.parametrize("aim", list(Aim))
def test_best_devices_equal_brute_force(aim: Aim) -> None:
    pick = random.Random(6)
    for _ in range(6):
        block = block_of(pick.choice(support.MODELS))
        w = pick.randrange(len(WORKLOADS))
        scores = mode_scores(block, WORKLOADS, OperatingMode.BALANCED)
        buyer = Buyer(budget_usd=pick.choice([None, 600.0, 2500.0]), max_power_w=pick.choice([None, 350.0]))
        target = Target(decode_tok_s=pick.choice([None, 20.0]), context_tokens=pick.choice([None, 16_000]))
        best: dict[int, float] = {}
        for g, device in enumerate(OPTIONS.accelerators):
            if buyer.budget_usd is not None and (device.msrp_usd or 1e9) > buyer.budget_usd:
                continue
            if buyer.max_power_w is not None and (device.tdp_w or 1e9) > buyer.max_power_w:
                continue
            for q in cells(block, g, w):
                if target.decode_tok_s is not None and block.decode_tok_s[g, q, w] < target.decode_tok_s:
                    continue
                if target.context_tokens is not None and block.safe_context_tokens[g, q, w] < target.context_tokens:
                    continue
                speed = float(block.decode_tok_s[g, q, w])
                if (aim is Aim.CHEAPEST and device.msrp_usd is None) or (aim is Aim.EFFICIENT and device.tdp_w is None):
                    continue
                value = {
                    Aim.SCORE: float(scores[g, q, w]),
                    Aim.FASTEST: speed,
                    Aim.CHEAPEST: -(device.msrp_usd or 0.0),
                    Aim.EFFICIENT: speed / (device.tdp_w or 1.0),
                }[aim]
                best[g] = max(best.get(g, -1e18), value)
        found = best_devices(block, scores, w, OPTIONS.accelerators, aim, buyer, target)
        assert {one.gpu for one in found} == set(best)
        values = [best[one.gpu] for one in found]
        assert values == pytest.approx(sorted(values, reverse=True))


def test_the_smallest_setup_reaches_its_target_with_the_fewest_cards() -> None:
    from estimator.estimate import sweep
    from estimator.fit_facts import request_of

    model = support.architecture("llama-3.3-70b")
    use = support.workload("chat")
    slugs = ["rtx-3090", "rtx-4090", "rtx-5090", "h100-sxm5-80-gb", "rtx-3060-12-gb", "rtx-4090-laptop"]
    devices = tuple(map(support.accelerator, slugs))
    request = request_of(OPTIONS.quants[0], devices[0], support.HOST)
    blocks = {}
    for count in (1, 2, 4):
        from dataclasses import replace

        blocks[count] = sweep(
            model, replace(request, gpu_count=count), devices, OPTIONS.quants, support.CALIBRATION, use
        )
    target = Target(decode_tok_s=8.0)
    known = [device.msrp_usd for device in devices]
    found = smallest_setups(blocks, 0, devices, target, prices=known, most=[4] * 6)
    most = [1] * 5 + [4]
    few = {one.gpu for one in smallest_setups(blocks, 0, devices, target, prices=known, most=most)}
    assert few == {one.gpu for one in found if one.count <= most[one.gpu]}
    assert len(few) < len(found)
    assert found
    laptop = slugs.index("rtx-4090-laptop")
    several = blocks[4].status[laptop, :, 0] <= _RUNNING[1]
    assert (several & blocks[4].available[laptop]).any(), "the laptop's chip would do if there were four of it"
    assert laptop not in {one.gpu for one in found}
    for one in found:
        block = blocks[one.count]
        assert block.status[one.gpu, one.quant, 0] in _RUNNING[:2]
        assert block.decode_tok_s[one.gpu, one.quant, 0] >= 8.0
        for count in blocks:
            if count < one.count:
                smaller = blocks[count]
                good = (smaller.status[one.gpu, :, 0] <= _RUNNING[1]) & (smaller.decode_tok_s[one.gpu, :, 0] >= 8.0)
                assert not (good & smaller.available[one.gpu]).any()
    prices = [one.price_usd for one in found if one.price_usd is not None]
    assert prices == sorted(prices)

    def even(count: int, g: int, q: int) -> bool:
        return (count + q) % 2 == 0

    some = {
        one.gpu: one for one in smallest_setups(blocks, 0, devices, target, startable=even, prices=known, most=[4] * 6)
    }
    assert some
    for g in range(len(devices)):
        if g == laptop:
            continue
        ways = [
            (count, -float(block.bits_per_weight[q]), int(q))
            for count, block in blocks.items()
            for q in np.flatnonzero(block.available[g] & (block.status[g, :, 0] <= _RUNNING[1]))
            if block.decode_tok_s[g, q, 0] >= 8.0 and even(count, g, int(q))
        ]
        assert (g in some) == bool(ways)
        if ways:
            assert (some[g].count, some[g].quant) == (min(ways)[0], min(ways)[2])


def test_models_rank_by_published_quality_and_unknown_ones_come_last() -> None:
    order = rank_models([80.0, 90.0, 0.0, 70.0, 95.0], [50.0, 60.0, 99.0, 60.0, None], [1, 1, 1, 1, 1], list("abcde"))
    assert order == [1, 3, 0, 4]


def test_an_upgrade_lists_what_newly_runs_first() -> None:
    fits, offload, none = verdict.FITS, verdict.FITS_WITH_OFFLOAD, verdict.DOES_NOT_FIT
    found = upgrade_gains([50, 0, 40, 90], [60, 70, 95, 80], [offload, none, fits, fits], [fits, fits, fits, fits])
    assert [each.index for each in found] == [1, 0, 2]
    assert found[0].newly_runs
    assert found[1].leaves_offload


def test_a_tier_list_has_every_grade() -> None:
    found = tiers([95.0, 20.0, 82.0, 91.0])
    assert found["S"] == [0, 3]
    assert found["A"] == [2]
    assert found["F"] == [1]
    assert set(found) == {letter for letter, _ in verdict.GRADES}
