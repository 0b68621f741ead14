"""How many statements a page takes, and how far each reads: walks of an index that end, and one read of the table."""

from __future__ import annotations

import pytest

from db.fits import by_index, by_scan, layout, reads
from db.fits import query as fit_query
from db.fits.joins import with_shared
from db.fits.query import NOT_RUNNING, FitField, FitOrder, FitOwner, FitQuery, Window
from db.reading import Reader
from estimator.types import STATUSES, Engine
from tests.support.stored_fits import (
    GENERATION,
    PEAKLESS_GPU,
    Watched,
    all_cells,
    matches,
    normal,
    rank,
)


@pytest.mark.parametrize("descending", [True, False])
async def test_a_walk_that_ends_within_a_bucket_takes_all_of_it(
    reader: Reader, descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_query, "NARROW_IDS", 0)
    monkeypatch.setattr(by_index, "WALKED_ROWS", dict.fromkeys(by_index.WALKED_ROWS, 10))
    # Everything that runs is in one bucket: of a full table, tens of thousands of rows may be.
    for module in (layout,):
        monkeypatch.setattr(module, "BUCKET_SHIFT", 30)
    query, order = (
        FitQuery(workload_ids=(1,), safe_context_min=1, score_min=1.0),
        (FitOrder(FitField.DECODE, descending),),
    )
    cells = [cell for cell in await all_cells(reader) if matches(cell, query)]
    assert len(cells) > 100
    page = await reads.page_fits(reader, GENERATION, query, order, limit=3)
    assert page.cells == sorted(cells, key=lambda cell: rank(cell, order))[:3]


