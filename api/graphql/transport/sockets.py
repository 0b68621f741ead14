"""graphql-transport-ws with limits: messages checked before they are used, a number of them a minute, short reasons."""

from __future__ import annotations

import time
from typing import Any, cast

from strawberry.asgi import ASGIWebSocketAdapter

from api.errors import LimitExceededError
from api.graphql.context import RequestContext
from api.graphql.core.errors import graphql_error
from api.graphql.core.strawberry_internals import Message, OpenSocketHandler, SubscribeMessage

#: A close frame has 125 bytes, two of them for the code.
MAX_REASON_BYTES = 123
#: Longest id of an operation, characters.
MAX_ID_CHARACTERS = 128
_WINDOW_S = 60.0
_TOO_MANY = 4429


class SocketAdapter(ASGIWebSocketAdapter):
    """Strawberry's adapter, whose reasons fit into a close frame whatever the client put into them."""

    async def close(self, code: int, reason: str) -> None:
        """Close with a reason, cut to what a frame holds."""
        await super().close(code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))


class SocketHandler(OpenSocketHandler[RequestContext]):
    """Strawberry's handler of one connection, with our limits and errors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._window_ends = 0.0
        self._messages = 0

    async def handle_message(self, message: Message) -> None:
        """Count and check one message, then let it through."""
        maximum = self.context.services.settings.websocket_messages_per_minute
        moment = time.monotonic()
        if moment >= self._window_ends:
            self._window_ends, self._messages = moment + _WINDOW_S, 0
        self._messages += 1
        if self._messages > maximum:
            await self.websocket.close(
                _TOO_MANY, LimitExceededError("messages per minute", self._messages, maximum).message
            )
            return
        if message["type"] == "connection_init" and message.get("payload") is None:
            # graphql-ws accepts null as no payload.
            message.pop("payload", None)
        fault = _fault_of(cast("dict[str, Any]", message))
        if fault is not None:
            await self.handle_invalid_message(fault)
            return
        await super().handle_message(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, unless the connection has as many as it may."""
        maximum = self.max_subscriptions_per_connection
        running = len(self.operations)
        full = maximum is not None and running >= maximum and message["id"] not in self.operations
        if maximum is not None and full and self.connection_acknowledged:
            error = LimitExceededError("subscriptions per connection", running + 1, maximum)
            await self.send_message({"id": message["id"], "type": "error", "payload": [graphql_error(error).formatted]})
            return
        await super().handle_subscribe(message)


def _fault_of(message: dict[str, Any]) -> str | None:
    """The fault in the shape of a message; None for none."""
    kind = message.get("type")
    if not isinstance(kind, str):
        return "type must be a text"
    if kind not in ("subscribe", "complete"):
        return None
    known = message.get("id")
    if not isinstance(known, str) or not 0 < len(known) <= MAX_ID_CHARACTERS:
        return f"id must be a text of 1 to {MAX_ID_CHARACTERS} characters"
    if kind == "complete":
        return None
    payload = message.get("payload")
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        return "payload must be an object with a query"
    if not isinstance(payload.get("variables"), dict | None):
        return "variables must be an object or null"
    if not isinstance(payload.get("operationName"), str | None):
        return "operationName must be a text or null"
    return None
