"""Cross-validation by whole groups, and the ranges that follow from its residuals. Deterministic: folds by hash."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accuracy.fitting import Fitter, Observation
from estimator.structure.arrays import Flags, Floats, Ints

#: Ways to leave data out; a range for a case that is as well known as the training data of that way.
SCHEMES: Mapping[str, Callable[[Observation], str]] = {
    "pair": lambda row: f"{row.gpu}|{row.model}",
    "gpu": lambda row: row.gpu,
    "model": lambda row: row.model,
    "family": lambda row: str(row.factors["family"]),
    "source": lambda row: row.source,
}
#: (positions, fitted effects) -> the rows there with the terms that the estimator computes.
Shipped = Callable[[Sequence[int], Mapping[str, float]], Sequence[Observation]]
#: Fits of each scheme: where groups are more, several are left out together. GPUs are left out one by one, so that their
#: relatives are known as they are when somebody asks about a new one.
FOLDS: Mapping[str, int] = {"pair": 16, "gpu": 256, "model": 32, "family": 32, "source": 64}
#: Share of measured values that a range holds, and the tails (either side) that are tried for it, widest range last.
COVERAGE = 0.8
TAILS: tuple[float, ...] = tuple(round(0.1 - 0.005 * step, 3) for step in range(17))
#: The same where names are left out one by one: rows of many sources together can spread more than those of each.
HELD_TAILS: tuple[float, ...] = tuple(round(0.2 - 0.005 * step, 3) for step in range(37))
#: Ways in which GPUs or models are halved to see what a range holds of others.
SPLITS = 16
#: With fewer names than this, leaving one out says nothing about coverage.
MINIMUM_NAMES = 3
#: The mean residual of a measured configuration is pulled to 0 as if this many further rows said 0.
MEASURED_SHRINK_ROWS = 0.5
#: Fewer residuals than this make no range of their own; the next wider stratum's is taken.
MINIMUM_RESIDUALS = 40


def fold_of(key: str, folds: int) -> int:
    """Fold of a group, by hash of its name."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % folds


