"""``/metrics``: for holders of a token with the scope ``metrics``, or without one from this machine alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from api.errors import ApiError, ErrorCode
from api.graphql.services.auth import Operators, Scope
from api.observe.metrics import CONTENT_TYPE, Metrics

_STATUS = {ErrorCode.UNAUTHENTICATED: 401, ErrorCode.FORBIDDEN: 403}
#: Headers that a proxy adds: with one of them, the address of the connection is not that of the client.
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")


def metrics_view(metrics: Metrics, operators: Operators) -> Callable[[Request], Awaitable[Response]]:
    """The handler of the route."""

    async def scrape(request: Request) -> Response:
        """The present values, in Prometheus' text format."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else None
        if bearer is not None or not _is_local(request):
            try:
                operators.require(bearer, Scope.METRICS)
            except ApiError as error:
                headers = {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"}
                return Response(error.message, _STATUS[error.code], headers, "text/plain")
        return Response(await metrics.render(), headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE})

    return scrape


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
