"""Orders by what has no column are those of a search through all cells, in both directions and for every kind of owner."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from db.fits import by_key, reads
from db.fits.by_unpacking import PACKED, GpuFigures
from db.fits.cells import StoredCell
from db.fits.layout import SLOT_COUNT
from db.fits.packing import pack_model
from db.fits.query import FitField, FitOrder, FitOwner, FitQuery, normal
from db.fits.writes import write_block
from db.reading import Reader
from db.session import make_engine, writing
from estimator.grid import FitBlock
from estimator.types import STATUSES, Engine, Status
from tests.conftest import new_database
from tests.support.stored_fits import (
    BLOCKS,
    GENERATION,
    GPUS,
    MODELS,
    QUANTS,
    STORED_FIELDS,
    Watched,
    all_cells,
    matches,
    opened,
    random_query,
    store,
)

#: Two of the same price, two less than a dollar apart, and some of no known one.
PRICES = {1: 1599.0, 2: 1599.0, 3: 249.99, 5: 30000.0, 6: 999.4, 8: 999.0, 9: 0.5, 11: 1200.0}
WATTS = {1: 450.0, 9: 700.0, 10: 60.0, 2: 300.0, 3: 75.0, 4: 10.0, 6: 300.0, 7: 1000.0}
FIGURES_OF_GPUS = GpuFigures(PRICES, WATTS)


def ratio(cell: StoredCell, figures: dict[int, float]) -> float | None:
    figure = figures.get(cell.key.gpu_id)
    return None if cell.decode is None or figure is None else float(np.float32(cell.decode.value / figure))


FIGURES: dict[FitField, Callable[[StoredCell], float | None]] = {
    FitField.DECODE: lambda cell: cell.decode.value if cell.decode else None,
    FitField.SCORE: lambda cell: cell.score,
    FitField.TTFT: lambda cell: cell.ttft_ms,
    FitField.SAFE_CONTEXT: lambda cell: cell.safe_context_tokens,
    FitField.PREFILL: lambda cell: cell.prefill.value if cell.prefill else None,
    FitField.MEMORY: lambda cell: None if cell.status is Status.UNSUPPORTED else cell.memory.total_bytes,
    FitField.PRICE: lambda cell: PRICES.get(cell.key.gpu_id),
    FitField.VALUE: lambda cell: ratio(cell, PRICES),
    FitField.EFFICIENCY: lambda cell: ratio(cell, WATTS),
}


def odd(block: FitBlock) -> FitBlock:
    """The block with each way in which an overhead is stored, and with what no engine runs."""
    overhead, status = block.overhead_bytes.copy(), block.status.copy()
    overhead[:, :, 0] = 0
    overhead[:, :, 1] = 2 * overhead[:, :, 1] + 7
    status[:, ::2][status[:, ::2] == STATUSES.index(Status.DOES_NOT_FIT)] = STATUSES.index(Status.UNSUPPORTED)
    return replace(block, overhead_bytes=overhead, status=status)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], scope="module")
def odd_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for url in new_database(request, tmp_path_factory.mktemp("odd")):
        store(url, {model: odd(block) for model, block in BLOCKS.items()})
        yield url


@pytest.fixture
async def reader(odd_url: str) -> AsyncIterator[Reader]:
    async with opened(odd_url) as made:
        yield made


def rank(cell: StoredCell, order: tuple[FitOrder, ...]) -> tuple[Any, ...]:
    values: list[Any] = []
    sign = 1
    for part_of_order in normal(order):
        if part_of_order.field is FitField.KEY:
            sign = -1 if part_of_order.descending else 1
            break
        figure = FIGURES[part_of_order.field](cell)
        values.append((1, 0) if figure is None else (0, -figure if part_of_order.descending else figure))
    return (*values, *(sign * part for part in cell.key), cell.workload_id)


def random_order(rng: random.Random) -> tuple[FitOrder, ...]:
    """One to three terms, one of which has no column."""
    fields = [rng.choice(sorted(PACKED)), *rng.sample(STORED_FIELDS, rng.randint(0, 2))]
    if rng.random() < 0.3:
        fields = [*rng.sample(sorted(PACKED), 2), *fields[1:]]
    rng.shuffle(fields)
    # A field after the key does not count, but something without a column must.
    fields.sort(key=lambda field: field is FitField.KEY)
    return tuple(FitOrder(field, rng.random() < 0.5) for field in fields)


def narrowed(query: FitQuery) -> FitQuery:
    if query.model_ids is None and query.gpu_ids is None:
        return replace(query, gpu_ids=tuple(range(1, GPUS + 1)))
    return query


@pytest.mark.parametrize("seed", range(16))
async def test_pages_walk_all_matches_in_order_both_ways(reader: Reader, seed: int) -> None:
    rng = random.Random(seed)
    query, order = narrowed(random_query(rng)[0]) if seed % 4 else FitQuery(model_ids=(1, 2, 3, 4)), random_order(rng)
    expected = sorted(
        (cell for cell in await all_cells(reader) if matches(cell, query)), key=lambda cell: rank(cell, order)
    )
    limit = rng.choice([7, 50, 400])

    async def page(**paging: Any) -> reads.FitPage:
        return await reads.page_fits(reader, GENERATION, query, order, limit=limit, gpus=FIGURES_OF_GPUS, **paging)

    walked: list[StoredCell] = []
    cursors: list[Any] = []
    after = None
    while True:
        part = await page(after=after)
        walked += part.cells
        cursors += part.cursors
        assert part.has_previous == (after is not None)
        assert len(walked) <= len(expected)
        if not part.has_next:
            break
        after = part.cursors[-1]
    assert walked == expected
    for at in {rng.randrange(len(expected)) for _ in range(3)} if expected else ():
        part = await page(before=cursors[at])
        assert part.cells == expected[max(at - limit, 0) : at]
        assert (part.has_previous, part.has_next) == (at > limit, True)
        # A cursor is the same whichever way its page was reached.
        assert part.cursors == cursors[max(at - limit, 0) : at]
    part = await page(backwards=True)
    assert part.cells == expected[-limit:]
    assert (part.has_previous, part.has_next) == (len(expected) > limit, False)


@pytest.mark.parametrize("field", sorted(PACKED))
@pytest.mark.parametrize("descending", [True, False])
async def test_what_has_no_figure_comes_last_in_both_directions(
    reader: Reader,
    field: FitField,
    descending: bool,
) -> None:
    order = (FitOrder(field, descending),)
    query = FitQuery(model_ids=(1, 2, 3, 4))
    page = await reads.page_fits(reader, GENERATION, query, order, limit=10_000, gpus=FIGURES_OF_GPUS)
    figures = [FIGURES[field](cell) for cell in page.cells]
    known = [figure for figure in figures if figure is not None]
    assert 400 < len(known) < len(figures)
    assert figures[: len(known)] == sorted(known, reverse=descending)


async def test_rows_of_one_quantization_that_several_updates_published(empty_database_url: str) -> None:
    store(empty_database_url, {1: odd(BLOCKS[1])})
    async with opened(empty_database_url) as reader:
        engine, later = make_engine(empty_database_url), list(range(21, 21 + GPUS))
        with writing(engine) as sync:
            # A block of other accelerators, with plans of its own.
            block = pack_model(1, later, list(range(1, QUANTS + 1)), odd(BLOCKS[4]), 2)
            write_block(sync, GENERATION.table, block)
        engine.dispose()
        pairs = [(1, gpu) for gpu in [*range(1, GPUS + 1), *later]]
        by_pair = await by_key.fetch_pairs(reader, GENERATION, pairs)
        cells = [cell for of_it in by_pair.values() for cell in of_it]
        shared = {cell.quant_id for cell in cells if cell.key.gpu_id > GPUS} & {
            cell.quant_id for cell in cells if cell.key.gpu_id <= GPUS
        }
        assert len(shared) > 3
        for field in PACKED:
            order = (FitOrder(field),)
            page = await reads.page_fits(
                reader, GENERATION, FitQuery(model_ids=(1,)), order, limit=10_000, gpus=FIGURES_OF_GPUS
            )
            assert page.cells == sorted(cells, key=lambda cell: rank(cell, order))


@pytest.mark.parametrize("owner", list(FitOwner))
@pytest.mark.parametrize("seed", range(6))
async def test_first_and_last_pages_of_every_kind_of_owner(
    reader: Reader,
    seed: int,
    owner: FitOwner,
) -> None:
    rng = random.Random(seed)
    cells = await all_cells(reader)
    query, order = narrowed(random_query(rng)[0]), random_order(rng)
    counts = {FitOwner.MODEL: MODELS, FitOwner.GPU: GPUS, FitOwner.QUANT: QUANTS}
    ids = {FitOwner.WORKLOAD: range(SLOT_COUNT), FitOwner.ENGINE: range(len(Engine))}.get(owner)
    for backwards in (False, True):
        watched = Watched(reader)
        # One more than there are: it owns nothing.
        wanted = list(ids or range(1, counts[owner] + 2))
        pages = await reads.top_fits(
            watched, GENERATION, owner, wanted, query, order, 4, backwards=backwards, gpus=FIGURES_OF_GPUS
        )
        assert len(watched.statements) <= 2
        assert list(pages) == wanted
        for owner_id in wanted:
            of_it = [cell for cell in cells if matches(cell, owner.only(query, owner_id))]
            expected = sorted(of_it, key=lambda cell: rank(cell, order))
            assert pages[owner_id].cells == (expected[-4:] if backwards else expected[:4])
            ends = (len(expected) > 4, False) if backwards else (False, len(expected) > 4)
            assert (pages[owner_id].has_previous, pages[owner_id].has_next) == ends


@pytest.mark.parametrize(
    "query", [FitQuery(model_ids=()), FitQuery(gpu_ids=(1,), statuses=()), FitQuery(gpu_ids=(1,), workload_ids=())]
)
async def test_what_nothing_can_pass_is_an_empty_page(reader: Reader, query: FitQuery) -> None:
    for field in PACKED:
        page = await reads.page_fits(reader, GENERATION, query, (FitOrder(field),))
        assert (page.cells, page.has_next, page.has_previous) == ([], False, False)
        tops = await reads.top_fits(reader, GENERATION, FitOwner.QUANT, [1, 2], query, (FitOrder(field),), 3)
        assert [page.cells for page in tops.values()] == [[], []]


async def test_many_models_and_cursors_of_other_orders_are_refused(reader: Reader) -> None:
    order, query = (FitOrder(FitField.MEMORY),), FitQuery(model_ids=(1,))
    for wide in (FitQuery(), FitQuery(model_ids=tuple(range(25)), quant_ids=(1,))):
        with pytest.raises(ValueError, match="few models or accelerators"):
            await reads.page_fits(reader, GENERATION, wide, order)
    cursor = (await reads.page_fits(reader, GENERATION, query, order, limit=1)).cursors[0]
    assert cursor[0] > 1 << 31
    for bad in (cursor[1:], (*cursor, 1), (1 << 63, *cursor[1:]), (-2, *cursor[1:])):
        with pytest.raises(ValueError, match="does not belong to this order"):
            await reads.page_fits(reader, GENERATION, query, order, after=bad)


@pytest.mark.parametrize("seed", range(12))
async def test_one_fit_a_group_is_the_first_of_each(reader: Reader, seed: int) -> None:
    rng = random.Random(seed)
    group = rng.choice([FitOwner.MODEL, FitOwner.GPU, FitOwner.QUANT])
    query = replace(narrowed(random_query(rng)[0]), one_per=group)
    order = random_order(rng) if seed % 2 else (FitOrder(FitField.DECODE, rng.random() < 0.7),)
    ranked = sorted(
        (cell for cell in await all_cells(reader) if matches(cell, query)), key=lambda cell: rank(cell, order)
    )
    firsts: dict[int, StoredCell] = {}
    for cell in ranked:
        firsts.setdefault(getattr(cell, group.value), cell)
    expected = list(firsts.values())
    assert await reads.count_fits(reader, GENERATION, query) == len(expected)
    walked: list[StoredCell] = []
    after = None
    while True:
        page = await reads.page_fits(reader, GENERATION, query, order, limit=3, gpus=FIGURES_OF_GPUS, after=after)
        walked += page.cells
        assert page.has_previous is (after is not None)
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert [cell.key for cell in walked] == [cell.key for cell in expected]
    last = await reads.page_fits(reader, GENERATION, query, order, limit=2, gpus=FIGURES_OF_GPUS, backwards=True)
    assert [cell.key for cell in last.cells] == [cell.key for cell in expected[-2:]]


async def test_one_fit_a_group_of_each_owner(reader: Reader) -> None:
    query = FitQuery(workload_ids=(0, 2), one_per=FitOwner.GPU)
    order = (FitOrder(FitField.SCORE),)
    pages = await reads.top_fits(reader, GENERATION, FitOwner.MODEL, (1, 2), query, order, 5)
    for model, page in pages.items():
        alone = replace(query, model_ids=(model,))
        assert page.cells == (await reads.page_fits(reader, GENERATION, alone, order, limit=5)).cells
        assert len({cell.gpu_id for cell in page.cells}) == len(page.cells) == 5
