"""Filters, orders and cursors of fits as SQL, the same text for SQLite and PostgreSQL where they agree.

Ids and stored numbers stand in the text as integers (converted here, never text of a client); the generation is bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import itemgetter
from typing import Any

from db.fit_cells import ENGINES
from db.fit_packing import BAND_CELL, BAND_CELLS_AT, PLAN_CELL, float_bits
from db.fit_tables import (
    BAND_BYTES,
    BUCKET_SHIFT,
    ENGINE_MASK,
    ENGINE_SHIFT,
    FLAG_BITS,
    MODEL_DECODE_SHIFT,
    MODEL_SCORE_SHIFT,
    PLAN_BYTES,
    SCORE_SHIFT,
    SCORE_STEP,
    SLOT_COUNT,
    STATUS_MASK,
    checked,
    decode_bucket,
    has_model_indexes,
    model_decode_bucket,
    model_score_bucket,
    recommended_mask,
    runs,
    score_bucket,
    visible,
)
from estimator.types import STATUSES, Engine, Status

#: Values of the orders, then model, gpu, quant and workload slot of the row that a page ended with.
FitCursor = tuple[int, ...]
_KEY = ("f.model_id", "f.gpu_id", "f.quant_id")
_NOT_RUNNING = frozenset((Status.DOES_NOT_FIT, Status.UNSUPPORTED))
_RUNNING = frozenset(STATUSES) - _NOT_RUNNING
_ENGINE_OF_ROW = f"((f.flags >> {ENGINE_SHIFT}) & {ENGINE_MASK})"
#: Most models or GPUs whose rows are read and sorted rather than met in the order of an index.
NARROW_IDS = 24
#: Rows of an index that a page's filter is tried on before the table is read through instead.
WALKED_ROWS = 20_000
#: Stands in conditions for a figure that is zero in every row of a part; an ORDER BY leaves it out.
ZERO = "0"
ALL_SLOTS: tuple[int, ...] = tuple(range(SLOT_COUNT))


class FitField(StrEnum):
    """What fits can be ordered by."""

    DECODE = "decode"
    SCORE = "score"
    TTFT = "ttft"
    SAFE_CONTEXT = "safe"
    #: The next three have no column: ``db.fit_packed`` orders by them.
    PREFILL = "prefill"
    MEMORY = "memory"
    PRICE = "price"
    KEY = "key"


_ZERO_AT_REST = frozenset((FitField.DECODE, FitField.SCORE, FitField.TTFT))


@dataclass(frozen=True, slots=True)
class FitOrder:
    """One order; ``KEY`` is (model, gpu, quant) and ends every order, ascending."""

    field: FitField
    descending: bool = True


@dataclass(frozen=True, slots=True)
class FitQuery:
    """All that is given must hold. None is any; an empty tuple matches nothing. Bounds are inclusive."""

    model_ids: tuple[int, ...] | None = None
    gpu_ids: tuple[int, ...] | None = None
    quant_ids: tuple[int, ...] | None = None
    workload_ids: tuple[int, ...] = ALL_SLOTS
    engines: tuple[Engine, ...] | None = None
    statuses: tuple[Status, ...] | None = None
    recommended: bool | None = None
    decode_min: float | None = None
    decode_max: float | None = None
    ttft_min_ms: float | None = None
    ttft_max_ms: float | None = None
    score_min: float | None = None
    score_max: float | None = None
    safe_context_min: int | None = None
    safe_context_max: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing but the workload is asked for, so that counters answer a count."""
        return self == FitQuery(workload_ids=self.workload_ids)


