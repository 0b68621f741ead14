"""A text that names a model, an accelerator, or both, as people type it into one box."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from api.catalog.search import relevance
from api.catalog.view import CatalogView
from api.errors import NotFoundError
from db.entries.names.meanings import Meaning

#: Texts of more words are no names.
_MAX_WORDS = 16
#: Words of a question around the names.
_QUESTION = frozenset((
    "best", "can", "card", "could", "do", "does", "enough", "fast", "fit", "fits", "get", "gets", "good", "gpu", "has",
    "have", "how", "i", "is", "it", "llm", "local", "locally", "many", "model", "much", "per", "run", "running", "runs",
    "second", "should", "speed", "token", "tokens", "we", "what", "which", "will", "would", "you",
))  # fmt: skip
_ARTICLES = frozenset(("a", "an", "my", "our", "the", "your"))
#: Words that stand between the two names.
_BETWEEN = frozenset(("on", "with", "for", "in", "and", "at", "+", "@", "/", "|", "&", "-", "vs"))
#: Those of them behind which the machine stands.
_UPON = frozenset(("on", "@"))
_MAX_NEAR = 12
#: A number of weights alone, as "70B", names no model, and no card whose number it is.
_SIZE = re.compile(r"\d+(?:\.\d+)?\s*b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Meant:
    """The model and the accelerator that a text names; None for one that it does not name."""

    model: Meaning | None = None
    gpu: Meaning | None = None

    @property
    def names_something(self) -> bool:
        """Whether the text names a model or an accelerator."""
        return self.model is not None or self.gpu is not None

    @property
    def names_both(self) -> bool:
        return self.model is not None and self.gpu is not None

    @property
    def is_plain(self) -> bool:
        """Whether the text leaves nothing open."""
        return all(not meaning.notes for meaning in (self.model, self.gpu) if meaning is not None)


@dataclass(frozen=True, slots=True)
class Near:
    """Slugs whose names are near a text, best first."""

    models: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()


def meant(view: CatalogView, text: str) -> Meant:
    """The entities that a text or question names. A reading that leaves nothing open wins, then one of both names."""
    words = text.split()
    bare = _without_question(words)
    if bare != words and words[0].casefold() in _QUESTION:
        return _of_words(view, bare)
    named = _of_words(view, words)
    return named if named.names_something or bare == words else _of_words(view, bare)


def _without_question(words: list[str]) -> list[str]:
    """The words that may be of names: an article is one only within a name, as in "command a"."""
    kept: list[str] = []
    before = ""
    for word in (word.strip("?!,;") for word in words):
        folded = word.casefold()
        opens = not before or before in _BETWEEN or before in _QUESTION
        if word and folded not in _QUESTION and not (folded in _ARTICLES and opens):
            kept.append(word)
        before = folded
    while kept and kept[0].casefold() in _BETWEEN:
        kept.pop(0)
    while kept and kept[-1].casefold() in _BETWEEN:
        kept.pop()
    return kept


def _of_words(view: CatalogView, words: list[str]) -> Meant:
    kept: Meant | None = None
    for reading in _readings(view, words):
        if reading.is_plain:
            return reading
        if kept is None or (reading.names_both and not kept.names_both):
            kept = reading
    return kept or Meant()


def near(view: CatalogView, text: str) -> Near:
    """Entities whose names have all words of a text, else those with names that look alike."""
    related = Near(*(_related(view, kind, text) for kind in ("model", "gpu")))
    if related.models or related.gpus:
        return related
    return Near(*(_alike(view, kind, text) for kind in ("model", "gpu")))


def half_meant(view: CatalogView, text: str) -> tuple[Meant, str] | None:
    """The known name of a model on a machine, and the text in the place of the other; None where both or none are known."""
    words = _without_question(text.split())
    for place in range(1, min(len(words), _MAX_WORDS) - 1):
        if words[place].casefold() in _UPON:
            first, second = " ".join(words[:place]), " ".join(_without_question(words[place + 1 :]))
            model, gpu = _meaning(view, "model", first), _meaning(view, "gpu", second)
            if (model is None) != (gpu is None) and first and second:
                return Meant(model, gpu), second if gpu is None else first
    return None


def _related(view: CatalogView, kind: str, text: str) -> tuple[str, ...]:
    records = view.models if kind == "model" else view.gpus
    scores = {record.slug: relevance(text, [record.name, record.slug, *record.aliases]) for record in records}
    slugs = [slug for slug, score in scores.items() if score > 0]
    return tuple(sorted(slugs, key=lambda slug: (-scores[slug], slug))[:_MAX_NEAR])


def _alike(view: CatalogView, kind: str, text: str) -> tuple[str, ...]:
    try:
        return (view.meaning(kind, text).slug,)
    except NotFoundError as error:
        return tuple(map(str, error.extensions["suggestions"]))


def _readings(view: CatalogView, words: list[str]) -> Iterator[Meant]:
    text = " ".join(words)
    if not 1 <= len(words) <= _MAX_WORDS:
        return
    if model := _meaning(view, "model", text):
        yield Meant(model=model)
    if gpu := _meaning(view, "gpu", text):
        yield Meant(gpu=gpu)
    for first, second in _cuts(words):
        for model_text, gpu_text in ((first, second), (second, first)):
            model = _meaning(view, "model", model_text)
            gpu = None if model is None else _meaning(view, "gpu", gpu_text)
            if gpu is not None:
                yield Meant(model, gpu)


def _cuts(words: list[str]) -> Iterator[tuple[str, str]]:
    """Two parts of a text: around a word that stands between names, then between any two words."""
    joints = [place for place in range(1, len(words) - 1) if words[place].casefold() in _BETWEEN]
    for place in joints:
        yield " ".join(words[:place]), " ".join(words[place + 1 :])
    for place in range(1, len(words)):
        if place not in joints and place - 1 not in joints:
            yield " ".join(words[:place]), " ".join(words[place:])


def _meaning(view: CatalogView, kind: str, text: str) -> Meaning | None:
    if _SIZE.fullmatch(text):
        return None
    try:
        return view.meaning(kind, text)
    except NotFoundError:
        return None
