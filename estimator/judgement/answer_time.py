"""Tokens until an answer is whole: those that the user reads, and those of thinking before them."""

from __future__ import annotations

from typing import Any, TypeAlias

from estimator.types import Workload

Floats: TypeAlias = Any  # an array of floats, or a float: the function broadcasts


def written_tokens(workload: Workload, thinking: Floats) -> Floats:
    """Tokens of one answer of a workload; ``thinking`` is the model's relative length of thinking, 0 for none."""
    return workload.answer_tokens + workload.thinking_tokens * thinking
