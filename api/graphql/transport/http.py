"""GraphQL over HTTP: one operation a request, POST with JSON or GET, as the GraphQL-over-HTTP draft says.

Clients that accept ``application/graphql-response+json`` get 4xx for requests that were refused; clients of plain
``application/json`` get 200 with errors, as they expect. Only JSON bodies are read, so that no form of another site can
post here; GET runs queries only. Answers of one generation are cached whole, with an entity tag.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from strawberry.types.graphql import OperationType as StrawberryOperation

from api.answers.searches import arrive
from api.errors import ApiError, ErrorCode, LimitExceededError, bad_input, too_slow
from api.graphql.context import RequestContext
from api.graphql.core.errors import format_error, graphql_error
from api.graphql.execution.documents import PreparedDocument
from api.graphql.schema import FitSchema
from api.graphql.services.cache import CachedResponse
from api.graphql.services.rate_limit import retry_after_s
from api.graphql.services.services import Services
from api.graphql.transport.requests import (
    JSON,
    RESPONSE_JSON,
    GraphQLRequest,
    PersistedDocuments,
    RefusedRequestError,
    header_of,
    negotiate,
    read_request,
)

logger = logging.getLogger("fitgraph.http")

_ALLOWED = {"GET": {StrawberryOperation.QUERY}, "POST": {StrawberryOperation.QUERY, StrawberryOperation.MUTATION}}


EVENT_STREAM = "text/event-stream"
#: Large bodies that are read or answered at a time: each may take several times its size in memory.
_LARGE_BODIES = 2
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
#: Answers a request that was read, as a stream.
Stream = Callable[[Request, GraphQLRequest], Awaitable[Response]]


class GraphQLEndpoint:
    """Handler of ``/graphql`` for GET and POST."""

    def __init__(self, schema: FitSchema, services: Services, stream: Stream | None = None) -> None:
        """``stream`` answers subscriptions of clients that accept server-sent events beside JSON."""
        self._schema = schema
        self._stream = stream
        self._services = services
        self._settings = services.settings
        self._large_bodies = asyncio.Semaphore(_LARGE_BODIES)
        self._persisted = PersistedDocuments(services.settings.document_cache, schema.trusted)

    async def handle(self, request: Request) -> Response:
        """Answer one HTTP request."""
        media = negotiate(header_of(request.scope, b"accept"))
        if media is None:
            return refusal(406, bad_input(f"This service answers {JSON} or {RESPONSE_JSON}."), JSON)
        if request.method == "GET" and not request.query_params and "text/html" in header_of(request.scope, b"accept"):
            return RedirectResponse("/explorer" if self._settings.explorer else "/", status_code=303)
        try:
            async with AsyncExitStack() as turns:
                async with asyncio.timeout(self._settings.request_timeout_s):
                    received = await read_request(
                        request,
                        self._settings.max_request_bytes,
                        lambda: turns.enter_async_context(self._large_bodies),
                    )
                operation = self._persisted.resolve(received)
                return await self._answer(request, operation, media)
        except RefusedRequestError as refused:
            return refusal(refused.status, refused.error, media, refused.headers)
        except LimitExceededError as error:
            return refusal(429, error, media, {"Retry-After": str(retry_after_s())})
        except ApiError as error:
            status = 503 if error.code is ErrorCode.UNAVAILABLE else 400
            return refusal(status, error, media)
        except TimeoutError:
            return refusal(408, late_body(self._settings.request_timeout_s), media)
        except ClientDisconnect:
            return Response(status_code=499)

    async def _answer(self, request: Request, asked: GraphQLRequest, media: str) -> Response:
        bearer = bearer_of(request)
        client = client_of(request, self._services, bearer)
        await self._services.rates.admit(client)
        view = await self._services.state.view()
        context = RequestContext(self._services, view, request.state.request_id, _base_url(request), bearer, client)
        prepared = self._schema.documents.prepare(asked.query)
        # Some clients accept JSON and streams for every operation and leave the choice to the server.
        stream = self._stream if EVENT_STREAM in header_of(request.scope, b"accept") else None
        if stream is not None and not prepared.errors and _is_subscription(prepared, asked):
            return await stream(request, asked)
        self._check_method(request, prepared, asked)
        if not prepared.cacheable or asked.is_large or not self._settings.response_cache_bytes:
            return _response(await self._run(request, asked, context, media), media, request, None)
        key = (
            view.identity,
            context.base_url,
            media,
            asked.query,
            asked.operation_name or "",
            _canonical(asked.variables),
        )
        response = await self._services.responses.get_or_compute(key, lambda: self._run(request, asked, context, media))
        if response.keep:
            request.state.kept_for = view.identity
        max_age = self._settings.response_max_age_s if request.method == "GET" and response.keep else None
        return _response(response, media, request, max_age)

    async def _run(
        self, request: Request, asked: GraphQLRequest, context: RequestContext, media: str
    ) -> CachedResponse:
        timeout = self._settings.request_timeout_s
        arrive()
        try:
            async with asyncio.timeout(timeout):
                result = await self._schema.execute(
                    asked.query,
                    variable_values=asked.variables,
                    context_value=context,
                    operation_name=asked.operation_name,
                    allowed_operation_types=_ALLOWED[request.method],
                )
        except TimeoutError:
            return CachedResponse(
                _body(None, [graphql_error(too_slow(timeout))], context, with_data=False), 503, keep=False
            )
        await self._services.rates.pay(context.client, context.cost)
        errors = result.errors or []
        refused = result.data is None and all(error.path is None for error in errors) and bool(errors)
        body = _body(result.data, errors, context, with_data=not refused)
        return CachedResponse(body, _status(errors, refused, media), keep=not errors and context.keep)

    def _check_method(self, request: Request, prepared: PreparedDocument, asked: GraphQLRequest) -> None:
        if prepared.errors:
            return
        operation = prepared.operation(asked.operation_name).operation
        if operation is OperationType.SUBSCRIPTION:
            raise RefusedRequestError(
                400, bad_input("A subscription needs a stream: accept text/event-stream, or use a websocket.")
            )
        if request.method == "GET" and operation is not OperationType.QUERY:
            raise RefusedRequestError(
                405, bad_input("GET runs queries only; send a mutation with POST."), {"Allow": "POST"}
            )


def _is_subscription(prepared: PreparedDocument, asked: GraphQLRequest) -> bool:
    return bool(prepared.operation(asked.operation_name).operation is OperationType.SUBSCRIPTION)


def _body(data: Any, errors: list[GraphQLError], context: RequestContext, *, with_data: bool) -> bytes:
    answer: dict[str, Any] = {}
    if errors:
        answer["errors"] = [format_error(error, context.request_id) for error in errors]
    if with_data:
        answer["data"] = data
    answer["extensions"] = {
        "cost": {"value": context.cost, "maximum": context.services.limits.cost},
        "generation": None if context.view.generation is None else context.view.generation.id,
    }
    return encode(answer)


def encode(answer: Any) -> bytes:
    """JSON bytes of an answer."""
    return orjson.dumps(answer)


def _status(errors: list[GraphQLError], refused: bool, media: str) -> int:
    if not refused:
        return 200
    codes = {(error.extensions or {}).get("code") for error in errors}
    if ErrorCode.UNAVAILABLE.value in codes:
        return 503
    return 400 if media == RESPONSE_JSON else 200


def _response(cached: CachedResponse, media: str, request: Request, max_age: int | None) -> Response:
    # The middleware adds that origins differ, and encodings of what is long enough for one.
    headers = {"Vary": "Accept"}
    if max_age is not None:
        headers |= {"ETag": cached.etag, "Cache-Control": f"public, max-age={max_age}"}
        if _matches(request.headers.get("if-none-match"), cached.etag):
            return Response(status_code=304, headers=headers | {"Vary": "Accept, Accept-Encoding"})
    else:
        headers["Cache-Control"] = "no-store"
    return Response(cached.body, cached.status, headers, f"{media}; charset=utf-8")


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in header.split(","))


def refusal(status: int, error: ApiError, media: str, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that is not run."""
    body = encode({"errors": [error.formatted]})
    own = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, own, f"{media}; charset=utf-8")


def late_body(maximum_s: float) -> LimitExceededError:
    """The error for a body that took too long to arrive."""
    message = f"The body of the request did not arrive within {maximum_s:g} seconds."
    return LimitExceededError("seconds for the body", maximum_s, maximum_s, message)


def _base_url(request: Request) -> str:
    """Scheme and host of the request."""
    host = header_of(request.scope, b"host")
    if _HOST.fullmatch(host):
        return f"{request.scope['scheme']}://{host}"
    return f"{request.url.scheme}://{request.url.netloc}"


def client_of(request: HTTPConnection, services: Services, bearer: str | None = None) -> str:
    """Who asks: the holder of a known token, else the address; a made-up token gives nobody points of their own."""
    operator = services.operators.find(bearer or bearer_of(request))
    if operator is not None:
        return f"operator {operator.name}"
    return request.client.host if request.client is not None else "unknown"


def bearer_of(request: HTTPConnection) -> str | None:
    """The bearer token of a request; None for none."""
    scheme, _, token = header_of(request.scope, b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _canonical(variables: dict[str, Any]) -> str:
    return orjson.dumps(variables, option=orjson.OPT_SORT_KEYS).decode() if variables else ""
