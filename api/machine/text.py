"""Readings of the texts that systems print."""

from __future__ import annotations

import re
from typing import Any

import orjson

KIB, MIB, GIB = 1024, 1024**2, 1024**3
_UNITS = {"": 1, "b": 1, "k": KIB, "kb": KIB, "kib": KIB, "m": MIB, "mb": MIB, "mib": MIB, "g": GIB, "gb": GIB, "gib": GIB,
          "t": GIB * 1024, "tb": GIB * 1024, "tib": GIB * 1024}  # fmt: skip
_AMOUNT = re.compile(r"\s*([\d.]+)\s*([a-z]*)", re.IGNORECASE)


def number(text: str | None) -> int | None:
    """The integer that a text is; None for any other text, as "[N/A]"."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdigit() else None


def amount_bytes(text: str | None) -> int | None:
    """Bytes of an amount such as "16 GB", in powers of two as memory is stated; None for any other text."""
    match = _AMOUNT.match(text or "")
    unit = None if match is None else _UNITS.get(match[2].casefold())
    return None if match is None or unit is None else round(float(match[1]) * unit)


def fields(text: str | None, separator: str = ":") -> dict[str, str]:
    """Lines ``key: value`` of a text; the first of a key is kept."""
    values: dict[str, str] = {}
    for line in (text or "").splitlines():
        key, known, value = line.partition(separator)
        if known:
            values.setdefault(key.strip(), value.strip())
    return values


def parsed(text: str | None) -> Any:
    """The JSON value in a text; None when there is none."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def listed(value: Any) -> list[dict[str, Any]]:
    """Objects of a JSON list, or of a single object: PowerShell writes a list of one so."""
    rows = value if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, dict)]
