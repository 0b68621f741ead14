"""SELECTs of pages of fits, by an index that gives the order, or of the few rows that are read and sorted.

``db.fits.by_scan`` has those in an order that no index serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from db.fits.conditions import (
    Condition,
    all_of,
    centi_from,
    centi_to,
    conditions,
    known_quants,
    running,
    speed_bound,
)
from db.fits.generations import Generation
from db.fits.joins import cell_columns, united, with_shared
from db.fits.layout import SCORE_STEP, Indexed, Lead, checked, has_model_indexes
from db.fits.orders import (
    ABSENT,
    PLACES,
    SLOT_PLACE,
    Term,
    beyond,
    figures_of,
    key_descends,
    leads_by_model,
    order_by,
    order_terms,
)
from db.fits.packing import bits_from, bits_to
from db.fits.query import (
    ALL_SLOTS,
    NOT_RUNNING,
    FitField,
    FitOrder,
    FitOwner,
    FitQuery,
    Lists,
    Window,
    is_few,
    is_narrow,
    rests,
    slots_of,
)
from db.reading import Reader, Row, int_array
from estimator.types import STATUSES

#: Rows of an index that a page's filter is tried on before the table is read through instead, for all workloads together.
#: SQLite counts them first, at every page.
WALKED_ROWS: Mapping[str, int] = {"postgresql": 20_000, "sqlite": 8_000}
#: SQLite joins at most 500 SELECTs in one compound statement.
_COMPOUND_LIMIT = 400
#: Leading rows that are tried for each row of a page when some of what they lead to does not pass the filter.
FILTERED_LEADERS = 8
_LEADS = {
    (FitOrder(FitField.DECODE),): Lead.DECODE,
    (FitOrder(FitField.SCORE), FitOrder(FitField.DECODE)): Lead.SCORE,
    (FitOrder(FitField.TTFT, False),): Lead.TTFT,
}
_BUCKETS = frozenset((Indexed.DECODE, Indexed.SCORE, Indexed.MODEL_DECODE))


def parts(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> tuple[FitQuery, ...]:
    """``query`` as one or two disjoint ones: what runs and what does not, when an index of what runs gives the order."""
    if not order or order[0].field not in (FitField.DECODE, FitField.SCORE):
        return (query,)
    if is_narrow(query) and not leads_by_model(query, order, dialect):
        return (query,)
    return _running_and_resting(query)


@lru_cache(maxsize=512)
def _running_and_resting(query: FitQuery) -> tuple[FitQuery, ...]:
    statuses = STATUSES if query.statuses is None else query.statuses
    running = tuple(status for status in statuses if status not in NOT_RUNNING)
    resting = tuple(status for status in statuses if status in NOT_RUNNING)
    queries = [replace(query, statuses=running)] if running else []
    # Where nothing runs there is nothing to recommend, no speed and no latency, and the score and the context are zero.
    figures = (query.decode_min, query.decode_max, query.ttft_min_ms, query.ttft_max_ms, query.ttft_known or None)
    least = (query.score_min or 0, query.safe_context_min or 0)
    if resting and not query.recommended and max(least) <= 0 and all(figure is None for figure in figures):
        queries.append(replace(query, statuses=resting))
    return tuple(queries)


def is_walked(query: FitQuery, order: Sequence[FitOrder], dialect: str, rows: int) -> bool:
    """Whether the rows of an index are tried on a filter that next to nothing may pass: a database would try all of them."""
    if rows <= WALKED_ROWS[dialect] or is_narrow(query):
        return False
    indexed = _lead(order_terms(query, order, 0, by_model=False)).indexed
    bounded = replace(query, workload_ids=ALL_SLOTS)
    if indexed is Indexed.SCORE:
        # What is recommended has an index of its own.
        recommended = None if query.recommended else query.recommended
        bounded = replace(bounded, score_min=None, score_max=None, recommended=recommended)
    elif indexed is Indexed.DECODE:
        bounded = replace(bounded, decode_min=None, decode_max=None)
    return indexed is not None and not bounded.is_everything


def _lead(terms: Sequence[Term]) -> Term:
    """The first term that differs from row to row."""
    return next(term for term in terms if term.constant is None)


def falls_short(rows: Sequence[Row], query: FitQuery, window: Window, dialect: str) -> bool:
    """Whether walks may have ended before they met what belongs on the page: one of them has found less than a page."""
    asked = parts(query, window.order, dialect)
    # An order that mixes running fits with others took two walks.
    mixed = len(asked) > 1 and not apart(window.order)
    counts = {(slot, mixed and rests(part)): 0 for slot in slots_of(query) for part in asked}
    for row in rows:
        counts[row[SLOT_PLACE], mixed and not row[PLACES[FitField.DECODE]]] += 1
    return any(count < window.rows for count in counts.values())


def _begins_at_rest(window: Window) -> bool:
    """Whether a page in an order that is ``apart`` begins among what does not run: at its cursor, or at the end."""
    if window.cursor is None:
        return window.backwards
    return not window.cursor[[term.field for term in window.order].index(FitField.DECODE)]


def apart(order: Sequence[FitOrder]) -> bool:
    """Whether the order puts all that runs before all that does not, which has no speed and a score of 0."""
    return order[0].field is FitField.DECODE or list(order[:2]) == [FitOrder(FitField.SCORE), FitOrder(FitField.DECODE)]


async def indexed_rows(
    reader: Reader, generation: Generation, lists: Lists
) -> tuple[dict[int, list[Row]], dict[int, FitQuery]]:
    """Rows of the window of each list, and the queries of those lists whose walks ended before their window was full."""
    window, groups = lists.window, lists.grouped(())
    numbers = list(lists.queries)
    walked = {
        number: query
        for number, query in lists.queries.items()
        if is_walked(query, window.order, reader.dialect, generation.rows)
    }
    step = max(_COMPOUND_LIMIT // max(len(slots_of(query)) for query in lists.queries.values()), 1)
    for start in range(0, len(numbers), step):
        sources = [
            source
            for number in numbers[start : start + step]
            for slot in slots_of(lists.queries[number])
            for source in sources_of(
                Selection(generation, reader.dialect, lists.queries[number], window, slot, number in walked)
            )
        ]
        for row in await reader.rows(united(generation.table, sources, reader.dialect), {}):
            groups[lists.list_of(row)].append(row)
    short = {
        number: query for number, query in walked.items() if falls_short(groups[number], query, window, reader.dialect)
    }
    return groups, short


async def lateral_rows(
    reader: Reader, generation: Generation, owner: FitOwner, owners: Sequence[int], query: FitQuery, window: Window
) -> Sequence[Row]:
    """Rows of the window of each of ``owners``, on PostgreSQL."""
    statement = tops_statement(generation, owner, owner.only(query, 0), window)
    return await reader.rows(statement, {"k0": int_array(owners)})


@lru_cache(maxsize=512)
def tops_statement(generation: Generation, owner: FitOwner, query: FitQuery, window: Window) -> str:
    """PostgreSQL's statement for the window of each of the ids ``:k0``; ``query`` is that of any one of them."""
    sources = [
        source
        for slot in slots_of(query)
        for source in sources_of(Selection(generation, "postgresql", query, window, slot, owner=owner))
    ]
    union = " UNION ALL ".join(f"({source})" for source in sources)
    source = f"SELECT s.* FROM unnest(CAST(:k0 AS int[])) AS k(c0) CROSS JOIN LATERAL ({union}) s"
    return with_shared(generation.table, source, "postgresql")


