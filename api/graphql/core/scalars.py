"""Custom scalars: exact 64-bit counts and calendar dates as the catalog knows them."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from graphql.pyutils import inspect
from strawberry.types.scalar import ScalarDefinition

Int64 = NewType("Int64", int)
PartialDate = NewType("PartialDate", str)

_MAX = 2**63 - 1
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?\Z", re.ASCII)


def _int64(value: Any) -> int:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole:
        raise GraphQLError(f"Int64 must be a whole number, not {inspect(value)}.")
    if not -_MAX - 1 <= value <= _MAX:
        raise GraphQLError(f"Int64 must lie between -2^63 and 2^63 - 1, not {inspect(value)}.")
    return int(value)


def _date(value: Any) -> str:
    if not isinstance(value, str) or not _DATE.match(value):
        raise GraphQLError(f"Date must be YYYY, YYYY-MM or YYYY-MM-DD, not {inspect(value)}.")
    try:
        date.fromisoformat((value + "-01-01")[:10])
    except ValueError as error:
        raise GraphQLError(f"Date must be a day of the calendar, not {value!r}.") from error
    return value


INT64: ScalarDefinition = strawberry.scalar(
    name="Int64",
    description=(
        "A whole number of up to 64 bits, sent as a JSON number. Exact in every client up to 2^53 - 1 "
        "(9,007,199,254,740,991); byte counts of this service stay below that."
    ),
    serialize=int,
    parse_value=_int64,
)
DATE: ScalarDefinition = strawberry.scalar(
    name="PartialDate",
    description="A calendar date as precisely as it is known: `2025-10-30`, `2025-10` or `2025`.",
    serialize=str,
    parse_value=_date,
)
SCALARS: dict[object, ScalarDefinition] = {Int64: INT64, PartialDate: DATE}


def date_bounds(value: str) -> tuple[str, str]:
    """First and last day that a date may mean, so that dates of unequal precision compare."""
    if len(value) == 4:
        return f"{value}-01-01", f"{value}-12-31"
    if len(value) == 7:
        return f"{value}-01", f"{value}-31"
    return value, value
