"""Cost of queries against their measured time: `python -m bench.cost [QUERIES] [SEED]`.

Random valid queries over the schema run in one process over a published part of the catalog, without a cache of responses.
The time of a query is the shortest of three runs after one that prepared its document. The bar is the rank correlation
(Spearman's) of the price that the server states with this time. Fields whose time per point is far from the mean are printed,
so that their prices in ``api/graphql/execution/field_costs.py`` can be corrected.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from api.graphql.context import RequestContext
from api.graphql.schema import FitSchema, build_schema
from api.graphql.services.services import Services
from api.settings import ApiSettings
from db.entries.files import Catalog, load_catalog
from db.session import async_engine, upgrade_database
from tests.api.conftest import part_of
from tests.api.graphql.execution.random_queries import Writer
from tests.support.runs import run_in_process

QUERIES = 1000
BAR = 0.85
#: Every n-th model and accelerator is published.
_STEP = 9
_RUNS = 3
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Measured:
    """A query, its price in points, and its time in seconds."""

    text: str
    points: int
    seconds: float


def part(catalog: Catalog) -> Catalog:
    """A part of the catalog with what the random queries name."""
    named = ("llama-2-7b", "qwen3-30b-a3b", "kimi-linear-48b-a3b")
    gpus = ("rtx-4090", "rtx-3090", "apple-m3-max-30c-36gb")
    return part_of(
        catalog,
        tuple(dict.fromkeys((*named, *sorted(catalog.models)[::_STEP]))),
        tuple(dict.fromkeys((*gpus, *sorted(catalog.gpus)[::_STEP]))),
    )


async def measure(schema: FitSchema, services: Services, text: str) -> Measured | None:
    """The query's price and time; None for one that is answered with errors."""
    seconds = []
    for _ in range(_RUNS + 1):
        context = RequestContext(services, await services.state.view(), "bench")
        began = time.perf_counter()
        result = await schema.execute(text, context_value=context)
        seconds.append(time.perf_counter() - began)
        if result.errors:
            return None
    return Measured(text, context.cost, min(seconds[1:]))


async def measure_all(settings: ApiSettings, catalog: Catalog, count: int, seed: int) -> list[Measured]:
    services = Services(settings, async_engine(settings.resolved_database_url), catalog)
    schema = build_schema(settings)
    measured: list[Measured] = []
    number = seed * 1_000_000
    while len(measured) < count:
        number += 1
        query = await measure(schema, services, Writer(schema, number).document())
        # A query whose fields are all left out asks for nothing.
        if query is not None and query.points > 1:
            measured.append(query)
    await services.close()
    return measured


def rank_correlation(first: list[float], other: list[float]) -> float:
    """Spearman's: the correlation of the ranks, equal values sharing the mean of theirs."""
    ranks = [_ranks(np.asarray(values)) for values in (first, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse])


def by_field(measured: list[Measured]) -> list[tuple[str, float, int]]:
    """Names of fields, the median seconds per point of the queries that have them, and how many these are."""
    times: dict[str, list[float]] = defaultdict(list)
    for query in measured:
        for name in set(re.findall(r"\b[a-z]\w+\b(?!:)", query.text)):
            times[name].append(query.seconds / query.points)
    return sorted(
        ((name, median(seconds), len(seconds)) for name, seconds in times.items() if len(seconds) >= 10),
        key=lambda entry: entry[1],
    )


def main(arguments: list[str]) -> int:
    """Returns 1 below the bar."""
    count, seed = map(int, [*arguments, *(str(QUERIES), "1")[len(arguments) :]])
    catalog = part(load_catalog())
    with tempfile.TemporaryDirectory(prefix="fitgraph-bench-") as folder:
        settings = ApiSettings(state_dir=Path(folder), response_cache_bytes=0)
        upgrade_database(settings.resolved_database_url)
        run_in_process(settings, catalog)
        measured = asyncio.run(measure_all(settings, catalog, count, seed))
    correlation = rank_correlation([query.points for query in measured], [query.seconds for query in measured])
    fields = by_field(measured)
    for name, seconds, met in [*fields[:_SHOWN], *fields[-_SHOWN:]]:
        print(f"  {1e6 * seconds:8.1f} us a point, {met:4} queries with {name}")
    total = sum(query.seconds for query in measured) / sum(query.points for query in measured)
    print(f"  {1e6 * total:8.1f} us a point in all")
    print(f"cost: rank correlation with time over {len(measured):,} queries: {correlation:.3f} (bar: at least {BAR})")
    return 0 if correlation >= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
