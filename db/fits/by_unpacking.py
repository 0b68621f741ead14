"""Orders by what is stored packed (prefill speed, memory of the load), by the price of the accelerator, or by speed a dollar
or a watt; and the first fit of each model, accelerator or quantization.

No column holds these, and no index finds those, so every row that passes is read, as one packed text for each model and
quantization; numpy unpacks and sorts. That is fit for few models or accelerators only: some hundred thousand rows at the
most.

A fit without such a figure (nothing runs, no engine, no known peak or price) comes last in both directions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.fits.by_key import fetch_fits
from db.fits.cells import FitKey
from db.fits.conditions import Condition, all_of, conditions, shared_and_own
from db.fits.generations import Generation
from db.fits.layout import ENGINE_MASK, ENGINE_SHIFT, FLAG_BITS, PLAN_BYTES, SLOT_COUNT, STATUS_MASK, checked
from db.fits.orders import figures_of, key_descends
from db.fits.packing import LAST_RUNNING_STATUS, OVERHEAD_EXPLICIT, OVERHEAD_OF_ROW, PLAN_CELL, REST
from db.fits.query import (
    ABSENT_AT_ZERO,
    FitCursor,
    FitField,
    FitOrder,
    FitOwner,
    FitPage,
    FitQuery,
    Window,
    is_narrow,
    slots_of,
)
from db.reading import Reader, Row
from estimator.types import STATUSES, Status

Array = NDArray[Any]


class GpuFigures(NamedTuple):
    """Figures of accelerators by their ids; those that are not known are absent: prices in US dollars, power in watts."""

    prices: Mapping[int, float]
    watts: Mapping[int, float]


NO_FIGURES = GpuFigures({}, {})
#: Decode speed over a figure of the accelerator.
_RATIOS = frozenset((FitField.VALUE, FitField.EFFICIENCY))
PACKED = frozenset((FitField.PREFILL, FitField.MEMORY, FitField.PRICE, *_RATIOS))
_PARTS = ("weights", "kv_cache", "compute")
#: In a cursor, for a fit without the figure.
_NONE = -1
#: In a column to sort by, for a fit without the figure: after all others.
_LAST = np.iinfo(np.int64).max
#: Where a cursor has the ids of owners.
_OWNER_PARTS = {FitOwner.MODEL: -4, FitOwner.GPU: -3, FitOwner.QUANT: -2, FitOwner.WORKLOAD: -1}
_UNSUPPORTED = STATUSES.index(Status.UNSUPPORTED)
_CENTS = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fit stands in an order."""

    key: FitKey
    slot: int
    cursor: FitCursor


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows as read: model and quant of each, its record, and its plan among those that are used."""

    model: Array
    quant: Array
    records: Array
    plans: Array | None = None
    plan: Array | None = None


def is_packed(query: FitQuery, order: Sequence[FitOrder]) -> bool:
    """Whether a term of the order has no column, or one fit of each group is asked for."""
    return query.one_per is not None or any(term.field in PACKED for term in order)


async def packed_pages(
    reader: Reader,
    generation: Generation,
    query: FitQuery,
    window: Window,
    gpus: GpuFigures,
    *,
    owner: FitOwner | None = None,
    owners: Sequence[int] = (0,),
) -> dict[int, FitPage]:
    """The window of the fits of each of ``owners`` (of all, without a kind of owner).

    Raises ValueError for a query that is not narrow, and for a cursor of another order.
    """
    places = await _places(reader, generation, query, window, gpus, owner, owners)
    kept = {number: places_kept[: window.size] for number, places_kept in places.items()}
    rows = await fetch_fits(reader, generation, [place.key for places_kept in kept.values() for place in places_kept])
    return {
        number: window.page(
            [(rows[place.key][place.slot], place.cursor) for place in places_kept],
            more=len(places[number]) > window.size,
        )
        for number, places_kept in kept.items()
    }


async def _places(
    reader: Reader,
    generation: Generation,
    query: FitQuery,
    window: Window,
    gpus: GpuFigures,
    owner: FitOwner | None,
    owners: Sequence[int],
) -> dict[int, list[Place]]:
    """The first fits of each of ``owners`` in the direction of the window, one beyond the page where there is one."""
    order, cursor, backwards, limit = window.order, window.cursor, window.backwards, window.rows
    if not is_narrow(query):
        raise ValueError("an order by packed figures, or one fit a group, needs a query of few models or accelerators")
    start = None if cursor is None else _checked(cursor, order)
    slots = slots_of(query)
    if not slots:
        return {number: [] for number in owners}
    fields = (FitField.DECODE if term.field in _RATIOS else term.field for term in order)
    columns = tuple(dict.fromkeys(field for field in fields if field not in PACKED and field is not FitField.KEY))
    with_plans = any(term.field is FitField.MEMORY for term in order)
    statement = _statement(reader.dialect, generation, query, slots, columns, with_plans=with_plans)
    rows = await reader.rows(statement, {})

    def find() -> dict[int, list[Place]]:
        unpacked = _read(rows, columns, with_plans=with_plans)
        best: dict[int, list[tuple[Array, Array]]] = {number: [] for number in owners}
        # A workload at a time: memory for one of them, and the few that are left are sorted together.
        for slot in slots:
            at = np.flatnonzero(unpacked.records["passes"] >> slot & 1)
            parts = _parts(unpacked, at, slot, order, gpus)
            ids = None if owner is None else _owner_of(owner, unpacked, at, parts)
            if query.one_per is not None:
                for number in owners:
                    own = np.arange(len(at)) if ids is None else np.flatnonzero(ids == number)
                    best[number].append((np.empty((0, 0)), _one_each(_taken(parts, own), query.one_per, order)))
                continue
            keys = _directed(parts, order, backwards=backwards)
            passing = np.ones(len(at), dtype=bool)
            if start is not None:
                passing = _after(keys, _directed([np.array([part]) for part in start], order, backwards=backwards))
            for number in owners:
                own = passing if ids is None else passing & (ids == number)
                chosen = _first(keys, np.flatnonzero(own), limit)
                best[number].append((_taken(keys, chosen), _taken(parts, chosen)))
        if query.one_per is None:
            return {number: _merged(entries, limit) for number, entries in best.items()}
        group = query.one_per
        return {
            number: _paged(
                _one_each(np.concatenate([parts for _, parts in entries], axis=1), group, order), window, start
            )
            for number, entries in best.items()
        }

    # Tens of milliseconds for many rows, in which others are answered.
    return await asyncio.to_thread(find)


def _statement(
    dialect: str,
    generation: Generation,
    query: FitQuery,
    slots: Sequence[int],
    columns: Sequence[FitField],
    *,
    with_plans: bool,
) -> str:
    """SELECT of model, quant, what passes of their rows (records one after another), and their plans if these are asked for."""
    shared, alternatives = shared_and_own([conditions(generation.id, query, slot, indexed=False) for slot in slots])
    own = [all_of(conditions) or "1 = 1" for conditions in alternatives]
    # One bit for each workload that passes.
    passes = " + ".join(
        f"CASE WHEN {condition} THEN {1 << slot} ELSE 0 END" for slot, condition in zip(slots, own, strict=True)
    )
    either = [Condition(f"({' OR '.join(own)})")] if all(alternatives) else []
    where = all_of([*shared, *either])
    numbers = ["f.gpu_id", "f.flags", "f.plan", passes, *(f"f.{name}" for name in _names(columns))]
    if dialect == "postgresql":
        record = " || ".join([*(f"int4send({column})" for column in numbers), "f.rest"])
        records = f"string_agg({record}, CAST('' AS bytea))"
    else:
        # SQLite joins texts alone.
        records = f"group_concat(printf('{'%08X' * len(numbers)}', {', '.join(numbers)}) || hex(f.rest), '')"
    grouped = (
        f"SELECT f.model_id, f.quant_id, f.born, {records} AS records FROM {checked(generation.table)} f WHERE {where} "
        "GROUP BY f.model_id, f.quant_id, f.born"
    )
    if not with_plans:
        return f"SELECT r.model_id, r.quant_id, r.records FROM ({grouped}) r"
    return (
        f"SELECT r.model_id, r.quant_id, r.records, q.plans FROM ({grouped}) r JOIN {generation.table}_quant q "
        "ON q.model_id = r.model_id AND q.quant_id = r.quant_id AND q.born = r.born"
    )


def _names(columns: Sequence[FitField]) -> list[str]:
    return [f"{field.value}_{slot}" for field in columns for slot in range(SLOT_COUNT)]


def _read(rows: Sequence[Row], columns: Sequence[FitField], *, with_plans: bool) -> _Read:
    names = ("gpu", "flags", "plan", "passes", *_names(columns))
    layout = np.dtype([*((name, ">i4") for name in names), ("rest", REST)])
    texts = [bytes.fromhex(row[2]) if isinstance(row[2], str) else bytes(row[2]) for row in rows]
    records = np.frombuffer(b"".join(texts), dtype=layout)
    counts = np.array([len(text) // layout.itemsize for text in texts], dtype=np.int64)
    model, quant = (np.repeat(np.array([row[place] for row in rows], dtype=np.int64), counts) for place in (0, 1))
    if not with_plans:
        return _Read(model, quant, records)
    blobs = [bytes(row[3]) for row in rows]
    entries = np.array([len(blob) // PLAN_BYTES for blob in blobs], dtype=np.int64)
    number = np.repeat(np.cumsum(entries) - entries, counts) + records["plan"]
    # Rows share plans, and rows of few accelerators leave most of them out.
    used, plan = np.unique(number, return_inverse=True)
    plans = np.frombuffer(b"".join(blobs), dtype=PLAN_CELL).reshape(-1, SLOT_COUNT)[used]
    return _Read(model, quant, records, plans, plan)


def _parts(read: _Read, at: Array, slot: int, order: Sequence[FitOrder], gpus: GpuFigures) -> list[Array]:
    """Parts of the cursors of one workload's cells in the rows ``at``."""
    records = read.records[at]
    gpu, status = records["gpu"].astype(np.int64), records["flags"] >> FLAG_BITS * slot & STATUS_MASK
    columns: list[Array] = []
    for term in order:
        if term.field is FitField.PREFILL:
            bits = np.ascontiguousarray(records["rest"]["prefill"][:, slot]).view("<i4")
            columns.append(np.where((status <= LAST_RUNNING_STATUS) & (bits > 0), bits, _NONE))
        elif term.field is FitField.MEMORY:
            columns.append(np.where(status == _UNSUPPORTED, _NONE, _totals(read, at, slot)))
        elif term.field is FitField.PRICE:
            cents = _known(gpu, gpus.prices) * _CENTS
            columns.append(np.where(np.isnan(cents), _NONE, np.rint(np.nan_to_num(cents))))
        elif term.field in _RATIOS:
            known = _known(gpu, gpus.prices if term.field is FitField.VALUE else gpus.watts)
            columns.append(_ratios(np.ascontiguousarray(records[f"{FitField.DECODE}_{slot}"], dtype="<i4"), known))
        elif term.field is not FitField.KEY:
            values = records[f"{term.field.value}_{slot}"]
            columns.append(np.where(values == 0, _NONE, values) if term.field in ABSENT_AT_ZERO else values)
    columns += [read.model[at], gpu, read.quant[at], np.full(len(at), slot)]
    return [part.astype(np.int64) for part in columns]


