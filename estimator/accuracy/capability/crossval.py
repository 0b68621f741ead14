"""How well capability is known: traits of models left out, of halves of their benchmarks, and the width of intervals."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from estimator.accuracy.capability.cells import Benchmark, Cell
from estimator.accuracy.capability.fit import SPREAD, CapabilityFit, fit_capability
from estimator.accuracy.capability.order import ordered_traits
from estimator.calibration.capability_prior import (
    ModelTraits,
    kind_prior,
    line_of,
    release_of,
    shared_prior,
    trait_beside,
)  # fmt: skip
from estimator.calibration.scale import KINDS

FOLDS = 10
_FOLD_ITERATIONS = 6
#: Models with fewer cells have no trait of their own to compare with.
LEAST_CELLS = 8
_LEAST_OF_KIND: Mapping[str, int] = {
    "general": 1, "coding": 3, "agentic": 3, "reasoning": 3, "long_context": 1,
}  # fmt: skip
_LEAST_OF_HALF = 4
_LEAST_MODELS = 40
COVERAGE = 0.8
_NORMAL_QUANTILE = 1.2816
#: Ways in which models are halved to see what an interval holds of others.
_SPLITS = 16

#: What the folds keep together: models of one key are left out at once.
_GROUPS: Mapping[str, Callable[[ModelTraits], str]] = {
    "model left out": lambda model: model.slug,
    "release left out": release_of,
    "family left out": lambda model: model.family,
}

Models = Mapping[str, ModelTraits]
Benchmarks = Mapping[str, Benchmark]


class CrossValidation(NamedTuple):
    """Printed figures, and by stratum and kind the factor on the standard deviation of an interval."""

    figures: dict[str, Any]
    factors: dict[str, list[float]]


def cross_validate(
    fit: CapabilityFit, cells: Sequence[Cell], benchmarks: Benchmarks, models: Models
) -> CrossValidation:
    """Refit without models, without releases, without families and without halves of the benchmarks."""
    own = fit_capability(cells, benchmarks, models, start=fit, iterations=0, results_only=True)
    count = Counter(cell.model for cell in cells)
    of_kind = Counter((cell.model, benchmarks[cell.benchmark].kind) for cell in cells)
    rich = [slug for slug in fit.models if slug in models and count[slug] >= LEAST_CELLS]
    figures: dict[str, Any] = {"cells": len(cells), "models": len(set(fit.models) & set(models))}
    factors: dict[str, list[float]] = {}
    for stratum, group in _GROUPS.items():
        priors = _priors_left_out(fit, cells, benchmarks, models, group)
        figures[stratum] = {}
        factors[stratum] = []
        for k, kind in enumerate(KINDS):
            slugs = [slug for slug in rich if of_kind[slug, kind] >= _LEAST_OF_KIND[kind]]
            expected = np.array([priors[slug][k] for slug in slugs])
            traits = np.array([own.trait(slug, k)[0] for slug in slugs])
            figures[stratum][kind], factor = _compare(slugs, expected[:, 0], traits, np.sqrt(expected[:, 1]))
            factors[stratum].append(factor)
    figures["other benchmarks"], factors["measured"] = _halves(fit, cells, benchmarks, models, rich)
    return CrossValidation(figures, factors)


def _priors_left_out(
    fit: CapabilityFit, cells: Sequence[Cell], benchmarks: Benchmarks, models: Models,
    group: Callable[[ModelTraits], str],
) -> dict[str, list[tuple[float, float]]]:  # fmt: skip
    """Means and variances of every model's traits by fits that have not seen its group, beside the rest of its line."""
    fold = {slug: zlib.crc32(group(model).encode()) % FOLDS for slug, model in models.items()}
    variances = np.array([SPREAD["shared"] ** 2 + SPREAD[kind] ** 2 for kind in KINDS])
    priors: dict[str, list[tuple[float, float]]] = {}
    for left in range(FOLDS):
        kept = [cell for cell in cells if fold.get(cell.model) != left]
        part = fit_capability(kept, benchmarks, models, start=fit, iterations=_FOLD_ITERATIONS)
        traits = [ordered_traits(part, models, k) for k in range(len(KINDS))]
        lines = defaultdict(list)
        for slug in traits[0]:
            lines[line_of(models[slug])].append(models[slug])
        for slug, model in models.items():
            if fold[slug] == left:
                shared = shared_prior(model, part.shared_terms)
                known = f"release:{release_of(model)}" in part.shared_terms
                wide = variances if known else variances + SPREAD["release"] ** 2
                means = [shared + kind_prior(model, terms) for terms in part.kind_terms]
                priors[slug] = [
                    trait_beside(model, expected, lines[line_of(model)], of_kind)
                    for expected, of_kind in zip(zip(means, wide.tolist(), strict=True), traits, strict=True)
                ]
    return priors


