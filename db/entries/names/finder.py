"""What a name means without words around it: each way of reading it, in the order of trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from db.entries.names.bases import Bases
from db.entries.names.derivatives import derivatives_by_key, derivatives_by_word, plain
from db.entries.names.index import NameIndex
from db.entries.names.meanings import AmbiguousNameError, Meaning, UnknownNameError, not_read, shortened, taken_as
from db.entries.names.processors import Processors, without_memory
from db.entries.names.products import Computers, products
from db.entries.names.quants import QuantNames
from db.entries.names.refusals import refusal
from db.entries.names.texts.readings import (
    ALTERNATIVES,
    BESIDE,
    JOINED,
    MAC,
    Reading,
    gpu_readings,
    model_readings,
    named_in_command,
    target_of,
)
from db.entries.names.texts.words import Entry, key, words
from estimator.sentences import Sentence, SentenceCode

Find = Callable[[str, str, Reading], Meaning | None]
_Ways = list[tuple[Find, Sequence[Reading]]]


class NameFinder:
    """Names of all kinds of one catalog; ``entries`` maps kind -> slug -> entry, lists of names lie below ``root``."""

    def __init__(self, entries: Mapping[str, Mapping[str, Entry]], root: Path) -> None:
        self._entries = entries
        self._root = root
        self._indexes: dict[str, NameIndex] = {}

    @cached_property
    def _bases(self) -> Bases:
        return Bases(self._entries["model"], self._root / "derivatives")

    @cached_property
    def _quants(self) -> QuantNames:
        return QuantNames(self._entries["quant"])

    @cached_property
    def _computers(self) -> Computers:
        return Computers(self._entries["computer"], self._entries["gpu"], self._index("gpu"))

    @cached_property
    def _processors(self) -> Processors:
        return Processors(self._entries["gpu"], self._index("gpu"), self._root / "processors.jsonl")

    def _meaning(self, kind: str, text: str) -> Meaning:
        return self._meaning_of(kind, text, list(self._readings(kind, text)))

    def _meaning_of(self, kind: str, text: str, readings: Sequence[Reading]) -> Meaning:
        for ways in self._ways(kind, readings):
            several: AmbiguousNameError | None = None
            for find, tried in ways:
                for reading in tried:
                    try:
                        meaning = find(kind, text, reading)
                    except AmbiguousNameError as error:
                        several = several or error
                        continue
                    if meaning is not None:
                        return self._completed(text, meaning, reading)
            if several is not None:
                if "/" in text and kind == "model":
                    self._refused(kind, text, readings[0])
                raise several if kind != "model" else self._bases.beside(text, several)
        for amount in filter(
            None, (self._index(kind).of_amount(reading.name) for reading in readings if not reading.whole)
        ):
            raise AmbiguousNameError(kind, text, amount)
        raise UnknownNameError(kind, text, self._index(kind).suggest(text))

    def _ways(self, kind: str, readings: Sequence[Reading]) -> list[_Ways]:
        """Readings in the order of trial: names in full or in part, typing errors, then texts that hold a name."""
        loose = [reading for reading in readings if not reading.whole]
        named: _Ways
        repaired: _Ways = [(self._repaired, loose)]
        if kind == "model":
            named = [(self._named, readings[:1]), (self._listed, [way for way in readings if "/" in way.name])]
            named += [(self._found, readings), (self._derived, readings)]
            never: _Ways = [(partial(self._refused, unread=False), readings[:1])]
            described: _Ways = [(self._described, loose)]
            return [named, never, described, [(self._refused, readings[:1])], repaired, [(self._nearly, loose)]]
        if kind == "gpu":
            counted = [reading for reading in readings if reading.count is not None]
            whole = [replace(reading, whole=True) for reading in (readings[0], *counted)]
            named = [(self._named, readings[:1]), (self._of_product, readings), (self._of_equals, readings[:1])]
            named.append((self._found, readings))
            named += [(self._of_computer, whole), (self._of_processor, readings), (self._of_several, readings[:2])]
            held: _Ways = [(self._of_computer, [readings[0], *counted]), (self._of_target, readings[:1])]
            return [named, [(self._refused, readings)], repaired, held]
        return [[(self._found, readings)], repaired]

    def _found(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The entity of the name; of a name that leaves words out, the derivative that is called just so."""
        index = self._index(kind)
        meaning = index.find(reading.name, whole=reading.whole, said=text)
        is_open = kind == "model" and meaning is not None and bool(meaning.notes) and index.exact(reading.name) is None
        if kind == "gpu" and meaning is not None and MAC.search(text):
            return self._computers.built(text, meaning)
        return (self._derived(kind, text, reading) if is_open else None) or meaning

    def _named(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        slug = self._index(kind).named(reading.name)
        return None if slug is None else Meaning(slug)

    def _repaired(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        is_family = derivatives_by_word(self._root / "derivatives").is_family if kind == "model" else None
        return self._index(kind).repaired(reading.name, said=text, is_family=is_family)

    def _described(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The base of a derivative in part of its name, unless a model is called so but for a typing error."""
        meaning = self._bases.described(kind, text, reading)
        if meaning is None:
            return None
        try:
            return self._repaired(kind, text, reading) or meaning
        except AmbiguousNameError:
            return meaning

    def _nearly(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        index = self._index(kind)
        return index.sized(reading.name, said=text) or index.lettered(reading.name, said=text)

    def _listed(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The base of a repository, which a line of the catalog states with its format."""
        derivative = derivatives_by_key(self._root / "derivatives").get(plain(reading.name))
        if derivative is None or derivative.known_by != "name" or derivative.format == "other":
            return self._derived(kind, text, reading)
        for part in self._readings(kind, reading.name):
            meaning = self._found(kind, text, part)
            if meaning is not None and meaning.slug == derivative.base:
                return replace(meaning, quant=derivative.quant or part.quant)
        return self._derived(kind, text, reading)

    def _derived(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The base of a derivative; a word that names of models have, such as their family, names no derivative."""
        derivative = derivatives_by_key(self._root / "derivatives").get(plain(reading.name))
        return None if derivative is None or self._index(kind).has_word(reading.name) else self._bases.of(derivative)

    def _refused(self, kind: str, text: str, reading: Reading, *, unread: bool = True) -> Meaning | None:
        """Nothing; an error with the reason where the name is known and not estimated, or (``unread``) not yet."""
        refused = refusal(self._root / "refusals.jsonl", kind, reading.name)
        if refused is not None and (unread or refused.why != "unread"):
            raise UnknownNameError(kind, text, (), refused.sentence)
        return None

    def _of_computer(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        return self._computers.gpu_of(text, reading.name, whole=reading.whole)

    def _readings(self, kind: str, text: str) -> Iterable[Reading]:
        if kind == "model":
            is_checkpoint = "/" in text and "gguf" not in text.casefold()
            return model_readings(named_in_command(text), partial(self._quants.exact, checkpoint=is_checkpoint))
        return gpu_readings(text) if kind == "gpu" else (Reading(text),)

    def _of_product(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The accelerators of a server, a cloud instance or a handheld."""
        known, gpus = products(self._root / "products.jsonl"), self._entries[kind]
        product = known.get(key(kind, reading.name)) or known.get(key(kind, without_memory(reading.name)))
        if product is None or product.gpu not in gpus:
            return None
        amounts = {word for word in words(kind, reading.name) if word.endswith("gb")} - {*words(kind, product.name)}
        versions = [
            slug
            for slug in (product.gpu, *product.also)
            if amounts <= {f"{gpus[slug]['memory_gb'] or 0:g}gb"} or gpus[slug]["memory_gb"] is None
        ]
        if not versions:
            return None
        number = "" if product.count == 1 else f"{product.count} x "
        note = taken_as(text, f"{number}{gpus[versions[0]]['name']}", versions[1:])
        return Meaning(versions[0], (note,), tuple(versions[1:]), product.count if product.count > 1 else None)

    def _of_processor(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        return self._processors.gpu_of(text, reading.name)

    def _of_equals(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The accelerator that a text names several times, as "3090 + 3090"."""
        parts = [part for part in JOINED.split(reading.name) if part.strip()]
        if len(parts) < 2:
            return None
        find = partial(self._found, kind, text)
        named = [next(filter(None, map(find, gpu_readings(part))), None) for part in parts]
        if named[0] is None or {meaning and meaning.slug for meaning in named} != {named[0].slug}:
            return None
        return replace(named[0], count=len(parts))

    def _of_several(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The accelerator beside a processor; an error with all where the text names several, or one of several."""
        ways = (self._found, self._of_processor)
        for pattern in (JOINED, ALTERNATIVES, BESIDE):
            parts = [part.strip() for part in pattern.split(reading.name) if part.strip()]
            tried = ([way(kind, text, own) for own in gpu_readings(part) for way in ways] for part in parts)
            named = [next(filter(None, meanings), None) for meanings in tried]
            slugs = list(dict.fromkeys(meaning.slug for meaning in named if meaning is not None))
            if len(slugs) < 2 or None in named:
                continue
            pairs = zip(parts, named, strict=True)
            cards = [part for part, own in pairs if own and self._entries[kind][own.slug]["kind"] != "cpu"]
            if len(cards) == 1:
                meaning, hosts = self._meaning(kind, cards[0]), [part for part in parts if part not in cards]
                return replace(meaning, notes=(*meaning.notes, *not_read(text, hosts)))
            if pattern is BESIDE:
                continue
            if pattern is ALTERNATIVES:
                raise AmbiguousNameError(kind, text, slugs)
            reason = f"{shortened(text)!r} names several accelerators: {', '.join(slugs)}; name each by itself"
            raise UnknownNameError(kind, text, slugs, reason)
        return None

    def _of_target(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The accelerator of a device string of which only the compiler target tells it."""
        target, gpus = target_of(reading.name), self._entries[kind]
        slugs = sorted(slug for slug, entry in gpus.items() if target and entry.get("gfx_target") == target)
        if len(slugs) > 1:
            raise AmbiguousNameError(kind, text, slugs)
        return Meaning(slugs[0], (taken_as(text, str(gpus[slugs[0]]["name"])),)) if slugs else None

    def _completed(self, text: str, meaning: Meaning, reading: Reading) -> Meaning:
        """The meaning of a part of ``text`` with what the rest states."""
        notes, unknown = meaning.notes, reading.unknown_quant
        is_file = " " not in text and bool(unknown or reading.quant)
        line = derivatives_by_key(self._root / "derivatives").get(plain(text)) if is_file else None
        if line is not None and line.base == meaning.slug and line.quant:
            return replace(meaning, quant=line.quant)
        level = self._quants.of_level(unknown) if unknown else ()
        if reading.is_short and not notes:
            notes = (taken_as(text, str(self._entries["gpu"][meaning.slug]["name"])),)
        if level:
            notes = (*notes, self._quants.taken(unknown or "", level))
        elif unknown is not None:
            name, nearest = shortened(text), self._quants.nearest(unknown)[:3]
            missing = f"The quantization {unknown} of {name!r} is not in the catalog"
            missing += f"; nearest to it are {', '.join(nearest)}." if nearest else "."
            notes += (Sentence(SentenceCode.QUANT_UNKNOWN, missing, name=name, quant=unknown, nearest=list(nearest)),)
        count = reading.count or meaning.count
        entry = self._entries.get("gpu", {}).get(meaning.slug, {})
        if (count or 1) > 1 and entry.get("kind") == "cpu":
            one = f"one socket of {entry['name']} (no speed of several sockets is recorded)"
            notes, count = (*notes, taken_as(text, one)), None
        return replace(meaning, notes=notes, count=count, quant=reading.quant or next(iter(level), meaning.quant))

    def _index(self, kind: str) -> NameIndex:
        if kind not in self._indexes:
            self._indexes[kind] = NameIndex(kind, self._entries[kind])
        return self._indexes[kind]
