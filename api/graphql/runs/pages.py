"""Reads of runs: single ones, and pages."""

from __future__ import annotations

from collections.abc import Sequence

from api.errors import bad_input
from api.graphql.context import RequestContext
from api.graphql.core.arguments import Paging
from api.graphql.core.connections import connect, keyset_page_of
from api.graphql.core.ids import Cursor, decode_cursor, encode_cursor, signature
from api.graphql.runs.inputs import RunFilter, RunOrder, ascends, query_of
from api.graphql.runs.types import Run, RunConnection, run_from_row
from db.runs import store

#: Runs do not belong to a generation: their cursors hold across them.
_STATE = "runs"


async def find_run(context: RequestContext, number: int) -> Run | None:
    async with context.services.state.connection() as connection:
        row = await store.get_run(connection, number)
    return None if row is None else run_from_row(row)


async def newest_run(context: RequestContext) -> Run | None:
    async with context.services.state.connection() as connection:
        rows = await store.page_runs(connection, limit=1)
    return run_from_row(rows[0]) if rows else None


async def page_runs(
    context: RequestContext,
    wanted: RunFilter | None,
    order_by: Sequence[RunOrder] | None,
    paging: Paging,
) -> RunConnection:
    """One page of runs, newest first unless asked otherwise."""
    page = keyset_page_of(context.services.limits, *paging)
    query, ascending = query_of(wanted), ascends(order_by)
    parts = [None if part is None else sorted(part) for part in (query.states, query.causes, query.other_causes)]
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
