"""How wide a range is: the size that errors of a kind of case seldom exceed, by what is known of it beforehand.

The log of the size is a sum of effects (mixture of experts, backend, an engine other than llama.cpp) and of a slope on
the depth of the context. It is the quantile of absolute errors that a range should hold. Errors over their size are
comparable across cases, and one pair of ends per stratum holds its share of each kind (quantile regression: Koenker and
Bassett, Econometrica 46, 1978).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from estimator.accuracy.fitting import Observation
from estimator.calibration.intervals import DEPTH, names_of
from estimator.speed.coefficients import depth_log
from estimator.structure.arrays import Floats

#: Errors below this do not count as smaller, log seconds.
_LEAST_ERROR = 0.02
#: Share of errors below the size.
_SHARE = 0.8
#: Ridge on every effect but the level, where all rows together weigh 1.
_RIDGE = 1e-3
#: A (GPU, model) of n rows weighs n to this power: a range is asked to hold rows, but rows of one pair err alike.
_GROUP_POWER = 0.85
#: Residuals below this (log) count as this in the weights of the iteration, which smooths the corner of the loss.
_CORNER = 0.05
_ROUNDS, _SETTLED = 100, 1e-5


def fit_spread(observations: Sequence[Observation], residual: Floats) -> dict[str, float]:
    """Effects on the log of the size of an error: quantile regression of log errors by iterated least squares."""
    names = sorted({name for observation in observations for name in _names(observation)})
    column = {name: index + 2 for index, name in enumerate(names)}
    design = np.zeros((len(observations), len(names) + 2))
    design[:, 0] = 1.0
    design[:, 1] = depth_log(np.array([observation.depth_tokens for observation in observations]))
    for row, observation in enumerate(observations):
        design[row, [column[name] for name in _names(observation)]] = 1.0
    counts = Counter((observation.gpu, observation.model) for observation in observations)
    weight = np.array(
        [counts[observation.gpu, observation.model] ** (_GROUP_POWER - 1.0) for observation in observations]
    )
    weight /= weight.sum()
    penalty = np.diag([0.0] + [_RIDGE] * (design.shape[1] - 1))
    target = np.log(np.abs(residual) + _LEAST_ERROR)
    solved: Floats = np.zeros(design.shape[1])
    solved[0] = np.quantile(target, _SHARE)
    for _ in range(_ROUNDS):
        over = target - design @ solved
        pull = weight * np.where(over > 0, _SHARE, 1.0 - _SHARE) / np.maximum(np.abs(over), _CORNER)
        normal = design.T @ (design * pull[:, None]) + penalty
        before, solved = solved, np.asarray(np.linalg.solve(normal, design.T @ (pull * target)), dtype=np.float64)
        if np.abs(solved - before).max() < _SETTLED:
            break
    # A deeper context never makes an estimate surer.
    effects = {DEPTH: max(float(solved[1]), 0.0)} | dict(zip(names, solved[2:].tolist(), strict=True))
    return {name: round(value, 4) for name, value in effects.items()}


def spread(observations: Sequence[Observation], effects: Mapping[str, float]) -> Floats:
    """Size of the errors of each observation, relative to one without effects."""
    logs = [sum(effects.get(name, 0.0) for name in _names(observation)) for observation in observations]
    depth = depth_log(np.array([observation.depth_tokens for observation in observations]))
    return np.asarray(np.exp(np.array(logs) + effects.get(DEPTH, 0.0) * depth))


def _names(observation: Observation) -> tuple[str, ...]:
    return names_of(
        observation.factors.get("moe") is not None,
        str(observation.factors.get("backend")),
        observation.factors.get("engine"),
    )
