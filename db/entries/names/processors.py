"""Processors by name: the memory that a series of them takes, as an accelerator entry of the catalog.

``processors.jsonl`` has a line a series: ``pattern``, a regular expression for the whole name in lower case without maker,
``gpu``, the slug of the memory's entry or of the next slower one, ``memory``, what the maker supports, and its ``source``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import orjson

from db.entries.names.index import NameIndex
from db.entries.names.meanings import AmbiguousNameError, Meaning, not_read, shortened, taken_as
from db.entries.names.texts.words import Entry
from estimator.sentences import Sentence, SentenceCode

_REMARKS = re.compile(
    r"\((?:tm|r|c)\)|[™®©]|\b(?:laptop|notebook|desktop|(?:mini )?pc)\b"
    r"|\b(?:amd|intel|cpu|processor|\d+[ -]cores?|\d+th gen|with radeon.*|@.*)\b|@.*|\bw/.*",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\b(?:\d{1,4}(?:\.\d)?\s*(?:gb|gib|tb)|\d{1,3}\s*g)(?:\s+of)?\b", re.IGNORECASE)
_MEMORY = re.compile(r"\b((?:lp)?ddr\dx?)(?:[- ]\d{4})?\b|\b(?:ram|memory)\b", re.IGNORECASE)

#: An accelerator behind the name of a computer is called by so many words or by a full name.
_FEWEST_WORDS = 2


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


class Processors:
    """Answers to names of processors, listed in ``file``, by the accelerators that stand for their memory."""

    def __init__(self, gpus: Mapping[str, Entry], gpu_index: NameIndex, file: Path) -> None:
        self._gpus = gpus
        self._gpu_index = gpu_index
        self._file = file

    def knows(self, name: str) -> bool:
        return any(series_of(name, self._file))

    def gpu_of(self, text: str, name: str) -> Meaning | None:
        """The memory that the processor called ``name``, a part of ``text``, takes; or a board or integrated accelerator of
        any amount of memory."""
        gpus, bare = self._gpus, without_memory(name)
        board = None if bare == name else self._gpu_index.find(bare, said=text) or self._repaired(bare)
        if board is not None and gpus[board.slug]["memory_gb"] is None:
            note = taken_as(text, f"{gpus[board.slug]['name']}, without its amount of memory")
            return replace(board, notes=(*board.notes, note))
        known = [series for series in series_of(bare, self._file) if series.gpu in gpus]
        if type_ := memory_type_of(name):
            known = [series for series in known if str(gpus[series.gpu]["memory_type"]).casefold().startswith(type_)]
        known.sort(key=lambda series: -gpus[series.gpu]["bandwidth_gbps"])
        if not known:
            return self._graphics_of(text, bare)
        told, taken, memory = shortened(text), gpus[known[0].gpu]["name"], known[0].memory
        others = tuple(series.gpu for series in known[1:])
        also = f"; with its slower memory it is {', '.join(others)}" if others else ""
        apart = "" if bare == name else " The amount of memory is not read from the name."
        sentence = f"{told!r} is taken as {taken}; the processor takes {memory}{also}.{apart}"
        note = Sentence(SentenceCode.MEMORY_OF_PROCESSOR, sentence, name=told, taken_as=taken, memory=memory)
        return Meaning(known[0].gpu, (note,), others)

    def _repaired(self, bare: str) -> Meaning | None:
        """The accelerator of a name with a typing error, without a word on it; None where it may be several."""
        with suppress(AmbiguousNameError):
            meaning = self._gpu_index.repaired(bare)
            return meaning and replace(meaning, notes=())
        return None

    def _graphics_of(self, text: str, bare: str) -> Meaning | None:
        """The graphics named behind a processor that has some: its own, as "7840U 780M", or a card of a laptop."""
        tokens = bare.split()
        for place in range(1, len(tokens)):
            head, tail = " ".join(tokens[:place]), " ".join(tokens[place:])
            with suppress(AmbiguousNameError):
                own = self._gpu_index.find(head)
                if own is None or self._gpus[own.slug]["kind"] != "integrated":
                    continue
                meaning = self._gpu_index.find(tail, said=text)
                if meaning and (meaning.slug == own.slug or self._gpus[meaning.slug]["kind"] == "laptop"):
                    return replace(meaning, notes=(*meaning.notes, *not_read(text, [head])))
        return None

    def at_end(self, text: str, bare: str) -> Meaning | None:
        """The processor, or the accelerator by a full name, else by several words, at the end of ``bare``, a part of ``text``."""
        tokens = bare.split()
        places = range(1, len(tokens))
        for way, place in [(way, place) for way in (self._in_full, self._in_words) for place in places]:
            head, tail = tokens[:place], " ".join(tokens[place:])
            meaning = way(text, head, tail)
            if meaning is not None:
                return replace(meaning, notes=(*meaning.notes, *not_read(text, [" ".join(head)])))
        return None

    def _in_full(self, text: str, head: Sequence[str], name: str) -> Meaning | None:
        if self.knows(without_memory(name)):
            return self.gpu_of(text, name)
        slug = None if any(map(self._gpu_index.fits, head)) else self._gpu_index.exact(name)
        return None if slug is None else Meaning(slug, (taken_as(text, str(self._gpus[slug]["name"])),))

    def _in_words(self, text: str, head: Sequence[str], name: str) -> Meaning | None:
        if any(map(self._gpu_index.fits, head)) or len(without_memory(name).split()) < _FEWEST_WORDS:
            return None
        try:
            meaning = self._gpu_index.find(name, said=text)
        except AmbiguousNameError:
            return None
        return meaning and replace(
            meaning, notes=(taken_as(text, str(self._gpus[meaning.slug]["name"]), meaning.choices),)
        )
