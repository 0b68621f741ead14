"""Filters and orders of runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import strawberry

from api.errors import bad_input
from api.graphql.core.described import describe
from api.graphql.core.enums import OrderDirection
from api.graphql.core.inputs import DateTimeRange, StringSet, check_members, check_set, members_of, moment
from api.graphql.core.orders import MAX_ORDER_TERMS
from api.graphql.runs.types import RunState
from db.runs import store


@strawberry.input(description="A set of states of runs; both parts must hold.")
class RunStateSet:
    in_: list[RunState] | None = strawberry.field(
        name="in", default=None, description="States allowed; an empty list matches nothing."
    )
    not_in: list[RunState] | None = strawberry.field(default=None, description="States not allowed.")


@strawberry.input(description="Which runs. All given parts must hold.")
class RunFilter:
    state: RunStateSet | None = strawberry.field(default=None, description="Where a run stands.")
    cause: StringSet | None = strawberry.field(default=None, description="Who or what started it.")
    created_at: DateTimeRange | None = strawberry.field(default=None, description="When it was planned.")


class RunOrderField(Enum):
    """Sort keys of runs."""

    CREATED_AT = "created_at"


describe(RunOrderField, "RunOrderField", "Sort keys of runs.", {"CREATED_AT": "When it was planned."})


@strawberry.input(description="One term of an order of runs.")
class RunOrder:
    field: RunOrderField = strawberry.field(description="Sort key.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Direction; descending, the newest first, when left out."
    )


def query_of(wanted: RunFilter | None) -> store.RunQuery:
    """The store's query of a filter. Raises ``BAD_USER_INPUT`` for a range the wrong way round."""
    if wanted is None:
        return store.RunQuery()
    members = members_of(RunState, wanted.state)
    states = None if members is None else frozenset(store.RunState[state.name] for state in members)
    check_members(wanted.cause)
    sets = (None, None) if wanted.cause is None else (wanted.cause.in_, wanted.cause.not_in)
    causes, other_causes = map(_texts, sets)
    created = wanted.created_at or DateTimeRange()
    first, last = moment(created.min), moment(created.max)
    if first is not None and last is not None and first > last:
        raise bad_input(f"createdAt: min {first} is later than max {last}.", field="createdAt")
    return store.RunQuery(states, causes, first, last, other_causes)


def _texts(members: Sequence[str] | None) -> frozenset[str] | None:
    """Members case folded. PostgreSQL holds no text with a zero character, and does not take one either."""
    return None if members is None else frozenset(text.casefold() for text in members if "\0" not in text)


def ascends(order_by: Sequence[RunOrder] | None) -> bool:
    """Whether the oldest run comes first. Raises ``BAD_USER_INPUT`` for a field named twice."""
    terms = order_by or ()
    check_set("orderBy", terms, MAX_ORDER_TERMS)
    if len(terms) > 1:
        raise bad_input("orderBy names a field twice.", field="orderBy")
    return any(term.direction is OrderDirection.ASC for term in terms)
