"""One resolver for the command line, the API, the pages and batches: a text as people type it -> a :class:`Meaning`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from weakref import proxy

from db.entries.names.bases import Bases
from db.entries.names.derivatives import derivatives_by_key, derivatives_by_word, plain
from db.entries.names.held import HeldNames, card_in_title
from db.entries.names.index import NameIndex
from db.entries.names.meanings import (
    AmbiguousNameError,
    Meaning,
    UnknownNameError,
    not_read,
    shortened,
    taken_as,
)
from db.entries.names.processors import Processors, without_memory
from db.entries.names.products import Computers, products
from db.entries.names.quants import QuantNames
from db.entries.names.refusals import WHY, refusal
from db.entries.names.texts.readings import (
    ALTERNATIVES,
    AROUND,
    BESIDE,
    JOINED,
    MAC,
    ON_GPU,
    Reading,
    gpu_readings,
    model_readings,
    named_in_command,
    target_of,
)
from db.entries.names.texts.remarks import INTEGRATED, set_off, totals, without_remarks
from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS
from db.entries.names.texts.words import Entry, key, words
from estimator.sentences import Sentence, SentenceCode

_KEPT = 4096
_IN_LAPTOPS = ("laptop", "integrated")
Find = Callable[[str, str, Reading], Meaning | None]
_Ways = list[tuple[Find, Sequence[Reading]]]


class Resolver:
    """Names of all kinds of one catalog.

    ``entries`` maps kind -> slug -> entry. The lists of derivatives and processors below ``root`` are read when a name is
    asked for that no entity has.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Entry]], root: Path) -> None:
        self._entries = entries
        self._root = root
        self._indexes: dict[str, NameIndex] = {}
        # A resolver that nobody uses goes at once, and does not wait for the garbage collector.
        this: Resolver = proxy(self)
        self._kept = lru_cache(maxsize=_KEPT)(lambda kind, text: this._meaning(kind, text))
        #: Told the kind and text of each name that no entity has.
        self.on_unknown: Callable[[str, str], None] | None = None

    def meaning(self, kind: str, text: str, engine: str | None = None) -> Meaning:
        """The entity of ``kind`` that ``text`` names, with the count or quantization that the text states.

        ``engine`` decides which file a quantization's name means that several formats share.

        Raises:
            UnknownNameError: no entity has the name; with the nearest names.
            AmbiguousNameError: several have it, and no rule prefers one.
        """
        if kind == "quant":
            return self._quants.meaning(text, self._formats_of(engine), self._root)
        if text in self._entries[kind]:
            return Meaning(text)
        if len(text) > MAX_NAME_CHARACTERS:
            raise UnknownNameError(kind, text)
        try:
            return self._kept(kind, text)
        except UnknownNameError as error:
            if self.on_unknown is not None and not isinstance(error, AmbiguousNameError):
                self.on_unknown(kind, text)
            raise

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

    def _formats_of(self, engine: str | None) -> frozenset[str]:
        rules = self._entries["engine"].get(engine or "", {}).get("rules", ())
        return frozenset(format_ for rule in rules for format_ in rule["formats"])

    def _meaning(self, kind: str, text: str) -> Meaning:
        """The meaning of the text, or of the name in it where only words around it keep it from being one."""
        try:
            return self._meaning_of(kind, text, list(self._readings(kind, text)))
        except UnknownNameError as error:
            why, is_refused = error, error.reason is not None and WHY["configurations"] not in error.reason
            if is_refused and kind != "model":
                raise
            # A name that is refused may begin with that of another model: words around it are no part of either.
            named = named_in_command(text) if kind == "model" else text
            around = [] if is_refused else set_off(kind, named)
            for bare, parts in (*(way for way in without_remarks(kind, named) if way[1] or not is_refused), *around):
                try:
                    meaning = self._bare(kind, text, bare)
                except UnknownNameError as refused:
                    why, meaning = why if is_refused else refused, None
                    if isinstance(why, AmbiguousNameError):
                        raise
                if meaning is not None and not self._contradicts(kind, text, meaning, parts):
                    return replace(meaning, notes=(*meaning.notes, *not_read(text, parts)))
            if kind == "model" and (meaning := self._before_gpu(text)) is not None:
                return meaning
            if why.reason is None and kind in self._held and (held := self._held[kind].meaning(text)) is not None:
                return held
            raise why from None

    @cached_property
    def _held(self) -> dict[str, HeldNames]:
        models, gpus = self._entries["model"], self._entries["gpu"]
        held = HeldNames(self._index("model"), models, self._quants.is_part, self._root / "derivatives")
        return {"model": held, "gpu": HeldNames(self._index("gpu"), gpus)}

    def _before_gpu(self, text: str) -> Meaning | None:
        """The model in a text that names an accelerator behind it, as "Qwen3 8B on 2x 3090"."""
        for match in ON_GPU.finditer(text):
            model, gpu = text[: match.start()], text[match.end() :]
            try:
                with suppress(AmbiguousNameError):
                    self._kept("gpu", gpu)
                meaning = self._kept("model", model)
            except UnknownNameError:
                continue
            return replace(meaning, notes=(*meaning.notes, *not_read(text, [gpu])))
        return None

    def _contradicts(self, kind: str, text: str, meaning: Meaning, parts: Sequence[str]) -> bool:
        """Whether a text states memory beside that which an accelerator shares, or graphics where it is a processor."""
        entry = self._entries[kind][meaning.slug]
        is_shared = bool(parts and entry.get("unified_memory")) and entry["memory_gb"] is not None
        is_other = any(total != (meaning.count or 1) * (entry.get("memory_gb") or 0) for total in totals(parts))
        return is_shared or is_other or (entry.get("kind") == "cpu" and INTEGRATED.search(text) is not None)

    def _bare(self, kind: str, text: str, bare: str) -> Meaning | None:
        """The meaning of a text without words around it; None where it is not known so either."""
        refused: UnknownNameError | None = None
        if bare not in ("", text):
            try:
                return self._meaning_of(kind, text, list(self._readings(kind, bare)))
            except AmbiguousNameError:
                raise
            except UnknownNameError as error:
                refused = error
        card = self._titled(text, bare) if kind == "gpu" else None
        if card is None and refused and refused.reason is not None:
            raise refused
        return card

    def _titled(self, text: str, bare: str) -> Meaning | None:
        """The card in a title of a shop or the name of a computer; an amount beside its processor may be the system's."""
        title, is_laptop = card_in_title(bare, self._index("gpu"))
        head = bare.partition(title.partition(" ")[0])[0] if title else ""
        if without_memory(title) != title and self._processors.knows(head):
            meaning = self._index("gpu").find(without_memory(title), said=text)
            if meaning is not None and not self._index("gpu").fits(title):
                amounts = [token for token in title.split() if token not in without_memory(title).split()]
                return replace(meaning, notes=(*meaning.notes, *not_read(text, [head.strip(), *amounts])))
        for name in (f"{title} laptop", title) if is_laptop and title else (title,):
            for reading in gpu_readings(name) if name else ():
                try:
                    meaning = self._found("gpu", text, reading)
                except AmbiguousNameError:
                    return None
                if meaning is not None and (not is_laptop or self._entries["gpu"][meaning.slug]["kind"] in _IN_LAPTOPS):
                    taken = taken_as(text, str(self._entries["gpu"][meaning.slug]["name"]))
                    return self._completed(text, replace(meaning, notes=meaning.notes or (taken,)), reading)
        return self._at_end(text, bare)

    def _at_end(self, text: str, bare: str) -> Meaning | None:
        """The processor, or the accelerator, at the end of a text, behind a computer by its maker or line."""
        is_made = AROUND.match(bare) or bare.partition(" ")[0].casefold() in self._computers.makers
        is_line = is_made or refusal(self._root / "refusals.jsonl", "gpu", bare) is not None
        return self._processors.at_end(text, bare) if is_line else None

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
