"""Attacks on the API in one process: each meets a limit that says its name and value, or an error that says nothing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from graphql import get_introspection_query
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, WebSocketDisconnect, aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport

from api.graphql.core.ids import _CURSOR, _open, _seal, encode_id
from api.graphql.services.rate_limit import RateLimiter
from api.server.app import create_app
from api.settings import ApiSettings
from tests.api.conftest import nested
from tests.api.graphql.services.test_rate_limit import Memory

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALIASES = "{" + " ".join(f"a{number}: engines {{ name }}" for number in range(201)) + "}"
DIRECTIVES = "{ __typename " + "@include(if: true) " * 51 + "}"
VARIABLE_DIRECTIVES = "query Q($a: Int " + "@skip(if: true) " * 51 + ") { models(first: $a) { totalCount } }"
DEEP = '{ model(slug: "llama-2-7b") { ' + "fits(first: 1) { nodes { model { " * 6 + "name" + " } } }" * 6 + " } }"
LISTED = " ".join(f"a{number}: types {{ ...F }}" for number in range(60))
INTROSPECTION = (
    f"{{ __schema {{ {LISTED} }} }} fragment F on __Type {{ fields {{ name args {{ name type {{ name }} }} "
    "type { name fields { name type { name } } } } }"
)


@asynccontextmanager
async def client_with(settings: ApiSettings, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client, websockets included, of an application with changed settings."""
    app = create_app(settings.model_copy(update=changes))
    try:
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(app), base_url="http://test") as client:
            client.app = app  # type: ignore[attr-defined]
            yield client
    finally:
        await app.state.services.close()


async def ask(client: httpx.AsyncClient, query: str, variables: Any = None) -> dict[str, Any]:
    response = await client.post("/graphql", json={"query": query, "variables": variables or {}})
    assert response.status_code in (200, 400)
    reply: dict[str, Any] = response.json()
    return reply


async def limit_of(client: httpx.AsyncClient, query: str, variables: Any = None) -> tuple[str, float, float]:
    """Name, value and maximum of the limit that a request meets."""
    (error,) = (await ask(client, query, variables))["errors"]
    extensions = error["extensions"]
    assert extensions["code"] == "LIMIT_EXCEEDED"
    assert str(extensions["maximum"]) in error["message"]
    return extensions["limit"], extensions["value"], extensions["maximum"]


async def test_alias_overload(client: httpx.AsyncClient) -> None:
    assert await limit_of(client, ALIASES) == ("aliases", 201, 200)


async def test_directive_overload(client: httpx.AsyncClient) -> None:
    assert await limit_of(client, DIRECTIVES) == ("directives", 51, 50)
    assert await limit_of(client, VARIABLE_DIRECTIVES) == ("directives", 51, 50)


async def test_repeated_fields(client: httpx.AsyncClient) -> None:
    assert await limit_of(client, "{" + " engines { name }" * 26 + "}") == ("repeated fields", 26, 25)


async def test_token_flood(client: httpx.AsyncClient) -> None:
    assert await limit_of(client, "{" + " __typename" * 3000 + "}") == ("tokens", 2001, 2000)


@pytest.mark.parametrize(
    "text",
    [
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { ...b } fragment b on Query { engines { name } ...a }",
        "{ __schema { types { ...a } } } fragment a on __Type { fields { type { ...a } } }",
    ],
)
async def test_circular_fragments(client: httpx.AsyncClient, text: str) -> None:
    errors = (await ask(client, text))["errors"]
    assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}
    assert any("Cannot spread fragment" in error["message"] for error in errors)


async def test_doubling_fragments(client: httpx.AsyncClient) -> None:
    levels = [f"fragment f{level} on Query {{ ...f{level + 1} ...f{level + 1} }}" for level in range(60)]
    text = "\n".join(["{ ...f0 }", *levels, "fragment f60 on Query { a: __typename }"])
    assert (await limit_of(client, text))[0] == "aliases"


@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_batch_flood(client: httpx.AsyncClient, size: int) -> None:
    response = await client.post("/graphql", json=[{"query": "{ __typename }"}] * size)
    assert response.status_code == 400
    extensions = response.json()["errors"][0]["extensions"]
    assert extensions == {"code": "LIMIT_EXCEEDED", "limit": "batched requests", "value": size, "maximum": 0}


