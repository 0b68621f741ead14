"""Measured tables of the catalog: single-stream speeds and memory, as JSON Lines, one row a line.

Rows keep every key of their source. Resolved names are added: ``gpu_slug``, ``model_slug``, ``quant_slug`` (null when
the catalog has no such entity) and, in the speed tables, how sure each is (``gpu_match``, ``model_match``,
``quant_match``): ``exact``, ``assumed`` (memory size, core count or form factor not stated), ``same-shapes`` (another
model of the same architecture and size) or ``variant`` (a custom mix of the named quantization).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import orjson

from db.entries.files import CATALOG_ROOT, Fault

Row = dict[str, Any]

MATCHES = ("exact", "assumed", "same-shapes", "variant")
#: Every file stays reviewable and below the size that hosting sites warn about.
MAX_FILE_BYTES = 1_500_000
_KINDS = ("gpu", "model", "quant")
_SPEED_KINDS = ("decode", "prefill")


def speed_rows(root: Path | None = None) -> Iterator[Row]:
    """All measured speeds, files in name order."""
    for path in sorted(((CATALOG_ROOT if root is None else root) / "measurements" / "speed").glob("*.jsonl")):
        yield from _rows(path)


def memory_rows(table: str, root: Path | None = None) -> Iterator[Row]:
    """Rows of one memory table: gguf-sizes, llama-logs, oracle-results, predicted-sizes or vllm-logs."""
    yield from _rows((CATALOG_ROOT if root is None else root) / "measurements" / "memory" / f"{table}.jsonl")


def _rows(path: Path) -> Iterator[Row]:
    for line in path.read_bytes().splitlines():
        yield orjson.loads(line)


def check_measurements(root: Path, slugs: Mapping[str, Set[str]]) -> list[Fault]:
    """Faults of all measurement files: size, JSON, resolved names, and values of speed rows."""
    faults: list[Fault] = []
    for path in sorted((root / "measurements").rglob("*.jsonl")):
        file = str(path.relative_to(root))
        if path.stat().st_size > MAX_FILE_BYTES:
            faults.append(Fault(file, "-", "-", f"the file exceeds {MAX_FILE_BYTES} bytes; split it by source"))
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            entry = f"line {number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                faults.append(Fault(file, entry, "-", f"the line is not valid JSON ({error}); repair it"))
                continue
            found = [*_unknown_names(row, slugs), *(_bad_values(row) if path.parent.name == "speed" else ())]
            faults += [Fault(file, entry, field, message) for field, message in found]
    return faults


def _unknown_names(row: Mapping[str, Any], slugs: Mapping[str, Set[str]]) -> Iterator[tuple[str, str]]:
    for kind in _KINDS:
        slug = row.get(f"{kind}_slug")
        if slug is not None and slug not in slugs.get(kind, ()):
            yield f"{kind}_slug", f"the catalog has no {kind} {slug!r}; correct the slug, or set it to null"


def _bad_values(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if row.get("kind") not in _SPEED_KINDS:
        yield "kind", f"{row.get('kind')!r} is none of {', '.join(_SPEED_KINDS)}"
    speed = row.get("tok_s")
    if not isinstance(speed, int | float) or speed <= 0:
        yield "tok_s", f"{speed!r} is no speed; it must be above 0 tokens per second"
    if not row.get("source_url"):
        yield "source_url", "a measurement needs its source"
    for kind in _KINDS:
        match = row.get(f"{kind}_match")
        if (match is None) != (row.get(f"{kind}_slug") is None) or match not in (None, *MATCHES):
            yield (
                f"{kind}_match",
                f"{match!r} must be one of {', '.join(MATCHES)}, or null exactly when {kind}_slug is null",
            )
