"""The rows of a published generation, and of a reference that one process computes alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from db.entries.files import Catalog
from db.fits.generations import Generation, current_generation_sync
from db.runs.store import RunState
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.runs import run_in_process

Key = tuple[str, str, str]
Rows = dict[Key, tuple[Any, ...]]

#: The columns of a pairing, its own and those that pairings share.
_SHOWN = (
    "f.flags, f.decode_0, f.decode_1, f.decode_4, f.ttft_1, f.safe_2, f.score_0, f.score_3, f.rest, "
    "substr(q.plans, f.plan * 200 + 1, 200), substr(q.bands, f.band * 96 + 1, 96), q.file_size_bytes, q.weights_bytes, "
    "u.usable_bytes, u.capacity_bytes"
)
#: Condition on a row ``f`` of the generation ``:g``.
VISIBLE = "f.born <= :g AND (f.died = 0 OR f.died > :g)"


def computed_alone(catalog: Catalog, folder: Path) -> Rows:
    """The rows of ``catalog``, computed in an empty database by this process alone."""
    settings = Settings(state_dir=folder, database_url="", redis_url="")
    upgrade_database(settings.resolved_database_url)
    run = run_in_process(settings, catalog)
    if run is None or run.state is not RunState.PUBLISHED:
        raise RuntimeError(f"the reference was not published: {run}")
    engine = sync_engine(settings.resolved_database_url)
    with engine.connect() as connection:
        generation = current_generation_sync(connection)
        rows = {} if generation is None else dict(shown(connection, generation))
    engine.dispose()
    return rows


def shown(connection: Connection, generation: Generation) -> list[tuple[Key, tuple[Any, ...]]]:
    """Every visible row of a generation with the slugs of its pairing; a doubled row appears twice."""
    rows = connection.execute(
        text(
            f"SELECT m.slug, g.slug, n.slug, {_SHOWN} FROM {generation.table} f JOIN model m ON m.id = f.model_id "
            f"JOIN gpu g ON g.id = f.gpu_id JOIN quant n ON n.id = f.quant_id JOIN {generation.table}_quant q "
            "ON q.model_id = f.model_id AND q.quant_id = f.quant_id AND q.born = f.born "
            f"JOIN {generation.table}_gpu u ON u.gpu_id = f.gpu_id AND u.engine = ((f.flags >> 20) & 15) AND u.born = f.born "
            f"WHERE {VISIBLE}"
        ),
        {"g": generation.id},
    ).all()
    return [((row[0], row[1], row[2]), tuple(row[3:])) for row in rows]


def generation_of(connection: Connection) -> Generation:
    """The current generation, read anew."""
    connection.rollback()
    generation = current_generation_sync(connection)
    assert generation is not None
    return generation


def rows_by_slug(connection: Connection, generation: Generation | None = None) -> Rows:
    """All that a generation (the current one) shows, each pairing once."""
    generation_shown = generation or generation_of(connection)
    visible = shown(connection, generation_shown)
    connection.rollback()
    rows = dict(visible)
    assert len(rows) == len(visible) == generation_shown.rows
    return rows


@dataclasses.dataclass
class Difference:
    """Rows that differ between a published table and the expected table."""

    lost: int = 0
    doubled: int = 0

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled)


def difference(connection: Connection, expected: Rows) -> Difference:
    """Compare the newest generation with ``expected``, row for row; wrong or missing rows are lost."""
    generation = current_generation_sync(connection)
    if generation is None:
        return Difference(lost=len(expected))
    rows = shown(connection, generation)
    unique = dict(rows)
    wrong = sum(unique.get(key) != row for key, row in expected.items()) + len(unique.keys() - expected.keys())
    return Difference(lost=wrong + abs(generation.rows - len(expected)), doubled=len(rows) - len(unique))
