"""Names of entities: what resolves to which slug, and what is near a name that does not.

Two layers. *Strong* names are an entity's slug, its display name, a model's repository, and the aliases that its file
lists. *Weak* names are shortened by rule (no vendor word, no memory size, no "Instruct"); one that two entities share
resolves to neither. Conventions of the listed aliases: memory not stated means the largest, core count not stated the
most cores, form factor not stated SXM, laptop not stated the desktop card.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]

_VENDOR_WORDS = frozenset(
    {
        "nvidia", "amd", "intel", "apple", "google", "aws", "huawei", "qualcomm", "geforce", "radeon", "tesla",
        "instinct", "gpu", "graphics", "generation",
    }
)  # fmt: skip
_SYNONYMS = {"mobile": "laptop", "cores": "core", "notebook": "laptop"}
_MEMORY = re.compile(r"^\d+(?:\.\d+)?gi?b$")
_MODEL_SUFFIXES = frozenset({"instruct", "it", "chat", "hf", "gguf", "base"})
#: What publishers append to a repository's name for a re-quantized copy of the same model.
_COPY_SUFFIX = re.compile(
    r"[-_: ](?:instruct|it|chat|hf|gguf|base|latest|qat|mlx|awq|gptq|fp8|nvfp4|bf16|fp16|f16"
    r"|\d ?bit|(?:ud-)?i?q\d\w*)$",
    re.IGNORECASE,
)
_OWNER_PREFIX = re.compile(r"^(?:hf\.co/)?(?:[A-Za-z0-9.-]+/|[A-Za-z0-9-]+_(?=[A-Za-z]))")
#: Shortest weak name: anything shorter would catch unrelated words.
_SHORTEST = 3
MAX_SUGGESTIONS = 5
#: Names are short; longer texts are not looked at.
MAX_NAME_CHARACTERS = 200
_NEAR_ENOUGH = 0.3
_FALLBACK_SUGGESTIONS = 3


class UnknownNameError(KeyError):
    """A name that no entity has. ``suggestions`` are the nearest display names, best first."""

    def __init__(self, kind: str, text: str, suggestions: Sequence[str] = ()) -> None:
        self.kind = kind
        self.text = text
        self.suggestions = tuple(suggestions)
        shown = text if len(text) <= MAX_NAME_CHARACTERS else f"{text[:MAX_NAME_CHARACTERS]}..."
        hint = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        self.message = f"no {kind} is called {shown!r}{hint}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class AliasClash:
    """Two entities of one kind claim the same name: ``winner`` keeps it, ``loser`` needs another."""

    name: str
    winner: str
    loser: str


def tokens(text: str) -> list[str]:
    """Lower-case words of a name, without signs; "16 GB" becomes one word."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = re.sub(r"\((?:tm|r|c)\)|[™®©]", " ", folded)
    folded = re.sub(r"(\d)\s*[- ]?\s*(gi?b)\b", r"\1\2", folded)
    words = (word.strip(".") for word in re.split(r"[^a-z0-9.+]+", folded))
    return [_SYNONYMS.get(word, word) for word in words if word]


def fold(kind: str, text: str) -> str:
    """The comparison form of a name: vendor words dropped for accelerators, their memory size last, signs dropped."""
    words = tokens(text)
    if kind != "gpu":
        return "".join(words) if kind != "quant" else "".join(words).replace(".", "")
    kept = [word for word in words if word not in _VENDOR_WORDS]
    memory = [re.sub(r"ib$", "b", word) for word in kept if _MEMORY.match(word)]
    return "".join([word for word in kept if not _MEMORY.match(word)] + memory)


def strong_names(kind: str, entry: Entry) -> list[str]:
    """Names that belong to the entity without question."""
    names = [entry["slug"], entry["name"]]
    if kind == "model":
        repository = str(entry.get("hf_repo") or "")
        names += [repository, repository.rsplit("/", 1)[-1]] if repository else []
    return [str(name) for name in names]


def weak_names(kind: str, entry: Entry) -> list[str]:
    """Names shortened by rule."""
    if kind == "gpu":
        return _weak_gpu_names(entry)
    if kind == "model":
        short = [_without_suffix(name) for name in strong_names(kind, entry)]
        publisher = str(entry.get("publisher") or "").split(" ")[0]
        return [*short, str(entry.get("ollama_tag") or ""), f"{publisher} {entry['name']}"]
    return []


