"""Time to a useful answer: the wait for the first token, then every token until the answer is whole, thinking included."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator.types import Workload

Floats: TypeAlias = Any  # an array of floats, or a float: every function broadcasts


def written_tokens(workload: Workload, thinks: bool) -> int:
    """Tokens until the answer is whole: those that the user reads, and those of thinking before them."""
    return workload.answer_tokens + (workload.thinking_tokens if thinks else 0)


def wait_ms(workload: Workload, ttft_ms: Floats) -> Floats:
    """Wait for the first token; where it is unknown (0), the longest that is usable, so that it is not praised for speed."""
    return np.where(np.asarray(ttft_ms) > 0, ttft_ms, workload.usable_ttft_ms)


def answer_seconds(wait_ms: Floats, decode_tok_s: Floats, tokens: Floats) -> Floats:
    """Seconds until the last of ``tokens``; infinite where nothing runs (a speed of 0)."""
    speed = np.asarray(decode_tok_s, np.float64)
    return np.where(speed > 0, np.asarray(wait_ms) / 1000.0 + tokens / np.maximum(speed, 1e-9), np.inf)


def comfortable_seconds(workload: Workload) -> float:
    """Time of the workload's output at its comfortable speed after its comfortable wait."""
    return workload.patience_ttft_ms / 1000.0 + workload.output_tokens / workload.comfortable_decode_tok_s


def is_usable(workload: Workload, wait_ms: Floats, decode_tok_s: Floats, seconds: Floats) -> NDArray[np.bool_]:
    """Whether speed, first wait and whole answer are within what the workload allows at worst."""
    return np.asarray(
        (np.asarray(decode_tok_s) >= workload.minimum_decode_tok_s)
        & (np.asarray(wait_ms) <= workload.usable_ttft_ms)
        & (np.asarray(seconds) <= workload.usable_answer_s)
    )
