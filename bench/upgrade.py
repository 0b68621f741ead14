"""Upgrade and downgrade under clients: `python -m bench.upgrade [sqlite|postgres] [--before COMMIT] [--after COMMIT]`.

Two commits of this repository, each unpacked into a folder of its own, are the releases. They share a database, a broker
and two places, each with a worker and a server. The older release fills the database. While clients read and a run goes
on, the newer one migrates, and takes over the places one by one; then the older one takes them back in the middle of a run.
A server leaves the pool of the clients before it stops and enters it when it is ready, as behind a proxy. The bench exits
with 1 on one error, one answer of two generations, two answers of one generation that differ, or a 99th percentile of
ten times that of the quiet time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import db
from bench.support.clients import Clients, Member
from bench.support.serving import free_port
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from workers.kernel import kernel_files
from workers.local.broker import Broker
from workers.local.processes import Child
from workers.local.supervisor import environment, worker_argv

ROOT = Path(str(db.__file__)).parents[1]
#: A change of these, or of a file of the kernel, makes another release: constants, layout, migrations, code of runs.
RELEASE_PATHS = (
    "estimator/calibration/calibration.json",
    "db/fits/packing.py",
    "db/fits/layout.py",
    "db/entries/schema*.py",
    "db/migrations/versions",
    "db/runs/publication.py",
    "workers/plan.py",
)
#: One accelerator of so many is computed.
ONE_GPU_OF, PLACES = 13, 2
QUIET_S, PATIENCE_S, P99_BAR = 10.0, 300.0, 10.0
#: A step of an operator, run with the code of a release, on a part of its catalog.
OPERATOR = f"""
import dataclasses, sys, zlib
from db.entries.files import DIRECTORIES, Catalog, load_catalog, revision_of
from db.fits.generations import LAYOUT
from db.session import sync_engine, upgrade_database
from db.settings import get_settings
from db.runs.store import page_runs_sync
from workers.kernel import release_version
from workers.plan import plan_run
from workers.runs import start_own_run, wait_for_run
settings, step = get_settings(), sys.argv[1]
if step != "name":
    upgrade_database(settings.resolved_database_url)
whole = load_catalog()
# By the hash of its name, an accelerator is in the part of either release.
gpus = {{slug: entry for slug, entry in whole.gpus.items() if zlib.crc32(slug.encode()) % {ONE_GPU_OF} == 0}}
catalog = dataclasses.replace(whole, gpus=gpus)
entries = {{name: getattr(catalog, name) for name in DIRECTORIES.values()}}
catalog = Catalog(**entries, revision=revision_of(entries))
if step == "name":
    print(f"release {{release_version()[:8]}}, layout {{LAYOUT:08x}}")
if step == "plan":
    with sync_engine(settings.resolved_database_url).connect() as connection:
        print(plan_run(catalog, connection, settings).describe().replace("\\n", "; "))
if step == "runs":
    with sync_engine(settings.resolved_database_url).connect() as connection:
        runs = page_runs_sync(connection)
    print(", ".join(f"{{run.cause}} {{run.state.value}}" for run in reversed(runs)))
if step in ("begin", "publish"):
    run = start_own_run(settings, catalog, cause=step, everything=True).run
    if step == "publish":
        run = wait_for_run(settings, run.id)
        assert run.state.value == "published", run
    print(run.id)
