"""Processors by name: the memory that a series of them takes, as an accelerator entry of the catalog.

``processors.jsonl`` has a line a series: ``pattern``, a regular expression for the whole name in lower case without maker,
``gpu``, the slug of the memory's entry or of the next slower one, ``memory``, what the maker supports, and its ``source``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

_REMARKS = re.compile(
    r"\((?:tm|r|c)\)|[™®©]|\b(?:laptop|notebook|desktop|(?:mini )?pc)\b"
    r"|\b(?:amd|intel|cpu|processor|\d+[ -]cores?|\d+th gen|with radeon.*|@.*)\b|@.*|\bw/.*",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\b(?:\d{1,4}(?:\.\d)?\s*(?:gb|gib|tb)|\d{1,3}\s*g)(?:\s+of)?\b", re.IGNORECASE)
_MEMORY = re.compile(r"\b((?:lp)?ddr\dx?)(?:[- ]\d{4})?\b|\b(?:ram|memory)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Series:
    """Processors whose names match ``pattern``; ``gpu`` is the slug of the entry of their memory."""

    pattern: re.Pattern[str]
    gpu: str
    memory: str


@lru_cache(maxsize=2)
def series(file: Path) -> tuple[Series, ...]:
    """All series of a file. Raises ``re.error`` for a malformed pattern."""
    rows = map(orjson.loads, file.read_bytes().splitlines())
    return tuple(Series(re.compile(row["pattern"]), row["gpu"], row["memory"]) for row in rows)


def series_of(text: str, file: Path) -> Iterator[Series]:
    """The series of a processor's name, several where it takes memory of either kind."""
    name = " ".join(re.split(r"[\s_-]+", _REMARKS.sub(" ", text.casefold()).strip()))
    return (entry for entry in series(file) if entry.pattern.fullmatch(name))


def without_memory(text: str) -> str:
    """A text without an amount of memory and, where it states one, without the type of memory."""
    bare = _AMOUNT.sub(" ", text)
    return text if bare == text else " ".join(_MEMORY.sub(" ", bare).split())


def memory_type_of(text: str) -> str | None:
    """The type of memory beside an amount, as "ddr5"; None where none is stated."""
    types = [match.group(1) for match in _MEMORY.finditer(text) if match.group(1)] if _AMOUNT.search(text) else []
    return types[0].casefold() if types else None
