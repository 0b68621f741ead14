"""Fits capability: a latent trait per model and kind of work, seen through benchmarks of unlike difficulty and slope.

The log odds of a score above chance are ``slope * (trait + mode) + easiness + thinking gain + noise``. The trait of a
kind is a shared trait plus a deviation of the kind, both with a linear prior (size, date, post-training, family, release,
publisher). A model has effects of its own for the plain mode of a hybrid thinker, for scores of a model that always
thinks but was kept from it, for its base model, and for scores that its vendor reports, which models of a family share
in part; scores of one benchmark family share an error. Given the benchmarks' parameters all of that is Gaussian and
solved exactly per model; parameters and traits are fitted in turn (expectation maximisation), with residuals of
Student's t. The spreads are stated, not fitted: they were chosen by how well half of a model's benchmark families
predicts the other half. Deterministic: fixed iterations, no random start.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from estimator.accuracy.capability.cells import Benchmark, Cell
from estimator.calibration.capability_prior import (
    KIND_TERMS,
    SHARED_TERMS,
    ModelTraits,
    kind_terms,
    release_of,
    shared_terms,
)  # fmt: skip
from estimator.calibration.scale import KINDS, MEAN_SLOPE
from estimator.structure.arrays import Floats, Ints

#: Effects of one model, in this order: shared trait, deviations of the kinds, plain mode, thinking cut off, base model,
#: vendor's scores.
EFFECTS: tuple[str, ...] = ("shared", *KINDS, "plain", "cut", "base", "vendor")
MODES: tuple[str, ...] = ("plain", "cut", "base", "vendor")
_FIRST_MODE = 1 + len(KINDS)
#: Spread of each effect around its prior; ``release`` is that of what the models of one release share, ``family`` that of the
#: error that benchmarks of one family share.
SPREAD: Mapping[str, float] = {
    "shared": 0.19, "release": 0.16, "general": 0.12, "coding": 0.15, "agentic": 0.25, "reasoning": 0.15, "long_context": 0.2,
    "plain": 0.25, "cut": 0.8, "base": 0.3, "vendor": 0.2, "family": 0.2,
}  # fmt: skip
#: Spread of what the vendor's scores of all models of a family share: a report is made in one way.
_VENDOR_OF_FAMILY_SPREAD = 0.25
#: A model without known facts (closed, or not in the catalog) only ties benchmarks together.
_UNKNOWN_SPREAD = 1.5
#: Prior of what a mode adds to the trait, by kind: mean (in the order of ``KINDS``), spread of the mean, of a kind.
_MODE_PRIOR: Mapping[str, tuple[tuple[float, ...], float, float]] = {
    "plain": ((-0.3, -0.3, -0.3, -0.7, -0.4), 0.3, 0.15),
    "cut": ((-1.0, -0.8, -0.5, -1.4, -1.0), 0.5, 0.3),
    "base": ((-0.4,) * 5, 0.2, 0.1),
    "vendor": ((0.1,) * 5, 0.1, 0.1),
}
_TERM_SPREAD: Mapping[str, float] = {
    "level": 5.0, "total squared": 0.1, "date squared": 0.05, "date total": 0.1, "thinks date": 0.2, "thinks total": 0.1,
}  # fmt: skip
_GROUP_SPREAD: Mapping[str, float] = {"family": 0.2, "publisher": 0.2, "release": SPREAD["release"]}
_PUBLISHER_DATE_SPREAD = 0.4
_KIND_TERM_SPREAD, _KIND_GROUP_SPREAD = 0.3, 0.12
#: Slopes: spread around 1 for a benchmark alone, around the mean of its releases for one of several.
_SLOPE_SPREAD, _RELEASE_SLOPE_SPREAD, _LEAST_SLOPE = 0.3, 0.12, 0.35
_SERIES_WEIGHT = 10.0
_THINKING_GAIN_SPREAD = 0.6
_NOISE, _NOISE_WEIGHT, _LEAST_NOISE = 0.06, 4.0, 0.01
#: Degrees of freedom of the residuals, and the squared residual beyond which an outlier loses no more weight.
_FREEDOM, _MOST_SQUARED = 4.0, 40.0
ITERATIONS = 60


@dataclass(slots=True)
class Items:
    """Parameters of the benchmarks, arrays in the order of ``slugs``."""

    slugs: list[str]
    slope: Floats
    easiness: Floats
    thinking_gain: Floats
    noise: Floats


@dataclass(slots=True)
class CapabilityFit:
    """Fitted benchmarks, prior and modes; ``mean`` (models, effects) and ``covariance`` (models, effects, effects).

    ``vendors`` has by family what vendors' scores of it are above those of vendors at large.
    """

    items: Items
    shared_terms: dict[str, float]
    kind_terms: list[dict[str, float]]
    modes: dict[str, Floats]
    vendors: dict[str, float]
    models: list[str]
    mean: Floats
    covariance: Floats
    index: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.index = {slug: i for i, slug in enumerate(self.models)}

    def trait(self, slug: str, kind: int) -> tuple[float, float]:
        """Mean and variance of a model's trait in its default mode."""
        i = self.index[slug]
        of = [0, 1 + kind]
        return float(self.mean[i, of].sum()), float(self.covariance[i][np.ix_(of, of)].sum())


