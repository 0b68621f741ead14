"""Random requests against a running server: `python -m bench.fuzz [--documents N] [--seed N] [--recompute]`.

``tests.support.grammar`` writes requests from the schema. The bench sends them over several connections to one API process
over PostgreSQL with the whole table. No answer may be 5xx or INTERNAL, and the log may hold no trace; the bench prints each
wrong answer as it arrives. It compares the memory after the last request with the memory after half of them, which filled
the caches: the ratio may be 1.1 at most. It reads memory at rest, after the server has returned freed memory to the system.
With ``--recompute``, workers compute and publish everything anew, again and again, while the requests are sent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from graphql import build_schema

from api.graphql.core.ids import encode_id
from api.server.malloc import EVERY_S
from bench.support.serving import Repeated, Server, api_argv, published_database, start_server
from db.entries.files import load_catalog
from tests.support.grammar import Grammar, names_of

DOCUMENTS = 40_000
CONNECTIONS = 8
#: Seconds without an answer that count as a wrong one; the server stops an operation long before.
TIMEOUT_S = 60
MEMORY_BAR = 1.1
#: Answers between two lines of progress.
PROGRESS_STEP = 1_000
#: Two rounds in which the server returns freed memory.
REST_S = 2.2 * EVERY_S
_FAULTS = ("fault at", "exception was never retrieved")


class Findings:
    """Counts of wrong answers and of error codes, and the slowest answer."""

    def __init__(self) -> None:
        self.answers = 0
        self.wrong = 0
        self.codes: Counter[str] = Counter()
        self.slowest: tuple[float, str] = (0.0, "")
        self._began = time.perf_counter()

    def report(self, finding: str, request: str) -> None:
        """Count a wrong answer, and print it with its whole request."""
        self.wrong += 1
        print(f"  WRONG {finding} for {request}", flush=True)

    def judge(self, request: str, status: int, text: str, seconds: float) -> None:
        self.answers += 1
        self.slowest = max(self.slowest, (seconds, request))
        if self.answers % PROGRESS_STEP == 0:
            rate = self.answers / (time.perf_counter() - self._began)
            print(f"  {self.answers:,} answers, {rate:.0f} a second, {self.wrong} wrong", flush=True)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if status >= 500 or not isinstance(answer, dict):
            self.report(f"{status} after {seconds:.1f} s: {text[:300]}", request)
            return
        errors = answer.get("errors") or []
        self.codes["answered" if not errors else "partly answered" if answer.get("data") else "refused"] += 1
        for error in errors:
            code = (error.get("extensions") or {}).get("code", "none")
            self.codes[code] += 1
            if code in ("INTERNAL", "none", "UNAVAILABLE"):
                self.report(f"{code} after {seconds:.1f} s: {error}", request)


async def send(server: Server, grammar: Grammar, count: int, findings: Findings) -> None:
    left = iter(range(count))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=TIMEOUT_S) as client:

        async def connection() -> None:
            for _ in left:
                request = json.dumps(grammar.request())
                began = time.perf_counter()
                try:
                    answer = await client.post(
                        "/graphql", content=request, headers={"content-type": "application/json"}
                    )
                except httpx.TimeoutException:
                    findings.report(f"no answer within {TIMEOUT_S} s", request)
                    continue
                findings.judge(request, answer.status_code, answer.text, time.perf_counter() - began)

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


def traces_in(log: str) -> list[str]:
    """Traces of a log, and lines that report a fault without a trace."""
    traces: list[list[str]] = []
    inside = False
    for line in log.splitlines():
        if line.startswith("Traceback"):
            traces.append([])
            inside = True
        elif any(fault in line for fault in _FAULTS):
            traces.append([line])
            inside = False
        if inside:
            traces[-1].append(line)
            inside = line.startswith((" ", "Traceback"))
    return ["\n".join(lines) for lines in traces]


def written_grammar(seed: int) -> Grammar:
    """Requests of the served schema that name rows of the bundled catalog."""
    catalog = load_catalog()
    models, gpus, quants = map(sorted, (catalog.models, catalog.gpus, catalog.quants))
    ids = [
        encode_id("Model", models[0]),
        encode_id("Fit", models[0], gpus[0], quants[0], "coding"),
        "bad",
        encode_id("Run", "1"),
    ]
    schema = build_schema((Path(__file__).parent.parent / "schema.graphql").read_text())
    return Grammar(schema, seed, names_of(models[::20], gpus[::20], quants, ids))


@contextlib.contextmanager
def recomputing(environment: Mapping[str, str]) -> Iterator[None]:
    """Compute and publish everything anew, again and again. Raises RuntimeError when no run was published."""
    ended = threading.Event()
    runs = Repeated(ended, [sys.executable, "-m", "api.cli", "recompute", "--all"], {**os.environ, **environment})
    try:
        yield
    finally:
        ended.set()
        published = runs.join_and_count()
        print(f"  runs published beside the requests: {published}")
    if not published:
        raise RuntimeError("no run was published beside the requests")


def main(arguments: list[str]) -> int:
    """Returns 1 when an answer, the log or the memory breaks a bar."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--documents", type=int, default=DOCUMENTS, help="how many requests to send (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed of the requests (default: %(default)s)")
    parser.add_argument("--recompute", action="store_true", help="compute and publish everything anew meanwhile")
    options = parser.parse_args(arguments)
    beside = recomputing if options.recompute else contextlib.nullcontext
    count = options.documents
    grammar = written_grammar(options.seed)
    with tempfile.TemporaryDirectory(prefix="fitgraph-bench-") as name, published_database(Path(name)) as url:
        environment = {
            "FITGRAPH_DATABASE_URL": url, "FITGRAPH_STATE_DIR": name, "FITGRAPH_REDIS_URL": "",
        }  # fmt: skip
        with start_server(api_argv(), "/readyz", environment) as server:
            start = server.memory_bytes()
            print(f"fuzz: {count:,} requests with seed {options.seed}", flush=True)
            findings = Findings()
            with beside(environment):
                asyncio.run(send(server, grammar, count // 2, findings))
            time.sleep(REST_S)
            before = server.memory_bytes()
            with beside(environment):
                asyncio.run(send(server, grammar, count - count // 2, findings))
            time.sleep(REST_S)
            after = server.memory_bytes()
            log = server.log()
    traces = traces_in(log)
    for trace, times in Counter(traces).most_common(10):
        print(f"  LOGGED {times} times: {trace[-1500:]}")
    print(f"  answers: {dict(findings.codes.most_common())}")
    print(f"  server errors: {findings.wrong} (bar: 0), traces in the log: {len(traces)} (bar: 0)")
    print(f"  slowest answer: {findings.slowest[0]:.2f} s for {findings.slowest[1][:300]}")
    taken = " -> ".join(f"{size / 1e6:.0f}" for size in (start, before, after))
    print(f"  memory at the start, after {count // 2:,} and {count:,} requests: {taken} MB")
    growth = after / before
    print(f"  memory after over before: {growth:.3f} (bar: at most {MEMORY_BAR})")
    return 1 if findings.wrong or traces or growth > MEMORY_BAR else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
