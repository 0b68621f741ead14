"""Reads of fits for the API. Every function runs one statement against the generation that it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.fit_cells import CellRow, FitCell, FitKey, cell_of, cells_of_rows
from db.fit_query import (
    ALL_SLOTS,
    FitCursor,
    FitField,
    FitOrder,
    FitQuery,
    conditions,
    cursor_of,
    normal,
    page_source,
    parts,
    shared_columns,
    shared_joins,
    sort_key,
    with_shared,
)
from db.fit_tables import SLOT_COUNT, SLOTS, visible
from db.generations import Generation

__all__ = [
    "SLOTS",
    "FitCell",
    "FitCursor",
    "FitField",
    "FitKey",
    "FitOrder",
    "FitPage",
    "FitQuery",
    "ModelQuant",
    "count_fits",
    "fetch_fits",
    "fetch_pairs",
    "model_quants",
    "page_fits",
    "top_fits_of_gpus",
    "top_fits_of_models",
]
#: SQLite joins at most 500 SELECTs in one compound statement.
_COMPOUND_LIMIT = 400
_FULL_ROW = (
    "f.model_id, f.gpu_id, f.quant_id, f.flags, f.rest, "
    + ", ".join(f"f.{field}_{slot}" for slot in range(SLOT_COUNT) for field in ("decode", "ttft", "safe", "score"))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FitPage:
    """Cells in order with the cursor of each; the flags say truly whether there is more on either side."""

    cells: list[FitCell]
    cursors: list[FitCursor]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class ModelQuant:
    """What depends on (model, quant) alone: bytes of the file, and of the weights once loaded."""

    model_id: int
    quant_id: int
    file_size_bytes: int
    weights_bytes: int


async def fetch_fits(
    connection: AsyncConnection, generation: Generation, keys: Sequence[FitKey]
) -> dict[FitKey, tuple[FitCell, ...]]:
    """All workloads, by slot, of each pairing; a pairing that no engine can run is absent."""
    if not keys:
        return {}
    source, parameters = _keys(connection, [tuple(key) for key in dict.fromkeys(keys)], 3)
    match = "f.model_id = k.c0 AND f.gpu_id = k.c1 AND f.quant_id = k.c2"
    rows = await _full_rows(connection, generation, source, match, parameters)
    found = (_all_cells(row, generation.id) for row in rows)
    return {cells[0].key: cells for cells in found}


async def fetch_pairs(
    connection: AsyncConnection,
    generation: Generation,
    pairs: Sequence[tuple[int, int]],
    workload_ids: Sequence[int] | None = None,
) -> dict[tuple[int, int], list[FitCell]]:
    """Every quant of each (model, gpu), by quant id and slot; of the given workloads, or of all."""
    if not pairs:
        return {}
    source, parameters = _keys(connection, list(dict.fromkeys(pairs)), 2)
    rows = await _full_rows(connection, generation, source, "f.model_id = k.c0 AND f.gpu_id = k.c1", parameters)
    slots = ALL_SLOTS if workload_ids is None else tuple(workload_ids)
    found: dict[tuple[int, int], list[FitCell]] = {pair: [] for pair in pairs}
    for row in sorted(rows, key=lambda row: int(row[2])):
        found[row[0], row[1]].extend(_cells(row, generation.id, slots))
    return found


async def page_fits(
    connection: AsyncConnection,
    generation: Generation,
    query: FitQuery,
    order: Sequence[FitOrder] = (),
    *,
    after: FitCursor | None = None,
    before: FitCursor | None = None,
    limit: int = 20,
) -> FitPage:
    """A page by keyset: ``limit`` cells after ``after``, or the last ``limit`` before ``before``.

    Raises ValueError for a cursor of another order, and when both cursors are given.
    """
    if after is not None and before is not None:
        raise ValueError("give 'after' or 'before', not both")
    order = normal(order)
    backwards, cursor = before is not None, after if before is None else before
    guard = "+" if connection.dialect.name == "sqlite" else ""
    sources = [
        page_source(generation.table, part, order, slot, limit + 1, cursor=cursor, backwards=backwards, guard=guard)
        for part in parts(query, order)
        for slot in _slots(query)
    ]
    if not sources:
        return FitPage([], [], False, False)
    union = " UNION ALL ".join(f"SELECT * FROM ({source}) s{number}" for number, source in enumerate(sources))
    statement = text(with_shared(generation.table, union))
    rows = (await connection.execute(statement, {"generation": generation.id})).all()
    return _page(rows, generation.id, order, limit, backwards=backwards, beyond=cursor is not None)


async def top_fits_of_models(
    connection: AsyncConnection,
    generation: Generation,
    model_ids: Sequence[int],
    query: FitQuery,
    order: Sequence[FitOrder],
    limit: int,
) -> dict[int, FitPage]:
    """First page of each model's fits. ``query.model_ids`` is not looked at."""
    narrowed = replace(query, model_ids=())
    return await _tops(connection, generation, "model_id", model_ids, narrowed, order, limit)


