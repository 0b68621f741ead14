"""Two releases on one database: each reads what it stored, computes what it planned, and leaves the other alone."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

import db
from api.catalog.state import CatalogState
from db.entries.files import Catalog
from db.entries.store import kept_layouts
from db.fits import generations, layout
from db.fits.generations import current_generation_sync, layout_version
from db.runs import backup, publication
from db.runs.backup import back_up
from db.runs.catalog_state import catalog_state
from db.runs.leases import free_blocks
from db.runs.store import RunState, get_run_sync
from db.session import async_engine, sync_engine, upgrade_database, writing
from db.settings import Settings
from tests.support.published_rows import shown
from tests.support.runs import run_in_process
from workers import blocks, plan, publish, runs, tasks
from workers.blocks import compute_one
from workers.plan import plan_run
from workers.publish import drop_old, publish_one
from workers.runs import start_own_run, start_run

#: Switches this process to a release with a layout and a kernel of its own.
Switch = Callable[[str], None]
OLD, NEW = "old", "new"
LAYOUTS = {OLD: 2, NEW: 7}


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Switch:
    def switch(release: str) -> None:
        for module in (backup, generations, publication):
            monkeypatch.setattr(module, "LAYOUT", LAYOUTS[release])
        for module in (blocks, plan, publish):
            monkeypatch.setattr(module, "release_version", lambda: release)
        monkeypatch.setattr(plan, "fits_version", lambda: release)

    switch(OLD)
    return switch


@pytest.fixture
def few(small_catalog: Catalog) -> Catalog:
    models = dict(list(small_catalog.models.items())[:2])
    return dataclasses.replace(small_catalog, models=models, revision="few")


def seen(settings: Settings) -> tuple[int, dict[object, object]] | None:
    """The generation that the present release reads, with its rows."""
    with sync_engine(settings.resolved_database_url).connect() as connection:
        generation = current_generation_sync(connection)
        return None if generation is None else (generation.id, dict(shown(connection, generation)))


def free(settings: Settings, run_id: int) -> list[int]:
    with sync_engine(settings.resolved_database_url).connect() as connection:
        return free_blocks(connection, run_id, settings.lease_s)


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (layout, "BUCKET_SHIFT", 13),
        (layout, "SCORE_SHIFT", 21),
        (layout, "SMALL_COLUMNS", layout.SMALL_COLUMNS - {"plan"}),
        (generations, "STATUSES", generations.STATUSES[::-1]),
    ],
)
def test_any_change_of_the_stored_shape_is_another_layout(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object
) -> None:
    assert layout_version() == generations.LAYOUT
    monkeypatch.setattr(module, name, value)
    assert layout_version() != generations.LAYOUT


def test_an_index_more_or_another_packing_is_another_layout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generations, "index_statements", lambda *_: [])
    assert layout_version() != generations.LAYOUT
    monkeypatch.undo()
    packing = Path(str(generations.packing.__file__)).read_text()
    changed = tmp_path / "packing.py"
    monkeypatch.setattr(generations.packing, "__file__", str(changed))
    changed.write_text(packing.replace("from db.", "from fitgraph.db."))
    assert layout_version() == generations.LAYOUT
    changed.write_text(packing.replace("* 100.0", "* 10.0"))
    assert layout_version() != generations.LAYOUT


def test_another_shape_of_entries_is_another_layout_and_a_comment_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shapes = Path(str(db.__file__)).parent / "entries"
    (tmp_path / "entries").mkdir()
    for path in shapes.glob("schema*.py"):
        (tmp_path / "entries" / path.name).write_text(path.read_text() + "\n# told\n")
    monkeypatch.setattr(db, "__file__", str(tmp_path / "__init__.py"))
    assert layout_version() == generations.LAYOUT
    changed = tmp_path / "entries" / "schema.py"
    changed.write_text(changed.read_text().replace("    nominal_bits: ", "    bits: "))
    assert layout_version() != generations.LAYOUT


def test_up_and_down_again_under_readers(settings: Settings, few: Catalog, become: Switch) -> None:
    run_in_process(settings, few)
    before = seen(settings)
    become(NEW)
    assert seen(settings) is None
    started = start_run(settings, few, enqueue=False)
    assert started.run is not None
    assert "readers keep what is published" in started.plan.describe()
    first, *others = free(settings, started.run.id)
    become(OLD)
    # A worker of the old release meets the run of the new one: it computes and publishes nothing of it.
    compute_one(settings, started.run.id, first)
    assert free(settings, started.run.id) == [first, *others]
    become(NEW)
    for block in (first, *others):
        compute_one(settings, started.run.id, block)
    become(OLD)
    assert not publish_one(settings, started.run.id)
    assert seen(settings) == before
    become(NEW)
    assert publish_one(settings, started.run.id)
    after = seen(settings)
    assert after is not None
    assert before is not None
    assert (after[0], after[1]) == (before[0] + 1, before[1])
    for release, served in ((OLD, before), (NEW, after), (OLD, before)):
        become(release)
        assert drop_old(settings) == 0
        assert seen(settings) == served
    # Down again: what was stored before is served at once, and a run of it leaves the newer release's readers theirs.
    run = run_in_process(settings, few)
    assert run is not None
    assert run.generation == after[0] + 1
    become(NEW)
    assert seen(settings) == after
    become(OLD)
    assert drop_old(settings.model_copy(update={"layout_grace_s": 0.0})) == 1
    become(NEW)
    assert seen(settings) is None


async def read(settings: Settings) -> Catalog:
    """The catalog that a server of the present release serves."""
    state = CatalogState(async_engine(settings.resolved_database_url))
    view = await state.view()
    await state.close()
    assert view.model_ids.keys() == view.catalog.models.keys()
    with sync_engine(settings.resolved_database_url).connect() as connection:
        counted = catalog_state(connection)
    assert view.published.models == counted.models == len(view.catalog.models)
    assert counted.gpus == len(view.catalog.gpus)
    return view.catalog


async def test_each_release_reads_the_entries_that_it_published(
    settings: Settings, small_catalog: Catalog, become: Switch, tmp_path: Path
) -> None:
    def part(first: int, **entries: object) -> Catalog:
        models, gpus = (
            dict(list(kind.items())[first : first + 2]) for kind in (small_catalog.models, small_catalog.gpus)
        )
        return dataclasses.replace(small_catalog, models=models, gpus=gpus, revision=str(first), **entries)

    renamed = {
        slug: {"remarks" if key == "notes" else key: fact for key, fact in entry.items()}
        for slug, entry in small_catalog.quants.items()
    }
    catalogs = {OLD: part(0), NEW: part(1, quants=renamed)}
    published = set()
    for release in (OLD, NEW, OLD, NEW):
        become(release)
        await asyncio.to_thread(run_in_process, settings, catalogs[release], everything=True)
        published.add(release)
        for reader in published:
            become(reader)
            assert await read(settings) == catalogs[reader]
    # A backup of the release before holds its fits with its entries, and no word of the other release.
    become(OLD)
    copy = tmp_path / "backup.db"
    back_up(settings.resolved_database_url, copy, fits=True)
    copied = settings.model_copy(update={"database_url": f"sqlite:///{copy}"})
    assert await read(copied) == catalogs[OLD]
    become(NEW)
    with sync_engine(copied.resolved_database_url).connect() as connection:
        assert kept_layouts(connection) == {LAYOUTS[OLD]}
    # Dropped fits take their entries with them.
    assert drop_old(settings.model_copy(update={"layout_grace_s": 0.0, "generation_grace_s": 0.0}))
    with sync_engine(settings.resolved_database_url).connect() as connection:
        assert kept_layouts(connection) == set()
    assert await read(settings) == catalogs[NEW]


def test_a_generation_is_held_after_its_own_release_replaced_it(
    settings: Settings, few: Catalog, become: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read until that moment, however long ago another release had published beside it."""
    run_in_process(settings, few)
    engine = sync_engine(settings.resolved_database_url)
    with engine.connect() as connection:
        generation = current_generation_sync(connection)
        assert generation is not None
        rows = dict(shown(connection, generation))
    become(NEW)
    run_in_process(settings, few)
    with writing(engine) as connection:
        connection.execute(text("UPDATE generation SET retired_at = '2026-01-01 00:00:00+00:00' WHERE id = 1"))
    become(OLD)
    patient = settings.model_copy(update={"generation_grace_s": 60.0})
    monkeypatch.setattr(publish, "_replaced_for", lambda seconds, url, replaced: replaced)
    run_in_process(patient, few, everything=True)
    assert drop_old(patient) == 0
    with engine.connect() as connection:
        assert dict(shown(connection, generation)) == rows


