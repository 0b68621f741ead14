"""Indexes of a freshly loaded storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from db.fits.layout import index_statements, storage_name
from db.runs.leases import hold_publication
from db.session import build_in_one_process, make_engine, writing
from db.settings import Settings

#: Index builds at a time on PostgreSQL while there is nothing to read; each has a server process of its own.
INDEX_BUILDERS = 2


def build_indexes(settings: Settings, run_id: int, token: str, *, beside_readers: bool) -> bool:
    """Index a loaded storage. False when the publication was lost meanwhile.

    On PostgreSQL two indexes are built at a time, with its parallel workers; beside readers, one index in one process.
    """
    engine, table = make_engine(settings.resolved_database_url, sorting=True), storage_name(run_id)

    def build(statement: str) -> bool:
        with writing(engine) as connection:
            is_held = hold_publication(connection, run_id, token, settings.lease_s)
        if is_held:
            with writing(engine) as connection:
                if beside_readers:
                    build_in_one_process(connection)
                connection.execute(text(statement))
        return is_held

    statements = index_statements(table, engine.dialect.name)
    try:
        if engine.dialect.name == "sqlite":
            return all(build(statement) for statement in statements)
        with ThreadPoolExecutor(1 if beside_readers else INDEX_BUILDERS) as pool:
            is_held = all(pool.map(build, statements))
        with writing(engine) as connection:
            for suffix in ("", "_quant", "_gpu"):
                connection.execute(text(f"ANALYZE {table}{suffix}"))
        return is_held
    finally:
        engine.dispose()