class _Design:
    """The cells as arrays, and the groups that the steps go through."""

    def __init__(
        self, cells: Sequence[Cell], benchmarks: Mapping[str, Benchmark], models: Mapping[str, ModelTraits]
    ) -> None:
        self.slugs = sorted({cell.benchmark for cell in cells})
        self.models = sorted({cell.model for cell in cells})
        self.known = [slug for slug in self.models if slug in models]
        at = {slug: i for i, slug in enumerate(self.models)}
        place = {slug: j for j, slug in enumerate(self.slugs)}
        self.known_rows = np.array([at[slug] for slug in self.known], dtype=np.int64)
        self.item = np.array([place[cell.benchmark] for cell in cells])
        self.item_kind = np.array([KINDS.index(benchmarks[slug].kind) for slug in self.slugs])
        self.kind = self.item_kind[self.item]
        self.y = np.array([cell.log_odds for cell in cells])
        self.sampling = np.array([cell.variance for cell in cells])
        self.thinks = np.array([cell.thinks for cell in cells])
        self.mode = {mode: np.array([getattr(cell, mode) for cell in cells]) for mode in MODES}
        self.effects = np.zeros((len(cells), len(EFFECTS)))
        self.effects[:, 0] = 1.0
        self.effects[np.arange(len(cells)), 1 + self.kind] = 1.0
        for m, mode in enumerate(MODES):
            self.effects[:, _FIRST_MODE + m] = self.mode[mode]
        rows: dict[int, list[int]] = defaultdict(list)
        for n, cell in enumerate(cells):
            rows[at[cell.model]].append(n)
        self.rows = [np.array(rows[i]) for i in range(len(self.models))]
        families = np.array([benchmarks[cell.benchmark].family for cell in cells])
        self.families = [_one_hot(families[of]) for of in self.rows]
        self.item_rows = [np.flatnonzero(self.item == j) for j in range(len(self.slugs))]
        series = [re.sub(r"-20\d\d-\d\d-\d\d$", "", slug) for slug in self.slugs]
        self.series = [
            np.array([j for j, name in enumerate(series) if name == benchmark]) for benchmark in sorted(set(series))
        ]
        self.prior_variance = np.tile([SPREAD[name] ** 2 for name in EFFECTS], (len(self.models), 1))
        for i, slug in enumerate(self.models):
            if slug not in models:
                self.prior_variance[i, 0] = _UNKNOWN_SPREAD**2
        # A model without known facts is a family of its own.
        self.family = [models[slug].family if slug in models else slug for slug in self.models]
        self.reported = np.array([bool(self.mode["vendor"][rows].any()) for rows in self.rows])
        self.shared = _Prior([models[slug] for slug in self.known], kind=False)
        self.of_kind = _Prior([models[slug] for slug in self.known], kind=True)


