"""Backups: a copy of the database as one SQLite file, and a database filled from such a copy.

A backup is itself a database of the newest shape, so that the migrations bring an old one up to date before it is
restored, and a copy taken from SQLite restores into PostgreSQL or the other way round.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, text

from db.entries.store import drop_kept, kept_layouts
from db.fits.generations import LAYOUT, as_utc
from db.fits.layout import checked, companion_tables, create_storage, fit_table, index_statements
from db.fits.parts import has_parts, keep_parts
from db.runs.store import RunState, end_run, now
from db.session import make_engine, upgrade_database, writing
from db.tables import Generation, KeptEntry, PublishedInput, Run, StagedEntry, metadata, table_of

_GENERATION, _RUN = table_of(Generation), table_of(Run)
#: Tables that say which fits are published: without the fits they would promise what is not there.
_OF_FITS = frozenset(table_of(kind).name for kind in (Generation, PublishedInput, KeptEntry))
#: Rows that are read, written or compared at a time.
_PORTION = 5_000
#: Generations and runs that follow a restore count from the seconds since this moment, 2025-01-01 in UTC.
_EPOCH_S = 1_735_689_600


class BackupError(ValueError):
    """A file is no backup, a target is not empty, or a copy differs from its source."""


@dataclass(frozen=True, slots=True)
class Copied:
    """Rows that a backup or a restore copied and compared: of the catalog with its runs, and of fits."""

    catalog_rows: int
    fit_rows: int
    generation: int | None


def back_up(url: str, path: Path, *, fits: bool) -> Copied:
    """Copy the database at ``url`` into the new SQLite file ``path`` and compare the two row for row.

    Readers and runs go on meanwhile: the copy is of one moment. ``fits`` False leaves out what a recompute makes again.
    Raises BackupError when ``path`` exists already.
    """
    if path.exists():
        raise BackupError(f"{path} exists already; name a new file")
    upgrade_database(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder:
        backup = Path(folder) / "backup.db"
        upgrade_database(f"sqlite:///{backup}")
        copied = _copy_between(url, f"sqlite:///{backup}", fits=fits)
        _close_log(backup)
        backup.replace(path)
    return copied


def restore(path: Path, url: str) -> Copied:
    """Fill the empty database at ``url`` from the backup at ``path``, in one transaction, and compare row for row.

    A run that was at work when the backup was made ends as cancelled. The generations and runs that follow get numbers that none
    of the lost history can have had, so that cursors and entity tags of that history match nothing.
    Raises BackupError when ``path`` is no backup, or when the database holds anything.
    """
    if not path.is_file():
        raise BackupError(f"{path} is not a file")
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise BackupError(f"{path} is not a backup; `fitgraph backup` writes one")
    with tempfile.TemporaryDirectory(prefix="fitgraph-restore-") as folder:
        # The migrations run on a copy: a backup is never changed.
        source = Path(folder) / "backup.db"
        shutil.copyfile(path, source)
        upgrade_database(f"sqlite:///{source}")
        upgrade_database(url)
        return _copy_between(f"sqlite:///{source}", url, fits=True, restored=True)


def _copy_between(source_url: str, target_url: str, *, fits: bool, restored: bool = False) -> Copied:
    source, target = make_engine(source_url, sorting=True), make_engine(target_url, sorting=True)
    try:
        with _snapshot(source) as reader, writing(target) as writer:
            for table in _tables(fits=True):
                if writer.execute(select(func.count()).select_from(table)).scalar_one():
                    raise BackupError(f"the database holds rows of {table.name} already; restore into an empty one")
            copied = _copy(reader, writer, fits=fits)
            if restored:
                _mark_restored(writer)
            if target.dialect.name == "postgresql":
                _advance_sequences(writer)
            return copied
    finally:
        source.dispose()
        target.dispose()


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose transaction sees one moment of the database."""
    with engine.connect() as connection:
        if has_parts(connection):
            # A fold drops a table, and readers of the fits would wait behind it for the end of this transaction.
            keep_parts(connection)
            connection.commit()
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _tables(*, fits: bool) -> list[Table]:
    """Tables of the catalog and the runs, those that others refer to first."""
    return [table for table in metadata.sorted_tables if fits or table.name not in _OF_FITS]


