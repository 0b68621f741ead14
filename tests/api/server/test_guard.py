"""Slow and endless clients against the server as it is deployed: each is ended, with a typed error where one fits."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import pytest
import uvicorn
import websockets
from graphql import get_introspection_query
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api import settings as settings_module
from api.cli.launch import serve_api
from api.server import malloc
from api.settings import ApiSettings
from tests.support.servers import ApiServer, api_server

PATIENCE_S = 20.0
HEAD = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def server(settings: ApiSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server with short times, over the published database."""
    with api_server(
        tmp_path_factory.mktemp("guard"),
        state_dir=str(settings.state_dir),
        header_timeout_s="0.5",
        keep_alive_s="0.5",
        request_timeout_s="1",
        max_header_bytes="2000",
        max_connections="8",
        websocket_connections="2",
        websocket_message_bytes="2000",
        websocket_init_timeout_s="0.3",
    ) as running:
        yield running


@asynccontextmanager
async def raw(server: ApiServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that still comes until the server closes."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def refusal(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Status and error details of an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    (error,) = json.loads(body)["errors"]
    details = error["extensions"]
    assert details["code"] == "LIMIT_EXCEEDED"
    return int(head.split()[1]), details


async def test_a_client_that_says_nothing(server: ApiServer) -> None:
    async with raw(server) as (reader, _):
        status, details = refusal(await rest(reader))
    assert (status, details["limit"], details["maximum"]) == (408, "seconds for the head", 0.5)


async def test_a_head_that_comes_drop_by_drop(server: ApiServer) -> None:
    async with raw(server) as (reader, writer):
        answer = asyncio.create_task(rest(reader))
        for place in range(len(HEAD)):
            if answer.done():
                break
            writer.write(HEAD[place : place + 1])
            await asyncio.sleep(0.05)
        status, details = refusal(await answer)
    assert (status, details["limit"]) == (408, "seconds for the head")


async def test_a_second_head_that_comes_drop_by_drop(server: ApiServer) -> None:
    async with raw(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        writer.write(HEAD)
        assert refusal(await rest(reader))[0] == 408


async def test_a_body_that_comes_drop_by_drop(server: ApiServer) -> None:
    async with raw(server) as (reader, writer):
        writer.write(HEAD + b"content-length: 1000\r\n\r\n{")
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readuntil(b"}}]}")
        status, details = refusal(head + body)
    assert (status, details["limit"], details["maximum"]) == (408, "seconds for the body", 1.0)


async def test_a_body_that_nobody_reads(server: ApiServer) -> None:
    async with raw(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        answer = asyncio.create_task(rest(reader))
        deadline = time.monotonic() + PATIENCE_S
        while not answer.done():
            assert time.monotonic() < deadline, "the connection stays open"
            writer.write(b" ")
            await asyncio.sleep(0.05)
        assert b'{"status":"ok"}' in await answer


@pytest.mark.parametrize("then", [b"", b"\r\n"])
async def test_an_idle_connection_is_closed(server: ApiServer, then: bytes) -> None:
    async with raw(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b'{"status":"ok"}')
        writer.write(then)
        await rest(reader)


def test_a_connection_waits_as_long_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    options_passed: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda *_, **options: options_passed.update(options))
    # Would hold for the process of the tests as well.
    monkeypatch.setattr(malloc, "use_one_arena", lambda: None)
    monkeypatch.setattr(settings_module, "get_api_settings", lambda: ApiSettings(keep_alive_s=75.0))
    serve_api()
    assert options_passed["timeout_keep_alive"] == 75.0


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
async def test_an_endless_head(server: ApiServer, end: bytes) -> None:
    async with raw(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 4000 + end)
        status, details = refusal(await rest(reader))
    assert (status, details["limit"], details["maximum"]) == (431, "header bytes", 2000)
    assert details["value"] > 2000


async def test_a_client_that_does_not_read(server: ApiServer) -> None:
    query = json.dumps({"query": get_introspection_query()}).encode()
    request = HEAD + f"content-length: {len(query)}\r\n\r\n".encode() + query
    _, writer = await asyncio.open_connection(server.host, server.port, limit=1024)

    async def ask_on() -> None:
        while True:
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(ConnectionError):
            await ask_on()
    writer.close()


async def test_too_many_connections(server: ApiServer) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            # Connections of the tests before may still be closing.
            opened = [await asyncio.open_connection(server.host, server.port) for _ in range(9)]
            answers = await asyncio.gather(*(rest(reader) for reader, _ in opened))
            for _, writer in opened:
                writer.close()
            refused = [details for status, details in map(refusal, answers) if status == 503]
            if len(refused) == 1:
                break
    assert (refused[0]["limit"], refused[0]["value"], refused[0]["maximum"]) == ("connections", 9, 8)


async def test_the_server_answers_afterwards(server: ApiServer) -> None:
    async with raw(server) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await rest(reader)).endswith(b'{"status":"ok"}')
    assert "Traceback" not in server.log.read_text()


def socket_to(server: ApiServer) -> Any:
    return websockets.connect(f"ws://{server.host}:{server.port}/graphql", subprotocols=["graphql-transport-ws"])  # type: ignore[list-item]


@asynccontextmanager
async def socket_when_free(server: ApiServer) -> AsyncIterator[websockets.ClientConnection]:
    """A websocket, as soon as those of the test before are gone."""
    while True:
        try:
            socket = await socket_to(server)
            break
        except websockets.InvalidStatus as refused:
            if refused.response.status_code != 503:
                raise
            await asyncio.sleep(0.05)
    try:
        yield socket
    finally:
        await socket.close()


async def test_websocket_handshakes_are_refused_with_a_typed_error(server: ApiServer) -> None:
    async with asyncio.timeout(PATIENCE_S), socket_to(server), socket_to(server):
        with pytest.raises(websockets.InvalidStatus) as caught:
            await socket_to(server)
    assert caught.value.response.status_code == 503
    details = json.loads(caught.value.response.body)["errors"][0]["extensions"]
    assert details == {"code": "LIMIT_EXCEEDED", "limit": "open streams", "value": 3, "maximum": 2}


async def test_a_websocket_that_says_nothing(server: ApiServer) -> None:
    async with asyncio.timeout(PATIENCE_S), socket_when_free(server) as socket:
        await socket.wait_closed()
        assert socket.close_code == 4408


async def test_a_large_message(server: ApiServer) -> None:
    async with asyncio.timeout(PATIENCE_S), socket_when_free(server) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"x": "y" * 3000}}))
        await socket.wait_closed()
        assert socket.close_code == 1009


def test_uvicorn_has_what_the_guard_overrides() -> None:
    """The guard was written against uvicorn 0.54.0; pyproject.toml keeps newer minor versions out until they are read."""
    installed = version("uvicorn")
    config = uvicorn.Config(lambda: None, http=HttpToolsProtocol)
    protocol = HttpToolsProtocol(config, ServerState(), {}, asyncio.new_event_loop())
    names = (
        "_start_asgi_task", "connections", "cycle", "flow", "handle_websocket_upgrade", "headers", "on_body",
        "on_headers_complete", "on_message_begin", "on_message_complete", "parser", "pause_writing", "resume_writing",
        "timeout_keep_alive", "timeout_keep_alive_handler", "timeout_keep_alive_task", "transport",
    )  # fmt: skip
    missing = [name for name in names if not hasattr(protocol, name)]
    protocol.loop.close()
    assert not missing, f"uvicorn {installed} lacks {missing}; api/server/guard.py was read against 0.54.0"
    parameters = set(inspect.signature(RequestResponseCycle.__init__).parameters)
    assert {"flow", "message_event"} <= parameters, f"uvicorn {installed}: api/server/guard.py was read against 0.54.0"
