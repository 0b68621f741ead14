"""Text search over names and aliases that forgives typing errors. The lists are small: a scan takes a millisecond."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from db.entries.names.texts.spelling import distance

_TOKEN = re.compile(r"[a-z]+|\d+(?:\.\d+)?")


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers of a text, case folded: "RTX-4090" -> ("rtx", "4090")."""
    return tuple(_TOKEN.findall(text.casefold()))


def relevance(query: str, names: Sequence[str]) -> float:
    """How well the best of ``names`` matches: 0 for no match, 1 for the same text.

    Every word of the query must be found: numbers exactly or as a beginning, words as a beginning, inside, or with one
    typing error from four letters on (two from eight on).
    """
    wanted = tokens(query)
    if not wanted:
        return 0.0
    return max((_match(wanted, tokens(name)) for name in names), default=0.0)


def _match(wanted: tuple[str, ...], have: tuple[str, ...]) -> float:
    if wanted == have:
        return 1.0
    total = 0.0
    for word in wanted:
        best = max((_word(word, other) for other in have), default=0.0)
        if best == 0.0:
            return 0.0
        total += best
    # Prefer names with little beside what was asked for.
    return 0.9 * total / len(wanted) * (0.5 + 0.5 * min(1.0, len(wanted) / len(have)))


def _word(word: str, other: str) -> float:
    if word == other:
        return 1.0
    if other.startswith(word):
        return 0.9
    if word[0].isdigit() or other[0].isdigit():
        return 0.0
    if word in other and len(word) >= 3:
        return 0.7
    allowed = 2 if len(word) >= 8 else 1 if len(word) >= 4 else 0
    if allowed and distance(word, other, allowed) <= allowed:
        return 0.6
    return 0.0