class FitOwner(StrEnum):
    """What a list of fits can belong to. Ids of engines are places in ``Engine``, those of workloads are slots."""

    MODEL = "model_id"
    GPU = "gpu_id"
    QUANT = "quant_id"
    ENGINE = "engine"
    WORKLOAD = "workload"

    @property
    def column(self) -> str:
        """What a condition on a row compares with the id; none for a workload, which has columns of its own."""
        return _ENGINE_OF_ROW if self is FitOwner.ENGINE else self.value

    def only(self, query: FitQuery, owner: int) -> FitQuery:
        """``query`` of this owner alone, whatever it said of owners of this kind."""
        return self.among(query, (owner,))

    def among(self, query: FitQuery, owners: tuple[int, ...]) -> FitQuery:
        """``query`` of these owners alone, whatever it said of owners of this kind."""
        if self is FitOwner.MODEL:
            return replace(query, model_ids=owners)
        if self is FitOwner.GPU:
            return replace(query, gpu_ids=owners)
        if self is FitOwner.QUANT:
            return replace(query, quant_ids=owners)
        if self is FitOwner.ENGINE:
            return replace(query, engines=tuple(ENGINES[owner] for owner in owners))
        return replace(query, workload_ids=owners)

    def allowed(self, query: FitQuery, owner: int) -> bool:
        """Whether ``query`` lets anything of this owner pass."""
        if self is FitOwner.WORKLOAD:
            return owner in query.workload_ids
        if self is FitOwner.ENGINE:
            return query.engines is None or ENGINES[owner] in query.engines
        ids = {FitOwner.MODEL: query.model_ids, FitOwner.GPU: query.gpu_ids, FitOwner.QUANT: query.quant_ids}[self]
        return ids is None or owner in ids

    def reader(self) -> Callable[[Sequence[Any]], int]:
        """Function that reads the owner's id of a row in the column order of ``CELL_COLUMNS``."""
        if self is FitOwner.ENGINE:
            return lambda row: int(row[4]) >> ENGINE_SHIFT & ENGINE_MASK
        return itemgetter(_OWNER_PLACES[self])


#: Places of the owners' ids among ``CELL_COLUMNS``.
_OWNER_PLACES = {FitOwner.WORKLOAD: 0, FitOwner.MODEL: 1, FitOwner.GPU: 2, FitOwner.QUANT: 3}


def normal(order: Sequence[FitOrder]) -> tuple[FitOrder, ...]:
    """``order`` without what cannot matter: repeated fields, and all that comes after the unique key.

    A score that ends the order is followed by the decode speed, which splits the many equal scores.
    """
    found: dict[FitField, FitOrder] = {}
    for each in order:
        found.setdefault(each.field, each)
        if each.field is FitField.KEY:
            break
    if list(found) == [FitField.SCORE]:
        found[FitField.DECODE] = FitOrder(FitField.DECODE, found[FitField.SCORE].descending)
    return tuple(found.values())


def slots_of(query: FitQuery) -> tuple[int, ...]:
    """Slots of the workloads asked for, each once. Raises ValueError for what is none."""
    unknown = [slot for slot in query.workload_ids if slot not in ALL_SLOTS]
    if unknown:
        raise ValueError(f"workload ids {unknown} are not slots; the slots are 0 to {SLOT_COUNT - 1}")
    return tuple(sorted(set(query.workload_ids)))


def is_narrow(query: FitQuery) -> bool:
    """Whether the models or GPUs asked for are so few that their rows are read and sorted; else an ordered index leads."""
    return any(ids is not None and len(ids) <= NARROW_IDS for ids in (query.model_ids, query.gpu_ids))


