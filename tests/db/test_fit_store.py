"""What is stored comes back exactly, and every query answers as a search through all cells would."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from bench.synthetic import synthetic_block
from db import fit_conditions, fit_orders, fit_pages, fit_query, fit_scan, fit_store, fit_tables
from db.fit_cells import FitKey, StoredCell
from db.fit_orders import cursor_of
from db.fit_packed import PACKED
from db.fit_packing import concatenate, pack_model
from db.fit_query import FitField, FitOrder, FitOwner, FitQuery
from db.fit_tables import SLOT_COUNT, create_storage, index_statements
from db.generations import Generation
from db.publication import write_block
from db.reading import Reader, reader_of
from db.run_store import now
from db.session import async_engine, make_engine, writing
from estimator.grid import FitBlock
from estimator.types import EVIDENCES, STATUSES, STRATEGIES, Backend, Engine, Status

MODELS, GPUS, QUANTS = 4, 11, 6
#: A GPU without a known arithmetic peak: it has a decode speed, and neither prefill nor latency.
PEAKLESS_GPU = 4


def without_peak(block: FitBlock) -> FitBlock:
    """The block with what is not known of ``PEAKLESS_GPU`` as zero."""
    names = ("prefill_tok_s", "prefill_low_tok_s", "prefill_high_tok_s", "ttft_ms")
    found = {name: getattr(block, name).copy() for name in names}
    for values in found.values():
        values[PEAKLESS_GPU - 1] = 0
    return replace(block, **found)


BLOCKS = {model: without_peak(synthetic_block(model, GPUS, QUANTS)) for model in range(1, MODELS + 1)}
STORED = sum(int(block.available.sum()) for block in BLOCKS.values())
#: What has a column; ``test_fit_packed`` has the others.
STORED_FIELDS = [field for field in FitField if field not in PACKED]
GENERATION = Generation(
    id=3, table="fit_7", revision="r", published_at=now(), rows=STORED, cells=0, unsupported_cells=0, models=MODELS, gpus=GPUS,
    quants=QUANTS, workloads=SLOT_COUNT, run_id=7,
)  # fmt: skip


@pytest.fixture
async def reader(empty_database_url: str) -> AsyncIterator[Reader]:
    """A storage with every block, a dead row and a row of the next generation."""
    async with opened(empty_database_url, BLOCKS) as made:
        yield made


@asynccontextmanager
async def opened(url: str, blocks: dict[int, FitBlock]) -> AsyncIterator[Reader]:
    """Reader of a storage with these blocks, a dead row and a row of the next generation."""
    engine = make_engine(url)
    packed = concatenate([pack(model, block, GENERATION.id) for model, block in blocks.items()])
    with writing(engine) as sync:
        create_storage(sync, GENERATION.table)
        write_block(sync, GENERATION.table, packed)
        write_block(sync, GENERATION.table, concatenate([pack(1, BLOCKS[2], 1), pack(2, BLOCKS[1], 4)]))
        sync.execute(text("UPDATE fit_7 SET died = 3 WHERE born = 1"))
        sync.execute(text("UPDATE fit_7_quant SET died = 3 WHERE born = 1"))
        for statement in index_statements(GENERATION.table, sync.dialect.name):
            sync.execute(text(statement))
    engine.dispose()
    readers = async_engine(url)
    made = reader_of(readers, size=2)
    yield made
    await made.close()
    await readers.dispose()


def pack(model: int, block: FitBlock, generation: int) -> Any:
    return pack_model(model, list(range(1, GPUS + 1)), list(range(1, QUANTS + 1)), block, generation)


def all_keys() -> list[FitKey]:
    return [
        FitKey(model, int(gpu) + 1, int(quant) + 1)
        for model, block in BLOCKS.items()
        for gpu, quant in zip(*np.nonzero(block.available), strict=True)
    ]


async def all_cells(reader: Reader) -> list[StoredCell]:
    found = await fit_store.fetch_fits(reader, GENERATION, all_keys())
    return [cell for cells in found.values() for cell in cells]


async def test_every_figure_comes_back(reader: Reader) -> None:
    found = await fit_store.fetch_fits(reader, GENERATION, all_keys())
    assert set(found) == set(all_keys())
    for key, cells in found.items():
        block, place = BLOCKS[key.model_id], (key.gpu_id - 1, key.quant_id - 1)
        for slot, cell in enumerate(cells):
            at = (*place, slot)
            assert (cell.key, cell.workload_id, cell.generation) == (key, slot, GENERATION.id)
            assert cell.status is STATUSES[block.status[at]]
            assert cell.placement.strategy is STRATEGIES[block.strategy[at]]
            assert cell.recommended == block.recommended[at]
            assert cell.engine is tuple(Engine)[block.engine[place]]
            assert cell.backend is tuple(Backend)[block.backend[place]]
            for name in ("weights", "kv_cache", "compute", "overhead", "host"):
                assert getattr(cell.memory, f"{name}_bytes") == getattr(block, f"{name}_bytes")[at]
            memory, placement = cell.memory, cell.placement
            assert cell.memory_bytes == astuple(memory)
            assert memory.usable_bytes == block.usable_bytes[place]
            assert memory.capacity_bytes == block.capacity_bytes[place]
            assert (placement.gpu_layers, placement.cpu_moe_layers) == (block.gpu_layers[at], block.cpu_moe_layers[at])
            assert placement.offload_fraction == block.offload_fraction[at]
            assert cell.safe_context_tokens == block.safe_context_tokens[at]
            assert cell.score == pytest.approx(block.score[at], abs=0.005)
            for name, speed in (("decode", cell.decode), ("prefill", cell.prefill)):
                known = name == "decode" or key.gpu_id != PEAKLESS_GPU
                assert (speed is not None) == (known and block.decode_tok_s[at] > 0)
                if speed is not None:
                    assert speed.value == getattr(block, f"{name}_tok_s")[at]
                    assert speed.low == pytest.approx(getattr(block, f"{name}_low_tok_s")[at], rel=2e-6)
                    assert speed.high == pytest.approx(getattr(block, f"{name}_high_tok_s")[at], rel=2e-6)
                    assert speed.evidence is EVIDENCES[getattr(block, f"{name}_evidence")[at]]
            assert cell.ttft_ms == (block.ttft_ms[at] if cell.prefill else None)


async def test_a_pairing_without_an_engine_is_absent(reader: Reader) -> None:
    gpu, quant = (int(each[0]) + 1 for each in np.nonzero(~BLOCKS[1].available))
    assert await fit_store.fetch_fits(reader, GENERATION, [FitKey(1, gpu, quant), FitKey(99, 1, 1)]) == {}
    assert await fit_store.fetch_fits(reader, GENERATION, []) == {}


async def test_pairs_hold_every_quant_of_the_workloads_asked_for(reader: Reader) -> None:
    found = await fit_store.fetch_pairs(reader, GENERATION, [(1, 2), (3, 4), (99, 1)], workload_ids=[1, 3])
    cells = await all_cells(reader)
    for pair, part in found.items():
        expected = [cell for cell in cells if cell.key[:2] == pair and cell.workload_id in (1, 3)]
        assert sorted(part, key=identity) == sorted(expected, key=identity)
    assert found[99, 1] == []


@pytest.mark.parametrize("slots", [[2], [1, 3]])
async def test_quants_of_a_pair_come_by_id_or_by_rank(reader: Reader, slots: list[int]) -> None:
    plain = (await fit_store.fetch_pairs(reader, GENERATION, [(1, 2)], slots))[1, 2]
    places = [(cell.quant_id, cell.workload_id) for cell in plain]
    assert len(places) > len(slots)
    assert places == sorted(places)
    ranks = {cell.quant_id: -cell.quant_id for cell in plain}
    ranked = (await fit_store.fetch_pairs(reader, GENERATION, [(1, 2)], slots, ranks))[1, 2]
    assert [(cell.quant_id, cell.workload_id) for cell in ranked] == sorted(places, key=lambda at: (-at[0], at[1]))


def identity(cell: StoredCell) -> tuple[int, ...]:
    return (*cell.key, cell.workload_id)


def matches(cell: StoredCell, query: FitQuery) -> bool:
    decode = cell.decode.value if cell.decode else None
    return (
        (query.model_ids is None or cell.key.model_id in query.model_ids)
        and (query.gpu_ids is None or cell.key.gpu_id in query.gpu_ids)
        and (query.quant_ids is None or cell.key.quant_id in query.quant_ids)
        and cell.workload_id in query.workload_ids
        and (query.engines is None or cell.engine in query.engines)
        and (query.statuses is None or cell.status in query.statuses)
        and (query.recommended is None or cell.recommended == query.recommended)
        and (query.decode_min is None or (decode is not None and decode >= query.decode_min))
        and (query.decode_max is None or (decode is not None and decode <= query.decode_max))
        and (query.ttft_min_ms is None or (cell.ttft_ms is not None and cell.ttft_ms >= query.ttft_min_ms))
        and (query.ttft_max_ms is None or (cell.ttft_ms is not None and cell.ttft_ms <= query.ttft_max_ms))
        and (query.score_min is None or cell.score >= query.score_min)
        and (query.score_max is None or cell.score <= query.score_max)
        and (query.safe_context_min is None or cell.safe_context_tokens >= query.safe_context_min)
    )


def rank(cell: StoredCell, order: tuple[FitOrder, ...]) -> tuple[Any, ...]:
    figures = {
        FitField.DECODE: cell.decode.value if cell.decode else None,
        FitField.SCORE: cell.score,
        FitField.TTFT: cell.ttft_ms,
        FitField.SAFE_CONTEXT: cell.safe_context_tokens,
    }
    values: list[Any] = []
    key_sign = 1
    for each in order:
        if each.field is FitField.KEY:
            key_sign = -1 if each.descending else 1
            break
        figure = figures[each.field]
        # What there is no figure of comes last in both directions.
        values.append((1, 0) if figure is None else (0, -figure if each.descending else figure))
    return (*values, *(key_sign * part for part in cell.key), cell.workload_id)


def random_query(rng: random.Random) -> tuple[FitQuery, tuple[FitOrder, ...]]:
    def some(count: int) -> tuple[int, ...]:
        return tuple(rng.sample(range(1, count + 1), rng.randint(1, 3)))

    def maybe(make: Any, share: float = 0.25) -> Any:
        return make() if rng.random() < share else None

    query = FitQuery(
        model_ids=maybe(lambda: some(MODELS)),
        gpu_ids=maybe(lambda: some(GPUS)),
        quant_ids=maybe(lambda: some(QUANTS)),
        workload_ids=tuple(rng.sample(range(SLOT_COUNT), rng.randint(1, SLOT_COUNT))),
        engines=maybe(lambda: tuple(rng.sample(list(Engine), rng.randint(1, 3))), 0.15),
        statuses=maybe(lambda: tuple(rng.sample(STATUSES[:4], rng.randint(1, 3)))),
        recommended=maybe(lambda: rng.random() < 0.5),
        decode_min=maybe(lambda: rng.choice([0.0, 2.0, 20.0])),
        decode_max=maybe(lambda: rng.choice([30.0, 300.0]), 0.15),
        ttft_max_ms=maybe(lambda: 20_000.0, 0.15),
        ttft_min_ms=maybe(lambda: rng.choice([0.0, 500.0]), 0.1),
        score_min=maybe(lambda: 40.0, 0.15),
        score_max=maybe(lambda: 70.0, 0.1),
        safe_context_min=maybe(lambda: 30_000, 0.15),
    )
    order = tuple(
        FitOrder(field, rng.random() < 0.6) for field in rng.sample(STORED_FIELDS, rng.choice([0, 1, 1, 1, 2, 3]))
    )
    return query, order


@pytest.mark.parametrize("seed", range(40))
async def test_pages_walk_all_matches_in_order_both_ways(
    reader: Reader, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    # So that some filters are narrow, and others are met in the order of an index.
    monkeypatch.setattr(fit_query, "NARROW_IDS", rng.choice([0, 1, 24]))
    # So that some filters run out of the rows of an index that they are tried on.
    monkeypatch.setattr(fit_pages, "WALKED_ROWS", dict.fromkeys(fit_pages.WALKED_ROWS, rng.choice([1, 20, 20_000])))
    # So that some pages have a bound from a sample, a rough one or a close one.
    monkeypatch.setattr(fit_scan, "SAMPLED_ROWS", rng.choice([20, 150, 50_000]))
    cells = await all_cells(reader)
    query, order = random_query(rng)
    expected = sorted((cell for cell in cells if matches(cell, query)), key=lambda cell: rank(cell, normal(order)))
    limit = rng.choice([7, 50, 400])
    walked: list[StoredCell] = []
    cursors: list[Any] = []
    after = None
    while True:
        page = await fit_store.page_fits(reader, GENERATION, query, order, after=after, limit=limit)
        walked += page.cells
        cursors += page.cursors
        assert page.has_previous == (after is not None)
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert walked == expected
    assert await fit_store.count_fits(reader, GENERATION, query) == len(expected)
    if len(expected) > 3:
        at = rng.randrange(1, len(expected))
        page = await fit_store.page_fits(reader, GENERATION, query, order, before=cursors[at], limit=limit)
        assert page.cells == expected[max(at - limit, 0) : at]
        assert (page.has_previous, page.has_next) == (at > limit, True)
    page = await fit_store.page_fits(reader, GENERATION, query, order, limit=limit, backwards=True)
    assert page.cells == expected[-limit:]
    assert (page.has_previous, page.has_next) == (len(expected) > limit, False)


@pytest.mark.parametrize("narrow", [0, 24])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("field", [FitField.DECODE, FitField.TTFT, FitField.SCORE])
async def test_what_has_no_figure_comes_last_in_both_directions(
    reader: Reader, field: FitField, descending: bool, narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_query, "NARROW_IDS", narrow)
    for query in (FitQuery(workload_ids=(1,)), FitQuery(model_ids=(MODELS,)), FitQuery(gpu_ids=(1, PEAKLESS_GPU))):
        order = (FitOrder(field, descending),)
        expected = sorted(
            (cell for cell in await all_cells(reader) if matches(cell, query)),
            key=lambda cell: rank(cell, normal(order)),
        )
        assert {cell.decode is None for cell in expected} == {True, False}
        # With cursors among what has a figure and among what has none.
        page = await fit_store.page_fits(reader, GENERATION, query, order, limit=40)
        walked, cursors = [*page.cells], [*page.cursors]
        while page.has_next:
            assert len(walked) < len(expected)
            page = await fit_store.page_fits(reader, GENERATION, query, order, after=cursors[-1], limit=40)
            walked += page.cells
            cursors += page.cursors
        assert walked == expected
        for at in range(1, len(expected), 40):
            before = await fit_store.page_fits(reader, GENERATION, query, order, before=cursors[at], limit=40)
            assert before.cells == expected[max(at - 40, 0) : at]


@pytest.mark.parametrize("descending", [True, False])
async def test_a_walk_that_ends_within_a_bucket_takes_all_of_it(
    reader: Reader, descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_query, "NARROW_IDS", 0)
    monkeypatch.setattr(fit_pages, "WALKED_ROWS", dict.fromkeys(fit_pages.WALKED_ROWS, 10))
    # Everything that runs is in one bucket: of a full table, tens of thousands of rows may be.
    for module in (fit_conditions, fit_orders, fit_tables):
        monkeypatch.setattr(module, "BUCKET_SHIFT", 30)
    query, order = (
        FitQuery(workload_ids=(1,), safe_context_min=1, score_min=1.0),
        (FitOrder(FitField.DECODE, descending),),
    )
    cells = [cell for cell in await all_cells(reader) if matches(cell, query)]
    assert len(cells) > 100
    page = await fit_store.page_fits(reader, GENERATION, query, order, limit=3)
    assert page.cells == sorted(cells, key=lambda cell: rank(cell, order))[:3]


def normal(order: tuple[FitOrder, ...]) -> tuple[FitOrder, ...]:
    fields = [each.field for each in order]
    return (*order, FitOrder(FitField.DECODE, order[0].descending)) if fields == [FitField.SCORE] else order


@pytest.mark.parametrize("seed", range(10))
async def test_tops_are_first_pages_of_each(reader: Reader, seed: int) -> None:
    query, order = random_query(random.Random(seed))
    by_model = await fit_store.top_fits(reader, GENERATION, FitOwner.MODEL, [1, 3, 9], query, order, 5)
    for model, page in by_model.items():
        one = replace(query, model_ids=(model,))
        assert page == await fit_store.page_fits(reader, GENERATION, one, order, limit=5)
    by_gpu = await fit_store.top_fits(reader, GENERATION, FitOwner.GPU, list(range(1, GPUS + 1)), query, order, 3)
    for gpu, page in by_gpu.items():
        assert page == await fit_store.page_fits(reader, GENERATION, replace(query, gpu_ids=(gpu,)), order, limit=3)


@pytest.mark.parametrize("owner", list(FitOwner))
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "impossible",
    [FitQuery(statuses=()), FitQuery(statuses=(Status.DOES_NOT_FIT,), decode_min=5.0), FitQuery(engines=())],
    ids=["no status", "a speed of what does not run", "no engine"],
)
async def test_what_nothing_can_pass_is_an_empty_page_of_each(
    reader: Reader, owner: FitOwner, backwards: bool, impossible: FitQuery
) -> None:
    for field in STORED_FIELDS:
        order = (FitOrder(field),)
        found = await fit_store.top_fits(reader, GENERATION, owner, [1, 2], impossible, order, 3, backwards=backwards)
        if owner is not FitOwner.ENGINE or impossible.engines is None:
            assert all(page.cells == [] and not page.has_next for page in found.values())
        assert set(found) == {1, 2}
        assert (await fit_store.page_fits(reader, GENERATION, impossible, order, backwards=backwards)).cells == []
        assert await fit_store.count_fits(reader, GENERATION, impossible) == 0


@pytest.mark.parametrize("owner", list(FitOwner))
@pytest.mark.parametrize("seed", range(6))
async def test_first_and_last_pages_of_every_kind_of_owner(
    reader: Reader, seed: int, owner: FitOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(fit_query, "NARROW_IDS", rng.choice([0, 24]))
    monkeypatch.setattr(fit_pages, "WALKED_ROWS", dict.fromkeys(fit_pages.WALKED_ROWS, rng.choice([1, 20_000])))
    monkeypatch.setattr(fit_scan, "SAMPLED_ROWS", rng.choice([20, 150, 50_000]))
    fit_store.tops_statement.cache_clear()
    cells = await all_cells(reader)
    query, order = random_query(rng)
    ids = {FitOwner.WORKLOAD: range(SLOT_COUNT), FitOwner.ENGINE: range(len(Engine))}.get(owner, range(1, 13))
    for backwards in (False, True):
        found = await fit_store.top_fits(reader, GENERATION, owner, ids, query, order, 4, backwards=backwards)
        for each in ids:
            of_it = [cell for cell in cells if matches(cell, owner.only(query, each))]
            expected = sorted(of_it, key=lambda cell: rank(cell, normal(order)))
            assert found[each].cells == (expected[-4:] if backwards else expected[:4])
            ends = (len(expected) > 4, False) if backwards else (False, len(expected) > 4)
            assert (found[each].has_previous, found[each].has_next) == ends


class Watched:
    """A reader that remembers its statements."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.dialect = reader.dialect
        self.statements: list[str] = []

    async def rows(self, statement: str, parameters: Any) -> Any:
        self.statements.append(statement)
        return await self._reader.rows(statement, parameters)


