"""Faults in mid-run: `python -m bench.chaos [--times N] [--seed N] [--minutes N] [FAULT ...]`.

An installation (PostgreSQL or SQLite, broker, two workers, API) publishes a small catalog in states that differ in every
row or in a few, again and again, and each run is hurt once at a random moment. Two clients read without pause, through
SQL and through GraphQL. After each fault the run must end, and the published table must equal, row for row, the one
that a single process computed without faults; every read must be one whole state. Exits with 1 when anything was lost,
doubled or mixed, or when a fault ran fewer times than asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bench.chaos.cluster import Cluster, cluster, is_alive, kill
from bench.chaos.states import Readers, States, difference
from db.entries.files import Catalog
from db.runs.store import RunState, page_runs_sync
from db.session import sync_engine
from db.settings import get_settings
from workers.runs import start_run

TIMES = 20
MINUTES = 15.0
#: A run that has not ended after this is lost.
PATIENCE_S = 60.0
WARM_UPS = 3


@dataclass
class Fault:
    """One kind of fault: where it runs, and what hurts a run; ``around`` replaces the plain start of a run."""

    name: str
    database: str
    hurt: Callable[[Cluster, random.Random], None] | None = None
    small_disk: bool = False
    begin: Callable[[Cluster, States, random.Random, float], set[str]] | None = None
    ends: RunState = RunState.PUBLISHED


@dataclass
class Outcome:
    """What one fault did over all its times."""

    times: int = 0
    struck: int = 0
    lost: int = 0
    doubled: int = 0
    mixed: int = 0
    reads: int = 0
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def restart_database(installation: Cluster, chance: random.Random) -> None:
    """Restart PostgreSQL, half of the time as a crash would."""
    server = installation.server
    if server is not None:
        server.stop(sudden=chance.random() < 0.5)
        time.sleep(chance.uniform(0.0, 0.5))
        server.start()


def fill_disk(installation: Cluster, chance: random.Random) -> None:
    """Fill the disk to a random last bit for a while."""
    disk = installation.disk
    if disk is not None:
        disk.fill(chance.choice((0, 0, 1 << 16, 1 << 20)))
        time.sleep(chance.uniform(0.5, 1.5))
        disk.free()
        installation.revive_database()


def kill_starter(installation: Cluster, states: States, chance: random.Random, usual_s: float) -> set[str]:
    """kill -9 of the process that starts the run, somewhere between its first statement and its last message."""
    catalog = states.following()
    operator = installation.operators.begin(catalog)
    time.sleep(chance.uniform(0.0, 0.3))
    kill(operator)
    time.sleep(0.05)
    active, revision = installation.state()
    if not active and revision != catalog.revision:
        # It died before the run was recorded: nothing happened, and the operator starts again.
        begin(installation, catalog)
    return {catalog.revision}


def two_operators(installation: Cluster, states: States, chance: random.Random, usual_s: float) -> set[str]:
    """Two processes start runs at once, of one state or of two."""
    first = states.following()
    second = first if chance.random() < 0.5 else states.following()
    started = []
    for catalog in (first, second):
        started.append(installation.operators.begin(catalog))
        time.sleep(chance.choice((0.0, 0.0, chance.uniform(0.0, usual_s))))
    # The later one may find the earlier one's run at work, or ended.
    deadline = time.monotonic() + PATIENCE_S
    while any(is_alive(operator) for operator in started) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {first.revision, second.revision}


def poison(installation: Cluster, states: States, chance: random.Random, usual_s: float) -> set[str]:
    """A block that fails at every try; the rows that it had stay served."""
    catalog = states.poisoned(installation.state()[1])
    begin(installation, catalog)
    return {catalog.revision}


FAULTS = (
    Fault("kill-pool-process", "postgres", Cluster.kill_pool_process),
    Fault("kill-worker", "postgres", Cluster.kill_worker),
    Fault("kill-starter", "postgres", begin=kill_starter),
    Fault("restart-broker", "postgres", lambda made, _: made.restart_broker(lose_data=False)),
    Fault("restart-broker-losing-data", "postgres", lambda made, _: made.restart_broker(lose_data=True)),
    Fault("restart-database", "postgres", restart_database),
    Fault("two-operators", "postgres", begin=two_operators),
    Fault("poison-block", "postgres", begin=poison, ends=RunState.PARTIAL),
    Fault("full-disk-postgres", "postgres", fill_disk, small_disk=True),
    Fault("full-disk-sqlite", "sqlite", fill_disk, small_disk=True),
    Fault("kill-worker-sqlite", "sqlite", Cluster.kill_worker, small_disk=True),
)


def begin(installation: Cluster, catalog: Catalog) -> None:
    """Start a run, again and again while the database does not answer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = start_run(installation.settings, catalog, cause="chaos")
            if found.run is not None and found.run.revision != catalog.revision:
                raise RuntimeError(f"run {found.run.id} of another catalog is at work: the last round has not ended")
            return
        except SQLAlchemyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def settled(installation: Cluster, revisions: set[str]) -> bool:
    """Wait until no run is active and one of ``revisions`` is published; False when that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(SQLAlchemyError):
            active, revision = installation.state()
            if not active:
                return revision in revisions
        time.sleep(0.02)
    return False


def once(
    fault: Fault, installation: Cluster, states: States, chance: random.Random, usual_s: float, into: Outcome
) -> None:
    """One run with one fault, and the comparison after it."""
    began = time.monotonic()
    if fault.begin is not None:
        revisions = fault.begin(installation, states, chance, usual_s)
    else:
        catalog = states.following()
        revisions = {catalog.revision}
        begin(installation, catalog)
    if fault.hurt is not None:
        time.sleep(chance.uniform(0.0, usual_s))
        into.struck += installation.state()[0]
        fault.hurt(installation, chance)
    else:
        into.struck += 1
    ended = settled(installation, revisions)
    into.times += 1
    into.seconds.append(time.monotonic() - began)
    with sync_engine(installation.url).connect() as connection:
        run = page_runs_sync(connection, limit=1)[0]
        connection.rollback()
        revision = installation.state()[1]
        found = difference(connection, states.expected[revision])
    if not ended or run.state is not fault.ends:
        into.lost += 1
        into.notes.append(f"run {run.id} is {run.state.value}: {run.blocks_done} of {run.blocks_total}; {run.error}")
    into.lost += found.lost
    into.doubled += found.doubled
    if found:
        into.notes.append(f"run {run.id} ({run.cause}, {run.state.value}): {found}")


def suffer(faults: list[Fault], states: States, times: int, seed: int, deadline: float) -> dict[str, Outcome]:
    """All faults that share an installation, one after the other."""
    outcomes: dict[str, Outcome] = {}
    with cluster(faults[0].database, small_disk=faults[0].small_disk) as installation:
        usual_s = usual(installation, states)
        address = f"http://127.0.0.1:{installation.port}/graphql"
        for fault in faults:
            into = outcomes[fault.name] = Outcome()
            chance = random.Random(f"{seed} {fault.name}")
            with Readers(installation.url, address, states, seed) as readers:
                for _ in range(times):
                    if time.monotonic() > deadline or into.lost or into.doubled:
                        break
                    once(fault, installation, states, chance, usual_s, into)
            into.mixed, into.reads = readers.counts["mixed"], readers.counts["reads"]
            into.notes += readers.examples[:3]
            print(row(fault.name, into), flush=True)
            for note in into.notes[:5]:
                print(f"    {note}", flush=True)
    return outcomes


def usual(installation: Cluster, states: States) -> float:
    """Seconds that an undisturbed run takes; the first publishes the first state."""
    taken = []
    for _ in range(WARM_UPS):
        began, catalog = time.monotonic(), states.following()
        begin(installation, catalog)
        if not settled(installation, {catalog.revision}):
            raise RuntimeError(f"an undisturbed run was not published; logs are in {installation.folder}")
        taken.append(time.monotonic() - began)
    return statistics.median(taken[1:])


def row(name: str, outcome: Outcome) -> str:
    """One line of the table."""
    median = statistics.median(outcome.seconds) if outcome.seconds else 0.0
    counts = f"{outcome.times:>5} {outcome.struck:>6} {outcome.lost:>5} {outcome.doubled:>7} {outcome.mixed:>6} {outcome.reads:>7}"
    return f"{name:<28}{counts} {median:>8.1f} s"


def grouped(faults: list[Fault]) -> Iterator[list[Fault]]:
    """Faults by the installation that they run on."""
    for key in dict.fromkeys((each.database, each.small_disk) for each in faults):
        yield [each for each in faults if (each.database, each.small_disk) == key]


def main() -> int:
    """Run the faults that are named, or all. Returns 1 when one of them lost, doubled or mixed something."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--times", type=int, default=TIMES, help=f"repeats of each fault (default {TIMES})")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="of the random moments")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"longest duration (default {MINUTES:g})")
    asked = parser.parse_args()
    unknown = [name for name in asked.faults if name not in names]
    if unknown:
        parser.error(f"there is no fault {unknown[0]!r}; there are {', '.join(names)}")
    get_settings.cache_clear()
    deadline = time.monotonic() + asked.minutes * 60
    chosen = [fault for fault in FAULTS if not asked.faults or fault.name in asked.faults]
    outcomes: dict[str, Outcome] = {}
    print(
        f"seed {asked.seed}, {asked.times} times each; reads are of two clients, seconds the median of a run with its fault"
    )
    print(
        f"{'fault':<28}{'times':>5} {'struck':>6} {'lost':>5} {'doubled':>7} {'mixed':>6} {'reads':>7} {'seconds':>10}"
    )
    with tempfile.TemporaryDirectory(prefix="fgchaos-alone-") as folder:
        states = States(Path(folder))
        for group in grouped(chosen):
            try:
                outcomes |= suffer(group, states, asked.times, asked.seed, deadline)
            except PermissionError as error:
                for fault in group:
                    print(f"{fault.name:<28} not run: {error}", flush=True)
    bad = [name for name, each in outcomes.items() if each.lost or each.doubled or each.mixed]
    short = [name for name, each in outcomes.items() if each.times < asked.times]
    for names, what in ((bad, "lost, doubled or mixed something"), (short, "ran fewer times than asked for")):
        if names:
            print(f"{', '.join(names)}: {what}")
    return 1 if bad or short or not outcomes else 0


if __name__ == "__main__":
    raise SystemExit(main())
