"""Reading GraphQL requests: bodies and parameters, their types and sizes, documents by hash, accepted answers."""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Scope

from api.errors import ApiError, ErrorCode, LimitExceededError, bad_input
from api.graphql.services.trusted import TrustedDocuments
from api.json_input import parse_json

JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"
#: Longest document that is kept under its hash.
MAX_PERSISTED_CHARACTERS = 20_000
#: A longer body waits for its turn, and its answer is not kept.
LARGE_BODY_BYTES = 1_048_576
_UTF_8 = re.compile(r"utf-?8")
#: Waits until one more large body may be read.
Turn = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A request as the client meant it, types checked."""

    query: str
    variables: dict[str, Any]
    operation_name: str | None
    #: SHA-256 of the document, when the client asks for it by hash (automatic persisted queries).
    document_hash: str | None = None
    #: Id of a trusted document.
    document_id: str | None = None
    is_large: bool = False


class RefusedRequestError(Exception):
    """A request that is not run: an HTTP status and the errors that say why."""

    def __init__(self, status: int, error: ApiError, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers or {}


class PersistedDocuments:
    """Documents by id or hash: trusted ones, and Apollo's automatic persisted queries, sent once and asked for by SHA-256."""

    def __init__(self, size: int, trusted: TrustedDocuments) -> None:
        self._size = size
        self._trusted = trusted
        self._kept: OrderedDict[str, str] = OrderedDict()

    def resolve(self, asked: GraphQLRequest) -> GraphQLRequest:
        """The request with its text. Raises for an id or hash that is unknown, or that is not the text's."""
        if asked.document_id is not None:
            return replace(asked, query=self._trusted_text(asked))
        wanted = asked.document_hash
        if wanted is None:
            return asked
        if not asked.query:
            text = self._kept.get(wanted)
            if text is None:
                raise RefusedRequestError(200, ApiError(ErrorCode.PERSISTED_QUERY_NOT_FOUND, "PersistedQueryNotFound"))
            self._kept.move_to_end(wanted)
            return replace(asked, query=text)
        if hashlib.sha256(asked.query.encode()).hexdigest() != wanted:
            raise RefusedRequestError(400, bad_input("The hash is not that of the document."))
        if len(asked.query) <= MAX_PERSISTED_CHARACTERS:
            self._kept[wanted] = asked.query
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return asked

    def _trusted_text(self, asked: GraphQLRequest) -> str:
        text = self._trusted.text(asked.document_id or "")
        if text is None:
            message = "The server has no trusted document of this id."
            raise RefusedRequestError(400, ApiError(ErrorCode.PERSISTED_QUERY_NOT_FOUND, message))
        if asked.query:
            raise RefusedRequestError(400, bad_input("Send `documentId` or `query`, not both."))
        return text


async def read_request(request: Request, maximum_bytes: int, turn: Turn | None = None) -> GraphQLRequest:
    """The checked request of a GET or POST; without ``turn`` no large one is read.

    Raises:
        RefusedRequestError: 400, 413 or 415.
    """
    if request.method == "GET":
        return parse_parameters(dict(request.query_params))
    content = header_of(request.scope, b"content-type").split(";")
    if content[0].strip().lower() != JSON:
        raise RefusedRequestError(415, bad_input(f"Send the request as {JSON}."))
    if any(part.strip().lower().startswith("charset=") and not _UTF_8.search(part.lower()) for part in content[1:]):
        raise RefusedRequestError(415, bad_input("Send the request in UTF-8."))
    coding = header_of(request.scope, b"content-encoding").strip().lower()
    if coding not in ("", "identity"):
        fault = bad_input(f"The body is compressed with {coding[:40]!r}; send it without Content-Encoding.")
        raise RefusedRequestError(415, fault, {"Accept-Encoding": "identity"})
    body = await read_limited(request, maximum_bytes if turn else min(maximum_bytes, LARGE_BODY_BYTES), turn)
    parsed = parse_body(body)
    return replace(parsed, is_large=True) if len(body) > LARGE_BODY_BYTES else parsed


