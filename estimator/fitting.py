"""Fits the open constants: a sum of physical terms whose log coefficients are sums of shrunk effects.

The model of one observation is log t = log sum_k x_k exp(e_k) + u, with ideal seconds x_k per term, effects e_k of each
term and effects u of the whole. It is fitted by iteratively reweighted Gauss-Newton steps: every effect is pulled to 0
with a prior spread stated below (ridge), residuals beyond ``ROBUST_SCALE`` count linearly (soft L1), and observations
are weighted by the (GPU, model) group they belong to. Deterministic: no random start, fixed iterations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.effects import OVERALL_FACTORS, effect_name

Floats = NDArray[np.float64]

#: Prior standard deviation of the log of an effect, by factor. A term's own level is nearly free.
PRIOR_SPREAD: Mapping[str, float] = {
    "": 1.5, "unpack": 0.25, "unpack/quant": 0.5, "backend": 0.3, "family": 0.3, "family|backend": 0.2, "quant": 0.25,
    "quant|vendor": 0.15, "quant|family": 0.15, "engine": 0.4, "engine|vendor": 0.2, "old|family": 0.4, "moe": 0.6,
    "moe|backend": 0.25, "moe|family": 0.2, "moe|quant": 0.2, "gpu": 0.17, "architecture": 0.10,
    "architecture|vendor": 0.07, "model": 0.07, "age": 0.1, "thinness": 0.3,
}  # fmt: skip
ROBUST_SCALE = 0.08
#: A group of n rows counts as n to this power: repeated rows of one pair say less than rows of other pairs.
GROUP_POWER = 0.35
ITERATIONS = 16
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured row as the fit sees it: ideal seconds per term, log of measured seconds, factor values."""

    terms: tuple[float, ...]
    log_seconds: float
    factors: Mapping[str, str | None]
    age_years: float
    thinness: float
    gpu: str
    model: str


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted effects by name, log scale."""

    effects: dict[str, float]
    term_factors: Mapping[str, tuple[str, ...]]

    def predict(self, observations: Sequence[Observation]) -> Floats:
        """Log seconds of every observation; unseen effects count 0."""
        design = _Design(observations, self.term_factors, list(self.effects))
        theta = np.array(list(self.effects.values()))
        return design.log_seconds(theta)[0]


class _Design:
    """Dense design matrices of the terms and of the whole, over a fixed list of effect names."""

    def __init__(
        self, observations: Sequence[Observation], term_factors: Mapping[str, tuple[str, ...]], names: Sequence[str]
    ) -> None:
        self.names = list(names)
        column = {name: index for index, name in enumerate(self.names)}
        rows = len(observations)
        self.base = np.array([each.terms for each in observations])
        self.term = [np.zeros((rows, len(self.names))) for _ in term_factors]
        self.whole = np.zeros((rows, len(self.names)))
        for r, each in enumerate(observations):
            for k, (term, factors) in enumerate(term_factors.items()):
                for factor in factors:
                    value = each.factors.get(factor)
                    if value is not None and (name := effect_name(term, factor, value)) in column:
                        self.term[k][r, column[name]] = 1.0
                if term == "linear" and "thinness" in column:
                    self.term[k][r, column["thinness"]] = each.thinness
            for factor in OVERALL_FACTORS:
                value = each.factors.get(factor)
                if value is not None and (name := effect_name("whole", factor, value)) in column:
                    self.whole[r, column[name]] = 1.0
            age = effect_name("whole", "age", str(each.factors.get("backend")))
            if age in column:
                self.whole[r, column[age]] = each.age_years

    def log_seconds(self, theta: Floats) -> tuple[Floats, Floats]:
        """Predicted log seconds and their Jacobian."""
        parts = np.stack([self.base[:, k] * np.exp(x @ theta) for k, x in enumerate(self.term)], axis=1)
        total = np.maximum(parts.sum(1), 1e-12)
        jacobian = self.whole.copy()
        for k, x in enumerate(self.term):
            jacobian += (parts[:, k] / total)[:, None] * x
        return np.log(total) + self.whole @ theta, jacobian


def effect_names(observations: Sequence[Observation], term_factors: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Every effect that the observations inform, sorted."""
    names: set[str] = set()
    for each in observations:
        for k, (term, factors) in enumerate(term_factors.items()):
            if each.terms[k] <= 0:
                continue
            names.update(
                effect_name(term, factor, value)
                for factor in factors
                if (value := each.factors.get(factor)) is not None
            )
        names.update(
            effect_name("whole", factor, value)
            for factor in OVERALL_FACTORS
            if (value := each.factors.get(factor)) is not None
        )
        if each.age_years:
            names.add(effect_name("whole", "age", str(each.factors.get("backend"))))
    if "linear" in term_factors:
        names.add("thinness")
    return sorted(names)


def _factor(name: str) -> str:
    if name == "thinness":
        return name
    return name.split("/", 1)[1].split(":", 1)[0] if "/" in name else ""


def prior_spread(name: str) -> float:
    """Prior spread of an effect: its term's own where one is stated, else that of its factor."""
    own = name.split(":", 1)[0]
    return PRIOR_SPREAD.get(own, PRIOR_SPREAD[_factor(name)])


def weights(observations: Sequence[Observation]) -> Floats:
    """Weight of each row, so that a (GPU, model) group of n rows counts n ** GROUP_POWER in all."""
    counts: dict[tuple[str, str], int] = {}
    for each in observations:
        counts[each.gpu, each.model] = counts.get((each.gpu, each.model), 0) + 1
    return np.array([counts[each.gpu, each.model] ** (GROUP_POWER - 1.0) for each in observations])


def fit(
    observations: Sequence[Observation],
    term_factors: Mapping[str, tuple[str, ...]],
    start: Mapping[str, float],
    row_scale: float = 0.12,
) -> Fit:
    """Fit all effects; ``start`` holds the first guess of each term's own level, ``row_scale`` a row's noise (log)."""
    names = effect_names(observations, term_factors)
    design = _Design(observations, term_factors, names)
    target = np.array([each.log_seconds for each in observations])
    prior_mean = np.array([start.get(name, 0.0) for name in names])
    precision = np.array([1.0 / prior_spread(name) ** 2 for name in names])
    weight = weights(observations)
    theta = prior_mean.copy()
    for _ in range(ITERATIONS):
        predicted, jacobian = design.log_seconds(theta)
        residual = target - predicted
        robust = weight / np.sqrt(1.0 + (residual / ROBUST_SCALE) ** 2) / row_scale**2
        normal = jacobian.T @ (jacobian * robust[:, None])
        normal[np.diag_indices_from(normal)] += precision
        gradient = jacobian.T @ (robust * residual) - precision * (theta - prior_mean)
        step = np.clip(np.linalg.solve(normal, gradient), -0.5, 0.5)
        theta = theta + step
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    return Fit({name: round(float(value), 6) for name, value in zip(names, theta, strict=True)}, term_factors)
