"""The server's side of a connection, with limits on clients that are slow or send without end.

uvicorn waits for a request's head for ever, keeps one of any size, and writes to a client that does not read for as long
as it likes. Here each of these ends, with a typed error where an answer can still be sent.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Literal

import orjson

from api.errors import LimitExceededError
from api.settings import ApiSettings

if TYPE_CHECKING or sys.platform != "win32":
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_REASONS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


def guarded(settings: ApiSettings) -> type[asyncio.Protocol] | Literal["auto"]:
    """uvicorn's protocol with the limits of the settings; uvicorn's choice where httptools is not to be had."""
    if sys.platform == "win32":
        return "auto"

    class Guarded(GuardedProtocol):
        limits = settings

    return Guarded


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Timers: for the head of a request, for its body, and for a client that does not read."""

    limits: ApiSettings
    _head_bytes = 0
    _in_head = True
    _refused = False
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, "connections", len(self.connections), self.limits.max_connections)
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every timer."""
        self._stop_reading_timer()
        self._stop_writing_timer()
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells this to the newest request only, which may be another one that waits its turn.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that does not end."""
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        self._rearm_keep_alive()
        if self._in_head and self._head_bytes > self.limits.max_header_bytes:
            self._refuse(431, "header bytes", self._head_bytes, self.limits.max_header_bytes)

    def on_message_begin(self) -> None:
        """A request begins, the first or another one of the connection."""
        self._in_head = True
        self._wait_for_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there: start the request, unless its head is too large."""
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._head_bytes = 0
        self._stop_reading_timer()
        if size > self.limits.max_header_bytes:
            self._refuse(431, "header bytes", size, self.limits.max_header_bytes)
            return
        if not self.parser.should_upgrade():
            self._wait_for_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        if not self._refused:
            self._stop_reading_timer()
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the websocket has limits of its own."""
        self._stop_reading_timer()
        if not self._refused:
            super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """The client does not read: give it some time."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.limits.header_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_writing_timer()
        super().resume_writing()

    def _rearm_keep_alive(self) -> None:
        """Wait for the next request no longer for what came between two: uvicorn stops its timer at any byte."""
        idle = self.cycle is not None and self.cycle.response_complete and self._reading is None
        if idle and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _stop_writing_timer(self) -> None:
        """Stop the timer of a client that did not read."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _wait_for_head(self) -> None:
        self._stop_reading_timer()
        self._reading = self.loop.call_later(self.limits.header_timeout_s, self._late_head)

    def _late_head(self) -> None:
        if self.flow.read_paused:
            # It is this server that does not read.
            self._wait_for_head()
            return
        seconds = self.limits.header_timeout_s
        self._refuse(408, "seconds for the head", seconds, seconds)

    def _wait_for_body(self) -> None:
        # Handlers that read a body have their own, shorter limit and answer it; this one is for bodies nobody reads.
        seconds = self.limits.request_timeout_s + self.limits.header_timeout_s
        self._reading = self.loop.call_later(seconds, self._late_body)

    def _late_body(self) -> None:
        if self.flow.read_paused:
            self._wait_for_body()
        else:
            self.transport.abort()

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _refuse(self, status: int, limit: str, value: float, maximum: float) -> None:
        """Answer with a typed error, unless another answer is under way, and close."""
        self._refused = True
        self._stop_reading_timer()
        if self.cycle is None or self.cycle.response_complete:
            error = LimitExceededError(limit, value, maximum).formatted
            body = orjson.dumps({"errors": [error]})
            head = f"HTTP/1.1 {status} ".encode() + _REASONS[status]
            fields = b"content-type: application/json; charset=utf-8\r\nconnection: close\r\ncontent-length: "
            self.transport.write(head + b"\r\n" + fields + str(len(body)).encode() + b"\r\n\r\n" + body)
        self._close()

    def _close(self) -> None:
        """Close when all is written, and in any case after some time: the client may not read."""
        self.transport.close()
        self.loop.call_later(self.limits.header_timeout_s, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """No request came for some seconds."""
        if not self.transport.is_closing():
            self._close()
