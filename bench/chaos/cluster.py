"""An installation for the chaos bench: database, broker, two workers and an API, restarted as an init system would."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.chaos.clocks import ProcessClock, ServerClock
from bench.chaos.links import Link
from bench.chaos.memory import MemoryLimit
from bench.chaos.operator import Operators
from bench.support.serving import free_port
from db.fits.generations import current_generation_sync
from db.runs.store import active_run
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from workers.app import app
from workers.local.broker import Broker
from workers.local.processes import FIRST_PAUSE_S, Child
from workers.local.supervisor import environment, worker_argv

WORKERS = 2
LEASE_S = 2.0
SWEEP_S = 0.5
GRACE_S = 10.0
#: Size of the small disk: room for the installation and its runs.
DISK_BYTES = {"sqlite": 256 << 20, "postgres": 1 << 30}
START_TIMEOUT_S = 180.0


class SmallDisk:
    """A file system in memory that can be filled to its last byte; the mount needs root."""

    def __init__(self, size_bytes: int) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="fgdisk-"))
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "tmpfs", str(self.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            self.path.rmdir()
            raise PermissionError(f"no small file system can be mounted: {mounted.stderr.strip()}")

    def fill(self, spare_bytes: int) -> None:
        free = os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize - spare_bytes
        with (self.path / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            os.posix_fallocate(filler.fileno(), 0, max(free, 1))

    def free(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True, check=False)
        self.path.rmdir()


class Cluster:
    """The processes of one installation. A caretaker thread restarts processes that end.

    Workers and the API reach the broker and PostgreSQL over links that can fail; the bench itself reaches them directly.
    """

    def __init__(self, database: str, folder: Path, server: EmbeddedPostgres | None, disk: SmallDisk | None) -> None:
        self.server, self.disk, self.folder = server, disk, folder
        self.settings = Settings(
            state_dir=(disk.path if disk is not None and database == "sqlite" else folder) / "state",
            database_url="" if server is None else server.url(),
            redis_url="",
            workers=1,
            block_cells=1,
            lease_s=LEASE_S,
            sweep_interval_s=SWEEP_S,
            generation_grace_s=GRACE_S,
        )
        self.url = self.settings.resolved_database_url
        upgrade_database(self.url)
        self.broker = Broker(self.settings)
        self.server_clock = None if server is None else ServerClock(self.url)
        self.links: dict[str, list[Link]] = {"broker": [], "database": []}
        self.cut_s = 2 * LEASE_S
        self.clocks: list[ProcessClock] = []
        self.workers = [self._child(f"worker-{at}", worker_argv(1, f"chaos{at}")) for at in range(WORKERS)]
        self.port = free_port()
        serve = [sys.executable, "-m", "api.cli", "serve", "--port", str(self.port)]
        self.api = self._child("api", serve)
        self.operators = Operators(self.settings, folder)
        self._caring = threading.Event()
        self._caretaker = threading.Thread(target=self._care, daemon=True)

    def _child(self, name: str, argv: list[str]) -> Child:
        """A process with a clock and links of its own."""
        broker = Link(str(self.broker.socket))
        self.links["broker"].append(broker)
        clock = ProcessClock(self.folder / f"clock-{name}", os.environ.get("PYTHONPATH", os.getcwd()))
        self.clocks.append(clock)
        variables = environment(self.settings) | clock.variables | {"FITGRAPH_LOG_LEVEL": "critical"}
        variables["FITGRAPH_REDIS_URL"] = f"redis://127.0.0.1:{broker.port}/0"
        if self.server is not None:
            database = Link(self.server.socket)
            self.links["database"].append(database)
            variables["FITGRAPH_DATABASE_URL"] = f"postgresql+psycopg://postgres@127.0.0.1:{database.port}/postgres"
        return Child(name, argv, variables, self.folder / "logs" / f"{name}.log")

    @property
    def children(self) -> list[Child]:
        """The processes that the caretaker restarts."""
        return [self.broker.child, *self.workers, self.api]

    def start(self) -> None:
        """Start every process and wait until the API listens."""
        self.broker.start()
        for child in (*self.workers, self.api):
            child.start()
        app.conf.broker_url = self.settings.resolved_redis_url
        self._caretaker.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"the API did not start; its log is in {self.folder}")
            time.sleep(0.05)

    def stop(self) -> None:
        self._caring.set()
        if self._caretaker.is_alive():
            self._caretaker.join()
        self.operators.close()
        for child in self.children:
            child.ask_to_stop()
        for child in (*self.workers, self.api):
            child.stop(timeout_s=5)
        self.broker.stop()
        for link in itertools.chain(*self.links.values()):
            link.close()
        sync_engine(self.url).dispose()
        app.pool.force_close_all()
        app.__dict__.pop("amqp", None)
        app._pool = None

    def revive_database(self) -> None:
        if self.server is not None and not self.server.alive:
            self.server.start()

    def pool_processes(self) -> list[int]:
        """Ids of the pool processes of both workers."""
        mains = {child.process.pid for child in self.workers if child.process is not None}
        listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        return [int(pid) for pid, parent in map(str.split, listed.splitlines()) if int(parent) in mains]

    def kill_pool_process(self, chance: random.Random) -> None:
        if pids := self.pool_processes():
            kill(chance.choice(pids))

    def kill_worker(self, chance: random.Random) -> None:
        """SIGKILL of a worker with its pool."""
        worker = chance.choice([child for child in self.workers if child.alive] or self.workers)
        if worker.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)

    def freeze_worker(self, chance: random.Random) -> None:
        """SIGSTOP of a worker with its pool past the end of its leases, then SIGCONT."""
        worker = chance.choice([child for child in self.workers if child.alive] or self.workers)
        if worker.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGSTOP)
            time.sleep(LEASE_S * chance.uniform(1.2, 2.0))
            os.killpg(worker.process.pid, signal.SIGCONT)

    def exhaust_memory(self, chance: random.Random) -> None:
        """Leave a pool process no memory, until the kernel has killed it for that."""
        pids = self.pool_processes()
        with MemoryLimit() as limit:
            if pids:
                limit.strike(chance.choice(pids), LEASE_S)

    def set_clocks_right(self) -> None:
        for clock in (*self.clocks, *([self.server_clock] if self.server_clock else [])):
            clock.jump(0.0)

    def restart_broker(self, *, lose_data: bool) -> None:
        """SIGKILL of the broker; the caretaker restarts the broker with or without its data."""
        if self.broker.child.process is not None:
            kill(self.broker.child.process.pid)
            self.broker.child.process.wait()
        if lose_data:
            for part in self.broker.folder.rglob("appendonly*"):
                if part.is_file():
                    part.unlink()

    def state(self) -> tuple[bool, str]:
        """Whether a run is active, and the published revision."""
        with sync_engine(self.url).connect() as connection:
            # In this order: a run that ends between the two reads has published before the second read.
            run, seen = active_run(connection), current_generation_sync(connection)
        return run is not None, "" if seen is None else seen.revision

    def _care(self) -> None:
        while not self._caring.wait(0.05):
            for child in self.children:
                # A constant pause: the bench kills more often than faults occur in an installation.
                child.pause_s = FIRST_PAUSE_S
                with contextlib.suppress(OSError):
                    child.check()


@contextlib.contextmanager
def cluster(database: str, *, small_disk: bool) -> Iterator[Cluster]:
    """A running installation on ``sqlite`` or ``postgres``; with ``small_disk`` on a disk that can be filled."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fgchaos-")))
        disk = SmallDisk(DISK_BYTES[database]) if small_disk else None
        if disk is not None:
            stack.callback(disk.close)
        server = None
        if database == "postgres":
            parent = None if disk is None else disk.path
            server = stack.enter_context(EmbeddedPostgres(durable=True, parent=parent))
        installation = Cluster(database, folder, server, disk)
        stack.callback(installation.stop)
        installation.start()
        yield installation


def kill(pid: int) -> None:
    """Send SIGKILL to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
