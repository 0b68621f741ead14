"""Whole runs against plain writes of the same finished rows, side by side: `python -m bench.storage [sqlite|postgres]`.

A run is: catalog load, plan, compute and stage through Celery with two worker processes on the bundled broker, index,
publish. The plain write is what a script would do: SQLite, one `executemany` in one transaction into a table that has
its indexes; PostgreSQL, a server-side COPY from a file into such a table. Prints both times, their ratio and the bytes
a cell takes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from db.fits.generations import Generation
from db.fits.layout import FIT_COLUMNS, create_storage, drop_storage, index_statements
from db.fits.writes import insert_sql
from db.runs.catalog_state import catalog_state
from db.session import database_size_bytes, driver_connection, make_engine, writing

WORKERS = 2
#: Bytes that a cell may take with its indexes, and the run's time over that of the plain write into an indexed table.
BAR_BYTES, BAR_RATIO = 60, 1.5
#: Storage that the plain write fills; a run never takes this number.
PLAIN = "fit_999999999"
_RUN = """
import time
began = time.perf_counter()
from db.entries.files import load_catalog
from db.runs.store import RunState
from db.session import upgrade_database
from db.settings import get_settings
from workers.local.supervisor import Supervisor
from workers.runs import start_run, wait_for_run
settings = get_settings()
upgrade_database(settings.resolved_database_url)
with Supervisor(settings):
    supervised = time.perf_counter()
    run = wait_for_run(settings, start_run(settings, load_catalog()).run.id, poll_s=0.05)
    assert run.state is RunState.PUBLISHED, run
    print(time.perf_counter() - began)
"""


def main(arguments: list[str]) -> int:
    """Run the benches that are named, or both. Returns 1 when a bar was missed."""
    benches = {"sqlite": bench_sqlite, "postgres": bench_postgres}
    held = [benches[name]() for name in arguments or benches]
    return 0 if all(held) else 1


def bench_sqlite() -> bool:
    """The whole first run on SQLite, and one executemany; whether the bars hold."""
    with _folder() as folder:
        url = f"sqlite:///{folder / 'fitgraph.db'}"
        run_s = _timed_run(folder, url)
        with _engine(url) as engine:
            generation, size = _published(engine)
            with engine.connect() as connection:
                cursor = driver_connection(connection).cursor()
                rows = cursor.execute(f"SELECT {', '.join(FIT_COLUMNS)} FROM {generation.table}").fetchall()
        with _engine(f"sqlite:///{folder / 'plain.db'}") as engine:
            with writing(engine) as connection:
                create_storage(connection, PLAIN)
                for statement in index_statements(PLAIN, "sqlite"):
                    connection.execute(text(statement))

            def plain() -> None:
                with writing(engine) as connection:
                    driver_connection(connection).cursor().executemany(insert_sql(PLAIN, FIT_COLUMNS), rows)

            plain_s = _timed(plain)
    return _report("SQLite", generation, size, run_s, {"one executemany, indexed table": plain_s})


def bench_postgres() -> bool:
    """The whole first run on PostgreSQL, and a server-side COPY with the indexes there, or made after it."""
    from tests.support.postgres import EmbeddedPostgres

    with EmbeddedPostgres(durable=True) as server, _folder() as folder:
        run_s = _timed_run(folder, server.url())
        with _engine(server.url()) as engine:
            generation, _ = _published(engine)
            parts = " + ".join(
                f"pg_total_relation_size('{generation.table}{suffix}')" for suffix in ("", "_quant", "_gpu")
            )
            with engine.connect() as connection:
                size = int(connection.execute(text(f"SELECT {parts}")).scalar_one())
                data = connection.execute(text("SHOW data_directory")).scalar_one()
            file = Path(data) / "rows.bin"
            with writing(engine) as connection:
                connection.execute(text(f"COPY {generation.table} TO '{file}' (FORMAT binary)"))

            def plain(indexes_first: bool) -> Callable[[], None]:
                def write() -> None:
                    with writing(engine) as connection:
                        connection.execute(text(f"COPY {PLAIN} FROM '{file}' (FORMAT binary)"))
                        for statement in [] if indexes_first else index_statements(PLAIN, "postgresql"):
                            connection.execute(text(statement))

                return write

            times = {}
            for label, indexes_first in (("COPY, indexed table", True), ("COPY, then the indexes", False)):
                with writing(engine) as connection:
                    drop_storage(connection, PLAIN)
                    create_storage(connection, PLAIN)
                    for statement in index_statements(PLAIN, "postgresql") if indexes_first else []:
                        connection.execute(text(statement))
                times[label] = _timed(plain(indexes_first))
    return _report("PostgreSQL", generation, size, run_s, times)


def _timed_run(folder: Path, url: str) -> float:
    environment = {
        **os.environ,
        "FITGRAPH_STATE_DIR": str(folder),
        "FITGRAPH_DATABASE_URL": url,
        "FITGRAPH_WORKERS": str(WORKERS),
        "FITGRAPH_REDIS_URL": "",
    }
    done = subprocess.run([sys.executable, "-c", _RUN], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the run failed: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _published(engine: Engine) -> tuple[Generation, int]:
    with engine.connect() as connection:
        generation = catalog_state(connection).generation
        if generation is None:
            raise RuntimeError("the run published nothing")
        return generation, database_size_bytes(connection)


def _report(name: str, generation: Generation, size: int, run_s: float, plain: dict[str, float]) -> bool:
    bytes_per_cell = size / generation.cells
    held = bytes_per_cell <= BAR_BYTES
    print(
        f"{name}: {generation.rows:,} rows, {generation.cells:,} cells, {bytes_per_cell:.1f} bytes per cell "
        f"(bar {BAR_BYTES})"
    )
    print(f"  whole run, {WORKERS} workers: {run_s:.1f} s, {generation.cells / run_s:,.0f} cells/s")
    for label, seconds in plain.items():
        is_judged = "indexed" in label
        held &= not is_judged or run_s / seconds <= BAR_RATIO
        bar = f" (bar {BAR_RATIO})" if is_judged else ""
        print(f"  {label}: {seconds:.1f} s; the run takes {run_s / seconds:.2f} times that{bar}")
    return held


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fitgraph-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
