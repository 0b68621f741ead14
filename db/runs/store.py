"""Runs and their blocks: the truth about a recompute. The broker only carries wake-ups.

A block is ``pending``, ``leased`` to one worker until a time, ``done`` in the transaction that stored its rows, or
``failed`` after its last try. Every transition is one guarded UPDATE, so that a message delivered twice does nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.fits.generations import as_utc
from db.tables import Run, RunBlock, table_of

_RUN, _BLOCK = table_of(Run), table_of(RunBlock)
MAX_ERROR_CHARS = 2000


class RunState(StrEnum):
    """Life of a run; the last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_STATES = frozenset({RunState.PUBLISHED, RunState.PARTIAL, RunState.FAILED, RunState.CANCELLED})
_OPEN = ("pending", "leased")
WORKING = (RunState.PENDING.value, RunState.RUNNING.value)


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with its progress. Cells count every pairing looked at, with those that no engine can run."""

    id: int
    revision: str
    generation: int | None
    cause: str
    state: RunState
    blocks_total: int
    blocks_done: int
    blocks_failed: int
    cells_total: int
    cells_done: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    release: str

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL_STATES

    @property
    def seconds(self) -> float | None:
        """Duration so far or in all; None before the first block."""
        if self.started_at is None:
            return None
        return ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds()

    @property
    def cells_per_s(self) -> float | None:
        """Mean pace; None before the first block is done."""
        seconds = self.seconds
        return self.cells_done / seconds if seconds and self.cells_done else None

    @property
    def eta_s(self) -> float | None:
        """Seconds to the last block at the mean pace; None while there is none."""
        pace = self.cells_per_s
        return None if pace is None or self.is_final else (self.cells_total - self.cells_done) / pace


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block as a worker sees it; ``gpu_ids`` None is every GPU."""

    id: int
    run_id: int
    model_ids: tuple[int, ...]
    gpu_ids: tuple[int, ...] | None
    state: str
    attempts: int
    error: str | None


def moment_of(connection: Connection) -> float:
    """Seconds since 1970 by the clock that all processes of a database share.

    It is that of the database server, or of the machine that has the SQLite file.
    """
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def now(connection: Connection) -> datetime:
    """``moment_of`` with its zone."""
    return datetime.fromtimestamp(moment_of(connection), UTC)


def _runs() -> Any:
    """Runs with progress counted from their blocks while they work, and as recorded after.

    The error of a run at work is that of a block which is tried again: what the run waits for.
    """
    counts = (
        select(
            _BLOCK.c.run_id,
            func.sum(case((_BLOCK.c.state == "done", 1), else_=0)).label("done"),
            func.sum(case((_BLOCK.c.state == "failed", 1), else_=0)).label("failed"),
            func.sum(case((_BLOCK.c.state == "done", _BLOCK.c.cells), else_=0)).label("cells"),
            func.max(case((_BLOCK.c.state.in_(_OPEN), _BLOCK.c.error))).label("error"),
        )
        .where(_BLOCK.c.run_id.in_(select(_RUN.c.id).where(_RUN.c.active == 1)))
        .group_by(_BLOCK.c.run_id)
        .subquery()
    )
    return select(
        _RUN.c.id,
        _RUN.c.revision,
        _RUN.c.generation,
        _RUN.c.cause,
        _RUN.c.state,
        _RUN.c.blocks_total,
        func.coalesce(counts.c.done, _RUN.c.blocks_done),
        func.coalesce(counts.c.failed, _RUN.c.blocks_failed),
        _RUN.c.cells_total,
        func.coalesce(counts.c.cells, _RUN.c.cells_done),
        func.coalesce(_RUN.c.error, counts.c.error),
        _RUN.c.created_at,
        _RUN.c.started_at,
        _RUN.c.finished_at,
        _RUN.c.release,
    ).select_from(_RUN.outerjoin(counts, counts.c.run_id == _RUN.c.id))


