"""Which state of all fits a reader sees: take one generation a request, and hand it to every reader of fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.fits.layout import LAYOUT
from db.tables import Generation as GenerationTable
from db.tables import table_of

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


#: Id of the newest published state.
NEWEST = f"SELECT max(id) FROM {_TABLE.name} WHERE layout = {LAYOUT}"


def _current() -> Any:
    return select(_TABLE).where(_TABLE.c.layout == LAYOUT).order_by(_TABLE.c.id.desc()).limit(1)


async def current_generation(connection: AsyncConnection) -> Generation | None:
    """The newest published state; None before the first."""
    return generation_of((await connection.execute(_current())).mappings().first())


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