def conditions(query: FitQuery, slot: int, guard: str = "", *, indexed: bool = True) -> list[str]:
    """SQL conditions of the filter on workload ``slot`` of row ``f``, the visibility included.

    ``guard`` is put before the id columns of a filter that is not narrow: "+" keeps SQLite from starting with them.
    ``indexed`` repeats a bound on the speed for its index.
    """
    found, narrow = [visible()], is_narrow(query)
    guard = "" if narrow else guard
    for column, ids in (("model_id", query.model_ids), ("gpu_id", query.gpu_ids), ("quant_id", query.quant_ids)):
        if ids is not None:
            found.append(f"{guard}f.{column} IN ({_integers(ids)})" if ids else "1 = 0")
    if query.engines is not None:
        codes = [ENGINES.index(engine) for engine in query.engines]
        found.append(f"{_ENGINE_OF_ROW} IN ({_integers(codes)})" if codes else "1 = 0")
    if query.statuses is not None and set(query.statuses) == _RUNNING:
        found.append(runs(slot, "f."))
    elif query.statuses is not None and set(query.statuses) == _NOT_RUNNING:
        found.append(f"f.decode_{slot} = 0")
    elif query.statuses is not None:
        codes = [STATUSES.index(status) for status in query.statuses]
        status = f"((f.flags >> {FLAG_BITS * slot}) & {STATUS_MASK})"
        found.append(f"{status} IN ({_integers(codes)})" if codes else "1 = 0")
    if query.recommended is not None:
        found.append(f"(f.flags & {recommended_mask(slot)}) {'!=' if query.recommended else '='} 0")
    for bound, sign in ((query.decode_min, ">="), (query.decode_max, "<=")):
        if bound is not None:
            found.append(f"f.decode_{slot} {sign} {float_bits(bound)}")
            if indexed and not narrow:
                # The same bound on what is indexed lets a scan stop there.
                found.append(f"{decode_bucket(slot, 'f.')} {sign} {float_bits(bound) >> BUCKET_SHIFT}")
    if query.ttft_min_ms is not None:
        found.append(f"f.ttft_{slot} >= {float_bits(query.ttft_min_ms)}")
    if query.ttft_max_ms is not None:
        # Zero is stored where nothing runs: no latency is not a low one.
        found.append(f"f.ttft_{slot} BETWEEN 1 AND {float_bits(query.ttft_max_ms)}")
    if query.score_min is not None:
        found.append(f"f.score_{slot} >= {_centi(query.score_min)}")
    if query.score_max is not None:
        found.append(f"f.score_{slot} <= {_centi(query.score_max)}")
    if query.safe_context_min is not None:
        found.append(f"f.safe_{slot} >= {int(query.safe_context_min)}")
    if query.safe_context_max is not None:
        found.append(f"f.safe_{slot} <= {int(query.safe_context_max)}")
    return found


def known_quants(table: str, query: FitQuery) -> list[str]:
    """Condition that spares a look through the whole table for a quant without any row."""
    if not query.quant_ids or query.model_ids is not None:
        return []
    return [f"EXISTS (SELECT 1 FROM {checked(table)}_quant x WHERE x.quant_id IN ({_integers(query.quant_ids)}))"]


