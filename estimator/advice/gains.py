"""Worth of a setup before and after a change, and whether people notice the difference.

Setups are rated as in a choice of the balanced mode: worth of the answers less charges for time and for a full memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from estimator.calibration.capability_prior import ModelTraits
from estimator.estimate import situation_of_request, thresholds_of
from estimator.fit_facts import RUNNING, FitFacts, narrower_cache_type
from estimator.judgement.setups import Pace, usable_setups
from estimator.judgement.worth import WorthTable, worth_table
from estimator.placement.layer_sums import model_tables
from estimator.quant_choice import broken, charged, customary, drawbacks, unpaged_points
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Estimate, EstimateRequest, OperatingMode, Status, Workload, WorkloadKind
from estimator.usability import Usability, answer_seconds, comfortable_seconds, is_usable, written_tokens
from estimator.verdict import word_of

#: Points of rating below which nobody notices a change: a sixth less to wait, or the step from Q4_K_M to Q3_K_M at 8B.
NOTICEABLE_POINTS = 1.0
#: Least gain of another model or other hardware, because it costs effort or money: half the wait.
SWITCHING_POINTS = 4.0


@dataclass(frozen=True, slots=True)
class Gain:
    """Changed minus present; None where one of the two does not run. ``score`` in points, ``status_after`` new.

    ``rating_points`` is the difference of ratings, None where the present setup does not run or a capability is unknown.
    """

    status_after: Status
    decode_tok_s: float | None
    ttft_ms: float | None
    safe_context_tokens: int | None
    headroom_bytes: int
    score: float
    rating_points: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One setup for one use: ``worth_points`` of its answers, and its ``rating_points`` with the charges."""

    runs: bool
    usable: bool
    worth_points: float = 0.0
    rating_points: float = 0.0


DOES_NOT_RUN = Standing(runs=False, usable=False)


@dataclass(frozen=True, slots=True)
class Tried:
    """A changed request with its estimate and standing."""

    request: EstimateRequest
    estimate: Estimate
    standing: Standing


def use_of(facts: FitFacts) -> Workload:
    """The workload of a fit; a free question asks for its own lengths, at the thresholds of any question, and for no least
    speed."""
    if facts.workload is not None:
        return facts.workload
    situation = situation_of_request(facts.request)
    thresholds = thresholds_of(None, situation)
    return Workload(
        slug="",
        name=facts.workload_name,
        kind=WorkloadKind.CHAT,
        prompt_tokens=situation.prompt_tokens,
        output_tokens=situation.output_tokens,
        answer_tokens=situation.output_tokens,
        thinking_tokens=0,
        context_tokens=situation.context_tokens,
        decode_depth_tokens=int(situation.depth_tokens),
        comfortable_decode_tok_s=float(thresholds.comfortable_decode_tok_s[0]),
        minimum_decode_tok_s=0.0,
        patience_ttft_ms=float(thresholds.patience_ttft_ms[0]),
        usable_ttft_ms=float("inf"),
        usable_answer_s=float("inf"),
        think_s=0.0,
    )


def standing(
    use: Workload, model: ModelArchitecture, traits: ModelTraits, request: EstimateRequest, estimate: Estimate
) -> Standing:
    """Worth of ``estimate``, the answer to ``request``, in the better way to answer."""
    if estimate.status not in RUNNING or estimate.decode is None:
        return DOES_NOT_RUN
    return _standing(use, model, _worth(use, model, traits, [request]), 0, request, estimate)


def drawback_points(model: ModelArchitecture, request: EstimateRequest, estimate: Estimate) -> float:
    """Charges of a setup that do not follow from time and loss."""
    return float(
        drawbacks(
            estimate.status is Status.FITS_TIGHTLY,
            estimate.status is Status.FITS_WITH_OFFLOAD,
            unpaged_points([request.quant], [request.accelerator], count=request.gpu_count).item(),
            model.is_moe,
        )
    )


def _standing(
    use: Workload, model: ModelArchitecture, table: WorthTable, q: int, request: EstimateRequest, estimate: Estimate
) -> Standing:
    """That of an estimate of a model that runs; ``table`` has its quantization at ``q``."""
    decode, ttft = estimate.decode.value if estimate.decode else 0.0, _wait_ms(use, estimate)
    drawback = drawback_points(model, request, estimate)
    ways = []
    for way in map(int, np.flatnonzero(np.isfinite(table.value[0, :, q]))):
        seconds = answer_seconds(ttft, decode, written_tokens(use, float(table.thinking[0, way])))
        low = table.low[0, way, q] - broken(table.loss_high[0, way, q]) - drawback
        rating = float(charged(low, seconds, comfortable_seconds(use), OperatingMode.BALANCED))
        usable = bool(is_usable(use, ttft, decode, seconds))
        ways.append(Standing(True, usable, float(table.value[0, way, q]), rating))
    return max(ways, key=lambda way: (way.usable, way.rating_points))