class _Prior:
    """Linear terms of known models: named columns, and the spread of each coefficient."""

    def __init__(self, models: Sequence[ModelTraits], *, kind: bool) -> None:
        terms = KIND_TERMS if kind else SHARED_TERMS
        values = np.array([(kind_terms if kind else shared_terms)(model) for model in models]).reshape(-1, len(terms))
        self.names = list(terms)
        spread = [_KIND_TERM_SPREAD if kind else _TERM_SPREAD.get(term, 1.0) for term in terms]
        columns = [values]
        groups = [(prefix, [getattr(model, prefix) for model in models]) for prefix in ("family", "publisher")]
        for prefix, of in groups if kind else [*groups, ("release", [release_of(model) for model in models])]:
            names = sorted(set(of))
            columns.append(_one_hot(np.array(of)))
            self.names += [f"{prefix}:{name}" for name in names]
            spread += [_KIND_GROUP_SPREAD if kind else _GROUP_SPREAD[prefix]] * len(names)
            if prefix == "publisher" and not kind:
                columns.append(columns[-1] * values[:, [SHARED_TERMS.index("date")]])
                self.names += [f"date|publisher:{name}" for name in names]
                spread += [_PUBLISHER_DATE_SPREAD] * len(names)
        self.columns = np.hstack(columns)
        self.precision = np.diag(1.0 / np.square(spread))

    def solve(self, target: Floats, variance: float, rows: Ints) -> Floats:
        """Coefficients by ridge regression on some of the models."""
        of = self.columns[rows]
        solved: Floats = np.linalg.solve(of.T @ of / variance + self.precision, of.T @ target / variance)
        return solved


def _one_hot(names: NDArray[np.str_]) -> Floats:
    hot: Floats = (names[:, None] == np.unique(names)[None, :]).astype(float)
    return hot


class _State:
    """Parameters that the iterations change."""

    def __init__(self, design: _Design, start: CapabilityFit | None) -> None:
        count = len(design.slugs)
        medians = np.array([np.median(design.y[rows]) for rows in design.item_rows])
        self.items = Items(design.slugs, np.ones(count), medians, np.zeros(count), np.full(count, 0.15))
        self.series_slope, self.series_gain = np.ones(count), np.zeros(count)
        self.modes = {mode: np.array(_MODE_PRIOR[mode][0]) for mode in MODES}
        self.vendors = dict.fromkeys(design.family, 0.0)
        self.weight = np.ones(len(design.y))
        self.shared = np.zeros(len(design.shared.names))
        self.shared[1:3], self.shared[4] = 0.4, 0.8
        self.of_kind = [np.zeros(len(design.of_kind.names)) for _ in KINDS]
        self.mean = np.zeros((len(design.models), len(EFFECTS)))
        self.covariance = np.zeros((len(design.models), len(EFFECTS), len(EFFECTS)))
        if start is not None:
            self._go_on(design, start)

    def _go_on(self, design: _Design, start: CapabilityFit) -> None:
        places = {slug: j for j, slug in enumerate(start.items.slugs)}
        for j, slug in enumerate(design.slugs):
            if slug in places:
                for name in ("slope", "easiness", "thinking_gain", "noise"):
                    getattr(self.items, name)[j] = getattr(start.items, name)[places[slug]]
        self.modes = {mode: values.copy() for mode, values in start.modes.items()}
        self.vendors |= {family: start.vendors[family] for family in self.vendors if family in start.vendors}
        self.shared = np.array([start.shared_terms.get(name, 0.0) for name in design.shared.names])
        self.of_kind = [np.array([terms.get(name, 0.0) for name in design.of_kind.names]) for terms in start.kind_terms]


def fit_capability(
    cells: Sequence[Cell],
    benchmarks: Mapping[str, Benchmark],
    models: Mapping[str, ModelTraits],
    *,
    start: CapabilityFit | None = None,
    iterations: int = ITERATIONS,
    results_only: bool = False,
) -> CapabilityFit:
    """Fit all cells. With ``start`` the iterations go on from a fit; none of them leaves its parameters and only
    places the models. ``results_only`` forgets the linear prior: traits then come from the cells alone."""
    design = _Design(cells, benchmarks, models)
    state = _State(design, start)
    if results_only:
        design.prior_variance[:, 0] = _UNKNOWN_SPREAD**2
        state.shared[:] = 0.0
    for _ in range(iterations):
        trait, variance, error = _place_models(design, state)
        _fit_items(design, state, trait, variance, error)
        _fit_modes(design, state, trait, error)
        _fit_prior(design, state)
        _fix_unit(design, state)
    _place_models(design, state)
    return CapabilityFit(
        state.items,
        dict(zip(design.shared.names, state.shared.tolist(), strict=True)),
        [dict(zip(design.of_kind.names, terms.tolist(), strict=True)) for terms in state.of_kind],
        state.modes,
        state.vendors,
        design.models,
        state.mean,
        state.covariance,
    )


