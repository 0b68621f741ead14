"""Models that names of derivatives mean: the base, and what is said of how it is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from db.entries.names.derivatives import Derivative, derivatives_by_word, is_called, shape_of
from db.entries.names.meanings import AmbiguousNameError, Meaning, listed, taken_as
from db.entries.names.texts.readings import Reading
from db.entries.names.texts.words import NOISE, USES, Entry, beside, words
from estimator.sentences import Sentence, SentenceCode

_KNOWN_BY = {
    "name": "which its name states",
    "card": "which its card states",
    "recalled": "as is recalled of it; its card was not read",
    "shape": "which has the same shape",
    "text": "whose shape its text model has; its towers are not counted",
}
#: A size of a model in its name.
_SIZE = re.compile(r"(?<![^\W_])(?P<size>\d+(?:\.\d+)?b)(?![^\W_])", re.I)


class Bases:
    """Answers to names of derivatives, listed below ``directory``, by the models of a catalog."""

    def __init__(self, models: Mapping[str, Entry], directory: Path) -> None:
        self._models = models
        self._directory = directory

    def described(self, kind: str, text: str, reading: Reading) -> Meaning | None:
        """The base of the derivatives whose names have all words of the text, which no model's name has."""
        if (USES | NOISE["model"]).issuperset(words(kind, reading.name)):
            return None
        known: dict[str, Derivative] = {}
        for name in (reading.name, *derivatives_by_word(self._directory).joined(reading.name)):
            known = known or self._called(kind, name) or self._of_size(kind, name)
        if not known:
            for name in derivatives_by_word(self._directory).completed(reading.name):
                known |= self._called(kind, name)
        if len(known) > 1:
            raise AmbiguousNameError(kind, text, sorted(known), shown=[_shown(known[slug]) for slug in sorted(known)])
        for derivative in known.values():
            meaning = self.of(derivative)
            taken = taken_as(text, derivative.repository)
            return None if meaning is None else Meaning(derivative.base, (taken, *meaning.notes))
        return None

    def _called(self, kind: str, name: str, without: str = "") -> dict[str, Derivative]:
        """The derivatives that a name describes, one a base; their names may leave out the size ``without``."""
        known: dict[str, Derivative] = {}
        for line in derivatives_by_word(self._directory).having(name.replace(without, " ") if without else name):
            base = self._models.get(line.base)
            if base is None or (
                without and (_SIZE.search(line.name) or not _has_size(line.base, base, without.casefold()))
            ):
                continue
            if is_called(line.name, words(kind, name), words(kind, f"{base['name']} {base['publisher']}")):
                known[line.base] = line
        return known

    def _of_size(self, kind: str, name: str) -> dict[str, Derivative]:
        """A registry states the size of the base in its tag, where the name of a repository may leave it out."""
        size = _SIZE.search(name)
        return {} if size is None else self._called(kind, name, size["size"])

    def beside(self, text: str, several: AmbiguousNameError) -> AmbiguousNameError:
        """The choices with the bases of derivatives, where the text begins names of these and none of the models."""
        first, known = words("model", text)[0], derivatives_by_word(self._directory)
        if not known.is_family(first) or any(words("model", slug)[0] == first for slug in several.choices):
            return several
        lines = {line.base: line for line in known.having(text) if words("model", line.name)[0] == first}
        bases = {slug: _shown(line) for slug, line in lines.items() if slug in self._models}
        if bases.keys() <= {*several.choices}:
            return several
        choices = dict.fromkeys((*bases, *several.choices))
        return AmbiguousNameError("model", text, list(choices), shown=[bases.get(slug, slug) for slug in choices])

    def of(self, derivative: Derivative) -> Meaning | None:
        """The meaning of a derivative; None where the catalog lacks its base."""
        base = self._models.get(derivative.base)
        if base is None:
            return None
        known_by, alike = derivative.known_by, self._of_shape(derivative)
        also = f" That shape is also that of {listed(alike)}." if alike else ""
        text = f"{derivative.repository} is estimated as {base['name']}, {_KNOWN_BY[known_by]}.{also}"
        values = {"repository": derivative.repository, "base": derivative.base, "known_by": known_by}
        notes = [Sentence(SentenceCode.BASE_OF_DERIVATIVE, text, **values)]
        if derivative.format is None:
            text = "Its abilities are taken from there, too: its own tuning is not judged."
            notes.append(Sentence(SentenceCode.TUNING_NOT_JUDGED, text, **values))
        if derivative.format == "other":
            name = derivative.repository
            text = f"The format of {name} is not in the catalog; the estimate is of the quantization that is asked for."
            notes.append(Sentence(SentenceCode.QUANT_UNKNOWN, text, name=name, quant="other", nearest=[]))
        return Meaning(derivative.base, tuple(notes), alike, quant=derivative.quant)

    def _of_shape(self, derivative: Derivative) -> tuple[str, ...]:
        """Other models of the shape by which the base of a derivative is known."""
        models = self._models
        if derivative.known_by not in ("shape", "text"):
            return ()
        shape = shape_of(models[derivative.base])
        return tuple(slug for slug in models if slug != derivative.base and shape_of(models[slug]) == shape)


def _shown(derivative: Derivative) -> str:
    return f"{derivative.base} (for {derivative.repository})"


def _has_size(slug: str, entry: Entry, size: str) -> bool:
    return size in words("model", slug) or size in beside("model", entry)