async def read_limited(request: Request, maximum: int, turn: Turn | None = None) -> bytes:
    """The body of a request. Raises :class:`RefusedRequestError` 413 as soon as it is known to be too large."""
    declared = header_of(request.scope, b"content-length")
    size = int(declared) if declared.isdigit() else 0
    chunks: list[bytes] = []
    received = 0
    if size <= maximum:
        async for chunk in request.stream():
            received += len(chunk)
            if received > maximum:
                break
            if turn is not None and max(size, received) > LARGE_BODY_BYTES:
                await turn()
                turn = None
            chunks.append(chunk)
    if max(size, received) > maximum:
        raise RefusedRequestError(413, LimitExceededError("request bytes", max(size, received), maximum))
    return b"".join(chunks)


def header_of(scope: Scope, name: bytes) -> str:
    """The first header of a lower-case name, or nothing: read straight from the connection, several times a request."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def parse_body(body: bytes) -> GraphQLRequest:
    """A POST body. Raises :class:`RefusedRequestError` 400 for anything but one well-typed request."""
    try:
        # Some clients begin with a byte order mark, which RFC 8259 lets a reader ignore.
        parsed = parse_json(body.removeprefix(BOM_UTF8))
    except ValueError as error:
        raise RefusedRequestError(400, bad_input(f"The body is not valid JSON: {error}.")) from error
    if isinstance(parsed, list) and parsed:
        raise RefusedRequestError(
            400,
            LimitExceededError(
                "batched requests", len(parsed), 0, "Batches of requests are not accepted; use aliases or `estimates`."
            ),
        )
    if not isinstance(parsed, dict):
        raise RefusedRequestError(400, bad_input("The body must be a JSON object with `query`."))
    return _typed(parsed)


def parse_parameters(parameters: dict[str, str]) -> GraphQLRequest:
    """The parameters of a GET request. Raises :class:`RefusedRequestError` 400."""
    parsed: dict[str, Any] = dict(parameters)
    for name in ("variables", "extensions"):
        text = parameters.get(name)
        if text:
            try:
                parsed[name] = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise RefusedRequestError(400, bad_input(f"{name} is not valid JSON: {error}.")) from error
        else:
            parsed.pop(name, None)
    return _typed(parsed)


def _typed(parsed: dict[str, Any]) -> GraphQLRequest:
    query, variables = parsed.get("query"), parsed.get("variables")
    name, extensions = parsed.get("operationName"), parsed.get("extensions")
    document_hash, document_id = _document_hash(extensions), parsed.get("documentId")
    if not isinstance(document_id, str | None) or document_id == "":
        raise RefusedRequestError(400, bad_input("`documentId` must be a non-empty text."))
    if query is None and (document_hash is not None or document_id is not None):
        query = ""
    elif not isinstance(query, str) or not query.strip():
        raise RefusedRequestError(400, bad_input("`query` must be a non-empty text."))
    if not isinstance(variables, dict | None):
        raise RefusedRequestError(400, bad_input("`variables` must be an object or null."))
    if not isinstance(name, str | None):
        raise RefusedRequestError(400, bad_input("`operationName` must be a text or null."))
    if not isinstance(extensions, dict | None):
        raise RefusedRequestError(400, bad_input("`extensions` must be an object or null."))
    # Some clients send an empty name for none.
    return GraphQLRequest(query, variables or {}, name or None, document_hash, document_id)


def _document_hash(extensions: Any) -> str | None:
    persisted_query = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    digest = persisted_query.get("sha256Hash") if isinstance(persisted_query, dict) else None
    return digest.lower() if isinstance(digest, str) and len(digest) == 64 else None


@lru_cache(maxsize=256)
def negotiate(accept: str | None) -> str | None:
    """Media type to answer with: the more preferred that the client accepts; None when it accepts neither."""
    if not accept:
        return JSON
    parts = [[piece.strip().lower() for piece in part.split(";")] for part in accept.split(",")]
    refused = {name for name, *parameters in parts if _quality(parameters) == 0}
    plain = RESPONSE_JSON if JSON in refused else JSON
    best: tuple[float, int, str] | None = None
    for place, (name, *parameters) in enumerate(parts):
        chosen = {RESPONSE_JSON: RESPONSE_JSON, JSON: JSON, "application/*": plain, "*/*": plain}.get(name)
        if name == "text/html":
            chosen = plain
        if chosen is None or chosen in refused:
            continue
        quality = _quality(parameters)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, place, chosen)
    return best[2] if best is not None else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, float(parameter[2:]))
            except ValueError:
                return 0.0
    return 1.0
