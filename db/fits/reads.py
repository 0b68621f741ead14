"""Reads of fits for the API. Every function runs one statement against the generation that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from db.fits.by_index import best_of_quants, falls_short, is_walked, parts, sources_of
from db.fits.by_key import fetch_fits
from db.fits.by_scan import is_scanned, scanned_rows
from db.fits.by_unpacking import Place, Prices, is_packed, packed_places
from db.fits.cells import StoredCell
from db.fits.conditions import conditions
from db.fits.generations import Generation
from db.fits.joins import with_shared
from db.fits.orders import cursor_of, row_rank
from db.fits.query import FitCursor, FitOrder, FitOwner, FitPage, FitQuery, is_narrow, normal, slots_of
from db.reading import Reader, Row, int_array, rows_at

#: SQLite joins at most 500 SELECTs in one compound statement.
_COMPOUND_LIMIT = 400


async def page_fits(
    reader: Reader,
    generation: Generation,
    query: FitQuery,
    order: Sequence[FitOrder] = (),
    *,
    after: FitCursor | None = None,
    before: FitCursor | None = None,
    limit: int = 20,
    backwards: bool = False,
    prices: Prices | None = None,
) -> FitPage:
    """A page by keyset: ``limit`` cells after ``after``, or the last ``limit`` before ``before``.

    ``backwards`` without a cursor gives the last ``limit`` of all. An order by price goes by ``prices``.

    Raises ValueError for a cursor of another order, when both cursors are given, and for an order without columns of a
    query that is not narrow.
    """
    if after is not None and (before is not None or backwards):
        raise ValueError("give 'after', or 'before' and backwards, not both")
    order = normal(order)
    backwards, cursor = backwards or before is not None, after if before is None else before
    slots = slots_of(query)
    if is_packed(order):
        read = packed_places(
            reader, generation, query, order, limit + 1, prices or {}, cursor=cursor, backwards=backwards
        )
        found_pages = await _packed_pages(
            reader, generation, await read, limit, backwards=backwards, beyond=cursor is not None
        )
        return found_pages[0]
    if slots and parts(query, order, reader.dialect) and is_scanned(query, order, reader.dialect):
        found = await scanned_rows(
            reader, generation, {0: query}, order, limit + 1, lambda _: 0, cursor=cursor, backwards=backwards
        )
        return _page(found, generation.id, order, limit, backwards=backwards, beyond=cursor is not None)
    walked = is_walked(query, order, reader.dialect, generation.rows)
    sources = [
        source
        for slot in slots
        for source in sources_of(
            generation.table,
            query,
            order,
            slot,
            limit + 1,
            cursor=cursor,
            backwards=backwards,
            dialect=reader.dialect,
            walked=walked,
        )
    ]
    if not sources:
        return FitPage([], [], False, False)
    rows = await rows_at(reader, generation.id, _union(generation, sources))
    if walked and falls_short(rows, query, order, limit + 1):
        rows = await scanned_rows(
            reader, generation, {0: query}, order, limit + 1, lambda _: 0, cursor=cursor, backwards=backwards
        )
    return _page(rows, generation.id, order, limit, backwards=backwards, beyond=cursor is not None)


async def top_fits(
    reader: Reader,
    generation: Generation,
    owner: FitOwner,
    ids: Sequence[int],
    query: FitQuery,
    order: Sequence[FitOrder],
    limit: int,
    *,
    backwards: bool = False,
    prices: Prices | None = None,
) -> dict[int, FitPage]:
    """First page, or the last one, of the fits of each of ``ids``. What ``query`` says of the owner is not looked at.

    No index leads to the rows of a quant: each of several takes about half a second of a full table, unless the query is
    narrow. Then one walk through all that passes serves them together.
    """
    wanted, owner_of = list(dict.fromkeys(ids)), owner.reader()
    if is_packed(order := normal(order)):
        whole = owner.among(query, tuple(wanted))
        read = packed_places(
            reader, generation, whole, order, limit + 1, prices or {}, owner=owner, owners=wanted, backwards=backwards
        )
        return await _packed_pages(reader, generation, await read, limit, backwards=backwards)
    query, slots = owner.only(query, 0), slots_of(query)
    groups: dict[int, list[Row]] = {each: [] for each in wanted}
    statements: list[tuple[str, dict[str, Any]]] = []
    walked: dict[int, FitQuery] = {}
    if not wanted or not slots or not parts(query, order, reader.dialect):
        # No row can pass.
        pass
    elif owner is FitOwner.QUANT and len(wanted) > 1 and is_narrow(query):
        whole = replace(query, quant_ids=tuple(wanted))
        each_slot = [
            best_of_quants(generation.table, whole, order, slot, limit + 1, backwards=backwards) for slot in slots
        ]
        statements.append((_union(generation, each_slot), {}))
    elif is_scanned(query, order, reader.dialect):
        scanned = {each: owner.only(query, each) for each in wanted}
        for row in await scanned_rows(reader, generation, scanned, order, limit + 1, owner_of, backwards=backwards):
            groups[owner_of(row)].append(row)
    elif reader.dialect == "postgresql" and owner in (FitOwner.MODEL, FitOwner.GPU, FitOwner.ENGINE):
        statement = tops_statement(generation.table, owner, query, order, limit, backwards)
        statements.append((statement, {"k0": int_array(wanted)}))
    else:
        step = max(_COMPOUND_LIMIT // len(slots), 1)
        for start in range(0, len(wanted), step):
            owned = {each: owner.only(query, each) for each in wanted[start : start + step]}
            walked |= {
                each: one for each, one in owned.items() if is_walked(one, order, reader.dialect, generation.rows)
            }
            sources = [
                source
                for each, one in owned.items()
                for source in _sources(reader, generation, one, order, limit, backwards, walked=each in walked)
            ]
            statements.append((_union(generation, sources), {}))
    for statement, parameters in statements:
        for row in await rows_at(reader, generation.id, statement, parameters):
            groups[owner_of(row)].append(row)
    short = {each: one for each, one in walked.items() if falls_short(groups[each], one, order, limit + 1)}
    if short:
        groups |= {each: [] for each in short}
        for row in await scanned_rows(reader, generation, short, order, limit + 1, owner_of, backwards=backwards):
            groups[owner_of(row)].append(row)
    return {each: _page(rows, generation.id, order, limit, backwards=backwards) for each, rows in groups.items()}


async def count_fits(reader: Reader, generation: Generation, query: FitQuery) -> int:
    """How many cells match: from the counters of the generation when nothing is filtered."""
    slots = slots_of(query)
    if query.is_everything:
        return generation.rows * len(slots)
    if not slots:
        return 0
    # An index pays for the few rows between two bounds; beyond one, half of the table is faster read through.
    few = query.decode_min is not None and query.decode_max is not None
    found = [conditions(query, slot, indexed=few) for slot in slots]
    # What holds for every workload (visibility, ids) stands in WHERE, where an index can serve it.
    shared = set(found[0]).intersection(*found[1:])
    own = [[each for each in part if each not in shared] for part in found]
    counts = [f"sum(CASE WHEN {' AND '.join(part)} THEN 1 ELSE 0 END)" if part else "count(*)" for part in own]
    where = " AND ".join(sorted(shared))
    statement = f"SELECT {' + '.join(counts)} FROM {generation.table} f WHERE {where}"
    (row,) = await rows_at(reader, generation.id, statement)
    return int(row[0] or 0)


def _union(generation: Generation, sources: Sequence[str]) -> str:
    union = " UNION ALL ".join(f"SELECT * FROM ({source}) s{number}" for number, source in enumerate(sources))
    return with_shared(generation.table, union)


def _sources(
    reader: Reader,
    generation: Generation,
    query: FitQuery,
    order: Sequence[FitOrder],
    limit: int,
    backwards: bool,
    *,
    walked: bool,
) -> list[str]:
    return [
        source
        for slot in slots_of(query)
        for source in sources_of(
            generation.table,
            query,
            order,
            slot,
            limit + 1,
            backwards=backwards,
            dialect=reader.dialect,
            walked=walked,
        )
    ]


@lru_cache(maxsize=512)
def tops_statement(
    table: str, owner: FitOwner, query: FitQuery, order: tuple[FitOrder, ...], limit: int, backwards: bool = False
) -> str:
    """PostgreSQL's statement for the first cells, or the last ones, of each of the ids ``:k0``."""
    one = owner.only(query, 0)
    sources = [
        source.replace(f"{owner.column} IN (0)", f"{owner.column} = k.c0")
        for slot in slots_of(query)
        for source in sources_of(table, one, order, slot, limit + 1, backwards=backwards, dialect="postgresql")
    ]
    union = " UNION ALL ".join(f"({each})" for each in sources)
    return with_shared(table, f"SELECT s.* FROM unnest(CAST(:k0 AS int[])) AS k(c0) CROSS JOIN LATERAL ({union}) s")