def _halves(
    fit: CapabilityFit, cells: Sequence[Cell], benchmarks: Benchmarks, models: Models, rich: Sequence[str]
) -> tuple[dict[str, Any], list[float]]:
    """Traits from one half of each model's benchmark families against those from the other half alone."""
    half = [zlib.crc32(f"{benchmarks[cell.benchmark].family} {cell.model}".encode()) >> 3 & 1 for cell in cells]
    first = [cell for cell, side in zip(cells, half, strict=True) if side]
    second = [cell for cell, side in zip(cells, half, strict=True) if not side]
    other = fit_capability(second, benchmarks, models, start=fit, iterations=0, results_only=True)
    from_first = traits_of_halves(fit, cells, half, benchmarks, models)
    of_first, of_second = Counter(cell.model for cell in first), Counter(cell.model for cell in second)
    of_kind = Counter((cell.model, benchmarks[cell.benchmark].kind) for cell in second)
    both = [slug for slug in rich if min(of_first[slug], of_second[slug]) >= _LEAST_OF_HALF]
    figures: dict[str, Any] = {}
    factors: list[float] = []
    for k, kind in enumerate(KINDS):
        slugs = [slug for slug in both if kind == "general" or of_kind[slug, kind]]
        expected = np.array([from_first[k][slug] for slug in slugs])
        traits = np.array([other.trait(slug, k) for slug in slugs])
        spread = np.sqrt(expected[:, 1] + traits[:, 1])
        figures[kind], factor = _compare(slugs, expected[:, 0], traits[:, 0], spread)
        # Few models have scores of a rare kind; general work lends it its factor.
        factors.append(factor if len(slugs) >= _LEAST_MODELS or not factors else factors[0])
    return figures, factors


def traits_of_halves(
    fit: CapabilityFit, cells: Sequence[Cell], half: Sequence[int], benchmarks: Benchmarks, models: Models
) -> list[dict[str, tuple[float, float]]]:
    """By kind, means and variances of the traits of known models from the cells whose ``half`` is 1.

    The other cells of a model reach neither its traits nor the prior; those of models outside its fold reach the prior.
    """
    by_kind: list[dict[str, tuple[float, float]]] = [{} for _ in KINDS]
    for left in range(FOLDS):
        of_fold = {cell.model for cell in cells if zlib.crc32(cell.model.encode()) % FOLDS == left}
        kept = [cell for cell, side in zip(cells, half, strict=True) if side or cell.model not in of_fold]
        part = fit_capability(kept, benchmarks, models, start=fit, iterations=_FOLD_ITERATIONS)
        for k, placed in enumerate(by_kind):
            placed |= {slug: trait for slug, trait in ordered_traits(part, models, k).items() if slug in of_fold}
    return by_kind


def _compare(slugs: Sequence[str], expected: Any, traits: Any, spread: Any) -> tuple[dict[str, Any], float]:
    """Figures of one comparison, and the factor on ``spread`` at which 80 % of the errors lie inside.

    Coverage is that of intervals whose factor comes from the other half of the models, over ``_SPLITS`` ways to halve them."""
    needed = np.abs(traits - expected) / (spread * _NORMAL_QUANTILE)
    hashes = np.array([zlib.crc32(slug.encode()) for slug in slugs])
    sides = [hashes >> split & 1 == s for split in range(_SPLITS) for s in (0, 1)]
    inside = sum(int((needed[side] <= _covering(needed[~side])).sum()) for side in sides)
    figures = {
        "models": len(slugs),
        "spearman": round(float(spearmanr(expected, traits)[0]), 3),
        "rmse": round(float(np.sqrt(np.mean((traits - expected) ** 2))), 3),
        "coverage": round(inside / (_SPLITS * len(slugs)), 3),
    }
    return figures, _covering(needed)


def _covering(needed: Any) -> float:
    """The factor below which 80 % of further values are expected: of n values the one at rank 0.8 (n + 1)."""
    return float(np.quantile(needed, COVERAGE, method="weibull"))
