"""Peak memory of workers with a growing catalog: `python -m bench.memory [FACTOR]`.

One run of the bench computes the bundled catalog and one with FACTOR times its models, each with two Celery worker processes
of its own on SQLite or PostgreSQL, against a few accelerators. The kernel gives the resident memory of every worker process
while the process lives. The bench prints both peaks and their ratio. It exits with 1 when the larger catalog takes over 20 %
more.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.support.catalogs import multiplied
from bench.support.threads import Background
from db.entries.files import load_catalog
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from workers.local.supervisor import environment

FACTOR = 10
GPUS = 40
WORKERS = 2
BAR = 1.2
LOOK_S = 0.05
_RUN = """
import pickle, sys
from pathlib import Path
from bench.memory import Watch
from db.runs.store import RunState
from db.session import upgrade_database
from db.settings import get_settings
from workers.local.supervisor import Supervisor
from workers.runs import start_run, wait_for_run
settings = get_settings()
upgrade_database(settings.resolved_database_url)
catalog = pickle.loads(Path(sys.argv[1]).read_bytes())
with Supervisor(settings) as supervisor, Watch(supervisor.children[0].process.pid) as watch:
    run = wait_for_run(settings, start_run(settings, catalog).run.id)
    assert run.state is RunState.PUBLISHED, run
print(run.cells_done, watch.peak_bytes)
"""


class Watch(Background):
    """Largest resident memory, bytes, of any process of a worker (main process and pool) while the watch lasts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak_bytes = 0
        super().__init__(self._look)

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self.peak_bytes = max(
                [self.peak_bytes, *(private_bytes_of(pid) for pid in (self._pid, *children_of(self._pid)))]
            )


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in map(str.split, listed.splitlines()) if int(parent) == pid]


def private_bytes_of(pid: int) -> int:
    """Private resident memory of a process, bytes, without pages of mapped files; 0 when the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def measure(database: str, factor: int) -> tuple[int, int]:
    """Cells and peak bytes of a run over ``factor`` times the catalog."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fgmemory-")))
        server = stack.enter_context(EmbeddedPostgres()) if database == "postgres" else None
        url = "" if server is None else server.url()
        settings = Settings(state_dir=folder / "state", database_url=url, redis_url="", workers=WORKERS)
        (folder / "catalog").write_bytes(pickle.dumps(multiplied(load_catalog(), factor, GPUS)))
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(folder / "catalog")],
            env={**os.environ, **environment(settings), "FITGRAPH_REDIS_URL": ""}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the run failed: {done.stderr[-2000:]}")
        cells, peak = done.stdout.split()[-2:]
        return int(cells), int(peak)


def main() -> int:
    """Returns 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("factor", nargs="?", type=int, default=FACTOR, help=f"times the models (default {FACTOR})")
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append", help="default: both")
    arguments = parser.parse_args()
    missed = 0
    for database in arguments.database or ["sqlite", "postgres"]:
        (small_cells, small), (large_cells, large) = measure(database, 1), measure(database, arguments.factor)
        ratio = large / small
        print(
            f"{database}: peak of a worker process {small / 2**20:.0f} MiB at {small_cells:,} cells, "
            f"{large / 2**20:.0f} MiB at {large_cells:,}: {ratio:.2f} times (bar: at most {BAR:g})",
            flush=True,
        )
        missed += ratio > BAR
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
