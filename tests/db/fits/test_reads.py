"""Stored fits come back exactly, and every query answers as a search through all cells would."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from db.fits import by_index, by_key, by_scan, reads
from db.fits import query as fit_query
from db.fits.cells import FitKey, StoredCell
from db.fits.layout import SLOT_COUNT
from db.fits.orders import cursor_of
from db.fits.packing import pack_model
from db.fits.query import FitField, FitOrder, FitOwner, FitQuery
from db.reading import Reader
from estimator.grid import FitBlock
from estimator.types import EVIDENCES, STATUSES, STRATEGIES, Backend, Engine, Status
from tests.support.stored_fits import (
    BLOCKS,
    GENERATION,
    GPUS,
    MODELS,
    PEAKLESS_GPU,
    STORED_FIELDS,
    all_cells,
    all_keys,
    identity,
    matches,
    normal,
    pack,
    random_query,
    rank,
)


async def test_every_figure_comes_back(reader: Reader) -> None:
    fits = await by_key.fetch_fits(reader, GENERATION, all_keys())
    assert set(fits) == set(all_keys())
    for key, cells in fits.items():
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
            assert cell.load is not None
            assert {part: getattr(cell.load, part) for part in asdict(memory)} == asdict(memory)
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
    gpu, quant = (int(indices[0]) + 1 for indices in np.nonzero(~BLOCKS[1].available))
    assert await by_key.fetch_fits(reader, GENERATION, [FitKey(1, gpu, quant), FitKey(99, 1, 1)]) == {}
    assert await by_key.fetch_fits(reader, GENERATION, []) == {}


async def test_pairs_hold_every_quant_of_the_workloads_asked_for(reader: Reader) -> None:
    by_pair = await by_key.fetch_pairs(reader, GENERATION, [(1, 2), (3, 4), (99, 1)], workload_ids=[1, 3])
    cells = await all_cells(reader)
    for pair, part in by_pair.items():
        expected = [cell for cell in cells if cell.key[:2] == pair and cell.workload_id in (1, 3)]
        assert sorted(part, key=identity) == sorted(expected, key=identity)
    assert by_pair[99, 1] == []


@pytest.mark.parametrize("slots", [[2], [1, 3]])
async def test_quants_of_a_pair_come_by_id_or_by_rank(reader: Reader, slots: list[int]) -> None:
    plain = (await by_key.fetch_pairs(reader, GENERATION, [(1, 2)], slots))[1, 2]
    places = [(cell.quant_id, cell.workload_id) for cell in plain]
    assert len(places) > len(slots)
    assert places == sorted(places)
    ranks = {cell.quant_id: -cell.quant_id for cell in plain}
    ranked = (await by_key.fetch_pairs(reader, GENERATION, [(1, 2)], slots, ranks))[1, 2]
    assert [(cell.quant_id, cell.workload_id) for cell in ranked] == sorted(places, key=lambda at: (-at[0], at[1]))


@pytest.mark.parametrize(("owner", "other"), [(FitOwner.GPU, FitOwner.MODEL), (FitOwner.MODEL, FitOwner.GPU)])
async def test_figures_of_an_owner_are_those_of_its_cells(reader: Reader, owner: FitOwner, other: FitOwner) -> None:
    slot = 2
    running = [cell for cell in await all_cells(reader) if cell.workload_id == slot and cell.decode is not None]
    for number in {getattr(cell, owner.value) for cell in running}:
        figures = await by_key.fetch_figures(reader, GENERATION, owner, number, slot)
        columns = [getattr(figures, name).tolist() for name in by_key.Figures.__slots__]
        expected = [
            (
                getattr(cell, other.value), cell.quant_id, STATUSES.index(cell.status),
                cell.decode.value, cell.ttft_ms or 0.0, cell.safe_context_tokens,
            )
            for cell in running
            if getattr(cell, owner.value) == number and cell.decode is not None
        ]  # fmt: skip
        assert sorted(zip(*columns, strict=True)) == sorted(expected)


async def test_an_owner_without_fits_has_no_figures(reader: Reader) -> None:
    figures = await by_key.fetch_figures(reader, GENERATION, FitOwner.MODEL, 99, 0)
    assert [len(getattr(figures, name)) for name in by_key.Figures.__slots__] == [0] * 6


@pytest.mark.parametrize("seed", range(20))
async def test_pages_walk_all_matches_in_order_both_ways(
    reader: Reader, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    # So that some filters are narrow, and others are met in the order of an index.
    monkeypatch.setattr(fit_query, "NARROW_IDS", rng.choice([0, 1, 24]))
    # So that some filters run out of the rows of an index that they are tried on.
    monkeypatch.setattr(by_index, "WALKED_ROWS", dict.fromkeys(by_index.WALKED_ROWS, rng.choice([1, 20, 20_000])))
    # So that some pages have a bound from a sample, a rough one or a close one.
    reads.way_of.cache_clear()
    monkeypatch.setattr(by_scan, "SAMPLED_ROWS", rng.choice([20, 150, 50_000]))
    cells = await all_cells(reader)
    query, order = random_query(rng)
    expected = sorted((cell for cell in cells if matches(cell, query)), key=lambda cell: rank(cell, normal(order)))
    limit = rng.choice([7, 50, 400])
    walked: list[StoredCell] = []
    cursors: list[Any] = []
    after = None
    while True:
        page = await reads.page_fits(reader, GENERATION, query, order, after=after, limit=limit)
        walked += page.cells
        cursors += page.cursors
        assert page.has_previous == (after is not None)
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert walked == expected
    assert await reads.count_fits(reader, GENERATION, query) == len(expected)
    if len(expected) > 3:
        at = rng.randrange(1, len(expected))
        page = await reads.page_fits(reader, GENERATION, query, order, before=cursors[at], limit=limit)
        assert page.cells == expected[max(at - limit, 0) : at]
        assert (page.has_previous, page.has_next) == (at > limit, True)
    page = await reads.page_fits(reader, GENERATION, query, order, limit=limit, backwards=True)
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
        page = await reads.page_fits(reader, GENERATION, query, order, limit=40)
        walked, cursors = [*page.cells], [*page.cursors]
        while page.has_next:
            assert len(walked) < len(expected)
            page = await reads.page_fits(reader, GENERATION, query, order, after=cursors[-1], limit=40)
            walked += page.cells
            cursors += page.cursors
        assert walked == expected
        for at in range(1, len(expected), 40):
            before = await reads.page_fits(reader, GENERATION, query, order, before=cursors[at], limit=40)
            assert before.cells == expected[max(at - 40, 0) : at]


@pytest.mark.parametrize("seed", range(10))
async def test_tops_are_first_pages_of_each(reader: Reader, seed: int) -> None:
    query, order = random_query(random.Random(seed))
    by_model = await reads.top_fits(reader, GENERATION, FitOwner.MODEL, [1, 3, 9], query, order, 5)
    for model, page in by_model.items():
        narrowed = replace(query, model_ids=(model,))
        assert page == await reads.page_fits(reader, GENERATION, narrowed, order, limit=5)
    by_gpu = await reads.top_fits(reader, GENERATION, FitOwner.GPU, list(range(1, GPUS + 1)), query, order, 3)
    for gpu, page in by_gpu.items():
        assert page == await reads.page_fits(reader, GENERATION, replace(query, gpu_ids=(gpu,)), order, limit=3)


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
        pages = await reads.top_fits(reader, GENERATION, owner, [1, 2], impossible, order, 3, backwards=backwards)
        if owner is not FitOwner.ENGINE or impossible.engines is None:
            assert all(page.cells == [] and not page.has_next for page in pages.values())
        assert set(pages) == {1, 2}
        assert (await reads.page_fits(reader, GENERATION, impossible, order, backwards=backwards)).cells == []
        assert await reads.count_fits(reader, GENERATION, impossible) == 0


@pytest.mark.parametrize("owner", list(FitOwner))
@pytest.mark.parametrize("seed", range(6))
async def test_first_and_last_pages_of_every_kind_of_owner(
    reader: Reader, seed: int, owner: FitOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(fit_query, "NARROW_IDS", rng.choice([0, 24]))
    monkeypatch.setattr(by_index, "WALKED_ROWS", dict.fromkeys(by_index.WALKED_ROWS, rng.choice([1, 20_000])))
    monkeypatch.setattr(by_scan, "SAMPLED_ROWS", rng.choice([20, 150, 50_000]))
    by_index.tops_statement.cache_clear()
    reads.way_of.cache_clear()
    cells = await all_cells(reader)
    query, order = random_query(rng)
    ids = {FitOwner.WORKLOAD: range(SLOT_COUNT), FitOwner.ENGINE: range(len(Engine))}.get(owner, range(1, 13))
    for backwards in (False, True):
        pages = await reads.top_fits(reader, GENERATION, owner, ids, query, order, 4, backwards=backwards)
        for owner_id in ids:
            of_it = [cell for cell in cells if matches(cell, owner.only(query, owner_id))]
            expected = sorted(of_it, key=lambda cell: rank(cell, normal(order)))
            assert pages[owner_id].cells == (expected[-4:] if backwards else expected[:4])
            ends = (len(expected) > 4, False) if backwards else (False, len(expected) > 4)
            assert (pages[owner_id].has_previous, pages[owner_id].has_next) == ends
    counts = await reads.count_of_owners(reader, GENERATION, owner, list(ids), query)
    assert counts == {number: sum(1 for cell in cells if matches(cell, owner.only(query, number))) for number in ids}


async def test_sizes_of_models(reader: Reader) -> None:
    sizes = await by_key.model_quants(reader, GENERATION, [1, 2, 99])
    assert [size.quant_id for size in sizes[1]] == (np.flatnonzero(BLOCKS[1].available.any(axis=0)) + 1).tolist()
    for model in (1, 2):
        for size in sizes[model]:
            assert size.file_size_bytes == BLOCKS[model].file_size_bytes[size.quant_id - 1]
            assert size.weights_bytes == BLOCKS[model].model_weights_bytes[size.quant_id - 1]
    assert sizes[99] == []


async def test_each_generation_sees_its_own_rows(reader: Reader) -> None:
    def cells_of(block: FitBlock) -> int:
        return int(block.available.sum()) * SLOT_COUNT

    counts = {
        number: await reads.count_fits(reader, replace(GENERATION, id=number), FitQuery(model_ids=(1,)))
        for number in (1, 2, 3, 4)
    }
    old, new = cells_of(BLOCKS[2]), cells_of(BLOCKS[1])
    assert counts == {1: old, 2: old, 3: new, 4: new}


async def test_bad_arguments_are_refused(reader: Reader) -> None:
    order = (FitOrder(FitField.DECODE),)
    cell = (await all_cells(reader))[0]
    cursor = cursor_of(())((cell.workload_id, *cell.key))
    with pytest.raises(ValueError, match="does not belong to this order"):
        await reads.page_fits(reader, GENERATION, FitQuery(), order, after=cursor)
    with pytest.raises(ValueError, match="not both"):
        await reads.page_fits(reader, GENERATION, FitQuery(), (), after=cursor, before=cursor)
    with pytest.raises(ValueError, match="are not slots"):
        await reads.count_fits(reader, GENERATION, FitQuery(workload_ids=(7,), decode_min=1.0))


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