async def test_huge_lists(client: httpx.AsyncClient) -> None:
    deep = "{ models(first: 100) { nodes { fits(first: 100) { nodes { gpu { fits(first: 100) { nodes { score } } } } } } } }"
    assert (await limit_of(client, deep))[0] == "cost"
    assert await limit_of(client, "{ models(first: 101) { totalCount } }") == ("first", 101, 100)
    names = ["rtx-4090"] * 51
    compare = 'query($g: [String!]!) { comparison(input: {models: ["llama-2-7b"], gpus: $g}) { winner } }'
    assert (await limit_of(client, compare, {"g": names}))[1:] == (51, 50)
    members = "query($m: [String!]!) { fits(filter: {model: {in: $m}}) { totalCount } }"
    assert await limit_of(client, members, {"m": ["llama-2-7b"] * 501}) == ("in length", 501, 500)
    question = nested({"model": "llama-2-7b", "gpu": "rtx-4090", "quant": "Q4_K_M"})
    estimates = "query($i: [EstimateInput!]!) { estimates(inputs: $i) { error { code } } }"
    assert await limit_of(client, estimates, {"i": [question] * 1001}) == ("inputs", 1001, 1000)


async def test_deep_nesting(client: httpx.AsyncClient) -> None:
    assert await limit_of(client, DEEP) == ("depth", 20, 16)
    lists = "{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }"
    assert (await ask(client, lists))["errors"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "LIMIT_EXCEEDED")


async def test_introspection_abuse(client: httpx.AsyncClient, settings: ApiSettings) -> None:
    complete = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )
    allowed = await ask(client, complete)
    assert "errors" not in allowed
    # The tools' own query passes, and only a few times in one document.
    assert settings.max_cost / 10 < allowed["extensions"]["cost"]["value"] < settings.max_cost / 2
    name, value, maximum = await limit_of(client, INTROSPECTION)
    assert (name, maximum) == ("cost", settings.max_cost)
    assert value > maximum
    deep = "{ __schema { types { " + "fields { type { " * 4 + "name" + " } }" * 4 + " } } }"
    assert "introspection depth" in (await ask(client, deep))["errors"][0]["message"]


async def test_introspection_switched_off(settings: ApiSettings) -> None:
    async with client_with(settings, introspection=False) as client:
        for query in ("{ __schema { types { name } } }", '{ __type(name: "Fit") { name } }'):
            answer = await ask(client, query)
            assert "data" not in answer
            assert {error["extensions"]["code"] for error in answer["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}
        assert (await ask(client, "{ __typename }"))["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ modell }", {}),
        ('{ node(id: "x") { ... on Fit { scoree } } }', {}),
        ('{ model(slugg: "x") { name } }', {}),
        ("query($a: Flot) { models(first: $a) { totalCount } }", {}),
        ('{ node(id: "x") { ... on Modl { name } } }', {}),
        ("{ fits(orderBy: [{field: SCOR}]) { totalCount } }", {}),
        ("{ fits(filter: {scor: {min: 1}}) { totalCount } }", {}),
        ("query($o: [FitOrder!]) { fits(orderBy: $o) { totalCount } }", {"o": [{"field": "SCOR"}]}),
        ("query($f: FitFilter) { fits(filter: $f) { totalCount } }", {"f": {"scor": {"min": 1}}}),
        ("{ engines { name } } fragment F on Modle { name }", {}),
    ],
)
async def test_field_suggestions_switched_off(settings: ApiSettings, query: str, variables: dict[str, Any]) -> None:
    async with client_with(settings, suggestions=False) as client:
        answer = await ask(client, query, variables)
        assert answer["errors"]
        assert "Did you mean" not in orjson.dumps(answer).decode()
        async with connect(client) as socket:
            await start(socket)
            payload = {"query": query, "variables": variables}
            await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
            assert "Did you mean" not in await socket.receive_text()
    async with client_with(settings) as client:
        assert "Did you mean" in orjson.dumps(await ask(client, query, variables)).decode()


