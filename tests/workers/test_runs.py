"""Runs on a small catalog: what is recomputed, what is published, and what stays when something fails."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db.entries.files import Catalog, CatalogError
from db.entries.store import ids_of
from db.fits.generations import Generation, current_generation_sync
from db.fits.layout import SLOT_COUNT
from db.fits.parts import parts_of
from db.runs import store
from db.runs.catalog_state import catalog_state
from db.runs.leases import free_blocks
from db.runs.publication import fold_one, prepare
from db.runs.store import RunState, failed_blocks_sync, get_run_sync, page_runs_sync
from db.session import sync_engine, upgrade_database, writing
from db.settings import Settings
from tests.support.runs import run_in_process
from workers import blocks, compute, publish, runs, tasks
from workers.blocks import compute_one
from workers.kernel import release_version
from workers.plan import plan_run
from workers.publish import drop_old, fold_parts, publish_one
from workers.runs import cancel_run, start_run

Edit = Callable[..., Catalog]
_DATA = (
    "f.flags, f.decode_0, f.decode_4, f.ttft_1, f.safe_2, f.score_3, f.rest, substr(q.plans, f.plan * 200 + 1, 200), "
    "substr(q.bands, f.band * 96 + 1, 96), q.file_size_bytes, q.weights_bytes, u.usable_bytes, u.capacity_bytes"
)


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    with sync_engine(settings.resolved_database_url).connect() as opened:
        yield opened


def generation_of(connection: Connection) -> Generation:
    connection.rollback()
    found = current_generation_sync(connection)
    assert found is not None
    return found


def rows_by_slug(
    connection: Connection, generation: Generation | None = None
) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """Everything that a generation shows, by slugs, so that two databases can be compared."""
    seen = generation or generation_of(connection)
    found = connection.execute(
        text(
            f"SELECT m.slug, g.slug, n.slug, {_DATA} FROM {seen.table} f JOIN model m ON m.id = f.model_id "
            f"JOIN gpu g ON g.id = f.gpu_id JOIN quant n ON n.id = f.quant_id JOIN {seen.table}_quant q "
            "ON q.model_id = f.model_id AND q.quant_id = f.quant_id AND q.born = f.born "
            f"JOIN {seen.table}_gpu u ON u.gpu_id = f.gpu_id AND u.engine = ((f.flags >> 20) & 15) AND u.born = f.born "
            "WHERE f.born <= :g AND (f.died = 0 OR f.died > :g)"
        ),
        {"g": seen.id},
    ).all()
    connection.rollback()
    rows = {tuple(row[:3]): tuple(row[3:]) for row in found}
    assert len(rows) == len(found) == seen.rows
    return rows


def computed_alone(catalog: Catalog, tmp_path: Any) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """The same, computed from nothing in another database."""
    fresh = Settings(state_dir=tmp_path / "alone", database_url="")
    upgrade_database(fresh.resolved_database_url)
    run_in_process(fresh, catalog)
    engine = sync_engine(fresh.resolved_database_url)
    with engine.connect() as connection:
        rows = rows_by_slug(connection)
    engine.dispose()
    return rows


def test_first_run_publishes_every_pairing(settings: Settings, small_catalog: Catalog, connection: Connection) -> None:
    assert current_generation_sync(connection) is None
    run = run_in_process(settings, small_catalog)
    assert run is not None
    assert (run.state, run.blocks_done, run.blocks_failed) == (RunState.PUBLISHED, len(small_catalog.models), 0)
    assert run.cells_done == run.cells_total
    seen = generation_of(connection)
    assert seen.revision == small_catalog.revision
    assert len(rows_by_slug(connection)) == seen.rows == seen.cells // SLOT_COUNT
    product = seen.models * seen.gpus * seen.quants * SLOT_COUNT
    assert seen.cells + seen.unsupported_cells == product == run.cells_total
    state = catalog_state(connection)
    assert (state.models, state.gpus, state.quants) == tuple(
        len(each) for each in (small_catalog.models, small_catalog.gpus, small_catalog.quants)
    )


def test_unchanged_catalog_starts_nothing(settings: Settings, small_catalog: Catalog, connection: Connection) -> None:
    run_in_process(settings, small_catalog)
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is None
    assert result.plan.is_empty
    assert "nothing changed" in result.plan.describe()
    assert len(page_runs_sync(connection)) == 1


def test_a_new_name_recomputes_nothing(
    settings: Settings, small_catalog: Catalog, connection: Connection, edited: Edit
) -> None:
    run_in_process(settings, small_catalog)
    before = rows_by_slug(connection)
    run = run_in_process(settings, edited(small_catalog, "models", "llama-3-8b", name="Llama III"))
    assert run is not None
    assert (run.state, run.blocks_total) == (RunState.PUBLISHED, 0)
    assert rows_by_slug(connection) == before
    assert connection.execute(text("SELECT name FROM model WHERE slug = 'llama-3-8b'")).scalar() == "Llama III"


def test_a_changed_gpu_touches_its_own_rows(
    settings: Settings, small_catalog: Catalog, connection: Connection, edited: Edit, tmp_path: Any
) -> None:
    run_in_process(settings, small_catalog)
    first, before = generation_of(connection), rows_by_slug(connection)
    slower = edited(small_catalog, "gpus", "rtx-3060-12-gb", bandwidth_gbps=100.0)
    plan = plan_run(slower, connection, settings)
    assert not plan.rebuild
    assert {block.gpus for block in plan.blocks} == {("rtx-3060-12-gb",)}
    connection.rollback()
    patient = settings.model_copy(update={"generation_grace_s": 3600.0})
    run_in_process(patient, slower)
    after = rows_by_slug(connection)
    assert after == computed_alone(slower, tmp_path)
    assert {key[1] for key in after if after[key] != before[key]} == {"rtx-3060-12-gb"}
    # Whoever still reads the first generation sees what it was.
    assert rows_by_slug(connection, first) == before
    assert generation_of(connection).table == first.table
    connection.rollback()
    drop_old(settings)
    dead = connection.execute(text(f"SELECT count(*) FROM {first.table} WHERE died <> 0")).scalar()
    assert dead == 0
    assert rows_by_slug(connection) == after


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
    expected = computed_alone(slower, tmp_path)
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


def test_models_come_change_and_go(
    settings: Settings, small_catalog: Catalog, connection: Connection, edited: Edit, without: Edit, tmp_path: Any
) -> None:
    smaller = without(small_catalog, "models", "llama-3-8b")
    run_in_process(settings, smaller)
    plan = plan_run(small_catalog, connection, settings)
    connection.rollback()
    assert [block.models for block in plan.blocks] == [("llama-3-8b",)]
    run_in_process(settings, small_catalog)
    assert rows_by_slug(connection) == computed_alone(small_catalog, tmp_path / "a")
    run_in_process(settings, without(small_catalog, "models", "gemma-3-27b"))
    assert "gemma-3-27b" not in {key[0] for key in rows_by_slug(connection)}
    run_in_process(settings, small_catalog)
    assert rows_by_slug(connection) == computed_alone(small_catalog, tmp_path / "b")
    thin = edited(small_catalog, "models", "llama-3-8b", hidden_size=None)
    run_in_process(settings, thin)
    assert "llama-3-8b" not in {key[0] for key in rows_by_slug(connection)}
    missing = connection.execute(text("SELECT estimated, missing_fact FROM model WHERE slug = 'llama-3-8b'")).one()
    assert (bool(missing[0]), missing[1]) == (False, "hidden_size")


def test_everything_is_recomputed_when_asked_for(
    settings: Settings, small_catalog: Catalog, connection: Connection
) -> None:
    run_in_process(settings, small_catalog)
    first, before = generation_of(connection), rows_by_slug(connection)
    connection.rollback()
    run = run_in_process(settings, small_catalog, everything=True)
    assert run is not None
    assert run.blocks_done == len(small_catalog.models)
    assert generation_of(connection).table != first.table
    assert rows_by_slug(connection) == before
    connection.rollback()
    drop_old(settings)
    tables = connection.execute(text("SELECT count(*) FROM generation")).scalar()
    assert tables == 1


def test_a_changed_workload_recomputes_everything(
    settings: Settings, small_catalog: Catalog, connection: Connection, edited: Edit
) -> None:
    run_in_process(settings, small_catalog)
    slug = next(iter(small_catalog.workloads))
    plan = plan_run(edited(small_catalog, "workloads", slug, patience_ttft_ms=1234), connection, settings)
    assert plan.rebuild
    assert {slug for block in plan.blocks for slug in block.models} == set(small_catalog.models)


def break_model(monkeypatch: pytest.MonkeyPatch, slug: str, small_catalog: Catalog) -> None:
    honest = compute.evaluate_block

    def evaluate(model: Any, *rest: Any) -> Any:
        if model.slug == slug:
            raise ArithmeticError("poison")
        return honest(model, *rest)

    monkeypatch.setattr(compute, "evaluate_block", evaluate)


@pytest.mark.parametrize("rebuild", [True, False])
def test_a_poison_block_is_set_aside_and_its_rows_stay_served(
    settings: Settings,
    small_catalog: Catalog,
    connection: Connection,
    edited: Edit,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    rebuild: bool,
) -> None:
    run_in_process(settings, small_catalog)
    before = rows_by_slug(connection)
    connection.rollback()
    changed = edited(small_catalog, "gpus", "rtx-3060-12-gb", bandwidth_gbps=100.0)
    with monkeypatch.context() as broken:
        break_model(broken, "gemma-3-27b", changed)
        run = run_in_process(settings, changed, everything=rebuild)
    assert run is not None
    assert (run.state, run.blocks_failed) == (RunState.PARTIAL, 1)
    assert "poison" in (run.error or "")
    assert [block.attempts for block in failed_blocks_sync(connection, run.id)] == [settings.block_attempts]
    whole = computed_alone(changed, tmp_path)
    for key, row in rows_by_slug(connection).items():
        assert row == (before if key[0] == "gemma-3-27b" else whole)[key]
    connection.rollback()
    # The next run repairs what was set aside, and only that.
    plan = plan_run(changed, connection, settings)
    connection.rollback()
    assert [block.models for block in plan.blocks] == [("gemma-3-27b",)]
    repaired = run_in_process(settings, changed)
    assert repaired is not None
    assert repaired.state is RunState.PUBLISHED
    assert rows_by_slug(connection) == whole


def test_a_run_without_any_good_block_publishes_nothing(
    settings: Settings, small_catalog: Catalog, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ArithmeticError("poison")

    monkeypatch.setattr(compute, "evaluate_block", fail)
    run = run_in_process(settings, small_catalog)
    assert run is not None
    assert run.state is RunState.FAILED
    assert current_generation_sync(connection) is None


def test_two_operators_at_once_share_one_run(settings: Settings, small_catalog: Catalog) -> None:
    first = start_run(settings, small_catalog, enqueue=False)
    second = start_run(settings, small_catalog, enqueue=False)
    assert first.run is not None
    assert second.run is not None
    assert (second.run.id, second.already_running) == (first.run.id, True)


def test_a_cancelled_run_publishes_nothing(
    settings: Settings, small_catalog: Catalog, connection: Connection, without: Edit
) -> None:
    smaller = without(small_catalog, "models", "llama-3-8b")
    run_in_process(settings, smaller)
    before = rows_by_slug(connection)
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    free = free_blocks(connection, result.run.id, settings.lease_s)
    connection.rollback()
    assert cancel_run(settings, result.run.id)
    assert not cancel_run(settings, result.run.id)
    assert not compute_one(settings, result.run.id, free[0])
    assert not publish_one(settings, result.run.id)
    assert rows_by_slug(connection) == before
    assert "llama-3-8b" in ids_of(connection, "model")
    assert connection.execute(text("SELECT live FROM model WHERE slug = 'llama-3-8b'")).scalar() in (False, 0)
    connection.rollback()
    assert run_in_process(settings, small_catalog) is not None


def test_a_block_delivered_twice_is_stored_once(
    settings: Settings, small_catalog: Catalog, connection: Connection, tmp_path: Any
) -> None:
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    free = free_blocks(connection, result.run.id, settings.lease_s)
    connection.rollback()
    for block in [*free, *free]:
        compute_one(settings, result.run.id, block)
    assert publish_one(settings, result.run.id)
    assert not publish_one(settings, result.run.id)
    assert rows_by_slug(connection) == computed_alone(small_catalog, tmp_path)


def test_a_worker_that_lost_its_lease_stores_nothing(
    settings: Settings, small_catalog: Catalog, connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    block = free_blocks(connection, result.run.id, settings.lease_s)[0]
    connection.rollback()
    short = settings.model_copy(update={"lease_s": 1e-6})
    honest = blocks.compute_rows
    calls: list[int] = []

    def overtaken(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            # While this worker computes, its lease runs out and another one does the block.
            compute_one(settings, result.run.id, block)  # type: ignore[union-attr]
        return honest(*arguments)

    monkeypatch.setattr(blocks, "compute_rows", overtaken)
    compute_one(short, result.run.id, block)
    assert len(calls) == 2
    for rest in free_blocks(connection, result.run.id, settings.lease_s):
        connection.rollback()
        compute_one(settings, result.run.id, rest)
    connection.rollback()
    assert publish_one(settings, result.run.id)
    assert rows_by_slug(connection) == computed_alone(small_catalog, tmp_path)


def test_a_block_whose_workers_die_is_set_aside(
    settings: Settings, small_catalog: Catalog, connection: Connection
) -> None:
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    block = free_blocks(connection, result.run.id, settings.lease_s)[0]
    connection.rollback()
    silent = settings.model_copy(update={"lease_s": -1.0})
    from db.runs.leases import claim_block
    from db.session import writing

    for _ in range(settings.block_attempts):
        with writing(sync_engine(settings.resolved_database_url)) as write:
            claimed = claim_block(write, block, "dead", silent.lease_s, settings.block_attempts, release_version())
            assert claimed is not None
    compute_one(settings, result.run.id, block)
    failed = failed_blocks_sync(connection, result.run.id)
    assert [each.id for each in failed] == [block]
    assert "died" in (failed[0].error or "")


def test_progress_is_counted_while_a_run_works(
    settings: Settings, small_catalog: Catalog, connection: Connection
) -> None:
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    run_id = result.run.id
    free = free_blocks(connection, run_id, settings.lease_s)
    connection.rollback()
    compute_one(settings, run_id, free[0])
    run = get_run_sync(connection, run_id)
    assert run is not None
    assert (run.state, run.blocks_done, run.generation) == (RunState.RUNNING, 1, None)
    assert 0 < run.cells_done < run.cells_total
    assert run.eta_s is not None


def test_plan_says_what_it_would_do(settings: Settings, small_catalog: Catalog, connection: Connection) -> None:
    plan = plan_run(small_catalog, connection, settings)
    said = plan.describe()
    assert "nothing is published yet" in said
    assert f"{plan.cells:,} pairings" in said
    assert not dataclasses.asdict(plan)["changed"]["model"].keys() ^ small_catalog.models.keys()


def test_a_worker_keeps_nothing_of_the_models_it_computed(
    settings: Settings, small_catalog: Catalog, connection: Connection
) -> None:
    """What a worker remembers must not grow with the catalog."""
    from estimator.placement.demand import needs
    from estimator.placement.layer_sums import _model_tables

    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    free = free_blocks(connection, result.run.id, settings.lease_s)
    connection.rollback()
    compute_one(settings, result.run.id, free[0])
    assert (len(_model_tables), len(needs)) == (0, 0)


def test_the_scheduled_refresh_recomputes_what_changed_and_nothing_else(
    settings: Settings,
    small_catalog: Catalog,
    edited: Edit,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_in_process(settings, small_catalog)
    files: list[Catalog | Exception] = []
    woken: list[int] = []

    def read() -> Catalog:
        if isinstance(files[-1], Exception):
            raise files[-1]
        return files[-1]

    def asked() -> list[str]:
        connection.rollback()
        return [run.cause for run in page_runs_sync(connection)]

    monkeypatch.setattr("db.entries.check.load_checked_catalog", read)
    monkeypatch.setattr(tasks, "get_settings", lambda: settings)
    monkeypatch.setattr(runs, "wake_workers", lambda _settings, run_id: woken.append(run_id))
    before = asked()
    for unchanged in (small_catalog, CatalogError([])):
        files.append(unchanged)
        tasks.refresh_catalog()
        assert (asked(), woken) == (before, [])
    files.append(edited(small_catalog, "gpus", "rtx-4090", bandwidth_gbps=2000))
    tasks.refresh_catalog()
    assert asked() == ["scheduled refresh", *before]
    assert woken == [page_runs_sync(connection)[0].id]


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
