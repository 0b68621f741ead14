"""What a purchase is for, and what it may miss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from estimator.types import Workload

#: Points of capability that a quantization may cost unless a buyer says otherwise: a ninth of the step to a model of twice
#: the size and date, below what a user of one model notices.
NOTICEABLE_POINTS = 1.0
#: A near miss is within this factor of every need, and of the budget.
NEAR = 1.5


@dataclass(frozen=True, slots=True)
class Needs:
    """What a purchase is for. The workload's least speed, waits and context are the buyer's where they state them."""

    workload: Workload
    users: int = 1
    loss_points: float = NOTICEABLE_POINTS


def needs_of(
    workload: Workload,
    *,
    decode_tok_s: float | None = None,
    ttft_ms: float | None = None,
    context_tokens: int | None = None,
    loss_points: float | None = None,
    users: int | None = None,
) -> Needs:
    """Needs of a workload: its usable speed and waits, and no loss that one notices, where nothing else is asked."""
    asked = replace(
        workload,
        minimum_decode_tok_s=workload.minimum_decode_tok_s if decode_tok_s is None else decode_tok_s,
        usable_ttft_ms=workload.usable_ttft_ms if ttft_ms is None else ttft_ms,
        context_tokens=workload.context_tokens if context_tokens is None else context_tokens,
    )
    return Needs(asked, users or 1, NOTICEABLE_POINTS if loss_points is None else loss_points)


class Need(Enum):
    """What a purchase may miss, with its unit."""

    DECODE = "tok/s"
    TTFT = "ms to the first token"
    ANSWER = "s to a whole answer"
    LOSS = "points lost to the quantization"
    BUDGET = "US dollars"


@dataclass(frozen=True, slots=True)
class Miss:
    """A need that is missed: what is needed and what there is."""

    what: Need
    needed: float
    has: float

    @property
    def factor(self) -> float:
        """How far off, above 1."""
        return max(self.needed / max(self.has, 1e-9), self.has / max(self.needed, 1e-9))
