"""Observation of one server: off without a trace of it, and the same answers when on."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from graphql import GraphQLObjectType
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette

from api.graphql.services.auth import Scope, new_token
from api.server.app import create_app
from api.settings import ApiSettings
from tests.support.metrics import samples
from workers import tracing
from workers.logs import JsonFormatter, request_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = """{
  fits(first: 3) { totalCount nodes { score model { slug } gpu { slug fits(first: 2) { nodes { score } } } } }
  gpu(slug: "nope") { name }
}"""


@asynccontextmanager
async def served(
    settings: ApiSettings, address: str = "127.0.0.1", **changes: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Starlette]]:
    """A client at an address, and the application with changed settings that it calls."""
    app = create_app(settings.model_copy(update=changes))
    transport = httpx.ASGITransport(app, client=(address, 1234))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client, app
    finally:
        await app.state.services.close()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Spans of this process, kept in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    provider.shutdown()


async def ask(client: httpx.AsyncClient, query: str = QUERY, **headers: str) -> httpx.Response:
    return await client.post("/graphql", json={"query": query}, headers=headers)


async def scraped(client: httpx.AsyncClient) -> dict[tuple[str, tuple[str, ...]], float]:
    response = await client.get("/metrics")
    assert response.status_code == 200
    return samples(response.text)


async def test_off_nothing_is_loaded_and_nothing_stands_in_the_way() -> None:
    code = """
import sys
from api.server.app import create_app
from api.settings import ApiSettings
app = create_app(ApiSettings())
loaded = [name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exp", "prometheus"))]
assert not loaded, loaded
assert app.state.schema.observer is None
assert "ObserveMiddleware" not in [each.cls.__name__ for each in app.user_middleware]
fields = app.state.schema._schema.query_type.fields.values()
assert not [field for field in fields if "observe" in field.resolve.__module__]
assert not app.state.services.state.engine.sync_engine.dispatch.after_cursor_execute
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_metrics_are_not_there_unless_configured(client: httpx.AsyncClient) -> None:
    assert (await client.get("/metrics")).status_code == 404


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
async def test_this_machine_may_scrape(settings: ApiSettings, address: str) -> None:
    async with served(settings, address, metrics=True) as (client, _):
        response = await client.get("/metrics")
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"


async def test_others_need_a_token_with_the_scope(settings: ApiSettings) -> None:
    (good, good_setting), (bad, bad_setting) = new_token("prometheus", [Scope.METRICS]), new_token("x", [Scope.RUNS])
    async with served(settings, "192.0.2.7", metrics=True, tokens=(good_setting, bad_setting)) as (client, _):
        for expected, token in ((200, good), (403, bad), (401, "made up"), (401, None)):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            assert (await client.get("/metrics", headers=headers)).status_code == expected


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "x-real-ip"])
async def test_behind_a_proxy_the_address_counts_for_nothing(settings: ApiSettings, header: str) -> None:
    async with served(settings, metrics=True) as (client, _):
        assert (await client.get("/metrics", headers={header: "127.0.0.1"})).status_code == 401


async def test_a_scrape_counts_what_was_done(settings: ApiSettings) -> None:
    async with served(settings, metrics=True) as (client, _):
        await ask(client)
        await ask(client, "{ nope }")
        await ask(client, "{ engines { name } }")
        await ask(client, "{ engines { name } }")
        await client.get("/nowhere/at/all")
        scraped_now = await scraped(client)
        assert scraped_now["fitgraph_graphql_operations_total", ("partial", "http")] == 1
        assert scraped_now["fitgraph_graphql_operations_total", ("refused", "http")] == 1
        assert scraped_now["fitgraph_graphql_operations_total", ("ok", "http")] == 1
        assert scraped_now["fitgraph_graphql_errors_total", ("NOT_FOUND",)] == 1
        assert scraped_now["fitgraph_response_cache_total", ("hit",)] == 1
        assert scraped_now["fitgraph_http_requests_total", ("graphql", "POST", "200")] == 4
        assert scraped_now["fitgraph_http_requests_total", ("none", "GET", "404")] == 1
        assert scraped_now["fitgraph_resolver_seconds_count", ("Query.fits",)] == 1
        assert scraped_now["fitgraph_resolver_seconds_count", ("Gpu.fits",)] == 3
        assert scraped_now["fitgraph_sql_seconds_count", ()] >= 3
        # No broker runs here, and the scrape says so instead of failing.
        assert scraped_now["fitgraph_dependency_up", ("broker",)] == 0
        assert scraped_now["fitgraph_dependency_up", ("database",)] == 1
        assert scraped_now["fitgraph_run_active", ()] == 0


