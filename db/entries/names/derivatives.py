"""Repositories of derivatives by name: read when a name is asked for that no entity has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson


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


_GAPS = str.maketrans("", "", " _-/:")


def plain(text: str) -> str:
    """The comparison form of a repository: lower case without gaps, which thousands of names need quickly."""
    return text.casefold().translate(_GAPS)


@lru_cache(maxsize=2)
def derivatives_by_key(directory: Path) -> Mapping[str, Derivative]:
    """Folded repository -> derivative, and folded name without the owner where all owners' ones are alike."""
    known: dict[str, Derivative] = {}
    tails: dict[str, Derivative | None] = {}
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            format_ = None if row["format"] == "gguf" else row["format"]
            derivative = Derivative(row["repository"], row["base"], row["known_by"], format_)
            known[plain(derivative.repository)] = derivative
            tail = plain(derivative.repository.split("/")[-1])
            other = tails.setdefault(tail, derivative)
            if other is not None and (other.base, other.format) != (derivative.base, derivative.format):
                tails[tail] = None
    return {tail: derivative for tail, derivative in tails.items() if derivative is not None} | known
