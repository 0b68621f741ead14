"""Errors that a client can act on: GraphQL, the pages and the command line each print them in their own form."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from db.entries.names.meanings import AmbiguousNameError, HeldNameError, UnknownNameError


class ErrorCode(Enum):
    """Closed set of ``extensions.code`` and ``UserError.code``."""

    NOT_FOUND = "NOT_FOUND"
    AMBIGUOUS_NAME = "AMBIGUOUS_NAME"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
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


class ApiError(Exception):
    """An error for the client. ``extensions`` holds the code and the details, as a GraphQL error carries them; ``told`` is the
    message without the names that it suggests."""

    def __init__(self, code: ErrorCode, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = self.told = message
        self.extensions: dict[str, Any] = {"code": code.value, **details}

    @property
    def formatted(self) -> dict[str, Any]:
        """The error as an entry of a response's ``errors``."""
        return {"message": self.message, "extensions": self.extensions}


class LimitExceededError(ApiError):
    def __init__(self, limit: str, value: float, maximum: float, message: str | None = None) -> None:
        text = message or f"The limit on {limit} is {maximum}; this request has {value}."
        super().__init__(ErrorCode.LIMIT_EXCEEDED, text, limit=limit, value=value, maximum=maximum)


class NotFoundError(ApiError):
    """No single entity has the name, for ``reason`` if given; ``suggestions`` are the nearest names, best first."""

    def __init__(
        self,
        kind: str,
        text: str,
        suggestions: Sequence[str] = (),
        reason: str | None = None,
        code: ErrorCode = ErrorCode.NOT_FOUND,
    ) -> None:
        told = f"No {kind} is called {_shorten(text)!r}."
        hint = f" Did you mean {_listing(suggestions)}?" if suggestions else ""
        super().__init__(
            code,
            reason or told + hint,
            kind=kind,
            name=_shorten(text),
            suggestions=list(suggestions),
        )
        self.told = reason or told

    @classmethod
    def of(cls, error: UnknownNameError) -> NotFoundError:
        """The resolver's error for the client."""
        found = cls(error.kind, error.text, error.suggestions, error.reason, code_of(error))
        found.told = found.told if error.reason is None else f"{error.told}."
        return found


class QuestionError(ApiError):
    """A question without an answer; ``field`` is the key at fault, where one is."""

    def __init__(
        self, code: ErrorCode, message: str, field: str | None = None, suggestions: tuple[str, ...] = ()
    ) -> None:
        super().__init__(code, message)
        self.field = field
        self.suggestions = suggestions

    @classmethod
    def of(cls, error: UnknownNameError) -> QuestionError:
        """The resolver's error for the asker."""
        asked = cls(code_of(error), str(error), error.kind, tuple(error.suggestions))
        asked.told = f"{error.told}."
        return asked


def code_of(error: UnknownNameError) -> ErrorCode:
    """Whether no entity has the name, or several may be meant."""
    return ErrorCode.AMBIGUOUS_NAME if isinstance(error, AmbiguousNameError | HeldNameError) else ErrorCode.NOT_FOUND


def bad_input(message: str, **details: Any) -> ApiError:
    """The error for a forbidden argument; ``message`` says which values are allowed."""
    return ApiError(ErrorCode.BAD_USER_INPUT, message, **details)


def too_slow(maximum_s: float) -> ApiError:
    """The error for an operation that was stopped after ``maximum_s`` seconds."""
    message = f"The operation took longer than {maximum_s:g} seconds."
    return ApiError(ErrorCode.UNAVAILABLE, message, limit="seconds", value=maximum_s, maximum=maximum_s)


def _listing(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _shorten(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
