"""One span, one log line and one count for every HTTP request."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.observe.metrics import Metrics
from workers import tracing
from workers.logs import request_id

logger = logging.getLogger("fitgraph.access")


class ObserveMiddleware:
    """Stands inside the middleware that gives request ids; only in use when something is to be observed."""

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None, *, log: bool = False) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and say how that went."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        token = request_id.set(scope["state"]["request_id"])
        try:
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
            else:
                await self._observe(scope, receive, send)
        finally:
            request_id.reset(token)

    async def _observe(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500
        started = perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method, path = scope["method"], scope["path"]
        try:
            if tracing.is_on():
                await self._traced(scope, receive, noting, lambda: status)
            else:
                await self._app(scope, receive, noting)
        finally:
            seconds, endpoint = perf_counter() - started, endpoint_of(scope)
            if self._metrics is not None:
                known = method if method in ("GET", "POST", "HEAD", "OPTIONS") else "other"
                self._metrics.requests.labels(endpoint, known, str(status)).inc()
                self._metrics.request_seconds.labels(endpoint).observe(seconds)
            if self._log:
                details = {"method": method, "path": path, "status": status, "duration_ms": round(seconds * 1000, 3)}
                details["client"] = scope["client"][0] if scope.get("client") else None
                logger.info("request", extra=details)

    async def _traced(self, scope: Scope, receive: Receive, send: Send, status: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        carrier = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        attributes = {
            "http.request.method": scope["method"],
            "url.path": scope["path"],
            "fitgraph.request_id": scope["state"]["request_id"],
        }
        with tracing.span(f"HTTP {scope['method']}", attributes, carrier=carrier, kind=tracing.kinds().SERVER) as span:
            await self._app(scope, receive, send)
            if span is not None:
                span.update_name(f"{scope['method']} {endpoint_of(scope)}")
                span.set_attribute("http.response.status_code", status())


def endpoint_of(scope: Scope) -> str:
    """Name of what answered: of a closed set, whatever paths are asked for."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return "none"
    return str(getattr(endpoint, "__name__", type(endpoint).__name__)).strip("_").lower()