async def test_cursor_tampering(client: httpx.AsyncClient) -> None:
    page = "query($a: String) { fits(first: 1, after: $a) { totalCount pageInfo { endCursor } } }"
    cursor = (await ask(client, page))["data"]["fits"]["pageInfo"]["endCursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    tampered = [
        cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :] for place in range(len(cursor))
    ]
    tampered += ["", "x", cursor + "A", cursor[:-1], cursor * 50, base64.urlsafe_b64encode(raw[:6] + b"[1]").decode()]
    for text in tampered:
        (error,) = (await ask(client, page, {"a": text}))["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT", text


@pytest.mark.parametrize("key", ["0", "-1", "1.5", "99999999999999999999", "x", "", "1; DROP TABLE run", "\u0661"])
async def test_forged_ids_are_validated(client: httpx.AsyncClient, key: str) -> None:
    for kind in ("Run", "Fit", "Model", "Gpu", "Quant", "Workload", "Engine", "Host", "Nothing"):
        text = encode_id(kind, key)
        answer = await ask(client, "query($i: ID!) { node(id: $i) { id } }", {"i": text})
        codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
        assert answer["data"] == {"node": None}, (kind, key)
        assert codes <= {"BAD_USER_INPUT", "NOT_FOUND"}, (kind, key)


async def test_forged_cursors_are_validated(client: httpx.AsyncClient) -> None:
    """The checksum is no secret: whoever makes a sound one still gets no further than the types allow."""
    page = "query($a: String) { fits(first: 1, after: $a) { totalCount pageInfo { endCursor } } }"
    cursor = (await ask(client, page))["data"]["fits"]["pageInfo"]["endCursor"]
    state, order, *key = _open(_CURSOR, cursor, "cursor")
    injected = "0; DROP TABLE run"
    for forged in (
        [injected] * len(key),
        [None] * len(key),
        [True] * len(key),
        [2**63] * len(key),
        [-1] * len(key),
        [1.5] * len(key),
        [[1]] * len(key),
        [*key, 1],
        key[:-1],
        [],
    ):
        text = _seal(_CURSOR, orjson.dumps([state, order, *forged]))
        code = (await ask(client, page, {"a": text}))["errors"][0]["extensions"]["code"]
        assert code == "BAD_USER_INPUT", forged
    runs = "query($a: String) { runs(first: 1, after: $a) { edges { cursor } } }"
    state, order, _ = _open(_CURSOR, (await ask(client, runs))["data"]["runs"]["edges"][0]["cursor"], "cursor")
    for odd in (injected, None, True, 2**63, -1, 1.5, [1]):
        text = _seal(_CURSOR, orjson.dumps([state, order, odd]))
        code = (await ask(client, runs, {"a": text}))["errors"][0]["extensions"]["code"]
        assert code == "BAD_USER_INPUT", odd
    assert (await ask(client, page, {"a": cursor}))["data"]["fits"]


async def test_oversized_variables(client: httpx.AsyncClient) -> None:
    orders = "query($o: [FitOrder!]) { fits(orderBy: $o) { totalCount } }"
    assert (await limit_of(client, orders, {"o": [{"field": "SCORE"}] * 50_000}))[::2] == ("variable values", 20_000)
    wide = {"x": [[1] * 200] * 200}
    assert (await limit_of(client, "{ __typename }", wide))[0] == "variable values"
    search = "query($s: String) { models(filter: {search: $s}) { totalCount } }"
    assert await limit_of(client, search, {"s": "x" * 100_000}) == ("search length", 100_000, 200)
    configuration = {"q": nested({"modelConfig": {"ignore": ["x"] * 50_000}, "gpu": "rtx-3090", "quant": "q4-k-m"})}
    estimate = "query($q: EstimateInput!) { estimate(input: $q) { status } }"
    assert (await ask(client, estimate, configuration))["errors"][0]["extensions"]["field"] == "architectures"


async def test_an_oversized_body(settings: ApiSettings) -> None:
    async with client_with(settings, max_request_bytes=1_000_000) as client:
        large = await client.post("/graphql", json={"query": "{ __typename }", "variables": {"x": "y" * 1_100_000}})
    assert large.status_code == 413
    assert large.json()["errors"][0]["extensions"]["limit"] == "request bytes"


async def test_deep_variables(settings: ApiSettings) -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    async with client_with(settings) as client:
        query = "mutation($x: JSON!) { upsertModel(input: {entry: $x}) { userErrors { message } } }"
        reply = await ask(client, query, {"x": deep})
        assert reply["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def connect(client: httpx.AsyncClient, **options: Any) -> Any:
    return aconnect_ws("http://test/graphql", client, subprotocols=["graphql-transport-ws"], **options)


async def start(socket: AsyncWebSocketSession) -> None:
    await socket.send_json({"type": "connection_init"})
    assert await socket.receive_json() == {"type": "connection_ack"}


async def closed_with(socket: AsyncWebSocketSession) -> WebSocketDisconnect:
    for _ in range(100):
        try:
            await socket.receive_text()
        except WebSocketDisconnect as end:
            return end
    raise AssertionError("the connection stays open")


async def test_websocket_connections(settings: ApiSettings) -> None:
    async with client_with(settings, websocket_connections=2) as client, connect(client), connect(client):
        with pytest.raises((WebSocketDisconnect, HTTPXWSException)):
            async with connect(client):
                pass


async def test_websocket_connections_of_one_client(settings: ApiSettings) -> None:
    async with client_with(settings, websocket_connections_per_client=1) as client:
        async with connect(client):
            with pytest.raises((WebSocketDisconnect, HTTPXWSException)):
                async with connect(client):
                    pass
            stream = await client.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"accept": "text/event-stream"}
            )
            assert stream.status_code == 503
            extensions = stream.json()["errors"][0]["extensions"]
            assert extensions == {
                "code": "LIMIT_EXCEEDED",
                "limit": "open streams per client",
                "value": 2,
                "maximum": 1,
            }
        while client.app.state.services.streams.count:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        async with connect(client) as socket:
            await start(socket)


