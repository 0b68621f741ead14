"""Cost of queries against their measured time: `python -m bench.cost [QUERIES] [SEED]`.

Random valid queries over the schema, and queries that search, run in one process over PostgreSQL with the whole table, without
a cache of responses. The time of a query is the shortest of three runs after one that prepared its document; that of a search,
whose results are kept, is of its first run in a server that another one has warmed. Times are processor times of this process
and of the database server, so that other work of the machine does not count. The bars are the
rank correlation (Spearman's) of the price that the server states with this time, and that no query within the maximum price
takes longer than 5 s. For the second bar a search counts as often as the maximum allows it in one query. Fields whose time per
point is far from the mean are printed, so that their prices in ``api/graphql/execution/field_costs.py`` can be corrected.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from api.graphql.context import RequestContext
from api.graphql.schema import FitSchema, build_schema
from api.graphql.services.services import Services
from api.settings import ApiSettings
from bench.support.processor import Stopwatch
from bench.support.serving import published_database
from db.session import async_engine
from tests.api.graphql.execution.random_queries import Writer

QUERIES = 1000
BAR = 0.85
#: Longest time of a query within the maximum price, seconds, on two cores.
LONGEST_S = 5.0
_RUNS = 3
_SHOWN = 12


_FIRST = (
    'fits(first: 4, orderBy: [{field: SCORE, direction: ASC}], filter: {model: {in: ["qwen3-32b"]}, score: {min: 1}})'
)
#: Queries of what the random ones leave out.
SEARCHES = (
    "{ purchases(input: {}) { streams } }",
    "{ purchases(input: {users: 20, workload: CHAT}) { streams } }",
    '{ purchases(input: {models: ["qwen3-32b"]}) { streams } }',
    '{ smallestSetups(model: "qwen3-32b", target: {users: 8}) { gpuCount estimate { score } } }',
    '{ recommendations(input: {gpu: "rtx-4090", target: {users: 9}}) { totalCount } }',
    '{ recommendations(input: {model: "qwen3-8b"}) { totalCount nodes { fit { score } } } }',
    '{ tiers(gpu: "rtx-3090") { fits { score } } }',
    '{ rankedModels(gpu: "rtx-3090", benchmark: "MMLU-Pro") { rank } }',
    *(
        f"{{ {_FIRST} {{ nodes {{ {asked} }} }} }}"
        for asked in (
            "advice { message }",
            "faq { answer }",
            "serving { people }",
            "serving { engines { people } }",
            "limits { message } summary capacityMessage",
        )
    ),
    '{ comparison(input: {models: ["qwen3-32b", "qwen3-8b"], gpus: ["rtx-4090", "rtx-3090"], contextTokens: [9000, 20000]}) '
    "{ winner } }",
    '{ recommendations(input: {gpu: "rtx-3080"}, mode: LIGHT_API) { totalCount } }',
    '{ recommendations(input: {gpu: "rtx-3060"}, mode: SCALE_OUT) { totalCount } }',
    '{ recommendations(input: {gpu: "h100-sxm5-80-gb", aim: EFFICIENT, target: {users: 6}}) { totalCount } }',
    *(
        f"{{ {owner} {{ fits(filter: {{score: {{min: 51}}}}) {{ totalCount }} }} }}"
        for owner in ("workloads", "hosts", "engines")
    ),
    "{ fits(filter: {safeContextTokens: {min: 5000}, or: [{engine: {in: [VLLM]}}, {recommended: true}]}) { totalCount } }",
    "{ fits(filter: {ttftMs: {max: 803}}, orderBy: [{field: SCORE, direction: ASC}]) { nodes { score } } }",
    "{ fits(orderBy: [{field: TTFT, direction: ASC}]) { nodes { score } } }",
    "{ fits(filter: {ttftMs: {min: 20000}}) { nodes { score } } }",
    "{ fits(filter: {status: {in: [FITS_WITH_OFFLOAD]}, minimumGrade: A}) { nodes { score } } }",
    "{ fits(filter: {engine: {in: [IK_LLAMA_CPP]}}, orderBy: [{field: DECODE}]) { nodes { score } } }",
    "{ hosts { fits(filter: {score: {min: 50}}, orderBy: [{field: TTFT}]) { nodes { score } } } }",
    '{ quant(slug: "q5-k-m") { fits(filter: {ttftMs: {min: 20000}}) { nodes { score } } } }',
    '{ quant(slug: "q5-k-m") { fits(filter: {score: {min: 51}}) { totalCount } } }',
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A query, its price in points, and its processor time in seconds."""

    text: str
    points: int
    seconds: float