@pytest.mark.parametrize(
    "order",
    [(FitOrder(FitField.TTFT, False),), (FitOrder(FitField.SAFE_CONTEXT),), (FitOrder(FitField.SCORE), FitOrder(FitField.TTFT))],
    ids=["latency", "context", "score and latency"],
)  # fmt: skip
async def test_an_order_without_an_index_reads_the_table_once(
    reader: Reader, order: tuple[FitOrder, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_scan, "SAMPLED_ROWS", 100)
    watched = Watched(reader)
    await fit_store.page_fits(watched, GENERATION, FitQuery(), order, limit=3)
    await fit_store.top_fits(watched, GENERATION, FitOwner.ENGINE, range(len(Engine)), FitQuery(), order, 3)
    # A sample and the page: all fits, then those of every engine.
    assert len(watched.statements) == 4
    assert [each.count(f"{GENERATION.table} f") for each in watched.statements] == [1, 1, 1, 1]
    # The sample gave a bound.
    assert [each.count("NOT (") > 0 for each in watched.statements] == [False, True, False, True]


@pytest.mark.parametrize("field", [FitField.DECODE, FitField.SCORE])
async def test_sqlite_tries_few_rows_of_an_index_before_it_reads_the_table_once(
    reader: Reader, field: FitField, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reader.dialect != "sqlite":
        pytest.skip("PostgreSQL does both in one statement")
    monkeypatch.setattr(fit_query, "NARROW_IDS", 0)
    monkeypatch.setattr(fit_pages, "WALKED_ROWS", dict.fromkeys(fit_pages.WALKED_ROWS, 20))
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
        page = await fit_store.page_fits(watched, GENERATION, query, order, limit=3)
        expected = [cell for cell in cells if matches(cell, query)]
        assert page.cells == sorted(expected, key=lambda cell: rank(cell, normal(order)))[:3]
        assert len(watched.statements) == statements
        lists = await fit_store.top_fits(watched, GENERATION, FitOwner.WORKLOAD, [1, 2], query, order, 3)
        assert (
            lists[1].cells
            == sorted((cell for cell in expected if cell.workload_id == 1), key=lambda cell: rank(cell, normal(order)))[
                :3
            ]
        )


@pytest.mark.parametrize(
    "order", [(FitOrder(FitField.DECODE),), (FitOrder(FitField.SCORE),), (FitOrder(FitField.SCORE, False),)]
)
async def test_sqlite_tries_as_few_rows_of_what_does_not_run(
    reader: Reader, order: tuple[FitOrder, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if reader.dialect != "sqlite":
        pytest.skip("a matter of SQLite")
    monkeypatch.setattr(fit_query, "NARROW_IDS", 0)
    monkeypatch.setattr(fit_pages, "WALKED_ROWS", dict.fromkeys(fit_pages.WALKED_ROWS, 20))
    cells = await all_cells(reader)
    # What most rows pass, what none passes of those that do not run, and what none passes.
    for query, statements in (
        (FitQuery(engines=(Engine.LLAMA_CPP, Engine.VLLM)), 1),
        (FitQuery(safe_context_min=1), 2),
        (FitQuery(safe_context_min=1 << 30), 2),
    ):
        expected = sorted((cell for cell in cells if matches(cell, query)), key=lambda cell: rank(cell, normal(order)))
        watched = Watched(reader)
        page = await fit_store.page_fits(watched, GENERATION, query, order, limit=3, backwards=True)
        assert page.cells == expected[-3:]
        assert len(watched.statements) == statements
        lists = await fit_store.top_fits(reader, GENERATION, FitOwner.WORKLOAD, [1, 2], query, order, 3, backwards=True)
        assert lists[1].cells == [cell for cell in expected if cell.workload_id == 1][-3:]


async def test_sizes_of_models(reader: Reader) -> None:
    found = await fit_store.model_quants(reader, GENERATION, [1, 2, 99])
    assert [each.quant_id for each in found[1]] == (np.flatnonzero(BLOCKS[1].available.any(axis=0)) + 1).tolist()
    for model in (1, 2):
        for each in found[model]:
            assert each.file_size_bytes == BLOCKS[model].file_size_bytes[each.quant_id - 1]
            assert each.weights_bytes == BLOCKS[model].model_weights_bytes[each.quant_id - 1]
    assert found[99] == []


async def test_each_generation_sees_its_own_rows(reader: Reader) -> None:
    def cells_of(block: FitBlock) -> int:
        return int(block.available.sum()) * SLOT_COUNT

    counts = {
        number: await fit_store.count_fits(reader, replace(GENERATION, id=number), FitQuery(model_ids=(1,)))
        for number in (1, 2, 3, 4)
    }
    old, new = cells_of(BLOCKS[2]), cells_of(BLOCKS[1])
    assert counts == {1: old, 2: old, 3: new, 4: new}


async def test_bad_arguments_are_refused(reader: Reader) -> None:
    order = (FitOrder(FitField.DECODE),)
    cell = (await all_cells(reader))[0]
    cursor = cursor_of(())((cell.workload_id, *cell.key))
    with pytest.raises(ValueError, match="does not belong to this order"):
        await fit_store.page_fits(reader, GENERATION, FitQuery(), order, after=cursor)
    with pytest.raises(ValueError, match="not both"):
        await fit_store.page_fits(reader, GENERATION, FitQuery(), (), after=cursor, before=cursor)
    with pytest.raises(ValueError, match="are not slots"):
        await fit_store.count_fits(reader, GENERATION, FitQuery(workload_ids=(7,), decode_min=1.0))


def test_what_a_row_cannot_hold_is_refused() -> None:
    block = BLOCKS[1]
    with pytest.raises(ValueError, match="expected"):
        pack_model(1, [1], [1], block, 1)
    with pytest.raises(ValueError, match="weights_bytes"):
        pack(1, replace(block, weights_bytes=block.weights_bytes - (1 << 62)), 1)
    with pytest.raises(ValueError, match="ttft_ms"):
        pack(1, replace(block, ttft_ms=block.ttft_ms * np.float32(np.nan)), 1)
    with pytest.raises(ValueError, match="decode_tok_s"):
        pack(1, replace(block, status=np.full_like(block.status, STATUSES.index(Status.DOES_NOT_FIT))), 1)
