"""Titles of shops: the words of an accelerator among those of its board, its maker and its computer."""

from __future__ import annotations

import re

from db.entries.names.index import NameIndex
from db.entries.names.readings import LAPTOP
from db.entries.names.words import LINES, words

_LINES = LINES | {"geforce", "radeon", "quadro", "tesla", "arc", "instinct", "iris"}
#: A number of so many digits is that of a card in a title.
_TELLING_NUMBER = 4
#: Words of boards that are words of other accelerators too.
_OF_BOARDS = frozenset({"x", "z", "v2", "v3", "sff", "ultra", "mini", "dual", "gddr5", "gddr6", "gddr6x", "gddr7"})
_COUNT = re.compile(r"\(?[x×*]?\d{1,2}[x×*]?\)?")


def card_in_title(text: str, gpus: NameIndex) -> tuple[str, bool]:
    """The words of an accelerator from its product line or number on, without those that no accelerator has, and whether
    the text tells of a laptop; empty where the text has no line or number."""
    tokens = text.split()
    starts = [place for place, token in enumerate(tokens) if _is_line(token) and gpus.knows(token)]
    if not starts:
        return "", False
    start = next((place for place in starts if not tokens[place].isdigit()), starts[0])
    count = tokens[:1] if start and _COUNT.fullmatch(tokens[0]) else []
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
