"""Likeness of words and names: typing errors within a word, shared letter triples between names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from db.entries.names.texts.words import key

#: Names are short; longer texts are not looked at.
MAX_NAME_CHARACTERS = 200
MAX_SUGGESTIONS = 5
_NEAR_ENOUGH = 0.3
_SHORTEST = 3
_LONG = 8
#: A letter that is doubled in the wrong place, as in "lamma", is one error.
_DOUBLED = re.compile(r"(.)\1")


@lru_cache(maxsize=16_384)
def distance(left: str, right: str, limit: int) -> int:
    """Insertions, deletions, changes and swaps of neighbours between two words; above ``limit`` inexact."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before, row = before, row, [i] + [0] * len(right)
        for j, b in enumerate(right, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                row[j] = min(row[j], older[j - 2] + 1)
        if min(row) > limit:
            return limit + 1
    return row[-1]


def corrections(word: str, vocabulary: Iterable[str]) -> list[str]:
    """The nearest words that ``word`` may be a typing error of: same first letter or length, one error (two from eight on)."""
    if len(word) < _SHORTEST:
        return []
    limit = 2 if len(word) >= _LONG else 1
    near: dict[int, list[str]] = {}
    single = _DOUBLED.sub(r"\1", word)
    for known in vocabulary:
        if len(known) < _SHORTEST or not _may_be(word, known):
            continue
        is_doubled = word[0] == known[0] and single == _DOUBLED.sub(r"\1", known)
        errors = min(distance(word, known, limit), 1 if is_doubled and len(known) > _SHORTEST else limit + 1)
        if errors <= limit:
            near.setdefault(errors, []).append(known)
    return sorted(near[min(near)]) if near else []


def is_akin(asked: list[str], known: list[str]) -> bool:
    """Whether one name has the first word of the other, or a misspelling of it."""
    return bool(asked and known) and any(
        first in others or corrections(first, others) for first, others in ((asked[0], known), (known[0], asked))
    )


def _may_be(word: str, known: str) -> bool:
    """Whether short words may be one: of three letters none is changed, for another name is as near."""
    if min(len(known), len(word)) > _SHORTEST:
        return True
    return known[0] == word[0] and (len(known) != len(word) or sorted(known) == sorted(word))


def segments(word: str, vocabulary: frozenset[str]) -> list[str] | None:
    """Known words that ``word`` is written from without a gap, longest first; None when it is not made of them."""
    for end in range(len(word), 1, -1):
        head, rest = word[:end], word[end:]
        if head in vocabulary:
            tail = segments(rest, vocabulary) if rest else []
            if tail is not None:
                return [head, *tail]
    return None


def triples(keys: Iterable[str]) -> frozenset[str]:
    """Runs of three letters in folded names, ends included."""
    padded = [f"  {key} " for key in keys]
    return frozenset(text[at : at + 3] for text in padded for at in range(len(text) - 2))


def nearest(asked: frozenset[str], known: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The names that share most triples with ``asked``, best first, at most five; none where none is near."""
    scored = sorted(
        ((_likeness(asked, own), name) for name, own in known.items()),
        key=lambda pair: (-pair[0], len(pair[1]), pair[1]),
    )
    return tuple(name for score, name in scored[:MAX_SUGGESTIONS] if score >= _NEAR_ENOUGH)


def _likeness(asked: frozenset[str], known: frozenset[str]) -> float:
    shared = len(asked & known)
    return 2.0 * shared / (len(asked) + len(known)) if shared else 0.0


def near_names(kind: str, text: str, names: Mapping[str, object] | list[str]) -> tuple[str, ...]:
    """Those of ``names`` that share most letter triples with ``text``, at most five; none for a text too long for a name."""
    if len(text) > MAX_NAME_CHARACTERS:
        return ()
    return nearest(triples([key(kind, text)]), {name: triples([key(kind, name)]) for name in names})