def _totals(read: _Read, at: Array, slot: int) -> Array:
    """Memory of one workload in the rows ``at``, bytes."""
    assert read.plans is not None
    assert read.plan is not None
    plans, plan = read.plans[:, slot], read.plan[at]
    shared = sum(_integers(plans[name]) for name in _PARTS)
    shared = shared + np.where(plans["overhead_mode"] == OVERHEAD_EXPLICIT, _integers(plans["overhead"]), 0)
    with_own = (plans["overhead_mode"] == OVERHEAD_OF_ROW)[plan]
    return np.asarray(shared[plan] + np.where(with_own, _integers(read.records["rest"]["overhead"][at]), 0))


def _owner_of(owner: FitOwner, read: _Read, at: Array, parts: Sequence[Array]) -> Array:
    if owner is FitOwner.ENGINE:
        return np.asarray(read.records["flags"][at] >> ENGINE_SHIFT & ENGINE_MASK)
    return parts[_OWNER_PARTS[owner]]


def _integers(parts: Array) -> Array:
    """Numbers from their little-endian bytes on the last axis."""
    return np.asarray((parts.astype(np.int64) << 8 * np.arange(parts.shape[-1])).sum(axis=-1))


def _known(gpu: Array, figures: Mapping[int, float]) -> Array:
    """The figure of each accelerator; NaN where it is not known."""
    known = np.full(int(gpu.max(initial=0)) + 1, np.nan)
    for number, figure in figures.items():
        if number < len(known):
            known[number] = figure
    return np.asarray(known[gpu])


