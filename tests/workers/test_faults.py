"""Faults of the database are nobody's fault: runs wait them out and end as if nothing had happened."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError

from db.entries.files import Catalog
from db.outages import is_outage
from db.runs.leases import free_blocks
from db.runs.store import RunState, active_run, blocks_of, get_run_sync
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.published_rows import computed_alone, difference
from tests.support.runs import run_in_process
from workers import publish, runs
from workers.app import app
from workers.blocks import compute_one
from workers.publish import publish_one
from workers.runs import start_run

ROOT = Path(__file__).parents[2]


def test_full_disk_on_sqlite_is_waited_for(tmp_path: Path, small_catalog: Catalog) -> None:
    """SQLite itself refuses to grow: the run stays, its blocks lose no try, and goes on when there is room."""
    settings = Settings(state_dir=tmp_path / "state", database_url="", block_cells=1, block_attempts=1)
    upgrade_database(settings.resolved_database_url)
    engine = sync_engine(settings.resolved_database_url)
    started = start_run(settings, small_catalog, enqueue=False)
    assert started.run is not None
    full = [True]

    @event.listens_for(engine, "checkout")
    def limit(raw: Any, _record: Any, _proxy: Any) -> None:
        # A limit below what there is means: not one page more.
        raw.execute(f"PRAGMA max_page_count = {1 if full[0] else 1 << 30}")

    with pytest.raises((OperationalError, sqlite3.OperationalError), match="full"):
        run_in_process(settings, small_catalog)
    with engine.connect() as connection:
        run = active_run(connection)
        assert run is not None
        assert run.state in (RunState.RUNNING, RunState.PUBLISHING)
        assert "full" in (run.error or "")
        assert {block.state for block in blocks_of(connection, run.id)} <= {"pending", "done"}
        assert max(block.attempts for block in blocks_of(connection, run.id, "pending")) == 0
    full[0] = False
    ended = run_in_process(settings, small_catalog)
    assert ended is not None
    assert (ended.id, ended.state, ended.error) == (run.id, RunState.PUBLISHED, None)
    with engine.connect() as connection:
        assert not difference(connection, computed_alone(small_catalog, tmp_path / "alone"))
    engine.dispose()


def test_a_publication_that_failed_is_tried_again_at_once(
    settings: Settings, small_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ends with the error, which the run shows until it is published."""
    started = start_run(settings, small_catalog, enqueue=False)
    assert started.run is not None
    engine = sync_engine(settings.resolved_database_url)
    with engine.connect() as connection:
        waiting = free_blocks(connection, started.run.id, settings.lease_s)
    for block in waiting:
        compute_one(settings, started.run.id, block)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(publish, "publish", fail)
        with pytest.raises(OSError, match="No space"):
            publish_one(settings, started.run.id)
    with engine.connect() as connection:
        run_now = active_run(connection)
    assert run_now is not None
    assert run_now.state is RunState.PUBLISHING
    assert "No space" in (run_now.error or "")
    assert publish_one(settings, started.run.id)
    with engine.connect() as connection:
        last = get_run_sync(connection, started.run.id)
    assert last is not None
    assert (last.state, last.error) == (RunState.PUBLISHED, None)


def test_a_start_that_was_overtaken_looks_again(
    settings: Settings, small_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses a second active run; by the next look the other one may have ended."""
    honest, refused = runs._record, []

    def overtaken(*arguments: Any) -> int:
        if not refused:
            refused.append(True)
            raise IntegrityError("INSERT INTO run", {}, sqlite3.IntegrityError("UNIQUE constraint failed: run.active"))
        return honest(*arguments)

    monkeypatch.setattr(runs, "_record", overtaken)
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    assert not result.already_running


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (psycopg.errors.DiskFull("full"), True),
        (psycopg.errors.AdminShutdown("bye"), True),
        (psycopg.errors.DeadlockDetected("locked"), True),
        (psycopg.OperationalError("the connection is lost"), True),
        (psycopg.errors.UndefinedTable("fit_1"), False),
        (psycopg.errors.NumericValueOutOfRange("large"), False),
        (OperationalError("SELECT 1", {}, psycopg.errors.CannotConnectNow("starting")), True),
        (OperationalError("SELECT 1", {}, sqlite3.OperationalError("no such table")), False),
        (ArithmeticError("poison"), False),
    ],
)
def test_an_outage_is_told_from_a_fault_of_the_work(error: Exception, expected: bool) -> None:
    assert is_outage(error) is expected


def test_a_locked_sqlite_is_an_outage(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db", isolation_level=None) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN IMMEDIATE")
        other = sqlite3.connect(tmp_path / "a.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError) as caught:
            other.execute("BEGIN IMMEDIATE")
        other.close()
    holder.close()
    assert is_outage(caught.value)


def test_every_worker_sweeps() -> None:
    assert "Sweeping" in {step.__name__ for step in app.steps["consumer"]}


def chaos(*faults: str) -> str:
    """One round of ``make chaos``; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos", "--times", "1", *faults],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.postgres
@pytest.mark.broker
def test_chaos_loses_doubles_and_mixes_nothing() -> None:
    """Once each of some that no other test does to real processes; `make chaos` does all of them many times."""
    faults = ["restart-broker-losing-data", "two-operators"]
    report = chaos(*faults)
    for fault in faults:
        counts = rf"^{fault} +1 +[01] +0 +0 +0 +[1-9]"
        assert re.search(counts, report, re.MULTILINE), report