"""


class Release:
    """A commit in a folder of its own, with the variables of its processes."""

    def __init__(self, name: str, commit: str, folder: Path, settings: Settings) -> None:
        self.name, self.tree = name, folder / name
        self.variables = environment(settings) | {"FITGRAPH_RATE_LIMIT_POINTS": "0", "PYTHONPATH": str(self.tree)}
        self.tree.mkdir()
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(self.tree)], input=archive, check=True)

    def operate(self, step: str) -> str:
        """Run a step of ``OPERATOR``. Returns what it printed. Raises RuntimeError with its errors."""
        done = subprocess.run(
            [sys.executable, "-c", OPERATOR, step],
            cwd=self.tree, env={**os.environ, **self.variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.name} could not {step}: {done.stderr[-3000:]}")
        return done.stdout.strip()


class Place(Member):
    """A host of the installation: a worker and a server of one release at a time."""

    def __init__(self, number: int, folder: Path) -> None:
        super().__init__(free_port())
        self.number, self.folder = number, folder
        self._worker: Child | None = None
        self._server: Child | None = None

    def work(self, release: Release, *, stop_s: float = 20.0) -> None:
        """Replace the worker by one of ``release``; the old one gives back its block, or is killed after ``stop_s``."""
        if self._worker is not None:
            self._worker.stop(timeout_s=stop_s)
        argv = worker_argv(1, f"{release.name}{self.number}")
        self._worker = self._child(release, "worker", argv)

    def serve(self, release: Release) -> None:
        """Replace the server by one of ``release``, out of the pool until it is ready."""
        self.in_pool = False
        until(lambda: not self.asked, "the server has answered everything")
        if self._server is not None:
            self._server.stop()
        self.release = release.name
        argv = [sys.executable, "-m", "api.cli", "serve", "--port", str(self.port)]
        self._server = self._child(release, "server", argv)

    def enter_pool(self) -> None:
        until(self._is_ready, f"the {self.release} server is ready")
        self.in_pool = True

    def stop(self) -> None:
        for child in (self._worker, self._server):
            if child is not None:
                child.stop(timeout_s=5)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("GET", "/readyz")[0] == 200
        return False

    def _child(self, release: Release, name: str, argv: list[str]) -> Child:
        log = self.folder / f"{name}-{self.number}-{release.name}.log"
        child = Child(name, argv, release.variables | {"FITGRAPH_LOG_LEVEL": "warning"}, log)
        # A child imports from the folder that it starts in before it looks elsewhere.
        with contextlib.chdir(release.tree):
            child.start()
        return child


def upgrade(new: Release, places: list[Place]) -> None:
    """The steps of docs/how-to/upgrade.md: expand, plan, compute beside the older release, move."""
    new.operate("migrate")
    print(f"  plan of the newer release: {new.operate('plan')}", flush=True)
    places[0].work(new)
    new.operate("publish")
    for place in places:
        place.serve(new)
        place.enter_pool()
    places[1].work(new)


def downgrade(new: Release, old: Release, places: list[Place]) -> None:
    """The older release comes back in the middle of a run, which is left without workers."""
    new.operate("begin")
    for place in places:
        place.serve(old)
        place.enter_pool()
    for place in places:
        place.work(old, stop_s=1.0)
    old.operate("publish")


def changed_under_clients(old: Release, new: Release, places: list[Place]) -> int:
    """The whole rehearsal. Returns 1 when a bar was missed."""
    for place in places:
        place.work(old)
    old.operate("publish")
    for place in places:
        place.serve(old)
        place.enter_pool()
    with Clients(places) as clients:
        time.sleep(2.0)
        clients.p99_ms()
        time.sleep(QUIET_S)
        p99 = {"quiet": clients.p99_ms()}
        old.operate("begin")
        upgrade(new, places)
        time.sleep(1.0)
        p99["upgrade"] = clients.p99_ms()
        downgrade(new, old, places)
        time.sleep(1.0)
        p99["downgrade"] = clients.p99_ms()
    runs = old.operate("runs")
    faults, seen = clients.wrong, clients.seen()
    ratio = max(p99["upgrade"], p99["downgrade"]) / p99["quiet"]
    print(f"  {clients.answers:,} answers; generations {seen}")
    print(f"  runs: {runs}")
    print(f"  errors, mixed and differing answers: {len(faults)} (bar: 0)", *faults[:5], sep="\n    ")
    print(f"  p99 in ms: {', '.join(f'{name} {value:.0f}' for name, value in p99.items())}; {ratio:.2f} times", end="")
    print(f" quiet (bar: below {P99_BAR:g})")
    moved = max(seen["old"]) > max(seen["new"]) > min(seen["old"])
    if not moved:
        print("  the generations did not move from the older release to the newer one and back")
    went_on = runs.startswith("publish published, begin published, ")
    if not went_on:
        print("  the run that went on during the upgrade was not published")
    return 1 if faults or not moved or not went_on or ratio >= P99_BAR else 0


def older_commit(after: str) -> str:
    """The commit before the last one up to ``after`` that made another release."""
    kernel = [str(path.relative_to(ROOT)) for path in kernel_files()]
    listed = ["git", "rev-list", "-1", "--no-merges", "--abbrev-commit", after, "--", *kernel, *RELEASE_PATHS]
    changed = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return f"{changed}^"


def until(is_true: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not happen: {said}")
        time.sleep(0.02)


def rehearse(database: str, before: str, after: str) -> int:
    """Rehearse on one kind of database. Returns 1 when a bar was missed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fgup-")))
        server = stack.enter_context(EmbeddedPostgres()) if database == "postgres" else None
        settings = Settings(
            state_dir=folder / "state", database_url="" if server is None else server.url(), redis_url="",
            workers=1, block_cells=20_000, lease_s=15.0, sweep_interval_s=0.5, generation_grace_s=5.0,
        )  # fmt: skip
        old, new = Release("old", before, folder, settings), Release("new", after, folder, settings)
        print(f"{database}: {before} ({old.operate('name')}), {after} ({new.operate('name')})", flush=True)
        broker = Broker(settings)
        stack.callback(broker.stop)
        broker.start()
        places = [Place(number, folder) for number in range(PLACES)]
        for place in places:
            stack.callback(place.stop)
        return changed_under_clients(old, new, places)


def main() -> int:
    """Returns 1 when a bar was missed on either database."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.upgrade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("databases", nargs="*", metavar="DATABASE", help="sqlite or postgres; default: both")
    parser.add_argument("--after", default="HEAD", help="the newer release (default HEAD)")
    parser.add_argument("--before", help="the older release (default: the last one that differs)")
    arguments = parser.parse_args()
    before = arguments.before or older_commit(arguments.after)
    return max([rehearse(name, before, arguments.after) for name in arguments.databases or ["sqlite", "postgres"]])


if __name__ == "__main__":
    raise SystemExit(main())
