"""Services of the API benches: PostgreSQL with the whole published table, and server processes on ports of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import urlopen

from db.entries.files import load_catalog
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.postgres import EmbeddedPostgres
from tests.support.runs import run_in_process

START_TIMEOUT_S = 60.0
#: Name databases that hold a published run already, so that a bench need not compute one.
DATABASE_VARIABLE = "FITGRAPH_BENCH_DATABASE_URL"
SQLITE_VARIABLE = "FITGRAPH_BENCH_SQLITE_URL"


@contextmanager
def published_database(folder: Path) -> Iterator[str]:
    """URL of a PostgreSQL with every pairing of the bundled catalog published."""
    given = os.environ.get(DATABASE_VARIABLE)
    if given:
        yield given
        return
    with EmbeddedPostgres() as server:
        url = server.url()
        upgrade_database(url)
        run = run_in_process(Settings(state_dir=folder, database_url=url), load_catalog())
        if run is None or run.generation is None:
            raise RuntimeError("the run published nothing")
        sync_engine(url).dispose()
        yield url


@contextmanager
def published_sqlite(folder: Path) -> Iterator[str]:
    """URL of a SQLite database with every pairing of the bundled catalog published."""
    url = os.environ.get(SQLITE_VARIABLE) or f"sqlite:///{folder / 'fitgraph.db'}"
    if SQLITE_VARIABLE not in os.environ:
        upgrade_database(url)
        run_in_process(Settings(state_dir=folder, database_url=url), load_catalog())
    yield url
    sync_engine(url).dispose()


class Server:
    """A running server process."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.port = port
        self.process = process
        self._log = log

    def memory_bytes(self) -> int:
        """Resident memory of the process (Linux)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def log(self) -> str:
        """Its output so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


@contextmanager
def start_server(
    argv: Sequence[str], path: str, environment: Mapping[str, str] | None = None, *, port_variable: str = ""
) -> Iterator[Server]:
    """A server, once it answers ``path``, if only to refuse it; ends it afterwards.

    The server learns its port from ``{port}`` in ``argv``, or from ``port_variable``.
    """
    port = free_port()
    told = {port_variable: str(port)} if port_variable else {}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in argv],
            env={**os.environ, **(environment or {}), **told},
            stdout=log,
            stderr=log,
        )
        server = Server(port, process, log)
        try:
            try:
                _wait(process, f"http://127.0.0.1:{port}{path}")
            except RuntimeError as error:
                raise RuntimeError(f"{error}: {server.log()[-3000:]}") from error
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def serving(
    argv: Sequence[str], path: str, environment: Mapping[str, str] | None = None, *, port_variable: str = ""
) -> Iterator[tuple[int, int]]:
    """Port and process id of a server, as ``start_server`` starts it."""
    with start_server(argv, path, environment, port_variable=port_variable) as server:
        yield server.port, server.process.pid


def api_argv() -> list[str]:
    """Command of one API process."""
    return [sys.executable, "-m", "api.cli", "serve", "--port", "{port}"]


def free_port() -> int:
    """A port of the loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urlopen(url, timeout=5) as answer:
                if answer.status < 300:
                    return
        except HTTPError as answer:
            if answer.code < 500:
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not answer in time")


class Repeated:
    """A command run again and again in a thread until an event; the run that is under way then is ended."""

    def __init__(self, ended: threading.Event, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ended, self._argv, self._environment = ended, list(argv), dict(environment)
        self._count = 0
        self._failure = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set() and not self._failure:
            with tempfile.TemporaryFile() as log:
                process = subprocess.Popen(self._argv, env=self._environment, stdout=log, stderr=log)
                while process.poll() is None and not self._ended.wait(0.1):
                    pass
                if process.poll() is None:
                    process.terminate()
                    process.wait(timeout=60)
                elif process.returncode:
                    log.seek(0)
                    self._failure = log.read()[-2000:].decode(errors="replace")
                else:
                    self._count += 1

    @property
    def is_over(self) -> bool:
        """Whether a run ended well, or none will."""
        return self._count > 0 or not self._thread.is_alive()

    def join_and_count(self) -> int:
        """Wait for the end; how many runs ended well. Raises RuntimeError with the output of one that did not."""
        self._thread.join()
        if self._failure:
            raise RuntimeError(f"{self._argv[-2:]} failed: {self._failure}")
        return self._count