@dataclass(frozen=True, slots=True)
class Selection:
    """Cells of one workload that a SELECT answers, in the order and direction of its window.

    ``walked`` reads no further than ``WALKED_ROWS`` of the index and the bucket, or the model, where these end. With
    ``owner``, PostgreSQL answers for the id ``k.c0`` of an outer row.
    """

    generation: Generation
    dialect: str
    query: FitQuery
    window: Window
    slot: int
    walked: bool = False
    owner: FitOwner | None = None

    @property
    def table(self) -> str:
        """Name of the rows, which may stand in SQL text."""
        return checked(self.generation.table)

    @property
    def by_model(self) -> bool:
        """Whether an index of one model gives the order."""
        return leads_by_model(self.query, self.window.order, self.dialect)

    @property
    def terms(self) -> list[Term]:
        return order_terms(self.query, self.window.order, self.slot, self.by_model)


def sources_of(selection: Selection) -> list[str]:
    """SELECTs whose rows together hold the window of a workload; of walks some may lack: ``falls_short`` tells."""
    window, order = selection.window, selection.window.order
    query_parts = parts(selection.query, order, selection.dialect)
    if selection.walked and len(query_parts) > 1 and apart(order):
        # Where the part in which the page begins does not fill it, the table is read through anyway.
        query_parts = query_parts[-1:] if _begins_at_rest(window) else query_parts[:1]
    if len(query_parts) < 2 or not apart(order):
        return [page_source(replace(selection, query=part)) for part in query_parts]
    # The part that runs comes wholly before the rest, which is read only for the rows that the first lacks.
    lead, rest = (replace(selection, query=part) for part in (query_parts[::-1] if window.backwards else query_parts))
    if selection.dialect == "postgresql":
        second = f"SELECT * FROM ({page_source(rest)}) r WHERE (SELECT count(*) FROM lead) < {window.rows}"
        return [f"(WITH lead AS MATERIALIZED ({page_source(lead)}) SELECT * FROM lead UNION ALL ({second}))"]
    second = page_source(rest, limit=f"(SELECT {window.rows} - count(*) FROM lead)")
    return [f"WITH lead AS ({page_source(lead)}) SELECT * FROM lead UNION ALL SELECT * FROM ({second})"]


