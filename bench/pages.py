"""Statements of page reads: their text, their plan and their time on the database driver alone."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import make_url

from db.entries.store import ids_of
from db.fits.generations import Generation, current_generation_sync
from db.fits.query import FitField, FitOrder, FitQuery
from db.fits.reads import page_fits
from db.reading import PREPARED_OPTIONS, Reader, bound
from db.session import SQLITE_MMAP_BYTES, is_sqlite, make_engine
from estimator.types import Status

SQL_BAR_MS = 2.0
CALLS = 40
_DECODE = (FitOrder(FitField.DECODE),)
_CODING = {"workload_ids": (1,)}


class Statements:
    """The statements that reads run on one database, and one plain connection that runs them."""

    def __init__(self, url: str) -> None:
        engine = make_engine(url)
        with engine.connect() as connection:
            generation = current_generation_sync(connection)
            self._ids = {kind: ids_of(connection, kind) for kind in ("model", "gpu", "quant")}
        engine.dispose()
        if generation is None:
            raise RuntimeError("nothing is published there")
        self.generation: Generation = generation
        self.dialect = "sqlite" if is_sqlite(url) else "postgresql"
        made = make_url(url)
        self._connection: Any
        if self.dialect == "sqlite":
            self._connection = sqlite3.connect(str(made.database))
            self._connection.execute(f"PRAGMA mmap_size={SQLITE_MMAP_BYTES}")
            self._cursor = self._connection.cursor()
        else:
            plain = made.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(plain, autocommit=True, options=PREPARED_OPTIONS)
            self._cursor = self._connection.cursor(binary=True)

    def ids(self, kind: str) -> dict[str, int]:
        return self._ids[kind]

    def of(self, read: Callable[[Reader], Awaitable[Any]]) -> tuple[str, Any]:
        """Text and parameters of the one statement that ``read`` runs.

        Raises RuntimeError when it runs another: then its index led to too few rows.
        """
        statements: list[tuple[str, Any]] = []
        outer = self

        class Noting:
            @property
            def dialect(self) -> str:
                return outer.dialect

            async def rows(self, statement: str, parameters: Any) -> Sequence[Any]:
                statements.append((statement, parameters))
                return outer.rows(statement, parameters)

        async def run() -> None:
            await read(Noting())

        asyncio.run(run())
        if len(statements) != 1:
            raise RuntimeError(f"one list took {len(statements)} statements: its index led to too few rows")
        return statements[0]

    def rows(self, statement: str, parameters: Any = None) -> list[Any]:
        if self.dialect == "postgresql":
            self._cursor.execute(bound(statement) if parameters else statement, parameters or {}, prepare=True)
        else:
            self._cursor.execute(statement, parameters or {})
        rows: list[Any] = self._cursor.fetchall()
        return rows

    def timed_ms(self, statement: str, parameters: Any) -> float:
        """Milliseconds from the request to the last row."""
        began = time.perf_counter()
        self.rows(statement, parameters)
        return (time.perf_counter() - began) * 1e3

    def plan(self, statement: str, parameters: Any) -> str:
        """The text of EXPLAIN."""
        explain = "EXPLAIN " if self.dialect == "postgresql" else "EXPLAIN QUERY PLAN "
        return "\n".join(" ".join(map(str, row)) for row in self.rows(explain + statement, parameters))

    def close(self) -> None:
        self._connection.close()


@contextmanager
def statements_of(url: str) -> Iterator[Statements]:
    statements = Statements(url)
    try:
        yield statements
    finally:
        statements.close()


def filters(statements: Statements) -> dict[str, FitQuery]:
    """Filters of the measured pages, by name."""
    quants, gpus = statements.ids("quant"), statements.ids("gpu")
    some = tuple(
        sorted(number for slug, number in gpus.items() if slug.startswith(("rtx-", "h100", "a100", "instinct")))
    )
    return {
        "one workload": FitQuery(**_CODING),
        "that fit whole": FitQuery(**_CODING, statuses=(Status.FITS,)),
        "20 tok/s and more, 32,768 tokens and more": FitQuery(**_CODING, decode_min=20.0, safe_context_min=32_768),
        "20 to 30 tok/s": FitQuery(**_CODING, decode_min=20.0, decode_max=30.0),
        "recommended": FitQuery(**_CODING, recommended=True),
        "score of 80 and more": FitQuery(**_CODING, score_min=80.0),
        "in Q4_K_M or Q5_K_M": FitQuery(**_CODING, quant_ids=(quants["q4-k-m"], quants["q5-k-m"])),
        f"on {len(some)} accelerators": FitQuery(**_CODING, gpu_ids=some, statuses=(Status.FITS, Status.FITS_TIGHTLY)),
    }


def page_times(statements: Statements) -> Iterator[tuple[str, float, bool]]:
    """The name of each filter, the median milliseconds of its first page, and whether an index gives the order."""
    for name, query in filters(statements).items():

        def read(reader: Reader, query: FitQuery = query) -> Awaitable[Any]:
            return page_fits(reader, statements.generation, query, _DECODE)

        statement, parameters = statements.of(read)
        for _ in range(6):
            statements.rows(statement, parameters)
        times = [statements.timed_ms(statement, parameters) for _ in range(CALLS)]
        yield name, statistics.median(times), "_decode_" in statements.plan(statement, parameters)
