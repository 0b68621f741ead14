"""The Starlette application: routes, lifespan, middleware."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError, ErrorCode
from api.graphql.catalog.faces import Faces
from api.graphql.schema import FitSchema, build_schema
from api.graphql.services.services import Services
from api.graphql.transport.definition import definition_of
from api.graphql.transport.http import EVENT_STREAM, GraphQLEndpoint, encode
from api.graphql.transport.requests import header_of, negotiate
from api.graphql.transport.streams import stream_view
from api.pages.explorer import STATIC, explorer_page
from api.pages.responses import no_page
from api.pages.routes import routes as page_routes
from api.server.compression import Compression
from api.server.malloc import give_back
from api.server.replay import HotAnswers
from api.settings import ApiSettings, get_api_settings
from db.entries.files import Catalog
from db.fits.generations import has_other_layouts
from db.session import async_engine

if TYPE_CHECKING:
    from api.observe.setup import Observation

logger = logging.getLogger("fitgraph.api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
#: Answers shorter than this are not worth compressing.
_GZIP_FROM_BYTES = 2048


def create_app(settings: ApiSettings | None = None, catalog: Catalog | None = None) -> Starlette:
    """The application of one server process. ``catalog`` stands in for the bundled files before a first generation."""
    settings = settings or get_api_settings()
    engine = async_engine(settings.resolved_database_url)
    services = Services(settings, engine, catalog)
    services.state.derived.append(Faces)
    schema = build_schema(settings)
    observation = _observation(settings, services, schema)
    streams = stream_view(schema, services)
    endpoint = GraphQLEndpoint(schema, services, streams.respond)

    async def graphql(request: Request) -> Response:
        if request.method == "HEAD":
            answer = await graphql(Request({**request.scope, "method": "GET"}, request.receive))
            answer.body = b""
            return answer
        accept = header_of(request.scope, b"accept")
        if EVENT_STREAM in accept and negotiate(accept) is None:
            return await streams.respond(request)
        return await endpoint.handle(request)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # The first request need not wait for the catalog; without a database the server starts and says so.
        with suppress(ApiError):
            await services.state.view()
        preparing = asyncio.create_task(asyncio.to_thread(_prepare_for_operators, settings))
        giving_back = asyncio.create_task(give_back())
        counting = asyncio.create_task(services.missed.write_regularly())
        yield
        giving_back.cancel()
        counting.cancel()
        await preparing
        await services.close()
        if observation is not None:
            await observation.close()

    routes: list[BaseRoute] = [
        Route("/graphql", graphql, methods=["GET", "POST"]),
        WebSocketRoute("/graphql", streams),
        Route("/healthz", _health),
        Route("/readyz", _readiness(services)),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    routes.extend(page_routes(services.state, settings))
    if settings.introspection:
        routes.append(Route("/schema.graphql", definition_of(schema)))
    if settings.explorer:
        routes.append(Route("/explorer", explorer_page))
    if observation is not None:
        routes.extend(observation.routes)
    app = Starlette(
        routes=routes,
        middleware=_middleware(settings, services, graphql, observation),
        exception_handlers={404: no_page},
        lifespan=lifespan,
    )
    app.state.services = services
    app.state.schema = schema
    return app


def _middleware(
    settings: ApiSettings,
    services: Services,
    graphql: Callable[[Request], Awaitable[Response]],
    observation: Observation | None,
) -> list[Middleware]:
    return [
        Middleware(RequestIdMiddleware),
        *(observation.middleware if observation is not None else ()),
        Middleware(HotAnswers, services=services, path="/graphql", endpoint=graphql),
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            # Clients name themselves and their traces in headers of their own; none of them is trusted.
            allow_headers=["*"],
            expose_headers=["x-request-id", "etag", "retry-after"],
            max_age=3600,
        ),
        Middleware(Compression, minimum_size=_GZIP_FROM_BYTES, compresslevel=4),
    ]


def _observation(settings: ApiSettings, services: Services, schema: FitSchema) -> Observation | None:
    """The observation of the server; None, and nothing of it imported, when no setting asks for it."""
    if settings.log_format == "text" and not settings.metrics and not settings.otlp_endpoint:
        return None
    from api.observe.setup import Observation

    return Observation(settings, services, schema)


def _prepare_for_operators(settings: ApiSettings) -> None:
    """Load the task queue now: the first mutation need not wait for it. Servers without operators never need it."""
    if settings.tokens:
        from workers import app  # noqa: F401


class RequestIdMiddleware:
    """Gives every request an id, the client's when it is well formed, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tag the request and its response."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        client_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = client_id if _REQUEST_ID.match(client_id) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        async def tagged(message: Message) -> None:
            # A websocket that is denied has a response of its own.
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        await self._app(scope, receive, tagged)


_OTHER_RELEASE = "Another release stored the published fits; run `fitgraph recompute` of this one."


async def _health(_: Request) -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def _readiness(services: Services) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        """The database answers, and this release can read what is published; says what that is."""
        try:
            async with services.state.connection() as connection:
                others = await has_other_layouts(connection)
            view = await services.state.view()
            if view.generation is None and others:
                raise ApiError(ErrorCode.UNAVAILABLE, _OTHER_RELEASE)
        except ApiError as error:
            return Response(
                orjson.dumps({"status": "unavailable", "reason": error.message}), 503, media_type="application/json"
            )
        generation = view.generation
        return Response(
            encode(
                {
                    "status": "ready",
                    "generation": None if generation is None else generation.id,
                    "revision": view.revision,
                    "fits": 0 if generation is None else generation.cells,
                }
            ),
            media_type="application/json",
        )

    return ready
