"""Differences between generations: equal to a comparison of all their fits, in pages of any size, on both databases."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from db.fits import by_key
from db.fits.cells import FitKey, StoredCell
from db.fits.generations import Generation
from db.fits.layout import SLOT_COUNT, create_storage
from db.fits.packing import concatenate
from db.fits.writes import write_block
from db.reading import Reader
from db.runs.differences import (
    Difference,
    DifferenceKind,
    DifferenceQuery,
    count_differences,
    page_differences,
    span_of,
)
from db.session import make_engine, writing
from estimator.types import STATUSES
from tests.support.stored_fits import BLOCKS, GENERATION, GPUS, MODELS, QUANTS, Watched, opened, pack, store
from tests.support.synthetic import synthetic_block

#: Two updates of one storage, and a whole new one.
FIRST, SECOND, THIRD = GENERATION, replace(GENERATION, id=4), replace(GENERATION, id=5)
ANEW = replace(GENERATION, id=6, table="fit_8")
#: Rows whose fits stay as they are but for one figure.
FASTER = "model_id = 1 AND gpu_id = 3"


@pytest_asyncio.fixture
async def reader(database_url: str) -> AsyncIterator[Reader]:
    store(database_url, BLOCKS)
    engine = make_engine(database_url)
    with writing(engine) as sync:
        # Generation 4: model 1 is computed again, alike but for one accelerator, and model 2 leaves; a row of it is in
        # the storage already. Generation 5: accelerator 2 leaves, and a new model comes.
        for table, scope in (("fit_7", "model_id IN (1, 2)"), ("fit_7_quant", "model_id IN (1, 2)")):
            sync.execute(text(f"UPDATE {table} SET died = 4 WHERE {scope} AND died = 0 AND born < 4"))
            sync.execute(text(f"DELETE FROM {table} WHERE born = 4"))
        write_block(sync, "fit_7", pack(1, BLOCKS[1], 4))
        sync.execute(
            text(f"UPDATE fit_7 SET decode_2 = decode_2 + 7, score_0 = score_0 + 1 WHERE born = 4 AND {FASTER}")
        )
        sync.execute(text("UPDATE fit_7 SET died = 5 WHERE gpu_id = 2 AND died = 0"))
        write_block(sync, "fit_7", pack(MODELS + 1, synthetic_block(MODELS + 1, GPUS, QUANTS), 5))
        create_storage(sync, "fit_8")
        write_block(sync, "fit_8", concatenate([pack(model, BLOCKS[model], 6) for model in (1, 3)]))
    engine.dispose()
    async with opened(database_url) as made:
        yield made


def figures(cell: StoredCell) -> Any:
    running = cell.status in STATUSES[:3]
    speed = cell.decode.value if running and cell.decode is not None else None
    return (cell.status, cell.recommended, cell.engine, speed, cell.ttft_ms, cell.safe_context_tokens, cell.score)


async def fits_at(reader: Reader, generation: Generation) -> dict[tuple[int, ...], Any]:
    keys = [
        FitKey(model, gpu, quant)
        for model in range(1, MODELS + 2)
        for gpu in range(1, GPUS + 1)
        for quant in range(1, QUANTS + 1)
    ]
    fits = await by_key.fetch_fits(reader, generation, keys)
    return {(*cell.key, cell.workload_id): figures(cell) for cells in fits.values() for cell in cells}


async def expected(reader: Reader, first: Generation, last: Generation) -> dict[tuple[int, ...], tuple[Any, Any]]:
    before, after = await fits_at(reader, first), await fits_at(reader, last)
    pairs = {key: (before.get(key), after.get(key)) for key in before.keys() | after.keys()}
    return {key: pair for key, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def told(difference: Difference) -> tuple[Any, Any]:
    sides = [
        None
        if side is None
        else (
            side.status, side.recommended, side.engine, side.decode_tok_s, side.ttft_ms, side.safe_context_tokens, side.score,
        )
        for side in (difference.before, difference.after)
    ]  # fmt: skip
    return sides[0], sides[1]


@pytest.mark.parametrize(
    ("first", "last"), [(FIRST, SECOND), (SECOND, THIRD), (FIRST, THIRD), (THIRD, ANEW), (FIRST, FIRST)]
)
async def test_differences_are_those_of_all_fits(reader: Reader, first: Generation, last: Generation) -> None:
    every = await expected(reader, first, last)
    span = await span_of(reader, first, last)
    page = await page_differences(reader, span, DifferenceQuery(), limit=100_000)
    assert {difference.key: told(difference) for difference in page} == every
    assert [difference.key for difference in page] == list(every)
    assert await count_differences(reader, span, DifferenceQuery()) == len(every)
    if (first, last) == (FIRST, SECOND):
        # A model that was computed again shows only what moved.
        moved = [difference for difference in page if difference.kind is DifferenceKind.MOVED]
        assert {difference.key[:2] for difference in moved} == {(1, 3)}
        assert {difference.key[3] for difference in moved} == {0, 2}
        assert {difference.key[0] for difference in page if difference.kind is DifferenceKind.REMOVED} == {2}


async def test_pages_of_a_filter_from_both_ends(reader: Reader) -> None:
    rng, every = random.Random(5), await expected(reader, FIRST, ANEW)
    span = await span_of(reader, FIRST, ANEW)
    watched = Watched(reader)
    for _ in range(6):
        query = DifferenceQuery(
            model_ids=rng.choice([None, (1, 3), (2,)]),
            gpu_ids=rng.choice([None, (2, 3, 7)]),
            quant_ids=rng.choice([None, (1, 4)]),
            slots=tuple(sorted(rng.sample(range(SLOT_COUNT), 2))),
            kinds=tuple(rng.sample(list(DifferenceKind), 2)),
        )
        wanted = [
            key
            for key, (before, after) in every.items()
            if all(
                ids is None or part in ids
                for part, ids in zip(key, (query.model_ids, query.gpu_ids, query.quant_ids, query.slots), strict=True)
            )
            and (
                DifferenceKind.ADDED
                if before is None
                else DifferenceKind.REMOVED
                if after is None
                else DifferenceKind.MOVED
            )
            in query.kinds
        ]
        assert await count_differences(reader, span, query) == len(wanted)
        for backwards in (False, True):
            met: list[tuple[int, ...]] = []
            place = None
            size = max(len(wanted) // 4, 3)
            while True:
                watched.statements.clear()
                page = await page_differences(watched, span, query, place=place, limit=size, backwards=backwards)
                assert len(watched.statements) == 1
                met += [difference.key for difference in page]
                if len(page) < size:
                    break
                place = page[-1].key
            assert met == (wanted[::-1] if backwards else wanted)
    nothing = DifferenceQuery(model_ids=())
    assert await page_differences(reader, span, nothing, limit=5) == []
    assert await count_differences(reader, span, nothing) == 0
