"""The present setup, estimates of changed ones, and what each is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from estimator.advice.amounts import gib, pace
from estimator.advice.gains import (
    NOTICEABLE_POINTS,
    Gain,
    Standing,
    capability_kind,
    gain_of,
    headroom,
    improves,
    loss_points,
    standing,
    traits_of_architecture,
)
from estimator.advice.options import Candidate, Options
from estimator.calibration.coefficients import Calibration
from estimator.estimate import cell_of, estimate, situation_of_request, sweep
from estimator.fit_facts import FitFacts
from estimator.grid import FitBlock
from estimator.structure.architecture import ModelArchitecture
from estimator.types import STATUSES, Estimate, EstimateRequest, EstimatorError, Quant, Status

#: Quants whose worth differs less from the best are as good: the fastest of them is taken.
_AS_GOOD_POINTS = 0.3 * NOTICEABLE_POINTS
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

    ``model`` is that of the changed setup, ``standing`` what that setup is worth.
    """

    code: AdviceCode
    message: str
    gain: Gain
    request: EstimateRequest
    after: Estimate
    model: ModelArchitecture
    standing: Standing


@dataclass(frozen=True, slots=True)
class Tried:
    """A changed request with its estimate and worth."""

    request: EstimateRequest
    estimate: Estimate
    standing: Standing


class Search:
    """Changes of one setup, each answered by the estimator."""

    def __init__(self, facts: FitFacts, calibration: Calibration, options: Options) -> None:
        self.facts, self.calibration, self.options = facts, calibration, options
        self.kind = capability_kind(facts.workload)
        own = options.present
        self._traits = traits_of_architecture(facts.model, facts.request) if own is None else own.traits
        self._losses: dict[tuple[str, str | None], float] = {}

    @cached_property
    def capability_points(self) -> float | None:
        """Capability of the present model in this work; None where it is unknown."""
        return None if self.options.present is None else self.options.present.capability[self.kind]

    @cached_property
    def present(self) -> Standing:
        """What the present setup is worth."""
        return self.standing(self.facts.request, self.facts.estimate)

    def standing(self, request: EstimateRequest, after: Estimate) -> Standing:
        """What the present model is worth in a changed setup."""
        cache = request.kv_cache_type
        key = request.quant.slug, None if cache is None else cache.value
        if key not in self._losses:
            self._losses[key] = loss_points(self.facts.model, self._traits, request, self.kind)
        quality = (self.capability_points or 0.0) - self._losses[key]
        return standing(request, after, self.facts.workload, quality)

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
        """The quant with the highest worth in this setup, the fastest of those as good; None when none runs."""
        request = replace(self.facts.request, gpu_layers=None, cpu_moe_layers=None)
        block = self.swept(self.facts.model, request, quants)
        if block is None:
            return None
        return _best([
            Tried(changed, after, self.standing(changed, after))
            for changed, after in self._running(block, request, quants)
        ])  # fmt: skip

    def best_quant_of(self, candidate: Candidate, quants: Sequence[Quant]) -> Tried | None:
        """The same for another model in place of the present one."""
        model, request = candidate.architecture(), replace(self.facts.request, gpu_layers=None, cpu_moe_layers=None)
        block = self.swept(model, request, quants)
        if block is None:
            return None
        capability = candidate.capability[self.kind]
        return _best([
            Tried(changed, after, standing(
                changed, after, self.facts.workload,
                capability - loss_points(model, candidate.traits, changed, self.kind),
            ))
            for changed, after in self._running(block, request, quants)
        ])  # fmt: skip

    def swept(self, model: ModelArchitecture, request: EstimateRequest, quants: Sequence[Quant]) -> FitBlock | None:
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
            (replace(request, quant=quants[q]), cell_of(block, 0, q, 0, context, request.host))
            for q in map(int, np.flatnonzero(runs))
        ]

    def advice(self, code: AdviceCode, text: str, tried: Tried, model: ModelArchitecture | None = None) -> Advice:
        """One advice; ``text`` says what to change, and the effect follows in numbers."""
        before, after = self.facts.estimate, tried.estimate
        known = self.present.runs and (model is None or self.capability_points is not None)
        gained = tried.standing.worth_points - self.present.worth_points if known else None
        return Advice(
            code, f"{text}: {effect(before, after)}", gain_of(before, after, gained), tried.request, after,
            model or self.facts.model, tried.standing,
        )  # fmt: skip


def _best(tried: Sequence[Tried]) -> Tried | None:
    if not tried:
        return None
    usable = [each for each in tried if each.standing.usable] or tried
    most = max(each.standing.worth_points for each in usable)
    as_good = [each for each in usable if each.standing.worth_points >= most - _AS_GOOD_POINTS]
    return max(as_good, key=lambda each: each.estimate.decode.value if each.estimate.decode else 0.0)


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


_STATUS_WORDS = {
    Status.FITS: "fits with room",
    Status.FITS_TIGHTLY: "fits, tightly",
    Status.FITS_WITH_OFFLOAD: "runs with offload",
    Status.DOES_NOT_FIT: "does not fit",
    Status.UNSUPPORTED: "unsupported",
}
