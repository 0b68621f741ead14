"""Runs from start to publication: what operators call, and what the tasks are made of."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from db.entries.files import Catalog
from db.entries.store import drop_staged, ids_of, stage_entries
from db.fits.generations import current_generation_sync
from db.fits.layout import create_storage, drop_storage, index_statements, storage_name
from db.outages import is_outage
from db.runs.publication import carry_over, drop_unread, fold_one, has_unread, prepare, publish, write_block
from db.runs.store import (
    BlockRow,
    RunRow,
    RunState,
    active_run,
    blocks_of,
    claim_block,
    claim_publication,
    end_run,
    fail_block,
    finish_block,
    free_blocks,
    get_run_sync,
    give_back_block,
    give_back_publication,
    hold_publication,
    now,
    open_blocks,
)
from db.session import make_engine, sync_engine, writing
from db.settings import Settings
from db.tables import Run, RunBlock, table_of
from workers import tracing
from workers.compute import compute_rows, load_models, setting_of
from workers.plan import Plan, plan_run

logger = logging.getLogger("fitgraph.workers")
_RUN, _BLOCK = table_of(Run), table_of(RunBlock)
SWEEP_EVERY_S = 2.0
#: How long a follower of a run bears a database that does not answer.
DATABASE_PATIENCE_S = 120.0
#: Updates stay parts of the live storage until nothing was published for so long, or there are more than this.
QUIET_S, MOST_PARTS = 10.0, 8
#: Between two tries to reach a database that failed.
OUTAGE_PAUSE_S = 0.2
#: Looks at the database before a start that another operator's start always overtakes is given up.
START_ATTEMPTS = 5
#: Index builds at a time on PostgreSQL; each has a server process of its own.
INDEX_BUILDERS = 2


@dataclass(frozen=True, slots=True)
class StartResult:
    """``run`` is None when nothing changed; ``already_running`` says that it is another operator's."""

    run: RunRow | None
    plan: Plan
    already_running: bool = False


def start_run(
    settings: Settings, catalog: Catalog, *, cause: str = "operator", everything: bool = False, enqueue: bool = True
) -> StartResult:
    """Plan against what is published, record the run with its blocks, and wake the workers.

    One run is active at a time: while one is, it is returned and nothing is started.
    """
    engine = sync_engine(settings.resolved_database_url)
    for attempt in range(START_ATTEMPTS):
        try:
            with writing(engine) as connection:
                working = active_run(connection)
                plan = plan_run(catalog, connection, everything=everything, block_cells=settings.block_cells)
                if working is not None:
                    return StartResult(working, plan, already_running=True)
                if plan.is_empty:
                    return StartResult(None, plan)
                run_id = _record(connection, plan, cause)
            break
        except IntegrityError:
            # Two operators at once: the constraint let the other one in, whose run may have ended since.
            if attempt == START_ATTEMPTS - 1:
                raise
    if enqueue:
        wake_workers(settings, run_id)
    with engine.connect() as connection:
        return StartResult(get_run_sync(connection, run_id), plan)


def _record(connection: Connection, plan: Plan, cause: str) -> int:
    last = connection.execute(select(func.max(_RUN.c.generation))).scalar()
    made = connection.execute(
        insert(_RUN).values(
            active=1,
            revision=plan.revision,
            generation=(last or 0) + 1,
            cause=cause,
            state=RunState.PENDING.value,
            rebuild=plan.rebuild,
            inputs=plan.inputs,
            blocks_total=len(plan.blocks),
            cells_total=plan.cells,
            blocks_done=0,
            blocks_failed=0,
            cells_done=0,
            created_at=now(),
        )
    )
    run_id = int(made.inserted_primary_key[0])  # type: ignore[index]
    for kind, changed in plan.changed.items():
        if changed:
            stage_entries(connection, run_id, kind, changed)
    models, gpus = ids_of(connection, "model"), ids_of(connection, "gpu")
    rows = [
        {
            "run_id": run_id,
            "ordinal": ordinal,
            "model_ids": [models[slug] for slug in block.models],
            "gpu_ids": None if block.gpus is None else [gpus[slug] for slug in block.gpus],
            "cells": block.cells,
            "state": "pending",
            "attempts": 0,
            "rows_written": 0,
            "unsupported_cells": 0,
        }
        for ordinal, block in enumerate(plan.blocks)
    ]
    if rows:
        connection.execute(insert(_BLOCK), rows)
    create_storage(connection, storage_name(run_id))
    return run_id


