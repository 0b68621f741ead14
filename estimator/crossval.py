"""Cross-validation by whole groups, and the ranges that follow from its residuals. Deterministic: folds by hash."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.fitting import Observation, fit

Floats = NDArray[np.float64]

#: Ways to leave data out; a range for a case that is as well known as the training data of that way.
SCHEMES: Mapping[str, Callable[[Observation], str]] = {
    "pair": lambda each: f"{each.gpu}|{each.model}",
    "gpu": lambda each: each.gpu,
    "model": lambda each: each.model,
    "family": lambda each: str(each.factors["family"]),
}
#: (positions, fitted effects) -> the rows there with the terms that the estimator computes.
Shipped = Callable[[Sequence[int], Mapping[str, float]], Sequence[Observation]]
FOLDS = 6
#: Rows of one (GPU, model) group count together as n to this power in a range; 1 because coverage is counted by rows.
RANGE_GROUP_POWER = 1.0
#: Share of measured values that a range holds.
COVERAGE = 0.8
#: The mean residual of a measured configuration is pulled to 0 as if this many further rows said 0.
MEASURED_SHRINK_ROWS = 0.5
#: Fewer residuals than this make no range of their own; the next wider stratum's is taken.
MINIMUM_RESIDUALS = 40


def fold_of(key: str, folds: int = FOLDS) -> int:
    """Fold of a group, by hash of its name."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % folds


def cross_validate(
    observations: Sequence[Observation],
    term_factors: Mapping[str, tuple[str, ...]],
    start: Mapping[str, float],
    key: Callable[[Observation], str],
    shipped: Shipped | None = None,
) -> Floats:
    """Log residual (measured minus predicted seconds) of every observation, predicted without its group's fold.

    ``shipped`` turns the rows at some positions into what the estimator makes of them under given effects, so that
    errors are those of the answers that are given; None scores the fit itself.
    """
    folds = np.array([fold_of(key(each)) for each in observations])
    residual = np.zeros(len(observations))
    for fold in range(FOLDS):
        held = np.flatnonzero(folds == fold)
        if not len(held):
            continue
        trained = fit([each for each, own in zip(observations, folds, strict=True) if own != fold], term_factors, start)
        at = [int(index) for index in held]
        tested = [observations[index] for index in at] if shipped is None else shipped(at, trained.effects)
        residual[held] = np.array([each.log_seconds for each in tested]) - trained.predict(tested)
    return residual


def group_errors(observations: Sequence[Observation], residual: Floats) -> Floats:
    """Median absolute relative error of tok/s per (GPU, model) group."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for each, value in zip(observations, residual, strict=True):
        groups[each.gpu, each.model].append(abs(float(np.expm1(value))))
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


def multipliers(observations: Sequence[Observation], residual: Floats) -> tuple[float, float] | None:
    """Low and high multiplier of tok/s that hold ``COVERAGE`` of the residuals; None when they are too few."""
    if len(residual) < MINIMUM_RESIDUALS:
        return None
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for each in observations:
        counts[each.gpu, each.model] += 1
    weight = np.array([counts[each.gpu, each.model] ** (RANGE_GROUP_POWER - 1.0) for each in observations])
    tail = (1.0 - COVERAGE) / 2.0
    slow, fast = weighted_quantile(residual, weight, 1.0 - tail), weighted_quantile(residual, weight, tail)
    return round(min(float(np.exp(-slow)), 1.0), 4), round(max(float(np.exp(-fast)), 1.0), 4)


def held_coverage(observations: Sequence[Observation], residual: Floats) -> float | None:
    """Share of rows inside a range that was set without their half of the GPUs; None when they are too few."""
    halves = np.array([fold_of(each.gpu + "|range", 2) for each in observations])
    inside = np.zeros(len(residual), dtype=np.bool_)
    for half in (0, 1):
        others = np.flatnonzero(halves != half)
        found = multipliers([observations[int(index)] for index in others], residual[others])
        if found is None:
            return None
        ratio = np.exp(-residual[halves == half])
        inside[halves == half] = (ratio >= found[0]) & (ratio <= found[1])
    return float(inside.mean())


def weighted_quantile(values: Floats, weight: Floats, share: float) -> float:
    """The value below which ``share`` of the weight lies."""
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulated, share * cumulated[-1])])


def measured_shift(residuals: Sequence[float]) -> float:
    """Shrunk median residual of one measured pair, log seconds."""
    count = len(residuals)
    return round(float(np.median(residuals)) * count / (count + MEASURED_SHRINK_ROWS), 5)


def leave_one_out(
    observations: Sequence[Observation], quants: Sequence[str], residual: Floats
) -> tuple[list[int], Floats]:
    """Residual of each row after its configuration's other rows corrected it; rows alone in theirs are left out."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, (each, quant) in enumerate(zip(observations, quants, strict=True)):
        groups[each.gpu, each.model, quant].append(index)
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
