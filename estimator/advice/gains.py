"""The worth of a setup before and after a change, and whether people notice the difference.

Worth is counted in points of the capability scale: how good the answers are, less a charge for the wait beyond comfort.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from estimator.calibration.capability_prior import REFERENCE_YEAR, ModelTraits
from estimator.estimate import situation_of_request, thresholds_of
from estimator.fit_facts import RUNNING, FitFacts, cache_type
from estimator.judgement.loss import LossTable, capability_loss
from estimator.placement.layer_sums import model_tables
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Estimate, EstimateRequest, Status, Workload, WorkloadKind

#: Points of worth below which nobody notices a change: a sixth less to wait, or the step from Q4_K_M to Q3_K_M at 8B.
NOTICEABLE_POINTS = 1.0
#: What another model or other hardware must bring, because it costs effort or money: half the wait.
SWITCHING_POINTS = 4.5
#: Charge for an answer that takes twice the comfortable time. An assumption: half a unit of the capability scale.
POINTS_PER_DOUBLING = 4.5
#: Kind of capability that each workload asks for.
CAPABILITY_KINDS: Mapping[WorkloadKind, str] = {
    WorkloadKind.CHAT: "general",
    WorkloadKind.CODING: "coding",
    WorkloadKind.AGENTIC_CODING: "agentic",
    WorkloadKind.REASONING: "reasoning",
    WorkloadKind.RAG: "long_context",
}


@dataclass(frozen=True, slots=True)
class Gain:
    """Changed minus present; None where one of the two does not run. ``score`` in points, ``status_after`` new.

    ``worth_points`` is the difference of worth, None where the present setup does not run or a capability is unknown.
    """

    status_after: Status
    decode_tok_s: float | None
    ttft_ms: float | None
    safe_context_tokens: int | None
    headroom_bytes: int
    score: float
    worth_points: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One setup for one use: ``quality_points`` of its answers, ``charge_points`` for the wait beyond comfort."""

    runs: bool
    usable: bool
    quality_points: float = 0.0
    charge_points: float = 0.0

    @property
    def worth_points(self) -> float:
        """Quality less charge."""
        return self.quality_points - self.charge_points


DOES_NOT_RUN = Standing(runs=False, usable=False)


def standing(
    request: EstimateRequest, estimate: Estimate, workload: Workload | None, quality_points: float
) -> Standing:
    """What ``estimate``, the answer to ``request``, is worth; ``quality_points`` are those of model, quant and cache."""
    if estimate.status not in RUNNING or estimate.decode is None:
        return DOES_NOT_RUN
    situation = situation_of_request(request, workload)
    asked = thresholds_of(workload, situation)
    comfortable_s = float(asked.patience_ttft_ms[0]) / 1000 + situation.output_tokens / float(
        asked.comfortable_decode_tok_s[0]
    )
    # A wait that is not known is not charged.
    answer_s = (estimate.ttft_ms or 0.0) / 1000 + situation.output_tokens / estimate.decode.value
    usable = workload is None or estimate.decode.value >= workload.minimum_decode_tok_s
    charge = POINTS_PER_DOUBLING * math.log2(max(answer_s / comfortable_s, 1.0))
    return Standing(True, usable, quality_points, charge)


def traits_of_architecture(model: ModelArchitecture, request: EstimateRequest) -> ModelTraits:
    """Size alone, of a model that no catalog describes."""
    tables = model_tables(model, (request.quant,))
    total = float(tables.weights.file[0]) * 8.0 / float(tables.bits_per_weight[0])
    active = float(tables.flops_per_token) / 2.0
    return ModelTraits(model.slug, total / 1e9, max(active, 1.0) / 1e9, REFERENCE_YEAR)


def loss_points(model: ModelArchitecture, traits: ModelTraits, request: EstimateRequest, kind: str) -> float:
    """Points of capability that the quantization and the cache type of ``request`` cost."""
    table, quant = LossTable.load(), request.quant
    bits = float(model_tables(model, (quant,)).bits_per_weight[0])
    divergence = table.divergence(traits, quant, bits).plus(table.cache_divergence(traits, cache_type(request)))
    return capability_loss(kind, divergence).points


def capability_kind(workload: Workload | None) -> str:
    """The kind of capability that a use asks for; general without one."""
    return "general" if workload is None else CAPABILITY_KINDS[workload.kind]


def gain_of(before: Estimate, after: Estimate, worth_points: float | None = None) -> Gain:
    """The difference of two estimates."""
    both = before.decode is not None and after.decode is not None
    return Gain(
        status_after=after.status,
        decode_tok_s=after.decode.value - before.decode.value if both and after.decode and before.decode else None,
        ttft_ms=after.ttft_ms - before.ttft_ms if after.ttft_ms is not None and before.ttft_ms is not None else None,
        safe_context_tokens=after.safe_context_tokens - before.safe_context_tokens if both else None,
        headroom_bytes=headroom(after) - headroom(before),
        score=after.score - before.score,
        worth_points=worth_points,
    )


def headroom(estimate: Estimate) -> int:
    """Free device memory, bytes; negative when the load does not fit."""
    return estimate.memory.usable_bytes - estimate.memory.total_bytes


def improves(before: Standing, after: Standing, least_points: float = NOTICEABLE_POINTS) -> bool:
    """Whether a change is worth advising: what did not run runs, what was too slow is usable, or worth grows enough.

    A setup that is usable is not exchanged for answers that are worse by more than :data:`SWITCHING_POINTS`.
    """
    if not after.runs or (before.usable and not after.usable):
        return False
    if not before.runs or (after.usable and not before.usable):
        return True
    if after.quality_points < before.quality_points - SWITCHING_POINTS:
        return False
    return after.worth_points >= before.worth_points + least_points


def meets_use(facts: FitFacts, estimate: Estimate) -> bool:
    """Whether speed and wait are within what the use calls comfortable."""
    if estimate.status not in RUNNING or estimate.decode is None or estimate.ttft_ms is None:
        return False
    if facts.workload is None:
        return True
    comfortable = estimate.decode.value >= facts.workload.comfortable_decode_tok_s
    return comfortable and estimate.ttft_ms <= facts.workload.patience_ttft_ms
