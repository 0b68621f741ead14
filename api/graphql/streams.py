"""Streams of results: graphql-transport-ws over websockets, and server-sent events."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from api.graphql.context import RequestContext
from api.graphql.errors import bad_input, format_error
from api.graphql.http import refusal
from api.graphql.requests import JSON, RefusedRequestError, read_request
from api.graphql.schema import FitSchema
from api.graphql.services import Services

#: Seconds that a websocket may stay open without having introduced itself.
_INIT_WAIT_S = 5


class StreamView(GraphQL[RequestContext, None]):
    """Strawberry's transports with our contexts, error format and limits."""

    services: Services

    def __init__(self, schema: FitSchema, services: Services) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, "graphql-sse"),
            connection_init_wait_timeout=timedelta(seconds=_INIT_WAIT_S),
            max_subscriptions_per_connection=services.settings.subscriptions_per_connection,
            allowed_origins=services.settings.cors_origins,
        )
        self.services = services

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one websocket, unless too many are open."""
        if self.services.open_websockets >= self.services.settings.websocket_connections:
            await WebSocket(scope, receive, send).close(1013, "too many connections")
            return
        self.services.open_websockets += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.services.open_websockets -= 1

    async def respond(self, request: Request) -> Response:
        """Answer one request for a stream of server-sent events; it is read and checked as any other request."""
        request_id: str = request.state.request_id
        try:
            asked = await read_request(request, self.services.settings.max_request_bytes)
            body = orjson.dumps(
                {"query": asked.query, "variables": asked.variables, "operationName": asked.operation_name}
            )
            response: Response = await self.run(_with_body(request, body) if request.method == "POST" else request)
        except RefusedRequestError as refused:
            return refusal(refused.status, refused.error, JSON, request_id, refused.headers)
        except HTTPException as error:
            return refusal(error.status_code, bad_input(error.reason), JSON, request_id)
        return response

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """Context of a connection; each of its operations gets a renewed one."""
        del response
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        base_url = f"{request.url.scheme.replace('ws', 'http')}://{request.url.netloc}"
        bearer = token if scheme.lower() == "bearer" else None
        return RequestContext(self.services, await self.services.view(), request.state.request_id, base_url, bearer)

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """Result of one event, errors as everywhere else."""
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [format_error(error, request.state.request_id) for error in result.errors]
        return answer  # type: ignore[return-value]

    def encode_json(self, data: object) -> str:
        """Text, never bytes: bytes would leave as binary frames, which clients of the protocol refuse."""
        return orjson.dumps(data).decode()

    def decode_json(self, data: str | bytes) -> object:
        """A JSON object, with the error that Strawberry expects for anything else."""
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise json.JSONDecodeError(str(error), str(data)[:100], 0) from error
        if not isinstance(parsed, dict):
            raise json.JSONDecodeError("a message must be an object", str(data)[:100], 0)
        return parsed


def _with_body(request: Request, body: bytes) -> Request:
    """The request with a body that was read already."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def stream_view(schema: FitSchema, services: Services) -> StreamView:
    """The view of one application."""
    return StreamView(schema, services)
