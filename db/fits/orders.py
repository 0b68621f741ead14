"""Orders of fits as SQL terms, written so that the fitting index is used, and the cursors that pages go on from.

Figures of a cursor stand in the text as integers, which are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from db.fits.layout import (
    BUCKET_SHIFT,
    MODEL_DECODE_SHIFT,
    MODEL_SCORE_SHIFT,
    SCORE_SHIFT,
    SCORE_STEP,
    decode_bucket,
    has_model_indexes,
    model_decode_bucket,
    model_score_bucket,
    score_bucket,
)
from db.fits.query import ABSENT_AT_ZERO, FitCursor, FitField, FitOrder, FitQuery, is_few, is_narrow, rests

#: Speeds and latencies are zero where there are none, and come last in both directions: as this, the largest, if they ascend.
ABSENT = (1 << 31) - 1
#: Stand in conditions for a figure that is the same in every row of a part; an ORDER BY leaves them out.
CONSTANTS = frozenset(("0", str(ABSENT)))
_KEY = ("f.model_id", "f.gpu_id", "f.quant_id")
_ZERO_AT_REST = frozenset((FitField.DECODE, FitField.SCORE, FitField.TTFT))
#: Places of the orders' figures among ``CELL_COLUMNS``.
PLACES = {FitField.DECODE: 5, FitField.TTFT: 6, FitField.SAFE_CONTEXT: 7, FitField.SCORE: 8}


def leads_by_model(query: FitQuery, order: Sequence[FitOrder], dialect: str) -> bool:
    """Whether the index of one model's speeds or scores gives the order."""
    return (
        has_model_indexes(dialect)
        and query.model_ids is not None
        and len(query.model_ids) == 1
        and not is_few(query.gpu_ids)
        and bool(order)
        and order[0].field in (FitField.DECODE, FitField.SCORE)
    )


def order_terms(
    query: FitQuery, order: Sequence[FitOrder], slot: int, by_model: bool, *, by_index: bool = True
) -> list[tuple[str, bool]]:
    """ORDER BY columns and whether each descends, written so that the fitting index is used and no other.

    Without ``by_index`` the order is that of the figures alone, which no index leads to.
    """
    best_of_gpu = is_narrow(query) and query.model_ids is None and query.recommended is True
    given = [each for each in order if each.field is not FitField.KEY]
    fields = [(each.field, each.descending) for each in given]
    terms: list[tuple[str, bool]] = []
    if by_model:
        field, descending = fields[0]
        bucket = model_decode_bucket if field is FitField.DECODE else model_score_bucket
        terms.append((bucket(slot, "f."), descending))
    elif fields and by_index and not is_narrow(query):
        (first, descending), rest = fields[0], fields[1:2]
        if first is FitField.DECODE:
            terms.append((decode_bucket(slot, "f."), descending))
        elif first is FitField.SCORE and rest == [(FitField.DECODE, descending)]:
            terms.append((score_bucket(slot, "f."), descending))
    if rests(query):
        terms = [
            (str(_placed(each, 0)) if each.field in _ZERO_AT_REST else figure(each, slot), each.descending)
            for each in given
        ]
        return terms + key_terms(order)
    terms += [(figure(each, slot), each.descending) for each in given]
    if best_of_gpu and not by_model and terms and not terms[0][0].startswith("f.score"):
        terms[0] = (f"({terms[0][0]} + 0)", terms[0][1])
    return terms + key_terms(order)


def figure(each: FitOrder, slot: int) -> str:
    """What a term sorts by: its column, or ``_placed`` of it."""
    column = f"f.{each.field.value}_{slot}"
    return column if each.descending or each.field not in ABSENT_AT_ZERO else f"(({column} - 1) & {ABSENT})"


def _placed(each: FitOrder, value: int) -> int:
    """A figure as its term sorts by it: 0 goes round to ``ABSENT`` where that is none and figures ascend."""
    return value if each.descending or each.field not in ABSENT_AT_ZERO else (value - 1) & ABSENT


def key_terms(order: Sequence[FitOrder]) -> list[tuple[str, bool]]:
    """Model, gpu and quant as the terms that end every order."""
    return [(column, _key_descends(order)) for column in _KEY]


def _key_descends(order: Sequence[FitOrder]) -> bool:
    return bool(order) and order[-1].field is FitField.KEY and order[-1].descending


def row_rank(order: Sequence[FitOrder]) -> Callable[[Sequence[Any]], tuple[int, ...]]:
    """Sort key of rows in the column order of ``CELL_COLUMNS``: what descends is negated."""
    terms = [(PLACES[each.field], each) for each in order if each.field is not FitField.KEY]
    key = -1 if _key_descends(order) else 1

    def rank(row: Sequence[Any]) -> tuple[int, ...]:
        figures = [-row[place] if each.descending else _placed(each, row[place]) for place, each in terms]
        return (*figures, key * row[1], key * row[2], key * row[3], row[0])

    return rank


def cursor_of(order: Sequence[FitOrder]) -> Callable[[Sequence[Any]], FitCursor]:
    """Function that gives the cursor of a row in the column order of ``CELL_COLUMNS``."""
    places = [*(PLACES[each.field] for each in order if each.field is not FitField.KEY), 1, 2, 3, 0]
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
    # The bound on the first column alone is what an index can start from. What all rows have is none.
    at = next(at for at, (column, _) in enumerate(terms) if column != str(values[at]))
    (column, descending), value = terms[at], values[at]
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
    given = [each for each in order if each.field is not FitField.KEY]
    if len(cursor) != len(given) + len(_KEY) + 1 or not all(
        isinstance(each, int) and 0 <= each < 1 << 31 for each in cursor
    ):
        raise ValueError("the cursor does not belong to this order")
    by_field = {each.field.value: value for each, value in zip(given, cursor, strict=False)}
    values = [_placed(each, value) for each, value in zip(given, cursor, strict=False)]
    # The bits of no speed, as of a bucket: above those of all speeds where these ascend.
    speed = by_field.get("decode", 0)
    if not speed and not terms[0][1]:
        speed = ABSENT
    if terms[0][0].endswith(f">> {SCORE_SHIFT}))"):
        values.insert(0, by_field["score"] * SCORE_STEP + (speed >> SCORE_SHIFT))
    else:
        for field, shift in (("decode", BUCKET_SHIFT), ("decode", MODEL_DECODE_SHIFT), ("score", MODEL_SCORE_SHIFT)):
            if terms[0][0].endswith(f".{field}_{slot} >> {shift})"):
                values.insert(0, (speed if field == "decode" else by_field[field]) >> shift)
    return values + list(cursor[len(given) : len(given) + len(_KEY)])
