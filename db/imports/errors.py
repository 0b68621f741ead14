"""The error of every import, and the checks that all of them share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from estimator.types import EstimatorError

MAX_PARAMETERS = 10**14


class ImportFactsError(EstimatorError):
    """A file cannot be read as what it was given as; ``field`` names the part, the message what is allowed."""

    def __init__(self, message: str, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


def json_object(text: bytes | str, label: str, limit: int, *, constants: bool = False) -> dict[str, Any]:
    """Parse a JSON object strictly: no duplicate keys, bounded in size and depth.

    ``constants``: ``Infinity``, ``-Infinity`` and ``NaN`` are read, which Python's own writer leaves in a configuration.

    Raises:
        ImportFactsError: the text is none of that.
    """
    if len(text) > limit:
        raise ImportFactsError(f"{label}: {len(text):,} bytes; at most {limit:,} are read")
    try:
        parsed = json.loads(text, object_pairs_hook=_unique, parse_constant=float if constants else _no_constant)
    except ImportFactsError:
        raise
    except RecursionError:
        raise ImportFactsError(f"{label}: nested too deeply") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ImportFactsError(f"{label}: not valid JSON: {str(error)[:200]}") from None
    if not isinstance(parsed, dict):
        raise ImportFactsError(f"{label}: a JSON object is needed, not {type(parsed).__name__}")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        keys: set[str] = set()
        for key, _ in pairs:
            if key in keys:
                raise ImportFactsError(f"the key {key[:80]!r} is there twice; a key may be there once", key[:80])
            keys.add(key)
    return out


def _no_constant(name: str) -> Any:
    raise ImportFactsError(f"{name} is no JSON number")


def whole(
    values: Mapping[str, Any], names: tuple[str, ...] | str, low: int, high: int, default: int | None = None
) -> int | None:
    """The first of ``names`` that is set, as an integer from ``low`` to ``high``; ``default`` when none is.

    Raises:
        ImportFactsError: the value is no integer or out of range.
    """
    for name in (names,) if isinstance(names, str) else names:
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ImportFactsError(
                f"{name!r} must be an integer from {low:,} to {high:,}, not {_shown(value)}", str(name)
            )
        return value
    return default


def needed(values: Mapping[str, Any], names: tuple[str, ...] | str, low: int, high: int) -> int:
    """Like :func:`whole`, for a value without which nothing can be said."""
    number = whole(values, names, low, high)
    if number is None:
        name = names if isinstance(names, str) else names[0]
        raise ImportFactsError(f"{name!r} is missing; it must be an integer from {low:,} to {high:,}", name)
    return number


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
