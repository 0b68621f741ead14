"""The gain of a change: the difference of two estimates, and whether it is worth the change."""

from __future__ import annotations

from dataclasses import dataclass

from estimator.fit_facts import RUNNING, FitFacts
from estimator.types import Estimate, Status

#: A gain below these is not worth a change.
MIN_SPEED_GAIN = 1.05
MIN_SCORE_GAIN = 1.0
#: A gain below this is not worth another accelerator.
MIN_UPGRADE_GAIN = 5.0


@dataclass(frozen=True, slots=True)
class Gain:
    """Changed minus present; None where one of the two does not run. ``score`` in points, ``status_after`` new."""

    status_after: Status
    decode_tok_s: float | None
    ttft_ms: float | None
    safe_context_tokens: int | None
    headroom_bytes: int
    score: float


def gain_of(before: Estimate, after: Estimate) -> Gain:
    """The difference of two estimates."""
    both = before.decode is not None and after.decode is not None
    return Gain(
        status_after=after.status,
        decode_tok_s=after.decode.value - before.decode.value if both and after.decode and before.decode else None,
        ttft_ms=after.ttft_ms - before.ttft_ms if after.ttft_ms is not None and before.ttft_ms is not None else None,
        safe_context_tokens=after.safe_context_tokens - before.safe_context_tokens if both else None,
        headroom_bytes=headroom(after) - headroom(before),
        score=after.score - before.score,
    )


def headroom(one: Estimate) -> int:
    """Free device memory, bytes; negative when the load does not fit."""
    return one.memory.usable_bytes - one.memory.total_bytes


def improves(before: Estimate, after: Estimate) -> bool:
    """Whether a change is worth advising: it runs where nothing ran, or its score is higher by a point or more.

    The score already holds what the use needs: a speed beyond comfort or a context beyond need adds nothing to it.
    """
    if after.status not in RUNNING:
        return False
    if before.status not in RUNNING:
        return True
    return after.score >= before.score + MIN_SCORE_GAIN


def worth_buying(before: Estimate, after: Estimate) -> bool:
    """Whether another accelerator, or one more, is worth advising: it runs where nothing ran, or scores clearly higher."""
    runs = before.status in RUNNING
    return improves(before, after) and (not runs or after.score >= before.score + MIN_UPGRADE_GAIN)


def meets_use(facts: FitFacts, one: Estimate) -> bool:
    """Whether everything sits on the device and speed and wait are within what the use calls comfortable."""
    if one.status not in (Status.FITS, Status.FITS_TIGHTLY) or one.decode is None or one.ttft_ms is None:
        return False
    if facts.workload is None:
        return True
    comfortable = one.decode.value >= facts.workload.comfortable_decode_tok_s
    return comfortable and one.ttft_ms <= facts.workload.patience_ttft_ms
