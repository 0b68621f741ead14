"""Fits the open constants: a sum of physical terms whose log coefficients are sums of shrunk effects.

The model of one observation is log t = log sum_k x_k exp(e_k) + u, with ideal seconds x_k per term, effects e_k of each
term and effects u of the whole. It is fitted by iteratively reweighted Gauss-Newton steps: every effect is pulled to 0
with a prior spread stated below (ridge), residuals beyond ``ROBUST_SCALE`` count linearly (soft L1), and observations
are weighted by the (GPU, model) group they belong to. Deterministic: no random start, fixed iterations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from estimator.calibration.effects import OVERALL_FACTORS, SLOPES, effect_name
from estimator.structure.arrays import Flags, Floats

#: Prior standard deviation of the log of an effect, by factor. A term's own level is nearly free.
PRIOR_SPREAD: Mapping[str, float] = {
    "": 1.5, "unpack": 0.25, "unpack/quant": 0.5, "unpack/backend": 0.7, "backend": 0.3, "family": 0.3,
    "family|backend": 0.2, "backend|vendor": 0.35, "quant": 0.25, "quant|vendor": 0.15, "quant|backend": 0.15,
    "quant|family": 0.12, "engine": 0.25, "server": 1.0, "engine|vendor": 0.2, "old|family": 0.1, "bf16|backend": 0.5,
    "attend/backend": 1.0, "attend/family|backend": 0.3, "layer/backend": 0.45, "expert_layer/backend": 0.45,
    "linear/family": 0.12, "attention/family": 0.12, "linear/family|backend": 0.12,
    "attention/family|backend": 0.12, "linear/chip": 0.1, "linear/quant": 0.15, "linear/quant|family": 0.08, "moe": 1.0,
    "moe|backend": 0.4, "moe|family": 0.3, "moe|quant": 0.2, "gpu": 0.04, "chip": 0.1,
    "architecture": 0.15, "architecture|vendor": 0.07, "model": 0.07, "age": 0.1, "thinness": 0.3, "power": 0.3,
    "matrix": 0.3, "feed": 0.3, "clock": 0.5, "no-flash": 1.0, "no-flash|family|backend": 0.5, "no-graphs": 2.0,
    "wide-host": 0.6, "windows": 0.3, "amdvlk": 0.5, "inline-checks": 0.3, "scheduled-between": 2.0,
}  # fmt: skip
ROBUST_SCALE = 0.08
#: A group of n rows counts as n to this power: repeated rows of one pair say less than rows of other pairs.
GROUP_POWER = 0.3
ITERATIONS = 60
_HALVINGS = 12
#: Relative gain of a step at which the fit counts as done.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured row as the fit sees it: ideal seconds per term, log of measured seconds, factor values, and what
    each of ``SLOPES`` that applies multiplies; ``stack`` is that of :func:`estimator.calibration.effects.stack_of`,
    ``source`` who measured it."""

    terms: tuple[float, ...]
    log_seconds: float
    factors: Mapping[str, str | None]
    age_years: float
    gpu: str
    model: str
    depth_tokens: float = 0.0
    slopes: Mapping[str, float] = field(default_factory=dict)
    stack: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted effects by name, log scale."""

    effects: dict[str, float]
    term_factors: Mapping[str, tuple[str, ...]]

    def predict(self, observations: Sequence[Observation]) -> Floats:
        """Log seconds of every observation; unseen effects count 0."""
        design = _Design(observations, self.term_factors, list(self.effects))
        return design.log_seconds(np.array(list(self.effects.values())))


class _Design:
    """Which effects apply to which observation, over a fixed list of effect names: sparse, about fifty a row.

    Entry e says that effect ``column[e]`` acts on part ``part[e]`` (a term, or after the last one the whole time) of row
    ``row[e]``, ``value[e]`` times.
    """

    def __init__(
        self, observations: Sequence[Observation], term_factors: Mapping[str, tuple[str, ...]], names: Sequence[str]
    ) -> None:
        self.effects = len(names)
        self.base = np.array([observation.terms for observation in observations]).reshape(len(observations), -1)
        column = {name: index for index, name in enumerate(names)}
        whole = len(term_factors)
        entries: list[tuple[int, int, int, float]] = []
        for r, observation in enumerate(observations):
            for k, (term, factors) in enumerate(term_factors.items()):
                entries += [
                    (r, column[name], k, 1.0) for name in _applying(observation, term, factors) if name in column
                ]
                for slope, value in observation.slopes.items():
                    if term in SLOPES[slope] and slope in column:
                        entries.append((r, column[slope], k, value))
            applying = _applying(observation, "whole", OVERALL_FACTORS)
            entries += [(r, column[name], whole, 1.0) for name in applying if name in column]
            age = effect_name("whole", "age", str(observation.factors.get("backend")))
            if age in column:
                entries.append((r, column[age], whole, observation.age_years))
        self.row, self.column, self.part = (
            np.array([entry[at] for entry in entries], dtype=np.int64) for at in range(3)
        )
        self.value = np.array([entry[3] for entry in entries])
        self.starts = np.searchsorted(self.row, np.arange(len(observations) + 1))

    def _parts(self, theta: Floats, base: Floats) -> tuple[Floats, Floats]:
        """Seconds of each term, shape (rows, terms), and log factor on their sum, shape (rows,)."""
        parts = self.base.shape[1] + 1
        logs: Floats = (
            np.bincount(
                self.row * parts + self.part, weights=self.value * theta[self.column], minlength=len(self.base) * parts
            )
            .reshape(-1, parts)
            .astype(np.float64)
        )
        return base * np.exp(logs[:, :-1]), logs[:, -1]

    def log_seconds(self, theta: Floats, base: Floats | None = None) -> Floats:
        """Predicted log seconds; ``base`` replaces the ideal seconds, shape (rows, terms)."""
        parts, whole = self._parts(theta, self.base if base is None else base)
        return np.asarray(np.log(np.maximum(parts.sum(1), 1e-12)) + whole)

    def linearized(self, theta: Floats) -> tuple[Floats, Any]:
        """Predicted log seconds and their Jacobian, a sparse matrix of shape (rows, effects)."""
        from scipy.sparse import csr_matrix

        parts, whole = self._parts(theta, self.base)
        total = np.maximum(parts.sum(1), 1e-12)
        share = np.column_stack([parts / total[:, None], np.ones(len(total))])
        entries = self.value * share[self.row, self.part]
        return np.log(total) + whole, csr_matrix((entries, self.column, self.starts), (len(total), self.effects))


def _applying(observation: Observation, term: str, factors: Sequence[str]) -> list[str]:
    """Names of the effects of ``factors`` on one observation."""
    return [
        effect_name(term, factor, value) for factor in factors if (value := observation.factors.get(factor)) is not None
    ]


def effect_names(observations: Sequence[Observation], term_factors: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Every effect that the observations inform, sorted."""
    names: set[str] = set()
    for observation in observations:
        for k, (term, factors) in enumerate(term_factors.items()):
            if observation.terms[k] > 0:
                names.update(_applying(observation, term, factors))
        names.update(_applying(observation, "whole", OVERALL_FACTORS))
        names.update(observation.slopes)
        if observation.age_years:
            names.add(effect_name("whole", "age", str(observation.factors.get("backend"))))
    return sorted(names)


