"""Differences between two published generations: fits that came, went or moved, told from the life spans of rows.

Two generations of one storage differ only in rows that were born or died between them. Two storages
are compared row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from db.fits.cells import ENGINES, float_of
from db.fits.generations import Generation
from db.fits.layout import (
    ENGINE_MASK,
    ENGINE_SHIFT,
    FLAG_BITS,
    HOT_FIELDS,
    RECOMMENDED_BIT,
    SLOT_COUNT,
    STATUS_MASK,
    checked,
)
from db.fits.query import ALL_SLOTS
from db.reading import Reader, Row
from estimator.types import STATUSES, Engine, Status

#: Ids of model, accelerator and quantization, and the slot of the workload.
CellKey: TypeAlias = tuple[int, int, int, int]
#: Bits of ``flags`` that one workload has, and those of the engine, which every workload of a row shares.
_OUTCOME, _ENGINE = (1 << FLAG_BITS) - 1, ENGINE_MASK << ENGINE_SHIFT
_KEY = ("model_id", "gpu_id", "quant_id")
_FIGURES = ("flags", *(f"{field}_{slot}" for field in HOT_FIELDS for slot in range(SLOT_COUNT)))


class DifferenceKind(StrEnum):
    """The change of a fit between two generations."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"


class Figures(NamedTuple):
    """Stored figures of one fit; two that differ in one of them have moved."""

    outcome: int
    decode_bits: int
    ttft_bits: int
    safe_context_tokens: int
    score_centi: int

    @property
    def status(self) -> Status:
        outcome: Status = STATUSES[self.outcome & STATUS_MASK]
        return outcome

    @property
    def recommended(self) -> bool:
        return bool(self.outcome & RECOMMENDED_BIT)

    @property
    def engine(self) -> Engine:
        kind: Engine = ENGINES[self.outcome >> ENGINE_SHIFT & ENGINE_MASK]
        return kind

    @property
    def decode_tok_s(self) -> float | None:
        """None where nothing runs."""
        return float_of(self.decode_bits) if self.decode_bits else None

    @property
    def ttft_ms(self) -> float | None:
        """None where nothing runs or no arithmetic peak is known."""
        return float_of(self.ttft_bits) if self.ttft_bits else None

    @property
    def score(self) -> float:
        """0 to 100."""
        return self.score_centi / 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One fit in two generations; a side is None where it is not there."""

    key: CellKey
    before: Figures | None
    after: Figures | None

    @property
    def kind(self) -> DifferenceKind:
        if self.before is None:
            return DifferenceKind.ADDED
        return DifferenceKind.REMOVED if self.after is None else DifferenceKind.MOVED


@dataclass(frozen=True, slots=True)
class DifferenceQuery:
    """Which differences. None is any; an empty tuple matches nothing."""

    model_ids: tuple[int, ...] | None = None
    gpu_ids: tuple[int, ...] | None = None
    quant_ids: tuple[int, ...] | None = None
    slots: tuple[int, ...] = ALL_SLOTS
    kinds: tuple[DifferenceKind, ...] = tuple(DifferenceKind)


@dataclass(frozen=True, slots=True)
class Span:
    """Two generations, the first not later than the second, with the models that can differ; None for all of them."""

    first: Generation
    last: Generation
    model_ids: tuple[int, ...] | None

    @property
    def shares_storage(self) -> bool:
        return self.first.table == self.last.table


async def span_of(reader: Reader, first: Generation, last: Generation) -> Span:
    """The span from one generation to another; of one storage, with the models whose rows were born or died in it."""
    if first.table != last.table:
        return Span(first, last, None)
    table = checked(first.table)
    # A row is born with one of its quantization, which are few; rows that died have an index.
    rows = await reader.rows(
        f"SELECT q.model_id FROM {table}_quant q WHERE {_in_span('q.born', first, last)} UNION "
        f"SELECT f.model_id FROM {table} f WHERE f.died <> 0 AND {_in_span('f.died', first, last)}",
        {},
    )
    return Span(first, last, tuple(sorted(row[0] for row in rows)))


async def page_differences(
    reader: Reader,
    span: Span,
    query: DifferenceQuery,
    *,
    place: CellKey | None = None,
    limit: int,
    backwards: bool = False,
) -> list[Difference]:
    """The first ``limit`` differences beyond ``place`` in the order of their keys, or in the opposite one."""
    sides = _sources(span, query, place, backwards=backwards)
    if not sides:
        return []
    order = ", ".join(f"k{number}{' DESC' if backwards else ''}" for number in range(len(_KEY)))
    # Each row has at least one difference, but for the row of the place, whose differences may all lie before it.
    rows = await reader.rows(
        " UNION ALL ".join(f"SELECT * FROM (SELECT {source} ORDER BY {order} LIMIT {limit + 1}) s" for source in sides)
        + f" ORDER BY {order} LIMIT {limit + 1}",
        {},
    )
    differences = [difference for row in rows for difference in _differences(row, query)]
    if place is not None:
        differences = [
            difference
            for difference in differences
            if (difference.key < place if backwards else difference.key > place)
        ]
    return sorted(differences, key=lambda difference: difference.key, reverse=backwards)[:limit]


async def count_differences(reader: Reader, span: Span, query: DifferenceQuery) -> int:
    """How many fits changed."""
    sides = _sources(span, query, None, counted=True)
    if not sides:
        return 0
    rows = await reader.rows(" UNION ALL ".join(f"SELECT {source}" for source in sides), {})
    return sum(int(row[0] or 0) for row in rows)


def _sources(
    span: Span, query: DifferenceQuery, place: CellKey | None, *, backwards: bool = False, counted: bool = False
) -> list[str]:
    """SELECT lists with their FROM and WHERE: rows of the first generation that ended or moved, and rows that came."""
    models = query.model_ids
    if span.model_ids is not None:
        models = span.model_ids if models is None else tuple(sorted({*models} & {*span.model_ids}))
    ids = (models, query.gpu_ids, query.quant_ids)
    if () in (*ids, query.slots) or span.first.id == span.last.id:
        return []
    sources = []
    if {DifferenceKind.REMOVED, DifferenceKind.MOVED} & set(query.kinds):
        sources.append(_ended(span, query, _scope("o", ids, place, backwards), counted=counted))
    if DifferenceKind.ADDED in query.kinds:
        sources.append(_come(span, _scope("n", ids, place, backwards), query, counted=counted))
    return sources


def _ended(span: Span, query: DifferenceQuery, scope: list[str], *, counted: bool) -> str:
    """Rows ``o`` of the first generation with those ``n`` of the last one, where one of the workloads differs."""
    differ = [_differs(slot) for slot in query.slots]
    passing = []
    if DifferenceKind.REMOVED in query.kinds:
        passing.append("n.model_id IS NULL")
    if DifferenceKind.MOVED in query.kinds:
        passing.append(f"(n.model_id IS NOT NULL AND ({' OR '.join(differ)}))")
    moved = " + ".join(f"CASE WHEN {differs} THEN 1 ELSE 0 END" for differs in differ)
    wanted = f"sum(CASE WHEN n.model_id IS NULL THEN {len(differ)} ELSE {moved} END)"
    if not counted:
        wanted = f"{_keys('o')}, {_columns('o')}, {_columns('n')}"
    ended = [_in_span("o.died", span.first, span.last)] if span.shares_storage else []
    same = " AND ".join(f"n.{column} = o.{column}" for column in _KEY)
    where = [*scope, _visible("o", span.first), *ended, f"({' OR '.join(passing)})"]
    return (
        f"{wanted} FROM {checked(span.first.table)} o LEFT JOIN {checked(span.last.table)} n "
        f"ON {same} AND {_visible('n', span.last)} WHERE {' AND '.join(where)}"
    )


def _come(span: Span, scope: list[str], query: DifferenceQuery, *, counted: bool) -> str:
    """Rows ``n`` of the last generation that the first one has not."""
    nothing = ", ".join(f"CAST(NULL AS INTEGER) AS o_{column}" for column in _FIGURES)
    wanted = f"count(*) * {len(query.slots)}" if counted else f"{_keys('n')}, {nothing}, {_columns('n')}"
    born = [_in_span("n.born", span.first, span.last)] if span.shares_storage else []
    same = " AND ".join(f"o.{column} = n.{column}" for column in _KEY)
    earlier = f"SELECT 1 FROM {checked(span.first.table)} o WHERE {same} AND {_visible('o', span.first)}"
    where = [*scope, _visible("n", span.last), *born, f"NOT EXISTS ({earlier})"]
    return f"{wanted} FROM {checked(span.last.table)} n WHERE {' AND '.join(where)}"


def _scope(alias: str, ids: Sequence[tuple[int, ...] | None], place: CellKey | None, backwards: bool) -> list[str]:
    """Conditions on the ids of a row, and on its place."""
    scope = [
        f"{alias}.{column} IN ({', '.join(str(int(number)) for number in among)})"
        for column, among in zip(_KEY, ids, strict=True)
        if among is not None
    ]
    if place is not None:
        columns = ", ".join(f"{alias}.{column}" for column in _KEY)
        # PostgreSQL and SQLite compare whole rows, and both do so by the index of the first two columns.
        scope.append(f"({columns}) {'<=' if backwards else '>='} ({', '.join(str(int(part)) for part in place[:3])})")
    return scope


def _differs(slot: int) -> str:
    """Condition that a workload of the rows ``o`` and ``n`` differs in a figure."""
    bits = (_OUTCOME << (FLAG_BITS * slot)) | _ENGINE
    figures = [f"o.{field}_{slot} <> n.{field}_{slot}" for field in HOT_FIELDS]
    return f"({' OR '.join([f'(o.flags & {bits}) <> (n.flags & {bits})', *figures])})"


def _visible(alias: str, generation: Generation) -> str:
    number = int(generation.id)
    return f"{alias}.born <= {number} AND ({alias}.died = 0 OR {alias}.died > {number})"


def _in_span(column: str, first: Generation, last: Generation) -> str:
    return f"{column} > {int(first.id)} AND {column} <= {int(last.id)}"


def _keys(alias: str) -> str:
    return ", ".join(f"{alias}.{column} AS k{number}" for number, column in enumerate(_KEY))


def _columns(alias: str) -> str:
    return ", ".join(f"{alias}.{column} AS {alias}_{column}" for column in _FIGURES)


def _differences(row: Row, query: DifferenceQuery) -> Iterator[Difference]:
    """Changes of the workloads of a row."""
    size, keys = len(_FIGURES), len(_KEY)
    sides = (row[keys : keys + size], row[keys + size :])
    for slot in query.slots:
        before, after = (_figures(side, slot) for side in sides)
        if before != after:
            yield Difference((row[0], row[1], row[2], slot), before, after)


def _figures(side: Sequence[int | None], slot: int) -> Figures | None:
    """Figures of a workload in one generation; None where the row is not there."""
    flags = side[0]
    if flags is None:
        return None
    outcome = (flags >> (FLAG_BITS * slot) & _OUTCOME) | (flags & _ENGINE)
    values = [side[1 + place * SLOT_COUNT + slot] or 0 for place in range(len(HOT_FIELDS))]
    return Figures(outcome, *values)
