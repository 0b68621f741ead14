"""Faults during runs: `python -m bench.chaos [--times N] [--seed N] [--minutes N] [FAULT ...]`.

An installation (PostgreSQL or SQLite, broker, two workers, API) publishes a small catalog repeatedly, in states that differ in
every row or in a few rows. Each run suffers one fault at a random moment. Two clients read without pause, one through SQL and
one through GraphQL. After each fault the run must end, and the published table must equal, row for row, the table that a
single process computed without faults. Every read must be one whole state. The bench exits with 1 when a row was lost,
doubled or mixed, or when a fault ran fewer times than requested.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bench.chaos.clocks import ProcessClock, ServerClock
from bench.chaos.cluster import LEASE_S, Cluster, cluster, is_alive, kill
from bench.chaos.links import Link, Way
from bench.chaos.states import Readers, States
from db.entries.files import Catalog
from db.runs.store import RunState, page_runs_sync
from db.session import sync_engine
from db.settings import get_settings
from tests.support.published_rows import difference
from workers.runs import start_run

TIMES = 20
MINUTES = 15.0
#: A run is lost when it has not ended after this time.
PATIENCE_S = 60.0
WARM_UPS = 2
MOST_HOURS = 12.0


@dataclass
class Fault:
    """One kind of fault. ``inject`` strikes a started run; ``begin`` replaces the plain start of a run."""

    name: str
    database: str
    inject: Callable[[Cluster, random.Random], None] | None = None
    small_disk: bool = False
    begin: Callable[[Cluster, States, random.Random, float], set[str]] | None = None
    ends: RunState = RunState.PUBLISHED


@dataclass
class Outcome:
    """Counts of one fault over all its repeats."""

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
    """Fill the disk for a moment, but for a random rest."""
    disk = installation.disk
    if disk is not None:
        disk.fill(chance.choice((0, 0, 1 << 16, 1 << 20)))
        time.sleep(chance.uniform(0.5, 1.5))
        disk.free()
        installation.revive_database()


def on_link(server: str, strike: Callable[[Link, random.Random], None]) -> Callable[[Cluster, random.Random], None]:
    """A fault of the links to ``server``, of one process or of all, that heals after a while.

    It lasts for a part of a lease up to several leases, or up to ``--cut-s``.
    """

    def inject(installation: Cluster, chance: random.Random) -> None:
        links = installation.links[server]
        struck = chance.choice((links, [chance.choice(links)]))
        for link in struck:
            strike(link, chance)
        try:
            time.sleep(installation.cut_s * chance.uniform(0.05, 1.0))
        finally:
            for link in struck:
                link.heal()

    return inject


def jump(clocks: Sequence[ProcessClock | ServerClock], chance: random.Random) -> None:
    """Clocks jump by the same hours, forward or back; half of the time they jump again within two leases."""
    seconds = chance.choice((-1.0, 1.0)) * chance.uniform(1.0, MOST_HOURS) * 3600
    for clock in clocks:
        clock.jump(seconds)
    if chance.random() < 0.5:
        time.sleep(LEASE_S * chance.uniform(0.1, 2.0))
        for clock in clocks:
            clock.jump(0.0)


def jump_server(installation: Cluster, chance: random.Random) -> None:
    if installation.server_clock is not None:
        jump([installation.server_clock], chance)


def jump_process(installation: Cluster, chance: random.Random) -> None:
    jump([chance.choice(installation.clocks)], chance)


def jump_all(installation: Cluster, chance: random.Random) -> None:
    """All processes of a machine have one clock."""
    jump(installation.clocks, chance)


def silence(link: Link, chance: random.Random) -> None:
    link.silence(chance.choice((Way.THERE, Way.BACK, Way.BOTH)))


def cut(link: Link, _: random.Random) -> None:
    link.cut()


def slow(link: Link, chance: random.Random) -> None:
    link.slow(chance.uniform(0.01, 0.2))


def kill_starter(installation: Cluster, states: States, chance: random.Random, usual_s: float) -> set[str]:
    """SIGKILL of the process that starts the run, at any moment from its first statement to its last message."""
    catalog = states.following()
    operator = installation.operators.begin(catalog)
    time.sleep(chance.uniform(0.0, 0.3))
    kill(operator)
    time.sleep(0.05)
    active, revision = installation.state()
    if not active and revision != catalog.revision:
        # The process ended before it recorded the run: the operator starts again.
        begin(installation, catalog)
    return {catalog.revision}


def two_operators(installation: Cluster, states: States, chance: random.Random, usual_s: float) -> set[str]:
    """Two processes start runs at once, of one state or of two states."""
    first = states.following()
    second = first if chance.random() < 0.5 else states.following()
    started = []
    for catalog in (first, second):
        started.append(installation.operators.begin(catalog))
        time.sleep(chance.choice((0.0, 0.0, chance.uniform(0.0, usual_s))))
    # The second operator may meet an active or an ended run of the first.
    deadline = time.monotonic() + PATIENCE_S
    while any(is_alive(operator) for operator in started) and time.monotonic() < deadline:
        time.sleep(0.02)
    return {first.revision, second.revision}


def poison(installation: Cluster, states: States, chance: random.Random, usual_s: float) -> set[str]:
    """A block fails at every try; its earlier rows stay served."""
    catalog = states.poisoned(installation.state()[1])
    begin(installation, catalog)
    return {catalog.revision}


FAULTS = (
    Fault("kill-pool-process", "postgres", Cluster.kill_pool_process),
    Fault("kill-worker", "postgres", Cluster.kill_worker),
    Fault("kill-starter", "postgres", begin=kill_starter),
    Fault("restart-broker", "postgres", lambda installation, _: installation.restart_broker(lose_data=False)),
    Fault(
        "restart-broker-losing-data", "postgres", lambda installation, _: installation.restart_broker(lose_data=True)
    ),
    Fault("restart-database", "postgres", restart_database),
    Fault("freeze-worker", "postgres", Cluster.freeze_worker),
    Fault("cut-link-database", "postgres", on_link("database", cut)),
    Fault("silent-link-database", "postgres", on_link("database", silence)),
    Fault("slow-link-database", "postgres", on_link("database", slow)),
    Fault("cut-link-broker", "postgres", on_link("broker", cut)),
    Fault("silent-link-broker", "postgres", on_link("broker", silence)),
    Fault("slow-link-broker", "postgres", on_link("broker", slow)),
    Fault("jump-clock-database", "postgres", jump_server),
    Fault("jump-clock-process", "postgres", jump_process),
    Fault("exhaust-memory", "postgres", Cluster.exhaust_memory),
    Fault("two-operators", "postgres", begin=two_operators),
    Fault("poison-block", "postgres", begin=poison, ends=RunState.PARTIAL),
    Fault("full-disk-postgres", "postgres", fill_disk, small_disk=True),
    Fault("full-disk-sqlite", "sqlite", fill_disk, small_disk=True),
    Fault("kill-worker-sqlite", "sqlite", Cluster.kill_worker, small_disk=True),
    Fault("jump-clocks-sqlite", "sqlite", jump_all, small_disk=True),
)


def begin(installation: Cluster, catalog: Catalog) -> None:
    """Start a run; try again while the database does not answer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            run = start_run(installation.settings, catalog, cause="chaos").run
            if run is not None and run.revision != catalog.revision:
                raise RuntimeError(f"run {run.id} of another catalog is active: the last round has not ended")
            return
        except SQLAlchemyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def settled(installation: Cluster, revisions: set[str]) -> bool:
    """Wait until no run is active. Returns whether one of ``revisions`` is published within ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(SQLAlchemyError):
            active, revision = installation.state()
            if not active:
                return revision in revisions
        time.sleep(0.02)
    return False


def once(
    fault: Fault, installation: Cluster, states: States, chance: random.Random, usual_s: float, outcome: Outcome
) -> None:
    """One run with one fault, then the comparison of the table; counts go into ``outcome``."""
    began = time.monotonic()
    if fault.begin is not None:
        revisions = fault.begin(installation, states, chance, usual_s)
    else:
        catalog = states.following()
        revisions = {catalog.revision}
        begin(installation, catalog)
    if fault.inject is not None:
        time.sleep(chance.uniform(0.0, usual_s))
        outcome.struck += installation.state()[0]
        fault.inject(installation, chance)
    else:
        outcome.struck += 1
    ended = settled(installation, revisions)
    outcome.times += 1
    outcome.seconds.append(time.monotonic() - began)
    with sync_engine(installation.url).connect() as connection:
        run = page_runs_sync(connection, limit=1)[0]
        connection.rollback()
        revision = installation.state()[1]
        rows = difference(connection, states.expected[revision])
    if not ended or run.state is not fault.ends:
        outcome.lost += 1
        outcome.notes.append(f"run {run.id} is {run.state.value}: {run.blocks_done} of {run.blocks_total}; {run.error}")
    outcome.lost += rows.lost
    outcome.doubled += rows.doubled
    if rows:
        outcome.notes.append(f"run {run.id} ({run.cause}, {run.state.value}): {rows}")


def suffer(
    faults: list[Fault], states: States, times: int, seed: int, deadline: float, cut_s: float
) -> dict[str, Outcome]:
    """All faults that share an installation, in sequence."""
    outcomes: dict[str, Outcome] = {}
    with cluster(faults[0].database, small_disk=faults[0].small_disk) as installation:
        installation.cut_s = cut_s
        usual_s = usual(installation, states)
        address = f"http://127.0.0.1:{installation.port}/graphql"
        for fault in faults:
            outcome = outcomes[fault.name] = Outcome()
            chance = random.Random(f"{seed} {fault.name}")
            with Readers(installation.url, address, states, seed) as readers:
                for _ in range(times):
                    if time.monotonic() > deadline or outcome.lost or outcome.doubled:
                        break
                    once(fault, installation, states, chance, usual_s, outcome)
                installation.set_clocks_right()
            outcome.mixed, outcome.reads = readers.counts["mixed"], readers.counts["reads"]
            outcome.notes += readers.examples[:3]
            print(row(fault.name, outcome), flush=True)
            for note in outcome.notes[:5]:
                print(f"    {note}", flush=True)
    return outcomes


def usual(installation: Cluster, states: States) -> float:
    """Median seconds of a run without a fault; the first run publishes everything and does not count."""
    taken = []
    for _ in range(WARM_UPS):
        began, catalog = time.monotonic(), states.following()
        begin(installation, catalog)
        if not settled(installation, {catalog.revision}):
            raise RuntimeError(f"a run without a fault was not published; logs are in {installation.folder}")
        taken.append(time.monotonic() - began)
    return statistics.median(taken[1:])


def row(name: str, outcome: Outcome) -> str:
    """One line of the table."""
    median = statistics.median(outcome.seconds) if outcome.seconds else 0.0
    counts = f"{outcome.times:>5} {outcome.struck:>6} {outcome.lost:>5} {outcome.doubled:>7} {outcome.mixed:>6} {outcome.reads:>7}"
    return f"{name:<28}{counts} {median:>8.1f} s"


def grouped(faults: list[Fault]) -> Iterator[list[Fault]]:
    """Faults in groups that share an installation."""
    for key in dict.fromkeys((fault.database, fault.small_disk) for fault in faults):
        yield [fault for fault in faults if (fault.database, fault.small_disk) == key]


def main() -> int:
    """Returns 1 when a fault lost, doubled or mixed rows, or ran fewer times than requested."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"one of {', '.join(names)}; default: all")
    parser.add_argument("--times", type=int, default=TIMES, help=f"repeats of each fault (default {TIMES})")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="seed of the random moments")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"longest duration (default {MINUTES:g})")
    parser.add_argument("--cut-s", type=float, default=2 * LEASE_S, help="longest fault of a link in seconds")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.faults if name not in names]
    if unknown:
        parser.error(f"there is no fault {unknown[0]!r}; there are {', '.join(names)}")
    get_settings.cache_clear()
    deadline = time.monotonic() + arguments.minutes * 60
    chosen = [fault for fault in FAULTS if not arguments.faults or fault.name in arguments.faults]
    outcomes: dict[str, Outcome] = {}
    print(
        f"seed {arguments.seed}, {arguments.times} times each; reads: of two clients; seconds: median of a run with its fault"
    )
    print(
        f"{'fault':<28}{'times':>5} {'struck':>6} {'lost':>5} {'doubled':>7} {'mixed':>6} {'reads':>7} {'seconds':>10}"
    )
    with tempfile.TemporaryDirectory(prefix="fgchaos-alone-") as folder:
        states = States(Path(folder))
        for group in grouped(chosen):
            try:
                outcomes |= suffer(group, states, arguments.times, arguments.seed, deadline, arguments.cut_s)
            except PermissionError as error:
                for fault in group:
                    print(f"{fault.name:<28} not run: {error}", flush=True)
    bad = [name for name, outcome in outcomes.items() if outcome.lost or outcome.doubled or outcome.mixed]
    short = [name for name, outcome in outcomes.items() if outcome.times < arguments.times]
    for names, verdict in ((bad, "lost, doubled or mixed rows"), (short, "ran fewer times than requested")):
        if names:
            print(f"{', '.join(names)}: {verdict}")
    return 1 if bad or short or not outcomes else 0


if __name__ == "__main__":
    raise SystemExit(main())
