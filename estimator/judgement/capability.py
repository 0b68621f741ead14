"""How good a model's answers are, by kind of work, on one scale from 0 to 100, with an interval of 80 %."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from estimator.calibration.capability_prior import (
    ModelTraits,
    kind_prior,
    line_of,
    release_of,
    shared_prior,
    trait_beside,
)  # fmt: skip
from estimator.calibration.scale import CENTRE_POINTS, KINDS, POINTS_PER_UNIT

DEFAULT_PATH = Path(__file__).parents[1] / "calibration" / "capability.json"
#: The intervals of models with fewer own scores are as careful as those of models that were left out of the fit.
LEAST_SCORES = 8
#: Normal quantile of an interval of 80 %.
_QUANTILE = 1.2816
#: Trait that a model without any published score is expected to lack against what its facts predict. An assumption, not
#: a fit: publishers and leaderboards show the better models first.
UNLISTED_TRAIT = 0.2
#: The same where not one model of the publisher has a score: nobody found any of them worth a benchmark.
UNLISTED_PUBLISHER_TRAIT = 0.6


class CapabilityEvidence(Enum):
    """Where a capability comes from: own scores of this kind, relatives' scores, or facts of the model alone."""

    MEASURED = "MEASURED"
    INHERITED = "INHERITED"
    PREDICTED = "PREDICTED"


@dataclass(frozen=True, slots=True)
class Capability:
    """Points of the capability scale; ``low`` and ``high`` hold the true value four times in five.

    ``plain`` is the value with thinking switched off, of models that offer both; ``scores`` counts own results.
    """

    value: float
    low: float
    high: float
    evidence: CapabilityEvidence
    scores: int = 0
    plain: float | None = None


class CapabilityTable:
    """Fitted capabilities by model and kind; any other model is predicted from its facts."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._models: Mapping[str, Any] = data["models"]
        self._prior: Mapping[str, Mapping[str, float]] = data["prior"]
        self._plain: Sequence[float] = data["modes"]["plain"]
        self._spread: Mapping[str, float] = data["spread"]
        self._factors: Mapping[str, Sequence[float]] = data["interval_factors"]
        self._lines: dict[tuple[str, str, str, bool, bool], list[ModelTraits]] = defaultdict(list)
        for slug, row in self._models.items():
            model = ModelTraits(slug, **row["facts"])
            self._lines[line_of(model)].append(model)
        self.data_hash: str = data["data_hash"]
        self.accuracy: Mapping[str, Any] = data["accuracy"]
        self.benchmarks: Mapping[str, Mapping[str, float]] = data["benchmarks"]

    @classmethod
    @lru_cache(maxsize=4)
    def load(cls, path: Path = DEFAULT_PATH) -> CapabilityTable:
        """The table of a data file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def of(self, model: ModelTraits) -> dict[str, Capability]:
        return {kind: self.of_kind(model, kind) for kind in KINDS}

    def of_kind(self, model: ModelTraits, kind: str) -> Capability:
        row, k = self._models.get(model.slug), KINDS.index(kind)
        return self._predicted(model, k) if row is None else self._fitted(row, k)

    def _fitted(self, row: Mapping[str, Any], k: int) -> Capability:
        stratum = "measured" if sum(row["scores"]) >= LEAST_SCORES else "model left out"
        half = _QUANTILE * self._factors[stratum][k] * row["sd"][k]
        scores = row["scores"][k]
        return _capability(
            row["trait"][k],
            half,
            CapabilityEvidence.MEASURED if scores else CapabilityEvidence.PREDICTED,
            scores,
            row["plain"][k] if "plain" in row else None,
        )

    def _trait_of(self, slug: str, k: int) -> tuple[float, float]:
        row = self._models[slug]
        return row["trait"][k], row["sd"][k] ** 2

    def _predicted(self, model: ModelTraits, k: int) -> Capability:
        kind = KINDS[k]
        trait = shared_prior(model, self._prior["shared"]) + kind_prior(model, self._prior[kind])
        heard_of = not model.publisher or f"publisher:{model.publisher}" in self._prior["shared"]
        trait -= UNLISTED_TRAIT if heard_of or model.parent in self._models else UNLISTED_PUBLISHER_TRAIT
        line = self._lines.get(line_of(model), ())
        traits = {other.slug: self._trait_of(other.slug, k) for other in line}
        known = f"release:{release_of(model)}" in self._prior["shared"]
        variance = self._spread[kind] ** 2 + (0.0 if known else self._spread["release"] ** 2)
        trait, variance = trait_beside(model, (trait, variance), line, traits)
        related = f"family:{model.family}" in self._prior["shared"]
        stratum = "model left out" if known else "release left out" if related else "family left out"
        half = _QUANTILE * self._factors[stratum][k] * math.sqrt(variance)
        inherited = model.parent in self._models
        evidence = CapabilityEvidence.INHERITED if inherited else CapabilityEvidence.PREDICTED
        plain = trait + self._plain[k] if model.thinking == "hybrid" else None
        return _capability(trait, half, evidence, plain=plain)


def _capability(
    trait: float, half: float, evidence: CapabilityEvidence, scores: int = 0, plain: float | None = None
) -> Capability:
    return Capability(
        round(points(trait), 1),
        round(points(trait - half), 1),
        round(points(trait + half), 1),
        evidence,
        scores,
        None if plain is None else round(points(plain), 1),
    )


def points(trait: float) -> float:
    """The scale of a latent trait, which ends at 0 and 100: models of before the fit's years lie beyond its lower end."""
    return min(max(CENTRE_POINTS + POINTS_PER_UNIT * trait, 0.0), 100.0)
