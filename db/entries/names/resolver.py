"""One resolver for the command line, the API, the pages and batches: a text as people type it -> a :class:`Meaning`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache

from db.entries.names.index import NameIndex
from db.entries.names.meanings import AmbiguousNameError, Meaning, UnknownNameError, shortened, taken_as
from db.entries.names.quants import QuantNames
from db.entries.names.readings import Reading, gpu_readings, model_readings, target_of
from db.entries.names.spelling import MAX_NAME_CHARACTERS
from db.entries.names.words import Entry

_KEPT = 4096


class Resolver:
    """Names of all kinds of one catalog. ``entries`` maps kind -> slug -> entry."""

    def __init__(self, entries: Mapping[str, Mapping[str, Entry]]) -> None:
        self._entries = entries
        self._indexes: dict[str, NameIndex] = {}
        self._kept = lru_cache(maxsize=_KEPT)(self._meaning)

    def meaning(self, kind: str, text: str, engine: str | None = None) -> Meaning:
        """The entity of ``kind`` that ``text`` names, with the count or quantization that the text states.

        ``engine`` decides which file a quantization's name means that several formats share.

        Raises:
            UnknownNameError: no entity has the name; with the nearest names.
            AmbiguousNameError: several have it, and no rule prefers one.
        """
        if kind == "quant":
            return Meaning(self._quants.resolve(text, self._formats_of(engine)))
        if text in self._entries[kind]:
            return Meaning(text)
        if len(text) > MAX_NAME_CHARACTERS:
            raise UnknownNameError(kind, text)
        return self._kept(kind, text)

    @cached_property
    def _quants(self) -> QuantNames:
        return QuantNames(self._entries["quant"])

    def _formats_of(self, engine: str | None) -> frozenset[str]:
        entry = self._entries["engine"].get(engine or "") or {}
        return frozenset(format_ for rule in entry.get("rules", ()) for format_ in rule["formats"])

    def _meaning(self, kind: str, text: str) -> Meaning:
        index = self._index(kind)
        several: AmbiguousNameError | None = None
        for reading in self._readings(kind, text):
            try:
                meaning = index.find(reading.name, whole=reading.whole)
            except AmbiguousNameError as error:
                several = several or AmbiguousNameError(kind, text, error.suggestions)
                continue
            if meaning is not None:
                return self._completed(kind, text, meaning, reading)
        if several is not None:
            raise several
        if kind == "gpu" and (target := target_of(text)) is not None:
            return self._of_target(text, target)
        raise UnknownNameError(kind, text, index.suggest(text))

    def _completed(self, kind: str, text: str, meaning: Meaning, reading: Reading) -> Meaning:
        """The meaning of a part of ``text`` as that of the whole."""
        note = meaning.note
        if note is not None:
            note = taken_as(text, str(self._entries[kind][meaning.slug]["name"]), meaning.choices)
        if reading.unknown_quant is not None:
            missing = f"The quantization {reading.unknown_quant} of {shortened(text)!r} is not in the catalog."
            note = missing if note is None else f"{note} {missing}"
        return replace(meaning, note=note, count=reading.count, quant=reading.quant)

    def _readings(self, kind: str, text: str) -> Iterable[Reading]:
        if kind == "model":
            return model_readings(text, self._quants.exact)
        return gpu_readings(text) if kind == "gpu" else (Reading(text),)

    def _of_target(self, text: str, target: str) -> Meaning:
        """The accelerator with a compiler target that a device string states instead of a name."""
        slugs = sorted(slug for slug, entry in self._entries["gpu"].items() if entry.get("gfx_target") == target)
        if not slugs:
            raise UnknownNameError("gpu", text)
        if len(slugs) > 1:
            raise AmbiguousNameError("gpu", text, slugs)
        return Meaning(slugs[0], taken_as(text, str(self._entries["gpu"][slugs[0]]["name"]), ()))

    def _index(self, kind: str) -> NameIndex:
        if kind not in self._indexes:
            self._indexes[kind] = NameIndex(kind, self._entries[kind])
        return self._indexes[kind]
