"""Ranges, sets and orders: the parts that every filter is made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.errors import LimitExceededError, bad_input
from api.graphql.core.scalars import Date, Int64, date_bounds

#: Most members of one `in` set, and longest text of one search.
MAX_SET = 500
MAX_TEXT = 200
T = TypeVar("T")
_FAR = 1e15


@strawberry.input(description="A closed range of whole numbers; a missing end is open. A null value matches no range.")
class IntRange:
    min: int | None = strawberry.field(
        default=None, description="Smallest value allowed, in the unit of what is compared."
    )
    max: int | None = strawberry.field(
        default=None, description="Largest value allowed, in the unit of what is compared."
    )


@strawberry.input(
    description="A closed range of 64-bit whole numbers; a missing end is open. A null value matches no range."
)
class Int64Range:
    min: Int64 | None = strawberry.field(
        default=None, description="Smallest value allowed, in the unit of what is compared."
    )
    max: Int64 | None = strawberry.field(
        default=None, description="Largest value allowed, in the unit of what is compared."
    )


@strawberry.input(description="A closed range of numbers; a missing end is open. A null value matches no range.")
class FloatRange:
    min: float | None = strawberry.field(
        default=None, description="Smallest value allowed, in the unit of what is compared."
    )
    max: float | None = strawberry.field(
        default=None, description="Largest value allowed, in the unit of what is compared."
    )


@strawberry.input(
    description="A closed range of dates; a missing end is open. `2025` as `max` includes all of 2025. A date known to the "
    "month or year lies in the range when one of its days does; a null value matches no range."
)
class DateRange:
    min: Date | None = strawberry.field(default=None, description="First date allowed.")
    max: Date | None = strawberry.field(default=None, description="Last date allowed.")


@strawberry.input(description="A closed range of moments; a missing end is open. A time without a zone is UTC.")
class DateTimeRange:
    min: datetime | None = strawberry.field(default=None, description="First moment allowed.")
    max: datetime | None = strawberry.field(default=None, description="Last moment allowed.")


@strawberry.input(description="A set of texts, compared without regard to case. At most 500 members.")
class StringSet:
    in_: list[str] = strawberry.field(name="in", description="Values allowed; an empty list matches nothing.")


Range = IntRange | Int64Range | FloatRange


def in_range(value: float | None, wanted: Range | None) -> bool:
    """Whether a value lies in a range; unknown lies in none."""
    if wanted is None or (wanted.min is None and wanted.max is None):
        return True
    if value is None:
        return False
    return (wanted.min is None or value >= wanted.min) and (wanted.max is None or value <= wanted.max)


def within_reach(value: float | None) -> float | None:
    """A number within what 32-bit floats can be compared with: no estimate comes near the ends."""
    return None if value is None else min(max(value, -_FAR), _FAR)


def check_range(attribute: str, wanted: Range | None) -> None:
    """Raise ``BAD_USER_INPUT`` when the ends are the wrong way round."""
    name = to_camel_case(attribute)
    if wanted is not None and wanted.min is not None and wanted.max is not None and wanted.min > wanted.max:
        raise bad_input(f"{name}: min {wanted.min} is larger than max {wanted.max}.", field=name)


def check_dates(attribute: str, wanted: DateRange | None) -> None:
    """Raise ``BAD_USER_INPUT`` when no day lies between the ends."""
    name = to_camel_case(attribute)
    if wanted is None or wanted.min is None or wanted.max is None:
        return
    if date_bounds(wanted.min)[0] > date_bounds(wanted.max)[1]:
        raise bad_input(f"{name}: min {wanted.min} is later than max {wanted.max}.", field=name)


def moment(value: datetime | None) -> datetime | None:
    """A time with its zone: UTC where it states none. Raises ``BAD_USER_INPUT`` for one that UTC has no year for."""
    if value is None:
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise bad_input(f"{value.isoformat()} lies outside the years 1 to 9999.") from error


def in_dates(value: str | None, wanted: DateRange | None) -> bool:
    """Whether a date, known to the day, month or year, may lie in a range."""
    if wanted is None or (wanted.min is None and wanted.max is None):
        return True
    if value is None:
        return False
    first, last = date_bounds(value)
    after = wanted.min is None or last >= date_bounds(wanted.min)[0]
    before = wanted.max is None or first <= date_bounds(wanted.max)[1]
    return after and before


def folded(wanted: StringSet | None) -> frozenset[str] | None:
    """Members of a set, case folded; None for no set. Raises :class:`LimitExceededError` over 500 members."""
    if wanted is None:
        return None
    check_set("in", wanted.in_)
    return frozenset(member.casefold() for member in wanted.in_)


def check_set(name: str, members: Iterable[object], maximum: int = MAX_SET) -> None:
    """Raise :class:`LimitExceededError` when a list argument is too long."""
    count = len(list(members))
    if count > maximum:
        raise LimitExceededError(f"{name} length", count, maximum)