async def top_fits_of_gpus(
    connection: AsyncConnection,
    generation: Generation,
    gpu_ids: Sequence[int],
    query: FitQuery,
    order: Sequence[FitOrder],
    limit: int,
) -> dict[int, FitPage]:
    """First page of each GPU's fits. ``query.gpu_ids`` is not looked at."""
    narrowed = replace(query, gpu_ids=())
    return await _tops(connection, generation, "gpu_id", gpu_ids, narrowed, order, limit)


async def count_fits(connection: AsyncConnection, generation: Generation, query: FitQuery) -> int:
    """How many cells match: from the counters of the generation when nothing is filtered."""
    slots = _slots(query)
    if query.is_everything:
        return generation.rows * len(slots)
    if not slots:
        return 0
    # What holds for every workload (visibility, ids) stands in WHERE, where an index can serve it.
    shared = set.intersection(*(set(conditions(query, slot)) for slot in slots))
    counts = [
        "sum(CASE WHEN {} THEN 1 ELSE 0 END)".format(
            " AND ".join([each for each in conditions(query, slot) if each not in shared] or ["1 = 1"])
        )
        for slot in slots
    ]
    where = " AND ".join(sorted(shared))
    statement = f"SELECT {' + '.join(counts)} FROM {generation.table} f WHERE {where}"
    return int((await connection.execute(text(statement), {"generation": generation.id})).scalar() or 0)


async def model_quants(
    connection: AsyncConnection, generation: Generation, model_ids: Sequence[int]
) -> dict[int, list[ModelQuant]]:
    """Sizes of every quant of each model that some engine can run, by quant id."""
    found: dict[int, dict[int, ModelQuant]] = {model_id: {} for model_id in model_ids}
    if not found:
        return {}
    source, parameters = _keys(connection, [(model_id,) for model_id in found], 1)
    statement = text(
        f"SELECT f.model_id, f.quant_id, f.file_size_bytes, f.weights_bytes FROM {source} "
        f"CROSS JOIN {generation.table}_quant f WHERE f.model_id = k.c0 AND {visible()} "
        "ORDER BY f.model_id, f.quant_id, f.born"
    )
    for row in await connection.execute(statement, {"generation": generation.id, **parameters}):
        found[row[0]][row[1]] = ModelQuant(*row)
    return {model_id: list(quants.values()) for model_id, quants in found.items()}


