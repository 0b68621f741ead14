"""Fits of given pairings, what depends on model and quant alone, and the figures of all fits of one owner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.fits.cells import FitKey, StoredCell
from db.fits.generations import Generation
from db.fits.joins import shared_columns, shared_joins
from db.fits.layout import FLAG_BITS, SLOT_COUNT, STATUS_MASK, checked, visible
from db.fits.packing import BAND_CELL, BAND_CELLS_AT, PLAN_CELL
from db.fits.query import ALL_SLOTS, FitOwner
from db.reading import Reader, Row, int_array

_FULL_ROW = (
    "f.model_id, f.gpu_id, f.quant_id, f.flags, f.rest, "
    + ", ".join(f"f.{field}_{slot}" for slot in range(SLOT_COUNT) for field in ("decode", "ttft", "safe", "score"))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelQuant:
    """Sizes by (model, quant): bytes of the file, and of the weights once loaded."""

    model_id: int
    quant_id: int
    file_size_bytes: int
    weights_bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Fits that run, of one owner and workload, arrays (N,). ``other_id`` is the model of an accelerator's fit, and the
    accelerator of a model's. A ``ttft_ms`` of 0 is unknown."""

    other_id: NDArray[np.int64]
    quant_id: NDArray[np.int64]
    status: NDArray[np.uint8]
    decode_tok_s: NDArray[np.float64]
    ttft_ms: NDArray[np.float64]
    safe_context_tokens: NDArray[np.int64]


async def fetch_fits(
    reader: Reader, generation: Generation, keys: Sequence[FitKey], workload_ids: Sequence[int] | None = None
) -> dict[FitKey, list[StoredCell]]:
    """Cells of each pairing and quant, of the given workloads or of all, in the order of slots.

    A pairing that no engine can run is absent.
    """
    if not keys:
        return {}
    source, parameters = _keys(reader, [tuple(key) for key in dict.fromkeys(keys)], 3)
    match = "f.model_id = k.c0 AND f.gpu_id = k.c1 AND f.quant_id = k.c2"
    fits: dict[FitKey, list[StoredCell]] = {}
    for cell in await _matching(reader, generation, source, match, parameters, workload_ids):
        fits.setdefault(cell.key, []).append(cell)
    return fits


async def fetch_pairs(
    reader: Reader,
    generation: Generation,
    pairs: Sequence[tuple[int, int]],
    workload_ids: Sequence[int] | None = None,
    quant_ranks: Mapping[int, int] | None = None,
) -> dict[tuple[int, int], list[StoredCell]]:
    """Cells of every quant of each (model, gpu), of the given workloads or of all.

    Quants come in the order of their ids, or of the ranks that ``quant_ranks`` gives these; each in the order of slots.
    """
    if not pairs:
        return {}
    source, parameters = _keys(reader, list(dict.fromkeys(pairs)), 2)
    match = "f.model_id = k.c0 AND f.gpu_id = k.c1"
    matching = await _matching(reader, generation, source, match, parameters, workload_ids)
    ranks = quant_ranks
    matching.sort(key=attrgetter("quant_id") if ranks is None else lambda cell: ranks[cell.quant_id])
    cells: dict[tuple[int, int], list[StoredCell]] = {pair: [] for pair in pairs}
    for cell in matching:
        cells[cell.model_id, cell.gpu_id].append(cell)
    return cells


async def model_quants(reader: Reader, generation: Generation, model_ids: Sequence[int]) -> dict[int, list[ModelQuant]]:
    """Sizes of every quant of each model that some engine can run, by quant id."""
    by_model: dict[int, dict[int, ModelQuant]] = {model_id: {} for model_id in model_ids}
    if not by_model:
        return {}
    source, parameters = _keys(reader, [(model_id,) for model_id in by_model], 1)
    statement = (
        f"SELECT f.model_id, f.quant_id, f.file_size_bytes, f.weights_bytes FROM {source} "
        f"CROSS JOIN {generation.table}_quant f WHERE f.model_id = k.c0 AND {visible(generation.id)} "
        "ORDER BY f.model_id, f.quant_id, f.born"
    )
    for row in await reader.rows(statement, parameters):
        by_model[row[0]][row[1]] = ModelQuant(*row)
    return {model_id: list(quants.values()) for model_id, quants in by_model.items()}


