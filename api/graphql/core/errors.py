"""Errors that a client can act on, and the mask over those that it cannot.

Every error that leaves carries ``extensions.code``, one of :class:`ErrorCode`. Anything raised that is not ours is a
fault of the server: it is logged with the request's id and leaves as ``INTERNAL`` without its text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLFormattedError

from api.graphql.core.described import describe

logger = logging.getLogger("fitgraph.graphql")


class ErrorCode(Enum):
    """Closed set of ``extensions.code`` and ``UserError.code``."""

    NOT_FOUND = "NOT_FOUND"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    STALE_CURSOR = "STALE_CURSOR"
    UNAVAILABLE = "UNAVAILABLE"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    MISSING_FACT = "MISSING_FACT"
    UNSUPPORTED = "UNSUPPORTED"
    INTERNAL = "INTERNAL"


describe(
    ErrorCode,
    "ErrorCode",
    "Why a request, or one part of it, has no answer. Sent as `extensions.code`.",
    {
        "NOT_FOUND": "No entity has this slug, alias or id; `suggestions` has the nearest names.",
        "BAD_USER_INPUT": "The document, a variable or an argument is wrong; the message says what is allowed.",
        "LIMIT_EXCEEDED": "A limit was passed; `limit`, `value` and `maximum` name it.",
        "UNAUTHENTICATED": "The operation needs a bearer token, and none or an unknown one was sent.",
        "FORBIDDEN": "The token does not carry the needed scope.",
        "STALE_CURSOR": "The cursor belongs to an earlier generation; start again from the first page.",
        "UNAVAILABLE": "A part of the service is not reachable or took too long; try again later.",
        "PERSISTED_QUERY_NOT_FOUND": "The server does not have the document of this hash; send its text along once.",
        "MISSING_FACT": "The catalog lacks a fact that the estimate needs; `field` names it.",
        "UNSUPPORTED": "No engine runs this quantization on this hardware, or not with these settings.",
        "INTERNAL": "A fault of the server; quote the request id.",
    },
)


class ApiError(GraphQLError):
    """An error meant for the client: its message and details leave as they are."""

    def __init__(self, code: ErrorCode, message: str, **details: Any) -> None:
        self.code = code
        super().__init__(message, extensions={"code": code.value, **details})


class LimitExceededError(ApiError):
    """A limit was passed. Names the limit, what was asked and what is allowed."""

    def __init__(self, limit: str, value: float, maximum: float, message: str | None = None) -> None:
        text = message or f"The limit on {limit} is {maximum}; this request has {value}."
        super().__init__(ErrorCode.LIMIT_EXCEEDED, text, limit=limit, value=value, maximum=maximum)


def too_slow(maximum_s: float) -> ApiError:
    """An operation was stopped when its time was over."""
    message = f"The operation took longer than {maximum_s:g} seconds."
    return ApiError(ErrorCode.UNAVAILABLE, message, limit="seconds", value=maximum_s, maximum=maximum_s)


class NotFoundError(ApiError):
    """No entity has the name; ``suggestions`` are the nearest names there are."""

    def __init__(self, kind: str, text: str, suggestions: Sequence[str] = ()) -> None:
        hint = f" Did you mean {_listing(suggestions)}?" if suggestions else ""
        super().__init__(
            ErrorCode.NOT_FOUND,
            f"No {kind} is called {_shorten(text)!r}.{hint}",
            kind=kind,
            name=_shorten(text),
            suggestions=list(suggestions),
        )


def bad_input(message: str, **details: Any) -> ApiError:
    """An argument that is not allowed; the message says what is."""
    return ApiError(ErrorCode.BAD_USER_INPUT, message, **details)


@strawberry.type(description="One thing that was wrong with an input, as data: the other parts of the answer stand.")
class UserError:
    """Error as data, used by mutation payloads and batch estimates."""

    code: ErrorCode = strawberry.field(description="Why there is no answer.")
    message: str = strawberry.field(description="One sentence: what was wrong and what is allowed.")
    field: str | None = strawberry.field(description="The input field at fault, when one is.")
    suggestions: list[str] = strawberry.field(
        description="Nearest names that exist, best first; empty when none is near."
    )


def format_error(error: GraphQLError, request_id: str | None) -> GraphQLFormattedError:
    """The error as the client gets it: code filled in, faults of the server masked."""
    if code_of(error) == ErrorCode.INTERNAL.value:
        return _internal(error, request_id)
    formatted = error.formatted
    formatted["extensions"] = {"code": ErrorCode.BAD_USER_INPUT.value, **(error.extensions or {})}
    return formatted


def code_of(error: GraphQLError) -> str:
    """``extensions.code`` of an error: its own, or what its origin says."""
    code = (error.extensions or {}).get("code")
    if isinstance(code, str):
        return code
    origin = error.original_error
    # graphql-core raises plain GraphQLErrors for documents, variables and arguments; everything else is a fault.
    if origin is None or type(origin) is GraphQLError or _is_syntax(origin):
        return ErrorCode.BAD_USER_INPUT.value
    return ErrorCode.INTERNAL.value


def log_fault(error: GraphQLError, request_id: str | None) -> None:
    """Write a fault of the server to the log, with its trace and the request id; client errors are not logged."""
    if code_of(error) == ErrorCode.INTERNAL.value:
        origin = error.original_error
        logger.error(
            "fault at %s (request %s): %s",
            ".".join(map(str, error.path or ["request"])),
            request_id,
            type(origin).__name__,
            exc_info=(type(origin), origin, origin.__traceback__) if origin is not None else None,
        )


def _internal(error: GraphQLError, request_id: str | None) -> GraphQLFormattedError:
    masked = GraphQLError(
        "The server failed to answer this part; the fault is logged.",
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": ErrorCode.INTERNAL.value, "requestId": request_id},
    )
    return masked.formatted


def _is_syntax(origin: Exception) -> bool:
    return isinstance(origin, GraphQLError) and not isinstance(origin, ApiError) and origin.original_error is None


def _listing(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _shorten(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
