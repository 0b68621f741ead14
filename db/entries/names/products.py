"""Products by name: servers, cloud instances, handhelds and computers, as a number of accelerators of the catalog.

``products.jsonl`` has a line a set of products: their ``names``, ``gpu``, the slug of the accelerator, ``count``, how many of
it each has, ``also``, slugs of those in other versions under the same name, and ``source``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import orjson

from db.entries.names.index import NameIndex
from db.entries.names.meanings import AmbiguousNameError, Meaning, UnknownNameError, shortened, taken_as
from db.entries.names.texts.readings import MAC
from db.entries.names.texts.words import Entry, is_quantity, key, words
from estimator.sentences import Sentence, SentenceCode

_CHIP = ", or its chip and memory"
#: The version of a computer with the least memory and cores.
_LEAST = re.compile(
    r"(?<![^\W_])(?:the\s+)?(?:(?:base|entry[ -]level|cheapest|standard|lowest)(?:[ -](?:model|spec|config(?:uration)?|version))?"
    r"|basis(?:modell|version)|modèle de base|modelo base)(?![^\W_])",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Product:
    """A product called ``name`` with ``count`` accelerators of the slug ``gpu``; other versions of it have one of ``also``."""

    name: str
    gpu: str
    count: int
    also: tuple[str, ...] = ()


@lru_cache(maxsize=2)
def products(file: Path) -> Mapping[str, Product]:
    """Folded name -> product."""
    rows = map(orjson.loads, file.read_bytes().splitlines())
    return {
        key("gpu", name): Product(name, row["gpu"], row["count"], tuple(row.get("also", ())))
        for row in rows
        for name in row["names"]
    }


class Computers:
    """Answers to names of computers by the accelerators that are built into them."""

    def __init__(self, computers: Mapping[str, Entry], gpus: Mapping[str, Entry], gpu_index: NameIndex) -> None:
        self._computers = computers
        self._gpus = gpus
        self._gpu_index = gpu_index

    def gpu_of(self, text: str, name: str, *, whole: bool) -> Meaning | None:
        """The accelerator of the computer called ``name``, a part of ``text``; None where none is called so.

        A maker's name alone is none of its computers. The base model of a line is the one with the least memory and cores.

        Raises:
            AmbiguousNameError: it fits several computers, or one line with chips of several years.
            UnknownNameError: the catalog lacks the accelerator of the computer.
        """
        if self.makers.issuperset(words("computer", name)):
            return None
        bare = " ".join(_LEAST.sub(" ", name).split())
        slug = self._called(text, name, whole=whole) if bare == name else self._least(bare)
        if slug is None:
            return self._of_amount(text, name) if bare == name else self._least_of_chip(text, bare)
        computer = self._computers[slug]
        if line := self._generations(computer, bare):
            raise AmbiguousNameError("gpu", text, line, _CHIP)
        if computer["gpu"] not in self._gpus:
            raise UnknownNameError("gpu", text, (), f"the catalog has no accelerator of {computer['name']}")
        told = shortened(text)
        taken = f"{told!r} is taken as the accelerator of {computer['name']}."
        return Meaning(computer["gpu"], (Sentence(SentenceCode.GPU_OF_COMPUTER, taken, name=told, computer=slug),))

    def built(self, text: str, meaning: Meaning) -> Meaning:
        """The meaning of a text without the accelerators that no version of its computer has: a Mac Studio has no plain M2.

        Only of desktops: of laptops the catalog lacks whole years.
        """
        named = " ".join(word for word in words("computer", text) if not is_quantity(word))
        computers = [self._computers[slug] for slug in self._index.having(named)]
        if not meaning.choices or not computers or any(computer["form"] in (None, "laptop") for computer in computers):
            return meaning
        chips = {self._chip(computer["gpu"]) for computer in computers if computer["gpu"] in self._gpus}
        slugs = tuple(slug for slug in (meaning.slug, *meaning.choices) if self._chip(slug) in chips)
        if not slugs or slugs == (meaning.slug, *meaning.choices):
            return meaning
        taken = taken_as(text, str(self._gpus[slugs[0]]["name"]), slugs[1:])
        return replace(meaning, slug=slugs[0], notes=(taken,), choices=slugs[1:])

    def _chip(self, gpu: str) -> frozenset[str]:
        """The words of an accelerator's name that tell no amount of memory or cores."""
        return frozenset(word for word in words("gpu", str(self._gpus[gpu]["name"])) if not is_quantity(word))

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex("computer", self._computers)

    @cached_property
    def makers(self) -> frozenset[str]:
        """The words of those who make the computers, in lower case."""
        return frozenset(word for entry in self._computers.values() for word in words("computer", str(entry["maker"])))

    def _called(self, text: str, name: str, *, whole: bool) -> str | None:
        try:
            meaning = self._index.find(name, whole=whole, said=text)
            if meaning is None and not whole:
                meaning = self._index.repaired(name, said=text)
        except AmbiguousNameError as error:
            raise AmbiguousNameError("gpu", text, error.choices, _CHIP) from error
        return None if meaning is None else meaning.slug

    def _least(self, name: str) -> str | None:
        """The computer of a line with the least memory, then the fewest cores."""
        built = [slug for slug in self._index.having(name) if self._computers[slug]["gpu"] in self._gpus]
        return min(built, key=lambda slug: _least_first(self._gpus[self._computers[slug]["gpu"]]), default=None)

    def _least_of_chip(self, text: str, name: str) -> Meaning | None:
        """The accelerator of a Mac with the least memory and cores of its chip, of which no computer is recorded."""
        slugs = self._gpu_index.having(MAC.sub(" ", name))
        gpus = [self._gpus[slug] for slug in slugs if self._gpus[slug]["vendor"] == "apple"]
        least = min(gpus, key=_least_first, default=None)
        return None if least is None else Meaning(least["slug"], (taken_as(text, str(least["name"])),))

    def _of_amount(self, text: str, name: str) -> Meaning | None:
        """The accelerator of a computer's chip with an amount of memory in which the catalog does not have the computer."""
        told = words("computer", name)
        amounts = {word for word in told if word.endswith("gb")}
        computers = self._index.having(" ".join(word for word in told if word not in amounts)) if amounts else ()
        chips = {self._chip(gpu) for gpu in (self._computers[slug]["gpu"] for slug in computers) if gpu in self._gpus}
        if len(chips) != 1:
            return None
        gpus = [
            gpu
            for slug, gpu in self._gpus.items()
            if f"{gpu['memory_gb'] or 0:g}gb" in amounts and self._chip(slug) in chips
        ]
        most = max(gpus, key=_least_first, default=None)
        return None if most is None else Meaning(most["slug"], (taken_as(text, str(most["name"])),))

    def _generations(self, computer: Entry, text: str) -> Sequence[str]:
        """The computers of one line with chips of several years, of which the text names none: it may be a year's that the
        catalog lacks. An amount of memory that chips of one year alone have names them."""
        line = str(computer["name"]).split(",")[0]
        alike = {
            slug: self._gpus[other["gpu"]]
            for slug, other in self._computers.items()
            if str(other["name"]).split(",")[0] == line and other["gpu"] in self._gpus
        }
        gpu = self._gpus.get(computer["gpu"]) or {}
        amounts = {word for word in words("computer", text) if word.endswith("gb")}
        of_amount = [
            other
            for other in self._gpus.values()
            if other["vendor"] == gpu.get("vendor") and f"{other['memory_gb'] or 0:g}gb" in amounts
        ]
        chip = self._chip(computer["gpu"]) if gpu else frozenset()
        is_open = (chip - {*words("gpu", line)}).isdisjoint(words("gpu", text)) and all(
            len({gpu["generation_year"] for gpu in gpus}) > 1 for gpus in (alike.values(), of_amount or alike.values())
        )
        sized = [slug for slug in alike if amounts <= {*words("computer", str(self._computers[slug]["name"]))}]
        return sorted(sized if len(sized) > 1 else alike) if is_open else []


def _least_first(gpu: Entry) -> tuple[float, int, str]:
    return gpu["memory_gb"] or 0, gpu["compute_units"] or 0, gpu["slug"]
