"""Runs from start to end, as operators call them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from db.entries.files import Catalog
from db.entries.store import ids_of, stage_entries
from db.fits.layout import create_storage, storage_name
from db.runs.leases import is_worked_at
from db.runs.store import RunRow, RunState, active_run, end_run, get_run_sync, now
from db.session import sync_engine, writing
from db.settings import Settings
from db.tables import Run, RunBlock, table_of
from workers.plan import Plan, Scope, plan_run
from workers.publish import discard
from workers.queue import sweep, wake_workers

logger = logging.getLogger("fitgraph.workers")
_RUN, _BLOCK = table_of(Run), table_of(RunBlock)
SWEEP_EVERY_S = 2.0
OTHER_RELEASE_POLL_S = 1.0
#: How long a follower of a run bears a database that does not answer.
DATABASE_PATIENCE_S = 120.0
#: Looks at the database before a start that another operator's start always overtakes is given up.
START_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class StartResult:
    """``run`` is None when nothing changed; ``already_running`` says that it is another operator's.

    ``run`` is also None when the plan is that of a new release, and only changes of the catalog were to be computed.
    """

    run: RunRow | None
    plan: Plan
    already_running: bool = False


def start_run(
    settings: Settings,
    catalog: Catalog,
    *,
    cause: str = "operator",
    everything: bool = False,
    scope: Scope | None = None,
    enqueue: bool = True,
    new_release: bool = True,
) -> StartResult:
    """Plan against what is published, record the run with its blocks, and wake the workers.

    One run is active at a time: while one is, it is returned and nothing is started. A run of another release that
    nobody works at is cancelled: its own workers are gone. ``new_release`` False starts nothing that another release
    than the published one would compute anew: during an upgrade two schedules would undo each other's runs.

    Raises :class:`PolicyError` for a list of precomputed models that does not fit the catalog.
    """
    engine = sync_engine(settings.resolved_database_url)
    for attempt in range(START_ATTEMPTS):
        try:
            with writing(engine) as connection:
                working = active_run(connection)
                plan = plan_run(catalog, connection, settings, scope or Scope(everything))
                if working is not None and not _is_left(connection, working, plan, settings):
                    return StartResult(working, plan, already_running=True)
                if plan.is_empty or (plan.of_new_release and not new_release):
                    return StartResult(None, plan)
                if working is not None:
                    end_run(connection, working.id, RunState.CANCELLED, "no worker of its release was left")
                    discard(connection, working.id)
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


def start_own_run(settings: Settings, catalog: Catalog, *, cause: str, everything: bool = False) -> StartResult:
    """``start_run``, after a run of another release has ended, or its last lease has run out."""
    while True:
        result = start_run(settings, catalog, cause=cause, everything=everything)
        if result.run is None or result.run.release == result.plan.release:
            return result
        time.sleep(OTHER_RELEASE_POLL_S)


def _is_left(connection: Connection, run: RunRow, plan: Plan, settings: Settings) -> bool:
    return run.release != plan.release and not is_worked_at(connection, run, settings.lease_s)


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
            release=plan.release,
            blocks_total=len(plan.blocks),
            cells_total=plan.cells,
            blocks_done=0,
            blocks_failed=0,
            cells_done=0,
            created_at=now(connection),
        )
    )
    run_id = int(made.inserted_primary_key[0])  # type: ignore[index]
    # Failed blocks of earlier runs are kept: people look at them.
    connection.execute(delete(_BLOCK).where(_BLOCK.c.run_id < run_id, _BLOCK.c.state != "failed"))
    for kind, changed in plan.changed.items():
        if changed:
            stage_entries(connection, run_id, kind, changed)
    models = ids_of(connection, "model", {slug for block in plan.blocks for slug in block.models})
    gpus = ids_of(connection, "gpu", {slug for block in plan.blocks for slug in block.gpus or ()})
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


def cancel_run(settings: Settings, run_id: int) -> bool:
    """Stop an active run; it publishes nothing. False when it had ended already, or is unknown."""
    with writing(sync_engine(settings.resolved_database_url)) as connection:
        if not end_run(connection, run_id, RunState.CANCELLED):
            return False
        discard(connection, run_id)
        return True


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
