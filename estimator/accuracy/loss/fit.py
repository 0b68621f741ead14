"""Fits the laws of divergence: sums of shrunk effects of size, bits, format, publisher and model on its log.

A mixed model, solved as ridge regression: every coefficient has a stated prior spread, residuals are of Student's t.
Effects of the measurement (corpus, pure types, perplexity instead of divergence, no importance matrix) are fitted with
the rest and left out of predictions. Deterministic: fixed iterations, no random start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from estimator.accuracy.loss.rows import CacheRow, LossRow
from estimator.calibration.divergence import REFERENCE_BITS, cache_terms, divergence_terms
from estimator.structure.arrays import Floats

#: Prior spread of a coefficient by its name, or by its name up to the colon.
SPREAD: Mapping[str, float] = {
    "level": 5.0, "bits": 3.0, "bits squared": 0.3, "size": 0.3, "size bits": 0.05, "experts": 0.3, "date": 0.15,
    "family": 0.5, "bits|family": 0.2, "type": 0.2, "publisher": 0.35, "bits|publisher": 0.08, "model": 0.45,
    "bits|model": 0.12, "pure": 0.5, "pure bits": 0.1, "perplexity": 0.3, "perplexity bits": 0.1, "corpus": 0.2,
    "no imatrix": 0.5, "no imatrix bits": 0.2, "conditions": 0.25,
}  # fmt: skip
CACHE_SPREAD: Mapping[str, float] = {
    "level": 5.0, "bits": 1.0, "size": 0.3, "floating": 1.0, "rotated": 1.5, "one side": 0.5, "perplexity": 0.5,
    "publisher": 0.7, "model": 1.0,
}  # fmt: skip
_RESIDUAL, _CACHE_RESIDUAL = 0.2, 0.6
_FREEDOM, _MOST_SQUARED = 4.0, 40.0
_ITERATIONS = 8


def fit_divergence(rows: Sequence[LossRow]) -> dict[str, float]:
    """Coefficients by name."""
    return ridge([_terms(row) for row in rows], [row.log_divergence for row in rows], SPREAD, _RESIDUAL)


def fit_cache(rows: Sequence[CacheRow]) -> dict[str, float]:
    """Coefficients of the cache law by name."""
    return ridge(
        [_cache_terms(row) for row in rows], [row.log_divergence for row in rows], CACHE_SPREAD, _CACHE_RESIDUAL
    )


def expected(row: LossRow, coefficients: Mapping[str, float]) -> float:
    """Log divergence of a row under its own conditions."""
    return sum(value * coefficients.get(name, 0.0) for name, value in _terms(row).items())


def expected_cache(row: CacheRow, coefficients: Mapping[str, float]) -> float:
    """Log divergence of a row of a cache type under its own conditions."""
    return sum(value * coefficients.get(name, 0.0) for name, value in _cache_terms(row).items())


def _terms(row: LossRow) -> dict[str, float]:
    b = row.bits - REFERENCE_BITS
    terms = divergence_terms(row.model, row.form, row.bits)
    terms[f"corpus:{row.corpus}"] = 1.0
    terms[f"conditions:{row.conditions}"] = 1.0
    for name, holds in (
        ("pure", row.pure),
        ("perplexity", row.from_perplexity),
        ("no imatrix", row.without_imatrix and row.form.family == "k-quant"),
    ):
        if holds:
            terms[name] = 1.0
            terms[f"{name} bits"] = b
    return terms


def _cache_terms(row: CacheRow) -> dict[str, float]:
    terms = cache_terms(row.model, row.bits, floating=row.floating)
    for name, holds in (("rotated", row.rotated), ("one side", row.sides == 1), ("perplexity", row.from_perplexity)):
        if holds:
            terms[name] = 1.0
    return terms


def ridge(
    terms: Sequence[Mapping[str, float]], target: Sequence[float], spread: Mapping[str, float], residual: float
) -> dict[str, float]:
    """Coefficients by name, each shrunk to 0 by its ``spread``; residuals are of Student's t."""
    names = sorted({name for row in terms for name in row})
    place = {name: j for j, name in enumerate(names)}
    columns = np.zeros((len(terms), len(names)))
    for i, row in enumerate(terms):
        for name, value in row.items():
            columns[i, place[name]] = value
    precision = np.diag([1.0 / spread[name.split(":")[0]] ** 2 for name in names])
    y, weight = np.array(target), np.ones(len(terms))
    solved: Floats = np.zeros(len(names))
    for _ in range(_ITERATIONS):
        w = weight / residual**2
        solved = np.linalg.solve(columns.T @ (columns * w[:, None]) + precision, columns.T @ (w * y))
        squared = ((y - columns @ solved) / residual) ** 2
        weight = (_FREEDOM + 1.0) / (_FREEDOM + np.minimum(squared, _MOST_SQUARED))
    return dict(zip(names, solved.tolist(), strict=True))
