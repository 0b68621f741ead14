"""Repositories of derivatives by name: read when a name is asked for that no entity has."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from db.entries.names.texts.words import NOISE, OF_FILES, words


@dataclass(frozen=True, slots=True)
class Derivative:
    """A repository whose fits are those of ``base``, a slug. ``format`` is the slug of its quantization, None for 16 bits,
    ``gguf`` for GGUF files of several types, ``other`` for a format that the catalog does not have.

    ``known_by``: ``name`` or ``card`` where its name or card states the base, ``shape`` where its dimensions and parameter
    count are those of the base, ``text`` where the dimensions of its text model are, ``recalled`` where nothing was read.
    """

    repository: str
    base: str
    known_by: str
    format: str | None

    @property
    def quant(self) -> str | None:
        """Slug of the one quantization that it holds."""
        return None if self.format in _NO_QUANT else self.format

    @property
    def name(self) -> str:
        """The repository without its owner."""
        return self.repository.split("/")[-1]


#: Formats that tell no quantization of the catalog.
_NO_QUANT = (None, "gguf", "other")
_SHORTEST_NAME = 3
_SHORTEST_BEGINNING = 5
#: Between the words of an owner's name, as in "NousResearch".
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FEWEST_OF_FAMILY = 3
#: Words of a name that another model of the same family lacks: what it reads or writes, and its grade.
_VARIANTS = frozenset(
    {"vl", "vision", "omni", "audio", "ocr", "coder", "code", "math", "guard", "reward", "embedding", "reranker", "flash", "lite",
     "mini", "nano", "tiny"}
)  # fmt: skip
_SHAPE = ("architecture", "hidden_size", "n_layers", "n_heads", "n_kv_heads", "intermediate_size", "vocab_size", "moe")
_GAPS = str.maketrans("", "", " _-/:")


def plain(text: str) -> str:
    """The comparison form of a repository: lower case without gaps, which thousands of names need quickly."""
    return text.casefold().translate(_GAPS)


def shape_of(model: Mapping[str, Any]) -> tuple[Any, ...]:
    """The dimensions of a model, which fine-tunes and releases of one base share."""
    return tuple(model.get(key) for key in _SHAPE)


#: The words of a quantized copy's name beside the name of its base: formats and their settings.
_OF_FORMAT = re.compile(
    r"(?:awq|gptq|mlx|fp8|nvfp4|mxfp4|fp4|int[48]|w4a16|w8a8|w8a16|[48]bits?|dynamic|block|static|g?(?:32|64|128)g?|marlin|sym|dq"
    r"|quantized|compressedtensors|v\d)+"
)


def checkpoints_of(directory: Path, models: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Base -> slug of a quantization -> the repository of the base's own weights in it.

    Fine-tunes are left out: the name must be that of the base's repository and words of formats. The repository
    of the base's publisher comes first, then that of the owner with most lines.
    """
    rows = [row for row in _rows(directory) if row["format"] not in _NO_QUANT and row["known_by"] in ("name", "card")]
    lines = Counter(_owner(row["repository"]) for row in rows)
    best: dict[tuple[str, str], tuple[bool, int, str]] = {}
    for row in rows:
        repository, base = row["repository"], models.get(row["base"])
        if base is None or not base.get("hf_repo") or not _is_copy(repository, base["hf_repo"]):
            continue
        owner = _owner(repository)
        rank = (owner != _owner(base["hf_repo"]), -lines[owner], repository)
        place = (row["base"], row["format"])
        best[place] = min(best.get(place, rank), rank)
    known: dict[str, dict[str, str]] = {}
    for (slug, quant), (_, _, repository) in sorted(best.items()):
        known.setdefault(slug, {})[quant] = repository
    return known


def _is_copy(repository: str, original: str) -> bool:
    before, match, after = _letters_of(repository).partition(_letters_of(original))
    return bool(match) and _OF_FORMAT.fullmatch(before + after) is not None


@cache
def _letters_of(repository: str) -> str:
    return re.sub(r"[^a-z0-9]", "", repository.split("/")[-1].casefold())


def _owner(repository: str) -> str:
    return repository.split("/")[0]


