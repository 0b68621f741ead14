"""Indexes of a loaded storage, and the lease that a publisher keeps while it builds them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from db.fits.layout import index_statements, storage_name
from db.runs.store import hold_publication
from db.session import make_engine, sync_engine, writing
from db.settings import Settings

#: Index builds at a time on PostgreSQL; each has a server process of its own.
INDEX_BUILDERS = 2


def build_indexes(settings: Settings, run_id: int, token: str) -> bool:
    """Index a loaded storage, on PostgreSQL two indexes at a time. False when the publication was lost meanwhile."""
    engine, table = make_engine(settings.resolved_database_url, sorting=True), storage_name(run_id)

    def build(statement: str) -> bool:
        with writing(engine) as connection:
            held = hold_publication(connection, run_id, token, settings.lease_s)
        if held:
            with writing(engine) as connection:
                connection.execute(text(statement))
        return held

    statements = index_statements(table, engine.dialect.name)
    try:
        if engine.dialect.name == "sqlite":
            return all(build(statement) for statement in statements)
        with ThreadPoolExecutor(INDEX_BUILDERS) as pool:
            held = all(pool.map(build, statements))
        with writing(engine) as connection:
            for suffix in ("", "_quant", "_gpu"):
                connection.execute(text(f"ANALYZE {table}{suffix}"))
        return held
    finally:
        engine.dispose()


@contextlib.contextmanager
def held_publication(settings: Settings, run_id: int, token: str) -> Iterator[None]:
    """Keep the publisher's lease alive while an index is built, however long that takes."""
    finished = threading.Event()

    def beat() -> None:
        while not finished.wait(settings.lease_s / 3):
            with (
                contextlib.suppress(SQLAlchemyError),
                writing(sync_engine(settings.resolved_database_url)) as connection,
            ):
                hold_publication(connection, run_id, token, settings.lease_s)

    thread = threading.Thread(target=beat, name="publication-lease")
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