async def test_websocket_messages(settings: ApiSettings) -> None:
    async with client_with(settings, websocket_messages_per_minute=10) as client, connect(client) as socket:
        await start(socket)
        for _ in range(10):
            await socket.send_json({"type": "ping"})
        end = await closed_with(socket)
        assert end.code == 4429
        assert end.reason == "The limit on messages per minute is 10; this request has 11."


async def test_websocket_subscriptions(settings: ApiSettings) -> None:
    query = 'subscription { decodeStream(model: "llama-2-7b", gpu: "rtx-4090") { index } }'
    async with client_with(settings, subscriptions_per_connection=2) as client, connect(client) as socket:
        await start(socket)
        for name in "abc":
            await socket.send_json({"id": name, "type": "subscribe", "payload": {"query": query}})
        while (message := await socket.receive_json())["type"] != "error":
            assert message["id"] in "ab"
        assert message["id"] == "c"
        assert message["payload"][0]["extensions"] == {
            "code": "LIMIT_EXCEEDED",
            "limit": "subscriptions per connection",
            "value": 3,
            "maximum": 2,
        }


async def test_websocket_init_timeout(settings: ApiSettings) -> None:
    async with client_with(settings, websocket_init_timeout_s=0.05) as client, connect(client) as socket:
        assert (await closed_with(socket)).code == 4408


async def test_websocket_operations_pay_their_points(settings: ApiSettings) -> None:
    async with client_with(settings) as client:
        client.app.state.services.rates = RateLimiter(Memory(), 50)  # type: ignore[attr-defined]
        async with connect(client) as socket:
            await start(socket)
            query = "{ models(first: 20) { nodes { slug name } } }"
            for name in ("1", "2"):
                await socket.send_json({"id": name, "type": "subscribe", "payload": {"query": query}})
                message = await socket.receive_json()
                if message["type"] == "next":
                    await socket.receive_json()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["limit"] == "points per minute"


async def test_a_fault_outside_graphql_says_nothing(settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("postgresql://user:secret@host/db")

    app = create_app(settings)
    monkeypatch.setattr(app.state.services.state, "view", fail)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in (
            "/can/llama-2-7b-on-rtx-4090",
            "/embed/llama-2-7b-on-rtx-4090.svg",
            "/oembed",
            "/readyz",
            "/graphql?query={a}",
        ):
            response = await client.get(path)
            assert response.status_code == 500
            assert response.text == "Internal Server Error"
    await app.state.services.close()


@pytest.mark.parametrize(
    "message",
    [
        {"type": ["subscribe"]},
        {"type": "subscribe", "id": ["x"], "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "x" * 1000, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "x", "payload": {"query": "{ __typename }", "variables": [1]}},
        {"type": "subscribe", "id": "x", "payload": {"query": "{ __typename }", "operationName": {}}},
        {"type": "subscribe", "id": "x", "payload": "x"},
        {"type": "complete", "id": {}},
        {"type": "x" * 5000},
    ],
)
async def test_websocket_messages_of_an_odd_shape(settings: ApiSettings, message: dict[str, Any]) -> None:
    async with client_with(settings) as client, connect(client) as socket:
        await start(socket)
        await socket.send_json(message)
        assert (await closed_with(socket)).code == 4400


async def test_websocket_syntax_errors_are_typed(settings: ApiSettings) -> None:
    async with client_with(settings) as client, connect(client) as socket:
        await start(socket)
        await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": "{ a " + "x" * 500 + "("}})
        message = await socket.receive_json()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
