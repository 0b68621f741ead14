"""Compression of answers by gzip, for clients that accept it; an entity tag belongs to one encoding."""

from __future__ import annotations

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
        accepts = accepts_gzip(headers.get("accept-encoding", ""))
        known = headers.get("if-none-match", "")
        if accepts == ("gzip" in headers.get("accept-encoding", "")) and not known:
            await super().__call__(scope, receive, _tagged(send, was_compressed=False) if accepts else send)
            return
        changed = MutableHeaders(raw=list(scope["headers"]))
        changed["accept-encoding"] = "gzip" if accepts else "identity"
        was_compressed = accepts and _SUFFIX in known
        if was_compressed:
            changed["if-none-match"] = known.replace(_SUFFIX, '"')
        sending = _tagged(send, was_compressed=was_compressed) if accepts else send
        await super().__call__({**scope, "headers": changed.raw}, receive, sending)


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