def compute_one(settings: Settings, run_id: int, block_id: int) -> bool:
    """Lease, compute and store one block. True when it was the last open one, so that the run can be published.

    An error of the computation is recorded with the block, which is given out again until its tries are used up.
    """
    engine, token = sync_engine(settings.resolved_database_url), secrets.token_hex(8)
    with writing(engine) as connection:
        block = claim_block(connection, block_id, token, settings.lease_s, settings.block_attempts)
    if block is None:
        return _is_ready(settings, run_id)
    try:
        with engine.connect() as connection:
            setting = setting_of(connection, settings.resolved_database_url, run_id)
            models = load_models(connection, run_id, block.model_ids)
            generation = connection.execute(select(_RUN.c.generation).where(_RUN.c.id == run_id)).scalar_one()
        packed = compute_rows(models, setting, generation, block.gpu_ids)
        with writing(engine) as connection:
            if finish_block(connection, block, token, len(packed.fits), packed.unsupported_cells):
                write_block(connection, storage_name(run_id), packed)
    except Exception as error:
        _give_back(settings, block, token, error)
        raise
    return _is_ready(settings, run_id)


def _give_back(settings: Settings, block: BlockRow, token: str, error: Exception) -> None:
    """Record an error with its block. A database that went away, or a full disk, is not the block's fault."""
    outage, said = is_outage(error), f"{type(error).__name__}: {error}"
    if outage:
        logger.warning("the database failed block %d of run %d: %s", block.id, block.run_id, error)
    else:
        logger.error("block %d of run %d failed", block.id, block.run_id, exc_info=error)
    deadline = time.monotonic() + settings.lease_s
    while True:
        try:
            with writing(sync_engine(settings.resolved_database_url)) as connection:
                if outage:
                    give_back_block(connection, block, token, said)
                else:
                    fail_block(connection, block, token, said, settings.block_attempts)
            return
        except Exception as again:
            # After its lease the block is free anyway.
            if not is_outage(again) or time.monotonic() > deadline:
                logger.warning("block %d of run %d stays leased: %s", block.id, block.run_id, again)
                return
            time.sleep(OUTAGE_PAUSE_S)


def _is_ready(settings: Settings, run_id: int) -> bool:
    with sync_engine(settings.resolved_database_url).connect() as connection:
        run = get_run_sync(connection, run_id)
        return run is not None and not run.is_final and open_blocks(connection, run_id) == 0


def is_quick(settings: Settings, run_id: int) -> bool:
    """Whether a run is published in less time than a block may take: an update of few cells."""
    query = select(_RUN.c.rebuild, _RUN.c.cells_total).where(_RUN.c.id == run_id)
    with sync_engine(settings.resolved_database_url).connect() as connection:
        rebuild, cells = connection.execute(query).one()
    return not rebuild and cells <= settings.block_cells


def publish_one(settings: Settings, run_id: int) -> bool:
    """Publish a run whose blocks are all done or set aside. False when it is not ready, or not ours to publish."""
    engine, token = sync_engine(settings.resolved_database_url), secrets.token_hex(8)
    with writing(engine) as connection:
        if not claim_publication(connection, run_id, token, settings.lease_s):
            return False
    try:
        if not _publish_claimed(settings, run_id, token):
            return False
    except Exception as error:
        with contextlib.suppress(SQLAlchemyError), writing(engine) as connection:
            give_back_publication(connection, run_id, token, f"{type(error).__name__}: {error}")
        raise
    drop_old(settings)
    return True


