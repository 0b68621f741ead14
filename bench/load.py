"""Mixed queries of many clients during full recomputes: `python -m bench.load [SECONDS] [CLIENTS]`.

One API process serves the whole table from PostgreSQL. The clients first ask while nothing else runs. Then they ask for the
given time, and until a run has ended, while two workers run and publish full recomputes in sequence. Every answer must have
no errors and one generation. The 99th percentile of the latency must stay below ten times that of the quiet time.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.support.clients import generations_of
from bench.support.queries import COMPARISON, NESTED
from bench.support.serving import Repeated, api_argv, published_database, start_server
from db.entries.files import load_catalog
from tests.support.load_clients import Sent

SECONDS, CLIENTS = 60.0, 64
QUIET_S = 20.0
P99_BAR = 10.0
WORKERS = 2
_TOP = """query Top($f: FitFilter, $o: [FitOrder!]) { fits(filter: $f, orderBy: $o, first: 20) { nodes {
  id score generation decode { tokensPerSecond } model { slug name } gpu { slug } quant { slug } } pageInfo { endCursor } } }"""
_ONE = """query One($m: String!, $g: String!) { fit(model: $m, gpu: $g) { headline summary score generation
  workloadOptions { score generation } quantOptions { score generation quant { slug } } } }"""
_GPU = """query Gpu($g: String!) { gpu(slug: $g) { name memoryBytes fits(first: 20, filter: {recommended: true}) { nodes {
  score generation model { slug fits(first: 2) { nodes { score generation } } } } } } }"""
_SEARCH = """query Search($s: String!) { models(filter: {search: $s}, first: 10) { nodes { slug name parameterCount } }
  catalog { generation revision } }"""


@functools.cache
def _slugs() -> tuple[list[str], list[str]]:
    """Slugs of models and accelerators; read before the first client connects, because the read blocks all clients."""
    catalog = load_catalog()
    return sorted(catalog.models), sorted(catalog.gpus)


def questions(seed: int) -> Iterator[bytes]:
    """Endless requests of one client, as bytes of HTTP."""
    chance, (models, gpus) = random.Random(seed), _slugs()
    while True:
        model, gpu = chance.choice(models), chance.choice(gpus)
        least = chance.choice([5, 10, 20, 40])
        fast_chat = {"workload": {"in": ["CHAT"]}, "decodeTokensPerSecond": {"min": least}}
        query, variables = chance.choice(
            (
                (NESTED, {"model": model}),
                (_TOP, {"f": fast_chat, "o": [{"field": "SCORE"}]}),
                (_ONE, {"m": chance.choice(models[:40]), "g": gpu}),
                (_GPU, {"g": gpu}),
                (_SEARCH, {"s": chance.choice(["llama", "qwen 3", "mistral", "gema", "phi", "deepseek"])}),
                (COMPARISON, {"model": model, "gpus": gpus[:5]}),
            )
        )
        yield Sent("POST", "/graphql", json.dumps({"query": query, "variables": variables})).raw()


class Watch:
    """Latencies, faults and generations of the answers."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self.generations: set[int] = set()

    def judge(self, status: int, body: bytes, seconds: float) -> None:
        self.seconds.append(seconds)
        try:
            answer = json.loads(body)
        except ValueError:
            self.wrong.append(f"{status} {body[:300]!r}")
            return
        kinds = {error["extensions"]["code"] for error in answer.get("errors", [])}
        # A model or accelerator may lack facts: this is an answer and not a fault.
        if status != 200 or kinds - {"MISSING_FACT"}:
            self.wrong.append(f"{status} {body[:300]!r}")
        generations = set(generations_of(answer.get("data"))) | {answer["extensions"]["generation"]}
        if len(generations) > 1:
            self.wrong.append(f"generations {generations} in one answer: {body[:300]!r}")
        self.generations |= generations

    def p99_ms(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)] * 1e3


async def client(port: int, seed: int, is_over: Callable[[], bool], watch: Watch) -> None:
    """Ask over one connection until it is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in questions(seed):
        if is_over():
            break
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        watch.judge(int(head.split(b" ", 2)[1]), body, time.perf_counter() - began)
        # A client pauses between questions, as people and pages do.
        await asyncio.sleep(0.1)
    writer.close()


async def _all(
    port: int, clients: int, seconds: float, watch: Watch, may_end: Callable[[], bool] = lambda: True
) -> None:
    _slugs()
    until = time.perf_counter() + seconds

    def is_over() -> bool:
        return time.perf_counter() > until and may_end()

    await asyncio.gather(*(client(port, seed, is_over, watch) for seed in range(clients)))


def main(arguments: list[str]) -> int:
    """Returns 1 when a bar was missed."""
    import uvloop

    seconds = float(arguments[0]) if arguments else SECONDS
    clients = int(arguments[1]) if len(arguments) > 1 else CLIENTS
    quiet, busy = Watch(), Watch()
    with tempfile.TemporaryDirectory(prefix="fitgraph-bench-") as name, published_database(Path(name)) as url:
        environment = {
            "FITGRAPH_DATABASE_URL": url, "FITGRAPH_STATE_DIR": name, "FITGRAPH_REDIS_URL": "",
            "FITGRAPH_WORKERS": str(WORKERS), "FITGRAPH_GENERATION_GRACE_S": "60",
        }  # fmt: skip
        with start_server(api_argv(), "/readyz", environment) as server:
            uvloop.run(_all(server.port, clients, 5.0, Watch()))
            uvloop.run(_all(server.port, clients, QUIET_S, quiet))
            ended = threading.Event()
            recompute = [sys.executable, "-m", "api.cli", "recompute", "--all"]
            runs = Repeated(ended, recompute, {**os.environ, **environment})
            uvloop.run(_all(server.port, clients, seconds, busy, lambda: runs.is_over))
            ended.set()
            published = runs.join_and_count()
    for line in itertools.islice(quiet.wrong + busy.wrong, 20):
        print(f"  WRONG {line}")
    ratio = busy.p99_ms() / quiet.p99_ms()
    print(
        f"load: {clients} clients, {len(quiet.seconds):,} answers in the quiet, {len(busy.seconds):,} during {published} runs"
    )
    print(
        f"  errors and mixed generations: {len(quiet.wrong) + len(busy.wrong)} (bar: 0); {len(busy.generations)} seen"
    )
    print(f"  p99 during recomputes over quiet p99: {ratio:.2f} (bar: below {P99_BAR:g})")
    return 1 if quiet.wrong or busy.wrong or ratio >= P99_BAR or not published else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