def _run(row: Any) -> RunRow:
    state = RunState(row[4])
    published = state in (RunState.PUBLISHED, RunState.PARTIAL)
    return RunRow(
        row[0], row[1], row[2] if published else None, row[3], state, row[5], int(row[6]), int(row[7]), row[8], int(row[9]),
        row[10], as_utc(row[11]), None if row[12] is None else as_utc(row[12]), None if row[13] is None else as_utc(row[13]),
        row[14],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs; None allows all. ``causes`` are case folded; times have a zone, and their bounds are inclusive."""

    states: frozenset[RunState] | None = None
    causes: frozenset[str] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    #: Causes that are not wanted, case folded.
    other_causes: frozenset[str] | None = None

    def conditions(self) -> list[Any]:
        terms: list[Any] = []
        if self.states is not None:
            terms.append(_RUN.c.state.in_([state.value for state in self.states]))
        if self.causes is not None:
            terms.append(func.lower(_RUN.c.cause).in_(self.causes))
        if self.other_causes:
            terms.append(func.lower(_RUN.c.cause).not_in(self.other_causes))
        if self.created_from is not None:
            terms.append(_RUN.c.created_at >= self.created_from.astimezone(UTC))
        if self.created_to is not None:
            terms.append(_RUN.c.created_at <= self.created_to.astimezone(UTC))
        return terms


_ALL = RunQuery()


def _page(after: int | None, limit: int, query: RunQuery = _ALL, ascending: bool = False) -> Any:
    page = _runs().where(*query.conditions()).order_by(_RUN.c.id if ascending else _RUN.c.id.desc()).limit(limit)
    if after is None:
        return page
    return page.where(_RUN.c.id > after if ascending else _RUN.c.id < after)


async def get_run(connection: AsyncConnection, run_id: int) -> RunRow | None:
    """A run; None when there is none of that id."""
    row = (await connection.execute(_runs().where(_RUN.c.id == run_id))).first()
    return None if row is None else _run(row)


def get_run_sync(connection: Connection, run_id: int) -> RunRow | None:
    """``get_run`` for workers and the command line."""
    row = connection.execute(_runs().where(_RUN.c.id == run_id)).first()
    return None if row is None else _run(row)


async def page_runs(
    connection: AsyncConnection,
    *,
    after: int | None = None,
    limit: int = 20,
    query: RunQuery = _ALL,
    ascending: bool = False,
) -> list[RunRow]:
    """Runs that come after id ``after``: newest first, or oldest first when ``ascending``."""
    return [_run(row) for row in await connection.execute(_page(after, limit, query, ascending))]


def page_runs_sync(connection: Connection, *, limit: int = 20) -> list[RunRow]:
    """The newest runs first."""
    return [_run(row) for row in connection.execute(_page(None, limit))]


async def count_runs(connection: AsyncConnection, query: RunQuery = _ALL) -> int:
    """How many runs there were."""
    wanted = select(func.count()).select_from(_RUN).where(*query.conditions())
    return int((await connection.execute(wanted)).scalar_one())


def active_run(connection: Connection) -> RunRow | None:
    """The run that is at work; there is at most one."""
    row = connection.execute(_runs().where(_RUN.c.active == 1)).first()
    return None if row is None else _run(row)


def _blocks() -> Any:
    columns = ("id", "run_id", "model_ids", "gpu_ids", "state", "attempts", "error")
    return select(*(_BLOCK.c[name] for name in columns))


def _block(row: Any) -> BlockRow:
    gpus = None if row[3] is None else tuple(row[3])
    return BlockRow(row[0], row[1], tuple(row[2]), gpus, row[4], row[5], row[6])


def block_of(connection: Connection, block_id: int) -> BlockRow:
    """A block that is there."""
    return _block(connection.execute(_blocks().where(_BLOCK.c.id == block_id)).one())


def blocks_of(connection: Connection, run_id: int, *states: str) -> list[BlockRow]:
    """Blocks of a run in the given states, or all, in order."""
    query = _blocks().where(_BLOCK.c.run_id == run_id)
    if states:
        query = query.where(_BLOCK.c.state.in_(states))
    return [_block(row) for row in connection.execute(query.order_by(_BLOCK.c.ordinal))]


def failed_blocks_sync(connection: Connection, run_id: int) -> list[BlockRow]:
    """Blocks that were set aside, with their errors."""
    return blocks_of(connection, run_id, "failed")


def finish_block(connection: Connection, block: BlockRow, token: str, rows: int, unsupported_cells: int) -> bool:
    """Mark a leased block done, in the transaction that stores its rows. False: the lease is lost, store nothing."""
    working = select(_RUN.c.id).where(_RUN.c.id == block.run_id, _RUN.c.active == 1, _RUN.c.state.in_(WORKING))
    if connection.execute(working.with_for_update(read=True)).first() is None:
        return False
    done = connection.execute(
        update(_BLOCK)
        .where(_BLOCK.c.id == block.id, _BLOCK.c.state == "leased", _BLOCK.c.lease_token == token)
        .values(state="done", lease_token=None, error=None, rows_written=rows, unsupported_cells=unsupported_cells)
    )
    return done.rowcount == 1


def fail_block(connection: Connection, block: BlockRow, token: str, error: str, attempts: int) -> bool:
    """Give a block back after an error, or set it aside at its last try. True when it was set aside."""
    state = "failed" if block.attempts >= attempts else "pending"
    changed = connection.execute(
        update(_BLOCK)
        .where(_BLOCK.c.id == block.id, _BLOCK.c.state == "leased", _BLOCK.c.lease_token == token)
        .values(state=state, lease_token=None, error=error[:MAX_ERROR_CHARS])
    )
    return state == "failed" and changed.rowcount == 1


def give_back_block(connection: Connection, block: BlockRow, token: str, error: str) -> bool:
    """Free a block after an outage of the database, which counts as no try of the block. False: the lease is lost."""
    freed = connection.execute(
        update(_BLOCK)
        .where(_BLOCK.c.id == block.id, _BLOCK.c.state == "leased", _BLOCK.c.lease_token == token)
        .values(state="pending", lease_token=None, attempts=_BLOCK.c.attempts - 1, error=error[:MAX_ERROR_CHARS])
    )
    return freed.rowcount == 1


def open_blocks(connection: Connection, run_id: int) -> int:
    """Blocks that are neither done nor failed."""
    query = select(func.count()).select_from(_BLOCK).where(_BLOCK.c.run_id == run_id, _BLOCK.c.state.in_(_OPEN))
    return int(connection.execute(query).scalar_one())


def end_run(connection: Connection, run_id: int, state: RunState, error: str | None = None) -> bool:
    """Record the end of an active run with its counts; False when it had ended already."""
    counts = connection.execute(
        select(
            func.coalesce(func.sum(case((_BLOCK.c.state == "done", 1), else_=0)), 0),
            func.coalesce(func.sum(case((_BLOCK.c.state == "failed", 1), else_=0)), 0),
            func.coalesce(func.sum(case((_BLOCK.c.state == "done", _BLOCK.c.cells), else_=0)), 0),
        ).where(_BLOCK.c.run_id == run_id)
    ).one()
    ended = connection.execute(
        update(_RUN)
        .where(_RUN.c.id == run_id, _RUN.c.active == 1)
        .values(
            active=None,
            state=state.value,
            error=error,
            # Kilobytes that only the publication reads.
            inputs={},
            finished_at=now(connection),
            blocks_done=int(counts[0]),
            blocks_failed=int(counts[1]),
            cells_done=int(counts[2]),
            publish_token=None,
            publish_lease_until=None,
        )
    )
    return ended.rowcount == 1
