"""Pages in an order that no index serves: the table is read through once, for all workloads and owners together.

A sample of the rows is asked first. Where its own page would end is a bound: the true page ends there or before. Rows
after the bound are dropped as they are read, and the few that are left are sorted, for each workload and owner. Without a
bound, because the sample has less than a page, there are few rows to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from db.fits.cells import CELL_COLUMNS
from db.fits.conditions import Condition, all_of, conditions, known_quants, shared_and_own
from db.fits.generations import Generation
from db.fits.joins import cell_columns, united, with_shared
from db.fits.layout import checked
from db.fits.orders import (
    Term,
    beyond,
    cursor_of,
    figure,
    figures_of,
    key_terms,
    leads_by_model,
    order_by,
    order_terms,
    ranked,
    within,
)
from db.fits.query import FitCursor, FitField, FitOrder, FitQuery, Lists, Window, is_narrow, slots_of
from db.reading import Reader, Row

#: Rows of the sample.
SAMPLED_ROWS = 50_000
_UNINDEXED = frozenset((FitField.SCORE, FitField.TTFT, FitField.SAFE_CONTEXT))
#: Spreads the sampled rows within their strides, so that no rhythm of the table (its quants, its GPUs) shows in them.
_SPREAD = 7919
#: Columns that tell a row's list and its place in an order.
_RANKED = ", ".join(f"c.{column}" for column in CELL_COLUMNS[: CELL_COLUMNS.index("rest")])


def is_scanned(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> bool:
    """Whether no index leads to the first rows: ``query`` lets many models and GPUs pass, and ``order`` has no index."""
    if is_narrow(query) or leads_by_model(query, order, dialect):
        return False
    terms = order_terms(query, order, 0, by_model=False)
    return next(term for term in terms if term.constant is None).field in _UNINDEXED


async def scanned_rows(reader: Reader, generation: Generation, lists: Lists) -> Sequence[Row]:
    """Rows that hold the window of each list."""
    bounds: dict[int, FitCursor] = {}
    if generation.rows > SAMPLED_ROWS:
        cells = _cells(generation, _sample(generation, reader.dialect), {}, lists)
        bounds = _bounds(await reader.rows(f"SELECT {_RANKED} FROM ({cells}) c", {}), lists)
    # SQLite would walk a whole index in its order, and look up every row, where the index happens to cover what runs.
    source = f"{checked(generation.table)} f{' NOT INDEXED' if reader.dialect == 'sqlite' else ''}"
    statement = with_shared(generation.table, _cells(generation, source, bounds, lists), reader.dialect)
    return await reader.rows(statement, {})


def _cells(generation: Generation, source: str, bounds: Mapping[int, FitCursor], lists: Lists) -> str:
    """SELECT of the window of each list and workload among the rows of ``source``."""
    window = lists.window
    passing: list[list[Condition]] = []
    sources: list[str] = []
    for number, query in lists.queries.items():
        alternatives: list[list[Condition]] = []
        for slot in slots_of(query):
            terms = order_terms(query, window.order, slot, by_model=False, by_index=False)
            where = conditions(generation.id, query, slot, indexed=False)
            if window.cursor is not None:
                where += beyond(terms, window, window.cursor, slot)
            sources.append(
                f"SELECT {cell_columns(slot)} FROM head f WHERE {all_of(where)} "
                f"ORDER BY {order_by(terms, window)} LIMIT {window.rows}"
            )
            bound = bounds.get(number)
            alternatives.append(where if bound is None else where + within(terms, window, bound, slot))
        passing.append(known_quants(generation.table, query) + _either(alternatives))
    union = " UNION ALL ".join(f"SELECT * FROM ({select}) s{number}" for number, select in enumerate(sources))
    return f"WITH head AS (SELECT f.* FROM {source} WHERE {all_of(_either(passing))}) {union}"


def _either(alternatives: Sequence[list[Condition]]) -> list[Condition]:
    """Conditions that hold where all those of one of the alternatives do; what these share stands alone, and first."""
    shared, rest = shared_and_own(alternatives)
    return [*shared, Condition(f"({' OR '.join(map(all_of, rest))})")] if all(rest) else shared


def _sample(generation: Generation, dialect: str) -> str:
    """About ``SAMPLED_ROWS`` rows ``f`` from all over the table, none of them twice."""
    table = checked(generation.table)
    if dialect == "postgresql":
        return f"{table} f TABLESAMPLE SYSTEM ({100 * SAMPLED_ROWS / generation.rows:.4f}) REPEATABLE (0)"
    stride = generation.rows // SAMPLED_ROWS
    return (
        f"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE (i + 1) * {stride} < "
        f"(SELECT max(rowid) FROM {table})) SELECT i * {stride} + i * {_SPREAD} % {stride} + 1 AS number FROM n) n "
        f"CROSS JOIN {table} f ON f.rowid = n.number"
    )


def _bounds(rows: Sequence[Row], lists: Lists) -> dict[int, FitCursor]:
    """Cursor of the last row of each list that fills its window."""
    window = lists.window
    place = cursor_of(window.order)
    return {
        number: place(ranked(group, window)[window.rows - 1])
        for number, group in lists.grouped(rows).items()
        if len(group) >= window.rows
    }


async def ranked_rows(reader: Reader, generation: Generation, query: FitQuery, window: Window) -> Sequence[Row]:
    """Rows of the window of each of several quants of a narrow query, with one read of the rows."""
    sources = [best_of_quants(generation, query, window, slot) for slot in slots_of(query)]
    return await reader.rows(united(generation.table, sources, reader.dialect), {})


def best_of_quants(generation: Generation, query: FitQuery, window: Window, slot: int) -> str:
    """SELECT of the window of workload ``slot`` of each quant, with one read of the rows.

    No index leads to the rows of a quant: fit for narrow queries only.
    """
    figures = [Term(figure(term, slot), term.descending) for term in figures_of(window.order)]
    ordered = order_by([*figures, *key_terms(window.order)], window)
    table = checked(generation.table)
    numbered = f"SELECT f.*, row_number() OVER (PARTITION BY f.quant_id ORDER BY {ordered}) AS place FROM {table} f"
    where = all_of(conditions(generation.id, query, slot))
    return f"SELECT {cell_columns(slot)} FROM ({numbered} WHERE {where}) f WHERE f.place <= {window.rows}"
