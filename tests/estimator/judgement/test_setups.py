"""Setups of random machines against brute force: usable ones alone, one a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from db.entries import specs
from db.entries.traits import model_traits
from estimator.judgement.setups import Pace, usable_setups
from estimator.judgement.worth import worth_table
from estimator.quant_choice import (
    ALIKE_POINTS,
    DENSE_OFFLOAD_POINTS,
    OFFLOAD_POINTS,
    TIGHT_POINTS,
    UNPAGED_POINTS,
    UNPAGED_POINTS_PER_DOUBLING,
    customary,
    drawbacks,
    unpaged_points,
)
from estimator.types import OperatingMode, WorkloadKind
from estimator.usability import written_tokens
from tests.support.catalogs import CATALOG

TRAITS = list(model_traits(CATALOG).values())[::16]
QUANTS = [specs.quant(CATALOG.quants[slug]) for slug in ("f16", "q8-0", "q6-k", "q4-k-m", "q2-k")]
BITS = np.tile([16.0, 8.5, 6.6, 4.85, 3.0], (len(TRAITS), 1))
WORTHS = {kind: worth_table(kind, TRAITS, QUANTS, BITS) for kind in WorkloadKind}
WORKLOADS = {specs.workload(entry).kind: specs.workload(entry) for entry in CATALOG.workloads.values()}
CUSTOM = np.array([customary(quant) for quant in QUANTS])
RECENCY = np.array([traits.released for traits in TRAITS])


def random_pace(rng: np.random.Generator) -> Pace:
    """A machine of random memory and bandwidth, some speeds equal."""
    active = np.array([[traits.active_b] for traits in TRAITS])
    total = np.array([[traits.total_b] for traits in TRAITS])
    bandwidth, memory = rng.lognormal(6, 1), rng.lognormal(3.5, 1)
    decode = np.round(bandwidth / (active * BITS / 8.0), 0)
    wait = np.round(rng.lognormal(1, 1) * 1000 * active / bandwidth * 30, -2) + 100
    fits = (total * BITS / 8.0 < memory) & (decode > 0)
    tight = fits & (rng.random(decode.shape) < 0.1)
    offloaded = fits & ~tight & (rng.random(decode.shape) < 0.1)
    charges = drawbacks(tight, offloaded, False, active < total)
    return Pace(fits, tight, offloaded, decode, np.broadcast_to(wait, decode.shape), BITS, charges)


def test_setups_of_500_random_machines_agree_with_brute_force() -> None:
    rng = np.random.default_rng(11)
    kinds, modes = list(WorkloadKind), list(OperatingMode)
    for machine in range(500):
        workload, mode = WORKLOADS[kinds[machine % 5]], modes[machine % 4]
        pace, table = random_pace(rng), WORTHS[workload.kind]
        setups = usable_setups(table, pace, workload, mode)
        expected = {}
        for m, way, q in np.ndindex(table.value.shape):
            if pace.runs[m, q] and np.isfinite(table.value[m, way, q]):
                speed, wait = pace.decode_tok_s[m, q], pace.ttft_ms[m, q]
                time = wait / 1000 + written_tokens(workload, table.thinking[m, way]) / speed
                if (
                    speed >= workload.minimum_decode_tok_s
                    and wait <= workload.usable_ttft_ms
                    and time <= workload.usable_answer_s
                ):
                    expected[m, way, q] = table.value[m, way, q], time
        expected = {
            (m, way, q): judged
            for (m, way, q), judged in expected.items()
            if table.native[m, q]
            or table.loss[m, way, q] > 0
            or not any(table.native[m, other] for other in range(len(QUANTS)) if (m, way, other) in expected)
        }
        keys = list(zip(setups.model.tolist(), setups.way.tolist(), setups.quant.tolist(), strict=True))
        assert set(keys) == set(expected)
        assert setups.worth == pytest.approx([expected[key][0] for key in keys])
        assert setups.seconds == pytest.approx([expected[key][1] for key in keys])
        best = setups.best(RECENCY, CUSTOM)
        assert sorted(setups.model[best]) == sorted(set(setups.model[setups.sensible].tolist()))
        assert (np.diff(setups.rating[best]) <= 0).all()


@pytest.mark.parametrize("mode", OperatingMode)
def test_sixteen_bits_are_never_chosen_beside_faster_eight(mode: OperatingMode) -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        pace = random_pace(rng)
        setups = usable_setups(WORTHS[WorkloadKind.CODING], pace, WORKLOADS[WorkloadKind.CODING], mode)
        for n in setups.best(RECENCY, CUSTOM):
            if setups.quant[n] == 0:
                m = setups.model[n]
                assert not pace.runs[m, 1] or pace.decode_tok_s[m, 1] < 1.15 * pace.decode_tok_s[m, 0]


def test_a_full_memory_weights_on_the_host_and_an_engine_without_pages_are_charged() -> None:
    pace = random_pace(np.random.default_rng(4))
    workload = WORKLOADS[WorkloadKind.CHAT]

    def ratings(*drawback: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        points = np.full(pace.tight.shape, drawbacks(*drawback))
        charged = replace(pace, drawback_points=points)
        return usable_setups(WORTHS[workload.kind], charged, workload, OperatingMode.BALANCED).rating

    free = ratings(False, False, False, False)
    assert free - ratings(True, False, False, False) == pytest.approx(TIGHT_POINTS)
    assert free - ratings(False, True, False, True) == pytest.approx(OFFLOAD_POINTS)
    assert free - ratings(False, True, False, False) == pytest.approx(DENSE_OFFLOAD_POINTS)
    assert free - ratings(False, False, 2.5, False) == pytest.approx(2.5)


def test_pages_matter_where_people_are_served() -> None:
    quants = [
        specs.quant(CATALOG.quants[slug]) for slug in ("q4-k-m", "mlx-4bit", "fp8", "awq-int4", "bf16-safetensors")
    ]
    devices = [specs.accelerator(CATALOG.gpus[slug]) for slug in ("h100-sxm5-80-gb", "tesla-p40", "rtx-4090")]
    plain = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    assert unpaged_points(quants, devices) == pytest.approx(UNPAGED_POINTS * np.array([plain, 0 * plain, 0 * plain]))
    four, eight = (unpaged_points(quants, devices, users=users) for users in (4, 8))
    assert four == pytest.approx((UNPAGED_POINTS + 2 * UNPAGED_POINTS_PER_DOUBLING) * np.array([plain] * 3))
    assert (eight > four)[:, :2].all()
    # A server of eight is there for eight at least; two cards at home are not.
    assert unpaged_points(quants, devices, count=8)[:1] == pytest.approx(eight[:1])
    assert not unpaged_points(quants, devices, count=8)[1:].any()
    # A Mac runs plain checkpoints in MLX.
    (mac,) = unpaged_points(quants, [specs.accelerator(CATALOG.gpus["apple-m3-ultra-60c-96gb"])], users=4)
    assert mac == pytest.approx(four[0, 0])


def test_of_setups_that_are_rated_alike_the_customary_one_is_taken() -> None:
    """Brute force over the setups of each model."""
    rng = np.random.default_rng(9)
    for _ in range(20):
        pace, workload = random_pace(rng), WORKLOADS[WorkloadKind.RAG]
        setups = usable_setups(WORTHS[workload.kind], pace, workload, OperatingMode.BALANCED)
        for n in setups.best(RECENCY, CUSTOM):
            own = [i for i in range(len(setups.model)) if setups.model[i] == setups.model[n] and setups.sensible[i]]
            top = max(own, key=lambda i: setups.rating[i])
            assert setups.way[n] == setups.way[top]
            assert setups.rating[n] >= setups.rating[top] - ALIKE_POINTS
            for i in own:
                if setups.way[i] == setups.way[n] and setups.rating[i] >= setups.rating[top] - ALIKE_POINTS:
                    assert CUSTOM[setups.quant[n]] >= CUSTOM[setups.quant[i]]
