"""Index of the names of one kind: exact names first, then names that have all the words asked for.

An exact name is a slug, a display name, a repository or a listed alias, without regard to case, signs and gaps. A name that
leaves words out, orders them otherwise or has a typing error fits every entity that has all its words; one such entity, or
one that needs no further word, is the answer, and any other case is ambiguous. Conventions of the listed aliases: memory not
stated means the largest, core count not stated the most cores, form factor not stated SXM, laptop not stated the desktop card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from db.entries.names.exact import ExactNames
from db.entries.names.meanings import NOTHING, AmbiguousNameError, Fits, Meaning, UnknownNameError, taken_as
from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS, corrections, is_akin, nearest, segments, triples
from db.entries.names.texts.words import (
    LINES,
    NOISE,
    Entry,
    beside,
    is_quantity,
    joined_numbers,
    key,
    named_but_for_size,
    own_names,
    tags,
    telling,
    words,
)

_MAX_CORRECTED = 4
#: A number of so few digits names no accelerator by itself.
_SHORT_NUMBER = 2
#: Share of its parameters by which a size in the name of a model may differ from their number, as 35B of 32.3 billion.
_NEAR_SIZE = 0.1
#: Words of the grade or form of an accelerator, which name none by themselves.
_GRADES = frozenset(
    {"pro", "max", "ultra", "super", "ti", "xt", "plus", "mini", "air", "laptop", "desktop", "workstation", "server"}
)


@dataclass(frozen=True, slots=True)
class _Name:
    """Words of one name of an entity that tell it from others; ``own`` for those beyond question."""

    slug: str
    words: frozenset[str]
    own: bool


class NameIndex(ExactNames):
    """Resolves names of one kind to slugs."""

    def __init__(self, kind: str, entries: Mapping[str, Entry]) -> None:
        super().__init__(kind, entries)
        self._noise = NOISE.get(kind, frozenset())
        #: Unit that people leave out after the last number: memory of an accelerator, parameters of a model.
        self._unit = "gb" if kind in ("gpu", "computer") else "b"

    def has_word(self, text: str) -> bool:
        """Whether the text is one word that stands in the names of several entities."""
        asked = words(self.kind, text)
        return len(asked) == 1 and len(self._fits(frozenset(asked)).slugs) > 1

    def find(self, text: str, *, whole: bool = False, said: str | None = None) -> Meaning | None:
        """The entity called ``text``; None when no name has all its words.

        With ``whole`` the text is an identifier, which leaves nothing out. Messages quote ``said``, of which the text is a part.

        Raises:
            AmbiguousNameError: the text fits several entities, and no rule prefers one.
        """
        if len(text) > MAX_NAME_CHARACTERS:
            return None
        if (named := self.named(text)) is not None:
            return Meaning(named)
        slug = self.exact(text)
        asked = words(self.kind, text)
        # A number twice in a row, as in "llama-3-3", is a version with a dash for its point.
        is_pointed = self.kind == "model" and any(left == right and left.isdigit() for left, right in pairwise(asked))
        fits = NOTHING if is_pointed else self._fits(frozenset(asked))
        if self.kind == "computer":
            fits = self._of_grade(fits, asked)
        if slug is not None:
            return self._stated(said or text, slug, fits, open_=self._is_another(slug, asked))
        return self._choice(said or text, fits, whole=whole) if fits else None

    def knows(self, text: str) -> bool:
        """Whether each word of a text is one of names or facts, or an amount."""
        return all(word in self._vocabulary or is_quantity(word) for word in words(self.kind, text))

    def fits(self, text: str) -> bool:
        """Whether an entity has all words of a text."""
        return bool(self._fits(frozenset(words(self.kind, text))))

    def of_amount(self, text: str) -> tuple[str, ...]:
        """Slugs of the entities with the memory, or the size, that is all that a text states; none where it states more."""
        asked = frozenset(words(self.kind, text)) - self._noise
        if not all(word[0].isdigit() and word.endswith(self._unit) and word in self._places for word in asked):
            return ()
        return tuple(sorted({self._names[place].slug for word in asked for place in self._places[word]}))

    def sized(self, text: str, *, said: str | None = None) -> Meaning | None:
        """The model that has all words of a text but its size, which is nearly that of the model; stated as such."""
        asked = words(self.kind, text)
        for size in asked:
            if not size.removesuffix(self._unit).replace(".", "", 1).isdigit() or not size.endswith(self._unit):
                continue
            full = self._fits(frozenset(asked) - {size}).full
            near = [slug for slug in full if self._is_of_size(slug, float(size.removesuffix(self._unit)))]
            if len(near) == 1:
                return self._stated(said or text, near[0], Fits((), (), ()), open_=True)
        return None

    def lettered(self, text: str, *, said: str | None = None) -> Meaning | None:
        """The model whose version has a letter that a text leaves out: "minimax 2.5" is MiniMax M2.5; stated as such."""
        asked = words(self.kind, text)
        near: dict[str, None] = {}
        for place, word in enumerate(asked):
            for lettered in self._lettered.get(word, ()):
                near.update(dict.fromkeys(self._fits(frozenset([*asked[:place], lettered, *asked[place + 1 :]])).full))
        return self._stated(said or text, next(iter(near)), NOTHING, open_=True) if len(near) == 1 else None

    @cached_property
    def _lettered(self) -> dict[str, list[str]]:
        """A number -> the words that have a letter before it."""
        known: dict[str, list[str]] = {}
        for word in sorted(self._vocabulary):
            if word[0].isalpha() and word[1:].replace(".", "", 1).isdigit():
                known.setdefault(word[1:], []).append(word)
        return known

    def _is_of_size(self, slug: str, size: float) -> bool:
        total = self._entries[slug].get("params_total_b")
        return total is not None and abs(size - total) < _NEAR_SIZE * total

    def having(self, text: str) -> tuple[str, ...]:
        """Slugs of the entities that have all words of a text, in the grade that it states."""
        asked = words(self.kind, text)
        return self._of_grade(self._fits(frozenset(asked)), asked).slugs

    def suggest(self, text: str) -> tuple[str, ...]:
        """Slugs of the entities whose names share most letter triples with ``text``, at most five; none where none is near.

        A model is near only where one name has the first word of the other, or a misspelling of it.
        """
        if len(text) > MAX_NAME_CHARACTERS:
            return ()
        if self.kind != "model":
            return nearest(triples([key(self.kind, text)]), self._triples)
        name = text.rsplit("/", 1)[-1]
        asked = [word for word in words(self.kind, name) if word.isalpha()]
        akin = {slug: known for slug, known in self._triples.items() if is_akin(asked, self._letters[slug])}
        return nearest(triples([key(self.kind, name)]), akin)

    def resolve(self, text: str) -> Meaning:
        """The entity called ``text``. Raises :class:`UnknownNameError` with the nearest names."""
        meaning = self.find(text) or self.repaired(text)
        if meaning is None:
            raise UnknownNameError(self.kind, text, self.suggest(text))
        return meaning

    def _choice(self, text: str, fits: Fits, *, whole: bool) -> Meaning | None:
        if len(fits.own) == 1 and (self.kind != "model" or len(fits.slugs) == 1):
            return Meaning(fits.own[0])
        if len(fits.own) == 1:
            return self._stated(text, fits.own[0], fits, open_=False)
        if len(fits.full) == 1:
            return self._stated(text, fits.full[0], fits, open_=self._is_another(fits.full[0], words(self.kind, text)))
        if whole and not fits.full:
            return None
        names = {slug: words(self.kind, str(self._entries[slug]["name"])) for slug in fits.slugs}
        sized = self.kind == "model" and not fits.full and len(names) > 1
        if alone := named_but_for_size(names, words(self.kind, text)) if sized else fits.slugs[: len(fits.slugs) == 1]:
            return self._stated(text, alone[0], fits, open_=True)
        raise AmbiguousNameError(self.kind, text, self._by_demand(fits.slugs))

    def _by_demand(self, slugs: Iterable[str]) -> list[str]:
        """Slugs with those of the most downloads first."""
        return sorted(slugs, key=lambda slug: -(self._entries[slug].get("downloads") or {"count": 0})["count"])

    def _stated(self, text: str, slug: str, fits: Fits, *, open_: bool) -> Meaning:
        """The meaning of a text that other entities fit too, or (``open_``) that is no full name or misspelled."""
        others = tuple(other for other in fits.slugs if other != slug)
        if not others and not open_:
            return Meaning(slug)
        return Meaning(slug, (taken_as(text, str(self._entries[slug]["name"]), others),), others)

    def _fits(self, asked: frozenset[str]) -> Fits:
        """Entities with a name that has all of ``asked``; facts of the entity may stand beside its name."""
        wanted = asked - self._noise
        naming = {word for word in wanted if not is_quantity(word)}
        if not naming or not wanted <= self._vocabulary:
            return NOTHING
        if not any(self._is_telling(word) for word in naming):
            return NOTHING
        places = set.intersection(*(self._places[word] for word in wanted))
        missing: dict[str, tuple[int, bool]] = {}
        for place in places:
            name = self._names[place]
            if not naming & name.words or not asked & LINES <= self._lines.get(name.slug, LINES):
                continue
            # A number among the facts, as in "RDNA 2", says nothing without the word before it.
            of_facts = [word for word in wanted - name.words if not is_quantity(word)]
            if self.kind == "gpu" and of_facts and all(word[0].isdigit() for word in of_facts):
                continue
            short = (len(name.words - asked), not name.own)
            missing[name.slug] = min(missing.get(name.slug, short), short)
        ranked = sorted(missing, key=lambda slug: (missing[slug], slug))
        full = tuple(slug for slug in ranked if missing[slug][0] == 0)
        own = tuple(slug for slug in full if not missing[slug][1])
        return Fits(own, full, tuple(slug for slug in ranked if missing[slug][0] > 0))

    def _of_grade(self, fits: Fits, asked: list[str]) -> Fits:
        """The entities whose names have each grade behind the word that the text has before it, as "MacBook Pro"; all
        where none has."""
        graded = {pair for pair in pairwise(asked) if pair[1] in _GRADES}
        kept = {
            slug for slug in fits.slugs if graded <= {*pairwise(words(self.kind, str(self._entries[slug]["name"])))}
        }
        if not graded or not kept:
            return fits
        return Fits(*(tuple(slug for slug in slugs if slug in kept) for slugs in (fits.own, fits.full, fits.partial)))

    def _is_another(self, slug: str, asked: list[str]) -> bool:
        """Whether the words name another release than the model that stands for it."""
        entry = self._entries[slug]
        if self.kind != "model":
            return False
        names = (*own_names(self.kind, entry), *tags(self.kind, entry))
        own = {word for name in names for word in words(self.kind, name)} | self._noise | beside(self.kind, entry)
        letters = "".join(key(self.kind, name) for name in names)
        return any(word not in own and not (word.isalpha() and word in letters) for word in asked)

    def _is_telling(self, word: str) -> bool:
        """Whether a word names something by itself: letters, or a model number of an accelerator."""
        if word[0].isalpha():
            return len(word) > 1 and not (self.kind in ("gpu", "computer") and word in _GRADES)
        return self.kind == "gpu" and len(word) > _SHORT_NUMBER

    def repaired(
        self, text: str, *, said: str | None = None, is_family: Callable[[str], bool] | None = None
    ) -> Meaning | None:
        """The meaning of a text with a typing error, a missing gap or unit, or a dash for a point; stated as such.

        A first word that ``is_family`` tells to be that of other names is no typing error.

        Raises:
            AmbiguousNameError: the text may be several names.
        """
        if len(text) > MAX_NAME_CHARACTERS:
            return None
        best: dict[str, None] = {}
        others: dict[str, None] = {}
        asked = words(self.kind, text)
        if is_family is not None and asked and asked[0] not in self._vocabulary and is_family(asked[0]):
            return None
        for variant in self._repairs(asked):
            near = self._fits(frozenset(variant))
            best.update(dict.fromkeys(near.own or near.full or near.partial))
            others.update(dict.fromkeys(near.slugs))
        if not best:
            return None
        if len(best) > 1:
            raise AmbiguousNameError(self.kind, said or text, self._by_demand(best))
        return self._stated(said or text, next(iter(best)), Fits((), (), tuple(others)), open_=True)

    def _repairs(self, asked: list[str]) -> Iterator[list[str]]:
        """Readings of the words in which each is known."""
        readings: list[list[str]] = [[]]
        at = 0
        while at < len(asked):
            word = asked[at]
            pair = word + asked[at + 1] if at + 1 < len(asked) else ""
            numbers = [number for number in joined_numbers(asked[at : at + 2]) if number in self._vocabulary]
            if numbers:
                options, at = [numbers[:1]], at + 1
            elif at == len(asked) - 1 and self._lacks_unit(word, asked[:at]):
                options = [[f"{word}{self._unit}"], *([[word]] if word in self._vocabulary else [])]
            elif at == len(asked) - 1 and "." in word and f"{word}b" in self._vocabulary and self.kind == "model":
                options = [[word], [f"{word}b"]] if word in self._vocabulary else [[f"{word}b"]]
            elif word in self._vocabulary:
                options = [[word]]
            elif pair and pair in self._vocabulary:
                options, at = [[pair]], at + 1
            elif not word.isalpha():
                return
            elif parts := segments(word, self._naming):
                options = [parts]
            elif self.kind == "model" and word.endswith("v") and word[:-1] in self._vocabulary:
                options = [[word[:-1]]]
            else:
                options = [[known] for known in corrections(word, self._alphabetic)[:_MAX_CORRECTED]]
            readings = [[*reading, *option] for reading in readings for option in options]
            at += 1
        yield from readings

    def _lacks_unit(self, word: str, before: list[str]) -> bool:
        """Whether a last number is an amount without its unit; a single digit after a model's family is its version."""
        known = bool(before) and word.replace(".", "", 1).isdigit() and f"{word}{self._unit}" in self._vocabulary
        versioned = any(other[-1].isdigit() for other in before)
        return known and (self._unit == "gb" or (word.isdigit() and len(word) > 1) or versioned)

    @cached_property
    def _names(self) -> list[_Name]:
        names: set[_Name] = set()
        for slug, entry in self._entries.items():
            own = {*own_names(self.kind, entry), *tags(self.kind, entry)}
            for name in {*own, *(entry.get("aliases") or ())}:
                tail = name.rsplit("/", 1)[-1] if self.kind == "model" else name
                names.add(_Name(slug, telling(self.kind, words(self.kind, tail)), name in own))
        return sorted(names, key=lambda name: (name.slug, sorted(name.words)))

    @cached_property
    def _places(self) -> dict[str, set[int]]:
        """Word -> places of the names that have it, or may have it beside them."""
        facts = {slug: beside(self.kind, entry) for slug, entry in self._entries.items()}
        places: dict[str, set[int]] = {}
        for place, name in enumerate(self._names):
            for word in name.words | facts[name.slug]:
                places.setdefault(word, set()).add(place)
        return places

    @cached_property
    def _lines(self) -> dict[str, frozenset[str]]:
        """The product lines that an accelerator's names state: an RTX is no GTX."""
        if self.kind != "gpu":
            return {}
        names = {slug: [entry["name"], *(entry.get("aliases") or ())] for slug, entry in self._entries.items()}
        return {slug: frozenset(words(self.kind, " ".join(texts))) & LINES for slug, texts in names.items()}

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        return self._noise | self._places.keys()

    @cached_property
    def _naming(self) -> frozenset[str]:
        return self._vocabulary - self._noise | LINES

    @cached_property
    def _alphabetic(self) -> tuple[str, ...]:
        return tuple(sorted(word for word in self._vocabulary if word.isalpha()))

    @cached_property
    def _letters(self) -> dict[str, list[str]]:
        return {slug: [word for word in words(self.kind, slug) if word.isalpha()] for slug in self._entries}

    @cached_property
    def _triples(self) -> dict[str, frozenset[str]]:
        return {
            slug: triples([key(self.kind, slug), key(self.kind, str(entry["name"]))])
            for slug, entry in self._entries.items()
        }
