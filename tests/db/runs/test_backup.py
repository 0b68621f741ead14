"""A database goes into a backup and comes back row for row, and its later generations never repeat a lost number."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from db.entries.files import Catalog
from db.fits.generations import current_generation_sync
from db.fits.layout import companion_tables, fit_table
from db.runs.backup import BackupError, _portions, back_up, restore
from db.runs.store import RunState
from db.session import make_engine, upgrade_database
from db.settings import Settings
from db.tables import CatalogRevision, Run, metadata, table_of
from tests.conftest import rebuilt
from tests.support.runs import run_in_process
from workers.runs import start_run

_RUN = table_of(Run)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, small_catalog: Catalog) -> Settings:
    """A SQLite database with one published generation and a run at work."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("served"), database_url="", block_cells=1)
    upgrade_database(settings.resolved_database_url)
    assert run_in_process(settings, small_catalog) is not None
    start_run(settings, small_catalog, everything=True, enqueue=False)
    return settings


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the catalog, the runs and the fits of the newest generation."""
    engine = make_engine(url)
    with engine.connect() as connection:
        generation = current_generation_sync(connection)
        tables = list(metadata.sorted_tables)
        if generation is not None:
            tables += [fit_table(generation.table), *companion_tables(generation.table)]
        rows = {table.name: [row for rows in _portions(connection, table) for row in rows] for table in tables}
    engine.dispose()
    return rows


def test_every_row_comes_back_on_either_database(served: Settings, empty_database_url: str, tmp_path: Path) -> None:
    original = rows_of(served.resolved_database_url)
    copied = back_up(served.resolved_database_url, tmp_path / "backup.db", fits=True)
    assert copied.fit_rows == len(original["fit_1"]) > 100
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.db"]
    assert rows_of(f"sqlite:///{tmp_path / 'backup.db'}") == original
    assert restore(tmp_path / "backup.db", empty_database_url) == copied
    restored = rows_of(empty_database_url)
    # The way back: a backup of the restored database, of either kind, holds the same rows.
    again = back_up(empty_database_url, tmp_path / "again.db", fits=True)
    assert (again.fit_rows, again.generation) == (copied.fit_rows, copied.generation)
    assert rows_of(f"sqlite:///{tmp_path / 'again.db'}") == restored
    # The run that was at work has ended, and a mark says where the numbers go on.
    assert [row[2:6] for row in restored.pop("run")][1:] != [row[2:6] for row in original.pop("run")][1:]
    assert restored.pop("staged_entry") == []
    original.pop("staged_entry")
    assert restored == original


def test_generations_after_a_restore_have_numbers_of_their_own(
    served: Settings, empty_database_url: str, tmp_path: Path, small_catalog: Catalog
) -> None:
    back_up(served.resolved_database_url, tmp_path / "backup.db", fits=True)
    restore(tmp_path / "backup.db", empty_database_url)
    settings = served.model_copy(update={"database_url": empty_database_url})
    engine = make_engine(empty_database_url)
    with engine.connect() as connection:
        before = current_generation_sync(connection)
        assert connection.execute(select(func.count()).select_from(_RUN).where(_RUN.c.active == 1)).scalar() == 0
    assert before is not None
    # Nothing is computed again of what the backup holds.
    assert run_in_process(settings, small_catalog) is None
    slug, entry = next(iter(small_catalog.models.items()))
    changed = dataclasses.replace(
        small_catalog, models=dict(small_catalog.models) | {slug: dict(entry) | {"context_tokens": 4096}}
    )
    run = run_in_process(settings, rebuilt(changed))
    assert run is not None
    assert run.state is RunState.PUBLISHED
    assert run.generation is not None
    assert run.generation > before.id + 1_000_000
    assert run.id > before.run_id + 1_000_000
    engine.dispose()


def test_a_backup_without_fits_leads_to_a_recompute_of_everything(
    served: Settings, empty_database_url: str, tmp_path: Path, small_catalog: Catalog
) -> None:
    copied = back_up(served.resolved_database_url, tmp_path / "backup.db", fits=False)
    assert (copied.fit_rows, copied.generation) == (0, None)
    restore(tmp_path / "backup.db", empty_database_url)
    run = run_in_process(served.model_copy(update={"database_url": empty_database_url}), small_catalog)
    assert run is not None
    assert run.blocks_done == len(small_catalog.models)


def test_what_is_in_the_way_is_left_alone(served: Settings, tmp_path: Path, database_url: str) -> None:
    path = tmp_path / "backup.db"
    path.write_text("not a database")
    with pytest.raises(BackupError, match="exists already"):
        back_up(served.resolved_database_url, path, fits=False)
    with pytest.raises(BackupError, match="is not a backup"):
        restore(path, database_url)
    with pytest.raises(BackupError, match="is not a file"):
        restore(tmp_path / "absent.db", database_url)
    path.unlink()
    back_up(served.resolved_database_url, path, fits=False)
    engine = make_engine(database_url)
    with engine.begin() as connection:
        values = {"revision": "a", "run_id": 1, "published_at": func.now()}
        connection.execute(insert(table_of(CatalogRevision)).values(values))
    engine.dispose()
    with pytest.raises(BackupError, match="holds rows of catalog_revision already"):
        restore(path, database_url)


def test_a_difference_is_an_error(served: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import db.runs.backup as backup

    original = backup._portions

    def losing(connection: Any, table: Any) -> Any:
        portions = list(original(connection, table))
        is_copy = "backup.db" in str(connection.engine.url)
        return iter([rows[:-1] if is_copy else rows for rows in portions])

    monkeypatch.setattr(backup, "_portions", losing)
    with pytest.raises(BackupError, match="differs from its source"):
        backup.back_up(served.resolved_database_url, tmp_path / "backup.db", fits=False)
    assert list(tmp_path.glob("*.db")) == []
