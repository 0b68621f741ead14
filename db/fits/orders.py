"""Orders of fits as SQL terms, written so that the fitting index is used, and the cursors that pages go on from.

Figures of a cursor stand in the text as integers, which are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from db.fits.cells import CELL_COLUMNS, StoredCell
from db.fits.conditions import Condition
from db.fits.layout import SCORE_SHIFT, SCORE_STEP, Indexed, has_model_indexes
from db.fits.query import (
    ABSENT_AT_ZERO,
    FitCursor,
    FitField,
    FitOrder,
    FitPage,
    FitQuery,
    Window,
    is_few,
    is_narrow,
    rests,
)
from db.reading import Row

#: Speeds and latencies are zero where there are none, and come last in both directions: as this, the largest, if they ascend.
ABSENT = (1 << 31) - 1
_KEY = ("model_id", "gpu_id", "quant_id")
_ZERO_AT_REST = frozenset((FitField.DECODE, FitField.SCORE, FitField.TTFT))
#: Place of the workload among ``CELL_COLUMNS``.
SLOT_PLACE = CELL_COLUMNS.index("slot")
_KEY_PLACES = tuple(CELL_COLUMNS.index(column) for column in _KEY)
#: Places of the orders' figures among ``CELL_COLUMNS``.
PLACES = {
    field: CELL_COLUMNS.index(field.value)
    for field in (FitField.DECODE, FitField.TTFT, FitField.SAFE_CONTEXT, FitField.SCORE)
}


class Term(NamedTuple):
    """Term of an ORDER BY: what an index holds, the figure of a field, a part of the key, or the same in every row."""

    column: str
    descending: bool
    indexed: Indexed | None = None
    field: FitField | None = None
    #: Value of all rows, which conditions compare with; an ORDER BY leaves the term out.
    constant: int | None = None


def order_by(terms: Sequence[Term], window: Window) -> str:
    """The terms as ORDER BY has them, in the direction of the window."""
    return ", ".join(f"{term.column} {window.direction(term.descending)}" for term in terms if term.constant is None)


def leads_by_model(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> bool:
    """Whether the index of one model's speeds gives the order."""
    return (
        has_model_indexes(dialect)
        and query.model_ids is not None
        and len(query.model_ids) == 1
        and not is_few(query.gpu_ids)
        and bool(order)
        and order[0].field is FitField.DECODE
    )


def order_terms(
    query: FitQuery, order: Sequence[FitOrder], slot: int, by_model: bool, *, by_index: bool = True
) -> list[Term]:
    """Terms of the ORDER BY, written so that the fitting index is used and no other.

    Without ``by_index`` the order is that of the figures alone, which no index leads to.
    """
    figure_terms = figures_of(order)
    if rests(query):
        return [_resting(term, slot) for term in figure_terms] + key_terms(order)
    terms = [_figure_term(term, slot) for term in figure_terms]
    indexed = _indexed(query, figure_terms, by_model, by_index=by_index)
    if indexed is not None:
        terms.insert(0, Term(indexed.column(slot, "f."), figure_terms[0].descending, indexed))
    best_of_gpu = is_narrow(query) and query.model_ids is None and query.recommended is True
    if best_of_gpu and not by_model and terms and terms[0].field is not FitField.SCORE:
        terms[0] = terms[0]._replace(column=f"({terms[0].column} + 0)")
    return terms + key_terms(order)


def _indexed(query: FitQuery, given: Sequence[FitOrder], by_model: bool, *, by_index: bool) -> Indexed | None:
    """The leading column of the index that gives the order; None without such an index."""
    if by_model:
        return Indexed.MODEL_DECODE
    if not given or not by_index or is_narrow(query):
        return None
    if given[0].field is FitField.DECODE:
        return Indexed.DECODE
    split = FitOrder(FitField.DECODE, given[0].descending)
    return Indexed.SCORE if given[0].field is FitField.SCORE and list(given[1:2]) == [split] else None


def figures_of(order: Sequence[FitOrder]) -> list[FitOrder]:
    """The order without the key."""
    return [term for term in order if term.field is not FitField.KEY]


def _figure_term(term: FitOrder, slot: int) -> Term:
    return Term(figure(term, slot), term.descending, field=term.field)


def _resting(term: FitOrder, slot: int) -> Term:
    if term.field not in _ZERO_AT_REST:
        return _figure_term(term, slot)
    constant = _placed(term, 0)
    return Term(str(constant), term.descending, field=term.field, constant=constant)


def figure(term: FitOrder, slot: int) -> str:
    """SQL that a term sorts by: its column, or ``_placed`` of it."""
    column = f"f.{term.field.value}_{slot}"
    return column if term.descending or term.field not in ABSENT_AT_ZERO else f"(({column} - 1) & {ABSENT})"


def _placed(term: FitOrder, value: int) -> int:
    """A figure as its term sorts by it: 0 goes round to ``ABSENT`` where that is none and figures ascend."""
    return value if term.descending or term.field not in ABSENT_AT_ZERO else (value - 1) & ABSENT


