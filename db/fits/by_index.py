"""SELECTs of pages of fits, by an index that gives the order, or of the few rows that are read and sorted.

``db.fits.by_scan`` has those in an order that no index serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from db.fits.conditions import centi_from, centi_to, conditions, known_quants
from db.fits.joins import cell_columns
from db.fits.layout import (
    MODEL_DECODE_SHIFT,
    SCORE_STEP,
    checked,
    decode_bucket,
    model_decode_bucket,
    model_score_bucket,
    runs,
    score_bucket,
)
from db.fits.orders import ABSENT, CONSTANTS, PLACES, beyond, figure, key_terms, leads_by_model, order_terms
from db.fits.packing import float_bits
from db.fits.query import ALL_SLOTS, NOT_RUNNING, FitCursor, FitField, FitOrder, FitQuery, is_narrow, rests, slots_of
from estimator.types import STATUSES

#: Rows of an index that a page's filter is tried on before the table is read through instead. SQLite counts them first, at
#: every page.
WALKED_ROWS: Mapping[str, int] = {"postgresql": 20_000, "sqlite": 8_000}


def parts(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> list[FitQuery]:
    """``query`` as one or two disjoint ones: what runs and what does not, when an index of what runs gives the order."""
    if not order or order[0].field not in (FitField.DECODE, FitField.SCORE):
        return [query]
    if is_narrow(query) and not leads_by_model(query, order, dialect):
        return [query]
    given = STATUSES if query.statuses is None else query.statuses
    running = tuple(status for status in given if status not in NOT_RUNNING)
    resting = tuple(status for status in given if status in NOT_RUNNING)
    found = [replace(query, statuses=running)] if running else []
    # Where nothing runs there is nothing to recommend, no speed and no latency, and the score is zero.
    bounds = (query.decode_min, query.decode_max, query.ttft_min_ms, query.ttft_max_ms)
    scoreless = query.score_min is None or query.score_min <= 0
    if resting and not query.recommended and scoreless and all(bound is None for bound in bounds):
        found.append(replace(query, statuses=resting))
    return found


def sources_of(
    table: str,
    query: FitQuery,
    order: Sequence[FitOrder],
    slot: int,
    limit: int,
    *,
    cursor: FitCursor | None = None,
    backwards: bool = False,
    dialect: str = "sqlite",
    walked: bool = False,
) -> list[str]:
    """SELECTs whose rows together hold the first ``limit`` cells of workload ``slot`` after ``cursor``.

    With ``walked`` they read no further than ``WALKED_ROWS`` of an index, and may lack some: ``falls_short`` tells.
    """
    asked = parts(query, order, dialect)
    if walked and apart(order):
        # Where the part in which the page begins does not fill it, the table is read through anyway.
        asked = asked[-1:] if _begins_at_rest(order, cursor, backwards) else asked[:1]
    made = [
        page_source(table, part, order, slot, limit, cursor=cursor, backwards=backwards, dialect=dialect, walked=walked)
        for part in asked
    ]
    if len(made) < 2 or not apart(order):
        return made
    # What runs comes wholly before the rest, which is read only for what the first lacks.
    lead, rest = made[::-1] if backwards else made
    if dialect == "postgresql":
        rest = f"SELECT * FROM ({rest}) r WHERE (SELECT count(*) FROM lead) < {int(limit)}"
        return [f"(WITH lead AS MATERIALIZED ({lead}) SELECT * FROM lead UNION ALL ({rest}))"]
    rest = rest.removesuffix(f"LIMIT {int(limit)}") + f"LIMIT (SELECT {int(limit)} - count(*) FROM lead)"
    return [f"WITH lead AS ({lead}) SELECT * FROM lead UNION ALL SELECT * FROM ({rest})"]


def is_walked(query: FitQuery, order: Sequence[FitOrder], dialect: str, rows: int) -> bool:
    """Whether the rows of an index are tried on a filter that next to nothing may pass: SQLite would try all of them."""
    if dialect != "sqlite" or rows <= WALKED_ROWS[dialect] or is_narrow(query):
        return False
    leads = order_terms(query, order, 0, by_model=False)[0][0]
    bounded = replace(query, workload_ids=ALL_SLOTS, decode_min=None, decode_max=None)
    if leads == score_bucket(0, "f."):
        bounded = replace(query, workload_ids=ALL_SLOTS, score_min=None, score_max=None)
    elif leads != decode_bucket(0, "f."):
        return False
    return not bounded.is_everything and not rests(query)


def falls_short(rows: Sequence[Sequence[Any]], query: FitQuery, order: Sequence[FitOrder], limit: int) -> bool:
    """Whether walks may have ended before they met what belongs on the page: one of them has found less than a page."""
    # Of an order that mixes what runs with what does not, both were walked.
    mixed, asked = not apart(order), parts(query, order, "sqlite")
    counts = {(slot, mixed and rests(part)): 0 for slot in slots_of(query) for part in asked}
    for row in rows:
        counts[row[0], mixed and not row[PLACES[FitField.DECODE]]] += 1
    return any(count < limit for count in counts.values())


def _begins_at_rest(order: Sequence[FitOrder], cursor: FitCursor | None, backwards: bool) -> bool:
    """Whether a page in an order that is ``apart`` begins among what does not run: at its cursor, or at the end."""
    return backwards if cursor is None else not cursor[[each.field for each in order].index(FitField.DECODE)]


def apart(order: Sequence[FitOrder]) -> bool:
    """Whether the order puts all that runs before all that does not, which has no speed and a score of 0."""
    return order[0].field is FitField.DECODE or list(order[:2]) == [FitOrder(FitField.SCORE), FitOrder(FitField.DECODE)]


def page_source(
    table: str,
    query: FitQuery,
    order: Sequence[FitOrder],
    slot: int,
    limit: int,
    *,
    cursor: FitCursor | None = None,
    backwards: bool = False,
    dialect: str = "sqlite",
    walked: bool = False,
) -> str:
    """SELECT of the first ``limit`` cells of workload ``slot`` after ``cursor`` (before it, nearest first, when
    ``backwards``), with the columns that ``with_shared`` joins the rest to.

    With ``walked``, SQLite reads no further than ``WALKED_ROWS`` of the index and the bucket, or the model, where these end.
    """
    by_model = leads_by_model(query, order, dialect)
    terms = order_terms(query, order, slot, by_model)
    ordered_by_index = terms[0][0] in (
        decode_bucket(slot, "f."),
        score_bucket(slot, "f."),
        model_decode_bucket(slot, "f."),
        model_score_bucket(slot, "f."),
    )
    where = conditions(query, slot, "+" if ordered_by_index and dialect == "sqlite" else "")
    if cursor is not None:
        # Before other bounds on that side, for SQLite lets the walk begin at the first of them.
        where += beyond(terms, order, cursor, slot, backwards)
    if by_model and terms[0][0] == model_decode_bucket(slot, "f."):
        where += [
            f"{terms[0][0]} {sign} {float_bits(bound) >> MODEL_DECODE_SHIFT}"
            for bound, sign in ((query.decode_min, ">="), (query.decode_max, "<="))
            if bound is not None
        ]
    if terms[0][0] == score_bucket(slot, "f."):
        # The same bounds on what is indexed let a walk start and stop there.
        if query.score_min is not None:
            where.append(f"{terms[0][0]} >= {max(centi_from(query.score_min), 0) * SCORE_STEP}")
        if query.score_max is not None:
            where.append(f"{terms[0][0]} < {(centi_to(query.score_max) + 1) * SCORE_STEP}")
    if ordered_by_index:
        # The index covers what runs.
        where.append(runs(slot, "f."))
        if dialect == "sqlite":
            # Always true; makes SQLite take the index for the order.
            where.append(f"{terms[0][0]} >= 0")
    elif dialect == "sqlite" and not is_narrow(query) and terms[0][0] in CONSTANTS:
        # The same for the key: for one to three rows SQLite would rather read the table through and sort.
        where.append("f.model_id >= 0")
    where += known_quants(table, query)
    wanted = f"SELECT {cell_columns(slot)} "
    ends = [
        (column, "DESC" if descending != backwards else "ASC")
        for column, descending in terms
        if column not in CONSTANTS
    ]
    source, ordered = checked(table), ", ".join(" ".join(each) for each in ends)
    if walked and dialect == "sqlite" and (ordered_by_index or ends[0][0] == "f.model_id"):
        bucket, direction = ends[0]
        limits = [each for each in where if each.startswith((bucket, runs(slot, "f.")))]
        last = (
            f"(SELECT {bucket} FROM {source} f WHERE {' AND '.join(limits)} ORDER BY {bucket} {direction} "
            f"LIMIT 1 OFFSET {WALKED_ROWS[dialect]})"
        )
        sign, end = (">=", 0) if direction == "DESC" else ("<=", ABSENT)
        # First, for SQLite lets the walk end at the first of several bounds on that side, and tries the others row by row.
        where.insert(0, f"{bucket} {sign} coalesce({last}, {end})")
    whole = f"{wanted} FROM {source} f WHERE {' AND '.join(where)} ORDER BY {ordered} LIMIT {int(limit)}"
    if dialect != "postgresql" or not ordered_by_index or by_model:
        return whole
    bounds = [each for each in where if each.startswith((ends[0][0], runs(slot, "f.")))]
    loose = [each for each in where if each not in bounds]
    if len(loose) <= 1:
        return whole
    # A filter that almost nothing passes would walk the whole index, row by row: after so many, read the table through.
    # A bucket is walked to its end, for it is not in order within.
    nearest = (
        f"SELECT f.*, {ends[0][0]} AS bucket FROM {source} f WHERE {' AND '.join(bounds)} "
        f"ORDER BY {' '.join(ends[0])} FETCH FIRST {WALKED_ROWS[dialect]} ROWS WITH TIES"
    )
    near = ", ".join([f"f.bucket {ends[0][1]}", *(" ".join(each) for each in ends[1:])])
    far = ", ".join([f"({ends[0][0]} + 0) {ends[0][1]}", *(" ".join(each) for each in ends[1:])])
    found = "(SELECT count(*) FROM head)"
    return (
        f"(WITH head AS MATERIALIZED ({wanted} FROM ({nearest}) f WHERE {' AND '.join(loose)} ORDER BY {near} "
        f"LIMIT {int(limit)}) SELECT * FROM head WHERE {found} >= {int(limit)} UNION ALL ({wanted} FROM {source} f "
        f"WHERE {' AND '.join(where)} AND {found} < {int(limit)} ORDER BY {far} LIMIT {int(limit)}))"
    )


def best_of_quants(
    table: str, query: FitQuery, order: Sequence[FitOrder], slot: int, limit: int, *, backwards: bool = False
) -> str:
    """SELECT of the first ``limit`` cells of workload ``slot`` of each quant, or of the last, with one read of the rows.

    No index leads to the rows of a quant: fit for narrow queries only.
    """
    fields = [(figure(each, slot), each.descending) for each in order if each.field is not FitField.KEY]
    terms = [*fields, *key_terms(order)]
    ordered = ", ".join(f"{column} {'DESC' if descending != backwards else 'ASC'}" for column, descending in terms)
    ranked = (
        f"SELECT f.*, row_number() OVER (PARTITION BY f.quant_id ORDER BY {ordered}) AS place FROM {checked(table)} f"
    )
    where = " AND ".join(conditions(query, slot))
    return f"SELECT {cell_columns(slot)} FROM ({ranked} WHERE {where}) f WHERE f.place <= {int(limit)}"
