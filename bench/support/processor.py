"""Processor time of this process and of its database: other work of the machine does not count."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from sqlalchemy import text

from bench.memory import children_of
from db.session import is_sqlite, sync_engine


class Stopwatch:
    """Seconds since it was made or last started. SQLite works in this process; PostgreSQL must run on this machine (Linux)."""

    def __init__(self, url: str) -> None:
        self._server: int | None = None
        if not is_sqlite(url):
            with sync_engine(url).connect() as connection:
                backend = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
            status = Path(f"/proc/{backend}/status").read_text().splitlines()
            self._server = next(int(line.split()[1]) for line in status if line.startswith("PPid:"))
        self.start()

    def start(self) -> None:
        self._own, self._backends = time.process_time(), self._of_backends()

    def seconds(self) -> float:
        """A backend that ended since counts no more."""
        backends = sum(spent - self._backends.get(pid, 0.0) for pid, spent in self._of_backends().items())
        return time.process_time() - self._own + backends

    def _of_backends(self) -> dict[int, float]:
        spent: dict[int, float] = {}
        for pid in () if self._server is None else children_of(self._server):
            with contextlib.suppress(OSError):
                spent[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
        return spent