async def fetch_figures(reader: Reader, generation: Generation, owner: FitOwner, number: int, slot: int) -> Figures:
    """Figures of the fits of one model or accelerator for one workload."""
    other = FitOwner.MODEL if owner is FitOwner.GPU else FitOwner.GPU
    columns = (f"decode_{slot}", f"ttft_{slot}", f"safe_{slot}", other.column, "flags", "quant_id")
    statement = (
        f"SELECT {_one_value(columns) if reader.dialect == 'postgresql' else ', '.join(columns)} "
        f"FROM {checked(generation.table)} f WHERE f.{owner.column} = :owner AND f.decode_{slot} > 0 AND {visible(generation.id)}"
    )
    rows = await reader.rows(statement, {"owner": number})
    if reader.dialect == "postgresql":
        numbers = np.frombuffer(rows[0][0] or b"", dtype=">i4")
    else:
        numbers = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=len(columns) * len(rows))
    decode, ttft, safe, others, flags, quants = numbers.astype(np.int32).reshape(-1, len(columns)).T.copy()
    return Figures(
        other_id=others.astype(np.int64),
        quant_id=quants.astype(np.int64),
        status=(flags >> FLAG_BITS * slot & STATUS_MASK).astype(np.uint8),
        decode_tok_s=decode.view(np.float32).astype(np.float64),
        ttft_ms=ttft.view(np.float32).astype(np.float64),
        safe_context_tokens=safe.astype(np.int64),
    )


def _one_value(columns: Sequence[str]) -> str:
    """PostgreSQL's expression for all rows as one value, for thousands of them cost more to send than to read: pairs of
    columns, which are never negative, four bytes each, the highest first."""
    pairs = zip(columns[::2], columns[1::2], strict=True)
    row = " || ".join(f"int8send(CAST(f.{high} AS bigint) << 32 | f.{low})" for high, low in pairs)
    return f"string_agg({row}, CAST('' AS bytea))"


def _keys(reader: Reader, keys: Sequence[tuple[int, ...]], width: int) -> tuple[str, dict[str, Any]]:
    """A table expression ``k`` with integer columns c0, c1, ... and the parameters that fill it."""
    names = [f"c{number}" for number in range(width)]
    if reader.dialect == "postgresql":
        arrays = ", ".join(f"CAST(:k{number} AS int[])" for number in range(width))
        parameters: dict[str, Any] = {f"k{number}": int_array(key[number] for key in keys) for number in range(width)}
        return f"unnest({arrays}) AS k({', '.join(names)})", parameters
    columns = ", ".join(f"json_extract(value, '$[{number}]') AS c{number}" for number in range(width))
    return f"(SELECT {columns} FROM json_each(:keys)) k", {"keys": json.dumps(keys)}


async def _matching(
    reader: Reader,
    generation: Generation,
    source: str,
    match: str,
    parameters: dict[str, Any],
    workload_ids: Sequence[int] | None,
) -> list[StoredCell]:
    """Cells of the rows that match, of the given workloads or of all; those of a row in the order of slots."""
    slots = ALL_SLOTS if workload_ids is None else tuple(workload_ids)
    # The columns of one workload are those of a cell already.
    one = slots[0] if len(slots) == 1 else None
    columns = _FULL_ROW if one is None else _cell_columns(one)
    # CROSS JOIN keeps SQLite from turning the loops around: the keys lead, the index follows.
    rows = await reader.rows(
        f"SELECT {columns}, {shared_columns('f', one)} FROM {source} CROSS JOIN {generation.table} f "
        f"{shared_joins(generation.table, 'f', reader.dialect)} WHERE {match} AND {visible(generation.id)}",
        parameters,
    )
    if one is not None:
        return [StoredCell(row, generation.id) for row in rows]
    return [cell for row in rows for cell in _cells(row, generation.id, slots)]


def _cell_columns(slot: int) -> str:
    """Columns of the cells of one workload, in the order of ``CELL_COLUMNS``, up to the shared ones."""
    figures = ", ".join(f"f.{name}_{slot}" for name in ("decode", "ttft", "safe", "score"))
    return f"{slot}, f.model_id, f.gpu_id, f.quant_id, f.flags, {figures}, f.rest"


def _cells(row: Row, generation: int, slots: Sequence[int]) -> list[StoredCell]:
    model_id, gpu_id, quant_id, flags, rest = row[:5]
    plans, bands, *memory = row[5 + 4 * SLOT_COUNT :]
    size = PLAN_CELL.itemsize
    cells = []
    for slot in slots:
        figures, plan = row[5 + 4 * slot : 9 + 4 * slot], plans[slot * size : slot * size + size]
        band = bands[: BAND_CELLS_AT + (slot + 1) * BAND_CELL.itemsize]
        known = (slot, model_id, gpu_id, quant_id, flags, *figures, rest, plan, band, *memory)
        cells.append(StoredCell(known, generation))
    return cells
