"""Time from the mutation that adds a model to its published fit: `python -m bench.latency [--times N]`.

PostgreSQL, two worker processes and one API server publish the whole catalog. The bench then adds models in sequence by
`upsertModel`. A client asks through GraphQL for one fit of the model until the fit is published. The bench prints median and
95th percentile, in seconds and as a share of the full recompute of the same run. It exits with 1 when the 95th percentile
exceeds a second or 2 % of the full recompute.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from api.graphql.services.auth import Scope, new_token
from db.entries import specs
from db.entries.files import Catalog, load_catalog
from db.runs.store import RunState
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from estimator.placement.hardware import LLAMA_CPP_UNSUPPORTED
from tests.support.postgres import EmbeddedPostgres
from workers.app import app
from workers.local.supervisor import Supervisor
from workers.runs import start_run, wait_for_run

TIMES = 40
WORKERS = 2
BAR_S, BAR_SHARE = 1.0, 0.02
PATIENCE_S = 30.0
START_TIMEOUT_S = 60.0
#: Seconds between two requests of the client, and the longest pause before the next model.
LOOK_S, PAUSE_S = 0.02, 0.5
_UPSERT = "mutation M($entry: JSON!) { upsertModel(input: {entry: $entry}) { run { id } userErrors { message } } }"
_FIT = (
    'query F($model: String!, $gpu: String!) { fit(model: $model, gpu: $gpu, quant: "Q4_K_M") { source generation } }'
)


class Client:
    """One persistent connection to the API."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        self._connection.request(
            "POST", "/graphql", orjson.dumps({"query": query, "variables": variables}), self._headers
        )
        answer: dict[str, Any] = orjson.loads(self._connection.getresponse().read())
        return answer


@contextlib.contextmanager
def installation() -> Iterator[tuple[Settings, Client]]:
    """Settings of, and a client to, an installation of PostgreSQL, broker, workers and API."""
    token, allowed = new_token("bench", (Scope.CATALOG, Scope.RUNS))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fglatency-")))
        server = stack.enter_context(EmbeddedPostgres(durable=True))
        settings = Settings(state_dir=folder, database_url=server.url(), redis_url="", workers=WORKERS)
        upgrade_database(settings.resolved_database_url)
        app.conf.broker_url = settings.resolved_redis_url
        supervisor = Supervisor(settings)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        variables = {"FITGRAPH_TOKENS": orjson.dumps([allowed]).decode(), "FITGRAPH_LOG_LEVEL": "error"}
        supervisor.add("api", [sys.executable, "-m", "api.cli", "serve", "--port", str(port)], variables)
        stack.enter_context(supervisor)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the API did not start")
            time.sleep(0.05)
        yield settings, Client(port, token)
        sync_engine(settings.resolved_database_url).dispose()
        app.pool.force_close_all()


def full_recompute(settings: Settings, catalog: Catalog) -> float:
    """Seconds from the start of a full run to its publication, with idle workers."""
    began = time.perf_counter()
    started = start_run(settings, catalog, everything=True)
    if started.run is None:
        raise RuntimeError("the full recompute did not start")
    run = wait_for_run(settings, started.run.id, poll_s=0.02)
    if run.state is not RunState.PUBLISHED:
        raise RuntimeError(f"the full recompute is {run.state.value}: {run.error}")
    return time.perf_counter() - began


def one_model(client: Client, entry: dict[str, Any], gpu: str) -> tuple[float, float]:
    """Seconds from the request of the mutation, and from its answer, to the first published fit of the model."""
    sent = time.perf_counter()
    answer = client.ask(_UPSERT, {"entry": entry})
    accepted = time.perf_counter()
    payload = (answer.get("data") or {}).get("upsertModel") or {}
    if payload.get("userErrors") or not payload.get("run"):
        raise RuntimeError(f"the model was not accepted: {answer}")
    while time.perf_counter() - accepted < PATIENCE_S:
        fit = (client.ask(_FIT, {"model": entry["slug"], "gpu": gpu}).get("data") or {}).get("fit")
        if fit is not None and fit["source"] == "PUBLISHED":
            seen = time.perf_counter()
            return seen - sent, seen - accepted
        time.sleep(LOOK_S)
    raise RuntimeError(f"{entry['slug']} was not published in {PATIENCE_S:g} s")


def main() -> int:
    """Returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.latency")
    parser.add_argument("--times", type=int, default=TIMES, help=f"models to add (default {TIMES})")
    parser.add_argument("--seed", type=int, default=1, help="seed of the choice of models and pauses")
    arguments = parser.parse_args()
    chance, catalog = random.Random(arguments.seed), load_catalog()
    known = [
        entry
        for entry in catalog.models.values()
        if not specs.missing_facts(entry) and entry["architecture"] not in LLAMA_CPP_UNSUPPORTED
    ]
    with installation() as (settings, client):
        full_s = full_recompute(settings, catalog)
        taken = []
        for at in range(arguments.times):
            # A number alone would be read as the size of another one.
            entry = {**chance.choice(known), "slug": f"new-model-n{at}", "name": f"New model n{at}", "aliases": []}
            taken.append(one_model(client, entry, "rtx-4090"))
            time.sleep(chance.uniform(0.0, PAUSE_S))
    print(f"full recompute with {WORKERS} workers, PostgreSQL: {full_s:.1f} s; one new model, {len(taken)} times:")
    for at, label in enumerate(("sent to visible", "accepted to visible")):
        seconds = sorted(times[at] for times in taken)
        middle, late = statistics.median(seconds), seconds[max(0, -(-len(seconds) * 95 // 100) - 1)]
        print(
            f"  {label:20} p50 {middle:.3f} s = {middle / full_s:.2%}, p95 {late:.3f} s = {late / full_s:.2%} of it"
            f" (bar: p95 below {BAR_S:g} s and {BAR_SHARE:.0%})"
        )
    return 1 if late > BAR_S or late / full_s > BAR_SHARE else 0


if __name__ == "__main__":
    os.environ.pop("FITGRAPH_TOKENS", None)
    raise SystemExit(main())
