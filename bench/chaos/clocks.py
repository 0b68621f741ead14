"""Clocks that jump: of processes, through a module that Python imports as it starts, and of a PostgreSQL server.

The kernel has one clock for all processes of a machine, and other work needs it. A process with a clock of its own sees
``time.time`` and ``datetime.now`` moved by the seconds in a file. A server's clock is a function of the same name that
sessions find before the one of PostgreSQL.
"""

from __future__ import annotations

import copyreg
import datetime
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text

from db.session import make_engine

VARIABLE = "FITGRAPH_CHAOS_CLOCK"
_SECONDS = struct.Struct("d")
_SHADOW = (
    "CREATE SCHEMA chaos",
    "CREATE TABLE chaos.shift (seconds double precision NOT NULL)",
    "INSERT INTO chaos.shift VALUES (0)",
    "CREATE FUNCTION chaos.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
    "'SELECT pg_catalog.clock_timestamp() + make_interval(secs => seconds) FROM chaos.shift'",
    "ALTER ROLE postgres SET search_path = chaos, pg_catalog, public",
)


class ProcessClock:
    """The clock of some processes, moved by the bench; ``variables`` gives it to them."""

    def __init__(self, folder: Path, pythonpath: str) -> None:
        folder.mkdir(parents=True)
        self._file = folder / "seconds"
        self.jump(0.0)
        (folder / "sitecustomize.py").write_text("from bench.chaos.clocks import move\nmove()\n")
        self.variables = {VARIABLE: str(self._file), "PYTHONPATH": os.pathsep.join((str(folder), pythonpath))}

    def jump(self, seconds: float) -> None:
        """Move the clock to ``seconds`` before or after the machine's."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(_SECONDS.pack(seconds))


class ServerClock:
    """The clock of a PostgreSQL server. Make it before other sessions begin."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._execute(*_SHADOW)

    def jump(self, seconds: float) -> None:
        self._execute(f"UPDATE chaos.shift SET seconds = {float(seconds)}")

    def _execute(self, *statements: str) -> None:
        engine = make_engine(self._url)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()


def move() -> None:
    """Let this process see the clock that its variable names."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    with Path(path).open("rb") as file:
        shared = mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    true_time, true_datetime = time.time, datetime.datetime

    def shift() -> float:
        return float(_SECONDS.unpack_from(shared)[0])

    class Alike(type):
        """Every datetime is one of the moved class, too."""

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, true_datetime)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, true_datetime)

    class Moved(true_datetime, metaclass=Alike):
        """Makes datetimes of the true class, by the moved clock where that matters."""

        __slots__ = ()

        def __new__(cls, *parts: Any, **named: Any) -> Any:
            return true_datetime(*parts, **named)

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
            from pydantic_core import core_schema

            return core_schema.datetime_schema()

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return true_datetime.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return true_datetime.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    # A pickle names its class, and this name now finds the moved one.
    Moved.__name__ = Moved.__qualname__ = "datetime"
    Moved.__module__ = "datetime"
    copyreg.pickle(true_datetime, lambda value: (Moved, value.__reduce__()[1]))  # type: ignore[arg-type, return-value]
    time.time = lambda: true_time() + shift()
    time.time_ns = lambda: int(time.time() * 1e9)
    datetime.datetime = Moved  # type: ignore[misc]
