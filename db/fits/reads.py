"""Pages, lists and counts of fits for the API, read at the generation that each function is given."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache

from db.fits.by_index import indexed_rows, lateral_rows, parts
from db.fits.by_scan import is_scanned, ranked_rows, scanned_rows
from db.fits.by_unpacking import NO_FIGURES, GpuFigures, is_packed, packed_pages
from db.fits.conditions import Condition, all_of, conditions, shared_and_own
from db.fits.generations import Generation
from db.fits.orders import page_of
from db.fits.query import (
    FitCursor,
    FitOrder,
    FitOwner,
    FitPage,
    FitQuery,
    Lists,
    Window,
    grouped,
    is_narrow,
    normal,
    slots_of,
)
from db.reading import Reader, Row


class Way(Enum):
    """Ways to read the rows of lists."""

    #: No row can pass.
    NOTHING = auto()
    #: Packed figures order the list: ``db.fits.by_unpacking``.
    BY_UNPACKING = auto()
    #: No index leads to the first rows: ``db.fits.by_scan``.
    BY_SCAN = auto()
    #: An index gives the order, or few rows are sorted: ``db.fits.by_index``.
    BY_INDEX = auto()
    #: The same for each owner of one PostgreSQL statement.
    BY_LATERAL_INDEX = auto()
    #: One read of the rows of few models or GPUs, ranked within each quant.
    BY_RANK = auto()


@lru_cache(maxsize=1024)
def way_of(
    dialect: str, query: FitQuery, order: tuple[FitOrder, ...], owner: FitOwner | None = None, owners: int = 1
) -> Way:
    """The way to read a list in ``order``, or those of several owners; ``query`` is then that of any one of them.

    No index leads to the rows of a quant: each of several takes about half a second of a full table, unless the query is
    narrow. Then one walk through all that passes serves them together.
    """
    if is_packed(query, order):
        return Way.BY_UNPACKING
    if not owners or not slots_of(query) or not parts(query, order, dialect):
        return Way.NOTHING
    if owner is FitOwner.QUANT and owners > 1 and is_narrow(query):
        return Way.BY_RANK
    if is_scanned(query, order, dialect):
        return Way.BY_SCAN
    if dialect == "postgresql" and owner in (FitOwner.MODEL, FitOwner.GPU):
        return Way.BY_LATERAL_INDEX
    return Way.BY_INDEX


async def page_fits(
    reader: Reader,
    generation: Generation,
    query: FitQuery,
    order: tuple[FitOrder, ...] = (),
    *,
    after: FitCursor | None = None,
    before: FitCursor | None = None,
    limit: int = 20,
    backwards: bool = False,
    gpus: GpuFigures = NO_FIGURES,
) -> FitPage:
    """A page by keyset: ``limit`` cells after ``after``, or the last ``limit`` before ``before``.

    ``backwards`` without a cursor gives the last ``limit`` of all. Orders by price and power go by ``gpus``.

    Raises ValueError for a cursor of another order, when both cursors are given, and for an order without columns of a
    query that is not narrow.
    """
    if after is not None and (before is not None or backwards):
        raise ValueError("give 'after', or 'before' and backwards, not both")
    window = Window(normal(order), limit, after if before is None else before, backwards or before is not None)
    way, lists = way_of(reader.dialect, query, window.order), Lists({0: query}, window, lambda _: 0)
    if way is Way.NOTHING:
        return FitPage([], [], False, False)
    if way is Way.BY_UNPACKING:
        return (await packed_pages(reader, generation, query, window, gpus))[0]
    rows = await (_scanned if way is Way.BY_SCAN else _indexed)(reader, generation, lists)
    return page_of(rows[0], generation.id, window)


async def top_fits(
    reader: Reader,
    generation: Generation,
    owner: FitOwner,
    ids: Sequence[int],
    query: FitQuery,
    order: tuple[FitOrder, ...],
    limit: int,
    *,
    backwards: bool = False,
    gpus: GpuFigures = NO_FIGURES,
) -> dict[int, FitPage]:
    """First page, or the last one, of the fits of each of ``ids``, whatever ``query`` says of the owner."""
    owners, window = tuple(dict.fromkeys(ids)), Window(normal(order), limit, backwards=backwards)
    way = way_of(reader.dialect, owner.only(query, 0), window.order, owner, len(owners) if slots_of(query) else 0)
    if way is Way.BY_UNPACKING:
        together = owner.among(query, owners)
        return await packed_pages(reader, generation, together, window, gpus, owner=owner, owners=owners)
    if way is Way.NOTHING:
        groups = grouped(owners, owner.reader(), ())
    elif way is Way.BY_RANK:
        rows = await ranked_rows(reader, generation, owner.among(query, owners), window)
        groups = grouped(owners, owner.reader(), rows)
    elif way is Way.BY_LATERAL_INDEX:
        rows = await lateral_rows(reader, generation, owner, owners, query, window)
        groups = grouped(owners, owner.reader(), rows)
    else:
        lists = Lists({number: owner.only(query, number) for number in owners}, window, owner.reader())
        groups = await (_scanned if way is Way.BY_SCAN else _indexed)(reader, generation, lists)
    return {number: page_of(rows, generation.id, window) for number, rows in groups.items()}


async def _scanned(reader: Reader, generation: Generation, lists: Lists) -> dict[int, list[Row]]:
    return lists.grouped(await scanned_rows(reader, generation, lists))


async def _indexed(reader: Reader, generation: Generation, lists: Lists) -> dict[int, list[Row]]:
    """Rows by index; the table is read through for lists whose walks ended early."""
    groups, short = await indexed_rows(reader, generation, lists)
    if short:
        groups |= await _scanned(reader, generation, Lists(short, lists.window, lists.list_of))
    return groups


async def count_fits(reader: Reader, generation: Generation, query: FitQuery) -> int:
    """How many cells match: from the counters of the generation when nothing is filtered."""
    slots = slots_of(query)
    if query.is_everything:
        return generation.rows * len(slots)
    if not slots:
        return 0
    own, where = _counting(generation.id, query, slots)
    statement = f"SELECT {_counted(query, own)} FROM {generation.table} f WHERE {where}"
    (row,) = await reader.rows(statement, {})
    return int(row[0] or 0)


async def count_of_owners(
    reader: Reader, generation: Generation, owner: FitOwner, ids: Sequence[int], query: FitQuery
) -> dict[int, int]:
    """How many cells of each of several owners match, whatever ``query`` says of them."""
    counts = dict.fromkeys(ids, 0)
    query = owner.among(query, tuple(counts))
    slots = slots_of(query)
    if not slots or not counts:
        return counts
    own, where = _counting(generation.id, query, slots)
    source = f"FROM {generation.table} f WHERE {where}"
    if owner is FitOwner.WORKLOAD:
        (row,) = await reader.rows(f"SELECT {', '.join(_counted(query, [part]) for part in own)} {source}", {})
        return counts | {slot: int(count or 0) for slot, count in zip(slots, row, strict=True)}
    column = owner.column if owner is FitOwner.ENGINE else f"f.{owner.column}"
    rows = await reader.rows(f"SELECT {column}, {_counted(query, own)} {source} GROUP BY {column}", {})
    return counts | {int(row[0]): int(row[1] or 0) for row in rows}


def _counting(generation: int, query: FitQuery, slots: Sequence[int]) -> tuple[list[list[Condition]], str]:
    """Conditions on each workload of a row ``f``, and the SQL of those that all share, where an index can serve them."""
    # An index pays for the few rows between two bounds; beyond one, half of the table is faster read through.
    few = query.one_per is None and query.decode_min is not None and query.decode_max is not None
    shared, own = shared_and_own([conditions(generation, query, slot, indexed=few) for slot in slots])
    return own, all_of(sorted(set(shared)))


def _counted(query: FitQuery, own: Sequence[list[Condition]]) -> str:
    """SQL of the number of cells of some workloads, or of groups of them, among rows ``f`` that meet what all share."""
    if query.one_per is None:
        return " + ".join(f"sum(CASE WHEN {all_of(part)} THEN 1 ELSE 0 END)" if part else "count(*)" for part in own)
    either = " OR ".join(all_of(part) or "1 = 1" for part in own)
    return f"count(DISTINCT CASE WHEN {either} THEN f.{query.one_per.column} END)"
