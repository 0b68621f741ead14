"""Why a question has no answer: the typed error of the command line's batch mode and of the GraphQL estimates."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a question has no answer."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    NOT_FOUND = "NOT_FOUND"
    MISSING_FACT = "MISSING_FACT"
    UNSUPPORTED = "UNSUPPORTED"
    UNAVAILABLE = "UNAVAILABLE"


class QuestionError(ValueError):
    """A question that cannot be answered; the message says what was wrong and what is allowed."""

    def __init__(
        self, code: ErrorCode, message: str, field: str | None = None, suggestions: tuple[str, ...] = ()
    ) -> None:
        self.code = code
        self.field = field
        self.suggestions = suggestions
        super().__init__(message)