def key_terms(order: Sequence[FitOrder]) -> list[Term]:
    """Model, gpu and quant as the terms that end every order."""
    limits = (Indexed.MODEL, None, None)
    return [Term(f"f.{column}", key_descends(order), indexed) for column, indexed in zip(_KEY, limits, strict=True)]


def key_descends(order: Sequence[FitOrder]) -> bool:
    return bool(order) and order[-1].field is FitField.KEY and order[-1].descending


def ranked(rows: Iterable[Row], window: Window) -> list[Row]:
    """Rows in the column order of ``CELL_COLUMNS``, in the order of a window: sorted by its last term first."""
    order, backwards = window.order, window.backwards
    sorted_rows = sorted(rows, key=itemgetter(SLOT_PLACE), reverse=backwards)
    sorted_rows.sort(key=itemgetter(*_KEY_PLACES), reverse=key_descends(order) != backwards)
    for term in reversed(figures_of(order)):
        sorted_rows.sort(key=_figure_of(term), reverse=term.descending != backwards)
    return sorted_rows


def _figure_of(term: FitOrder) -> Callable[[Row], int]:
    """Function that reads a figure of a row as its term sorts by it."""
    place = PLACES[term.field]
    if term.descending or term.field not in ABSENT_AT_ZERO:
        return itemgetter(place)
    return lambda row: _placed(term, row[place])


def cursor_of(order: Sequence[FitOrder]) -> Callable[[Sequence[Any]], FitCursor]:
    """Function that gives the cursor of a row in the column order of ``CELL_COLUMNS``."""
    places = [PLACES[term.field] for term in figures_of(order)] + [*_KEY_PLACES, SLOT_PLACE]
    cursor: Callable[[Sequence[Any]], FitCursor] = itemgetter(*places)
    return cursor


def page_of(rows: Sequence[Row], generation: int, window: Window) -> FitPage:
    """Page of the rows that hold it and, where there is more, at least one row beyond."""
    place, in_order = cursor_of(window.order), ranked(rows, window)
    places = [(StoredCell(row, generation), place(row)) for row in in_order[: window.size]]
    return window.page(places, more=len(in_order) > window.size)


def beyond(terms: Sequence[Term], window: Window, cursor: FitCursor, slot: int) -> list[Condition]:
    """Conditions "comes after the cursor" (before it, when backwards) in the order of ``terms`` and then slots."""
    values = _cursor_values(terms, window.order, cursor, slot)
    later = slot < cursor[-1] if window.backwards else slot > cursor[-1]
    signs = ["<" if term.descending != window.backwards else ">" for term in terms]
    sql = f"{terms[-1].column} {signs[-1]}{'=' if later else ''} {values[-1]}"
    for term, sign, value in list(zip(terms, signs, values, strict=True))[-2::-1]:
        sql = f"({term.column} {sign} {value} OR ({term.column} = {value} AND {sql}))"
    # The bound on the first column alone is what an index can start from. A constant of all rows is none.
    at = next(at for at, term in enumerate(terms) if term.constant != values[at])
    return [Condition(f"{terms[at].column} {signs[at]}= {values[at]}", terms[at].indexed), Condition(sql)]


def within(terms: Sequence[Term], window: Window, bound: FitCursor, slot: int) -> list[Condition]:
    """Conditions "is the row of ``bound`` or comes before it" (after it, when backwards)."""
    term, (value, *_) = terms[0], _cursor_values(terms, window.order, bound, slot)
    _, later = beyond(terms, window, bound, slot)
    sign = ">=" if term.descending != window.backwards else "<="
    return [Condition(f"{term.column} {sign} {value}", term.indexed), Condition(f"NOT {later.sql}")]


def _cursor_values(terms: Sequence[Term], order: Sequence[FitOrder], cursor: FitCursor, slot: int) -> list[int]:
    figure_terms = figures_of(order)
    if len(cursor) != len(figure_terms) + len(_KEY) + 1 or not all(
        isinstance(value, int) and 0 <= value < 1 << 31 for value in cursor
    ):
        raise ValueError("the cursor does not belong to this order")
    by_field = {term.field: value for term, value in zip(figure_terms, cursor, strict=False)}
    values = [_placed(term, value) for term, value in zip(figure_terms, cursor, strict=False)]
    # The bits of no speed, as of a bucket: above those of all speeds where these ascend.
    speed = by_field.get(FitField.DECODE, 0)
    if not speed and not terms[0].descending:
        speed = ABSENT
    indexed = terms[0].indexed
    if indexed in (Indexed.DECODE, Indexed.MODEL_DECODE):
        values.insert(0, indexed.of_speed(speed))
    elif indexed is Indexed.SCORE:
        values.insert(0, by_field[FitField.SCORE] * SCORE_STEP + (speed >> SCORE_SHIFT))
    return values + list(cursor[len(figure_terms) : len(figure_terms) + len(_KEY)])
