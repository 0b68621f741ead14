"""Whether a setup can be used for a workload: speed, first wait and time to a whole answer against what it allows.

A use is a :class:`Workload`, or :class:`Thresholds` of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator.types import Workload, WorkloadKind

Floats: TypeAlias = Any  # an array of floats, or a float: every function broadcasts


class Usability(StrEnum):
    """The word of a verdict, from best to worst; the order of definition is the code."""

    YES = "YES"
    SLOWLY = "SLOWLY"
    BARELY = "BARELY"
    NO = "NO"


USABILITIES: tuple[Usability, ...] = tuple(Usability)
YES, SLOWLY, BARELY, NO = range(4)
#: A setup that misses a usable bound by more than this factor is of no use.
BARELY_FACTOR = 4.0
#: The workload that a question without one is judged by.
FREE_USE = Workload(
    slug="", name="this setup", kind=WorkloadKind.CODING, prompt_tokens=512, output_tokens=128, answer_tokens=128,
    thinking_tokens=0, context_tokens=1, decode_depth_tokens=0, comfortable_decode_tok_s=20.0, minimum_decode_tok_s=8.0,
    patience_ttft_ms=5_000.0, usable_ttft_ms=20_000.0, usable_answer_s=300.0,
    think_s=60.0,
)  # fmt: skip
_FIELDS = (
    "comfortable_decode_tok_s", "minimum_decode_tok_s", "patience_ttft_ms", "usable_ttft_ms", "usable_answer_s",
    "answer_tokens", "thinking_tokens", "output_tokens", "context_tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of workloads: arrays of shape (S,), each named as the field of :class:`Workload` that it holds."""

    comfortable_decode_tok_s: NDArray[np.float64]
    minimum_decode_tok_s: NDArray[np.float64]
    patience_ttft_ms: NDArray[np.float64]
    usable_ttft_ms: NDArray[np.float64]
    usable_answer_s: NDArray[np.float64]
    answer_tokens: NDArray[np.float64]
    thinking_tokens: NDArray[np.float64]
    output_tokens: NDArray[np.float64]
    context_tokens: NDArray[np.float64]
    kinds: tuple[WorkloadKind, ...]

    @classmethod
    def of(cls, workloads: Sequence[Workload]) -> Thresholds:
        """Those of several workloads."""
        values: dict[str, Any] = {
            name: np.array([float(getattr(workload, name)) for workload in workloads]) for name in _FIELDS
        }
        return cls(**values, kinds=tuple(workload.kind for workload in workloads))

    def at(self, s: NDArray[np.int64]) -> Thresholds:
        """Those of each of ``s``, in float32 as speeds are published."""
        values: dict[str, Any] = {name: getattr(self, name).astype(np.float32)[s] for name in _FIELDS}
        return Thresholds(**values, kinds=self.kinds)


Use: TypeAlias = Workload | Thresholds


def wait_ms(use: Use, ttft_ms: Floats) -> Floats:
    """Wait for the first token; where it is unknown (0), the longest that is usable, so that it is not praised for speed."""
    return np.where(np.asarray(ttft_ms) > 0, ttft_ms, use.usable_ttft_ms)


def written_tokens(use: Use, thinking: Floats) -> Floats:
    """Tokens of one answer: those that the user reads, and those of thinking before them.

    ``thinking`` is the model's relative length of thinking, 0 for none.
    """
    return use.answer_tokens + use.thinking_tokens * thinking


def answer_seconds(wait_ms: Floats, decode_tok_s: Floats, tokens: Floats) -> Floats:
    """Seconds until the last of ``tokens``; infinite where nothing runs (a speed of 0)."""
    speed = np.asarray(decode_tok_s, np.float64)
    return np.where(speed > 0, np.asarray(wait_ms) / 1000.0 + tokens / np.maximum(speed, 1e-9), np.inf)


def comfortable_seconds(use: Use) -> Floats:
    """Time of the workload's output at its comfortable speed after its comfortable wait."""
    return use.patience_ttft_ms / 1000.0 + use.output_tokens / use.comfortable_decode_tok_s


def is_usable(
    use: Use, wait_ms: Floats, decode_tok_s: Floats, seconds: Floats, slack: float = 1.0
) -> NDArray[np.bool_]:
    """Whether speed, first wait and whole answer are within what the use allows at worst, or ``slack`` times as bad."""
    return np.asarray(
        (np.asarray(decode_tok_s) * slack >= use.minimum_decode_tok_s)
        & (np.asarray(wait_ms) <= use.usable_ttft_ms * slack)
        & (np.asarray(seconds) <= use.usable_answer_s * slack)
    )


def relaxed(use: Workload, slack: float) -> Workload:
    """A use that allows ``slack`` times as bad."""
    return replace(
        use,
        minimum_decode_tok_s=use.minimum_decode_tok_s / slack,
        usable_ttft_ms=use.usable_ttft_ms * slack,
        usable_answer_s=use.usable_answer_s * slack,
    )


def usability(use: Use, ttft_ms: Floats, decode_tok_s: Floats, seconds: Floats) -> NDArray[np.uint8]:
    """Codes of :data:`USABILITIES`; ``seconds`` are those of a whole answer, with the thinking that cannot be left out.

    YES: usable, and the whole answer within the comfortable time, from which choices charge for time; SLOWLY: usable;
    BARELY: within ``BARELY_FACTOR`` of that; NO: worse, or nothing runs.
    """
    decode, wait = np.asarray(decode_tok_s), wait_ms(use, ttft_ms)
    usable = is_usable(use, wait, decode, seconds)
    comfortable = usable & (np.asarray(seconds) <= comfortable_seconds(use))
    barely = usable | is_usable(use, wait, decode, seconds, BARELY_FACTOR)
    return np.asarray(NO - barely.astype(np.uint8) - usable - comfortable, dtype=np.uint8)
