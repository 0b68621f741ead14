"""Names among other words: complete names that a text holds, and accelerators in titles of shops."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from db.entries.names.derivatives import derivatives_by_key, derivatives_by_word, plain
from db.entries.names.index import NameIndex
from db.entries.names.meanings import AmbiguousNameError, HeldNameError, Meaning, not_read, taken_as
from db.entries.names.texts.readings import LAPTOP
from db.entries.names.texts.words import LINES, Entry, words

_LINES = LINES | {"geforce", "radeon", "quadro", "tesla", "arc", "instinct", "iris"}
#: A number of so many digits is that of a card in a title.
_TELLING_NUMBER = 4
#: Words of boards that are words of other accelerators too.
_OF_BOARDS = frozenset({"x", "z", "v2", "v3", "sff", "ultra", "mini", "dual", "gddr5", "gddr6", "gddr6x", "gddr7"})
_COUNT = re.compile(r"\(?[x×*]?\d{1,2}[x×*]?\)?")
#: Letters of writing without gaps.
_HAN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
#: Between a name and what is no part of it.
_APART = re.compile(r"[,;()\[\]{}?!|\"]|\s[-\u2013\u2014]\s|:\s")
#: A part of a text between gaps and signs. A model's name among others is often joined by dashes; an accelerator's is not.
_PIECES = {
    "model": re.compile(rf"[{_HAN}]+|[^\s\-_/:,;()\[\]{{}}<>\"'?!|=@&#{_HAN}]+"),
    "gpu": re.compile(r"[^\s,;()\[\]{}<>\"?!|=@&#]+"),
}
#: A name has at most so many.
_MOST_PIECES = 10
#: A count before a name, as "8xH200", and the same with one gap.
_SPELLED = re.compile(r"(?<!\S)(\d{1,2})\s?[x×*]\s?(?=[a-z])", re.I)
_COUNTED = re.compile(r"(?<!\S)(?P<count>\d{1,2})x\s$")
_TIMES = re.compile(r"\d{1,2}[x×*]|[x×*]\d{1,2}")
_EDGES = " -_/:,;()[]{}<>\"'?!|=@&#."

_Find = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Parts:
    """A text cut at the names in it: the names with their slugs, what stands around them, and what may belong to them: the
    numbers right before them and the pieces right behind."""

    names: list[tuple[str, tuple[str, ...]]]
    around: tuple[str, ...]
    beside: list[str]


class HeldNames:
    """Names of one kind that texts hold among other words, with those of ``derivatives``, lists below a directory.

    ``of_format`` tells whether a piece of a text begins the name of a quantization.
    """

    def __init__(
        self,
        index: NameIndex,
        entries: Mapping[str, Entry],
        of_format: Callable[[str], bool] = lambda _: False,
        derivatives: Path | None = None,
    ) -> None:
        self._index = index
        self._entries = entries
        self._of_format = of_format
        self._lines = None if derivatives is None else derivatives_by_word(derivatives)
        self._derivatives = {} if derivatives is None else derivatives_by_key(derivatives)
        self._pieces = _PIECES[index.kind]
        self._families = frozenset(words(index.kind, slug)[0] for slug in entries)

    def meaning(self, text: str) -> Meaning | None:
        """The one accelerator whose complete name a text holds among letters that no name has; None where it holds no name.

        Raises:
            HeldNameError: with several complete names, or one that is beside no word that may make it another; else with
                those that are named in part beside words that no name has.
        """
        if self._index.kind == "gpu" and (taken := self._taken(text)) is not None:
            return taken
        parts = self._parts(text, self._complete)
        beside = parts.beside if len(parts.names) == 1 else []
        if not parts.names and " " in text:
            parts = self._parts(text, self._partial)
            beside = self._pieces.findall(" ".join(parts.around))
        if not parts.names or any(map(self._may_name, beside)):
            return None
        slugs = dict.fromkeys(slug for _, choices in parts.names for slug in choices)
        names = [name for name, _ in parts.names]
        raise HeldNameError(self._index.kind, text, tuple(slugs), parts.around, names) from None

    def _taken(self, text: str) -> Meaning | None:
        """The one accelerator in a text whose other words are letters that no name has, with the count right before it."""
        spaced = _SPELLED.sub(r"\1x ", text)
        parts = self._parts(spaced, self._complete)
        if len(parts.names) != 1:
            return None
        ((name, (slug, *_)),) = parts.names
        counted = _COUNTED.search(spaced.partition(name)[0])
        bare = [part.removesuffix(counted.group().strip()).strip() if counted else part for part in parts.around]
        if any(map(self._is_word, self._pieces.findall(" ".join(bare)))):
            return None
        note = taken_as(text, str(self._entries[slug]["name"]))
        count = int(counted["count"]) if counted else None
        return Meaning(slug, (note, *not_read(text, [part for part in bare if part])), count=count)

    def _may_name(self, piece: str) -> bool:
        """Whether a piece beside a name may make it that of another entity: a number but for a count, or a word of names."""
        is_telling = any(map(str.isdigit, piece)) or self._index.knows(piece)
        return is_telling and not _TIMES.fullmatch(piece) and not self._of_format(piece)

    def _complete(self, part: str) -> tuple[str, ...]:
        slug = self._index.exact(part) or (self._alone(part) if self._index.kind == "gpu" else None)
        if slug is None and (line := self._derivatives.get(plain(part))) is not None and any(map(str.isdigit, part)):
            slug = line.base
        return () if slug is None or not part[0].isalpha() else (slug,)

    def _alone(self, part: str) -> str | None:
        """The one entity that has all words of a part and needs no further one."""
        try:
            meaning = self._index.find(part)
        except AmbiguousNameError:
            return None
        return None if meaning is None or meaning.notes else meaning.slug

    def _partial(self, part: str) -> tuple[str, ...]:
        if not self._families.intersection(words(self._index.kind, part)[:1]):
            return ()
        try:
            meaning = self._index.find(part)
        except AmbiguousNameError as error:
            return error.choices
        return () if meaning is None else (meaning.slug, *meaning.choices)

    def _is_word(self, piece: str) -> bool:
        """Whether names have a piece of text, or may have it: a number."""
        of_derivative = self._lines is not None and self._lines.has_word(piece)
        return any(map(str.isdigit, piece)) or of_derivative or self._index.knows(piece)

    def _parts(self, text: str, find: _Find) -> _Parts:
        known = self._places(text, find)
        edges = [0, *chain(*sorted(known)), len(text)]
        between = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        before = (self._pieces.findall(_APART.split(part)[-1])[-1:] for part in between[:-1])
        behind = (self._pieces.findall(_APART.split(part)[0])[:1] for part in between[1:])
        numbers = (piece for piece in chain(*before) if any(map(str.isdigit, piece)))
        return _Parts(
            [(text[start:end], known[start, end]) for start, end in sorted(known)],
            tuple(filter(None, (part.strip(_EDGES) for part in between))),
            [*numbers, *chain(*behind)],
        )

    def _places(self, text: str, find: _Find) -> dict[tuple[int, int], tuple[str, ...]]:
        """Start and end of the longest parts of a text that ``find`` knows, each with its slugs."""
        pieces = [(match.start(), match.end(), self._is_word(match.group())) for match in self._pieces.finditer(text)]
        known: dict[tuple[int, int], tuple[str, ...]] = {}
        for length in range(min(len(pieces), _MOST_PIECES), 0, -1):
            for place in range(len(pieces) - length + 1):
                run = pieces[place : place + length]
                start, end = run[0][0], run[-1][1]
                is_free = all(end <= left or start >= right for left, right in known)
                if is_free and all(is_word for *_, is_word in run) and (slugs := find(text[start:end])):
                    known[start, end] = slugs
        return known


def card_in_title(text: str, gpus: NameIndex) -> tuple[str, bool]:
    """The words of an accelerator from its product line or number on, without those that no accelerator has, and whether
    the text tells of a laptop; empty where the text has no line or number."""
    tokens = text.split()
    starts = [place for place, token in enumerate(tokens) if _is_line(token) and gpus.knows(token)]
    if not starts:
        return "", False
    start = next((place for place in starts if not tokens[place].isdigit()), starts[0])
    count = [tokens[0]] if start and _COUNT.fullmatch(tokens[0]) else []
    count = count or [token for token in tokens[max(start - 1, 0) : start] if _TIMES.fullmatch(token)]
    behind = [tokens[place] for place in range(start + 1, len(tokens)) if not _is_of_board(tokens, place, gpus)]
    kept = [tokens[start], *behind]
    if not gpus.fits(" ".join(kept)):
        kept = [token for token in kept if token.casefold() not in _OF_BOARDS]
    return " ".join([*count, *kept]), LAPTOP.search(" ".join(tokens[:start])) is not None


def _is_line(token: str) -> bool:
    return any(word in _LINES or (word.isdigit() and len(word) >= _TELLING_NUMBER) for word in words("gpu", token))


def _is_of_board(tokens: list[str], place: int, gpus: NameIndex) -> bool:
    """Whether a word is one that no accelerator has, or a number right behind such a word, as in "Merc 310"."""
    is_number = tokens[place].isdigit()
    return any(not gpus.knows(token) and _is_foreign(token) for token in tokens[place - is_number : place + 1])


def _is_foreign(token: str) -> bool:
    """Whether an unknown word is one of letters first, which tells no number of a card and no count."""
    first = words("gpu", token)[:1]
    return not any(map(str.isdigit, "".join(first))) and not _COUNT.fullmatch(token)
