"""The schema as text, for tools that generate code from an address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import blake2s

from starlette.requests import Request
from starlette.responses import Response

from api.graphql.schema import FitSchema


def definition_of(schema: FitSchema) -> Callable[[Request], Awaitable[Response]]:
    """The handler of ``/schema.graphql``: the text of ``schema`` with its ETag."""
    text = schema.as_str() + "\n"
    headers = {
        "ETag": f'"{blake2s(text.encode(), digest_size=12).hexdigest()}"',
        "Cache-Control": "public, max-age=300",
    }

    async def definition(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(text, headers=headers, media_type="application/graphql; charset=utf-8")

    return definition
