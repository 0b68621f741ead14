"""Of models made alike, a larger or newer one is no worse; what is known of one tells of its neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from db.entries.traits import model_traits
from estimator.calibration.capability_prior import ModelTraits, in_order, is_better, order_of, trait_beside
from estimator.calibration.scale import KINDS
from estimator.judgement.capability import CapabilityTable
from tests.support.catalogs import CATALOG

MIDDLE = ModelTraits("middle", 14.0, 14.0, 2025.0, "family")
LARGE = replace(MIDDLE, slug="large", total_b=32.0, active_b=32.0)
SMALL = replace(MIDDLE, slug="small", total_b=8.0, active_b=8.0)


@pytest.mark.parametrize(
    ("facts", "has_order"),
    [
        ({}, False),
        ({"total_b": 28.0, "active_b": 28.0}, True),
        ({"total_b": 28.0, "active_b": 28.0, "released": 2024.5}, False),
        ({"total_b": 28.0, "active_b": 3.0}, False),
        ({"total_b": 15.0, "active_b": 15.0}, False),
        ({"released": 2025.5}, True),
        ({"released": 2025.5, "total_b": 12.0, "active_b": 12.0}, False),
    ],
)
def test_larger_and_as_new_or_newer_and_as_large_is_better(facts: dict[str, float], has_order: bool) -> None:
    assert is_better(replace(MIDDLE, slug="other", **facts), MIDDLE) is has_order  # type: ignore[arg-type]


def test_only_models_made_alike_have_an_order_and_only_neighbours_are_named() -> None:
    thinker, stranger = replace(LARGE, slug="other", thinking="always"), replace(LARGE, slug="other", family="new")
    assert order_of([MIDDLE, thinker]) == order_of([MIDDLE, stranger]) == []
    assert order_of([SMALL, LARGE, MIDDLE]) == [("large", "middle"), ("middle", "small")]


@pytest.mark.parametrize("mean", [-0.6, -0.1, 0.2, 2.5])
def test_a_pair_in_order_has_the_moments_of_the_draws_in_order(mean: float) -> None:
    draws = np.random.default_rng(3).normal((mean, 0.0), (0.2, 0.3), (1_000_000, 2))
    kept = draws[draws[:, 0] >= draws[:, 1]]
    ordered = in_order({"large": (mean, 0.04), "small": (0.0, 0.09)}, [("large", "small")])
    for slug, expected, variance in zip(("large", "small"), kept.mean(axis=0), kept.var(axis=0), strict=True):
        assert ordered[slug] == pytest.approx((expected, variance), abs=0.004)


def test_what_is_far_beyond_doubt_stays_finite_and_a_chain_comes_in_order() -> None:
    traits = {"large": (-9.0, 0.01), "middle": (0.0, 0.01), "small": (9.0, 0.01)}
    ordered = in_order(traits, order_of([SMALL, MIDDLE, LARGE]))
    assert all(np.isfinite(values).all() and values[1] > 0 for values in ordered.values())
    near = in_order(
        {"large": (0.0, 0.04), "middle": (0.1, 0.04), "small": (0.2, 0.04)}, order_of([SMALL, MIDDLE, LARGE])
    )
    assert near["large"][0] > near["middle"][0] > near["small"][0]


def test_a_model_without_results_lies_between_its_neighbours() -> None:
    traits = {"large": (1.0, 0.01), "small": (0.6, 0.01)}
    line = [LARGE, SMALL]
    for expected in (0.2, 0.8, 1.6):
        mean, variance = trait_beside(MIDDLE, (expected, 0.08), line, traits)
        assert 0.5 < mean < 1.1
        assert variance < 0.08
    assert trait_beside(replace(MIDDLE, family="new"), (0.2, 0.08), [], traits) == pytest.approx((0.2, 0.08))


def test_no_model_of_the_catalog_is_worse_than_a_lesser_one_of_its_line() -> None:
    models, table = model_traits(CATALOG), CapabilityTable.load()
    pairs = order_of(models.values())
    assert len(pairs) > 200
    for kind in KINDS:
        value = {slug: table.of_kind(model, kind).value for slug, model in models.items()}
        # One without results is placed beside those with, which stay where their own results have them.
        contrary = [(better, lesser) for better, lesser in pairs if value[better] < value[lesser] - 0.5]
        assert not contrary, kind
