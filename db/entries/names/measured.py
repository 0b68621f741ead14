"""Quantizations that no recipe describes and that were measured: mixes of one publisher, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import orjson

from db.entries.names.texts.words import key


@lru_cache(maxsize=2)
def measured_mixes(directory: Path) -> Mapping[str, str]:
    """Folded name -> sentence on its files: which models, how many bits a weight, and the type that most of them is in."""
    rows: dict[str, list[Mapping[str, object]]] = {}
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            if row.get("bits_per_weight") and row.get("type") and not row.get("pure"):
                rows.setdefault(key("quant", row["quant"]), []).append(row)
    return {name: _said(own) for name, own in rows.items()}


def _said(rows: list[Mapping[str, object]]) -> str:
    bits = sorted(float(str(row["bits_per_weight"])) for row in rows)
    span = f"{bits[0]:.2f}" if bits[0] == bits[-1] else f"{bits[0]:.2f} to {bits[-1]:.2f}"
    models = sorted({str(row["model_name"]) for row in rows})
    named = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    return f"files of {named} were measured at {span} bits a weight; the type nearest to it is {rows[0]['type']}"