def test_a_schedule_brings_in_no_release(
    settings: Settings, few: Catalog, become: Switch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_in_process(settings, few)
    become(NEW)
    monkeypatch.setattr(tasks, "get_settings", lambda: settings)
    with caplog.at_level(logging.WARNING):
        tasks._start_scheduled(few, "scheduled refresh")
    assert "fitgraph recompute" in caplog.text
    with sync_engine(settings.resolved_database_url).connect() as connection:
        assert plan_run(few, connection, settings).of_new_release
        assert get_run_sync(connection, 2) is None


def test_a_run_whose_release_is_gone_makes_room(
    settings: Settings, few: Catalog, become: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "wake_workers", lambda *_: None)
    run_in_process(settings, few)
    become(NEW)
    left = start_run(settings, few, enqueue=False).run
    assert left is not None
    become(OLD)
    assert start_run(settings, few, everything=True, enqueue=False).already_running
    # The workers of the newer release are gone: the run is older than a lease, and none is held.
    impatient = settings.model_copy(update={"lease_s": 0.001})
    taken = start_own_run(impatient, few, cause="operator", everything=True)
    assert taken.run is not None
    assert (taken.run.id, taken.run.release, taken.already_running) == (left.id + 1, OLD, False)
    with sync_engine(settings.resolved_database_url).connect() as connection:
        ended = get_run_sync(connection, left.id)
    assert ended is not None
    assert ended.state is RunState.CANCELLED


def test_an_older_release_works_on_a_newer_database(database_url: str) -> None:
    with writing(sync_engine(database_url)) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    upgrade_database(database_url)
    with sync_engine(database_url).connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_migrations_only_add() -> None:
    """A release before must go on reading and writing: nothing is dropped, renamed or narrowed on the way up."""
    scripts = ScriptDirectory(str(Path(str(db.__file__)).parent / "migrations"))
    for script in scripts.walk_revisions():
        upward = Path(script.path).read_text().partition("def upgrade()")[2].partition("def downgrade()")[0]
        verbs = {part.partition("(")[0] for part in upward.split("op.")[1:]}
        assert verbs <= {"f", "create_table", "create_index", "add_column"}, script.revision
