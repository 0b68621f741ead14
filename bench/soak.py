"""An accelerated month: `python -m bench.soak [--minutes N] [--every SECONDS] [--database sqlite|postgres]`.

An installation (database, broker, two workers, API) publishes an update of one model or one accelerator every few seconds,
and everything anew now and then, beside clients that read without pause, a reader that holds its transaction for longer than
a generation stays, and folds and drops. A sample every few seconds has the memory and the open files of the processes, the
size of the database, of its system tables and of dead rows, and the times of answers. The run is cut into six windows; the
first one warms up (an hour's first ten minutes). The bench exits with 1 when the last window has over 5 % more than the
second one in any figure, when an answer was wrong, or when a run was not published.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from bench.chaos.cluster import GRACE_S, Cluster, cluster
from bench.chaos.states import evenly_spread
from bench.memory import children_of, private_bytes_of
from bench.support.catalogs import rebuilt
from bench.support.clients import Clients, Member
from bench.support.threads import Background
from db.entries.files import Catalog, load_catalog
from db.fits.generations import current_generation_sync
from db.runs.store import RunState
from db.session import database_size_bytes, make_engine
from workers.runs import start_own_run, wait_for_run

MINUTES, EVERY_S, SAMPLE_S = 60.0, 5.0, 5.0
MODELS, GPUS = 60, 40
#: Updates from one recompute of everything to the next.
REBUILD_EVERY = 10
WINDOWS, BAR = 6, 1.05
#: Times of answers follow the other work of a machine, too.
P99_BAR = 1.5
#: Of the dead rows, the share of all rows may grow by so much.
DEAD_BAR = 0.05
#: Kept answers fill their budget; it is so small here that the first window is enough for that.
RESPONSE_CACHE_BYTES = 1 << 20


def changes(base: Catalog) -> Iterator[tuple[Catalog, bool]]:
    """Endless catalogs, each one entry away from the one before, and whether everything is computed anew."""
    models, gpus = dict(base.models), dict(base.gpus)
    for number in itertools.count():
        if number % 2:
            slug = list(gpus)[number // 2 % len(gpus)]
            factor = 1.0 if gpus[slug] != base.gpus[slug] else 0.8
            gpus[slug] = {**base.gpus[slug], "bandwidth_gbps": base.gpus[slug]["bandwidth_gbps"] * factor}
        else:
            slug = list(models)[number // 2 % len(models)]
            more = 0 if models[slug] != base.models[slug] else 64
            models[slug] = {**base.models[slug], "vocab_size": base.models[slug]["vocab_size"] + more}
        yield rebuilt(dataclasses.replace(base, models=dict(models), gpus=dict(gpus))), not (number + 1) % REBUILD_EVERY


class Samples(Background):
    """Figures of an installation over time, by name."""

    def __init__(self, installation: Cluster, clients: Clients) -> None:
        self.values: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._installation, self._clients = installation, clients
        super().__init__(self._run)

    def _run(self) -> None:
        engine = make_engine(self._installation.url)
        while not self._stopping.wait(SAMPLE_S):
            moment = time.monotonic()
            with contextlib.suppress(SQLAlchemyError), engine.connect() as connection:
                for name, value in itertools.chain(_of_database(connection), _of_processes(self._installation)):
                    self.values[name].append((moment, value))
            self.values["p99 of answers, ms"] += [(moment, seconds * 1e3) for seconds in self._clients.taken()]
        engine.dispose()


def _of_database(connection: Connection) -> Iterator[tuple[str, float]]:
    yield "database, MB", database_size_bytes(connection) / 1e6
    if connection.dialect.name == "postgresql":
        system = (
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'"
        )
        yield "system tables, MB", float(connection.execute(text(system)).scalar_one()) / 1e6
        dead = "SELECT sum(n_dead_tup), sum(n_live_tup) FROM pg_stat_user_tables"
        rows = connection.execute(text(dead)).one()
        yield "dead rows, share", float(rows[0]) / max(float(rows[0] + rows[1]), 1.0)


def _of_processes(installation: Cluster) -> Iterator[tuple[str, float]]:
    """Private memory and open files of each process, those of a pool or of a database server together."""
    mains = {child.name: child.process.pid for child in installation.children if child.process is not None}
    if installation.server is not None:
        mains["database server"] = installation.server.pid
    for name, pid in mains.items():
        pids = [pid, *children_of(pid)]
        yield f"{name}, memory in MB", sum(map(private_bytes_of, pids)) / 1e6
        yield f"{name}, open files", float(sum(map(_open_files, pids)))


def _open_files(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0


class SlowReader(Background):
    """Holds a transaction that has read the current generation, again and again, for longer than that stays."""

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__(self._run)

    def _run(self) -> None:
        engine = make_engine(self._url)
        while not self._stopping.wait(GRACE_S):
            with contextlib.suppress(SQLAlchemyError), engine.connect() as connection:
                generation = current_generation_sync(connection)
                if generation is not None:
                    connection.execute(text(f"SELECT count(*) FROM {generation.table}")).scalar()
                    self._stopping.wait(1.5 * GRACE_S)
        engine.dispose()


def soak(database: str, minutes: float, every_s: float) -> int:
    """Returns 1 when a bar was missed."""
    whole = load_catalog()
    base = dataclasses.replace(
        whole, models=dict(evenly_spread(whole.models, MODELS)), gpus=dict(evenly_spread(whole.gpus, GPUS))
    )
    with cluster(database, small_disk=False) as installation:
        publish(installation, rebuilt(base), everything=True)
        member = Member(installation.port)
        member.in_pool = True
        with Clients([member]) as clients, SlowReader(installation.url), Samples(installation, clients) as samples:
            began, published = time.monotonic(), 0
            for catalog, everything in changes(base):
                if time.monotonic() - began > minutes * 60:
                    break
                due = time.monotonic() + every_s
                publish(installation, catalog, everything=everything)
                published += 1
                time.sleep(max(0.0, due - time.monotonic()))
    print(f"{database}: {minutes:g} minutes, {published} updates, {clients.answers:,} answers")
    print(f"  errors, mixed and differing answers: {len(clients.wrong)} (bar: 0)", *clients.wrong[:5], sep="\n    ")
    return 1 if show(samples.values, began, minutes * 60) or clients.wrong else 0


def publish(installation: Cluster, catalog: Catalog, *, everything: bool) -> None:
    """Raises RuntimeError when the run was not published."""
    run = start_own_run(installation.settings, catalog, cause="soak", everything=everything).run
    if run is None or wait_for_run(installation.settings, run.id).state is not RunState.PUBLISHED:
        raise RuntimeError(f"not published: {run}; logs are in {installation.folder}")


def show(values: dict[str, list[tuple[float, float]]], began: float, seconds: float) -> bool:
    """Print each figure by window. Returns whether one of them grew beyond its bar."""
    missed = False
    print(f"  {'mean of a window':<34}" + "".join(f"{number:>9}" for number in range(1, WINDOWS + 1)) + "     growth")
    for name, samples in values.items():
        windows: list[list[float]] = [[] for _ in range(WINDOWS)]
        for moment, value in samples:
            windows[min(int((moment - began) / seconds * WINDOWS), WINDOWS - 1)].append(value)
        if not all(windows):
            print(f"  {name:<34} has a window without samples")
            missed = True
            continue
        is_p99, is_share = name.startswith("p99"), name.endswith("share")
        levels = [statistics.quantiles(window, n=100)[98] if is_p99 else statistics.mean(window) for window in windows]
        first, last = levels[1], levels[-1]
        grown = last - first > DEAD_BAR if is_share else last > first * (P99_BAR if is_p99 else BAR)
        change = f"{last - first:+10.3f}" if is_share else f"{last / first - 1 if first else 0:>+10.1%}"
        print(
            f"  {name:<34}" + "".join(f"{level:>9.2f}" for level in levels) + f" {change}{' MISSED' if grown else ''}"
        )
        missed |= grown
    return missed


def main() -> int:
    """Returns 1 when a bar was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"duration (default {MINUTES:g})")
    parser.add_argument("--every", type=float, default=EVERY_S, help=f"seconds between updates (default {EVERY_S:g})")
    parser.add_argument("--database", choices=("postgres", "sqlite"), default="postgres", help="default: postgres")
    arguments = parser.parse_args()
    os.environ["FITGRAPH_RESPONSE_CACHE_BYTES"] = str(RESPONSE_CACHE_BYTES)
    return soak(arguments.database, arguments.minutes, arguments.every)


if __name__ == "__main__":
    raise SystemExit(main())
