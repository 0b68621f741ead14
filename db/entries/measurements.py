"""Measured tables of the catalog: speeds of one stream, speeds of servers, and memory, as JSON Lines, one row a line.

``thin`` has the keys of ``speed`` for hardware, engines and placements of which little is measured; ``serving`` has the
speeds of many streams at once. Rows keep every key of their source. Resolved names are added: ``gpu_slug``,
``model_slug``, ``quant_slug`` (null when the catalog has no such entity) and how sure each is (``gpu_match``,
``model_match``, ``quant_match``): ``exact``, ``assumed`` (memory size, core count or form factor not stated),
``same-shapes`` (another model of the same architecture and size) or ``variant`` (a custom mix of the named
quantization). The memory tables do not say how sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import orjson

from db.entries.files import CATALOG_ROOT, Fault, checked_lines

Row = dict[str, Any]

MATCHES = ("exact", "assumed", "same-shapes", "variant")
_KINDS = ("gpu", "model", "quant")
_SPEED_KINDS = ("decode", "prefill")
#: Tables of speeds, and the keys of which a row of a server has one.
_SPEED_TABLES = ("speed", "thin", "serving")
SERVED_SPEEDS = (
    "output_tok_s_total", "decode_tok_s_per_user", "tpot_ms", "itl_ms", "ttft_ms", "ttft_ms_median", "prefill_tok_s",
    "total_tok_s", "total_tok_s_per_gpu", "output_tok_s_per_gpu", "latency_s", "e2e_ms", "request_throughput",
    "tpot_ms_median",
)  # fmt: skip


def speed_rows(root: Path | None = None) -> Iterator[Row]:
    """All measured speeds of one stream on well-measured hardware, files in name order."""
    return _table("speed", root)


def thin_rows(root: Path | None = None) -> Iterator[Row]:
    """Measured speeds of one stream where little is measured: several cards, system memory, processors, rare devices."""
    return _table("thin", root)


def measured_rows(root: Path | None = None) -> Iterator[Row]:
    """All measured speeds of one stream."""
    yield from speed_rows(root)
    yield from thin_rows(root)


def serving_rows(root: Path | None = None) -> Iterator[Row]:
    """Measured speeds of servers with a stated or unlimited number of streams."""
    return _table("serving", root)


def _table(table: str, root: Path | None) -> Iterator[Row]:
    for path in sorted(((CATALOG_ROOT if root is None else root) / "measurements" / table).glob("*.jsonl")):
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
        for label, row in checked_lines(path, file, faults):
            row_faults = [*_unknown_names(row, slugs), *_bad_values(row, path.parent.name)]
            faults += [Fault(file, label, field, message) for field, message in row_faults]
    return faults


def _unknown_names(row: Mapping[str, Any], slugs: Mapping[str, Set[str]]) -> Iterator[tuple[str, str]]:
    for kind in _KINDS:
        slug = row.get(f"{kind}_slug")
        if slug is not None and slug not in slugs.get(kind, ()):
            yield f"{kind}_slug", f"the catalog has no {kind} {slug!r}; correct the slug, or set it to null"


def _bad_values(row: Mapping[str, Any], table: str) -> Iterator[tuple[str, str]]:
    if table not in _SPEED_TABLES:
        return
    if table == "serving":
        if not any(row.get(key) is not None for key in SERVED_SPEEDS):
            yield "output_tok_s_total", f"a row of a server has one of {', '.join(SERVED_SPEEDS)}"
    else:
        yield from _bad_speed(row)
    if not row.get("source_url"):
        yield "source_url", "a measurement needs its source"
    for kind in _KINDS:
        match = row.get(f"{kind}_match")
        if (match is None) != (row.get(f"{kind}_slug") is None) or match not in (None, *MATCHES):
            yield (
                f"{kind}_match",
                f"{match!r} must be one of {', '.join(MATCHES)}, or null exactly when {kind}_slug is null",
            )


def _bad_speed(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if row.get("kind") not in _SPEED_KINDS:
        yield "kind", f"{row.get('kind')!r} is none of {', '.join(_SPEED_KINDS)}"
    speed = row.get("tok_s")
    if not isinstance(speed, int | float) or speed <= 0:
        yield "tok_s", f"{speed!r} is no speed; it must be above 0 tokens per second"