def _publish_claimed(settings: Settings, run_id: int, token: str) -> bool:
    engine = sync_engine(settings.resolved_database_url)
    with writing(engine) as connection:
        if not hold_publication(connection, run_id, token, settings.lease_s):
            return False
        run = connection.execute(select(_RUN).where(_RUN.c.id == run_id)).one()
        done, failed = blocks_of(connection, run_id, "done"), blocks_of(connection, run_id, "failed")
        current = current_generation_sync(connection)
        if failed and not done:
            end_run(connection, run_id, RunState.FAILED, f"every block failed; the first: {failed[0].error}")
            _discard(connection, run_id)
            return True
        if run.rebuild and failed and current is not None:
            models = [model for block in failed for model in block.model_ids]
            carry_over(connection, current, storage_name(run_id), models)
    if run.rebuild:
        with _held(settings, run_id, token):
            built = _build_indexes(settings, run_id, token)
        if not built:
            return False
    elif current is not None:
        with writing(engine) as connection:
            prepare(connection, run_id)
    with writing(engine) as connection:
        if not hold_publication(connection, run_id, token, settings.lease_s):
            return False
        publish(connection, run_id)
        state = RunState.PARTIAL if failed else RunState.PUBLISHED
        error = f"{len(failed)} blocks were set aside; the first: {failed[0].error}" if failed else None
        end_run(connection, run_id, state, error)
    return True


@contextlib.contextmanager
def _held(settings: Settings, run_id: int, token: str) -> Iterator[None]:
    """Keep the publisher's lease alive while an index is built, however long that takes."""
    finished = threading.Event()

    def beat() -> None:
        while not finished.wait(settings.lease_s / 3):
            with (
                contextlib.suppress(SQLAlchemyError),
                writing(sync_engine(settings.resolved_database_url)) as connection,
            ):
                hold_publication(connection, run_id, token, settings.lease_s)

    thread = threading.Thread(target=beat, name="publication-lease")
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _build_indexes(settings: Settings, run_id: int, token: str) -> bool:
    """Index a loaded storage, on PostgreSQL two indexes at a time. False when the publication was lost meanwhile."""
    engine, table = make_engine(settings.resolved_database_url, sorting=True), storage_name(run_id)

    def build(statement: str) -> bool:
        with writing(engine) as connection:
            held = hold_publication(connection, run_id, token, settings.lease_s)
        if held:
            with writing(engine) as connection:
                connection.execute(text(statement))
        return held

    statements = index_statements(table, engine.dialect.name)
    try:
        if engine.dialect.name == "sqlite":
            return all(build(statement) for statement in statements)
        with ThreadPoolExecutor(INDEX_BUILDERS) as pool:
            held = all(pool.map(build, statements))
        with writing(engine) as connection:
            for suffix in ("", "_quant", "_gpu"):
                connection.execute(text(f"ANALYZE {table}{suffix}"))
        return held
    finally:
        engine.dispose()


def drop_old(settings: Settings) -> int:
    """Drop generations past their grace. Returns how many."""
    engine = sync_engine(settings.resolved_database_url)
    with engine.connect() as connection:
        if not has_unread(connection, settings.generation_grace_s):
            return 0
    with writing(engine) as connection:
        return drop_unread(connection, settings.generation_grace_s)


def fold_parts(settings: Settings) -> bool:
    """Move a part that an update left beside the live storage into it, when nobody seems to wait. False: nothing to do."""
    with writing(sync_engine(settings.resolved_database_url)) as connection:
        return fold_one(connection, quiet_s=QUIET_S, most=MOST_PARTS)


