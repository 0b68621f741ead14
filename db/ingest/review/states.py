"""States of the catalog to compare: a folder, the bundled files, a commit of them, and what a database has published."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select

from db.entries.files import CATALOG_ROOT
from db.entries.store import KINDS, entity_table
from db.ingest.review.differences import State, state_of_folder
from db.ingest.snapshots import SourceError

BUNDLED, PUBLISHED, COMMIT = "bundled", "published", "git:"


def state_named(name: str, database_url: str) -> State:
    """The state called ``bundled``, ``published`` (of the database), ``git:REVISION`` (of the bundled folder), or a folder.

    Raises:
        SourceError: there is no such state.
        CatalogError: its files cannot be read.
    """
    if name == BUNDLED:
        return state_of_folder(CATALOG_ROOT)
    if name == PUBLISHED:
        from db.session import sync_engine

        with sync_engine(database_url).connect() as connection:
            return state_of_database(connection)
    if name.startswith(COMMIT):
        return _state_of_commit(name.removeprefix(COMMIT))
    if not Path(name).is_dir():
        raise SourceError(
            f"{name!r:.200} is no folder; a state is a folder, {BUNDLED}, {PUBLISHED} or {COMMIT}REVISION"
        )
    return state_of_folder(Path(name))


def state_of_database(connection: Connection) -> dict[str, dict[str, Any]]:
    """Kind -> slug -> entry of what is published; derivatives are in no database.

    Raises:
        SourceError: the database has no tables yet.
    """
    if not inspect(connection).has_table(entity_table(KINDS[0]).name):
        raise SourceError("nothing is published yet; `fitgraph recompute` reads the bundled catalog into the database")
    state: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        table = entity_table(kind)
        rows = connection.execute(select(table.c.slug, table.c.entry).where(table.c.live))
        state[kind] = {row.slug: row.entry for row in rows}
    return state


def _state_of_commit(revision: str) -> dict[str, dict[str, Any]]:
    if revision.startswith("-"):
        raise SourceError(f"{revision!r:.80} is no revision of git")
    command = ["git", "-C", str(CATALOG_ROOT), "archive", "--format=tar", revision, "."]
    try:
        finished = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise SourceError(f"git does not run: {error.strerror}") from None
    if finished.returncode:
        raise SourceError(f"git: {finished.stderr.decode(errors='replace').strip()[:200]}")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(finished.stdout)) as files:
            files.extractall(folder, filter="data")
        return state_of_folder(Path(folder))