def _ratios(decode_bits: Array, figures: Array) -> Array:
    """Bits of the float32 of speeds over figures, which order as the ratios do."""
    speeds = decode_bits.view("<f4").astype(np.float64)
    known = (decode_bits > 0) & (figures > 0)
    ratios = np.divide(speeds, figures, out=np.zeros(len(speeds)), where=known).astype("<f4")
    return np.where(known, ratios.view("<i4"), _NONE)


def _descending(order: Sequence[FitOrder]) -> list[bool]:
    """Whether each part of a cursor descends: the terms, then model, gpu, quant and workload."""
    key = [key_descends(order)] * len(FitKey._fields)
    return [*(term.descending for term in figures_of(order)), *key, False]


def _directed(parts: Sequence[Array], order: Sequence[FitOrder], *, backwards: bool) -> list[Array]:
    """Sort keys that ascend in the direction of the walk, most important first; the last four are unique together."""
    directed = []
    for values, descending in zip(parts, _descending(order), strict=True):
        placed = np.where(values == _NONE, _LAST, -values if descending else values)
        directed.append(-placed if backwards else placed)
    return directed


def _after(keys: Sequence[Array], start: Sequence[Array]) -> Array:
    """Which cells come after a cursor."""
    after = np.zeros(len(keys[-1]), dtype=bool)
    for values, value in list(zip(keys, start, strict=True))[::-1]:
        after = (values > value) | ((values == value) & after)
    return after


