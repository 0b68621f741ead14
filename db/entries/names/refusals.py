"""Names that people ask for and that are not estimated: models of another kind, and products of which no fact is confirmed.

``refusals.jsonl`` has a line a set of names with one reason: ``kind``, ``names``, ``why`` and ``source``. A name with a slash
is one repository; any other is that of a family, and of each name that begins with its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from db.entries.names.derivatives import plain
from db.entries.names.words import NOISE, words

#: Reason -> the sentence that follows a name.
WHY: Mapping[str, str] = {
    "encoder": "it is an encoder, which writes no text",
    "encoder-decoder": "it is an encoder-decoder, and only decoders are estimated",
    "diffusion": "it makes its answer by diffusion, not token after token",
    "speech": "it turns speech into text or text into speech",
    "draft": "it is a draft model, which runs only beside the model that it drafts for",
    "looped": "it runs its layers several times for each token, which the estimate does not count",
    "tiny": "it has fewer than 100 million parameters, and no model so small was measured",
    "unread": "no source of this catalog states its whole shape; `fitgraph catalog import` reads it from its repository",
    "unconfirmed": "its maker has published no figures of it",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the thing called ``name`` is not estimated: a key of :data:`WHY`."""

    name: str
    why: str

    @property
    def sentence(self) -> str:
        return f"{self.name} is known, but not estimated: {WHY[self.why]}"


def refusal(file: Path, kind: str, text: str) -> Refusal | None:
    """The refusal of the repository or family that ``text`` names; None for none."""
    repositories, families = _read(file, kind)
    if (repository := repositories.get(plain(text))) is not None:
        return repository
    asked = _telling(kind, text.rsplit("/", 1)[-1])
    starts = (asked[:length] for length in range(len(asked), 0, -1))
    return next((families[start] for start in starts if start in families), None)


@lru_cache(maxsize=4)
def _read(file: Path, kind: str) -> tuple[Mapping[str, Refusal], Mapping[tuple[str, ...], Refusal]]:
    """Folded repository, with and without its owner -> refusal, and words of a family -> refusal."""
    repositories: dict[str, Refusal] = {}
    families: dict[tuple[str, ...], Refusal] = {}
    for row in map(orjson.loads, file.read_bytes().splitlines()):
        for name in row["names"] if row["kind"] == kind else ():
            if "/" in name:
                repositories |= dict.fromkeys((plain(name), plain(name.split("/")[-1])), Refusal(name, row["why"]))
            else:
                families[_telling(kind, name)] = Refusal(name, row["why"])
    return repositories, families


def _telling(kind: str, name: str) -> tuple[str, ...]:
    return tuple(word for word in words(kind, name) if word not in NOISE.get(kind, ()))
