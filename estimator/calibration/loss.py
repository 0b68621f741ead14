"""Loss by a quantization and a KV-cache type: divergence in nats a token, and points of the capability scale."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from estimator.calibration.divergence import (
    CACHE_BITS,
    LEAST_BITS,
    MOST_BITS,
    REFERENCE_BITS,
    QuantForm,
    cache_terms,
    divergence_terms,
    family_of_type,
    form_of,
    log_divergence,
    zone_of,
)  # fmt: skip
from estimator.calibration.scale import RETENTION_PER_NAT, felt_nats, points_lost, retained_share
from estimator.structure.arrays import Floats
from estimator.structure.quantization import FILE_TYPES
from estimator.structure.training import TrainedModel
from estimator.types import CacheType, Quant

DEFAULT_PATH = Path(__file__).with_name("loss.json")


class LossEvidence(Enum):
    """MEASURED: this model in this type. ANCHORED: this model in another type. PREDICTED: other models alone."""

    MEASURED = "MEASURED"
    ANCHORED = "ANCHORED"
    PREDICTED = "PREDICTED"


@dataclass(frozen=True, slots=True)
class Divergence:
    """Mean KL divergence from the original weights, nats a token; ``low`` and ``high`` hold it four times in five.

    ``task_weight`` is what a nat of it costs in scores beside one of the common format.
    """

    nats: float
    low: float
    high: float
    evidence: LossEvidence
    task_weight: float = 1.0

    @property
    def task_nats(self) -> float:
        """Nats of the common format that cost as much in scores."""
        return float(self.task_weight * felt_nats(self.nats))

    @property
    def task_interval(self) -> tuple[float, float, float]:
        """:attr:`task_nats` and the ends of its interval."""
        low, high = (float(self.task_weight * felt_nats(end)) for end in (self.low, self.high))
        return self.task_nats, low, high

    def plus(self, other: Divergence) -> Divergence:
        """Both losses together; the weaker evidence holds."""
        order, nats = list(LossEvidence), self.nats + other.nats
        return Divergence(
            nats, self.low + other.low, self.high + other.high, max(self.evidence, other.evidence, key=order.index),
            (self.task_nats + other.task_nats) / float(felt_nats(nats)) if nats else 1.0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CapabilityLoss:
    """Points of the capability scale that are lost, with an interval of 80 %."""

    points: float
    low: float
    high: float


NO_LOSS = Divergence(0.0, 0.0, 0.0, LossEvidence.MEASURED)


@dataclass(frozen=True, slots=True)
class _Forms:
    """Quantizations as the law sees them; arrays (Q,), and (Q, W) of the types that each must not lose less than.

    ``level``, ``slope`` and ``task_weight`` are those of the families. ``further`` are bits that such a type typically has
    more, the first one being the type itself; ``effects`` are those of the types, minus infinity where there is none.
    """

    forms: tuple[QuantForm | None, ...]
    level: Floats
    slope: Floats
    task_weight: Floats
    typical_bits: Floats
    further: Floats
    effects: Floats


class LossTable:
    """The fitted laws of divergence."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._law: Mapping[str, float] = data["divergence"]
        self._cache_law: Mapping[str, float] = data["cache"]
        self._half_width: Mapping[str, Sequence[float]] = data["half_width"]
        self._cache_half_width: float = data["cache_half_width"]
        self._typical_bits: Mapping[str, float] = data["typical_bits"]
        self._measured: Mapping[str, Sequence[str]] = data["measured"]
        self._task_weight: Mapping[str, float] = data["task_weight"]
        self._forms = lru_cache(maxsize=64)(self._forms_of)
        self.data_hash: str = data["data_hash"]
        self.accuracy: Mapping[str, Any] = data["accuracy"]

    @classmethod
    @lru_cache(maxsize=4)
    def load(cls, path: Path = DEFAULT_PATH) -> LossTable:
        """The table of a data file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def typical_bits(self, quant: Quant) -> float:
        """Bits per weight of whole files in this quantization, in the middle of the measured models."""
        return float(self._forms((quant,)).typical_bits[0])

    def nats(self, model: TrainedModel, quants: Sequence[Quant], bits: Floats | None = None) -> Floats:
        """Divergence of each quantization with the bits per weight of its whole file (None: typical ones), (Q,).

        0 for 16 bits, and from the bits that the model was trained in; a type of fewer whole bits loses although parts that
        stay as they were trained give its file more. Within a format family, a type that is typically narrower never loses less:
        noise of single types does not turn the order around.
        """
        known = self._forms(tuple(quants))
        bits = known.typical_bits if bits is None else np.asarray(bits, dtype=np.float64)
        level, slope, curvature = self._curve(model)
        # A wider type of this model has about as many bits more as it typically has.
        b = np.clip(bits[:, None] + known.further, LEAST_BITS, MOST_BITS) - REFERENCE_BITS
        logs = (
            ((slope + known.slope)[:, None] * b + curvature * b * b + known.effects).max(axis=1) + level + known.level
        )
        unharmed = (bits >= model.native_bits) & (known.typical_bits >= math.floor(model.native_bits))
        return np.where(unharmed | np.isinf(known.effects[:, 0]), 0.0, np.exp(logs))

    def divergences(self, model: TrainedModel, quants: Sequence[tuple[Quant, float | None]]) -> list[Divergence]:
        """:meth:`nats` with intervals and evidence; None stands for typical bits."""
        known = self._forms(tuple(quant for quant, _ in quants))
        bits = [
            typical if given is None else given
            for (_, given), typical in zip(quants, known.typical_bits.tolist(), strict=True)
        ]
        nats = self.nats(model, [quant for quant, _ in quants], np.array(bits))
        return [
            NO_LOSS if form is None or not value else self._with_interval(model, form, width, value)
            for form, width, value in zip(known.forms, bits, nats.tolist(), strict=True)
        ]

    def task_nats(
        self, model: TrainedModel, quants: Sequence[Quant], bits: Floats, caches: Sequence[CacheType]
    ) -> Floats:
        """What each quantization with ``bits`` per weight costs in scores with each type of KV cache, (quants, caches).

        Nats of the common format.
        """
        cached = {cache: self.cache_divergence(model, cache).task_nats for cache in dict.fromkeys(caches)}
        own: Floats = felt_nats(self.nats(model, quants, bits)) * self._forms(tuple(quants)).task_weight
        together: Floats = own[:, None] + np.array([cached[cache] for cache in caches])
        return together

    def divergence(self, model: TrainedModel, quant: Quant, bits: float | None = None) -> Divergence:
        """Divergence of one quantization."""
        return self.divergences(model, [(quant, bits)])[0]

    def cache_divergence(self, model: TrainedModel, cache: CacheType) -> Divergence:
        """Divergence of a KV cache that holds keys and values in ``cache``. A weak law: few models were measured."""
        if cache not in CACHE_BITS:
            return NO_LOSS
        terms = cache_terms(model, CACHE_BITS[cache], floating=cache is CacheType.FP8)
        anchored = f"model:{model.slug}" in self._cache_law
        half = self._cache_half_width * (0.5 if anchored else 1.0)
        return _interval(
            log_divergence(terms, self._cache_law), half, LossEvidence.ANCHORED if anchored else LossEvidence.PREDICTED
        )

    def _with_interval(self, model: TrainedModel, form: QuantForm, bits: float, nats: float) -> Divergence:
        known = self._measured.get(model.slug, ())
        if form.type in known:
            stratum, evidence = "measured", LossEvidence.MEASURED
        elif known:
            stratum, evidence = "one row as anchor", LossEvidence.ANCHORED
        else:
            related = f"publisher:{model.publisher}" in self._law
            stratum, evidence = "model left out" if related else "publisher left out", LossEvidence.PREDICTED
        divergence = _interval(math.log(nats), self._half_width[stratum][zone_of(bits)], evidence)
        return replace(divergence, task_weight=self._task_weight.get(form.family, 1.0))

    def _curve(self, model: TrainedModel) -> tuple[float, float, float]:
        """Level, slope and curvature of the log in the bits beside the law's centre, without effects of families and types."""
        form = QuantForm("", "")
        below, middle, above = (
            log_divergence(divergence_terms(model, form, REFERENCE_BITS + step), self._law) for step in (-1.0, 0.0, 1.0)
        )
        return middle, (above - below) / 2.0, (above + below) / 2.0 - middle

    def _forms_of(self, quants: tuple[Quant, ...]) -> _Forms:
        forms = tuple(form_of(quant) for quant in quants)
        families = [form.family if form else "" for form in forms]
        level = np.array([self._law.get(f"family:{family}", 0.0) for family in families])
        slope = np.array([self._law.get(f"bits|family:{family}", 0.0) for family in families])
        task_weight = np.array([self._task_weight.get(family, 1.0) for family in families])
        typical = [
            max(quant.nominal_bits, MOST_BITS)
            if form is None
            else self._typical_bits.get(form.type, quant.nominal_bits)
            for quant, form in zip(quants, forms, strict=True)
        ]
        wider = [self._wider(form, bits) for form, bits in zip(forms, typical, strict=True)]
        further, effects = (np.full((len(quants), max(map(len, wider))), fill) for fill in (0.0, -np.inf))
        for q, rows in enumerate(wider):
            further[q, : len(rows)], effects[q, : len(rows)] = np.array(rows).T
        return _Forms(forms, level, slope, task_weight, np.array(typical), further, effects)

    def _wider(self, form: QuantForm | None, typical: float) -> list[tuple[float, float]]:
        """Further bits and effect of a type itself, then of the offered types of its family that are wider."""
        if form is None:
            return [(0.0, -math.inf)]
        rows = [(0.0, self._law.get(f"type:{form.type}", 0.0))]
        for name, bits in self._typical_bits.items():
            offered = name in FILE_TYPES or name.startswith(("MLX", "UD-"))
            if offered and family_of_type(name) == form.family and bits > typical:
                rows.append((bits - typical, self._law.get(f"type:{name}", 0.0)))
        return rows


def capability_loss(kind: str, divergence: Divergence) -> CapabilityLoss:
    """Points that a model loses for work of ``kind``."""
    points = lost_points(kind, np.array(divergence.task_interval))
    return CapabilityLoss(*map(float, points))


def lost_points(kind: str, nats: Floats) -> Floats:
    """Points of the scale of capability after each of ``nats``."""
    return points_lost(retained_share(RETENTION_PER_NAT[kind], nats))


def _interval(log: float, half: float, evidence: LossEvidence) -> Divergence:
    return Divergence(math.exp(log), math.exp(log - half), math.exp(log + half), evidence)
