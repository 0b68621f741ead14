"""Pages in an order that no index serves: the table is read through once, for all workloads and owners together.

A sample of the rows is asked first. Where its own page would end is a bound: the true page ends there or before. Of the
table, what comes after the bound is dropped as it is read, and the few rows that are left are sorted, for each workload
and owner. Without a bound, because the sample has less than a page, there are few rows to begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from db.fits.conditions import conditions, known_quants
from db.fits.generations import Generation
from db.fits.joins import cell_columns, with_shared
from db.fits.layout import checked
from db.fits.orders import CONSTANTS, beyond, cursor_of, figure, leads_by_model, order_terms, row_rank, within
from db.fits.query import FitCursor, FitField, FitOrder, FitQuery, is_narrow, slots_of
from db.reading import Reader, Row, rows_at

#: Rows of the sample.
SAMPLED_ROWS = 50_000
_UNINDEXED = frozenset((FitField.SCORE, FitField.TTFT, FitField.SAFE_CONTEXT))
#: Spreads the sampled rows within their strides, so that no rhythm of the table (its quants, its GPUs) shows in them.
_SPREAD = 7919
_RANKED = "c.slot, c.model_id, c.gpu_id, c.quant_id, c.flags, c.decode, c.ttft, c.safe, c.score"


def is_scanned(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> bool:
    """Whether no index leads to the first rows: ``query`` lets many models and GPUs pass, and ``order`` has no index."""
    if is_narrow(query) or leads_by_model(query, order, dialect):
        return False
    columns = [column for column, _ in order_terms(query, order, 0, by_model=False) if column not in CONSTANTS]
    return columns[0] in {figure(each, 0) for each in order if each.field in _UNINDEXED}


async def scanned_rows(
    reader: Reader,
    generation: Generation,
    groups: Mapping[int, FitQuery],
    order: Sequence[FitOrder],
    limit: int,
    group_of: Callable[[Row], int],
    *,
    cursor: FitCursor | None = None,
    backwards: bool = False,
) -> Sequence[Row]:
    """Rows that hold the first ``limit`` cells of each group after ``cursor``; ``group_of`` tells whose a row is."""
    asked = (groups, order, limit, cursor, backwards)
    bounds: dict[int, FitCursor] = {}
    if generation.rows > SAMPLED_ROWS:
        source = _sample(generation, reader.dialect)
        rows = await rows_at(
            reader, generation.id, f"SELECT {_RANKED} FROM ({_cells(generation.table, source, {}, *asked)}) c"
        )
        bounds = _bounds(rows, order, limit, group_of, backwards=backwards)
    # SQLite would walk a whole index in its order, and look up every row, where the index happens to cover what runs.
    source = f"{checked(generation.table)} f{' NOT INDEXED' if reader.dialect == 'sqlite' else ''}"
    statement = with_shared(generation.table, _cells(generation.table, source, bounds, *asked))
    return await rows_at(reader, generation.id, statement)


def _cells(
    table: str,
    source: str,
    bounds: Mapping[int, FitCursor],
    groups: Mapping[int, FitQuery],
    order: Sequence[FitOrder],
    limit: int,
    cursor: FitCursor | None,
    backwards: bool,
) -> str:
    """SELECT of the first ``limit`` cells of each group and workload among the rows of ``source``."""
    passing: list[list[str]] = []
    sources: list[str] = []
    for group, query in groups.items():
        alternatives: list[list[str]] = []
        for slot in slots_of(query):
            terms = order_terms(query, order, slot, by_model=False, by_index=False)
            where = conditions(query, slot, indexed=False)
            if cursor is not None:
                where += beyond(terms, order, cursor, slot, backwards)
            ends = ", ".join(
                f"{column} {'DESC' if descending != backwards else 'ASC'}"
                for column, descending in terms
                if column not in CONSTANTS
            )
            sources.append(
                f"SELECT {cell_columns(slot)} FROM head f WHERE {' AND '.join(where)} ORDER BY {ends} LIMIT {int(limit)}"
            )
            bound = bounds.get(group)
            alternatives.append(where if bound is None else where + within(terms, order, bound, slot, backwards))
        passing.append(known_quants(table, query) + _either(alternatives))
    union = " UNION ALL ".join(f"SELECT * FROM ({each}) s{number}" for number, each in enumerate(sources))
    return f"WITH head AS (SELECT f.* FROM {source} WHERE {' AND '.join(_either(passing))}) {union}"


def _either(alternatives: Sequence[list[str]]) -> list[str]:
    """Conditions that hold where all those of one of the alternatives do; what these share stands alone, and first."""
    shared = [each for each in alternatives[0] if all(each in others for others in alternatives[1:])]
    rest = [[each for each in one if each not in shared] for one in alternatives]
    if not all(rest):
        return shared
    return [*shared, f"({' OR '.join(' AND '.join(one) for one in rest)})"]


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


def _bounds(
    rows: Sequence[Row], order: Sequence[FitOrder], limit: int, group_of: Callable[[Row], int], *, backwards: bool
) -> dict[int, FitCursor]:
    """The ``limit``-th row of each group that has so many."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(group_of(row), []).append(row)
    rank, place = row_rank(order), cursor_of(order)
    return {
        group: place(sorted(of_it, key=rank, reverse=backwards)[limit - 1])
        for group, of_it in found.items()
        if len(of_it) >= limit
    }
