"""Stored fits of synthetic blocks for tests: their storage, all their cells, and filters and orders by search through them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import numpy as np
from sqlalchemy import text

from db.fits import by_key
from db.fits.by_unpacking import PACKED
from db.fits.cells import FitKey, StoredCell
from db.fits.generations import Generation
from db.fits.layout import SLOT_COUNT, create_storage, index_statements
from db.fits.packing import concatenate, pack_model, shown
from db.fits.query import FitField, FitOrder, FitQuery, ModelQuants
from db.fits.writes import write_block
from db.reading import Reader, reader_of
from db.session import async_engine, make_engine, writing
from estimator.grid import FitBlock
from estimator.types import STATUSES, Engine
from tests.support.synthetic import synthetic_block

MODELS, GPUS, QUANTS = 4, 11, 6
#: A GPU without a known arithmetic peak: it has a decode speed, and neither prefill nor latency.
PEAKLESS_GPU = 4


def without_peak(block: FitBlock) -> FitBlock:
    """The block with what is not known of ``PEAKLESS_GPU`` as zero."""
    names = ("prefill_tok_s", "prefill_low_tok_s", "prefill_high_tok_s", "ttft_ms")
    columns = {name: getattr(block, name).copy() for name in names}
    for values in columns.values():
        values[PEAKLESS_GPU - 1] = 0
    return replace(block, **columns)


BLOCKS = {model: without_peak(synthetic_block(model, GPUS, QUANTS)) for model in range(1, MODELS + 1)}
STORED = sum(int(block.available.sum()) for block in BLOCKS.values())
#: Fields with a column of their own.
STORED_FIELDS = [field for field in FitField if field not in PACKED]
GENERATION = Generation(
    id=3, table="fit_7", revision="r", published_at=datetime.now(UTC), rows=STORED, cells=0, unsupported_cells=0, models=MODELS,
    gpus=GPUS, quants=QUANTS, workloads=SLOT_COUNT, run_id=7,
)  # fmt: skip


def store(url: str, blocks: dict[int, FitBlock]) -> None:
    """Write a storage with these blocks, a dead row and a row of the next generation."""
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


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Reader]:
    """Reader of the database at ``url``."""
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
    fits = await by_key.fetch_fits(reader, GENERATION, all_keys())
    return [cell for cells in fits.values() for cell in cells]


def identity(cell: StoredCell) -> tuple[int, ...]:
    return (*cell.key, cell.workload_id)


def matches(cell: StoredCell, query: FitQuery) -> bool:
    decode = shown(cell.decode.value) if cell.decode else None
    ttft_ms = None if cell.ttft_ms is None else shown(cell.ttft_ms)
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
        and (query.ttft_min_ms is None or (ttft_ms is not None and ttft_ms >= query.ttft_min_ms))
        and (query.ttft_max_ms is None or (ttft_ms is not None and ttft_ms <= query.ttft_max_ms))
        and (query.score_min is None or cell.score >= query.score_min)
        and (query.score_max is None or cell.score <= query.score_max)
        and (query.safe_context_min is None or cell.safe_context_tokens >= query.safe_context_min)
        and (query.safe_context_max is None or cell.safe_context_tokens <= query.safe_context_max)
        and (query.ttft_known is None or (cell.ttft_ms is not None) == query.ttft_known)
        and (query.model_quants is None or _is_among(cell, query.model_quants.pairs) == query.model_quants.among)
        and all(any(matches(cell, own) for own in group) for group in query.any_of)
    )


def _is_among(cell: StoredCell, pairs: frozenset[tuple[int, int]]) -> bool:
    return (cell.key.model_id, cell.key.quant_id) in pairs


def rank(cell: StoredCell, order: tuple[FitOrder, ...]) -> tuple[Any, ...]:
    figures = {
        FitField.DECODE: cell.decode.value if cell.decode else None,
        FitField.SCORE: cell.score,
        FitField.TTFT: cell.ttft_ms,
        FitField.SAFE_CONTEXT: cell.safe_context_tokens,
    }
    values: list[Any] = []
    key_sign = 1
    for term in order:
        if term.field is FitField.KEY:
            key_sign = -1 if term.descending else 1
            break
        figure = figures[term.field]
        # A cell without the figure comes last in both directions.
        values.append((1, 0) if figure is None else (0, -figure if term.descending else figure))
    return (*values, *(key_sign * part for part in cell.key), cell.workload_id)


def random_query(rng: random.Random) -> tuple[FitQuery, tuple[FitOrder, ...]]:
    query = random_filter(rng)
    if rng.random() < 0.2:
        groups = [tuple(random_filter(rng) for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(1, 2))]
        query = replace(query, any_of=tuple(groups))
    order = tuple(
        FitOrder(field, rng.random() < 0.6) for field in rng.sample(STORED_FIELDS, rng.choice([0, 1, 1, 1, 2, 3]))
    )
    return query, order


def random_filter(rng: random.Random) -> FitQuery:
    def some(count: int) -> tuple[int, ...]:
        return tuple(rng.sample(range(1, count + 1), rng.randint(1, 3)))

    def maybe(make: Any, share: float = 0.25) -> Any:
        return make() if rng.random() < share else None

    return FitQuery(
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
        safe_context_max=maybe(lambda: 60_000, 0.1),
        ttft_known=maybe(lambda: rng.random() < 0.7, 0.1),
        model_quants=maybe(
            lambda: ModelQuants(frozenset(product(some(MODELS), some(QUANTS))), rng.random() < 0.5), 0.1
        ),
    )


def normal(order: tuple[FitOrder, ...]) -> tuple[FitOrder, ...]:
    fields = [term.field for term in order]
    return (*order, FitOrder(FitField.DECODE, order[0].descending)) if fields == [FitField.SCORE] else order


class Watched:
    """A reader that remembers its statements."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.dialect = reader.dialect
        self.statements: list[str] = []

    async def rows(self, statement: str, parameters: Any) -> Any:
        self.statements.append(statement)
        return await self._reader.rows(statement, parameters)
