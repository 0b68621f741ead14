"""Measured losses of quantizations and cache types: ``quality/`` of the catalog, JSON Lines, one row a line.

``suspect`` says why a row does not enter a fit; ``family`` and ``type`` are null where the format is not one of those
whose loss is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import orjson

from db.entries.capability import shape_faults
from db.entries.files import CATALOG_ROOT, Entry, Fault, checked_lines
from db.entries.schema_judgement import CacheLossRow, QuantLossRow

DIRECTORY = "quality"
_CACHE = "kv-cache"


def quant_loss_rows(root: Path | None = None) -> Iterator[Entry]:
    """All measured losses of quantizations, files in name order."""
    for path in sorted(((root or CATALOG_ROOT) / DIRECTORY).glob("*.jsonl")):
        yield from map(orjson.loads, path.read_bytes().splitlines())


def cache_loss_rows(root: Path | None = None) -> Iterator[Entry]:
    """All measured losses of KV-cache types."""
    for path in sorted(((root or CATALOG_ROOT) / DIRECTORY / _CACHE).glob("*.jsonl")):
        yield from map(orjson.loads, path.read_bytes().splitlines())


def check_quality(root: Path, slugs: Mapping[str, Set[str]]) -> list[Fault]:
    """Faults of all files under ``quality/``; a catalog without that folder has none."""
    faults: list[Fault] = []
    for path in sorted((root / DIRECTORY).rglob("*.jsonl")):
        file = str(path.relative_to(root))
        shape = CacheLossRow if path.parent.name == _CACHE else QuantLossRow
        for label, row in checked_lines(path, file, faults):
            faults += shape_faults(shape, file, label, row)
            slug = row.get("model_slug")
            if slug is not None and slug not in slugs.get("model", ()):
                message = f"the catalog has no model {slug!r}; correct the slug, or set it to null"
                faults.append(Fault(file, label, "model_slug", message))
    return faults