def _first(keys: Sequence[Array], among: Array, limit: int) -> Array:
    """Places of the first ``limit`` cells of those ``among`` the cells, in order."""
    if len(among) > limit:
        lead = keys[0][among]
        # Only what the first key does not leave out is sorted by all of them.
        among = among[lead <= np.partition(lead, limit - 1)[limit - 1]]
    return among[np.lexsort([values[among] for values in keys[::-1]])[:limit]]


def _one_each(parts: Array, group: FitOwner, order: Sequence[FitOrder]) -> Array:
    """Parts of the first cell of each group, in ascending order of the groups."""
    keys, groups = _directed(list(parts), order, backwards=False), parts[_OWNER_PARTS[group]]
    ranked = np.lexsort([*keys[::-1], groups])
    _, firsts = np.unique(groups[ranked], return_index=True)
    return np.asarray(parts[:, ranked[firsts]])


def _paged(parts: Array, window: Window, start: FitCursor | None) -> list[Place]:
    """The first cells of a window, one beyond the page where there is one."""
    keys = _directed(list(parts), window.order, backwards=window.backwards)
    after = np.ones(parts.shape[1], dtype=bool)
    if start is not None:
        after = _after(keys, _directed([np.array([part]) for part in start], window.order, backwards=window.backwards))
    chosen = _first(keys, np.flatnonzero(after), window.rows)
    return _places_of(parts[:, chosen])


def _places_of(parts: Array) -> list[Place]:
    return [Place(FitKey(*part[-4:-1]), part[-1], tuple(part)) for part in parts.T.tolist()]


def _taken(columns: Sequence[Array], chosen: Array) -> Array:
    return np.stack([column[chosen] for column in columns])


def _merged(halves: Sequence[tuple[Array, Array]], limit: int) -> list[Place]:
    """The first of what was found of each workload: their sort keys and their parts."""
    keys, parts = (np.concatenate(arrays, axis=1) for arrays in zip(*halves, strict=True))
    return _places_of(parts[:, np.lexsort(keys[::-1])[:limit]])


def _checked(cursor: FitCursor, order: Sequence[FitOrder]) -> FitCursor:
    if len(cursor) != len(_descending(order)) or not all(
        isinstance(part, int) and _NONE <= part < 1 << 62 for part in cursor
    ):
        raise ValueError("the cursor does not belong to this order")
    return cursor
