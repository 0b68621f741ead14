"""The data file ``loss.json``: the laws of divergence, the width of their intervals, and their errors on rows left out."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from estimator.accuracy.loss.fit import expected, expected_cache, fit_cache, fit_divergence
from estimator.accuracy.loss.rows import CacheRow, LossRow, TaskRow
from estimator.accuracy.loss.tasks import fit_task_weights
from estimator.calibration.divergence import ZONES, divergence_terms, log_divergence, zone_of

COVERAGE = 0.8
#: Rows near this many bits serve as the one measured row of a model: the size that most files are shared in.
ANCHOR_BITS = 4.7
_DIGITS = 4
#: Terms of the conditions of a measurement: predictions do without.
_CONDITIONS = ("corpus", "conditions", "pure", "perplexity", "no imatrix", "rotated", "one side")


def loss_data(
    rows: Sequence[LossRow], cache: Sequence[CacheRow], tasks: Sequence[TaskRow], data_hash: str
) -> dict[str, Any]:
    """Fit and cross-validate; the same rows give the same file."""
    errors = {
        "model left out": _left_out(rows, lambda row: row.model.slug),
        "publisher left out": _left_out(rows, lambda row: row.model.publisher or row.model.slug),
        "one row as anchor": _anchored(rows),
    }
    cache_errors = _cache_left_out(cache)
    figures = {stratum: _figures([row for row, _ in pairs], [error for _, error in pairs])
               for stratum, pairs in errors.items()}  # fmt: skip
    law = _rounded(fit_divergence(rows))
    errors["measured"] = [
        (row, row.log_divergence - log_divergence(divergence_terms(row.model, row.form, row.bits), law)) for row in rows
    ]
    return {
        "data_hash": data_hash,
        "divergence": law,
        "cache": _rounded(fit_cache(cache)),
        "half_width": {stratum: _half_widths(pairs) for stratum, pairs in errors.items()},
        "cache_half_width": round(float(np.quantile(np.abs(cache_errors), COVERAGE)), _DIGITS),
        "typical_bits": _typical_bits(rows),
        "measured": _measured_types(rows),
        "task_weight": {family: round(weight, _DIGITS) for family, weight in fit_task_weights(tasks, law).items()},
        "accuracy": {
            "rows": len(rows),
            "models": len({row.model.slug for row in rows}),
            "task scores": len(tasks),
            **figures,
            "cache, model left out": {
                "rows": len(cache),
                "median_abs_ln": round(float(np.median(np.abs(cache_errors))), 3),
            },
        },
    }


_Errors = list[tuple[LossRow, float]]


def _left_out(rows: Sequence[LossRow], group: Callable[[LossRow], str]) -> _Errors:
    errors: _Errors = []
    for left in sorted({group(row) for row in rows}):
        coefficients = fit_divergence([row for row in rows if group(row) != left])
        errors += [(row, row.log_divergence - expected(row, coefficients)) for row in rows if group(row) == left]
    return errors


def _anchored(rows: Sequence[LossRow]) -> _Errors:
    """Errors on a model's other rows when one is known: a divergence where there is one, nearest to ``ANCHOR_BITS``."""
    errors: _Errors = []
    for slug in sorted({row.model.slug for row in rows}):
        own = [row for row in rows if row.model.slug == slug]
        if len(own) < 2:
            continue
        anchor = min(own, key=lambda row: (row.from_perplexity, abs(row.bits - ANCHOR_BITS)))
        coefficients = fit_divergence([*(row for row in rows if row.model.slug != slug), anchor])
        errors += [(row, row.log_divergence - expected(row, coefficients)) for row in own if row is not anchor]
    return errors


def _cache_left_out(rows: Sequence[CacheRow]) -> list[float]:
    errors = []
    for slug in sorted({row.model.slug for row in rows}):
        coefficients = fit_cache([row for row in rows if row.model.slug != slug])
        errors += [row.log_divergence - expected_cache(row, coefficients) for row in rows if row.model.slug == slug]
    return errors


def _figures(rows: Sequence[LossRow], errors: Sequence[float]) -> dict[str, Any]:
    """Errors of the log divergence; coverage with widths from the other half of the rows."""
    size = np.abs(np.array(errors))
    zone = np.array([zone_of(row.bits) for row in rows])
    side = np.array([zlib.crc32(f"{row.model.slug}{row.form.type}{row.bits}".encode()) >> 5 & 1 for row in rows])
    inside = 0
    for z in set(zone.tolist()):
        for s in (0, 1):
            here, there = size[(zone == z) & (side == s)], size[(zone == z) & (side != s)]
            inside += int((here <= np.quantile(there, COVERAGE)).sum()) if len(there) else len(here)
    return {
        "rows": len(errors),
        "median_abs_ln": round(float(np.median(size)), 3),
        "rmse_ln": round(float(np.sqrt(np.mean(size**2))), 3),
        "within_twice": round(float(np.mean(size < np.log(2.0))), 3),
        "coverage": round(inside / len(errors), 3),
    }


def _half_widths(errors: _Errors) -> list[float]:
    return [
        round(float(np.quantile([abs(error) for row, error in errors if zone_of(row.bits) == zone], COVERAGE)), _DIGITS)
        for zone in range(len(ZONES) + 1)
    ]


def _typical_bits(rows: Sequence[LossRow]) -> dict[str, float]:
    bits: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if not row.pure:
            bits[row.form.type].append(row.bits)
    return {name: round(median(values), 3) for name, values in sorted(bits.items())}


def _measured_types(rows: Sequence[LossRow]) -> dict[str, list[str]]:
    types: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        types[row.model.slug].add(row.form.type)
    return {slug: sorted(names) for slug, names in sorted(types.items())}


def _rounded(coefficients: Mapping[str, float]) -> dict[str, float]:
    return {
        name: round(value, _DIGITS) + 0.0
        for name, value in sorted(coefficients.items())
        if not name.startswith(_CONDITIONS)
    }