def _weak_gpu_names(entry: Entry) -> list[str]:
    name = str(entry["name"])
    size = entry.get("memory_gb")
    bare = re.sub(r"\b\d+(?:\.\d+)?\s*-?GB\b", " ", name, flags=re.IGNORECASE)
    bare = re.sub(r"\([^)]*\)", " ", bare) if entry.get("vendor") != "apple" else bare
    # An aftermarket card has its maker's name only with its memory size.
    names = [] if "modded" in name else [bare]
    if size is not None:
        names.append(f"{bare} {size:g} GB")
    for each in tuple(names):
        shorter = re.sub(r"\b(?:RTX|GTX|RX)\s+(?=\d)", "", each, flags=re.IGNORECASE)
        if shorter != each and "Quadro" not in each and "Titan" not in each:
            names.append(shorter)
    return names


def _without_suffix(name: str) -> str:
    words = re.split(r"([-_ ]+)", name)
    while len(words) > 1 and words[-1].casefold() in _MODEL_SUFFIXES:
        words = words[:-2]
    return "".join(words)


def _readings(text: str) -> Iterator[str]:
    """A model's name as written, then without the owner, then without the suffixes of re-quantized copies."""
    yield text
    bare = _OWNER_PREFIX.sub("", text.strip())
    for name in dict.fromkeys((text.strip(), bare)):
        yield name
        while (shorter := _COPY_SUFFIX.sub("", name)) != name:
            name = shorter
            yield name


class AliasIndex:
    """Resolves names of one kind to slugs."""

    def __init__(self, kind: str, entries: Mapping[str, Entry]) -> None:
        self.kind = kind
        self.clashes: list[AliasClash] = []
        self._labels = {slug: str(entry["name"]) for slug, entry in entries.items()}
        self._names: dict[str, str] = {}
        self._trigrams: dict[str, frozenset[str]] | None = None
        for slug in entries:
            self._claim(fold(kind, slug), slug, slug)
        for slug, entry in entries.items():
            for alias in entry.get("aliases") or ():
                self._claim(fold(kind, alias), slug, alias)
        explicit = dict(self._names)
        for slug, entry in entries.items():
            for name in strong_names(kind, entry):
                if fold(kind, name) not in explicit:
                    self._claim(fold(kind, name), slug, name)
        self._add_weak(entries)

    def _claim(self, key: str, slug: str, name: str) -> None:
        holder = self._names.setdefault(key, slug)
        if holder != slug:
            self.clashes.append(AliasClash(name, holder, slug))

    def _add_weak(self, entries: Mapping[str, Entry]) -> None:
        claims: dict[str, set[str]] = {}
        for slug, entry in entries.items():
            for name in weak_names(self.kind, entry):
                key = fold(self.kind, name)
                if len(key) >= _SHORTEST and key not in self._names:
                    claims.setdefault(key, set()).add(slug)
        self._names.update({key: next(iter(slugs)) for key, slugs in claims.items() if len(slugs) == 1})

    def resolve(self, text: str) -> str:
        """Slug of the entity called ``text``. Raises :class:`UnknownNameError` with the nearest names."""
        if len(text) > MAX_NAME_CHARACTERS:
            raise UnknownNameError(self.kind, text)
        for candidate in _readings(text) if self.kind == "model" else (text,):
            slug = self._names.get(fold(self.kind, candidate))
            if slug is not None:
                return slug
        raise UnknownNameError(self.kind, text, self.suggest(text))

    def suggest(self, text: str) -> tuple[str, ...]:
        """Slugs of the entities whose names share most letter triples with ``text``, at most five."""
        if self._trigrams is None:
            self._trigrams = {slug: _triples([slug, label], self.kind) for slug, label in self._labels.items()}
        return _nearest(_triples([text], self.kind), self._trigrams)


def near_names(kind: str, text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of ``names`` that share most letter triples with ``text``, at most five; none for a text too long for a name."""
    if len(text) > MAX_NAME_CHARACTERS:
        return ()
    return _nearest(_triples([text], kind), {name: _triples([name], kind) for name in names})


def _nearest(asked: frozenset[str], known: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    scored = sorted(
        ((_likeness(asked, triples), name) for name, triples in known.items()),
        key=lambda pair: (-pair[0], len(pair[1]), pair[1]),
    )
    near = tuple(name for score, name in scored[:MAX_SUGGESTIONS] if score >= _NEAR_ENOUGH)
    return near or tuple(name for score, name in scored[:_FALLBACK_SUGGESTIONS] if score > 0)


def _triples(names: Iterable[str], kind: str) -> frozenset[str]:
    found: set[str] = set()
    for name in names:
        padded = f"  {fold(kind, name)} "
        found.update(padded[at : at + 3] for at in range(len(padded) - 2))
    return frozenset(found)


def _likeness(asked: frozenset[str], known: frozenset[str]) -> float:
    shared = len(asked & known)
    return 2.0 * shared / (len(asked) + len(known)) if shared else 0.0
