"""How wide a range is: the usual size of an error, by what is known of a case beforehand.

The log of the size is a sum of effects (mixture of experts, backend, an engine other than llama.cpp) and of a slope on
the depth of the context. Dividing errors by it makes cases of all kinds comparable, so that one pair of quantiles per
stratum holds its share of each kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.fitting import Observation

Floats = NDArray[np.float64]

#: Depth at which the slope has reached log 2, tokens.
DEPTH_SCALE_TOKENS = 4096.0
DEPTH = "depth"
#: Errors below this do not count as smaller, log seconds.
_LEAST_ERROR = 0.02
#: Ridge on every effect but the level, in groups of (GPU, model).
_RIDGE = 3.0
_GROUP_POWER = 0.35


def names_of(is_moe: bool, backend: str, engine: str | None) -> tuple[str, ...]:
    """Names of the effects that apply to a case; ``engine`` is None for llama.cpp and its fronts."""
    found = [f"backend:{backend}"]
    if is_moe:
        found.append("moe")
    if engine is not None:
        found.append("engine")
    return tuple(found)


def depth_log(depth_tokens: Any) -> Any:
    """What the depth slope multiplies, 0 at an empty context; elementwise."""
    return np.log1p(np.maximum(depth_tokens, 0.0) / DEPTH_SCALE_TOKENS)


def fit_spread(observations: Sequence[Observation], residual: Floats) -> dict[str, float]:
    """Effects on the log of the size of an error; ridge regression on log errors, each (GPU, model) counted alike."""
    names = sorted({name for each in observations for name in _names(each)})
    column = {name: index + 2 for index, name in enumerate(names)}
    design = np.zeros((len(observations), len(names) + 2))
    design[:, 0] = 1.0
    design[:, 1] = depth_log(np.array([each.depth_tokens for each in observations]))
    for row, each in enumerate(observations):
        design[row, [column[name] for name in _names(each)]] = 1.0
    counts = Counter((each.gpu, each.model) for each in observations)
    weight = np.array([counts[each.gpu, each.model] ** (_GROUP_POWER - 1.0) for each in observations])
    penalty = np.diag([0.0] + [_RIDGE] * (design.shape[1] - 1))
    target = np.log(np.abs(residual) + _LEAST_ERROR)
    solved = np.linalg.solve(design.T @ (design * weight[:, None]) + penalty, design.T @ (weight * target))
    # A deeper context never makes an estimate surer.
    effects = {DEPTH: max(float(solved[1]), 0.0)} | dict(zip(names, solved[2:].tolist(), strict=True))
    return {name: round(value, 4) for name, value in effects.items()}


def spread(observations: Sequence[Observation], effects: Mapping[str, float]) -> Floats:
    """Size of the errors of each observation, relative to one without effects."""
    logs = [sum(effects.get(name, 0.0) for name in _names(each)) for each in observations]
    depth = depth_log(np.array([each.depth_tokens for each in observations]))
    return np.asarray(np.exp(np.array(logs) + effects.get(DEPTH, 0.0) * depth))


def _names(each: Observation) -> tuple[str, ...]:
    return names_of(each.factors.get("moe") is not None, str(each.factors.get("backend")), each.factors.get("engine"))
