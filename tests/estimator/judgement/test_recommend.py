"""Recommendations equal what a plain loop over all choices finds."""

from __future__ import annotations

import numpy as np

from estimator.judgement.recommend import (
    Target,
    smallest_setups,
)
from estimator.types import STATUSES, Status
from tests.support import answers as support

OPTIONS = support.everything()
_RUNNING = [STATUSES.index(status) for status in (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)]


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
    setups = smallest_setups(blocks, 0, devices, target, prices=known, most=[4] * 6)
    most = [1] * 5 + [4]
    few = {setup.gpu for setup in smallest_setups(blocks, 0, devices, target, prices=known, most=most)}
    assert few == {setup.gpu for setup in setups if setup.count <= most[setup.gpu]}
    assert len(few) < len(setups)
    assert setups
    laptop = slugs.index("rtx-4090-laptop")
    several = blocks[4].status[laptop, :, 0] <= _RUNNING[1]
    assert (several & blocks[4].available[laptop]).any(), "the laptop's chip would do if there were four of it"
    assert laptop not in {setup.gpu for setup in setups}
    for setup in setups:
        block = blocks[setup.count]
        assert block.status[setup.gpu, setup.quant, 0] in _RUNNING[:2]
        assert block.decode_tok_s[setup.gpu, setup.quant, 0] >= 8.0
        for count in blocks:
            if count < setup.count:
                smaller = blocks[count]
                good = (smaller.status[setup.gpu, :, 0] <= _RUNNING[1]) & (smaller.decode_tok_s[setup.gpu, :, 0] >= 8.0)
                assert not (good & smaller.available[setup.gpu]).any()
    prices = [setup.price_usd for setup in setups if setup.price_usd is not None]
    assert prices == sorted(prices)

    def even(count: int, g: int, q: int) -> bool:
        return (count + q) % 2 == 0

    some = {
        setup.gpu: setup
        for setup in smallest_setups(blocks, 0, devices, target, startable=even, prices=known, most=[4] * 6)
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