def _mode_of_cells(design: _Design, state: _State) -> Floats:
    total: Floats = sum((design.mode[mode] * state.modes[mode][design.kind] for mode in MODES), np.zeros(len(design.y)))
    return total


def _place_models(design: _Design, state: _State) -> tuple[Floats, Floats, Floats]:
    """Posterior of every model's effects; returns each cell's trait with its mode, its variance, and family error."""
    prior = np.zeros_like(state.mean)
    prior[design.known_rows, 0] = design.shared.columns @ state.shared
    for k in range(len(KINDS)):
        prior[design.known_rows, 1 + k] = design.of_kind.columns @ state.of_kind[k]
    prior[:, EFFECTS.index("vendor")] = [state.vendors[family] for family in design.family]
    items, mode = state.items, _mode_of_cells(design, state)
    slope = items.slope[design.item]
    noise = items.noise[design.item] + design.sampling
    centred = design.y - items.easiness[design.item] - items.thinking_gain[design.item] * design.thinks - slope * mode
    trait, variance, error = (np.zeros(len(design.y)) for _ in range(3))
    count = len(EFFECTS)
    for i, rows in enumerate(design.rows):
        of = np.hstack([design.effects[rows], design.families[i]]) * slope[rows, None]
        shared = np.full(design.families[i].shape[1], 1.0 / SPREAD["family"] ** 2)
        precision = np.concatenate([1.0 / design.prior_variance[i], shared])
        expected = np.concatenate([prior[i], np.zeros(len(shared))])
        weight = state.weight[rows] / noise[rows]
        covariance = np.linalg.inv(of.T @ (of * weight[:, None]) + np.diag(precision))
        mean = covariance @ (of.T @ (weight * centred[rows]) + precision * expected)
        state.mean[i], state.covariance[i] = mean[:count], covariance[:count, :count]
        effects = design.effects[rows]
        trait[rows] = effects @ mean[:count] + mode[rows]
        variance[rows] = np.einsum("ij,jk,ik->i", effects, covariance[:count, :count], effects)
        error[rows] = of[:, count:] @ mean[count:]
        squared = (centred[rows] - of @ mean) ** 2 + np.einsum("ij,jk,ik->i", of, covariance, of)
        state.weight[rows] = (_FREEDOM + 1.0) / (_FREEDOM + np.minimum(squared / noise[rows], _MOST_SQUARED))
    return trait, variance, error


def _fit_items(design: _Design, state: _State, trait: Floats, variance: Floats, error: Floats) -> None:
    """Slope, easiness, thinking gain and noise of each benchmark, given the traits."""
    items = state.items
    spread = np.full(len(design.slugs), _SLOPE_SPREAD)
    for of in design.series:
        if len(of) > 1:
            rows = np.array([len(design.item_rows[j]) for j in of])
            state.series_slope[of] = (_SERIES_WEIGHT + (items.slope[of] * rows).sum()) / (_SERIES_WEIGHT + rows.sum())
            state.series_gain[of] = (items.thinking_gain[of] * rows).sum() / (_SERIES_WEIGHT + rows.sum())
            spread[of] = _RELEASE_SLOPE_SPREAD
    target = design.y - error
    weight = state.weight / (items.noise[design.item] + design.sampling)
    for j, rows in enumerate(design.item_rows):
        w, s, z, t = weight[rows], trait[rows], design.thinks[rows], target[rows]
        columns = np.stack([s, np.ones(len(s)), z], axis=1)
        left = columns.T @ (columns * w[:, None])
        left[0, 0] += (w * variance[rows]).sum()
        precision = np.array([1.0 / spread[j] ** 2, 1.0 / 9.0, 1.0 / _THINKING_GAIN_SPREAD**2])
        left += np.diag(precision)
        right = columns.T @ (w * t) + precision * (state.series_slope[j], 0.0, state.series_gain[j])
        terms = np.linalg.solve(left, right)
        if terms[0] < _LEAST_SLOPE:
            terms[0] = _LEAST_SLOPE
            terms[1:] = np.linalg.solve(left[1:, 1:], right[1:] - left[1:, 0] * _LEAST_SLOPE)
        items.slope[j], items.easiness[j], items.thinking_gain[j] = terms
        left_over = (t - columns @ terms) ** 2 + terms[0] ** 2 * variance[rows] - design.sampling[rows]
        noise = ((state.weight[rows] * left_over).sum() + _NOISE_WEIGHT * _NOISE) / (len(rows) + _NOISE_WEIGHT)
        items.noise[j] = max(noise, _LEAST_NOISE)
    _centre_thinking_gains(design, items)


