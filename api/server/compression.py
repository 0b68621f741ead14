"""Compression of answers by gzip, for clients that accept it; an entity tag belongs to one encoding."""

from __future__ import annotations

from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Message, Receive, Scope, Send

#: End of the entity tag of a compressed answer.
_SUFFIX = '-gzip"'


class Compression(GZipMiddleware):
    """Starlette's compression that obeys ``gzip;q=0`` and gives compressed answers entity tags of their own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer compressed when the client accepts that and the answer is long enough."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not accepts_gzip(headers.get("accept-encoding", "")):
            await self.app(scope, receive, _varying(send, self.minimum_size))
            return
        known = headers.get("if-none-match", "")
        was_compressed = _SUFFIX in known
        changed = MutableHeaders(raw=list(scope["headers"]))
        changed["accept-encoding"] = "gzip"
        if was_compressed:
            changed["if-none-match"] = known.replace(_SUFFIX, '"')
        # The scope stays the same object: what the router adds to it is read further out.
        scope["headers"] = changed.raw
        await super().__call__(scope, receive, _tagged(send, was_compressed=was_compressed))


@lru_cache(maxsize=256)
def accepts_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` header takes gzip: named, or by ``*``, with a quality above zero."""
    qualities = {}
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        qualities[name] = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
    try:
        return float(qualities.get("gzip", qualities.get("*", "0"))) > 0
    except ValueError:
        return False


def _varying(send: Send, minimum_bytes: int) -> Send:
    """``send`` that says of an answer long enough for it that its encodings differ."""

    async def varying(message: Message) -> None:
        if message["type"] == "http.response.start":
            size = next((int(value) for name, value in message["headers"] if name == b"content-length"), minimum_bytes)
            if size >= minimum_bytes:
                headers = MutableHeaders(raw=message["headers"])
                if "Accept-Encoding" not in headers.get("vary", ""):
                    headers.add_vary_header("Accept-Encoding")
        await send(message)

    return varying


def _tagged(send: Send, *, was_compressed: bool) -> Send:
    """``send`` that marks the entity tag of a compressed answer, or of one that the client has compressed."""

    async def tagged(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            tag = headers.get("etag")
            compressed = headers.get("content-encoding") == "gzip" or (was_compressed and message["status"] == 304)
            if tag is not None and compressed:
                headers["etag"] = tag.removesuffix('"') + _SUFFIX
        await send(message)

    return tagged