def _copy(reader: Connection, writer: Connection, *, fits: bool) -> Copied:
    storages = select(_GENERATION.c.fit_table).where(_GENERATION.c.layout == LAYOUT).distinct()
    names = sorted(reader.execute(storages).scalars()) if fits else []
    catalog_rows = sum(_copy_table(reader, writer, table) for table in _tables(fits=fits))
    fit_rows = 0
    for name in names:
        create_storage(writer, checked(name))
        fit_rows += _copy_table(reader, writer, fit_table(name))
        for table in companion_tables(name):
            _copy_table(reader, writer, table)
        for statement in index_statements(name, writer.dialect.name):
            writer.execute(text(statement))
    # Storages of another release's layout are not copied: the copy must not promise them.
    writer.execute(delete(_GENERATION).where(_GENERATION.c.layout != LAYOUT))
    drop_kept(writer, kept_layouts(writer) - {LAYOUT})
    generation = writer.execute(select(func.max(_GENERATION.c.id))).scalar()
    return Copied(catalog_rows, fit_rows, generation)


def _copy_table(reader: Connection, writer: Connection, table: Table) -> int:
    """Copy the rows of ``table`` and compare the copy with its source. Returns how many rows there are."""
    count = 0
    for rows in _portions(reader, table):
        writer.execute(insert(table), [dict(zip(table.columns.keys(), row, strict=True)) for row in rows])
        count += len(rows)
    compared = 0
    for rows, copies in zip_longest(_portions(reader, table), _portions(writer, table)):
        if rows != copies:
            raise BackupError(f"the copy of {table.name} differs from its source within rows {compared:,} and after")
        compared += len(rows or ())
    return count


def _portions(connection: Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of ``table`` in the order of its key, times in UTC on either kind of database."""
    # A fit is told apart by its pairing and the generation that it was born in.
    key = list(table.primary_key.columns) or [table.c[name] for name in ("model_id", "gpu_id", "quant_id", "born")]
    result = connection.execute(select(table).order_by(*key), execution_options={"yield_per": _PORTION})
    for rows in result.partitions():
        yield [tuple(as_utc(value) if isinstance(value, datetime) else value for value in row) for row in rows]


def _advance_sequences(connection: Connection) -> None:
    """Let the sequences of PostgreSQL go on behind the ids that were copied."""
    for table in _tables(fits=True):
        if "id" not in table.c:
            continue
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": f'"{table.name}"'}
        ).scalar()
        last = connection.execute(select(func.max(table.c.id))).scalar()
        if sequence is not None and last is not None:
            connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})


def _mark_restored(connection: Connection) -> None:
    """End what was at work, and set the numbers of the next run and generation beyond those of the lost history.

    No database starts a run a second, so the seconds that have passed are more than were ever started.
    """
    for run_id in connection.execute(select(_RUN.c.id).where(_RUN.c.active == 1)).scalars().all():
        end_run(connection, run_id, RunState.CANCELLED, "the database was restored from a backup")
    connection.execute(delete(table_of(StagedEntry)))
    last = connection.execute(select(func.max(_RUN.c.id), func.max(_RUN.c.generation))).one()
    moment = now(connection)
    seconds = int(moment.timestamp()) - _EPOCH_S
    connection.execute(
        insert(_RUN).values(
            id=max((last[0] or 0) + 1, seconds),
            revision="",
            generation=max(last[1] or 0, seconds),
            cause="restore",
            state=RunState.CANCELLED.value,
            rebuild=False,
            inputs={},
            blocks_total=0,
            cells_total=0,
            blocks_done=0,
            blocks_failed=0,
            cells_done=0,
            created_at=moment,
            finished_at=moment,
        )
    )


def _close_log(path: Path) -> None:
    """Fold the write-ahead log of a SQLite file into it, so that the one file is the whole backup."""
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
