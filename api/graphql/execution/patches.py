"""Faults of graphql-core 3.3.2 that a client could bring about, mended from outside."""

from __future__ import annotations

from graphql.pyutils.suggestion_list import LexicalDistance


def apply() -> None:
    """Mend what is known; doing it twice changes nothing."""
    LexicalDistance.__init__ = _with_room  # type: ignore[method-assign]


_made = LexicalDistance.__init__


def _with_room(self: LexicalDistance, input_: str) -> None:
    """Rows as long as the lower-case text, which may be longer than the text: the lower case of "İ" has two characters.

    Without it, a wrong enum member or name with such a letter ends in an IndexError instead of a suggestion.
    """
    _made(self, input_)
    size = len(self._input_list) + 1
    self._rows = [[0] * size for _ in range(3)]