def _rows(directory: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(directory.glob("*.jsonl")):
        yield from map(orjson.loads, path.read_bytes().splitlines())


@lru_cache(maxsize=2)
def _read(directory: Path) -> tuple[Derivative, ...]:
    return tuple(Derivative(row["repository"], row["base"], row["known_by"], row["format"]) for row in _rows(directory))


def recalled_repositories(directory: Path) -> list[str]:
    """Repositories whose base nobody read."""
    return [derivative.repository for derivative in _read(directory) if derivative.known_by == "recalled"]


@lru_cache(maxsize=2)
def derivatives_by_key(directory: Path) -> Mapping[str, Derivative]:
    """Folded repository -> derivative, and folded name without the owner where all owners' ones are alike."""
    tails: dict[str, Derivative | None] = {}
    for derivative in _read(directory):
        other = tails.setdefault(plain(derivative.name), derivative)
        if other is not None and (other.base, other.format) != (derivative.base, derivative.format):
            tails[plain(derivative.name)] = None
    known = {plain(derivative.repository): derivative for derivative in _read(directory)}
    return {tail: derivative for tail, derivative in tails.items() if derivative is not None} | known


class DerivativeWords:
    """Derivatives by the words of their names, owners left out."""

    def __init__(self, derivatives: Sequence[Derivative]) -> None:
        self._derivatives = derivatives
        self._places: dict[str, set[int]] = {}
        self._owned: dict[str, set[int]] = {}
        firsts: Counter[str] = Counter()
        for place, derivative in enumerate(derivatives):
            known = words("model", derivative.name)
            firsts.update(known[:1])
            for word in known:
                self._places.setdefault(word, set()).add(place)
            for word in words("model", _CAPITAL.sub(" ", _owner(derivative.repository))):
                self._owned.setdefault(word, set()).add(place)
        self._sorted = sorted(self._places)
        self._families = {word for word, times in firsts.items() if times >= _FEWEST_OF_FAMILY and word.isalpha()}

    def is_family(self, word: str) -> bool:
        """Whether names of derivatives begin with a word often enough that it is no typing error."""
        return word in self._families

    def has_word(self, text: str) -> bool:
        """Whether the text is a word of names of derivatives."""
        return text.casefold() in self._places

    def joined(self, text: str) -> Iterator[str]:
        """The text with two of its words, then all such ones, as the one that a name has: "stable beluga" is "StableBeluga"."""
        asked = words("model", text)
        places = [
            place
            for place, (left, right) in enumerate(pairwise(asked))
            if left.isalpha() and right.isalpha() and left + right in self._places
        ]
        for joined in [*([place] for place in places), *([places] if len(places) > 1 else [])]:
            yield "".join(word if place in joined else f"{word} " for place, word in enumerate(asked)).strip()

    def completed(self, text: str) -> Iterator[str]:
        """The text with its first word as a longer one of names: "wizard 8x22b" is of WizardLM."""
        first, *rest = words("model", text) or [""]
        place = bisect_right(self._sorted, first) if first.isalpha() and len(first) >= _SHORTEST_BEGINNING else None
        while place is not None and place < len(self._sorted) and self._sorted[place].startswith(first):
            yield " ".join([self._sorted[place], *rest])
            place += 1

    def having(self, text: str) -> Iterator[Derivative]:
        """Derivatives whose names have all words of ``text``, one of which must be a name; longest names first.

        A first word may be that of their owner: "nous hermes" is of NousResearch.
        """
        told = words("model", text)
        asked = [word for word in told if word not in NOISE["model"]]
        named = [self._places.get(word, set()) for word in asked]
        if not any(places and _is_name(word) for word, places in zip(asked, named, strict=True)):
            return iter(())
        if len(asked) > 1 and not set.intersection(*named) and asked[0] == told[0]:
            named[0] = self._owned.get(asked[0], set())
        places = set.intersection(*named)
        having = [self._derivatives[place] for place in places]
        return iter(sorted(having, key=lambda derivative: (-len(derivative.repository), derivative.repository)))


def _is_name(word: str) -> bool:
    """Whether a word may name something by itself: letters, or a number of many digits, as in "R1 1776"."""
    return len(word) >= _SHORTEST_NAME and (word.isalpha() or (word.isdigit() and len(word) > _SHORTEST_NAME))


@lru_cache(maxsize=2)
def derivatives_by_word(directory: Path) -> DerivativeWords:
    """The derivatives of a catalog, found by words."""
    return DerivativeWords(_read(directory))


def is_called(name: str, asked: Sequence[str], base: Sequence[str]) -> bool:
    """Whether words describe a derivative called ``name``, not a part of its name that says something else.

    All its words are asked for, or its first word of its own, beside the words of its base, or two of them, and none that makes
    it another model is left out: "GLM 4.6V" is no "GLM-4.6V-Flash". A version asked for follows the word that it followed:
    "grok 2" is no "dolphin-grok-instruct-2".
    """
    known = words("model", name)
    if not _VARIANTS.isdisjoint({*known} - {*asked}):
        return False
    shared = NOISE["model"].union(OF_FILES, base, (left for left, right in pairwise(known) if right == "bit"))
    own = [word for word in known if word not in shared and word.isalpha() and len(word) > 1]
    versions = {
        pair for pair in pairwise(asked) if pair[0].isalpha() and pair[1][0].isdigit() and not pair[1][-1].isalpha()
    }
    follows = {*pairwise(known), *pairwise(base)}
    called = bool(own) and (own[0] in asked or len({*own} & {*asked}) > 1) and versions <= follows
    of_another = {left for left, right in pairwise(known) if right[0].isdigit() and not right[-1].isalpha()}
    rest = {*known} - shared
    in_full = bool(rest) and rest <= {*asked} and of_another.isdisjoint(left for left, _ in versions - follows)
    return called or in_full