async def measure(
    schema: FitSchema, services: Services, watch: Stopwatch, text: str, *, first: bool = False
) -> Measured | None:
    """The query's price and time, that of its ``first`` run if asked for; None for one that is answered with errors."""
    seconds = []
    for _ in range(1 if first else _RUNS + 1):
        context = RequestContext(services, await services.state.view(), "bench")
        watch.start()
        result = await schema.execute(text, context_value=context)
        seconds.append(watch.seconds())
        if result.errors:
            return None
    return Measured(text, context.cost, min(seconds[1:], default=seconds[0]))


async def measure_all(settings: ApiSettings, count: int, seed: int) -> tuple[list[Measured], list[Measured]]:
    """Random queries, and those that search."""
    schema, watch = build_schema(settings), Stopwatch(settings.resolved_database_url)
    for _ in ("warms the process", "measured"):
        services = Services(settings, async_engine(settings.resolved_database_url))
        await services.state.view()
        runs = [await measure(schema, services, watch, text, first=True) for text in SEARCHES]
        searches = [query for query in runs if query is not None]
        if len(searches) < len(SEARCHES):
            raise RuntimeError("a search was answered with errors")
        await services.close()
    services = Services(settings, async_engine(settings.resolved_database_url))
    measured: list[Measured] = []
    number = seed * 1_000_000
    while len(measured) < count:
        number += 1
        query = await measure(schema, services, watch, Writer(schema, number).document())
        # A query whose fields are all left out asks for nothing.
        if query is not None and query.points > 1:
            measured.append(query)
    await services.close()
    return measured, searches


def too_long(measured: list[Measured], searches: list[Measured], most_points: int) -> list[tuple[str, float]]:
    """Queries within the maximum price over the longest time; a search as often as the price allows it at once."""
    times = [(query.text, query.seconds) for query in measured]
    times += [(search.text, search.seconds * max(1, most_points // search.points)) for search in searches]
    return [(text, seconds) for text, seconds in times if seconds > LONGEST_S]


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
    """Returns 1 when a bar is missed."""
    count, seed = map(int, [*arguments, *(str(QUERIES), "1")[len(arguments) :]])
    with tempfile.TemporaryDirectory(prefix="fitgraph-bench-") as folder, published_database(Path(folder)) as url:
        settings = ApiSettings(state_dir=Path(folder), database_url=url, redis_url="", response_cache_bytes=0)
        measured, searches = asyncio.run(measure_all(settings, count, seed))
    correlation = rank_correlation([query.points for query in measured], [query.seconds for query in measured])
    slow = too_long(measured, searches, settings.max_cost)
    fields = by_field(measured)
    for name, seconds, met in [*fields[:_SHOWN], *fields[-_SHOWN:]]:
        print(f"  {1e6 * seconds:8.1f} us a point, {met:4} queries with {name}")
    total = sum(query.seconds for query in measured) / sum(query.points for query in measured)
    print(f"  {1e6 * total:8.1f} us a point in all")
    print(f"cost: rank correlation with time over {len(measured):,} queries: {correlation:.3f} (bar: at least {BAR})")
    for search in searches:
        print(f"  {search.points:6} points, {1e3 * search.seconds:6.0f} ms  {search.text[:90]}")
    for text, seconds in slow:
        print(f"  TOO LONG {seconds:.1f} s: {text[:300]}")
    print(f"cost: allowed queries over {LONGEST_S:g} s: {len(slow)} (bar: 0)")
    return 0 if correlation >= BAR and not slow else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
