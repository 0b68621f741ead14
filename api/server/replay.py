"""Finished answers to repeated requests, kept as they leave: headers set, body compressed.

The same bytes posted again by a client that accepts the same get the same answer until the next generation, without
being parsed, looked up or compressed once more. The GraphQL endpoint says which answer may be kept. Answers that differ by
caller do not pass here: requests with an ``Authorization`` header go on, and so does everything when clients are limited by rate.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError
from api.graphql.services.services import Services

#: Longest body that is looked at, bytes.
MAX_BODY = 32_768
#: Headers that an answer depends on.
_SEEN = frozenset((b"accept", b"accept-encoding", b"content-type", b"host", b"origin"))
#: Headers that send a request on.
_PASSED = frozenset((b"authorization", b"if-none-match", b"content-encoding", b"transfer-encoding"))
_OVERHEAD = 1024

#: Stands for a body that did not arrive in time.
_LATE: Message = {"type": "late"}

Answer = tuple[Message, bytes]


class HotAnswers:
    """Middleware that answers repeated POSTs of ``path`` from memory."""

    def __init__(self, app: ASGIApp, services: Services, path: str, endpoint: Callable[..., Any]) -> None:
        self._app = app
        self._services = services
        self._path = path
        # Who would have answered, for those who count requests by endpoint.
        self._endpoint = endpoint
        settings = services.settings
        self._budget = settings.response_cache_bytes // 4
        self._timeout_s = settings.request_timeout_s
        self._used = 0
        self._kept: OrderedDict[tuple[Any, ...], Answer] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on and remember the answer when the endpoint says so."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        if not self._budget or not self._services.rates.is_off:
            await self._app(scope, receive, send)
            return
        headers_read: list[bytes] = []
        for name, value in scope["headers"]:
            if name in _SEEN:
                headers_read += (name, value)
            elif name in _PASSED or (name == b"content-length" and (not value.isdigit() or int(value) > MAX_BODY)):
                await self._app(scope, receive, send)
                return
        messages, body = await self._read(receive)
        if body is None:
            await self._app(scope, _again(messages, receive), send)
            return
        key = (scope["scheme"], scope["query_string"], body, *headers_read)
        answer = self._kept.get(key)
        # A generation that is gone has another identity: its answers are never met again, and age out.
        if answer is not None and answer[0]["identity"] == await self._identity():
            # Others may have pushed it out while the identity was read.
            if key in self._kept:
                self._kept.move_to_end(key)
            self._services.responses.hits += 1
            scope["endpoint"] = self._endpoint
            await send({**answer[0], "headers": list(answer[0]["headers"])})
            await send({"type": "http.response.body", "body": answer[1]})
            return
        await self._app(scope, _again(messages, receive), self._remembering(scope, key, send))

    async def _read(self, receive: Receive) -> tuple[list[Message], bytes | None]:
        """Messages of a request and its body; no body when it is late, long or broken off."""
        messages: list[Message] = []
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while size <= MAX_BODY:
                    message = await receive()
                    messages.append(message)
                    if message["type"] != "http.request":
                        return messages, None
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if not message.get("more_body"):
                        return messages, b"".join(chunks) if size <= MAX_BODY else None
        except TimeoutError:
            messages.append(_LATE)
        return messages, None

    async def _identity(self) -> str | None:
        view = self._services.state.fresh_view
        if view is None:
            with suppress(ApiError):
                view = await self._services.state.view()
        return None if view is None else view.identity

    def _remembering(self, scope: Scope, key: tuple[Any, ...], send: Send) -> Send:
        """``send`` that keeps what passes when the endpoint called it the same for everybody."""
        start: list[Message] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
            elif start and message["type"] == "http.response.body" and not message.get("more_body"):
                identity = scope.get("state", {}).get("kept_for")
                if identity is not None and start[0]["status"] == 200:
                    self._keep(key, {**start[0], "identity": identity}, message.get("body", b""))
                start.clear()
            else:
                start.clear()
            await send(message)

        return keep

    def _keep(self, key: tuple[Any, ...], start: Message, body: bytes) -> None:
        size = _size(key, body)
        if size > self._budget // 8:
            return
        before = self._kept.pop(key, None)
        if before is not None:
            self._used -= _size(key, before[1])
        self._kept[key] = (start, body)
        self._used += size
        while self._used > self._budget:
            oldest, (_, text) = self._kept.popitem(last=False)
            self._used -= _size(oldest, text)


def _size(key: tuple[Any, ...], body: bytes) -> int:
    return len(body) + len(key[2]) + _OVERHEAD


def _again(messages: list[Message], receive: Receive) -> Receive:
    """``receive`` with messages put back."""
    waiting = messages[::-1]

    async def again() -> Message:
        message = waiting.pop() if waiting else await receive()
        if message is _LATE:
            # The time for the body is used up: whoever reads on is late at once.
            raise TimeoutError
        return message

    return again
