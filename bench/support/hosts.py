"""Cells a second of one worker host, and of two that share a run.

A host is a Celery worker with one process and a state folder of its own; it shares PostgreSQL and the broker with the others,
and nothing else. Its compute is slowed down to a pace that one core of a busy machine reaches, so that the hosts do not
compete for the cores of this machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.support.catalogs import multiplied, rebuilt
from db.entries.files import Catalog, load_catalog
from db.runs.store import RunState
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from workers.app import app
from workers.local.broker import Broker
from workers.local.processes import Child
from workers.local.supervisor import environment, worker_argv
from workers.runs import start_run, wait_for_run

HOSTS = (1, 2)
BAR = 1.7
MODELS, GPUS, BLOCK_CELLS = 96, 10, 40_000
CELLS_PER_S = 5_000
START_S, START_TIMEOUT_S = 0.2, 120.0


def small(catalog: Catalog) -> Catalog:
    """Some models, evenly spread, on a few accelerators."""
    step = len(catalog.models) // MODELS
    models = dict(list(catalog.models.items())[::step][:MODELS])
    return rebuilt(dataclasses.replace(multiplied(catalog, 1, GPUS), models=models))


@contextlib.contextmanager
def hosts(settings: Settings, count: int) -> Iterator[None]:
    """``count`` worker hosts that have answered."""
    children = []
    try:
        for number in range(count):
            folder = settings.state_dir / f"host-{number}"
            own = {**environment(settings), "FITGRAPH_STATE_DIR": str(folder), "BENCH_CELLS_PER_S": str(CELLS_PER_S)}
            argv = worker_argv(1, f"host-{number}")
            argv[argv.index("-A") + 1] = "bench.support.slow_workers"
            children.append(Child(f"host-{number}", argv, own, folder / "worker.log"))
            children[-1].start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while len(app.control.ping(timeout=1.0)) < count:
            if time.monotonic() > deadline:
                raise RuntimeError("the workers did not start")
            time.sleep(START_S)
        yield
    finally:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()


def cells_per_s(settings: Settings, catalog: Catalog, count: int) -> float:
    """Cells a second of a full run with ``count`` hosts, from its first block to its publication."""
    with hosts(settings, count):
        started = start_run(settings, catalog, everything=True).run
        if started is None:
            raise RuntimeError("the run did not start")
        run = wait_for_run(settings, started.id, poll_s=0.05)
    if run.state is not RunState.PUBLISHED or run.cells_per_s is None:
        raise RuntimeError(f"the run is {run.state.value}: {run.error}")
    return run.cells_per_s


def two_hosts() -> bool:
    """Print the pace of one host and of two; whether two do 1.7 times the cells a second."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fghosts-")))
        server = stack.enter_context(EmbeddedPostgres(durable=True))
        settings = Settings(
            state_dir=folder, database_url=server.url(), redis_url="", workers=1, block_cells=BLOCK_CELLS
        )
        upgrade_database(settings.resolved_database_url)
        broker = Broker(settings)
        broker.start()
        stack.callback(broker.stop)
        app.conf.broker_url = settings.resolved_redis_url
        catalog = small(load_catalog())
        paces = [cells_per_s(settings, catalog, count) for count in HOSTS]
        sync_engine(settings.resolved_database_url).dispose()
        app.pool.force_close_all()
    ratio = paces[1] / paces[0]
    print(
        f"one worker host: {paces[0]:,.0f} cells/s, two: {paces[1]:,.0f} cells/s, {ratio:.2f} times (bar {BAR:g}); "
        f"{len(catalog.models)} models, compute slowed down to {CELLS_PER_S:,} fits/s for each host"
    )
    return ratio >= BAR
