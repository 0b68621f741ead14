"""Benchmark results as the capability fit sees them: one cell a model, benchmark, mode and measurer, on a log-odds scale."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from estimator.calibration.capability_prior import ModelTraits

#: Scores at chance or at the ceiling say little; shares are kept this far from both.
_EDGE = 0.004
_EDGE_BY_CHANCE = 0.02
_DEFAULT_QUESTIONS = 300
#: Beyond this many questions the spread of a score comes from prompts and harnesses, not from sampling.
_MOST_QUESTIONS = 1500
_ELO_CENTRE, _ELO_UNIT = 1500.0, 400.0 / math.log(10.0)
_ELO_VARIANCE = 0.05
#: Share of the thinking mode that a result of a hybrid model counts as when its mode is not stated.
UNSTATED_THINKS = 0.7
_UNSTATED_VARIANCE = 0.1


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of one version. ``chance`` and ``ceiling`` in percent, null for Elo; benchmarks of one ``family`` share
    questions or a harness, so that their errors go together."""

    slug: str
    name: str
    kind: str
    family: str
    scale: str
    chance: float | None = None
    ceiling: float | None = None
    questions: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One published score. ``mode``: plain, thinking, base (the model before its post-training) or unstated."""

    model: str
    benchmark: str
    mode: str
    measured_by: str
    value: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A score as log odds above chance, with its sampling variance and the shares of the modes in it.

    ``plain``: a thinking model that answers without thinking, as it can; ``cut``: one that always thinks, kept from it.
    """

    model: str
    benchmark: str
    log_odds: float
    variance: float
    plain: float
    cut: float
    base: float
    vendor: float
    thinks: float


def cells_of(
    results: Iterable[Result], benchmarks: Mapping[str, Benchmark], models: Mapping[str, ModelTraits]
) -> list[Cell]:
    """Cells in a fixed order: the median of the scores of one model, benchmark, mode and measurer."""
    scores: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for result in results:
        key = (result.model, result.benchmark, result.mode, result.measured_by)
        scores[key].append(_log_odds(result.value, benchmarks[result.benchmark]))
    medians = {key: median(values) for key, values in sorted(scores.items())}
    # Aggregators repeat scores of the base model as those of the chat model.
    base = {(key[:2], value) for key, value in medians.items() if key[2] == "base"}
    return [
        _cell(key, value, benchmarks[key[1]], models.get(key[0]))
        for key, value in medians.items()
        if key[2] == "base" or key[3] != "vendor" or (key[:2], value) not in base
    ]


def _log_odds(value: float, benchmark: Benchmark) -> float:
    if benchmark.chance is None or benchmark.ceiling is None:
        return (value - _ELO_CENTRE) / _ELO_UNIT
    questions = benchmark.questions or _DEFAULT_QUESTIONS
    share = (value - benchmark.chance) / (benchmark.ceiling - benchmark.chance)
    low = _EDGE_BY_CHANCE if benchmark.chance else max(0.5 / (questions + 2), _EDGE)
    share = min(max(share, low), 1.0 - max(0.5 / questions, _EDGE))
    return math.log(share / (1.0 - share))


def _cell(key: tuple[str, str, str, str], log_odds: float, benchmark: Benchmark, model: ModelTraits | None) -> Cell:
    slug, name, mode, measured_by = key
    variance = _ELO_VARIANCE
    if benchmark.chance is not None:
        share = 1.0 / (1.0 + math.exp(-log_odds))
        questions = min(benchmark.questions or _DEFAULT_QUESTIONS, _MOST_QUESTIONS)
        variance = 1.0 / (questions * share * (1.0 - share))
    cell = Cell(slug, name, log_odds, variance, 0.0, 0.0, 0.0, float(measured_by == "vendor"), 0.0)
    thinking = model.thinking if model else "never"
    if mode == "base":
        return replace(cell, base=float(model is None or not model.base))
    if mode == "plain" and thinking != "never":
        return replace(cell, plain=1.0) if thinking == "hybrid" else replace(cell, cut=1.0)
    if thinking == "always" or mode == "thinking":
        return replace(cell, thinks=1.0)
    if thinking == "hybrid" and mode == "unstated":
        return replace(
            cell, thinks=UNSTATED_THINKS, plain=1.0 - UNSTATED_THINKS, variance=variance + _UNSTATED_VARIANCE
        )
    return cell
