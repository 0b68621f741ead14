"""Results kept for a next call are bounded by their bytes, whatever their size."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from db.entries import specs
from estimator.grid import evaluate_block
from estimator.memo import Kept, bytes_of, kept_within
from estimator.placement import layer_sums
from tests.estimator.test_grid import CALIBRATION, GPUS, HOST, QUANTS, WORKLOADS
from tests.support.catalogs import CATALOG


@dataclass(frozen=True, slots=True)
class Inner:
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    view: NDArray[np.float64]
    pair: tuple[NDArray[np.float64], ...]
    number: int = 3


def test_views_count_as_what_they_keep_alive_and_nothing_twice() -> None:
    values = np.zeros((100, 1000))
    assert bytes_of(Outer(Inner(values), values[0, ::-1], (values[1], np.zeros(10)))) == values.nbytes + 80
    assert bytes_of((values[0, :1],)) == values.nbytes
    assert bytes_of(3) == 0


def test_the_latest_results_stay_within_the_budget() -> None:
    calls: list[int] = []

    @kept_within(5 * 100_000)
    def zeros(count: int) -> NDArray[np.float64]:
        calls.append(count)
        return np.zeros(count)

    large = range(10_000, 10_010)
    arrays = {count: zeros(count) for count in large}
    assert zeros(10_009) is arrays[10_009]
    assert 0 < zeros.used_bytes <= 5 * 100_000
    assert 3 <= len(zeros) <= 5
    gone = weakref.ref(arrays.pop(10_000))
    gc.collect()
    assert gone() is None
    for count in range(60):
        zeros(count)
    # Many small ones take the place of few large ones.
    assert len(zeros) > 30
    assert zeros.used_bytes <= 5 * 100_000
    # Used lately is kept longest.
    assert zeros(30) is zeros(30)
    assert calls.count(30) == 1
    zeros.clear()
    assert (len(zeros), zeros.used_bytes) == (0, 0)


def test_what_is_larger_than_the_budget_is_not_kept_and_takes_the_place_of_nothing() -> None:
    made = Kept(lambda count: np.zeros(count), 10_000)
    small = made(100)
    used = made.used_bytes
    assert len(made(5_000)) == 5_000
    assert (len(made), made.used_bytes) == (1, used)
    assert made(100) is small


def test_sums_of_every_model_in_every_quant_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a count of results as the bound, the large ones took ten times as much as the small ones before them."""
    kept: Any = Kept(layer_sums._model_tables._make, 1 << 20)
    monkeypatch.setattr(layer_sums, "_model_tables", kept)
    catalog = CATALOG
    for slug in sorted(catalog.models)[:40]:
        model = specs.architecture(catalog.models[slug]) if not specs.missing_facts(catalog.models[slug]) else None
        if model is not None:
            evaluate_block(model, GPUS[:1], QUANTS, WORKLOADS, (HOST,), CALIBRATION)
            assert kept.used_bytes <= 1 << 20
    assert len(kept) > 1