@pytest.mark.parametrize(
    "order",
    [(FitOrder(FitField.TTFT, False),), (FitOrder(FitField.SAFE_CONTEXT),), (FitOrder(FitField.SCORE), FitOrder(FitField.TTFT))],
    ids=["latency", "context", "score and latency"],
)  # fmt: skip
async def test_an_order_without_an_index_reads_the_table_once(
    reader: Reader, order: tuple[FitOrder, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_scan, "SAMPLED_ROWS", 100)
    watched = Watched(reader)
    await reads.page_fits(watched, GENERATION, FitQuery(), order, limit=3)
    await reads.top_fits(watched, GENERATION, FitOwner.ENGINE, range(len(Engine)), FitQuery(), order, 3)
    # A sample and the page: all fits, then those of every engine.
    assert len(watched.statements) == 4
    assert [statement.count(f"{GENERATION.table} f") for statement in watched.statements] == [1, 1, 1, 1]
    # The sample gave a bound.
    assert [statement.count("NOT (") > 0 for statement in watched.statements] == [False, True, False, True]


@pytest.mark.parametrize("field", [FitField.DECODE, FitField.SCORE])
async def test_few_rows_of_an_index_are_tried_before_the_table_is_read_once(
    reader: Reader, field: FitField, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_query, "NARROW_IDS", 0)
    monkeypatch.setattr(by_index, "WALKED_ROWS", dict.fromkeys(by_index.WALKED_ROWS, 20))
    cells, order = await all_cells(reader), (FitOrder(field),)
    # Nothing to try; a filter that most rows pass; one that no row passes, and one that rows far from the first do.
    slow = sorted(cell.ttft_ms for cell in cells if cell.ttft_ms is not None)[-3]
    for query, statements in (
        (FitQuery(), 1),
        (FitQuery(statuses=STATUSES[:3]), 1),
        (FitQuery(safe_context_min=1 << 30), 2),
        (FitQuery(ttft_min_ms=slow), 2),
    ):
        watched = Watched(reader)
        page = await reads.page_fits(watched, GENERATION, query, order, limit=3)
        expected = [cell for cell in cells if matches(cell, query)]
        assert page.cells == sorted(expected, key=lambda cell: rank(cell, normal(order)))[:3]
        assert len(watched.statements) == statements
        lists = await reads.top_fits(watched, GENERATION, FitOwner.WORKLOAD, [1, 2], query, order, 3)
        assert (
            lists[1].cells
            == sorted((cell for cell in expected if cell.workload_id == 1), key=lambda cell: rank(cell, normal(order)))[
                :3
            ]
        )


@pytest.mark.parametrize(
    "order", [(FitOrder(FitField.DECODE),), (FitOrder(FitField.SCORE),), (FitOrder(FitField.SCORE, False),)]
)
async def test_as_few_rows_are_tried_of_what_does_not_run(
    reader: Reader, order: tuple[FitOrder, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_query, "NARROW_IDS", 0)
    monkeypatch.setattr(by_index, "WALKED_ROWS", dict.fromkeys(by_index.WALKED_ROWS, 20))
    cells = await all_cells(reader)
    some, none = ((FitQuery(safe_context_min=least),) for least in (1, 1 << 30))
    # A filter that most rows pass, one that only running rows can pass, one that these alone do, and those that none passes.
    for query, statements in (
        (FitQuery(engines=(Engine.LLAMA_CPP, Engine.VLLM)), 1),
        (FitQuery(safe_context_min=1), 1),
        (FitQuery(any_of=(some,)), 2),
        (FitQuery(safe_context_min=1 << 30), 2),
        (FitQuery(statuses=tuple(NOT_RUNNING), any_of=(none,)), 2),
    ):
        expected = sorted((cell for cell in cells if matches(cell, query)), key=lambda cell: rank(cell, normal(order)))
        watched = Watched(reader)
        page = await reads.page_fits(watched, GENERATION, query, order, limit=3, backwards=True)
        assert page.cells == expected[-3:]
        assert len(watched.statements) == statements
        lists = await reads.top_fits(reader, GENERATION, FitOwner.WORKLOAD, [1, 2], query, order, 3, backwards=True)
        assert lists[1].cells == [cell for cell in expected if cell.workload_id == 1][-3:]


@pytest.mark.parametrize("dialect", by_index.WALKED_ROWS)
def test_each_walk_of_an_order_that_mixes_what_runs_with_the_rest_ends(dialect: str) -> None:
    query, order = FitQuery(quant_ids=(1,)), normal((FitOrder(FitField.SCORE, False),))
    assert by_index.is_walked(query, order, dialect, by_index.WALKED_ROWS[dialect] + 1)
    selection = by_index.Selection(GENERATION, dialect, query, Window(order, 3), 0, walked=True)
    ends = [str(by_index.WALKED_ROWS[dialect]) in source for source in by_index.sources_of(selection)]
    assert ends == [True, True]


@pytest.mark.parametrize("field", [FitField.DECODE, FitField.SCORE, FitField.TTFT])
async def test_leading_rows_fill_the_first_page_of_an_accelerator(
    reader: Reader, field: FitField, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_index, "FILTERED_LEADERS", 1)
    window = fit_query.Window(normal((FitOrder(field, field is not FitField.TTFT),)), 2)
    queries = [FitQuery(gpu_ids=(1,), workload_ids=(1,)), FitQuery(gpu_ids=(2,), workload_ids=(1,), score_min=0.0)]
    if field is FitField.SCORE and layout.has_model_indexes(reader.dialect):
        queries.append(FitQuery(model_ids=(2,), workload_ids=(1,)))
    for query in queries:
        source = by_index.page_source(by_index.Selection(GENERATION, reader.dialect, query, window, 1))
        # Without the read of all rows of the accelerator, which follows where these are too few.
        led, union, _ = source.partition(" UNION ALL ")
        assert union
        rows = await reader.rows(with_shared(GENERATION.table, led, reader.dialect), {})
        cells = [cell for cell in await all_cells(reader) if matches(cell, query)]
        expected = sorted(cells, key=lambda cell: rank(cell, window.order))[: window.rows]
        assert [tuple(row[1:4]) for row in rows] == [tuple(cell.key) for cell in expected]


async def test_an_accelerator_without_leading_rows_is_read_through(reader: Reader) -> None:
    query, order = FitQuery(gpu_ids=(PEAKLESS_GPU,), workload_ids=(1,)), (FitOrder(FitField.TTFT, False),)
    cells = [cell for cell in await all_cells(reader) if matches(cell, query)]
    page = await reads.page_fits(reader, GENERATION, query, order, limit=3)
    assert page.cells == sorted(cells, key=lambda cell: rank(cell, order))[:3]