def _page(
    rows: Sequence[Row],
    generation: int,
    order: Sequence[FitOrder],
    limit: int,
    *,
    backwards: bool = False,
    beyond: bool = False,
) -> FitPage:
    ranked = sorted(rows, key=row_rank(order), reverse=backwards)
    more, kept = len(ranked) > limit, ranked[:limit]
    if backwards:
        kept.reverse()
    place = cursor_of(order)
    return FitPage(
        cells=[StoredCell(row, generation) for row in kept],
        cursors=[place(row) for row in kept],
        has_next=beyond if backwards else more,
        has_previous=more if backwards else beyond,
    )


async def _packed_pages(
    reader: Reader,
    generation: Generation,
    found: Mapping[int, Sequence[Place]],
    limit: int,
    *,
    backwards: bool,
    beyond: bool = False,
) -> dict[int, FitPage]:
    """Pages of what was found in the direction of the walk, one more than a page where there is more."""
    rows = await fetch_fits(reader, generation, [place.key for of_it in found.values() for place in of_it[:limit]])
    pages = {}
    for each, of_it in found.items():
        more, kept = len(of_it) > limit, list(of_it[:limit])
        if backwards:
            kept.reverse()
        pages[each] = FitPage(
            cells=[rows[place.key][place.slot] for place in kept],
            cursors=[place.cursor for place in kept],
            has_next=beyond if backwards else more,
            has_previous=more if backwards else beyond,
        )
    return pages