def _centre_thinking_gains(design: _Design, items: Items) -> None:
    """The mean gain of thinking belongs to the trait; benchmarks keep how far their own gain is from it."""
    thinking = np.array([design.thinks[rows].sum() for rows in design.item_rows])
    plain = np.array([(1.0 - design.thinks[rows]).sum() for rows in design.item_rows])
    weight = thinking * plain / (thinking + plain)
    for k in range(len(KINDS)):
        of = design.item_kind == k
        if weight[of].sum() > 0:
            mean = (weight[of] * items.thinking_gain[of] / items.slope[of]).sum() / weight[of].sum()
            items.thinking_gain[of] -= mean * items.slope[of]


def _fit_modes(design: _Design, state: _State, trait: Floats, error: Floats) -> None:
    """Gain of a mode on the trait, by kind; the mean over models moves from their effects into it."""
    items = state.items
    slope, noise = items.slope[design.item], items.noise[design.item] + design.sampling
    rest = (
        design.y
        - error
        - slope * trait
        - items.easiness[design.item]
        - items.thinking_gain[design.item] * design.thinks
    )
    for m, mode in enumerate(MODES):
        prior, spread, kind_spread = _MODE_PRIOR[mode]
        share = design.mode[mode]
        has = np.array([i for i, rows in enumerate(design.rows) if share[rows].any()], dtype=np.int64)
        if not len(has):
            continue
        own = state.mean[has, _FIRST_MODE + m]
        pull = SPREAD[mode] ** 2 / len(has)
        shift = (own.mean() / pull + (np.mean(prior) - state.modes[mode].mean()) / spread**2) / (
            1.0 / pull + 1.0 / spread**2
        )
        state.modes[mode] = state.modes[mode] + shift
        if mode == "vendor":
            _fit_vendors(design, state, shift)
        for k in range(len(KINDS)):
            of = (design.kind == k) & (share > 0)
            gain = slope[of] * share[of]
            w = state.weight[of] / noise[of]
            away = state.modes[mode][k] - prior[k] - (state.modes[mode] - prior).mean()
            state.modes[mode][k] += ((w * gain * rest[of]).sum() - away / kind_spread**2) / (
                (w * gain**2).sum() + 1.0 / kind_spread**2
            )


def _fit_vendors(design: _Design, state: _State, shift: float) -> None:
    """What vendors' scores of each family are above those of all, after ``shift`` of the latter."""
    own: dict[str, list[float]] = defaultdict(list)
    for i in np.flatnonzero(design.reported):
        own[design.family[i]].append(float(state.mean[i, EFFECTS.index("vendor")]) - shift)
    pull = (SPREAD["vendor"] / _VENDOR_OF_FAMILY_SPREAD) ** 2
    state.vendors = {family: sum(own[family]) / (len(own[family]) + pull) for family in state.vendors}


def _fit_prior(design: _Design, state: _State) -> None:
    everyone = np.arange(len(design.known))
    shared = state.mean[design.known_rows, 0]
    state.shared = design.shared.solve(shared, SPREAD["shared"] ** 2, everyone)
    for k, kind in enumerate(KINDS):
        of = [n for n, i in enumerate(design.known_rows) if (design.kind[design.rows[i]] == k).any()]
        rows = np.array(of, dtype=np.int64)
        if len(rows):
            target = state.mean[design.known_rows[rows], 1 + k]
            state.of_kind[k] = design.of_kind.solve(target, SPREAD[kind] ** 2, rows)


def _fix_unit(design: _Design, state: _State) -> None:
    unit = float(state.items.slope[design.item].mean()) / MEAN_SLOPE
    state.items.slope /= unit
    state.series_slope /= unit
    state.shared *= unit
    state.of_kind = [terms * unit for terms in state.of_kind]
    state.modes = {mode: values * unit for mode, values in state.modes.items()}
