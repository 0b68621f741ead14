"""How many values the variables of a request may hold: each is checked against its type, one after the other."""

from __future__ import annotations

from typing import Any

from api.errors import LimitExceededError


def check_variables(variables: Any, maximum: int) -> None:
    """Raise :class:`LimitExceededError` when objects, lists and plain values together are more than ``maximum``."""
    count = 0
    pending = [variables]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
            count += len(value)
        elif isinstance(value, list):
            pending.extend(value)
            count += len(value)
        if count > maximum:
            raise LimitExceededError("variable values", count, maximum)
