"""Streams of results: graphql-transport-ws over websockets, and server-sent events."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from api.errors import ApiError, LimitExceededError, bad_input
from api.graphql.context import RequestContext
from api.graphql.core.errors import format_error
from api.graphql.schema import FitSchema
from api.graphql.services.open_streams import OpenStreams
from api.graphql.services.services import Services
from api.graphql.transport.http import bearer_of, client_of, late_body, refusal
from api.graphql.transport.requests import JSON, GraphQLRequest, RefusedRequestError, read_request
from api.graphql.transport.sockets import MAX_REASON_BYTES, SocketAdapter, SocketHandler


class StreamView(GraphQL[RequestContext, None]):
    """Strawberry's transports with our contexts, error format and limits."""

    services: Services
    websocket_adapter_class = SocketAdapter
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(self, schema: FitSchema, services: Services) -> None:
        settings = services.settings
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, "graphql-sse"),
            connection_init_wait_timeout=timedelta(seconds=settings.websocket_init_timeout_s),
            max_subscriptions_per_connection=settings.subscriptions_per_connection,
            allowed_origins=settings.cors_origins,
        )
        self.services = services

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one websocket, unless too many are open."""
        socket = WebSocket(scope, receive, send)
        try:
            with self.services.streams.one_more(client_of(socket, self.services)):
                await super().__call__(scope, receive, send)
        except ApiError as error:
            await _refuse(socket, error)

    async def respond(self, request: Request, operation: GraphQLRequest | None = None) -> Response:
        """Answer one request for a stream of server-sent events; unless ``asked`` is given, it is read as any other."""
        settings = self.services.settings
        client = client_of(request, self.services)
        try:
            self.services.streams.check(client)
            if operation is None:
                async with asyncio.timeout(settings.request_timeout_s):
                    operation = await read_request(request, settings.max_request_bytes)
            body = orjson.dumps(
                {"query": operation.query, "variables": operation.variables, "operationName": operation.operation_name}
            )
            response: Response = await self.run(_with_body(request, body) if request.method == "POST" else request)
        except RefusedRequestError as refused:
            return refusal(refused.status, refused.error, JSON, refused.headers)
        except HTTPException as error:
            return refusal(error.status_code, bad_input(error.reason), JSON)
        except ApiError as error:
            return refusal(503, error, JSON)
        except TimeoutError:
            return refusal(408, late_body(settings.request_timeout_s), JSON)
        return CountedResponse(response, self.services.streams, client)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        """Context of a connection; each of its operations gets a renewed one."""
        del response
        base_url = f"{request.url.scheme.replace('ws', 'http')}://{request.url.netloc}"
        view, request_id = await self.services.state.view(), request.state.request_id
        client = client_of(request, self.services)
        return RequestContext(self.services, view, request_id, base_url, bearer_of(request), client)

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


class CountedResponse(Response):
    """A streamed response that counts as an open stream while it is sent."""

    def __init__(self, response: Response, streams: OpenStreams, client: str) -> None:
        self._response, self._streams, self._client = response, streams, client
        self.status_code, self.background = response.status_code, None
        self.raw_headers = response.raw_headers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it, or the refusal when others were quicker."""
        try:
            with self._streams.one_more(self._client):
                await self._response(scope, receive, send)
        except LimitExceededError as error:
            await refusal(503, error, JSON)(scope, receive, send)


async def _refuse(socket: WebSocket, error: ApiError) -> None:
    """Refuse a websocket: with a typed answer to its handshake where the server can send one, else with its reason."""
    if socket.application_state is not WebSocketState.CONNECTING:
        await socket.close(1013, error.message[:MAX_REASON_BYTES])
    elif "websocket.http.response" in (socket.scope.get("extensions") or {}):
        await socket.send_denial_response(refusal(503, error, JSON))
    else:
        await socket.close(1013, error.message[:MAX_REASON_BYTES])


def _with_body(request: Request, body: bytes) -> Request:
    """The request with a body that was read already."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def stream_view(schema: FitSchema, services: Services) -> StreamView:
    return StreamView(schema, services)
