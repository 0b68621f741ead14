"""Real processes: the bundled broker, Celery workers, and what happens when they are killed."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from db.entries.files import Catalog
from db.runs.store import RunRow, RunState
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from tests.support.runs import run_in_process
from workers.app import app
from workers.local.broker import Broker, BrokerUnavailableError
from workers.local.processes import Child
from workers.local.supervisor import Supervisor
from workers.runs import start_run, wait_for_run

pytestmark = pytest.mark.broker


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Settings]:
    """SQLite and a bundled broker in a folder of their own; the task queue of this process uses that broker."""
    made = Settings(state_dir=tmp_path / "state", workers=2, block_cells=1, lease_s=5, generation_grace_s=0)
    upgrade_database(made.resolved_database_url)
    before = app.conf.broker_url
    app.conf.broker_url = made.resolved_redis_url
    yield made
    app.pool.force_close_all()
    app.conf.broker_url = before
    app.__dict__.pop("amqp", None)
    app._pool = None
    sync_engine(made.resolved_database_url).dispose()


def rows_of(settings: Settings) -> list[tuple[object, ...]]:
    """All rows of the newest generation, without what depends on the order of blocks."""
    path = settings.resolved_database_url.removeprefix("sqlite:///")
    connection = sqlite3.connect(path)
    try:
        (table,) = connection.execute("SELECT fit_table FROM generation ORDER BY id DESC").fetchone()
        return connection.execute(
            f"SELECT model_id, gpu_id, quant_id, flags, decode_0, score_4, rest FROM {table} ORDER BY 1, 2, 3"
        ).fetchall()
    finally:
        connection.close()


def test_workers_publish_what_one_process_does(local: Settings, small_catalog: Catalog, tmp_path: Path) -> None:
    states: list[str] = []
    with Supervisor(local):
        started = start_run(local, small_catalog)
        assert started.run is not None
        run = wait_for_run(local, started.run.id, lambda state_now: states.append(state_now.state.value), poll_s=0.02)
    assert run.state is RunState.PUBLISHED
    assert states[-1] == "published"
    alone = Settings(state_dir=tmp_path / "alone", block_cells=1)
    upgrade_database(alone.resolved_database_url)
    run_in_process(alone, small_catalog)
    assert rows_of(local) == rows_of(alone)
    sync_engine(alone.resolved_database_url).dispose()


def test_a_run_survives_the_death_of_everything(
    local: Settings, small_catalog: Catalog, bundled_catalog: Catalog
) -> None:
    """kill -9 of a pool process, then of worker and broker in the middle; the broker comes back without its data."""
    models = dict(list(bundled_catalog.models.items())[:80])
    longer = dataclasses.replace(small_catalog, models=models, revision="longer")
    with Supervisor(local) as supervisor:
        assert supervisor.broker is not None
        started = start_run(local, longer)
        assert started.run is not None
        killed: list[int] = []
        hurt: list[int] = []

        def disturb(run: RunRow) -> None:
            supervisor.check()
            if not hurt and run.state is RunState.RUNNING:
                hurt.extend(pool_of(supervisor.children[0]))
                for pid in hurt[:1]:
                    os.kill(pid, signal.SIGKILL)
            elif hurt and not killed and supervisor.broker is not None:
                for child in (supervisor.children[0], supervisor.broker.child):
                    assert child.process is not None
                    killed.append(child.process.pid)
                    os.killpg(child.process.pid, signal.SIGKILL)
                    child.process.wait()
                for part in supervisor.broker.folder.rglob("appendonly*"):
                    if part.is_file():
                        part.unlink()

        run = wait_for_run(local, started.run.id, disturb, poll_s=0.01)
        assert (run.state, run.blocks_done) == (RunState.PUBLISHED, run.blocks_total)
        assert len(killed) == 2
    assert len(rows_of(local)) > 0


@pytest.mark.postgres
def test_a_run_survives_a_restart_of_the_database(local: Settings, small_catalog: Catalog) -> None:
    with EmbeddedPostgres(durable=True) as server:
        settings = local.model_copy(update={"database_url": server.url(), "block_attempts": 20})
        upgrade_database(settings.resolved_database_url)
        with Supervisor(settings):
            started = start_run(settings, small_catalog)
            assert started.run is not None
            restarts: list[int] = []

            def restart(run: RunRow) -> None:
                if run.state is RunState.RUNNING and not restarts:
                    restarts.append(run.blocks_done)
                    server.stop(sudden=True)
                    server.start()

            run = wait_for_run(settings, started.run.id, restart, poll_s=0.01)
        assert (run.state, run.blocks_done) == (RunState.PUBLISHED, run.blocks_total)
        assert len(restarts) == 1
        sync_engine(settings.resolved_database_url).dispose()


def test_the_broker_keeps_its_data_and_its_folder(local: Settings) -> None:
    broker = Broker(local)
    broker.start()
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        client.set("kept", "yes")
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    with pytest.raises(BrokerUnavailableError, match="another fitgraph runs"):
        Broker(local).start()
    broker.stop()
    again = Broker(local)
    again.start()
    with redis.Redis(unix_socket_path=str(again.socket)) as client:
        assert client.get("kept") == b"yes"
    again.stop()


def test_a_long_state_folder_gets_a_short_socket(tmp_path: Path) -> None:
    deep = Settings(state_dir=tmp_path / ("d" * 120))
    assert len(str(deep.broker_socket)) < 100
    broker = Broker(deep)
    broker.start()
    assert broker.answers()
    broker.stop()
    assert not deep.broker_socket.parent.exists()


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        return
    code = (
        "import sys, time; from workers.local.processes import Child\n"
        "child = Child('sleeper', [sys.executable, '-c', 'import time; time.sleep(600)']); child.start()\n"
        "print(child.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        supervisor.kill()
        supervisor.wait()
    eventually(lambda: not alive(child))


def pool_of(child: Child) -> list[int]:
    """Process ids of a worker's pool."""
    assert child.process is not None
    listing = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, parent in pairs if int(parent) == child.process.pid]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_dead_child_is_started_again(tmp_path: Path) -> None:
    child = Child("short", [sys.executable, "-c", "pass"], log=tmp_path / "log", pause_s=0.01)
    child.start()
    eventually(child.check)
    assert child.restarts == 1
    assert child.pause_s > 0.01
    child.stop()
    assert not child.alive