def cancel_run(settings: Settings, run_id: int) -> bool:
    """Stop an active run; it publishes nothing. False when it had ended already, or is unknown."""
    with writing(sync_engine(settings.resolved_database_url)) as connection:
        if not end_run(connection, run_id, RunState.CANCELLED):
            return False
        _discard(connection, run_id)
        return True


def _discard(connection: Connection, run_id: int) -> None:
    drop_staged(connection, run_id)
    drop_storage(connection, storage_name(run_id))


def wake_workers(settings: Settings, run_id: int) -> int:
    """Send a message for every free block of a run, or for its publication. Returns how many were sent.

    A broker that does not answer is no fault of the run: the next sweep sends again.
    """
    from workers.tasks import compute_block, publish_run

    with sync_engine(settings.resolved_database_url).connect() as connection:
        run, free = get_run_sync(connection, run_id), free_blocks(connection, run_id)
        waiting = open_blocks(connection, run_id)
    if run is None or run.is_final:
        return 0
    try:
        with tracing.span("wake workers", {"fitgraph.run_id": run_id, "fitgraph.free_blocks": len(free)}):
            if not waiting:
                publish_run.delay(run_id)
                return 1
            for block_id in free:
                compute_block.delay(run_id, block_id)
    except (BrokerError, RedisError, OSError) as error:
        logger.warning("the broker takes no message (%s); run %d is woken by a later sweep", error, run_id)
        return 0
    return len(free)


def sweep(settings: Settings) -> int:
    """Send again what an active run waits for when no message for it is left in the queue. Returns how many."""
    from workers.app import queue_length

    with sync_engine(settings.resolved_database_url).connect() as connection:
        run = active_run(connection)
    if run is None or queue_length() != 0:
        return 0
    return wake_workers(settings, run.id)


def wait_for_run(
    settings: Settings, run_id: int, on_progress: Callable[[RunRow], None] | None = None, poll_s: float = 0.25
) -> RunRow:
    """Follow a run to its end, sweeping meanwhile.

    Raises LookupError for an unknown run, OperationalError when the database stays away for two minutes.
    """
    engine, swept, answered = sync_engine(settings.resolved_database_url), time.monotonic(), time.monotonic()
    while True:
        try:
            with engine.connect() as connection:
                run = get_run_sync(connection, run_id)
            answered = time.monotonic()
        except OperationalError:
            # A database that restarts is waited for: the run goes on when it is back.
            if time.monotonic() - answered > DATABASE_PATIENCE_S:
                raise
            time.sleep(max(poll_s, 0.1))
            continue
        if run is None:
            raise LookupError(f"there is no run {run_id}")
        if on_progress is not None:
            on_progress(run)
        if run.is_final:
            return run
        if time.monotonic() - swept > SWEEP_EVERY_S:
            swept = time.monotonic()
            with contextlib.suppress(OperationalError):
                sweep(settings)
        time.sleep(poll_s)


def run_in_process(
    settings: Settings, catalog: Catalog, *, cause: str = "operator", everything: bool = False
) -> RunRow | None:
    """A whole run in this process, without a broker; one that was interrupted goes on. None when nothing changed.

    An outage of the database ends it with that error; the run stays active, and the next call goes on with it.
    """
    result = start_run(settings, catalog, cause=cause, everything=everything, enqueue=False)
    if result.run is None:
        return None
    engine = sync_engine(settings.resolved_database_url)
    while True:
        with engine.connect() as connection:
            free = free_blocks(connection, result.run.id)
            waiting = open_blocks(connection, result.run.id)
        for block_id in free:
            try:
                compute_one(settings, result.run.id, block_id)
            except Exception as error:
                if is_outage(error):
                    raise
        if not waiting:
            break
        if not free:
            # Leased by a process that may have died: its leases run out.
            time.sleep(OUTAGE_PAUSE_S)
    publish_one(settings, result.run.id)
    with engine.connect() as connection:
        return get_run_sync(connection, result.run.id)
