"""Errors in GraphQL's form. An :class:`ApiError` keeps its text; every other exception is a fault of the server.

Every error in a response carries ``extensions.code``. A fault is logged with the request's id, and the response has
``INTERNAL`` without the fault's text.
"""

from __future__ import annotations

import logging
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLFormattedError

from api.errors import ApiError, ErrorCode
from api.graphql.core.described import describe

logger = logging.getLogger("fitgraph.graphql")


describe(
    ErrorCode,
    "ErrorCode",
    "Why a request, or one part of it, has no answer. Sent as `extensions.code`.",
    {
        "NOT_FOUND": "No entity has this slug, alias or id; `suggestions` has the nearest names.",
        "AMBIGUOUS_NAME": "Several entities have this name, and no rule prefers one, or the text holds a name beside words that "
        "may be a part of another; `suggestions` has the choices.",
        "GRAPHQL_PARSE_FAILED": "The document is not GraphQL.",
        "GRAPHQL_VALIDATION_FAILED": "The document does not fit the schema: a field, argument, type or fragment is wrong.",
        "BAD_USER_INPUT": "A value, literal or variable, is wrong; the message says what is allowed.",
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


@strawberry.type(description="One thing that was wrong with an input, as data: the other parts of the answer stand.")
class UserError:
    code: ErrorCode = strawberry.field(description="Why there is no answer.")
    message: str = strawberry.field(description="One sentence: what was wrong and what is allowed.")
    field: list[str] | None = strawberry.field(
        description="Path of the input field at fault, from the input down; null when it is none."
    )
    suggestions: list[str] = strawberry.field(
        description="Nearest names that exist, best first; empty when none is near."
    )


def user_error(error: ApiError, *path: str) -> UserError:
    """The error as data; ``path`` leads to the input field at fault, else the error's own field does."""
    own = error.extensions.get("field") or getattr(error, "field", None)
    suggestions: Any = error.extensions.get("suggestions") or getattr(error, "suggestions", ())
    return UserError(
        code=error.code,
        message=error.message,
        field=list(path) or ([own] if own else None),
        suggestions=list(suggestions),
    )


def graphql_error(error: ApiError) -> GraphQLError:
    """The error as graphql-core lists it; message and extensions stay."""
    return GraphQLError(error.message, extensions=error.extensions, original_error=error)


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
    return isinstance(origin, GraphQLError) and origin.original_error is None
