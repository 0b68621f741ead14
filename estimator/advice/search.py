"""The present setup, estimates of changed ones, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from estimator.advice.amounts import gib, pace
from estimator.advice.gains import (
    NOTICEABLE_POINTS,
    Gain,
    Standing,
    Tried,
    best_of,
    gain_of,
    headroom,
    improves,
    standing,
    traits_of_architecture,
    use_of,
)
from estimator.advice.options import Candidate, Options
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.calibration.scale import KIND_OF_WORKLOAD
from estimator.estimate import cell_of, estimate, situation_of_request, sweep
from estimator.fit_facts import FitFacts
from estimator.grid import FitBlock
from estimator.structure.architecture import ModelArchitecture
from estimator.types import STATUSES, Estimate, EstimateRequest, EstimatorError, Quant, Status

_NOT_ROOMY = (Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD, Status.DOES_NOT_FIT)


class AdviceCode(StrEnum):
    """Kind of change: what costs nothing, then another model, then hardware."""

    FLASH_ATTENTION = "FLASH_ATTENTION"
    PLANNED_OFFLOAD = "PLANNED_OFFLOAD"
    LARGER_MICRO_BATCH = "LARGER_MICRO_BATCH"
    QUANTIZED_KV_CACHE = "QUANTIZED_KV_CACHE"
    WIRED_LIMIT = "WIRED_LIMIT"
    OTHER_QUANT = "OTHER_QUANT"
    LESS_CONTEXT = "LESS_CONTEXT"
    OTHER_MODEL = "OTHER_MODEL"
    MORE_HOST_MEMORY = "MORE_HOST_MEMORY"
    SECOND_GPU = "SECOND_GPU"
    GPU_UPGRADE = "GPU_UPGRADE"
    NOTHING_NEEDED = "NOTHING_NEEDED"


@dataclass(frozen=True, slots=True)
class Advice:
    """One change with its computed gain, the changed request and its estimate.

    ``values`` is what the message states, ``model`` that of the changed setup, ``standing`` what that setup is worth.
    """

    code: AdviceCode
    message: str
    values: dict[str, Any]
    gain: Gain
    request: EstimateRequest
    after: Estimate
    model: ModelArchitecture
    standing: Standing


class Search:
    """Changes of one setup, each answered by the estimator."""

    def __init__(self, facts: FitFacts, calibration: Calibration, options: Options) -> None:
        self.facts, self.calibration, self.options = facts, calibration, options
        self.use = use_of(facts)
        self.kind = KIND_OF_WORKLOAD[self.use.kind]
        own = options.present
        self._traits = traits_of_architecture(facts.model) if own is None else own.traits

    @cached_property
    def present(self) -> Standing:
        """Where the present setup stands."""
        return self.standing(self.facts.request, self.facts.estimate)

    def standing(self, request: EstimateRequest, after: Estimate) -> Standing:
        """Where the present model stands in a changed setup."""
        return standing(self.use, self.facts.model, self._traits, request, after)

    def tried(self, request: EstimateRequest) -> Tried | None:
        """The estimate of a changed request of the present model; None when it has none."""
        try:
            after = estimate(self.facts.model, request, self.calibration, self.facts.workload)
        except EstimatorError:
            return None
        return Tried(request, after, self.standing(request, after))

    def better(self, request: EstimateRequest, least_points: float = NOTICEABLE_POINTS) -> Tried | None:
        """The changed setup where it improves the present one; else None."""
        tried = self.tried(request)
        return tried if tried is not None and improves(self.present, tried.standing, least_points) else None

    def best_quant(self, quants: Sequence[Quant]) -> Tried | None:
        """The quant to choose in this setup; None when none runs."""
        return self._best(self.facts.model, self._traits, quants)

    def best_quant_of(self, candidate: Candidate, quants: Sequence[Quant]) -> Tried | None:
        """The same for another model in place of the present one."""
        return self._best(candidate.architecture(), candidate.traits, quants)

    def _best(self, model: ModelArchitecture, traits: ModelTraits, quants: Sequence[Quant]) -> Tried | None:
        request = replace(self.facts.request, gpu_layers=None, cpu_moe_layers=None)
        block = self._swept(model, request, quants)
        if block is None:
            return None
        return best_of(self.use, model, traits, self._running(block, request, quants))

    def _swept(self, model: ModelArchitecture, request: EstimateRequest, quants: Sequence[Quant]) -> FitBlock | None:
        """All ``quants`` of ``model`` on the request's accelerator; None for settings that no engine has."""
        if not quants:
            return None
        try:
            return sweep(model, request, (request.accelerator,), tuple(quants), self.calibration, self.facts.workload)
        except EstimatorError:
            return None

    def _running(
        self, block: FitBlock, request: EstimateRequest, quants: Sequence[Quant]
    ) -> list[tuple[EstimateRequest, Estimate]]:
        runs = block.available[0] & (block.status[0, :, 0] < STATUSES.index(Status.DOES_NOT_FIT))
        context = situation_of_request(request, self.facts.workload).context_tokens
        return [
            (replace(request, quant=quants[q]), cell_of(block, 0, q, 0, context))
            for q in map(int, np.flatnonzero(runs))
        ]

    def advice(
        self, code: AdviceCode, text: str, tried: Tried, model: ModelArchitecture | None = None, **values: Any
    ) -> Advice:
        """One advice; ``text`` says with ``values`` what to change, and the effect follows in numbers."""
        before, after = self.facts.estimate, tried.estimate
        known = self.present.runs and (model is None or self.options.present is not None)
        gained = tried.standing.rating_points - self.present.rating_points if known else None
        return Advice(
            code, f"{text}: {effect(before, after)}", values | effect_values(before, after),
            gain_of(before, after, gained), tried.request, after, model or self.facts.model, tried.standing,
        )  # fmt: skip


def effect(before: Estimate, after: Estimate) -> str:
    """The effect of a change, in numbers."""
    parts = []
    if after.status is not before.status:
        parts.append(_STATUS_WORDS[after.status])
    if after.decode is not None:
        now = pace(after.decode.value)
        parts.append(f"{now} instead of {pace(before.decode.value)}" if before.decode else now)
    if not parts or before.status in _NOT_ROOMY:
        free = headroom(after)
        if free >= 0:
            parts.append(f"{gib(free)} free")
    parts.append(f"grade {after.grade}" if before.grade == after.grade else f"grade {after.grade}, was {before.grade}")
    return ", ".join(parts)


def effect_values(before: Estimate, after: Estimate) -> dict[str, Any]:
    """The values of :func:`effect`."""
    return {
        "status_before": before.status.name,
        "status_after": after.status.name,
        "tokens_per_second_before": None if before.decode is None else before.decode.value,
        "tokens_per_second_after": None if after.decode is None else after.decode.value,
        "free_bytes": headroom(after),
        "grade_before": before.grade,
        "grade_after": after.grade,
    }


_STATUS_WORDS = {
    Status.FITS: "fits with room",
    Status.FITS_TIGHTLY: "fits, tightly",
    Status.FITS_WITH_OFFLOAD: "runs with offload",
    Status.DOES_NOT_FIT: "does not fit",
    Status.UNSUPPORTED: "unsupported",
}