def page_source(selection: Selection, limit: str | None = None) -> str:
    """SELECT of the first cells of the window, nearest first, with the columns that ``with_shared`` joins the rest to."""
    terms, window, dialect = selection.terms, selection.window, selection.dialect
    by_bucket = terms[0].indexed in _BUCKETS
    where = _where(selection, terms, by_bucket=by_bucket)
    if limit is None and (leads := _leads(selection)) is not None:
        return _led_or_read(selection, terms, where, *leads)
    lead = _lead(terms)
    if selection.walked and dialect == "sqlite":
        # First, for SQLite lets the walk end at the first of several bounds on that side, and tries the others row by row.
        where.insert(0, _end_of_walk(selection, lead, where))
    if selection.walked and dialect == "postgresql":
        return _walk(selection, terms, where)
    return (
        f"SELECT {cell_columns(selection.slot)}  FROM {selection.table} f WHERE {all_of(where)} "
        f"ORDER BY {order_by(terms, window)} LIMIT {limit or window.rows}"
    )


def _where(selection: Selection, terms: Sequence[Term], *, by_bucket: bool) -> list[Condition]:
    query, slot, window, sqlite = selection.query, selection.slot, selection.window, selection.dialect == "sqlite"
    where = conditions(selection.generation.id, query, slot, "+" if by_bucket and sqlite else "", owner=selection.owner)
    if window.cursor is not None:
        # Before other bounds on that side, for SQLite lets the walk begin at the first of them.
        where += beyond(terms, window, window.cursor, slot)
    where += _bounds_of_bucket(query, terms[0], slot)
    if by_bucket:
        # The index covers what runs.
        where.append(running(slot))
        if sqlite:
            # Always true; makes SQLite take the index for the order.
            where.append(Condition(f"{terms[0].column} >= 0", terms[0].indexed))
    elif sqlite and not is_narrow(query) and terms[0].constant is not None:
        # The same for the key: for one to three rows SQLite would rather read the table through and sort.
        where.append(Condition("f.model_id >= 0", Indexed.MODEL))
    return where + known_quants(selection.table, query)


def _bounds_of_bucket(query: FitQuery, lead: Term, slot: int) -> list[Condition]:
    """Bounds of the filter on what is indexed, which let a walk start and stop there."""
    if lead.indexed is Indexed.MODEL_DECODE:
        bounds = ((query.decode_min, ">=", bits_from), (query.decode_max, "<=", bits_to))
        return [
            speed_bound(lead.indexed, slot, sign, bits_of(bound))
            for bound, sign, bits_of in bounds
            if bound is not None
        ]
    where = []
    if lead.indexed is Indexed.SCORE and query.score_min is not None:
        least = max(centi_from(query.score_min), 0) * SCORE_STEP
        where.append(Condition(f"{lead.column} >= {least}", lead.indexed))
    if lead.indexed is Indexed.SCORE and query.score_max is not None:
        where.append(Condition(f"{lead.column} < {(centi_to(query.score_max) + 1) * SCORE_STEP}", lead.indexed))
    return where


def _end_of_walk(selection: Selection, lead: Term, where: Sequence[Condition]) -> Condition:
    """Bound at the value of the index that SQLite's walk ends with."""
    direction = selection.window.direction(lead.descending)
    last = (
        f"(SELECT {lead.column} FROM {selection.table} f WHERE {all_of(_limits(lead, where))} "
        f"ORDER BY {lead.column} {direction} LIMIT 1 OFFSET {WALKED_ROWS[selection.dialect]})"
    )
    sign, end = (">=", 0) if direction == "DESC" else ("<=", ABSENT)
    return Condition(f"{lead.column} {sign} coalesce({last}, {end})", lead.indexed)


def _limits(lead: Term, where: Sequence[Condition]) -> list[Condition]:
    """Conditions that the index of ``lead`` meets by itself, or by where a walk through it begins and ends."""
    parts = (lead.indexed, Indexed.RUNS, *([Indexed.BEST] if lead.indexed is Indexed.SCORE else []))
    return [condition for condition in where if condition.limits in parts] or [Condition("1 = 1")]