def _wait_ms(use: Workload, estimate: Estimate) -> float:
    """The first wait; where it is unknown, the longest that the use allows, and a comfortable one where it allows any."""
    if estimate.ttft_ms is not None:
        return estimate.ttft_ms
    return use.usable_ttft_ms if math.isfinite(use.usable_ttft_ms) else use.patience_ttft_ms


def best_of(
    use: Workload, model: ModelArchitecture, traits: ModelTraits, answers: Sequence[tuple[EstimateRequest, Estimate]]
) -> Tried | None:
    """The answer that a choice takes among quantizations of one model, or the best rated where none is usable."""
    if not answers:
        return None
    requests, estimates = zip(*answers, strict=True)
    table = _worth(use, model, traits, requests)
    pace = Pace(
        runs=np.array([[estimate.decode is not None for estimate in estimates]]),
        tight=np.array([[estimate.status is Status.FITS_TIGHTLY for estimate in estimates]]),
        offloads=np.array([[estimate.status is Status.FITS_WITH_OFFLOAD for estimate in estimates]]),
        decode_tok_s=np.array([[estimate.decode.value if estimate.decode else 0.0 for estimate in estimates]]),
        ttft_ms=np.array([[_wait_ms(use, estimate) for estimate in estimates]]),
        bits_per_weight=_bits(model, requests),
        drawback_points=np.array([list(map(partial(drawback_points, model), requests, estimates))]),
    )
    setups = usable_setups(table, pace, use, OperatingMode.BALANCED)
    custom = np.array([customary(request.quant) for request in requests])
    chosen = [int(setups.quant[n]) for n in setups.best(np.zeros(1), custom)]
    tried = [
        Tried(requests[q], estimates[q], _standing(use, model, table, q, requests[q], estimates[q]))
        for q in chosen or range(len(answers))
    ]
    return max(tried, key=lambda answer: answer.standing.rating_points)


def _worth(
    use: Workload, model: ModelArchitecture, traits: ModelTraits, requests: Sequence[EstimateRequest]
) -> WorthTable:
    """Worth of one model in the quantizations of ``requests``, which share a cache type."""
    quants = [request.quant for request in requests]
    return worth_table(
        use.kind,
        [traits],
        quants,
        _bits(model, requests),
        narrower_cache_type(requests[0]),
    )


def _bits(
    model: ModelArchitecture, requests: Sequence[EstimateRequest]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return model_tables(model, tuple(request.quant for request in requests)).bits_per_weight[None, :]


def traits_of_architecture(model: ModelArchitecture) -> ModelTraits:
    """Size and date alone, of a model that no catalog describes."""
    own = model.training
    return ModelTraits(model.slug, own.total_b, own.active_b, own.released, native_bits=own.native_bits)


def gain_of(before: Estimate, after: Estimate, rating_points: float | None = None) -> Gain:
    """The difference of two estimates."""
    both = before.decode is not None and after.decode is not None
    return Gain(
        status_after=after.status,
        decode_tok_s=after.decode.value - before.decode.value if both and after.decode and before.decode else None,
        ttft_ms=after.ttft_ms - before.ttft_ms if after.ttft_ms is not None and before.ttft_ms is not None else None,
        safe_context_tokens=after.safe_context_tokens - before.safe_context_tokens if both else None,
        headroom_bytes=headroom(after) - headroom(before),
        score=after.score - before.score,
        rating_points=rating_points,
    )


def headroom(estimate: Estimate) -> int:
    """Free device memory, bytes; negative when the load does not fit."""
    return estimate.memory.usable_bytes - estimate.memory.total_bytes


def improves(before: Standing, after: Standing, least_points: float = NOTICEABLE_POINTS) -> bool:
    """Whether a change is worth advising: what did not run runs, what was too slow is usable, or the rating grows enough.

    A setup that is usable is not exchanged for answers that are worse by more than :data:`SWITCHING_POINTS`.
    """
    if not after.runs or (before.usable and not after.usable):
        return False
    if not before.runs or (after.usable and not before.usable):
        return True
    if after.worth_points < before.worth_points - SWITCHING_POINTS:
        return False
    return after.rating_points >= before.rating_points + least_points


def meets_use(facts: FitFacts, estimate: Estimate) -> bool:
    """Whether a whole answer comes in the comfortable time of the use; a free question asks for nothing but to run."""
    if facts.workload is None:
        return estimate.status in RUNNING
    return word_of(estimate.score) is Usability.YES
