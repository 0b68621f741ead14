"""The use that a purchase is for, and the needs that it may miss."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

from estimator.types import Workload
from estimator.usability import written_tokens

#: Points of capability that a quantization may cost unless a buyer says otherwise: a ninth of the step to a model of twice
#: the size and date, below what a user of one model notices.
NOTICEABLE_POINTS = 1.0
#: A near miss is within this factor of every need, and of the budget.
NEAR = 1.5
#: Standard deviations above the mean that nine of ten values of a normal distribution lie below.
_BUSY_DEVIATIONS = 1.2816


@dataclass(frozen=True, slots=True)
class Needs:
    """The use that a purchase is for. The workload's least speed, waits and context are the buyer's where they state them.

    ``users`` think, ask and read, each for themselves.
    """

    workload: Workload
    users: int = 1
    loss_points: float = NOTICEABLE_POINTS

    def streams(self, thinking: float) -> int:
        """Users that are answered at once in a busy moment: nine moments of ten have no more.

        ``thinking`` is the relative length of the model's thinking, 0 for none.

        Each is answered for a share of the time: that of an answer at the least speed after the comfortable wait, and the
        time to the next question. Who is answered at a moment is then binomial, here by its normal approximation.
        """
        if self.users == 1:
            return 1
        workload = self.workload
        answer_s: float = (
            workload.patience_ttft_ms / 1000.0 + written_tokens(workload, thinking) / workload.minimum_decode_tok_s
        )
        # An answer at next to no speed takes all of the time.
        share = 1.0 / (1.0 + workload.think_s / answer_s)
        busy = self.users * share + _BUSY_DEVIATIONS * math.sqrt(self.users * share * (1.0 - share))
        return min(self.users, max(1, math.ceil(busy)))


def needs_of(
    workload: Workload,
    *,
    decode_tok_s: float | None = None,
    ttft_ms: float | None = None,
    context_tokens: int | None = None,
    loss_points: float | None = None,
    users: int | None = None,
) -> Needs:
    """Needs of a workload: its usable speed and waits, and no loss that one notices, where nothing else is asked.

    Several users get the comfortable speed in a busy moment: at less, answers last longer and more of them are at once.
    """
    several = users is not None and users > 1
    least = workload.comfortable_decode_tok_s if several else workload.minimum_decode_tok_s
    needed = replace(
        workload,
        minimum_decode_tok_s=least if decode_tok_s is None else decode_tok_s,
        usable_ttft_ms=workload.usable_ttft_ms if ttft_ms is None else ttft_ms,
        context_tokens=workload.context_tokens if context_tokens is None else context_tokens,
    )
    return Needs(needed, users or 1, NOTICEABLE_POINTS if loss_points is None else loss_points)


class Need(Enum):
    """A need that a purchase may miss, with its unit."""

    DECODE = "tok/s"
    TTFT = "ms to the first token"
    ANSWER = "s to a whole answer"
    LOSS = "points lost to the quantization"
    BUDGET = "US dollars"


@dataclass(frozen=True, slots=True)
class Miss:
    """A need that is missed: what is needed and what there is."""

    need: Need
    needed: float
    has: float

    @property
    def factor(self) -> float:
        """How far off, above 1."""
        return max(self.needed / max(self.has, 1e-9), self.has / max(self.needed, 1e-9))