async def test_observed_answers_are_the_same(
    settings: ApiSettings, client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    async with served(settings, metrics=True) as (observed, _):
        for query in (QUERY, "{ nope }", '{ node(id: "x") { id } }', "{ quants { name slug } workloads { name } }"):
            plain, watched = await ask(client, query), await ask(observed, query)
            assert (watched.status_code, watched.json()) == (plain.status_code, plain.json())
    assert spans.get_finished_spans()


async def test_spans_nest_and_hold_no_values(settings: ApiSettings, spans: InMemorySpanExporter) -> None:
    async with served(settings, otlp_endpoint="http://127.0.0.1:1", metrics=True) as (client, _):
        spans.clear()
        query = 'query Secret { fits(first: 2, filter: {model: {in: ["llama-2-7b"]}}) { nodes { score } } }'
        await ask(client, query, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        by_name = {span.name: span for span in spans.get_finished_spans()}
    assert {"POST graphql", "graphql query", "Query.fits", "SELECT"} <= set(by_name)
    assert {f"{span.context.trace_id:032x}" for span in by_name.values()} == {"0af7651916cd43dd8448eb211c80319c"}
    assert by_name["graphql query"].parent.span_id == by_name["POST graphql"].context.span_id
    assert by_name["Query.fits"].parent.span_id == by_name["graphql query"].context.span_id
    texts = json.dumps([dict(span.attributes or {}) for span in by_name.values()])
    assert "llama-2-7b" not in texts
    assert by_name["POST graphql"].attributes["http.response.status_code"] == 200


@pytest.mark.postgres
async def test_reads_of_postgresql_are_seen(postgres_settings: ApiSettings, spans: InMemorySpanExporter) -> None:
    async with served(postgres_settings, otlp_endpoint="http://127.0.0.1:1", metrics=True) as (client, _):
        await ask(client, "{ __typename }")
        before = (await scraped(client))["fitgraph_sql_seconds_count", ()]
        spans.clear()
        await ask(client, "{ fits(first: 2) { nodes { score } } }")
        reads = [span for span in spans.get_finished_spans() if "db.query.text" in (span.attributes or {})]
        assert (await scraped(client))["fitgraph_sql_seconds_count", ()] > before
    fits = [span for span in reads if "fit_" in span.attributes["db.query.text"]]
    assert fits
    assert {span.attributes["db.system.name"] for span in fits} == {"postgresql"}
    assert all(span.parent is not None and span.end_time >= span.start_time for span in fits)


async def test_a_line_is_one_json_object_with_its_request() -> None:
    formatter = JsonFormatter()
    token = request_id.set("abc")
    try:
        record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "a\n%s", "args": ('"b"',), "extra": 1})
        line = formatter.format(record)
    finally:
        request_id.reset(token)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["message"], read["request_id"], read["extra"], read["level"]) == ('a\n"b"', "abc", 1, "info")
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.makeLogRecord({"name": "x", "levelname": "ERROR", "msg": "m", "exc_info": sys.exc_info()})
    assert "ValueError: why" in json.loads(formatter.format(record))["exception"]
    assert "request_id" not in json.loads(formatter.format(record))


async def test_every_request_has_an_access_line(settings: ApiSettings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fitgraph.access")
    async with served(settings, log_format="json") as (client, _):
        answer = await ask(client, "{ __typename }")
        await client.get("/healthz", headers={"x-request-id": "health-1"})
    lines = [record for record in caplog.records if record.name == "fitgraph.access"]
    assert [(line.path, line.status) for line in lines] == [("/graphql", 200), ("/healthz", 200)]
    assert answer.headers["x-request-id"]


async def test_every_resolver_with_work_is_timed(settings: ApiSettings) -> None:
    async with served(settings, metrics=True) as (_, app):
        core = app.state.schema._schema
        watched = {
            f"{kind.name}.{name}"
            for kind in core.type_map.values()
            if isinstance(kind, GraphQLObjectType)
            for name, field in kind.fields.items()
            if field.resolve is not None and field.resolve.__module__ == "api.graphql.execution.observer"
        }
        assert {f"Query.{name}" for name in core.query_type.fields} <= watched
        assert {"Model.fits", "Gpu.fits", "Fit.quantOptions", "Fit.measurements"} <= watched
