"""How the API reads fits: one statement a call, no transaction, the shortest way to the driver that each database has.

A statement names its parameters ``:name``. Every row that a generation shows carries its life span, so that statements
need no common snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import make_url, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.settings import KEPT_STATEMENTS

Row: TypeAlias = Sequence[Any]
Parameters: TypeAlias = Mapping[str, Any]
#: Called after each statement with its text and the seconds it took.
Listener: TypeAlias = Callable[[str, float], None]
#: Seconds that a reader waits for a connection.
ACQUIRE_TIMEOUT_S = 5.0
#: A statement's literals are written into it, so that one plan serves all its parameters: nothing is planned twice.
#: Neither compiled nor parallel: pages are short, and workers would start for branches that never run.
PREPARED_OPTIONS = "-c plan_cache_mode=force_generic_plan -c jit=off -c max_parallel_workers_per_gather=0"


_PSYCOPG = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Reader(Protocol):
    """Runs one SELECT at a time and returns all its rows."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""

    async def rows(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        """All rows of a SELECT. Raises SQLAlchemyError, psycopg.Error or OSError when the database fails."""


class EngineReader:
    """Reads through an engine of SQLAlchemy."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @property
    def dialect(self) -> str:
        """Name of the database."""
        return self._engine.dialect.name

    async def rows(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        async with self._engine.connect() as connection:
            return (await connection.execute(text(statement), parameters)).all()

    def forget_plans(self) -> None:
        """The driver bounds how many it keeps."""

    async def close(self) -> None:
        """Nothing is kept: the engine is its owner's."""


class PostgresReader:
    """Reads over a pool of autocommitting connections with binary results and prepared statements.

    A connection that the server dropped is replaced, and its statement run once more. Statements beyond the size of the
    pool wait for their turn for as long as their request may take.
    """

    def __init__(self, url: str, size: int) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._size = size
        self._pool: AsyncConnectionPool | None = None
        # Who waits for a turn waits for other statements; who has one and gets no connection, for a database that is away.
        self._turns = asyncio.Semaphore(size)
        self._away_at = float("-inf")
        self._cursors: dict[psycopg.AsyncConnection[Any], psycopg.AsyncCursor[Any]] = {}
        self.listeners: list[Listener] = []

    @property
    def dialect(self) -> str:
        """Name of the database."""
        return "postgresql"

    async def rows(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        began = time.perf_counter()
        prepared = bound(statement) if parameters else statement.encode()
        try:
            answer = await self._fetch(prepared, parameters)
        except (PoolTimeout, psycopg.errors.QueryCanceled):
            raise
        except psycopg.OperationalError:
            answer = await self._fetch(prepared, parameters)
        for listener in self.listeners:
            listener(statement, time.perf_counter() - began)
        return answer

    def forget_plans(self) -> None:
        """Free the prepared statements of each connection before its next statement: a generation has its own."""
        self._cursors.clear()

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None
            self._cursors.clear()

    async def _fetch(self, statement: bytes, parameters: Parameters) -> Sequence[Row]:
        pool = self._pool or await self._open()
        asked_at = time.monotonic()
        async with self._turns:
            if self._away_at > asked_at:
                raise PoolTimeout("the database was found away while this statement waited")
            try:
                connection = await pool.getconn()
            except PoolTimeout:
                self._away_at = time.monotonic()
                raise
            try:
                cursor = self._cursors.get(connection)
                if cursor is None:
                    # One a connection: making a cursor costs as much as a small statement. It holds its connection.
                    self._cursors = {used: own for used, own in self._cursors.items() if not used.closed}
                    cursor = self._cursors[connection] = connection.cursor(binary=True)
                    # A rollback frees the prepared statements of a connection.
                    async with connection.transaction(force_rollback=True):
                        pass
                await cursor.execute(statement, parameters)
                return await cursor.fetchall()
            finally:
                await pool.putconn(connection)

    async def _open(self) -> AsyncConnectionPool:
        pool = AsyncConnectionPool(
            self._url,
            min_size=1,
            max_size=self._size,
            timeout=ACQUIRE_TIMEOUT_S,
            kwargs={"autocommit": True, "options": PREPARED_OPTIONS},
            open=False,
        )
        if self._pool is not None:
            return self._pool
        self._pool = pool
        await pool.open()
        return pool


def reader_of(engine: AsyncEngine, *, size: int = 10) -> EngineReader | PostgresReader:
    """The reader of an engine's database; make it and close it in the running loop."""
    if engine.dialect.name != "postgresql":
        return EngineReader(engine)
    return PostgresReader(engine.url.render_as_string(hide_password=False), size)


@lru_cache(maxsize=KEPT_STATEMENTS)
def bound(statement: str) -> bytes:
    """``statement`` with its parameters as psycopg names them. An equal object each time: the driver looks it up by hash."""
    return str(text(statement).compile(dialect=_PSYCOPG)).encode()


def int_array(values: Iterable[int]) -> str:
    """A list of integers as PostgreSQL writes one: cast in the statement, it is faster than the driver's own arrays."""
    return "{" + ",".join(map(str, values)) + "}"