def folds_of(observations: Sequence[Observation], scheme: str) -> Ints:
    """Fold in which each observation is left out, with all of its group."""
    keys = [SCHEMES[scheme](row) for row in observations]
    groups = sorted(set(keys), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    fold = {name: index % FOLDS[scheme] for index, name in enumerate(groups)}
    return np.array([fold[name] for name in keys], dtype=np.int64)


def known_as(observations: Sequence[Observation], scheme: str) -> list[str]:
    """Stratum of each observation as the ones that are not left out with it know its device and engine."""
    folds = folds_of(observations, scheme)
    names = [(f"{row.gpu}|{row.stack}", f"{row.factors['family']}|{row.stack}") for row in observations]
    seen: dict[str, set[int]] = defaultdict(set)
    for fold, pair in zip(folds.tolist(), names, strict=True):
        for name in pair:
            seen[name].add(fold)
    out = []
    for fold, (gpu, family) in zip(folds.tolist(), names, strict=True):
        others = [bool(seen[name] - {fold}) for name in (gpu, family)]
        out.append("gpu" if others[0] else "family" if others[1] else "none")
    return out


def cross_validate(
    observations: Sequence[Observation],
    term_factors: Mapping[str, tuple[str, ...]],
    start: Mapping[str, float],
    scheme: str,
    shipped: Shipped | None = None,
) -> Floats:
    """Log residual (measured minus predicted seconds) of every observation, predicted without its group's fold.

    ``shipped`` turns the rows at some positions into what the estimator makes of them under given effects, so that
    errors are those of the answers that are given; None scores the fit itself.
    """
    fitter = Fitter(observations, term_factors, start)
    everything = fitter.solve()
    folds = folds_of(observations, scheme)
    residual = np.zeros(len(observations))
    target = np.array([row.log_seconds for row in observations])
    for fold in range(folds.max() + 1):
        held = np.flatnonzero(folds == fold)
        theta = fitter.solve(folds != fold, everything)
        base = fitter.design.base
        if shipped is not None:
            base = base.copy()
            base[held] = [row.terms for row in shipped(held.tolist(), fitter.effects(theta))]
        residual[held] = (target - fitter.design.log_seconds(theta, base))[held]
    return residual


def group_errors(observations: Sequence[Observation], residual: Floats) -> Floats:
    """Median absolute relative error of tok/s per (GPU, model) group."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row, value in zip(observations, residual, strict=True):
        groups[row.gpu, row.model].append(abs(float(np.expm1(value))))
    return np.array([float(np.median(values)) for values in groups.values()])


def error_summary(observations: Sequence[Observation], residual: Floats) -> dict[str, Any]:
    """Groups, rows, median and 90th percentile of the group errors."""
    errors = group_errors(observations, residual)
    if not len(errors):
        return {"groups": 0, "rows": 0, "median": None, "p90": None}
    return {
        "groups": len(errors),
        "rows": len(observations),
        "median": round(float(np.median(errors)), 4),
        "p90": round(float(np.quantile(errors, 0.9)), 4),
    }


def range_of(residual: Floats, spread: Floats, tail: float) -> tuple[float, float] | None:
    """Log range of tok/s in units of ``spread`` that leaves ``tail`` of the residuals out on either side.

    None when they are too few. Never the wrong side of 0: the estimate itself lies in its range.
    """
    if len(residual) < MINIMUM_RESIDUALS:
        return None
    scaled = np.sort(residual / spread)
    slow, fast = (scaled[min(int(share * len(scaled)), len(scaled) - 1)] for share in (1.0 - tail, tail))
    return round(min(-float(slow), 0.0), 4), round(max(-float(fast), 0.0), 4)


def inside(residual: Floats, spread: Floats, ends: tuple[float, float]) -> Flags:
    """Which residuals a range of :func:`range_of` holds."""
    speed = -residual / spread
    return np.asarray((speed >= ends[0]) & (speed <= ends[1]))


def held_coverage(
    names: Sequence[str], residual: Floats, spread: Floats, tail: float, of: Flags | None = None
) -> float | None:
    """Share of rows inside a range that was set without their half of ``names``, over ``SPLITS`` ways to halve them.

    ``names`` are the GPU or model of each row, whichever the range is asked to hold others of; ``of`` tells which
    rows are counted, all by default; a row counts once per way.
    """
    held = np.zeros(len(residual))
    for split in range(SPLITS):
        first = np.array([fold_of(f"{name}|range {split}", 2) == 0 for name in names])
        for counted in (first, ~first):
            ends = range_of(residual[~counted], spread[~counted], tail)
            if ends is None or not counted.any():
                return None
            held[counted] += inside(residual[counted], spread[counted], ends)
    return float(held[slice(None) if of is None else of].mean() / SPLITS)


def fair_tail(names: Sequence[str], residual: Floats, spread: Floats) -> float:
    """The tail whose range holds ``COVERAGE`` of the rows of ``names`` (GPUs or models) that did not set it.

    A range that leaves a tenth out on either side of its own data leaves more out of others': GPUs differ by more than
    rows of one. Without enough of them to tell, a tenth.
    """
    for tail in TAILS:
        held = held_coverage(names, residual, spread, tail)
        if held is None:
            return TAILS[0]
        if held >= COVERAGE:
            return tail
    return TAILS[-1]


def held_range(names: Sequence[str], residual: Floats) -> tuple[tuple[float, float], Flags | None]:
    """Multipliers of tok/s, and which rows are inside a range that was set without those of their name.

    ``residual`` is the log of measured over estimated seconds. The tail is taken whose share of rows comes nearest to
    ``COVERAGE``: a few sources spread less than further ones will, or more. Too few names say nothing of others.
    """
    of = np.asarray(names)
    if len(set(of.tolist())) < MINIMUM_NAMES:
        return _multipliers(residual, TAILS[-1]), None
    inside = {tail: _held_inside(of, residual, tail) for tail in HELD_TAILS}
    best = min(HELD_TAILS, key=lambda tail: (abs(float(inside[tail].mean()) - COVERAGE), -tail))
    return _multipliers(residual, best), inside[best]


def share_of(inside: Flags | None) -> float | None:
    """Share of rows inside, None where it is not known of which they are."""
    return None if inside is None else round(float(inside.mean()), 4)


def _held_inside(of: NDArray[np.str_], residual: Floats, tail: float) -> Flags:
    inside = np.zeros(len(residual), dtype=np.bool_)
    for name in set(of.tolist()):
        held = of == name
        low, high = _multipliers(residual[~held], tail)
        ratio = np.exp(-residual[held])
        inside[held] = (ratio >= low) & (ratio <= high)
    return inside


def _multipliers(residual: Floats, tail: float) -> tuple[float, float]:
    slow, fast = np.quantile(residual, 1.0 - tail), np.quantile(residual, tail)
    return round(min(float(np.exp(-slow)), 1.0), 4), round(max(float(np.exp(-fast)), 1.0), 4)


def row_errors(residual: Floats) -> dict[str, float]:
    """Median and 90th percentile of the relative error of tok/s over rows."""
    error = np.abs(np.expm1(residual))
    return {"median": round(float(np.median(error)), 4), "p90": round(float(np.quantile(error, 0.9)), 4)}


def measured_shift(residuals: Sequence[float]) -> float:
    """Shrunk median residual of one measured configuration, log seconds."""
    count = len(residuals)
    return round(float(np.median(residuals)) * count / (count + MEASURED_SHRINK_ROWS), 5)


def leave_one_out(
    observations: Sequence[Observation], quants: Sequence[str], residual: Floats
) -> tuple[list[int], Floats]:
    """Residual of each row after its configuration's other rows corrected it; rows alone in theirs are left out.

    A configuration is a GPU, model, quant, engine and backend.
    """
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, (row, quant) in enumerate(zip(observations, quants, strict=True)):
        groups[row.gpu, row.model, quant, row.stack].append(index)
    kept: list[int] = []
    values: list[float] = []
    for members in groups.values():
        if len(members) < 2:
            continue
        for index in members:
            others = [float(residual[other]) for other in members if other != index]
            kept.append(index)
            values.append(float(residual[index]) - measured_shift(others))
    return kept, np.array(values)
