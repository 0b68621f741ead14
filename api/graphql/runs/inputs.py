"""Filters and orders of runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import strawberry

from api.errors import bad_input
from api.graphql.core.described import describe
from api.graphql.core.enums import OrderDirection
from api.graphql.core.inputs import DateTimeRange, StringSet, check_set, folded, moment
from api.graphql.core.orders import MAX_ORDER_TERMS
from api.graphql.runs.types import RunState
from db.runs import store


@strawberry.input(description="A set of states of runs.")
class RunStateSet:
    in_: list[RunState] = strawberry.field(name="in", description="States allowed; an empty list matches nothing.")


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
    states = None
    if wanted.state is not None:
        check_set("in", wanted.state.in_)
        states = frozenset(store.RunState[state.name] for state in wanted.state.in_)
    causes = folded(wanted.cause)
    created = wanted.created_at or DateTimeRange()
    first, last = moment(created.min), moment(created.max)
    if first is not None and last is not None and first > last:
        raise bad_input(f"createdAt: min {first} is later than max {last}.", field="createdAt")
    # PostgreSQL holds no text with a zero character, and does not take one either.
    texts = None if causes is None else frozenset(text for text in causes if "\0" not in text)
    return store.RunQuery(states, texts, first, last)


def ascends(order_by: Sequence[RunOrder] | None) -> bool:
    """Whether the oldest run comes first. Raises ``BAD_USER_INPUT`` for a field named twice."""
    terms = order_by or ()
    check_set("orderBy", terms, MAX_ORDER_TERMS)
    if len(terms) > 1:
        raise bad_input("orderBy names a field twice.", field="orderBy")
    return any(term.direction is OrderDirection.ASC for term in terms)