def leads_by_model(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> bool:
    """Whether the index of one model's speeds or scores gives the order."""
    return (
        has_model_indexes(dialect)
        and query.model_ids is not None
        and len(query.model_ids) == 1
        and (query.gpu_ids is None or len(query.gpu_ids) > NARROW_IDS)
        and bool(order)
        and order[0].field in (FitField.DECODE, FitField.SCORE)
    )


def parts(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> list[FitQuery]:
    """``query`` as one or two disjoint ones: what runs and what does not, when an index of what runs gives the order."""
    if not order or order[0].field not in (FitField.DECODE, FitField.SCORE):
        return [query]
    if is_narrow(query) and not leads_by_model(query, order, dialect):
        return [query]
    given = STATUSES if query.statuses is None else query.statuses
    running = tuple(status for status in given if status not in _NOT_RUNNING)
    resting = tuple(status for status in given if status in _NOT_RUNNING)
    found = [replace(query, statuses=running)] if running else []
    # Where nothing runs there is nothing to recommend, and speed, latency and score are zero.
    fastish = query.decode_min or query.score_min or query.ttft_max_ms is not None or query.ttft_min_ms
    if resting and not query.recommended and not fastish:
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
) -> list[str]:
    """SELECTs whose rows together hold the first ``limit`` cells of workload ``slot`` after ``cursor``."""
    made = [
        page_source(table, part, order, slot, limit, cursor=cursor, backwards=backwards, dialect=dialect)
        for part in parts(query, order, dialect)
    ]
    if len(made) < 2 or not _apart(order):
        return made
    # One of the two comes wholly before the other, which is read only for what the first lacks.
    lead, rest = made if order[0].descending != backwards else made[::-1]
    if dialect == "postgresql":
        rest = f"SELECT * FROM ({rest}) r WHERE (SELECT count(*) FROM lead) < {int(limit)}"
        return [f"(WITH lead AS MATERIALIZED ({lead}) SELECT * FROM lead UNION ALL ({rest}))"]
    rest = rest.removesuffix(f"LIMIT {int(limit)}") + f"LIMIT (SELECT {int(limit)} - count(*) FROM lead)"
    return [f"WITH lead AS ({lead}) SELECT * FROM lead UNION ALL SELECT * FROM ({rest})"]


def _apart(order: Sequence[FitOrder]) -> bool:
    """Whether the order puts all that runs on one side of all that does not: speeds above 0 and speeds of 0."""
    if order[0].field is FitField.DECODE:
        return True
    return order[0].field is FitField.SCORE and list(order[1:2]) == [FitOrder(FitField.DECODE, order[0].descending)]


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
) -> str:
    """SELECT of the first ``limit`` cells of workload ``slot`` after ``cursor`` (before it, nearest first, when
    ``backwards``), with the columns that ``with_shared`` joins the rest to."""
    by_model = leads_by_model(query, order, dialect)
    terms = order_terms(query, order, slot, by_model)
    ordered_by_index = terms[0][0] in (
        decode_bucket(slot, "f."),
        score_bucket(slot, "f."),
        model_decode_bucket(slot, "f."),
        model_score_bucket(slot, "f."),
    )
    where = conditions(query, slot, "+" if ordered_by_index and dialect == "sqlite" else "")
    if by_model and terms[0][0] == model_decode_bucket(slot, "f."):
        where += [
            f"{terms[0][0]} {sign} {float_bits(bound) >> MODEL_DECODE_SHIFT}"
            for bound, sign in ((query.decode_min, ">="), (query.decode_max, "<="))
            if bound is not None
        ]
    if ordered_by_index:
        # The index covers what runs.
        where.append(runs(slot, "f."))
        if dialect == "sqlite":
            # Always true; makes SQLite take the index for the order.
            where.append(f"{terms[0][0]} >= 0")
    where += known_quants(table, query)
    if cursor is not None:
        where += beyond(terms, order, cursor, slot, backwards)
    wanted = f"SELECT {cell_columns(slot)} "
    ends = [(column, "DESC" if descending != backwards else "ASC") for column, descending in terms if column != ZERO]
    source, ordered = checked(table), ", ".join(" ".join(each) for each in ends)
    whole = f"{wanted} FROM {source} f WHERE {' AND '.join(where)} ORDER BY {ordered} LIMIT {int(limit)}"
    if dialect != "postgresql" or not ordered_by_index or by_model:
        return whole
    bounds = [each for each in where if each.startswith((ends[0][0], runs(slot, "f.")))]
    loose = [each for each in where if each not in bounds]
    if len(loose) <= 1:
        return whole
    # A filter that almost nothing passes would walk the whole index, row by row: after so many, read the table through.
    # A bucket is walked to its end, for it is not in order within.
    walked = (
        f"SELECT f.*, {ends[0][0]} AS bucket FROM {source} f WHERE {' AND '.join(bounds)} "
        f"ORDER BY {' '.join(ends[0])} FETCH FIRST {WALKED_ROWS} ROWS WITH TIES"
    )
    near = ", ".join([f"f.bucket {ends[0][1]}", *(" ".join(each) for each in ends[1:])])
    far = ", ".join([f"({ends[0][0]} + 0) {ends[0][1]}", *(" ".join(each) for each in ends[1:])])
    found = "(SELECT count(*) FROM head)"
    return (
        f"(WITH head AS MATERIALIZED ({wanted} FROM ({walked}) f WHERE {' AND '.join(loose)} ORDER BY {near} "
        f"LIMIT {int(limit)}) SELECT * FROM head WHERE {found} >= {int(limit)} UNION ALL ({wanted} FROM {source} f "
        f"WHERE {' AND '.join(where)} AND {found} < {int(limit)} ORDER BY {far} LIMIT {int(limit)}))"
    )


def best_of_quants(
    table: str, query: FitQuery, order: Sequence[FitOrder], slot: int, limit: int, *, backwards: bool = False
) -> str:
    """SELECT of the first ``limit`` cells of workload ``slot`` of each quant, or of the last, with one read of the rows.

    No index leads to the rows of a quant: fit for narrow queries only.
    """
    fields = [(f"f.{each.field.value}_{slot}", each.descending) for each in order if each.field is not FitField.KEY]
    terms = [*fields, *((column, _key_descends(order)) for column in _KEY)]
    ordered = ", ".join(f"{column} {'DESC' if descending != backwards else 'ASC'}" for column, descending in terms)
    ranked = (
        f"SELECT f.*, row_number() OVER (PARTITION BY f.quant_id ORDER BY {ordered}) AS place FROM {checked(table)} f"
    )
    where = " AND ".join(conditions(query, slot))
    return f"SELECT {cell_columns(slot)} FROM ({ranked} WHERE {where}) f WHERE f.place <= {int(limit)}"


