"""Names that people ask for and that are not estimated: models of another kind, and products of which no fact is confirmed.

``refusals.jsonl`` has a line a set of names with one reason: ``kind``, ``names``, ``why``, ``source``, and of a quantization
``nearest``. A name with a slash
is one repository; one that begins with three points is a word that tells what a thing is, anywhere in its name ("reranker");
any other is that of a family, and of each name that begins with its words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from db.entries.names.derivatives import plain
from db.entries.names.meanings import shortened
from db.entries.names.texts.words import NOISE, words

#: Reason -> the sentence that follows a name.
WHY: Mapping[str, str] = {
    "encoder": "it is an encoder, which writes no text",
    "encoder-decoder": "it is an encoder-decoder, and only decoders are estimated",
    "embedding": "it turns a text into a vector, and writes none",
    "closed": "its weights are not published",
    "phone": "it is a phone, a tablet or the processor of one, and none was measured",
    "console": "it is a game console, which runs none of the engines of this catalog",
    "no-backend": "it is an accelerator that no engine of this catalog runs on",
    "on-chip": "it holds weights in the memory of many chips, which its maker rents as a service and sells as whole systems",
    "configurations": "it is sold with several chips; name its accelerator or its processor",
    "camera": "it is made for the small networks of cameras, and no language model runs on it",
    "diffusion": "it makes its answer by diffusion, not token after token",
    "speech": "it turns speech into text or text into speech",
    "draft": "it is a draft model, which runs only beside the model that it drafts for",
    "tiny": "it has fewer than 100 million parameters, and no model so small was measured",
    "unread": "no source of this catalog states its whole shape; `fitgraph catalog import` reads it from its repository",
    "no-recipe": "no recipe of its sizes is recorded",
    "share": "it is a share of an accelerator, and none was measured; name the accelerator",
    "unconfirmed": "its maker has published no figures of it",
}
_ANYWHERE = "..."
#: An instance of an accelerator in several parts, and a profile of a virtual one, as "A10-8Q".
_SHARE = re.compile(r"\bmig\b|\b\dg\.\d+gb\b|\w-\d{1,3}[abcq]$", re.I)
#: First words so short say too little of a repository.
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the thing called ``name`` is not estimated: a key of :data:`WHY`; ``nearest`` are slugs of what is most like it."""

    name: str
    why: str
    nearest: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        near = f"; nearest to it are {', '.join(self.nearest)}" if self.nearest else ""
        return f"{self.name} is known, but not estimated: {WHY[self.why]}{near}"


def refusal(file: Path, kind: str, text: str) -> Refusal | None:
    """The refusal of the repository or family that ``text`` names, or of the repository whose name begins with it."""
    if kind == "gpu" and _SHARE.search(text):
        return Refusal(shortened(text), "share")
    known = _read(file, kind)
    if (repository := known.repositories.get(plain(text))) is not None:
        return repository
    asked = _telling(kind, text.rsplit("/", 1)[-1])
    starts = (asked[:length] for length in range(len(asked), 0, -1))
    family = next((known.families[start] for start in starts if start in known.families), None)
    if family is None and (major := tuple(word.partition(".")[0] for word in asked)) != asked:
        # A closed model's releases follow one another within a version: "GPT 5.4" is as closed as "GPT 5".
        closed = (known.families.get(major[:length]) for length in range(len(major), 0, -1))
        family = next(
            (Refusal(shortened(text), "closed") for refused in closed if refused and refused.why == "closed"), None
        )
    telling = next((Refusal(shortened(text), known.words[word]) for word in asked if word in known.words), None)
    return telling or family or known.beginnings.get(asked)


@dataclass(frozen=True, slots=True)
class _Known:
    """Refusals by folded repository with and without its owner, by words of a family, and by first words of a repository;
    the reason by a telling word."""

    repositories: dict[str, Refusal]
    families: dict[tuple[str, ...], Refusal]
    beginnings: dict[tuple[str, ...], Refusal]
    words: dict[str, str]


@lru_cache(maxsize=4)
def _read(file: Path, kind: str) -> _Known:
    known = _Known({}, {}, {}, {})
    for row in map(orjson.loads, file.read_bytes().splitlines()):
        for name in row["names"] if row["kind"] == kind else ():
            refused = Refusal(name, row["why"], tuple(row.get("nearest", ())))
            if name.startswith(_ANYWHERE):
                known.words[name.removeprefix(_ANYWHERE)] = refused.why
                continue
            if "/" not in name:
                known.families[_telling(kind, name)] = refused
                continue
            tail = name.split("/")[-1]
            known.repositories.update(dict.fromkeys((plain(name), plain(tail)), refused))
            parts = _telling(kind, tail)
            for length in range(1, len(parts) + 1):
                if len(parts[0]) >= _SHORTEST or length == len(parts):
                    known.beginnings.setdefault(parts[:length], refused)
    return known


def _telling(kind: str, name: str) -> tuple[str, ...]:
    return tuple(word for word in words(kind, name) if word not in NOISE.get(kind, ()))
