"""Leases of blocks and of publications: who works at what, and until when.

One clock tells for all workers: that of the database server, or of the machine that has the SQLite file. When it jumps
forward, leases run out early, and their holders find them lost when they store. When it jumps back, a lease that ends
later than some taken now would has run out, too: no block waits for hours.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select, update

from db.runs.store import (
    MAX_ERROR_CHARS,
    WORKING,
    BlockRow,
    RunRow,
    RunState,
    block_of,
    moment_of,
    now,
    open_blocks,
)
from db.tables import Run, RunBlock, table_of

_RUN, _BLOCK = table_of(Run), table_of(RunBlock)
#: A lease that ends later than after so many from now was given by a clock that has jumped back since.
MOST_LEASES = 10


def _ran_out(until: Any, moment: float, lease_s: float) -> ColumnElement[bool]:
    return or_(until < moment, until > moment + MOST_LEASES * lease_s)


def _is_free(moment: float, lease_s: float) -> ColumnElement[bool]:
    leased = and_(_BLOCK.c.state == "leased", _ran_out(_BLOCK.c.lease_until, moment, lease_s))
    return or_(_BLOCK.c.state == "pending", leased)


def claim_block(
    connection: Connection, block_id: int, token: str, lease_s: float, attempts: int, release: str
) -> BlockRow | None:
    """Lease a block; None when it is not free, or its run is not at work or another release's.

    A block that wore out its tries is failed.
    """
    moment = moment_of(connection)
    free = _is_free(moment, lease_s)
    ours = and_(_RUN.c.active == 1, _RUN.c.release == release, _RUN.c.state.in_(WORKING))
    working = _BLOCK.c.run_id.in_(select(_RUN.c.id).where(ours))
    mine = and_(_BLOCK.c.id == block_id, free, working)
    connection.execute(
        update(_BLOCK)
        .where(mine, _BLOCK.c.attempts >= attempts)
        .values(
            state="failed",
            lease_token=None,
            error=func.coalesce(_BLOCK.c.error, "its worker died, or went silent, at every try"),
        )
    )
    claimed = connection.execute(
        update(_BLOCK)
        .where(mine)
        .values(state="leased", lease_token=token, lease_until=moment + lease_s, attempts=_BLOCK.c.attempts + 1)
    )
    if claimed.rowcount != 1:
        return None
    block = block_of(connection, block_id)
    connection.execute(
        update(_RUN)
        .where(_RUN.c.id == block.run_id, _RUN.c.state == RunState.PENDING.value)
        .values(state=RunState.RUNNING.value, started_at=now(connection))
    )
    return block


def free_blocks(connection: Connection, run_id: int, lease_s: float) -> list[int]:
    """Ids of blocks that a worker may claim now: pending, or leased by one that went silent."""
    free = _is_free(moment_of(connection), lease_s)
    query = select(_BLOCK.c.id).where(_BLOCK.c.run_id == run_id, free).order_by(_BLOCK.c.ordinal)
    return [row[0] for row in connection.execute(query)]


def claim_publication(connection: Connection, run_id: int, token: str, lease_s: float, release: str) -> bool:
    """Become the publisher of a run of ``release`` whose blocks are all done or failed. False: not ready, or not ours."""
    if open_blocks(connection, run_id):
        return False
    moment = moment_of(connection)
    ready = or_(
        _RUN.c.state.in_(WORKING),
        and_(_RUN.c.state == RunState.PUBLISHING.value, _ran_out(_RUN.c.publish_lease_until, moment, lease_s)),
    )
    claimed = connection.execute(
        update(_RUN)
        .where(_RUN.c.id == run_id, _RUN.c.active == 1, _RUN.c.release == release, ready)
        .values(
            state=RunState.PUBLISHING.value,
            publish_token=token,
            publish_lease_until=moment + lease_s,
            started_at=func.coalesce(_RUN.c.started_at, now(connection)),
        )
    )
    return claimed.rowcount == 1


def hold_publication(connection: Connection, run_id: int, token: str, lease_s: float) -> bool:
    """Extend the publisher's lease; False when it was lost."""
    renewal = connection.execute(
        update(_RUN)
        .where(_RUN.c.id == run_id, _RUN.c.state == RunState.PUBLISHING.value, _RUN.c.publish_token == token)
        .values(publish_lease_until=moment_of(connection) + lease_s)
    )
    return renewal.rowcount == 1


def give_back_publication(connection: Connection, run_id: int, token: str, error: str) -> None:
    """End the publisher's lease at once after an error, so that another try need not wait for it to run out."""
    connection.execute(
        update(_RUN)
        .where(_RUN.c.id == run_id, _RUN.c.state == RunState.PUBLISHING.value, _RUN.c.publish_token == token)
        .values(publish_lease_until=0.0, error=error[:MAX_ERROR_CHARS])
    )


def is_worked_at(connection: Connection, run: RunRow, lease_s: float) -> bool:
    """Whether a lease of an active run was taken less than a lease ago, or it began then.

    A worker holds none between two blocks: a block that is done counts for as long as its lease would have.
    """
    moment = moment_of(connection)
    leased = select(_BLOCK.c.id).where(_BLOCK.c.run_id == run.id, not_(_ran_out(_BLOCK.c.lease_until, moment, lease_s)))
    held_on = not_(_ran_out(_RUN.c.publish_lease_until, moment, lease_s))
    publishing = select(_RUN.c.id).where(
        _RUN.c.id == run.id,
        _RUN.c.state == RunState.PUBLISHING.value,
        held_on,
    )
    young = abs(moment - run.created_at.timestamp()) < lease_s
    return young or any(connection.execute(query.limit(1)).first() is not None for query in (leased, publishing))