def _walk(selection: Selection, terms: Sequence[Term], where: Sequence[Condition]) -> str:
    """PostgreSQL's SELECT that tries so many rows of the index. A bucket is walked to its end: it is not in order within."""
    window, lead = selection.window, _lead(terms)
    bounds = _limits(lead, where)
    loose = [condition for condition in where if condition not in bounds]
    nearest = (
        f"SELECT f.*, {lead.column} AS bucket FROM {selection.table} f WHERE {all_of(bounds)} "
        f"ORDER BY {order_by([lead], window)} FETCH FIRST {WALKED_ROWS[selection.dialect]} ROWS WITH TIES"
    )
    near = order_by([lead._replace(column="f.bucket") if term is lead else term for term in terms], window)
    return (
        f"SELECT {cell_columns(selection.slot)}  FROM ({nearest}) f WHERE {all_of(loose)} "
        f"ORDER BY {near} LIMIT {window.rows}"
    )


def _leads(selection: Selection) -> tuple[Lead, FitOwner] | None:
    """Figure and owner whose leading rows bound the page: the first one of a model or an accelerator, best first."""
    query, window = selection.query, selection.window
    if window.cursor is not None or window.backwards or key_descends(window.order) or query.recommended:
        return None
    lead = _LEADS.get(tuple(figures_of(window.order)))
    if lead is None or is_few(query.gpu_ids) == is_few(query.model_ids):
        return None
    if query.gpu_ids is not None and len(query.gpu_ids) == 1:
        return lead, FitOwner.GPU
    with_index = lead is Lead.SCORE and has_model_indexes(selection.dialect)
    return (lead, FitOwner.MODEL) if with_index and query.model_ids and len(query.model_ids) == 1 else None


def _led_or_read(
    selection: Selection, terms: Sequence[Term], where: Sequence[Condition], lead: Lead, owner: FitOwner
) -> str:
    """SELECT of the first page of an accelerator (a model) from the few models (accelerators) that lead it.

    Each of as many leading rows as a page has is a row of the page or comes after it, and a pairing has no row before its
    leading one. So rows up to the last of these, of their pairings alone, hold the page. Where too few of them pass the
    filter, all rows of the owner are read.
    """
    query, slot, table, rows = selection.query, selection.slot, selection.table, selection.window.rows
    is_gpu = owner is FitOwner.GPU
    alone = owner.among(FitQuery(workload_ids=query.workload_ids), (query.gpu_ids if is_gpu else query.model_ids) or ())
    tried = rows if query == alone else rows * FILTERED_LEADERS
    leading = all_of(
        [
            *conditions(selection.generation.id, alone, slot, owner=selection.owner),
            Condition(f"(f.flags & {lead.mask(slot)}) != 0"),
            Condition(f"f.{lead}_{slot} > 0"),
        ]
    )
    column, other = lead.column(slot, "f."), (FitOwner.MODEL if is_gpu else FitOwner.GPU).column
    direction, sign = ("ASC", "<=") if lead is Lead.TTFT else ("DESC", ">=")
    near = f"{column} {sign} l.place AND f.{lead}_{slot} > 0"
    wanted, order = f"SELECT {cell_columns(slot)}", f"ORDER BY {order_by(terms, selection.window)}"
    paired = f"{table} f WHERE f.{other} = led.other AND {all_of(where)}"
    # PostgreSQL does not guess how few pairings lead: OFFSET 0 has it read each by its key.
    pairings = f"LATERAL (SELECT f.* FROM {paired} OFFSET 0) f WHERE"
    lacking, limit = f"(SELECT count(*) FROM head) < {rows}", str(rows)
    if selection.dialect == "sqlite":
        pairings = f"{paired} AND"
        # It reads nothing for a limit of 0, and all rows for a condition that none meets.
        lacking, limit = "1 = 1", f"(CASE WHEN {lacking} THEN {rows} ELSE 0 END)"
    return (
        f"WITH last AS MATERIALIZED (SELECT {column} AS place FROM {table} f WHERE {leading} "
        f"ORDER BY {column} {direction} LIMIT 1 OFFSET {tried - 1}), "
        f"led AS MATERIALIZED (SELECT DISTINCT f.{other} AS other FROM last l CROSS JOIN {table} f "
        f"WHERE {leading} AND {near}), "
        f"head AS MATERIALIZED ({wanted} FROM last l CROSS JOIN led CROSS JOIN {pairings} {near} {order} LIMIT {rows}) "
        f"SELECT * FROM head WHERE (SELECT count(*) FROM head) = {rows} UNION ALL "
        f"SELECT * FROM ({wanted} FROM {table} f WHERE {all_of(where)} AND {lacking} {order} LIMIT {limit}) r"
    )
