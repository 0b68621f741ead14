"""Streams: graphql-transport-ws, server-sent events, their limits and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, WebSocketDisconnect, aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport

from api.graphql.core.ids import encode_id
from api.server.app import create_app
from api.settings import ApiSettings

PROTOCOL = "graphql-transport-ws"
pytestmark = pytest.mark.asyncio(loop_scope="session")
DECODE = 'subscription { decodeStream(model: "llama-2-7b", gpu: "rtx-4090", quant: "IQ2_XXS") { index text atMs } }'


@asynccontextmanager
async def client_with(settings: ApiSettings, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client with websockets of an application with changed settings."""
    app = create_app(settings.model_copy(update=changes))
    try:
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(app), base_url="http://test") as client:
            yield client
    finally:
        await app.state.services.close()


Browser = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def browser(settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Opens a client whose streams do not wait. Opened inside the test: its task group must not outlive its task."""
    monkeypatch.setattr("api.graphql.runs.subscriptions._wait", _no_wait)
    return lambda: client_with(settings, websocket_connections=2, subscriptions_per_connection=2)


async def _no_wait(_seconds: float) -> None:
    return None


def connect(client: httpx.AsyncClient, **options: Any) -> Any:
    return aconnect_ws("http://test/graphql", client, subprotocols=[PROTOCOL], **options)


async def start(socket: AsyncWebSocketSession) -> None:
    await socket.send_json({"type": "connection_init"})
    assert await socket.receive_json() == {"type": "connection_ack"}


async def test_a_connection_starts_with_a_null_payload(browser: Browser) -> None:
    async with browser() as client, connect(client) as socket:
        await socket.send_json({"type": "connection_init", "payload": None})
        assert await socket.receive_json() == {"type": "connection_ack"}


async def test_a_run_is_followed_to_its_end(browser: Browser) -> None:
    async with browser() as client:
        query = "subscription($id: ID!) { runProgress(id: $id) { state doneBlockCount blockCount } }"
        async with connect(client) as socket:
            await start(socket)
            payload = {"query": query, "variables": {"id": encode_id("Run", "1")}}
            await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})
            message = await socket.receive_json()
            assert message["type"] == "next"
            run = message["payload"]["data"]["runProgress"]
            assert run["state"] == "PUBLISHED"
            assert run["doneBlockCount"] == run["blockCount"]
            assert (await socket.receive_json()) == {"id": "1", "type": "complete"}


async def test_the_newest_run_is_followed(browser: Browser) -> None:
    async with browser() as client, connect(client) as socket:
        await start(socket)
        query = "subscription { newestRun { id state } }"
        await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        run = (await socket.receive_json())["payload"]["data"]["newestRun"]
        assert run == {"id": encode_id("Run", "1"), "state": "PUBLISHED"}
        await socket.send_json({"id": "1", "type": "complete"})


async def test_tokens_come_at_the_estimated_pace(browser: Browser) -> None:
    async with browser() as client:
        fit = '{ fit(model: "llama-2-7b", gpu: "rtx-4090", quant: "IQ2_XXS") { ttftMs decode { tokensPerSecond } } }'
        expected = (await client.post("/graphql", json={"query": fit})).json()["data"]["fit"]
        async with connect(client) as socket:
            await start(socket)
            await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": DECODE}})
            tokens = [(await socket.receive_json())["payload"]["data"]["decodeStream"] for _ in range(500)]
            assert (await socket.receive_json())["type"] == "complete"
        assert [token["index"] for token in tokens] == list(range(500))
        assert tokens[0]["atMs"] == pytest.approx(expected["ttftMs"])
        step = tokens[1]["atMs"] - tokens[0]["atMs"]
        assert step == pytest.approx(1000 / expected["decode"]["tokensPerSecond"])


async def test_queries_run_over_the_socket_too(browser: Browser) -> None:
    async with browser() as client, connect(client) as socket:
        await start(socket)
        await socket.send_json({"id": "q", "type": "subscribe", "payload": {"query": "{ __typename }"}})
        assert (await socket.receive_json())["payload"]["data"] == {"__typename": "Query"}


async def test_an_empty_name_of_an_operation_is_none_over_the_socket(browser: Browser) -> None:
    async with browser() as client, connect(client) as socket:
        await start(socket)
        for number, query in enumerate(("{ __typename }", DECODE)):
            asked = {"query": query, "operationName": "", "variables": None, "extensions": None}
            await socket.send_json({"id": str(number), "type": "subscribe", "payload": asked})
            answer = await socket.receive_json()
            assert (answer["type"], answer["id"]) == ("next", str(number))
            assert "errors" not in answer["payload"]
            await socket.send_json({"id": str(number), "type": "complete"})
            if number == 0:
                assert (await socket.receive_json())["type"] == "complete"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('subscription { runProgress(id: "x") { state } }', "BAD_USER_INPUT"),
        (f'subscription {{ runProgress(id: "{encode_id("Run", "99")}") {{ state }} }}', "NOT_FOUND"),
        ('subscription { decodeStream(model: "nope", gpu: "rtx-4090") { text } }', "NOT_FOUND"),
        (
            'subscription { decodeStream(model: "llama-2-7b", gpu: "rtx-4090", quant: "MLX 4-bit") { text } }',
            "UNSUPPORTED",
        ),
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ models(first: 1000) { totalCount } }", "LIMIT_EXCEEDED"),
    ],
)
async def test_errors_are_typed_over_the_socket(browser: Browser, query: str, code: str) -> None:
    async with browser() as client, connect(client) as socket:
        await start(socket)
        await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        message = await socket.receive_json()
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert errors[0]["extensions"]["code"] == code


async def test_limits_hold_over_the_socket(browser: Browser) -> None:
    async with browser() as client:
        query = "{" + " a: __typename" * 2000 + "}"
        async with connect(client) as socket:
            await start(socket)
            await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
            assert (await socket.receive_json())["payload"][0]["extensions"]["limit"] == "tokens"


async def test_another_protocol_is_refused(browser: Browser) -> None:
    async with browser() as client, aconnect_ws("http://test/graphql", client, subprotocols=["graphql-ws"]) as socket:
        with pytest.raises(WebSocketDisconnect) as caught:
            await socket.receive_json()
        assert caught.value.code == 4406


@pytest.mark.parametrize("text", ["null", "{", "[]", '{"type": "nope"}', "x" * 100_000])
async def test_a_malformed_message_closes_the_socket(browser: Browser, text: str) -> None:
    async with browser() as client, connect(client) as socket:
        await socket.send_text(text)
        with pytest.raises(WebSocketDisconnect) as caught:
            await socket.receive_json()
        assert caught.value.code == 4400


async def test_too_many_connections_are_refused(browser: Browser) -> None:
    async with browser() as client, connect(client) as first, connect(client) as two:
        await start(first)
        await start(two)
        with pytest.raises((WebSocketDisconnect, HTTPXWSException)):
            async with connect(client):
                pass


async def test_pages_of_other_origins_are_refused_when_origins_are_listed(settings: ApiSettings) -> None:
    async with client_with(settings, cors_origins=("https://good.example",)) as client:
        with pytest.raises((WebSocketDisconnect, HTTPXWSException)):
            async with connect(client, headers={"origin": "https://evil.example"}):
                pass
        async with connect(client, headers={"origin": "https://good.example"}) as socket:
            await start(socket)


def events(text: str) -> list[tuple[str, Any]]:
    parsed = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.split("\n") if ":" in line and not line.startswith(":"))
        if "event" in fields:
            data = fields.get("data", "").strip()
            parsed.append((fields["event"].strip(), orjson.loads(data) if data else None))
    return parsed


async def test_server_sent_events(browser: Browser) -> None:
    async with browser() as client:
        response = await client.post("/graphql", json={"query": DECODE}, headers={"accept": "text/event-stream"})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        received = events(response.text)
        assert len([event for event in received if event[0] == "next"]) == 500
        assert received[0][1]["data"]["decodeStream"]["index"] == 0
        assert received[-1][0] == "complete"


async def test_a_bad_stream_request_is_a_typed_error(browser: Browser) -> None:
    async with browser() as client:
        headers = {"accept": "text/event-stream"}
        refused = await client.post("/graphql", json={"query": "subscription { nope }"}, headers=headers)
        assert "GRAPHQL_VALIDATION_FAILED" in refused.text
        large = await client.post("/graphql", json={"query": DECODE, "x": "y" * 1_100_000}, headers=headers)
        assert large.status_code == 413
        form = await client.post("/graphql", content="query=x", headers=headers | {"content-type": "text/plain"})
        assert form.status_code in (400, 415)


async def test_clients_that_accept_json_and_streams_get_what_fits_the_operation(browser: Browser) -> None:
    accept = {"accept": "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"}
    async with browser() as client:
        plain = await client.post("/graphql", json={"query": "{ __typename }"}, headers=accept)
        assert plain.headers["content-type"].startswith("application/graphql-response+json")
        assert plain.json()["data"] == {"__typename": "Query"}
        stream = await client.post("/graphql", json={"query": DECODE}, headers=accept)
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert events(stream.text)[-1][0] == "complete"


async def test_a_subscription_over_plain_http_is_told_what_to_do(browser: Browser) -> None:
    async with browser() as client:
        response = await client.post("/graphql", json={"query": DECODE})
        assert response.status_code == 400
        assert "text/event-stream" in response.json()["errors"][0]["message"]
