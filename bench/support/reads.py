"""Time of the reads that the API makes, on a published database: `python -m bench.support.reads [URL]`.

Without a URL the database of the settings is read. Prints the median and the slowest of some calls, in milliseconds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from db.fits import by_key
from db.fits import reads as fit_store
from db.fits.cells import FitKey
from db.fits.generations import current_generation
from db.fits.query import FitField, FitOrder, FitOwner, FitQuery
from db.reading import Reader, reader_of
from db.session import async_engine
from db.settings import get_settings
from estimator.types import Status

CALLS = 25
_RUNNING = (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)
_DECODE, _SCORE, _TTFT = (FitOrder(FitField.DECODE),), (FitOrder(FitField.SCORE),), (FitOrder(FitField.TTFT, False),)


def reads(reader: Reader, generation: Any) -> dict[str, Callable[[int], Awaitable[Any]]]:
    """The reads by name; each takes the number of the call, so that calls differ."""

    def page(order: tuple[FitOrder, ...], **query: Any) -> Awaitable[Any]:
        return fit_store.page_fits(reader, generation, FitQuery(**query), order)

    def top(owner: FitOwner, count: int, order: tuple[FitOrder, ...], start: int, **query: Any) -> Awaitable[Any]:
        ids = range(start + 1, start + 1 + count)
        return fit_store.top_fits(reader, generation, owner, ids, FitQuery(workload_ids=(1,), **query), order, 3)

    return {
        "one pairing and quant, 5 workloads": lambda i: by_key.fetch_fits(reader, generation, [FitKey(i + 1, 5, 3)]),
        "one pairing, every quant": lambda i: by_key.fetch_pairs(reader, generation, [(i + 1, 7)]),
        "20 pairings, every quant, 1 workload": lambda i: by_key.fetch_pairs(
            reader, generation, [(i + 1, gpu) for gpu in range(1, 21)], [1]
        ),
        "fastest 20 of all": lambda i: page(_DECODE, workload_ids=(i % 5,)),
        "fastest 20 of all, any workload": lambda _: page(_DECODE),
        "best 20 of all by score": lambda i: page(_SCORE, workload_ids=(i % 5,)),
        "best 20 of all by score, recommended": lambda _: page(_SCORE, workload_ids=(1,), recommended=True),
        "fastest 20 of a quant that run": lambda i: page(
            _DECODE, workload_ids=(1,), quant_ids=(i % 20 + 1, i % 20 + 2), statuses=_RUNNING
        ),
        "20 from 20 to 30 tok/s": lambda _: page(_DECODE, workload_ids=(1,), decode_min=20.0, decode_max=30.0),
        "fastest 20 of a model": lambda i: page(_DECODE, model_ids=(i + 1,), workload_ids=(1,)),
        "best 20 of a gpu": lambda i: page(_SCORE, gpu_ids=(i + 1,), workload_ids=(1,)),
        "best 20 of a gpu, recommended": lambda i: page(_SCORE, gpu_ids=(i + 1,), workload_ids=(1,), recommended=True),
        "20 of a gpu by latency": lambda i: page(_TTFT, gpu_ids=(i + 1,), workload_ids=(1,)),
        "20 models, 3 fastest each": lambda i: top(FitOwner.MODEL, 20, _DECODE, i),
        "20 gpus, 3 best recommended each": lambda i: top(FitOwner.GPU, 20, _SCORE, i, recommended=True),
        "sizes of 20 models": lambda i: by_key.model_quants(reader, generation, range(i + 1, i + 21)),
        "count of a model": lambda i: fit_store.count_fits(
            reader, generation, FitQuery(model_ids=(i + 1,), workload_ids=(1,), decode_min=20.0)
        ),
    }


async def run(url: str) -> int:
    """Time every read. Returns 1 when nothing is published there."""
    engine = async_engine(url)
    try:
        async with engine.connect() as connection:
            generation = await current_generation(connection)
            if generation is None:
                print("nothing is published; run `fitgraph recompute` first", file=sys.stderr)
                return 1
            print(f"{engine.dialect.name}: {generation.rows:,} rows, {generation.cells:,} cells")
            reader = reader_of(engine)
            for label, read in reads(reader, generation).items():
                times = []
                for number in range(CALLS):
                    began = time.perf_counter()
                    await read(number)
                    times.append((time.perf_counter() - began) * 1e3)
                print(f"  {label:40} median {statistics.median(times):7.2f} ms, slowest {max(times):7.2f} ms")
            await reader.close()
    finally:
        await engine.dispose()
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(run(sys.argv[1] if len(sys.argv) > 1 else get_settings().resolved_database_url)))
