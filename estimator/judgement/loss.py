"""What a quantization and a KV-cache type cost: divergence in nats a token, and points of the capability scale."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.capability_prior import MEAN_SLOPE, ModelTraits
from estimator.calibration.divergence import (
    CACHE_BITS,
    MOST_BITS,
    QuantForm,
    cache_terms,
    divergence_terms,
    form_of,
    log_divergence,
    zone_of,
)  # fmt: skip
from estimator.judgement.capability import POINTS_PER_UNIT
from estimator.types import CacheType, Quant

DEFAULT_PATH = Path(__file__).parents[1] / "calibration" / "loss.json"
#: Share of the score above chance that is left after D nats is exp(-k D). 0.44: 61 points of multiple choice and short
#: answers. 1.1: AIME and LiveCodeBench of two models, whose long outputs multiply errors. The kinds between the two are
#: assumptions.
RETENTION_PER_NAT: Mapping[str, float] = {
    "general": 0.44, "coding": 0.9, "agentic": 1.1, "reasoning": 1.1, "long_context": 0.8,
}  # fmt: skip

#: Share of the work that a model is given and solves, above chance: people give it what it mostly manages. An assumption.
SOLVED_SHARE = 0.75


class LossEvidence(Enum):
    """MEASURED: this model in this type. ANCHORED: this model in another type. PREDICTED: other models alone."""

    MEASURED = "MEASURED"
    ANCHORED = "ANCHORED"
    PREDICTED = "PREDICTED"


@dataclass(frozen=True, slots=True)
class Divergence:
    """Mean KL divergence from the original weights, nats a token; ``low`` and ``high`` hold it four times in five."""

    nats: float
    low: float
    high: float
    evidence: LossEvidence

    def plus(self, other: Divergence) -> Divergence:
        """Both losses together; the weaker evidence holds."""
        order = list(LossEvidence)
        return Divergence(
            self.nats + other.nats, self.low + other.low, self.high + other.high,
            max(self.evidence, other.evidence, key=order.index),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CapabilityLoss:
    """Points of the capability scale that are lost, with an interval of 80 %."""

    points: float
    low: float
    high: float


NO_LOSS = Divergence(0.0, 0.0, 0.0, LossEvidence.MEASURED)


class LossTable:
    """The fitted laws of divergence."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._law: Mapping[str, float] = data["divergence"]
        self._cache_law: Mapping[str, float] = data["cache"]
        self._half_width: Mapping[str, Sequence[float]] = data["half_width"]
        self._cache_half_width: float = data["cache_half_width"]
        self._typical_bits: Mapping[str, float] = data["typical_bits"]
        self._measured: Mapping[str, Sequence[str]] = data["measured"]
        self.data_hash: str = data["data_hash"]
        self.accuracy: Mapping[str, Any] = data["accuracy"]

    @classmethod
    @lru_cache(maxsize=4)
    def load(cls, path: Path = DEFAULT_PATH) -> LossTable:
        """The table of a data file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def divergences(self, model: ModelTraits, quants: Sequence[tuple[Quant, float | None]]) -> list[Divergence]:
        """Divergence of each quantization with the bits per weight of its whole file (None: typical ones).

        Of one format family, fewer bits never lose less: noise of single types does not turn the order around.
        """
        forms = [form_of(quant) for quant, _ in quants]
        bits = [
            self._bits(quant, form) if given is None else given
            for (quant, given), form in zip(quants, forms, strict=True)
        ]
        found = [NO_LOSS] * len(quants)
        worst: dict[str, Divergence] = {}
        for i in sorted(range(len(quants)), key=lambda i: -bits[i]):
            form = forms[i]
            if form is not None:
                found[i] = _at_least(self._divergence(model, form, bits[i]), worst.get(form.family))
                worst[form.family] = found[i]
        return found

    def divergence(self, model: ModelTraits, quant: Quant, bits: float | None = None) -> Divergence:
        """Divergence of one quantization alone; 0 for 16 bits, and from the bits that the model was trained in."""
        form = form_of(quant)
        return (
            NO_LOSS
            if form is None
            else self._divergence(model, form, self._bits(quant, form) if bits is None else bits)
        )

    def cache_divergence(self, model: ModelTraits, cache: CacheType) -> Divergence:
        """Divergence of a KV cache that holds keys and values in ``cache``. A weak law: few models were measured."""
        if cache not in CACHE_BITS:
            return NO_LOSS
        terms = cache_terms(model, CACHE_BITS[cache], floating=cache is CacheType.FP8)
        anchored = f"model:{model.slug}" in self._cache_law
        half = self._cache_half_width * (0.5 if anchored else 1.0)
        return _interval(
            log_divergence(terms, self._cache_law), half, LossEvidence.ANCHORED if anchored else LossEvidence.PREDICTED
        )

    def _bits(self, quant: Quant, form: QuantForm | None) -> float:
        if form is None:
            return max(quant.nominal_bits, MOST_BITS)
        return self._typical_bits.get(form.type, quant.nominal_bits)

    def _divergence(self, model: ModelTraits, form: QuantForm, bits: float) -> Divergence:
        if bits >= model.native_bits:
            return NO_LOSS
        known = self._measured.get(model.slug, ())
        if form.type in known:
            stratum, evidence = "measured", LossEvidence.MEASURED
        elif known:
            stratum, evidence = "one row as anchor", LossEvidence.ANCHORED
        else:
            related = f"publisher:{model.publisher}" in self._law
            stratum, evidence = "model left out" if related else "publisher left out", LossEvidence.PREDICTED
        log = log_divergence(divergence_terms(model, form, bits), self._law)
        return _interval(log, self._half_width[stratum][zone_of(bits)], evidence)


def capability_loss(kind: str, divergence: Divergence) -> CapabilityLoss:
    """Points that a model loses for work of ``kind``."""
    points = lost_points(kind, np.array([divergence.nats, divergence.low, divergence.high]))
    return CapabilityLoss(*map(float, points))


def lost_points(kind: str, nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of the scale of capability after each of ``nats``: the fall of the log odds of work that is mostly solved."""
    left = np.exp(-RETENTION_PER_NAT[kind] * nats)
    odds = (1.0 - SOLVED_SHARE * left) / (left * (1.0 - SOLVED_SHARE))
    return np.asarray(POINTS_PER_UNIT / MEAN_SLOPE * np.log(odds))


def _interval(log: float, half: float, evidence: LossEvidence) -> Divergence:
    return Divergence(math.exp(log), math.exp(log - half), math.exp(log + half), evidence)


def _at_least(divergence: Divergence, wider: Divergence | None) -> Divergence:
    if wider is None:
        return divergence
    return Divergence(
        max(divergence.nats, wider.nats), max(divergence.low, wider.low), max(divergence.high, wider.high),
        divergence.evidence,
    )  # fmt: skip
