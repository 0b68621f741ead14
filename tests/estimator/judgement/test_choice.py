"""The frontier against brute force, charges for time, and the order's ties."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries import specs
from estimator.judgement.choice import frontier, ranked, tiers
from estimator.quant_choice import ALIKE_POINTS, CHARGES, best_quants, charged, customary, needlessly_wide
from estimator.types import OperatingMode
from tests.support.catalogs import CATALOG


def dominated(worth: list[float], seconds: list[float], n: int) -> bool:
    return any(
        worth[i] >= worth[n] and seconds[i] <= seconds[n] and (worth[i] > worth[n] or seconds[i] < seconds[n])
        for i in range(len(worth))
    )


def test_the_frontier_is_what_brute_force_finds() -> None:
    rng = np.random.default_rng(3)
    for size in [0, 1, 2, *rng.integers(3, 40, 500)]:
        # Coarse values, so that ties are common.
        worth, seconds = rng.integers(0, 12, size) / 2.0, rng.integers(1, 12, size) / 2.0
        brute = [not dominated(worth.tolist(), seconds.tolist(), n) for n in range(size)]
        assert frontier(worth, seconds).tolist() == brute


@pytest.mark.parametrize("mode", OperatingMode)
def test_time_is_charged_without_a_jump_and_never_pays(mode: OperatingMode) -> None:
    seconds = np.geomspace(0.1, 1000, 400)
    rating = charged(np.zeros(400), seconds, 40.0, mode)
    assert (np.diff(rating) < 0).all()
    assert charged(np.array([50.0]), np.array([40.0]), 40.0, mode)[0] == 50.0
    assert charged(np.array([50.0]), np.array([80.0]), 40.0, mode)[0] == 50.0 - CHARGES[mode].beyond


def test_the_best_rated_lies_on_the_frontier() -> None:
    rng = np.random.default_rng(5)
    for mode in OperatingMode:
        worth, seconds = rng.normal(60, 8, 200), rng.lognormal(3, 1, 200)
        best = int(charged(worth, seconds, 40.0, mode).argmax())
        assert frontier(worth, seconds)[best]


def test_modes_pick_differently_where_the_frontier_allows_it() -> None:
    worth, seconds = np.array([70.0, 66.0, 58.0]), np.array([70.0, 45.0, 12.0])
    picks = {mode: int(charged(worth, seconds, 45.0, mode).argmax()) for mode in OperatingMode}
    assert picks[OperatingMode.BALANCED] == 0
    assert picks[OperatingMode.INTERACTIVE] == 1


def test_wide_weights_yield_to_wide_ones_that_are_noticeably_faster() -> None:
    bits = np.array([[16.0, 8.5, 6.6], [16.0, 8.5, 4.8]])
    speed = np.array([[20.0, 36.0, 45.0], [20.0, 22.0, 40.0]])
    every = np.ones((2, 3), dtype=np.bool_)
    assert needlessly_wide(bits, speed, every).tolist() == [[True, False, False], [False, False, False]]
    every[0, 1] = False
    assert not needlessly_wide(bits, speed, every).any()


def test_every_quantization_of_the_catalog_is_more_or_less_customary() -> None:
    custom = {slug: customary(specs.quant(entry)) for slug, entry in CATALOG.quants.items()}
    assert custom["q4-k-m"] > custom["q4-0"] > custom["iq4-xs"] > custom["f16"] == 0


def test_ties_end_with_the_tie_breaks() -> None:
    same = np.zeros(4)
    assert ranked(same, same, same, np.array([1.0, 4.0, 3.0, 2.0])).tolist() == [1, 2, 3, 0]
    assert ranked(np.array([1.0, 2.0]), same[:2], same[:2]).tolist() == [1, 0]
    assert ranked(same[:2], np.array([1.0, 2.0]), same[:2]).tolist() == [1, 0]
    assert ranked(same[:2], same[:2], np.array([2.0, 1.0])).tolist() == [1, 0]


def test_tiers_count_from_the_best_and_have_every_letter() -> None:
    letters = tiers(np.array([70.0, 40.0, 72.0, 66.0, 71.0]))
    assert letters == {"S": [2, 4, 0], "A": [3], "B": [], "C": [], "D": [], "F": [1]}
    assert set(tiers(np.array([]))) == set(letters)


def test_the_most_customary_of_the_best_rated_quants_is_chosen() -> None:
    rng, chosen = np.random.default_rng(8), 0
    ratings, custom = rng.choice([40.0, 40.2, 41.0, 43.5], (9, 6, 4)), np.array([1.0, 3.0, 3.0, 0.0, 2.0, 3.0])
    eligible = rng.random(ratings.shape) < 0.4
    best = best_quants(ratings, eligible, custom)
    for g, s in np.ndindex(9, 4):
        able = [q for q in range(6) if eligible[g, q, s]]
        top = max((ratings[g, q, s] for q in able), default=0.0)
        alike = [q for q in able if top - ratings[g, q, s] <= ALIKE_POINTS]
        wanted = sorted(alike, key=lambda q: (-custom[q], -ratings[g, q, s], q))[:1]
        assert np.flatnonzero(best[g, :, s]).tolist() == wanted
        chosen += len(wanted)
    assert 0 < chosen < 36
