"""Tokens until an answer is whole: those that the user reads, and those of thinking before them."""

from __future__ import annotations

from estimator.types import Workload


def written_tokens(workload: Workload, thinks: bool) -> int:
    """Tokens of one answer of a workload."""
    return workload.answer_tokens + (workload.thinking_tokens if thinks else 0)
