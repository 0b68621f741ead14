"""Which state of all fits a reader sees: take one generation a request, and hand it to every reader of fits."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

import db
from db.fits import packing
from db.fits.layout import index_statements, storage_name, table_statements
from db.tables import Generation as GenerationTable
from db.tables import table_of
from estimator.types import BACKENDS, ENGINES, EVIDENCES, STATUSES, STRATEGIES, WorkloadKind

_TABLE = table_of(GenerationTable)


@dataclass(frozen=True, slots=True)
class Generation:
    """A published state: its storage, what it holds and when it appeared. ``cells`` are rows times workloads."""

    id: int
    table: str
    revision: str
    published_at: datetime
    rows: int
    cells: int
    unsupported_cells: int
    models: int
    gpus: int
    quants: int
    workloads: int
    run_id: int


def layout_version() -> int:
    """Fingerprint of what is stored, 31 bits: tables and indexes on either database, packing, codes, shapes of entries.

    A change of any of them is another layout without anybody's saying so: a release reads generations of its own
    layout alone, and computes anew what it has none of.
    """
    digest, name = hashlib.blake2b(digest_size=4), storage_name(0)
    for dialect in (postgresql.dialect(), sqlite.dialect()):  # type: ignore[no-untyped-call]
        for statement in (*table_statements(name, dialect), *index_statements(name, dialect.name)):
            digest.update(statement.encode())
    for codes in (WorkloadKind, STATUSES, EVIDENCES, ENGINES, BACKENDS, STRATEGIES):
        digest.update("\n".join(codes).encode())
    # An installed wheel imports by other names than a checkout does.
    lines = Path(str(packing.__file__)).read_bytes().splitlines()
    digest.update(b"\n".join(line for line in lines if not line.startswith(b"from ")))
    for path in sorted((Path(str(db.__file__)).parent / "entries").glob("schema*.py")):
        digest.update(_code_of(path).encode())
    return int.from_bytes(digest.digest()) >> 1


def _code_of(path: Path) -> str:
    """Source of a module without comments, docstrings and imports."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            told = (ast.Expr, ast.Import, ast.ImportFrom)
            node.body = [part for part in node.body if not isinstance(part, told)]
    return ast.unparse(tree)


#: The layout that this release writes and reads.
LAYOUT = layout_version()
#: Id of the newest published state.
NEWEST = f"SELECT max(id) FROM {_TABLE.name} WHERE layout = {LAYOUT}"


def _current() -> Any:
    return select(_TABLE).where(_TABLE.c.layout == LAYOUT).order_by(_TABLE.c.id.desc()).limit(1)


async def current_generation(connection: AsyncConnection) -> Generation | None:
    """The newest published state; None before the first."""
    return generation_of((await connection.execute(_current())).mappings().first())


async def has_other_layouts(connection: AsyncConnection) -> bool:
    """Whether another release has published what this one does not read."""
    others = select(func.count()).select_from(_TABLE).where(_TABLE.c.layout != LAYOUT)
    return bool((await connection.execute(others)).scalar_one())


async def held_generations(connection: AsyncConnection) -> list[Generation]:
    """Published states whose rows are still there, oldest first."""
    rows = await connection.execute(select(_TABLE).where(_TABLE.c.layout == LAYOUT).order_by(_TABLE.c.id))
    return [generation for row in rows.mappings() if (generation := generation_of(row)) is not None]


def current_generation_sync(connection: Connection) -> Generation | None:
    """The newest published state, for workers and the command line."""
    return generation_of(connection.execute(_current()).mappings().first())


def generation_of(row: RowMapping | None) -> Generation | None:
    """A row of the table as a value."""
    if row is None:
        return None
    return Generation(
        id=row["id"],
        table=row["fit_table"],
        revision=row["revision"],
        published_at=as_utc(row["published_at"]),
        rows=row["rows"],
        cells=row["cells"],
        unsupported_cells=row["unsupported_cells"],
        models=row["models"],
        gpus=row["gpus"],
        quants=row["quants"],
        workloads=row["workloads"],
        run_id=row["run_id"],
    )


def as_utc(value: datetime) -> datetime:
    """SQLite gives times back without their zone; they were written in UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
