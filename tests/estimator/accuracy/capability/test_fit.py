"""The latent fit recovers known traits, tells modes and measurers apart, and gives the same numbers twice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from estimator.accuracy.capability.cells import Benchmark, Cell, Result, cells_of
from estimator.accuracy.capability.crossval import traits_of_halves
from estimator.accuracy.capability.data import capability_data
from estimator.accuracy.capability.fit import fit_capability
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.scale import KINDS

BENCHMARKS = {
    f"{kind}-{n}": Benchmark(
        f"{kind}-{n}", f"{kind} {n}", kind, f"{kind}-{n % 3}", "percent", 25.0 * (n % 2), 100.0, 500
    )
    for kind in KINDS
    for n in range(4)
}
MODELS = {
    f"model-{n:02d}": ModelTraits(
        f"model-{n:02d}", size, size, 2024.0 + n / 20, f"family-{n % 8}", f"maker-{n % 5}",
        thinking="hybrid" if n % 3 == 0 else "never", specialty="coder" if n % 7 == 0 else "",
    )
    for n, size in enumerate(np.geomspace(0.5, 200, 40).round(2).tolist())
}  # fmt: skip


@pytest.fixture(scope="module")
def results() -> tuple[list[Result], dict[str, float]]:
    random = np.random.default_rng(7)
    traits, rows = {}, []
    for slug, model in MODELS.items():
        trait = 0.45 * math.log(model.total_b / 14) + (model.released - 2025) + random.normal(0, 0.25)
        traits[slug] = trait
        for n, (name, benchmark) in enumerate(BENCHMARKS.items()):
            if random.random() < 0.4:
                continue
            assert benchmark.chance is not None
            plain = model.thinking == "hybrid" and random.random() < 0.5
            vendor = random.random() < 0.3
            odds = (0.6 + 0.1 * (n % 4)) * (trait - 0.5 * plain + 0.2 * vendor) - 0.2 * (n % 5) + random.normal(0, 0.15)
            value = benchmark.chance + (100 - benchmark.chance) / (1 + math.exp(-odds))
            mode = ("plain" if plain else "thinking") if model.thinking == "hybrid" else "plain"
            rows.append(Result(slug, name, mode, "vendor" if vendor else "independent", value))
    return rows, traits


def test_known_traits_are_recovered(results: tuple[list[Result], dict[str, float]]) -> None:
    rows, traits = results
    fit = fit_capability(cells_of(rows, BENCHMARKS, MODELS), BENCHMARKS, MODELS, iterations=25)
    fitted = [fit.trait(slug, 0)[0] for slug in fit.models]
    assert spearmanr(fitted, [traits[slug] for slug in fit.models])[0] > 0.97
    assert fit.modes["plain"].mean() < -0.2
    assert fit.modes["vendor"].mean() > 0.0
    assert all(fit.trait(slug, k)[1] > 0 for slug in fit.models for k in range(len(KINDS)))


def test_a_vendor_result_alone_moves_less_than_an_independent_one(
    results: tuple[list[Result], dict[str, float]],
) -> None:
    rows, _ = results
    cells = cells_of(rows, BENCHMARKS, MODELS)
    fit = fit_capability(cells, BENCHMARKS, MODELS, iterations=15)
    slug = fit.models[10]
    rest = [cell for cell in cells if cell.model != slug]
    trait = {}
    for measured_by in ("vendor", "independent"):
        single = cells_of([Result(slug, "general-0", "plain", measured_by, 95.0)], BENCHMARKS, MODELS)
        again = fit_capability([*rest, *single], BENCHMARKS, MODELS, start=fit, iterations=0)
        trait[measured_by] = again.trait(slug, 0)[0]
    assert trait["vendor"] < trait["independent"]


def test_models_of_a_family_are_reported_alike(results: tuple[list[Result], dict[str, float]]) -> None:
    rows, _ = results
    vain = {slug for slug, model in MODELS.items() if model.family == "family-3"}
    reported = [
        replace(row, value=min(row.value + 20.0, 99.0)) if row.model in vain and row.measured_by == "vendor" else row
        for row in rows
    ]
    last = max(vain)
    alone = [row for row in reported if row.model != last or row.measured_by == "vendor"]
    trait = {}
    for name, family in (("of the family", "family-3"), ("of another", "new")):
        models = MODELS | {last: replace(MODELS[last], family=family)}
        fit = fit_capability(cells_of(alone, BENCHMARKS, models), BENCHMARKS, models, iterations=15)
        trait[name] = fit.trait(last, 0)[0]
    assert fit.vendors["family-3"] > 0.1
    assert trait["of the family"] < trait["of another"] - 0.1


def test_a_model_that_is_kept_from_thinking_says_little_of_itself(
    results: tuple[list[Result], dict[str, float]],
) -> None:
    rows, _ = results
    slug = "model-36"
    own = [row for row in rows if row.model != slug or row.mode == "thinking"]
    poor = [Result(slug, f"general-{n}", "plain", "independent", 35.0) for n in range(4)]
    loss = {}
    for thinking in ("hybrid", "always"):
        models = MODELS | {slug: replace(MODELS[slug], thinking=thinking)}
        traits = [
            fit_capability(cells_of(scores, BENCHMARKS, models), BENCHMARKS, models, iterations=15).trait(slug, 0)[0]
            for scores in (own, [*own, *poor])
        ]
        loss[thinking] = traits[0] - traits[1]
    assert abs(loss["always"]) < 0.5 * loss["hybrid"], loss


def test_the_same_rows_give_the_same_file(results: tuple[list[Result], dict[str, float]]) -> None:
    rows, _ = results
    once = capability_data(rows, BENCHMARKS, MODELS, "hash", iterations=4)
    assert once == capability_data(list(reversed(rows)), BENCHMARKS, MODELS, "hash", iterations=4)
    assert once["data_hash"] == "hash"
    assert set(once["models"]) == set(MODELS)


def test_the_other_half_of_a_model_reaches_neither_its_traits_nor_the_prior(
    results: tuple[list[Result], dict[str, float]],
) -> None:
    cells = cells_of(results[0], BENCHMARKS, MODELS)
    half = [n % 2 for n in range(len(cells))]
    fit = fit_capability(cells, BENCHMARKS, MODELS, iterations=4)
    slug = fit.models[10]
    turned = [
        replace(cell, log_odds=-cell.log_odds) if cell.model == slug and not side else cell
        for cell, side in zip(cells, half, strict=True)
    ]
    before, after = (traits_of_halves(fit, scores, half, BENCHMARKS, MODELS) for scores in (cells, turned))
    assert before[0][slug] == after[0][slug]
    assert before[0] != after[0]


def test_scores_at_chance_and_at_the_ceiling_weigh_little() -> None:
    benchmark = next(iter(BENCHMARKS))

    def cell(value: float) -> Cell:
        return cells_of([Result("model-00", benchmark, "plain", "independent", value)], BENCHMARKS, MODELS)[0]

    assert cell(100.0).variance > 10 * cell(60.0).variance
    assert cell(0.0).variance > 10 * cell(60.0).variance
    assert math.isfinite(cell(100.0).log_odds)


def test_a_score_of_the_base_model_is_not_counted_for_the_chat_model_too() -> None:
    rows = [Result("model-01", "general-0", mode, "vendor", 61.0) for mode in ("base", "plain")]
    assert [cell.base for cell in cells_of(rows, BENCHMARKS, MODELS)] == [1.0]
