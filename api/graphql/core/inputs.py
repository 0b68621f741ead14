"""Ranges, sets and orders: the parts that every filter is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol, TypeVar

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.errors import LimitExceededError, bad_input
from api.graphql.core.scalars import Int64, PartialDate, date_bounds

#: Most members of one `in` set, and longest text of one search.
MAX_SET = 500
MAX_TEXT = 200
#: Most alternatives of one filter.
MAX_ALTERNATIVES = 20
T = TypeVar("T")
N = TypeVar("N")
_FAR = 1e15


@strawberry.input(
    description="A closed range of whole numbers; a missing end is open. An unknown value passes only with `includeUnknown`."
)
class IntRange:
    min: int | None = strawberry.field(
        default=None, description="Smallest value allowed, in the unit of what is compared."
    )
    max: int | None = strawberry.field(
        default=None, description="Largest value allowed, in the unit of what is compared."
    )
    include_unknown: bool = strawberry.field(default=False, description="Whether what has no known value passes too.")


@strawberry.input(
    description="A closed range of 64-bit whole numbers; a missing end is open. An unknown value passes only with `includeUnknown`."
)
class Int64Range:
    min: Int64 | None = strawberry.field(
        default=None, description="Smallest value allowed, in the unit of what is compared."
    )
    max: Int64 | None = strawberry.field(
        default=None, description="Largest value allowed, in the unit of what is compared."
    )
    include_unknown: bool = strawberry.field(default=False, description="Whether what has no known value passes too.")


@strawberry.input(
    description="A closed range of numbers; a missing end is open. An unknown value passes only with `includeUnknown`."
)
class FloatRange:
    min: float | None = strawberry.field(
        default=None, description="Smallest value allowed, in the unit of what is compared."
    )
    max: float | None = strawberry.field(
        default=None, description="Largest value allowed, in the unit of what is compared."
    )
    include_unknown: bool = strawberry.field(default=False, description="Whether what has no known value passes too.")


@strawberry.input(
    description="A closed range of dates; a missing end is open. `2025` as `max` includes all of 2025. A date known to the "
    "month or year lies in the range when one of its days does; an unknown one passes only with `includeUnknown`."
)
class DateRange:
    min: PartialDate | None = strawberry.field(default=None, description="First date allowed.")
    max: PartialDate | None = strawberry.field(default=None, description="Last date allowed.")
    include_unknown: bool = strawberry.field(default=False, description="Whether what has no known value passes too.")


@strawberry.input(description="A closed range of moments; a missing end is open. A time without a zone is UTC.")
class DateTimeRange:
    min: datetime | None = strawberry.field(default=None, description="First moment allowed.")
    max: datetime | None = strawberry.field(default=None, description="Last moment allowed.")


@strawberry.input(
    description="A set of texts, compared without regard to case. At most 500 members; both parts must hold."
)
class StringSet:
    in_: list[str] | None = strawberry.field(
        name="in", default=None, description="Values allowed; an empty list matches nothing."
    )
    not_in: list[str] | None = strawberry.field(default=None, description="Values not allowed.")


Range = IntRange | Int64Range | FloatRange


class Set(Protocol):
    """A filter by members, of which all parts must hold."""

    in_: list[Any] | None
    not_in: list[Any] | None


def in_range(value: float | None, wanted: Range | None) -> bool:
    """Whether a value lies in a range; an unknown one only where the range includes it."""
    if wanted is None or (wanted.min is None and wanted.max is None):
        return True
    if value is None:
        return wanted.include_unknown
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
        return wanted.include_unknown
    first, last = date_bounds(value)
    after = wanted.min is None or last >= date_bounds(wanted.min)[0]
    before = wanted.max is None or first <= date_bounds(wanted.max)[1]
    return after and before


def passes(values: Iterable[Any], wanted: Set | None) -> bool:
    """Whether a thing with these values passes a set: one of them is allowed, and none is not."""
    if wanted is None:
        return True
    own = {_comparable(value) for value in values}
    return (wanted.in_ is None or any(_comparable(member) in own for member in wanted.in_)) and (
        wanted.not_in is None or not any(_comparable(member) in own for member in wanted.not_in)
    )


def members_of(every: Iterable[T], wanted: Set | None) -> tuple[T, ...] | None:
    """Members of a closed set that pass, in its order; None for no condition."""
    if wanted is None or (wanted.in_ is None and wanted.not_in is None):
        return None
    check_members(wanted)
    return tuple(member for member in every if passes((member,), wanted))


def named_by(wanted: Set | None, resolve: Callable[[str], N]) -> NamedSet | None:
    """A set of names, resolved. Raises ``NOT_FOUND`` for an unknown name."""
    if wanted is None:
        return None
    check_members(wanted)
    in_, not_in = (
        None if names is None else [resolve(name) for name in names] for names in (wanted.in_, wanted.not_in)
    )
    return NamedSet(in_, not_in)


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set whose names were resolved."""

    in_: list[Any] | None
    not_in: list[Any] | None


def check_members(*sets: Set | None) -> None:
    """Raise :class:`LimitExceededError` for a set of more than 500 members."""
    for wanted in sets:
        if wanted is not None:
            check_set("in", wanted.in_ or ())
            check_set("notIn", wanted.not_in or ())


def check_alternatives(alternatives: Sequence[Any] | None, level: int) -> None:
    """Raise ``BAD_USER_INPUT`` for alternatives within alternatives, :class:`LimitExceededError` for too many."""
    if alternatives is not None and level:
        raise bad_input("Alternatives have no alternatives of their own.", field="or")
    check_set("or", alternatives or (), MAX_ALTERNATIVES)


def _comparable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) and not isinstance(value, Enum) else value


def check_set(name: str, members: Iterable[object], maximum: int = MAX_SET) -> None:
    """Raise :class:`LimitExceededError` when a list argument is too long."""
    count = len(list(members))
    if count > maximum:
        raise LimitExceededError(f"{name} length", count, maximum)
