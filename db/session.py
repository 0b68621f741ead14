"""Engines and transactions: synchronous for workers and the command line, asynchronous for the API."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.settings import KEPT_STATEMENTS

#: Readers never wait for the writer in WAL mode; a writer waits this long for another one (an index build included).
SQLITE_BUSY_TIMEOUT_MS = 600_000
SQLITE_SERVING = ("temp_store=MEMORY", "cache_size=-65536")
#: A run appends and reads little again: a worker's memory must not follow the size of the database.
SQLITE_WRITING = ("temp_store=MEMORY", "cache_size=-16384")
#: Sorted runs small enough to leave memory are sorted and merged by threads: 1.5 times faster on two cores.
SQLITE_SORTING = ("temp_store=FILE", "cache_size=-4096", "threads=2")
SQLITE_MMAP_BYTES = 1 << 30
#: Copy the log back after 32 MiB instead of 4: an update of one model then rarely pays for it.
SQLITE_CHECKPOINT_PAGES = 8192
#: Prepared statements that a connection of a reader keeps, tens of kilobytes each: a generation has its own.
SQLITE_STATEMENTS = 32
#: Size that a rebuild leaves to the write-ahead log once it was copied back.
SQLITE_WAL_BYTES = 1 << 26
_WRITE = {"fitgraph_write": True}
#: Key of the advisory lock that upgrades of one PostgreSQL database take.
_MIGRATION_LOCK = 7_316_004
#: The longest that a clean-up makes readers wait.
LOCK_PATIENCE_MS = 100
_LOCK_NOT_AVAILABLE = "55P03"
#: Connections of a process that reads; PostgreSQL gets as many more at a peak.
READERS = 10
#: A backend of PostgreSQL keeps plans of every storage that its connection ever read; its end frees them.
CONNECTION_LIFETIME_S = 120
_KEPT: dict[str, Any] = {
    "query_cache_size": KEPT_STATEMENTS,
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}
_POSTGRES_POOL: dict[str, Any] = {**_KEPT, "pool_pre_ping": True, "pool_recycle": CONNECTION_LIFETIME_S}


_MAX_ENGINES = 8
_engines: OrderedDict[tuple[str, int], Engine] = OrderedDict()
_engines_lock = threading.RLock()


def is_sqlite(url: str) -> bool:
    """Whether ``url`` names a SQLite database."""
    return make_url(url).get_backend_name() == "sqlite"


def sync_engine(url: str) -> Engine:
    """The engine of this process for ``url``: made after a fork, never shared across it."""
    key = (url, os.getpid())
    with _engines_lock:
        if key in _engines:
            _engines.move_to_end(key)
            return _engines[key]
        while len(_engines) >= _MAX_ENGINES:
            (_, pid), oldest = _engines.popitem(last=False)
            # A parent's connections are not this process's to close.
            oldest.dispose(close=pid == key[1])
        return _engines.setdefault(key, make_engine(url))


def make_engine(url: str, *, sorting: bool = False) -> Engine:
    """A new engine; the caller disposes it. ``sorting`` tunes SQLite for building indexes of a large table."""
    if not is_sqlite(url):
        return create_engine(url, **_POSTGRES_POOL, pool_size=5, max_overflow=5)
    _make_folder(url)
    waiting = {"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
    engine = create_engine(url, **_KEPT, connect_args=waiting)
    _prepare_sqlite(engine, SQLITE_SORTING if sorting else SQLITE_WRITING)
    return engine


def async_engine(url: str) -> AsyncEngine:
    """A new asynchronous engine for readers; create it in the running loop and dispose it there."""
    if not is_sqlite(url):
        return create_async_engine(url, **_POSTGRES_POOL, pool_size=READERS, max_overflow=READERS)
    _make_folder(url)
    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite"),
        **_KEPT,
        pool_size=READERS,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_MS / 1000, "cached_statements": SQLITE_STATEMENTS},
    )
    _prepare_sqlite(engine.sync_engine, SQLITE_SERVING)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: commits at the end, rolls back on an exception.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so it never fails halfway on a stale snapshot.
    """
    with engine.connect().execution_options(**_WRITE) as connection, connection.begin():
        yield connection


def wait_shortly(connection: Connection) -> None:
    """Let no statement of this transaction wait long for a lock of PostgreSQL: readers who come later wait behind it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_PATIENCE_MS}"))


def build_in_one_process(connection: Connection) -> None:
    """Let this transaction build indexes without PostgreSQL's parallel workers, which take the processors from readers.

    On two cores, searches wait a third to a half as long; the indexes take up to twice the time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL max_parallel_maintenance_workers = 0"))


def is_lock_timeout(error: OperationalError) -> bool:
    """Whether ``error`` says that a lock was not to be had in the time of ``wait_shortly``."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _make_folder(url: str) -> None:
    database = make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)


def _prepare_sqlite(engine: Engine, tuning: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(dbapi_connection: Any, _record: Any) -> None:
        # The driver's own BEGIN is late and never IMMEDIATE: transactions are begun below instead.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_TIMEOUT_MS}")
        _use_write_ahead_log(cursor)
        for pragma in (
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"journal_size_limit={SQLITE_WAL_BYTES}",
            f"mmap_size={SQLITE_MMAP_BYTES}",
            f"wal_autocheckpoint={SQLITE_CHECKPOINT_PAGES}",
            *tuning,
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("fitgraph_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _use_write_ahead_log(cursor: Any) -> None:
    """Switch the file over; SQLite does not wait for others that open a new file at the same moment, so this does."""
    deadline = time.monotonic() + SQLITE_BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def driver_connection(connection: Connection) -> Any:
    """The DB-API connection underneath, inside the same transaction."""
    return connection.connection.driver_connection


def database_size_bytes(connection: Connection) -> int:
    """Bytes of the whole database on disk, its indexes included."""
    if connection.dialect.name == "sqlite":
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def upgrade_database(url: str) -> None:
    """Bring the tables to the newest shape, creating the database file of SQLite. Safe to call from many processes.

    A database that a later release migrated stays as it is: migrations only add, so this release works with it.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        # SQLite: the write lock; PostgreSQL: an advisory lock until the transaction ends. Others wait, then find no work.
        with writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            if known.issuperset(MigrationContext.configure(connection).get_current_heads()):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    finally:
        engine.dispose()