async def _tops(
    connection: AsyncConnection,
    generation: Generation,
    column: str,
    ids: Sequence[int],
    query: FitQuery,
    order: Sequence[FitOrder],
    limit: int,
) -> dict[int, FitPage]:
    order, slots, wanted = normal(order), _slots(query), list(dict.fromkeys(ids))
    groups: dict[int, list[Sequence[Any]]] = {each: [] for each in wanted}
    field = f"{column}s"
    if slots and wanted:
        step = len(wanted) if connection.dialect.name == "postgresql" else max(_COMPOUND_LIMIT // len(slots), 1)
        for start in range(0, len(wanted), step):
            chunk = wanted[start : start + step]
            sources = [
                page_source(generation.table, replace(query, **_only(field, each)), order, slot, limit + 1)
                for slot in slots
                for each in (chunk if connection.dialect.name != "postgresql" else chunk[:1])
            ]
            parameters: dict[str, Any] = {"generation": generation.id}
            if connection.dialect.name == "postgresql":
                lateral = [source.replace(f"f.{column} IN ({chunk[0]})", f"f.{column} = k.c0") for source in sources]
                source, keys = _keys(connection, [(each,) for each in chunk], 1)
                parameters |= keys
                union = " UNION ALL ".join(f"({each})" for each in lateral)
                source = f"SELECT s.* FROM {source} CROSS JOIN LATERAL ({union}) s"
            else:
                source = " UNION ALL ".join(f"SELECT * FROM ({each}) s{number}" for number, each in enumerate(sources))
            for row in await connection.execute(text(with_shared(generation.table, source)), parameters):
                groups[row[1] if column == "model_id" else row[2]].append(row)
    return {each: _page(rows, generation.id, order, limit) for each, rows in groups.items()}


def _page(
    rows: Sequence[Sequence[Any]],
    generation: int,
    order: Sequence[FitOrder],
    limit: int,
    *,
    backwards: bool = False,
    beyond: bool = False,
) -> FitPage:
    cursors = {id(row): cursor_of(order, row) for row in rows}
    ranked = sorted(rows, key=lambda row: sort_key(order, cursors[id(row)]), reverse=backwards)
    more, kept = len(ranked) > limit, ranked[:limit]
    if backwards:
        kept.reverse()
    return FitPage(
        cells=cells_of_rows(kept, generation),
        cursors=[cursors[id(row)] for row in kept],
        has_next=beyond if backwards else more,
        has_previous=more if backwards else beyond,
    )


def _slots(query: FitQuery) -> tuple[int, ...]:
    unknown = [slot for slot in query.workload_ids if slot not in ALL_SLOTS]
    if unknown:
        raise ValueError(f"workload ids {unknown} are not slots; the slots are 0 to {SLOT_COUNT - 1}")
    return tuple(sorted(set(query.workload_ids)))


def _keys(connection: AsyncConnection, keys: Sequence[tuple[int, ...]], width: int) -> tuple[str, dict[str, Any]]:
    """A table expression ``k`` with integer columns c0, c1, ... and the parameters that fill it."""
    names = [f"c{number}" for number in range(width)]
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(f"CAST(:k{number} AS int[])" for number in range(width))
        parameters = {f"k{number}": [key[number] for key in keys] for number in range(width)}
        return f"unnest({arrays}) AS k({', '.join(names)})", parameters
    columns = ", ".join(f"json_extract(value, '$[{number}]') AS c{number}" for number in range(width))
    return f"(SELECT {columns} FROM json_each(:keys)) k", {"keys": json.dumps(keys)}


async def _full_rows(
    connection: AsyncConnection, generation: Generation, source: str, match: str, parameters: dict[str, Any]
) -> Sequence[Sequence[Any]]:
    # CROSS JOIN keeps SQLite from turning the loops around: the keys lead, the index follows.
    statement = text(
        f"SELECT {_FULL_ROW}, {shared_columns('f')} FROM {source} CROSS JOIN {generation.table} f "
        f"{shared_joins(generation.table, 'f')} WHERE {match} AND {visible()}"
    )
    return (await connection.execute(statement, {"generation": generation.id, **parameters})).all()


def _only(field: str, value: int) -> dict[str, Any]:
    return {field: (value,)}


def _all_cells(row: Sequence[Any], generation: int) -> tuple[FitCell, ...]:
    return tuple(_cells(row, generation, ALL_SLOTS))


def _cells(row: Sequence[Any], generation: int, slots: Sequence[int]) -> list[FitCell]:
    model_id, gpu_id, quant_id, flags, rest = row[:5]
    shared = row[5 + 4 * SLOT_COUNT :]
    cells = []
    for slot in slots:
        hot = row[5 + 4 * slot : 9 + 4 * slot]
        cells.append(cell_of(CellRow._make((slot, model_id, gpu_id, quant_id, flags, *hot, rest, *shared)), generation))
    return cells
