"""Random requests against a running server: `python -m bench.fuzz [DOCUMENTS] [SEED]`.

``tests.support.grammar`` writes requests from the schema. The bench sends them over several connections to one API process
over PostgreSQL with the whole table. No answer may be 5xx or INTERNAL, and the log may hold no trace. The bench sends as many
requests again and compares the memory after the second half with the memory after the first half, which filled the caches:
the ratio may be 1.1 at most. The bench reads memory at rest, after the server has returned freed memory to the system.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from graphql import build_schema

from api.graphql.core.ids import encode_id
from api.server.malloc import EVERY_S
from bench.support.serving import Server, api_argv, published_database, start_server
from db.entries.files import load_catalog
from tests.support.grammar import Grammar, names_of

DOCUMENTS = 20_000
CONNECTIONS = 8
#: Seconds without an answer that count as a wrong one; the server stops an operation long before.
TIMEOUT_S = 60
MEMORY_BAR = 1.1
#: Two rounds in which the server returns freed memory.
REST_S = 2.2 * EVERY_S
_FAULTS = ("fault at", "exception was never retrieved")


class Findings:
    """Wrong answers, counts of error codes, and the slowest answer."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.codes: Counter[str] = Counter()
        self.slowest: tuple[float, str] = (0.0, "")

    def judge(self, request: str, status: int, text: str, seconds: float) -> None:
        self.slowest = max(self.slowest, (seconds, request))
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if status >= 500 or not isinstance(answer, dict):
            self.wrong.append(f"{status} {text[:300]} for {request[:3000]}")
            return
        errors = answer.get("errors") or []
        self.codes["answered" if not errors else "partly answered" if answer.get("data") else "refused"] += 1
        for error in errors:
            code = (error.get("extensions") or {}).get("code", "none")
            self.codes[code] += 1
            if code in ("INTERNAL", "none", "UNAVAILABLE"):
                self.wrong.append(f"{code}: {error} for {request[:3000]}")


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
                    findings.wrong.append(f"no answer within {TIMEOUT_S} s for {request[:3000]}")
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


def main(arguments: list[str]) -> int:
    """Returns 1 when an answer, the log or the memory breaks a bar."""
    count, seed = map(int, [*arguments, *(str(DOCUMENTS), "1")[len(arguments) :]])
    catalog = load_catalog()
    models, gpus, quants = map(sorted, (catalog.models, catalog.gpus, catalog.quants))
    ids = [
        encode_id("Model", models[0]),
        encode_id("Fit", models[0], gpus[0], quants[0], "coding"),
        "bad",
        encode_id("Run", "1"),
    ]
    schema = build_schema((Path(__file__).parent.parent / "schema.graphql").read_text())
    grammar = Grammar(schema, seed, names_of(models[::20], gpus[::20], quants, ids))
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="fitgraph-bench-") as name, published_database(Path(name)) as url:
        environment = {
            "FITGRAPH_DATABASE_URL": url, "FITGRAPH_STATE_DIR": name, "FITGRAPH_REDIS_URL": "",
        }  # fmt: skip
        with start_server(api_argv(), "/readyz", environment) as server:
            start = server.memory_bytes()
            asyncio.run(send(server, grammar, count // 2, findings))
            time.sleep(REST_S)
            half = server.memory_bytes()
            asyncio.run(send(server, grammar, count - count // 2, findings))
            time.sleep(REST_S)
            before = server.memory_bytes()
            began = time.perf_counter()
            asyncio.run(send(server, grammar, count, findings))
            print(f"fuzz: {count:,} requests, {count / (time.perf_counter() - began):.0f} a second", flush=True)
            time.sleep(REST_S)
            after = server.memory_bytes()
            log = server.log()
    for line in findings.wrong[:20]:
        print(f"  WRONG {line}")
    traces = traces_in(log)
    for trace, times in Counter(traces).most_common(10):
        print(f"  LOGGED {times} times: {trace[-1500:]}")
    print(f"  answers: {dict(findings.codes.most_common())}")
    print(f"  server errors: {len(findings.wrong)} (bar: 0), traces in the log: {len(traces)} (bar: 0)")
    print(f"  slowest answer: {findings.slowest[0]:.2f} s for {findings.slowest[1][:300]}")
    taken = " -> ".join(f"{size / 1e6:.0f}" for size in (start, half, before, after))
    print(f"  memory at the start, after {count // 2:,}, {count:,} and {2 * count:,} requests: {taken} MB")
    growth = after / before
    print(f"  memory after over before: {growth:.3f} (bar: at most {MEMORY_BAR})")
    return 1 if findings.wrong or traces or growth > MEMORY_BAR else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
