"""The scale of capability: kinds of work, points, and what a divergence costs on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator.types import WorkloadKind

Floats: TypeAlias = Any  # a NumPy array of floats, or a float: every function broadcasts

KINDS: tuple[str, ...] = ("general", "coding", "agentic", "reasoning", "long_context")
#: The kind of capability that a workload asks for.
KIND_OF_WORKLOAD: Mapping[WorkloadKind, str] = {
    WorkloadKind.CHAT: "general",
    WorkloadKind.CODING: "coding",
    WorkloadKind.AGENTIC_CODING: "agentic",
    WorkloadKind.REASONING: "reasoning",
    WorkloadKind.RAG: "long_context",
}
#: Mean slope of log odds in the trait over all scores: it fixes the trait's unit, which the data leave open.
MEAN_SLOPE = 0.75
#: Points of the scale for a trait of 0, and for one unit of it, which moves the log odds of a score by 0.75 on average.
CENTRE_POINTS, POINTS_PER_UNIT = 54.0, 9.0
#: Share of the score above chance that is left after D nats that scores feel is exp(-k D). This k: 61 points of multiple
#: choice and short answers.
SHORT_ANSWER_RETENTION = 0.44
#: The same by kind. 1.6: AIME and LiveCodeBench of two models lost 3.6 times what MMLU-Pro lost in the same AWQ files, as
#: long outputs multiply errors. The kinds between it and short answers are assumptions: a reply of a conversation is a page
#: of text.
RETENTION_PER_NAT: Mapping[str, float] = {
    "general": 0.75, "coding": 1.0, "agentic": 1.6, "reasoning": 1.6, "long_context": 0.9,
}  # fmt: skip
#: Scores fall faster than the divergence grows: D nats cost as many as D * (D / ``FELT_AT``) ** ``FELT_POWER`` would by the
#: law of shares. The power of best fit to all measured scores, from 8 bits to 2.
FELT_AT, FELT_POWER = 0.1, 0.25

#: Share of the work that a model is given and solves, above chance: people give it what it mostly manages. An assumption.
SOLVED_SHARE = 0.75


def felt_nats(nats: Floats) -> Floats:
    """What a divergence counts for in scores."""
    return nats * (nats / FELT_AT) ** FELT_POWER


def retained_share(retention_per_nat: Floats, nats: Floats) -> Floats:
    """Share of a score above chance that is left after a divergence of ``nats``."""
    return np.exp(-retention_per_nat * nats)


def points_lost(retained: Floats) -> NDArray[np.float64]:
    """Points by which the log odds of work that is mostly solved fall when the share ``retained`` of it is left."""
    odds = (1.0 - SOLVED_SHARE * retained) / (retained * (1.0 - SOLVED_SHARE))
    return np.asarray(POINTS_PER_UNIT / MEAN_SLOPE * np.log(odds))