def with_shared(table: str, source: str) -> str:
    """Statement that joins the cells of ``source`` with what their rows share, in the order of ``CELL_COLUMNS``."""
    return (
        f"SELECT c.slot, c.model_id, c.gpu_id, c.quant_id, c.flags, c.decode, c.ttft, c.safe, c.score, c.rest, "
        f"{shared_columns('c', 'c.slot')} FROM ({source}) c {shared_joins(table, 'c')}"
    )


def cell_columns(slot: int) -> str:
    """Columns of a row that make the cell of a workload, as ``with_shared`` names them."""
    return (
        f"{slot} AS slot, f.model_id, f.gpu_id, f.quant_id, f.born, f.flags, f.decode_{slot} AS decode, "
        f"f.ttft_{slot} AS ttft, f.safe_{slot} AS safe, f.score_{slot} AS score, f.plan, f.band, f.rest"
    )


def shared_columns(alias: str, slot: int | str | None) -> str:
    """Plan, band and memory columns of the joined companions.

    Of one ``slot``, or of all: then its own part of the plan, and the band as far as it reaches.
    """
    start, size, reach = "1", str(PLAN_BYTES), str(BAND_BYTES)
    if slot is not None:
        start, size = f"{slot} * {PLAN_CELL.itemsize} + 1", str(PLAN_CELL.itemsize)
        reach = f"{BAND_CELLS_AT} + ({slot} + 1) * {BAND_CELL.itemsize}"
    return (
        f"substr(q.plans, {alias}.plan * {PLAN_BYTES} + {start}, {size}), "
        f"substr(q.bands, {alias}.band * {BAND_BYTES} + 1, {reach}), g.usable_bytes, g.capacity_bytes"
    )


def shared_joins(table: str, alias: str) -> str:
    """Joins of a row to its companions, which were born with it."""
    engine = f"(({alias}.flags >> {ENGINE_SHIFT}) & {ENGINE_MASK})"
    return (
        f"JOIN {table}_quant q ON q.model_id = {alias}.model_id AND q.quant_id = {alias}.quant_id "
        f"AND q.born = {alias}.born "
        f"JOIN {table}_gpu g ON g.gpu_id = {alias}.gpu_id AND g.engine = {engine} AND g.born = {alias}.born"
    )


def order_terms(query: FitQuery, order: Sequence[FitOrder], slot: int, by_model: bool) -> list[tuple[str, bool]]:
    """ORDER BY columns and whether each descends, written so that the fitting index is used and no other."""
    best_of_gpu = is_narrow(query) and query.model_ids is None and query.recommended is True
    fields = [(each.field, each.descending) for each in order if each.field is not FitField.KEY]
    terms: list[tuple[str, bool]] = []
    if by_model:
        field, descending = fields[0]
        bucket = model_decode_bucket if field is FitField.DECODE else model_score_bucket
        terms.append((bucket(slot, "f."), descending))
    elif fields and not is_narrow(query):
        (first, descending), rest = fields[0], fields[1:2]
        if first is FitField.DECODE:
            terms.append((decode_bucket(slot, "f."), descending))
        elif first is FitField.SCORE and rest == [(FitField.DECODE, descending)]:
            terms.append((score_bucket(slot, "f."), descending))
    nothing_runs = query.statuses is not None and _NOT_RUNNING.issuperset(query.statuses)
    if nothing_runs:
        terms = [(ZERO if each[0] in _ZERO_AT_REST else f"f.{each[0].value}_{slot}", each[1]) for each in fields]
        return terms + [(column, _key_descends(order)) for column in _KEY]
    terms += [(f"f.{field.value}_{slot}", descending) for field, descending in fields]
    if best_of_gpu and not by_model and terms and not terms[0][0].startswith("f.score"):
        terms[0] = (f"({terms[0][0]} + 0)", terms[0][1])
    return terms + [(column, _key_descends(order)) for column in _KEY]