def _factor(name: str) -> str:
    if name in SLOPES:
        return name
    return name.split("/", 1)[1].split(":", 1)[0] if "/" in name else ""


def prior_spread(name: str) -> float:
    """Prior spread of an effect: its term's own where one is stated, else that of its factor."""
    own = name.split(":", 1)[0]
    return PRIOR_SPREAD.get(own, PRIOR_SPREAD[_factor(name)])


def weights(observations: Sequence[Observation]) -> Floats:
    """Weight of each row, so that a (GPU, model) group of n rows counts n ** GROUP_POWER in all."""
    counts: dict[tuple[str, str], int] = {}
    for row in observations:
        counts[row.gpu, row.model] = counts.get((row.gpu, row.model), 0) + 1
    return np.array([counts[row.gpu, row.model] ** (GROUP_POWER - 1.0) for row in observations])


class Fitter:
    """Fits the effects of a list of observations, all of them or some; what is the same for all is laid out once.

    ``start`` holds the first guess of each term's own level, ``row_scale`` a row's noise (log).
    """

    def __init__(
        self,
        observations: Sequence[Observation],
        term_factors: Mapping[str, tuple[str, ...]],
        start: Mapping[str, float],
        row_scale: float = 0.12,
    ) -> None:
        self.observations, self.term_factors, self.row_scale = observations, term_factors, row_scale
        self.names = effect_names(observations, term_factors)
        self.design = _Design(observations, term_factors, self.names)
        self._target = np.array([row.log_seconds for row in observations])
        self._mean = np.array([start.get(name, 0.0) for name in self.names])
        self._precision = np.array([1.0 / prior_spread(name) ** 2 for name in self.names])

    def solve(self, used: Flags | None = None, first: Floats | None = None) -> Floats:
        """Effects fitted on the ``used`` observations, in the order of ``names``; ``first`` is where to start, near them."""
        from scipy import linalg

        used = np.ones(len(self.observations), dtype=np.bool_) if used is None else used
        at = np.flatnonzero(used)
        weight = np.zeros(len(used))
        weight[at] = weights([self.observations[index] for index in at.tolist()])
        theta = (self._mean if first is None else first).copy()
        loss = self._loss(theta, weight)
        for _ in range(ITERATIONS):
            predicted, jacobian = self.design.linearized(theta)
            residual = self._target - predicted
            robust = weight / np.sqrt(1.0 + (residual / ROBUST_SCALE) ** 2) / self.row_scale**2
            weighted = jacobian.multiply(robust[:, None]).tocsr()
            normal = (jacobian.T @ weighted).toarray()
            normal[np.diag_indices_from(normal)] += self._precision
            gradient = weighted.T @ residual - self._precision * (theta - self._mean)
            step = np.clip(linalg.solve(normal, gradient, assume_a="pos", overwrite_a=True), -1.0, 1.0)
            # A full step can overshoot where terms stand in for one another; a shorter one along it always helps.
            for _ in range(_HALVINGS):
                after = self._loss(theta + step, weight)
                if after < loss:
                    break
                step = step / 2.0
            else:
                break
            theta, gained, loss = theta + step, loss - after, after
            if gained < _TOLERANCE * loss:
                break
        return np.asarray(theta)

    def _loss(self, theta: Floats, weight: Floats) -> float:
        """Soft-L1 misfit of the rows plus the squared distance of the effects from their prior, in prior spreads."""
        residual = (self._target - self.design.log_seconds(theta)) / ROBUST_SCALE
        misfit = 2.0 * (ROBUST_SCALE / self.row_scale) ** 2 * (np.sqrt(1.0 + residual**2) - 1.0)
        return float(weight @ misfit + self._precision @ (theta - self._mean) ** 2)

    def effects(self, theta: Floats) -> dict[str, float]:
        """Effects by name, rounded as they are stored."""
        return {name: round(float(value), 6) for name, value in zip(self.names, theta, strict=True)}


def fit(
    observations: Sequence[Observation],
    term_factors: Mapping[str, tuple[str, ...]],
    start: Mapping[str, float],
    row_scale: float = 0.12,
) -> Fit:
    """Fit all effects on all observations; see :class:`Fitter`."""
    fitter = Fitter(observations, term_factors, start, row_scale)
    return Fit(fitter.effects(fitter.solve()), term_factors)
