"""Runs on a small catalog: what is recomputed, what is published, and what stays when something fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db.entries import store
from db.entries.files import Catalog, CatalogError
from db.entries.store import ids_of
from db.fits.generations import current_generation_sync
from db.fits.layout import SLOT_COUNT
from db.runs.catalog_state import catalog_state
from db.runs.leases import free_blocks
from db.runs.store import RunState, failed_blocks_sync, get_run_sync, page_runs_sync
from db.session import sync_engine, writing
from db.settings import Settings
from estimator.calibration.coefficients import Calibration
from estimator.grid import evaluate_block
from tests.support.published_rows import computed_alone, generation_of, rows_by_slug
from tests.support.runs import run_in_process
from workers import blocks, compute, runs, tasks
from workers.blocks import compute_one
from workers.kernel import release_version
from workers.plan import plan_run
from workers.publish import drop_old, publish_one
from workers.runs import cancel_run, start_run

Edit = Callable[..., Catalog]


def test_first_run_publishes_every_pairing(settings: Settings, small_catalog: Catalog, connection: Connection) -> None:
    assert current_generation_sync(connection) is None
    run = run_in_process(settings, small_catalog)
    assert run is not None
    assert (run.state, run.blocks_done, run.blocks_failed) == (RunState.PUBLISHED, len(small_catalog.models), 0)
    assert run.cells_done == run.cells_total
    generation = generation_of(connection)
    assert generation.revision == small_catalog.revision
    assert len(rows_by_slug(connection)) == generation.rows == generation.cells // SLOT_COUNT
    product = generation.models * generation.gpus * generation.quants * SLOT_COUNT
    assert generation.cells + generation.unsupported_cells == product == run.cells_total
    state = catalog_state(connection)
    assert (state.models, state.gpus, state.quants) == tuple(
        len(entities) for entities in (small_catalog.models, small_catalog.gpus, small_catalog.quants)
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
    assert after == computed_alone(slower, tmp_path / "alone")
    assert {key[1] for key in after if after[key] != before[key]} == {"rtx-3060-12-gb"}
    # A reader of the first generation sees it as it was.
    assert rows_by_slug(connection, first) == before
    assert generation_of(connection).table == first.table
    connection.rollback()
    drop_old(settings)
    dead = connection.execute(text(f"SELECT count(*) FROM {first.table} WHERE died <> 0")).scalar()
    assert dead == 0
    assert rows_by_slug(connection) == after


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


def test_more_models_go_than_one_list_of_slugs_holds(
    settings: Settings, small_catalog: Catalog, connection: Connection, without: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_in_process(settings, small_catalog)
    monkeypatch.setattr(store, "_PORTION", 1)
    gone, kept = list(small_catalog.models)[:2], list(small_catalog.models)[2:]
    fewer = without(without(small_catalog, "models", gone[0]), "models", gone[1])
    plan = plan_run(fewer, connection, settings)
    connection.rollback()
    assert plan.retired == tuple(sorted(gone))
    # A run says what differs, and nothing of the models that stay.
    assert plan.inputs["model"] == dict.fromkeys(sorted(gone))
    run_in_process(settings, fewer)
    assert {key[0] for key in rows_by_slug(connection)} == set(kept)
    assert plan_run(fewer, connection, settings).is_empty


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
    honest = evaluate_block

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
    complete = computed_alone(changed, tmp_path / "alone")
    for key, row in rows_by_slug(connection).items():
        assert row == (before if key[0] == "gemma-3-27b" else complete)[key]
    connection.rollback()
    # The next run repairs what was set aside, and only that.
    plan = plan_run(changed, connection, settings)
    connection.rollback()
    assert [block.models for block in plan.blocks] == [("gemma-3-27b",)]
    repaired = run_in_process(settings, changed)
    assert repaired is not None
    assert repaired.state is RunState.PUBLISHED
    assert rows_by_slug(connection) == complete


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
    assert rows_by_slug(connection) == computed_alone(small_catalog, tmp_path / "alone")


def test_a_worker_that_lost_its_lease_stores_nothing(
    settings: Settings, small_catalog: Catalog, connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    block = free_blocks(connection, result.run.id, settings.lease_s)[0]
    connection.rollback()
    short = settings.model_copy(update={"lease_s": 1e-6})
    honest = compute.compute_rows
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
    assert rows_by_slug(connection) == computed_alone(small_catalog, tmp_path / "alone")


def test_a_block_whose_workers_die_is_set_aside(
    settings: Settings, small_catalog: Catalog, connection: Connection
) -> None:
    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    block = free_blocks(connection, result.run.id, settings.lease_s)[0]
    connection.rollback()
    silent = settings.model_copy(update={"lease_s": -1.0})
    from db.runs.leases import claim_block

    for _ in range(settings.block_attempts):
        with writing(sync_engine(settings.resolved_database_url)) as write:
            claimed = claim_block(write, block, "dead", silent.lease_s, settings.block_attempts, release_version())
            assert claimed is not None
    compute_one(settings, result.run.id, block)
    failed = failed_blocks_sync(connection, result.run.id)
    assert [failure.id for failure in failed] == [block]
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
    description = plan.describe()
    assert "nothing is published yet" in description
    assert f"{plan.cells:,} pairings" in description
    assert not dataclasses.asdict(plan)["changed"]["model"].keys() ^ small_catalog.models.keys()


def test_a_worker_keeps_nothing_of_the_models_it_computed(
    settings: Settings, small_catalog: Catalog, connection: Connection
) -> None:
    """The memory of a worker must not grow with the catalog."""
    from estimator.placement.demand import needs
    from estimator.placement.layer_sums import _model_tables

    result = start_run(settings, small_catalog, enqueue=False)
    assert result.run is not None
    free = free_blocks(connection, result.run.id, settings.lease_s)
    connection.rollback()
    compute_one(settings, result.run.id, free[0])
    assert (len(_model_tables), len(needs)) == (0, 0)


def test_a_worker_keeps_nothing_of_accelerators_that_changed(
    settings: Settings, small_catalog: Catalog, edited: Edit
) -> None:
    """A list of all accelerators has coefficients for each of them: kept for each change, they fill the memory."""
    gpu, model = next(iter(small_catalog.gpus)), next(iter(small_catalog.models))
    coefficients, catalog, counts = Calibration.load()._bases, small_catalog, []
    run_in_process(settings, catalog)
    for number in range(3):
        catalog = edited(catalog, "gpus", gpu, bandwidth_gbps=500.0 + number)
        catalog = edited(catalog, "models", model, context_length=4096 + number)
        run_in_process(settings, catalog)
        counts.append(len(coefficients))
    assert counts[0] == counts[-1] < 10


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
