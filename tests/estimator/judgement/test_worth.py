"""Worth: capability less loss, with an interval, for each way that a model answers."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries import specs
from db.entries.traits import model_traits
from estimator.calibration.loss import LossTable, capability_loss
from estimator.calibration.scale import KIND_OF_WORKLOAD
from estimator.judgement.capability import CapabilityTable
from estimator.judgement.worth import PLAIN, THINKING, WorthTable, worth_table
from estimator.types import CacheType, WorkloadKind
from tests.support.catalogs import CATALOG

SLUGS = ("qwen3-32b", "llama-3.1-8b", "deepseek-r1", "qwen3.5-9b")
TRAITS = [model_traits(CATALOG)[slug] for slug in SLUGS]
QUANTS = [specs.quant(CATALOG.quants[slug]) for slug in ("f16", "q8-0", "q4-k-m", "q2-k")]
BITS = np.tile([16.0, 8.5, 4.85, 3.0], (len(SLUGS), 1))


def table(workload: WorkloadKind = WorkloadKind.CODING, cache: CacheType = CacheType.F16) -> WorthTable:
    return worth_table(workload, TRAITS, QUANTS, BITS, cache)


def test_every_workload_asks_for_a_kind() -> None:
    assert set(KIND_OF_WORKLOAD) == set(WorkloadKind)


def test_sixteen_bits_are_worth_the_capability() -> None:
    capability = CapabilityTable.load().of(TRAITS[1])["coding"]
    worth = table()
    assert worth.value[1, PLAIN, 0] == capability.value
    assert worth.low[1, PLAIN, 0] == pytest.approx(capability.low)
    assert worth.high[1, PLAIN, 0] == pytest.approx(capability.high)


def test_loss_is_taken_off_and_widens_the_interval() -> None:
    divergence = LossTable.load().divergence(TRAITS[0], QUANTS[3], 3.0)
    loss = capability_loss("coding", divergence)
    worth = table()
    assert worth.loss[0, PLAIN, 3] == pytest.approx(loss.points)
    assert worth.value[0, PLAIN, 0] - worth.value[0, PLAIN, 3] == pytest.approx(loss.points)
    assert (
        worth.value[0, THINKING, 3] - worth.low[0, THINKING, 3]
        > worth.value[0, THINKING, 0] - worth.low[0, THINKING, 0]
    )


def test_thinking_multiplies_the_loss_up_to_that_of_long_outputs() -> None:
    chat, reasoning = table(WorkloadKind.CHAT), table(WorkloadKind.REASONING)
    assert (chat.loss[:, THINKING, 3] > chat.loss[:, PLAIN, 3]).all()
    assert chat.loss[:, THINKING].tolist() == reasoning.loss[:, PLAIN].tolist() == reasoning.loss[:, THINKING].tolist()


def test_fewer_bits_are_worth_less() -> None:
    for workload in WorkloadKind:
        for model in table(workload).value:
            for values in model[np.isfinite(model[:, 0])]:
                assert (np.diff(values) <= 0).all()
                assert values[-1] < values[0]


def test_ways_are_those_that_the_model_has() -> None:
    known = np.isfinite(table().value[:, :, 0]).tolist()
    assert known == [[True, True], [True, False], [False, True], [True, True]]


def test_thinking_is_worth_more_for_reasoning() -> None:
    worth = table(WorkloadKind.REASONING)
    assert worth.value[0, THINKING, 0] > worth.value[0, PLAIN, 0] + 3


def test_a_narrow_cache_costs() -> None:
    assert (table(cache=CacheType.Q4_0).value < table().value)[np.isfinite(table().value)].all()


def test_no_models_add_nothing() -> None:
    worth = table()
    joined = worth.with_models(worth_table(WorkloadKind.CODING, [], QUANTS, BITS[:0]))
    assert joined.native.dtype == joined.ruined.dtype == np.bool_
    assert np.array_equal(joined.loss, worth.loss)
