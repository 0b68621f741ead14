"""Runs: one recompute each, with its progress."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import Enum

import strawberry

from api.errors import bad_input
from api.graphql.context import RequestContext
from api.graphql.core.arguments import Paging
from api.graphql.core.connections import Connection, connect, keyset_page_of
from api.graphql.core.described import describe
from api.graphql.core.enums import OrderDirection
from api.graphql.core.ids import Cursor, decode_cursor, decode_id, encode_cursor, encode_id, signature
from api.graphql.core.inputs import DateTimeRange, StringSet, check_set, folded, moment
from api.graphql.core.node import Node
from api.graphql.core.orders import MAX_ORDER_TERMS
from api.graphql.core.scalars import Int64
from db.runs import store
from db.runs.store import RunRow

#: The database holds no larger one.
_NUMBER = re.compile(r"[0-9]{1,9}\Z")


class RunState(Enum):
    """States of a run."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PUBLISHING = "PUBLISHING"
    PUBLISHED = "PUBLISHED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


describe(
    RunState,
    "RunState",
    "Where a run stands.",
    {
        "PENDING": "Planned; no block is done.",
        "RUNNING": "Blocks are being computed.",
        "PUBLISHING": "All blocks are done; the new generation is being made visible.",
        "PUBLISHED": "The new generation is visible.",
        "PARTIAL": "Published, except blocks that failed: their earlier rows are still served.",
        "FAILED": "Nothing was published.",
        "CANCELLED": "Stopped by an operator; nothing was published.",
    },
)


@strawberry.type(description="One recompute: what changed in the catalog, as blocks, published as one generation.")
class Run(Node):
    state: RunState = strawberry.field(description="Where it stands.")
    cause: str = strawberry.field(description="Who or what started it.")
    revision: str = strawberry.field(description="Catalog revision that it computes.")
    generation: int | None = strawberry.field(description="Generation that it published; null for none.")
    block_count: int = strawberry.field(description="Blocks planned.")
    done_block_count: int = strawberry.field(description="Blocks done.")
    failed_block_count: int = strawberry.field(description="Blocks set aside with their error.")
    cell_count: Int64 = strawberry.field(description="Fits planned.")
    done_cell_count: Int64 = strawberry.field(description="Fits computed.")
    cells_per_second: float | None = strawberry.field(description="Fits per second so far; null before the first.")
    remaining_seconds: float | None = strawberry.field(description="Expected seconds to the end; null when unknown.")
    seconds: float | None = strawberry.field(description="Duration so far or in all, seconds; null before the start.")
    error: str | None = strawberry.field(description="What failed; null for nothing.")
    created_at: datetime = strawberry.field(description="When it was planned, UTC.")
    started_at: datetime | None = strawberry.field(description="When the first block began, UTC.")
    finished_at: datetime | None = strawberry.field(description="When it ended, UTC.")


@strawberry.type(description="One page of runs; newest first unless another order was asked for.")
class RunConnection(Connection[Run]):
    """Page of runs."""


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


describe(RunOrderField, "RunOrderField", "What runs can be ordered by.", {"CREATED_AT": "When it was planned."})


@strawberry.input(description="One term of an order of runs.")
class RunOrder:
    field: RunOrderField = strawberry.field(description="What to order by.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Direction; descending, the newest first, when left out."
    )


#: States after which a run no longer changes.
FINAL = frozenset({RunState.PUBLISHED, RunState.PARTIAL, RunState.FAILED, RunState.CANCELLED})
#: Runs do not belong to a generation: their cursors hold across them.
_STATE = "runs"


def run_from_row(row: RunRow) -> Run:
    """The run of a stored row."""
    return Run(
        id=strawberry.ID(encode_id("Run", str(row.id))),
        state=RunState[row.state.name],
        cause=row.cause,
        revision=row.revision,
        generation=row.generation,
        block_count=row.blocks_total,
        done_block_count=row.blocks_done,
        failed_block_count=row.blocks_failed,
        cell_count=Int64(row.cells_total),
        done_cell_count=Int64(row.cells_done),
        cells_per_second=row.cells_per_s,
        remaining_seconds=row.eta_s,
        seconds=row.seconds,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def run_number(text: str) -> int:
    """Number inside a run's id. Raises ``BAD_USER_INPUT`` for another id."""
    node = decode_id(text)
    if node.kind != "Run" or len(node.key) != 1 or not _NUMBER.match(node.key[0]):
        raise bad_input("This id is not that of a run.", field="id")
    return int(node.key[0])


async def find_run(context: RequestContext, number: int) -> Run | None:
    """A run by number."""
    async with context.services.state.connection() as connection:
        row = await store.get_run(connection, number)
    return None if row is None else run_from_row(row)


async def newest_run(context: RequestContext) -> Run | None:
    """The newest run."""
    async with context.services.state.connection() as connection:
        rows = await store.page_runs(connection, limit=1)
    return run_from_row(rows[0]) if rows else None


def _query_of(wanted: RunFilter | None) -> store.RunQuery:
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
    texts = None if causes is None else frozenset(each for each in causes if "\0" not in each)
    return store.RunQuery(states, texts, first, last)


def _ascends(order_by: Sequence[RunOrder] | None) -> bool:
    terms = order_by or ()
    check_set("orderBy", terms, MAX_ORDER_TERMS)
    if len(terms) > 1:
        raise bad_input("orderBy names a field twice.", field="orderBy")
    return any(term.direction is OrderDirection.ASC for term in terms)


async def page_runs(
    context: RequestContext,
    wanted: RunFilter | None,
    order_by: Sequence[RunOrder] | None,
    paging: Paging,
) -> RunConnection:
    """One page of runs, newest first unless asked otherwise."""
    page = keyset_page_of(context.services.limits, *paging)
    query, ascending = _query_of(wanted), _ascends(order_by)
    parts = [None if part is None else sorted(part) for part in (query.states, query.causes)]
    order = f"{'oldest' if ascending else 'newest'} {signature(*parts, query.created_from, query.created_to)}"
    cursor = page.before if page.backward else page.after
    place = None
    if cursor is not None:
        key = decode_cursor(cursor, _STATE, order)
        if len(key) != 1 or type(key[0]) is not int or not 0 <= key[0] < 1 << 31:
            raise bad_input("This cursor does not belong to this list.")
        place = key[0]
    async with context.services.state.connection() as connection:
        rows = await store.page_runs(
            connection, after=place, limit=page.size + 1, query=query, ascending=ascending != page.backward
        )
    shown, more, beyond = rows[: page.size], len(rows) > page.size, place is not None
    if page.backward:
        shown.reverse()

    async def count() -> int:
        async with context.services.state.connection() as connection:
            return await store.count_runs(connection, query)

    return connect(
        RunConnection,
        [run_from_row(row) for row in shown],
        lambda: lambda number: encode_cursor(Cursor(_STATE, order, (shown[number].id,))),
        has_next=beyond if page.backward else more,
        has_previous=more if page.backward else beyond,
        counter=count,
    )
