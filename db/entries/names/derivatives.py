"""Repositories of derivatives by name: read when a name is asked for that no entity has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from db.entries.names.words import NOISE, words


@dataclass(frozen=True, slots=True)
class Derivative:
    """A repository whose fits are those of ``base``, a slug. ``format`` is the slug of its quantization, None for 16 bits
    and for GGUF files of several types.

    ``known_by``: ``name`` or ``card`` where its name or card states the base, ``shape`` where its dimensions and parameter
    count are those of the base, ``text`` where the dimensions of its text model are.
    """

    repository: str
    base: str
    known_by: str
    format: str | None


_SHORTEST_NAME = 3
#: A version with a low line, as in "MiniCPM-V-4_5".
_VERSION = re.compile(r"(?<=\d)_(?=\d)")
_GAPS = str.maketrans("", "", " _-/:")


def plain(text: str) -> str:
    """The comparison form of a repository: lower case without gaps, which thousands of names need quickly."""
    return text.casefold().translate(_GAPS)


@lru_cache(maxsize=2)
def _read(directory: Path) -> tuple[Derivative, ...]:
    rows = (orjson.loads(line) for path in sorted(directory.glob("*.jsonl")) for line in path.read_bytes().splitlines())
    return tuple(Derivative(row["repository"], row["base"], row["known_by"], row["format"]) for row in rows)


@lru_cache(maxsize=2)
def derivatives_by_key(directory: Path) -> Mapping[str, Derivative]:
    """Folded repository -> derivative, and folded name without the owner where all owners' ones are alike."""
    tails: dict[str, Derivative | None] = {}
    for derivative in _read(directory):
        other = tails.setdefault(plain(_name(derivative)), derivative)
        if other is not None and (other.base, other.format) != (derivative.base, derivative.format):
            tails[plain(_name(derivative))] = None
    known = {plain(derivative.repository): derivative for derivative in _read(directory)}
    return {tail: derivative for tail, derivative in tails.items() if derivative is not None} | known


class DerivativeWords:
    """Derivatives by the words of their names, owners left out."""

    def __init__(self, derivatives: Sequence[Derivative]) -> None:
        self._derivatives = derivatives
        self._places: dict[str, set[int]] = {}
        for place, derivative in enumerate(derivatives):
            for word in words("model", _VERSION.sub(".", _name(derivative))):
                self._places.setdefault(word, set()).add(place)

    def having(self, text: str) -> Iterator[Derivative]:
        """Derivatives whose names have all words of ``text``, one of which must be a name; longest names first."""
        asked = frozenset(words("model", text)) - NOISE["model"]
        if (
            not any(word.isalpha() and len(word) >= _SHORTEST_NAME for word in asked)
            or not asked <= self._places.keys()
        ):
            return iter(())
        places = set.intersection(*(self._places[word] for word in asked))
        having = [self._derivatives[place] for place in places]
        return iter(sorted(having, key=lambda each: (-len(each.repository), each.repository)))


@lru_cache(maxsize=2)
def derivatives_by_word(directory: Path) -> DerivativeWords:
    """The derivatives of a catalog, found by words."""
    return DerivativeWords(_read(directory))


def _name(derivative: Derivative) -> str:
    return derivative.repository.split("/")[-1]
