"""The data file ``capability.json``: fitted benchmarks, prior, traits of all models, and how well they are known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from estimator.accuracy.capability.cells import Benchmark, Cell, Result, cells_of
from estimator.accuracy.capability.crossval import CrossValidation, cross_validate
from estimator.accuracy.capability.fit import (
    EFFECTS,
    ITERATIONS,
    MODES,
    SPREAD,
    CapabilityFit,
    fit_capability,
)  # fmt: skip
from estimator.accuracy.capability.order import ordered_traits
from estimator.calibration.capability_prior import SIBLING_FACTS, ModelTraits
from estimator.calibration.scale import KINDS

_DIGITS = 4


def capability_data(
    results: Sequence[Result],
    benchmarks: Mapping[str, Benchmark],
    models: Mapping[str, ModelTraits],
    data_hash: str,
    *,
    iterations: int = ITERATIONS,
) -> dict[str, Any]:
    """Fit and cross-validate; the same rows give the same file."""
    cells = cells_of(results, benchmarks, models)
    fit = fit_capability(cells, benchmarks, models, iterations=iterations)
    checked = cross_validate(fit, cells, benchmarks, models)
    items = fit.items
    return {
        "data_hash": data_hash,
        "benchmarks": {
            slug: {
                "slope": _short(items.slope[j]),
                "easiness": _short(items.easiness[j]),
                "thinking_gain": _short(items.thinking_gain[j]),
                "noise": _short(items.noise[j]),
            }
            for j, slug in enumerate(items.slugs)
        },
        "prior": {
            "shared": _rounded(fit.shared_terms),
            **{kind: _rounded(terms) for kind, terms in zip(KINDS, fit.kind_terms, strict=True)},
        },
        "modes": {mode: [_short(value) for value in fit.modes[mode]] for mode in MODES},
        "spread": {kind: _short(math.hypot(SPREAD["shared"], SPREAD[kind])) for kind in KINDS}
        | {"release": SPREAD["release"]},
        "interval_factors": {
            stratum: [_short(factor) for factor in by_kind] for stratum, by_kind in checked.factors.items()
        },
        "models": _models(fit, cells, benchmarks, models),
        "accuracy": _accuracy(checked, benchmarks, results),
    }


def _models(
    fit: CapabilityFit, cells: Sequence[Cell], benchmarks: Mapping[str, Benchmark], models: Mapping[str, ModelTraits]
) -> dict[str, Any]:
    """Facts, and trait, standard deviation and number of scores by kind; of hybrid thinkers also the trait without thinking."""
    count = Counter((cell.model, benchmarks[cell.benchmark].kind) for cell in cells)
    plain = EFFECTS.index("plain")
    rows: dict[str, Any] = {}
    ordered = [ordered_traits(fit, models, k) for k in range(len(KINDS))]
    for slug in ordered[0]:
        traits = [of_kind[slug] for of_kind in ordered]
        rows[slug] = {
            "facts": {name: getattr(models[slug], name) for name in SIBLING_FACTS},
            "trait": [_short(mean) for mean, _ in traits],
            "sd": [_short(math.sqrt(variance)) for _, variance in traits],
            "scores": [count[slug, kind] for kind in KINDS],
        }
        if models[slug].thinking == "hybrid":
            own = float(fit.mean[fit.index[slug], plain])
            rows[slug]["plain"] = [_short(mean + fit.modes["plain"][k] + own) for k, (mean, _) in enumerate(traits)]
    return rows


def _accuracy(
    checked: CrossValidation, benchmarks: Mapping[str, Benchmark], results: Sequence[Result]
) -> dict[str, Any]:
    return {"results": len(results), "benchmarks": len(benchmarks), **checked.figures}


def _short(value: float) -> float:
    return round(float(value), _DIGITS) + 0.0


def _rounded(terms: Mapping[str, float]) -> dict[str, float]:
    return {name: _short(value) for name, value in sorted(terms.items())}