def _key_descends(order: Sequence[FitOrder]) -> bool:
    return bool(order) and order[-1].field is FitField.KEY and order[-1].descending


#: Places of the orders' figures among ``CELL_COLUMNS``.
_PLACES = {FitField.DECODE: 5, FitField.TTFT: 6, FitField.SAFE_CONTEXT: 7, FitField.SCORE: 8}


def row_rank(order: Sequence[FitOrder]) -> Callable[[Sequence[Any]], tuple[int, ...]]:
    """Sort key of rows in the column order of ``CELL_COLUMNS``: what descends is negated."""
    terms = [(_PLACES[each.field], each.descending) for each in order if each.field is not FitField.KEY]
    key = -1 if _key_descends(order) else 1

    def rank(row: Sequence[Any]) -> tuple[int, ...]:
        figures = [-row[place] if descending else row[place] for place, descending in terms]
        return (*figures, key * row[1], key * row[2], key * row[3], row[0])

    return rank


def cursor_of(order: Sequence[FitOrder]) -> Callable[[Sequence[Any]], FitCursor]:
    """Function that gives the cursor of a row in the column order of ``CELL_COLUMNS``."""
    places = [*(_PLACES[each.field] for each in order if each.field is not FitField.KEY), 1, 2, 3, 0]
    return itemgetter(*places)


def beyond(
    terms: Sequence[tuple[str, bool]], order: Sequence[FitOrder], cursor: FitCursor, slot: int, backwards: bool
) -> list[str]:
    """Conditions "comes after the cursor" (before it, when ``backwards``) in the order of ``terms`` and then slots."""
    values = _cursor_values(terms, order, cursor, slot)
    later = slot < cursor[-1] if backwards else slot > cursor[-1]
    (column, descending), value = terms[-1], values[-1]
    strict = "<" if descending != backwards else ">"
    found = f"{column} {strict}{'=' if later else ''} {value}"
    for (column, descending), value in list(zip(terms, values, strict=True))[-2::-1]:
        strict = "<" if descending != backwards else ">"
        found = f"({column} {strict} {value} OR ({column} = {value} AND {found}))"
    # The bound on the first column alone is what an index can start from.
    (column, descending), value = terms[0], values[0]
    return [f"{column} {'<=' if descending != backwards else '>='} {value}", found]


def within(
    terms: Sequence[tuple[str, bool]], order: Sequence[FitOrder], bound: FitCursor, slot: int, backwards: bool
) -> list[str]:
    """Conditions "is the row of ``bound`` or comes before it" (after it, when ``backwards``)."""
    (column, descending), (value, *_) = terms[0], _cursor_values(terms, order, bound, slot)
    _, later = beyond(terms, order, bound, slot, backwards)
    return [f"{column} {'>=' if descending != backwards else '<='} {value}", f"NOT {later}"]


def _cursor_values(
    terms: Sequence[tuple[str, bool]], order: Sequence[FitOrder], cursor: FitCursor, slot: int
) -> list[int]:
    given = [each.field.value for each in order if each.field is not FitField.KEY]
    if len(cursor) != len(given) + len(_KEY) + 1 or not all(
        isinstance(each, int) and 0 <= each < 1 << 31 for each in cursor
    ):
        raise ValueError("the cursor does not belong to this order")
    by_field = dict(zip(given, cursor, strict=False))
    values = list(cursor[: len(given)])
    if terms[0][0].endswith(f">> {SCORE_SHIFT}))"):
        values.insert(0, by_field["score"] * SCORE_STEP + (by_field["decode"] >> SCORE_SHIFT))
    else:
        for field, shift in (("decode", BUCKET_SHIFT), ("decode", MODEL_DECODE_SHIFT), ("score", MODEL_SCORE_SHIFT)):
            if terms[0][0].endswith(f".{field}_{slot} >> {shift})"):
                values.insert(0, by_field[field] >> shift)
    return values + list(cursor[len(given) : len(given) + len(_KEY)])


def _integers(values: Iterable[int]) -> str:
    return ", ".join(str(int(value)) for value in values)


def _centi(score: float) -> int:
    return round(score * 100)
