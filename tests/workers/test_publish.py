"""Publications on a small catalog: parts, folds, and what is dropped when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from db.entries.files import Catalog
from db.fits.parts import parts_of
from db.runs import store
from db.runs.leases import free_blocks
from db.runs.publication import fold_one, prepare
from db.session import writing
from db.settings import Settings
from tests.support.published_rows import computed_alone, generation_of, rows_by_slug
from tests.support.runs import run_in_process
from workers import publish
from workers.blocks import compute_one
from workers.publish import drop_old, fold_parts
from workers.runs import cancel_run, start_run

Edit = Callable[..., Catalog]


@pytest.mark.postgres
@pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
def test_an_update_is_a_part_until_it_is_folded(
    settings: Settings, small_catalog: Catalog, connection: Connection, edited: Edit, without: Edit, tmp_path: Any
) -> None:
    """A part shows the same as the storage that it is folded into, and is gone with its rows from there."""
    run_in_process(settings, without(small_catalog, "models", "llama-3-8b"))
    live = generation_of(connection).table
    connection.rollback()
    assert not fold_parts(settings)
    run_in_process(settings, small_catalog)
    slower = edited(small_catalog, "gpus", "rtx-3060-12-gb", bandwidth_gbps=100.0)
    run_in_process(settings, slower)
    expected = computed_alone(slower, tmp_path / "alone")
    assert generation_of(connection).table == live
    assert len(parts_of(connection, live)) == 2
    assert rows_by_slug(connection) == expected
    # Too early, and too few of them.
    assert not fold_parts(settings)
    with writing(connection.engine) as write:
        assert fold_one(write, quiet_s=0.0, most=8)
    assert len(parts_of(connection, live)) == 1
    assert rows_by_slug(connection) == expected
    with writing(connection.engine) as write:
        assert fold_one(write, quiet_s=3600.0, most=0)
        assert not fold_one(write, quiet_s=0.0, most=0)
    assert rows_by_slug(connection) == expected
    own = connection.execute(text(f"SELECT count(*) FROM ONLY {live} WHERE died = 0")).scalar()
    connection.rollback()
    assert own == len(expected)
    # A rebuild drops a storage with the parts that it still has.
    run_in_process(settings, edited(slower, "models", "gemma-3-27b", n_layers=40))
    run_in_process(settings, slower, everything=True)
    left = connection.execute(
        text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^fit_[0-9]+'")
    ).all()
    assert {row[0].split("_")[1] for row in left} == {generation_of(connection).table.split("_")[1]}


@pytest.mark.postgres
@pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
def test_indexes_are_built_by_one_process_beside_readers(settings: Settings, small_catalog: Catalog) -> None:
    built: list[tuple[int, str]] = []

    def look(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("SET LOCAL max_parallel", "CREATE INDEX", "CREATE STATISTICS")):
            built.append((threading.get_ident(), statement.split()[2]))

    event.listen(Engine, "before_cursor_execute", look)
    try:
        run_in_process(settings, small_catalog)
        first = list(built)
        built.clear()
        run_in_process(settings, small_catalog, everything=True)
    finally:
        event.remove(Engine, "before_cursor_execute", look)
    assert {word for _, word in first} == {"IF"}
    assert len({thread for thread, _ in built}) == 1
    assert [word for _, word in built] == ["max_parallel_maintenance_workers", "IF"] * len(first)


@pytest.mark.postgres
@pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
def test_a_run_cancelled_before_its_publication_leaves_no_part(
    settings: Settings, small_catalog: Catalog, connection: Connection, without: Edit
) -> None:
    run_in_process(settings, without(small_catalog, "models", "llama-3-8b"))
    before, live = rows_by_slug(connection), generation_of(connection).table
    connection.rollback()
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    for block in free_blocks(connection, result.run.id, settings.lease_s):
        compute_one(settings, result.run.id, block)
    connection.rollback()
    with writing(connection.engine) as write:
        prepare(write, result.run.id)
        prepare(write, result.run.id)
    assert len(parts_of(connection, live)) == 1
    assert rows_by_slug(connection) == before
    connection.rollback()
    # Its publication still needs it, however long that takes.
    with writing(connection.engine) as write:
        assert not fold_one(write, quiet_s=0.0, most=0)
    assert cancel_run(settings, result.run.id)
    assert parts_of(connection, live) == []
    assert rows_by_slug(connection) == before


def test_a_jump_of_the_clock_takes_no_generation_from_its_readers(
    settings: Settings, small_catalog: Catalog, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = settings.model_copy(update={"generation_grace_s": 60.0})
    for _ in range(2):
        run_in_process(patient, small_catalog, everything=True)
    moment, since = store.moment_of(connection), time.monotonic()
    for jump_s in (36_000.0, -36_000.0):
        monkeypatch.setattr(store, "moment_of", lambda _, jump_s=jump_s: moment + jump_s)
        assert drop_old(patient) == 0
    # By its own clock this process has seen the grace pass, and a time of retirement in the future holds up nothing.
    monkeypatch.setattr(time, "monotonic", lambda: since + 120.0)
    assert drop_old(patient) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("empty_database_url", ["postgres"], indirect=True)
def test_nothing_is_cleaned_up_before_readers(
    settings: Settings,
    small_catalog: Catalog,
    connection: Connection,
    edited: Edit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long reader, as a dump is, holds up the clean-up; the clean-up holds up no other reader."""
    run_in_process(settings, small_catalog)
    run_in_process(settings, edited(small_catalog, "gpus", "rtx-3060-12-gb", bandwidth_gbps=100.0))
    live = generation_of(connection).table
    assert len(parts_of(connection, live)) == 1
    connection.rollback()
    monkeypatch.setattr(publish, "QUIET_S", 0.0)
    with connection.engine.connect() as reader:
        reader.execute(text(f"SELECT count(*) FROM {live}"))
        assert not fold_parts(settings)
        run_in_process(settings, small_catalog, everything=True)
        assert drop_old(settings) == 0
        connection.rollback()
        connection.execute(text("SET lock_timeout = 1"))
        assert connection.execute(text(f"SELECT count(*) FROM {live}")).scalar()
        connection.execute(text("SET lock_timeout = 0"))
        connection.rollback()
    assert drop_old(settings) == 1
