"""JSON as clients send it: strict, except for the numbers that Python's own writer leaves outside the standard."""

from __future__ import annotations

import json
from typing import Any

import orjson

#: Digits up to which a whole number stays exact, as in 64 bits; a longer one becomes a float.
_EXACT_DIGITS = 18


def parse_json(text: bytes) -> Any:
    """The value of a JSON text. ``Infinity`` and ``NaN`` become texts of that name, which no check takes for a number.

    Raises:
        ValueError: the text is no JSON, or is nested too deeply.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"Infinity" not in text and b"NaN" not in text:
            raise
        try:
            return json.loads(text, parse_constant=str, parse_int=_whole, parse_float=_finite)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _EXACT_DIGITS else float(digits)


def _finite(digits: str) -> float | str:
    number = float(digits)
    return digits if number in (float("inf"), float("-inf")) else number
