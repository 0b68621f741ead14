"""GraphQL over HTTP: media types, methods, malformed requests, sizes, caching, masked faults."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette

from api.graphql.transport.requests import JSON, RESPONSE_JSON, negotiate
from api.server.app import create_app
from api.settings import ApiSettings
from db.reading import EngineReader

pytestmark = pytest.mark.asyncio(loop_scope="session")

TYPENAME = {"query": "{ __typename }"}


async def post(client: httpx.AsyncClient, body: Any = None, **options: Any) -> httpx.Response:
    if body is not None:
        options["json"] = body
    return await client.post("/graphql", **options)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", RESPONSE_JSON),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", RESPONSE_JSON),
        ("application/json;q=0.9, application/graphql-response+json", RESPONSE_JSON),
        ("application/json, application/graphql-response+json;q=0.5", JSON),
        ("text/html,application/xhtml+xml", JSON),
        ("image/png", None),
        ("application/json;q=0", None),
        ("*/*;q=0.1, application/json;q=0", RESPONSE_JSON),
        ("application/json;q=x", None),
    ],
)
async def test_negotiation(accept: str | None, media: str | None) -> None:
    assert negotiate(accept) == media


@pytest.mark.parametrize("media", [JSON, RESPONSE_JSON])
async def test_a_query_is_answered_in_the_accepted_type(client: httpx.AsyncClient, media: str) -> None:
    response = await post(client, TYPENAME, headers={"accept": media})
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media}; charset=utf-8"
    assert response.json()["data"] == {"__typename": "Query"}
    assert response.json()["extensions"]["cost"] == {"value": 1, "maximum": 50_000}


async def test_what_is_not_acceptable_is_refused(client: httpx.AsyncClient) -> None:
    assert (await post(client, TYPENAME, headers={"accept": "image/png"})).status_code == 406


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ unknown }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{ models(first: true) { totalCount } }"}, "BAD_USER_INPUT"),
        (
            {"query": "query Q($n: Int!) { models(first: $n) { totalCount } }", "variables": {"n": "x"}},
            "BAD_USER_INPUT",
        ),
        ({"query": "query A { __typename } query B { __typename }"}, "BAD_USER_INPUT"),
        ({"query": "{ __typename }", "operationName": "C"}, "BAD_USER_INPUT"),
    ],
)
async def test_a_refused_request_is_400_for_those_who_understand_it(
    client: httpx.AsyncClient, body: Any, code: str
) -> None:
    strict = await post(client, body, headers={"accept": RESPONSE_JSON})
    plain = await post(client, body, headers={"accept": JSON})
    assert strict.status_code == 400
    assert plain.status_code in (200, 400)
    for response in (strict, plain):
        assert "data" not in response.json()
        assert [error["extensions"]["code"] for error in response.json()["errors"]] == [code]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b'"text"',
        b"1",
        b"[]",
        b"{",
        b'{"query": "\xff\xfe"}',
        b'{"query": null}',
        b'{"query": ""}',
        b'{"query": 1}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }", "extensions": "x"}',
        b"[" * 100_000,
        b'{"variables":' * 50_000,
    ],
)
async def test_a_malformed_body_is_400(client: httpx.AsyncClient, content: bytes) -> None:
    response = await post(client, content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/graphql"],
)
async def test_only_json_is_read_so_that_no_form_can_post_here(client: httpx.AsyncClient, content_type: str) -> None:
    response = await post(client, content=b'{"query":"{ __typename }"}', headers={"content-type": content_type})
    assert response.status_code == 415


async def test_a_byte_order_mark_before_the_body_is_ignored(client: httpx.AsyncClient) -> None:
    body = b'\xef\xbb\xbf{"query": "{ __typename }"}'
    answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.json()["data"] == {"__typename": "Query"}


async def test_another_charset_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json; charset=utf-16"}
    assert (await post(client, content=b"{}", headers=headers)).status_code == 415


@pytest_asyncio.fixture(loop_scope="session")
async def small(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Client of an application that reads bodies of 1.5 MiB."""
    app = create_app(settings.model_copy(update={"max_request_bytes": 1_572_864}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as made:
        made.app = app  # type: ignore[attr-defined]
        yield made
    await app.state.services.close()


async def test_a_large_body_is_413_with_the_limit_named(small: httpx.AsyncClient) -> None:
    response = await post(small, {"query": "{ __typename }", "extensions": {"x": "y" * 1_600_000}})
    assert response.status_code == 413
    extensions = response.json()["errors"][0]["extensions"]
    assert (extensions["code"], extensions["limit"], extensions["maximum"]) == (
        "LIMIT_EXCEEDED",
        "request bytes",
        1_572_864,
    )


async def test_a_large_body_without_a_length_is_413_too(small: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    response = await post(small, content=chunks(), headers={"content-type": "application/json"})
    assert response.status_code == 413


async def test_large_bodies_are_answered_in_turn_and_not_kept(small: httpx.AsyncClient) -> None:
    body = {**TYPENAME, "variables": {"x": "y" * 1_100_000}}
    answers = await asyncio.gather(*(post(small, body) for _ in range(6)))
    assert [answer.json()["data"] for answer in answers] == [{"__typename": "Query"}] * 6
    assert small.app.state.services.responses.misses == 0  # type: ignore[attr-defined]
    stream = await post(small, body, headers={"accept": "text/event-stream"})
    assert stream.status_code == 413


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_405(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/graphql")).status_code == 405


async def test_get_runs_queries_with_variables(client: httpx.AsyncClient) -> None:
    query = "query Q($n: Int) { models(first: $n) { nodes { slug } } }"
    response = await client.get("/graphql", params={"query": query, "variables": '{"n": 1}', "operationName": "Q"})
    assert response.status_code == 200
    assert len(response.json()["data"]["models"]["nodes"]) == 1


@pytest.mark.parametrize("parameters", [{}, {"query": "{ __typename }", "variables": "{"}, {"query": ""}])
async def test_a_malformed_get_is_400(client: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    assert (await client.get("/graphql", params=parameters)).status_code == 400


async def test_get_never_runs_a_mutation(client: httpx.AsyncClient) -> None:
    query = "mutation { recompute(input: {}) { userErrors { code } } }"
    response = await client.get("/graphql", params={"query": query})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


async def test_a_browser_is_led_to_the_explorer(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql", headers={"accept": "text/html"})
    assert response.status_code == 303
    assert response.headers["location"] == "/explorer"


async def test_an_answer_to_get_has_a_tag_that_revalidates(client: httpx.AsyncClient) -> None:
    query = "{ engines { name } }"
    first = await client.get("/graphql", params={"query": query})
    assert first.headers["cache-control"] == "public, max-age=30"
    again = await client.get("/graphql", params={"query": query}, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    other = await client.get("/graphql", params={"query": query}, headers={"if-none-match": '"other"'})
    assert other.status_code == 200
    assert other.content == first.content


@pytest.mark.parametrize("origin", [{}, {"origin": "https://example.org"}, {"accept-encoding": "identity"}])
async def test_what_an_answer_depends_on_is_listed_once(client: httpx.AsyncClient, origin: dict[str, str]) -> None:
    listed = []
    for query in ("{ engines { name } }", "{ gpus(first: 5) { nodes { name sources aliases note } } quants { name } }"):
        asked = {"query": query}
        first = await client.get("/graphql", params=asked, headers=origin)
        tag = {"if-none-match": first.headers["etag"]}
        known = await client.get("/graphql", params=asked, headers=origin | tag)
        assert known.status_code == 304
        listed += [response.headers["vary"] for response in (first, known)]
        listed.append((await post(client, asked, headers=origin)).headers["vary"])
    short, long = "Accept, Origin", "Accept, Accept-Encoding, Origin"
    assert listed == [short, long, short, long, long, long]


async def test_answers_to_post_and_volatile_ones_are_not_stored(client: httpx.AsyncClient) -> None:
    for response in (
        await post(client, TYPENAME),
        await client.get("/graphql", params={"query": "{ catalog { generation } }"}),
        await client.get("/graphql", params={"query": "{ nope }"}),
    ):
        assert response.headers["cache-control"] == "no-store"
        assert "etag" not in response.headers


async def test_answers_that_are_not_kept_have_no_tag(settings: ApiSettings) -> None:
    app = create_app(settings.model_copy(update={"response_cache_bytes": 0}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.get("/graphql", params=TYPENAME)
    await app.state.services.close()
    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers


async def test_a_repeated_query_comes_from_the_cache(client: httpx.AsyncClient, app: Starlette) -> None:
    cache = app.state.services.responses
    body = {"query": "query Cached { workloads { name } }"}
    first = await post(client, body)
    hits = cache.hits
    second = await post(client, body)
    assert second.content == first.content
    assert cache.hits == hits + 1


async def test_request_ids_are_given_and_echoed(client: httpx.AsyncClient) -> None:
    assert len((await post(client, TYPENAME)).headers["x-request-id"]) == 16
    echoed = await post(client, TYPENAME, headers={"x-request-id": "mine-1"})
    assert echoed.headers["x-request-id"] == "mine-1"
    bad = await post(client, TYPENAME, headers={"x-request-id": "<script>"})
    assert bad.headers["x-request-id"] != "<script>"


async def test_a_fault_of_the_server_is_masked_and_logged(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, app: Starlette
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("postgresql://user:secret@host/db")

    monkeypatch.setattr("api.graphql.catalog.queries._page", fail)
    response = await post(client, {"query": "{ models { totalCount } }"}, headers={"x-request-id": "fault-1"})
    assert response.status_code == 200
    error = response.json()["errors"][0]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "fault-1"}
    assert error["path"] == ["models"]
    assert "secret" not in response.text
    assert "secret" in caplog.text
    assert "fault-1" in caplog.text


async def test_a_slow_operation_is_cut_off(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, app: Starlette
) -> None:
    from api.graphql.transport import http

    async def slow(*_: Any, **__: Any) -> None:
        await asyncio.sleep(60)

    endpoint = next(route for route in app.routes if getattr(route, "path", "") == "/graphql").endpoint.__closure__
    handler = next(cell.cell_contents for cell in endpoint if isinstance(cell.cell_contents, http.GraphQLEndpoint))
    monkeypatch.setattr(handler, "_settings", handler._settings.model_copy(update={"request_timeout_s": 0.01}))
    monkeypatch.setattr("api.graphql.schema.run_query", slow)
    response = await post(client, {"query": "query Slow { workloads { slug } }"})
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert response.json()["extensions"]["cost"]["value"] > 0


async def test_health_and_readiness(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["generation"] == 1


async def test_introspection_answers_graphiql(client: httpx.AsyncClient) -> None:
    from graphql import build_client_schema, get_introspection_query

    query = get_introspection_query(specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True)
    response = await post(client, {"query": query})
    assert build_client_schema(response.json()["data"]).query_type is not None


async def test_cors_lets_pages_read_but_never_with_credentials(client: httpx.AsyncClient) -> None:
    response = await post(client, TYPENAME, headers={"origin": "https://example.org"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


async def test_a_preflight_allows_the_headers_of_any_client(client: httpx.AsyncClient) -> None:
    asked = "apollographql-client-name,traceparent,if-none-match"
    headers = {
        "origin": "https://example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
    }
    response = await client.options("/graphql", headers=headers)
    assert response.status_code == 200
    assert set(asked.split(",")) <= {
        name.strip() for name in response.headers["access-control-allow-headers"].split(",")
    }
    exposed = (await post(client, TYPENAME, headers=headers)).headers["access-control-expose-headers"]
    assert {"etag", "retry-after"} <= {name.strip() for name in exposed.split(",")}


async def test_head_answers_as_get_without_a_body(client: httpx.AsyncClient) -> None:
    get, head = [await client.request(method, "/graphql", params=TYPENAME) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "cache-control"):
        assert head.headers[name] == get.headers[name]
    refused = await client.head(
        "/graphql", params={"query": "mutation { recompute(input: {}) { userErrors { code } } }"}
    )
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_a_compressed_body_is_refused_by_name(client: httpx.AsyncClient) -> None:
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    response = await post(client, content=gzip.compress(json.dumps(TYPENAME).encode()), headers=headers)
    assert response.status_code == 415
    assert "'gzip'" in response.json()["errors"][0]["message"]


async def test_an_empty_operation_name_is_none(client: httpx.AsyncClient) -> None:
    asked = {**TYPENAME, "operationName": ""}
    for response in (await post(client, asked), await client.get("/graphql", params=asked)):
        assert response.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
async def test_a_number_beyond_a_float_is_refused_as_literal_and_as_variable(
    client: httpx.AsyncClient, number: str
) -> None:
    text = "query Q { fits(first: 1, filter: {score: {min: BOUND}}) { nodes { score } } }"
    literal = await post(client, {"query": text.replace("BOUND", number)})
    asked = json.dumps(text.replace("BOUND", "$n").replace("Q", "Q($n: Float)"))
    body = f'{{"query": {asked}, "variables": {{"n": {number}}}}}'
    variable = await post(client, content=body, headers={"content-type": JSON})
    for response in (literal, variable):
        assert response.json().get("data") is None
        assert response.json()["errors"]


async def test_long_answers_are_compressed(client: httpx.AsyncClient) -> None:
    response = await post(
        client, {"query": "{ gpus(first: 5) { nodes { name sources aliases note } } quants { name slug } }"}
    )
    assert response.headers["content-encoding"] == "gzip"
    assert json.loads(response.content)["data"]["quants"]


async def test_automatic_persisted_queries(client: httpx.AsyncClient) -> None:
    text = "query Persisted { engines { slug } }"
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}
    unknown = await post(client, {"extensions": extensions})
    assert unknown.status_code == 200
    assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert unknown.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert (await post(client, {"query": text, "extensions": extensions})).json()["data"]["engines"]
    by_hash = await client.get("/graphql", params={"extensions": json.dumps(extensions)})
    assert by_hash.json()["data"]["engines"]
    assert by_hash.headers["etag"]
    wrong = await post(client, {"query": "{ __typename }", "extensions": extensions})
    assert wrong.status_code == 400


async def test_introspection_can_be_switched_off(settings: ApiSettings) -> None:
    app = create_app(settings.model_copy(update={"introspection": False, "suggestions": False}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for query in ("{ __schema { types { name } } }", '{ __type(name: "Fit") { name } }', "{ modell }"):
            error = (await post(client, {"query": query})).json()["errors"][0]
            assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
            assert "Did you mean" not in error["message"]
        assert (await post(client, TYPENAME)).json()["data"] == {"__typename": "Query"}
    await app.state.services.close()


async def test_a_slow_client_is_cut_off(settings: ApiSettings) -> None:
    async def drops() -> Any:
        for _ in range(1000):
            await asyncio.sleep(0.01)
            yield b" "

    app = create_app(settings.model_copy(update={"request_timeout_s": 0.05}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await post(client, content=drops(), headers={"content-type": "application/json"})
        assert response.status_code == 408
    await app.state.services.close()


async def test_without_the_database_the_catalog_is_still_served(
    settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings)
    services = app.state.services

    def refuse() -> None:
        raise OSError("connection refused")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await services.state.view()
        engine = services.state.engine
        down = SimpleNamespace(connect=refuse, dialect=engine.dialect)
        monkeypatch.setattr(services.state, "engine", down)
        monkeypatch.setattr(services.state, "_reader", EngineReader(cast(AsyncEngine, down)))
        monkeypatch.setattr(services.state, "_checked_at", float("-inf"))
        query = '{ gpu(slug: "rtx-4090") { name } fits { nodes { score } } }'
        reply = (await post(client, {"query": query})).json()
        assert reply["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await post(client, {"query": '{ gpu(slug: "rtx-4090") { slug } }'})).json()["data"]["gpu"]
        ready = await client.get("/readyz")
        assert ready.status_code == 503
    await engine.dispose()
