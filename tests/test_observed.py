"""A whole installation, observed: one trace from the request over the workers to the database, logs, and a scrape."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.graphql.services.auth import Scope, new_token
from db.entries.files import Catalog
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.metrics import samples
from tests.support.runs import run_in_process
from tests.support.servers import Collector, api_server
from workers.local.supervisor import Supervisor, environment

pytestmark = pytest.mark.broker

TRACE = "0af7651916cd43dd8448eb211c80319c"
RECOMPUTE = "mutation { recompute(input: {everything: true}) { run { id } userErrors { message } } }"


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def test_one_trace_from_the_request_to_the_database(tmp_path: Path, small_catalog: Catalog) -> None:
    token, setting = new_token("operator", [Scope.RUNS])
    with Collector() as collector:
        settings = Settings(
            state_dir=tmp_path / "state",
            workers=1,
            block_cells=1,
            generation_grace_s=0,
            log_format="json",
            otlp_endpoint=collector.url,
        )
        upgrade_database(settings.resolved_database_url)
        models = dict(list(small_catalog.models.items())[:2])
        run_in_process(settings, dataclasses.replace(small_catalog, models=models))
        variables = {name.removeprefix("FITGRAPH_").lower(): value for name, value in environment(settings).items()}
        variables |= {"tokens": json.dumps([setting]), "metrics": "true"}
        with (
            Supervisor(settings),
            api_server(tmp_path, **variables) as server,
            httpx.Client(base_url=server.url, timeout=30) as client,
        ):
            headers = {
                "authorization": f"Bearer {token}",
                "x-request-id": "recompute-1",
                "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
            }
            answer = client.post("/graphql", json={"query": RECOMPUTE}, headers=headers)
            assert answer.headers["x-request-id"] == "recompute-1"
            run_id = answer.json()["data"]["recompute"]["run"]["id"]
            progress = "query($id: ID!) { run(id: $id) { state generation } }"

            def published() -> bool:
                asked = client.post("/graphql", json={"query": progress, "variables": {"id": run_id}})
                return bool(asked.json()["data"]["run"]["state"] == "PUBLISHED")

            eventually(published)
            # A server looks for a newer generation ten times a second at most.
            time.sleep(0.2)
            scraped = samples(client.get("/metrics").text)
            eventually(lambda: bool(collector.of("fitgraph-worker", "fitgraph.publish_run")))
        log = json_lines(server.log)
        tasks = json_lines(settings.state_dir / "logs" / "worker.log")
    sync_engine(settings.resolved_database_url).dispose()

    check_spans(collector)
    check_logs(log, tasks, token)
    check_metrics(scraped)


def check_spans(collector: Any) -> None:
    ours = {
        name: [span for span in collector.of(name) if span.trace_id == TRACE]
        for name in ("fitgraph-api", "fitgraph-worker")
    }
    (request,) = [span for span in ours["fitgraph-api"] if span.name == "POST graphql"]
    assert request.parent_id == "b7ad6b7169203331"
    assert request.attributes["fitgraph.request_id"] == "recompute-1"
    by_id = {span.span_id: span for span in ours["fitgraph-api"] + ours["fitgraph-worker"]}
    blocks = [span for span in ours["fitgraph-worker"] if span.name == "fitgraph.compute_block"]
    assert len(blocks) == 2
    for span in blocks:
        chain = []
        while span.parent_id in by_id:
            span = by_id[span.parent_id]
            chain.append(span.name)
        assert chain == ["wake workers", "Mutation.recompute", "graphql mutation", "POST graphql"]
    for service in ours.values():
        statements = [span for span in service if "db.query.text" in span.attributes]
        assert {span.attributes["db.system.name"] for span in statements} == {"sqlite"}
        assert all(span.parent_id in by_id for span in statements)
    assert any("UPDATE run_block" in span.attributes.get("db.query.text", "") for span in ours["fitgraph-worker"])


def check_logs(log: list[dict[str, Any]], tasks: list[dict[str, Any]], token: str) -> None:
    (line,) = [line for line in log if line.get("request_id") == "recompute-1" and line["logger"] == "fitgraph.access"]
    assert (line["method"], line["path"], line["status"], line["level"]) == ("POST", "/graphql", 200, "info")
    assert token not in json.dumps(log)
    # A sweep of a busy machine may send a block again, in a trace of its own.
    done = [line for line in tasks if line.get("task") == "fitgraph.compute_block" and line["trace_id"] == TRACE]
    assert len(done) == 2
    assert {line["request_id"] for line in done} == {"recompute-1"}


def check_metrics(scraped: dict[Any, float]) -> None:
    assert scraped["fitgraph_graphql_operations_total", ("ok", "http")] >= 2
    assert scraped["fitgraph_http_requests_total", ("graphql", "POST", "200")] >= 2
    assert scraped["fitgraph_resolver_seconds_count", ("Mutation.recompute",)] == 1
    assert scraped["fitgraph_resolver_seconds_sum", ("Mutation.recompute",)] > 0
    assert scraped["fitgraph_sql_seconds_count", ()] > 0
    assert scraped["fitgraph_queue_messages", ()] == 0
    assert scraped["fitgraph_dependency_up", ("broker",)] == scraped["fitgraph_dependency_up", ("database",)] == 1
    assert (scraped["fitgraph_run_active", ()], scraped["fitgraph_generation", ()]) == (0, 2)
    assert scraped["fitgraph_run_blocks", ("done",)] == scraped["fitgraph_run_blocks", ("total",)] == 2
    assert scraped["fitgraph_run_cells", ("done",)] == scraped["fitgraph_run_cells", ("total",)] > 0
