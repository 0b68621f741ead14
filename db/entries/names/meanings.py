"""Answers to a name: what it means and what it was taken as, or why it means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS
from estimator.sentences import Sentence, SentenceCode

MAX_CHOICES = 8


class UnknownNameError(KeyError):
    """A name that no entity has, or that several have. ``suggestions`` are slugs, best first; ``told`` is the message without
    them."""

    def __init__(
        self, kind: str, text: str, suggestions: Sequence[str] = (), reason: str | None = None, advice: str = ""
    ) -> None:
        self.kind = kind
        self.text = text
        self.suggestions = tuple(suggestions)
        #: Why no entity is meant, where it is not that none has the name.
        self.reason = None if reason is None else reason + advice
        self.told = f"no {kind} is called {shortened(text)!r}" if reason is None else reason
        hint = f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        self.message = self.reason or self.told + hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class AmbiguousNameError(UnknownNameError):
    """A name that several entities have, without a rule that prefers one. ``suggestions`` are the slugs; ``instead`` is what
    may be named beside them, ``shown`` the choices with what tells them apart."""

    def __init__(
        self, kind: str, text: str, choices: Sequence[str], instead: str = "", *, shown: Sequence[str] = ()
    ) -> None:
        advice = f": {listed(shown or choices)}; name one of them{instead}"
        super().__init__(kind, text, choices[:MAX_CHOICES], f"{shortened(text)!r} fits several entries", advice)
        #: All slugs that have the name; ``suggestions`` are the first of them.
        self.choices = tuple(choices)


class HeldNameError(UnknownNameError):
    """A text that holds complete names beside words that may be a remark, or a part of another name. ``suggestions`` are the
    slugs, ``shown`` the names; no entity has the whole text as its name."""

    def __init__(self, kind: str, text: str, held: Sequence[str], around: Sequence[str], shown: Sequence[str]) -> None:
        also, several = ", ".join(map(repr, around)), " one of" if len(held) > 1 else ""
        beside = f", and {also} may be a part of another name" if also else ""
        reason = f"{shortened(text)!r} holds the name of {listed(shown)}{beside}"
        advice = f"; name{several} {listed(held)} by itself if it is meant"
        super().__init__(kind, text, held[:MAX_CHOICES], reason, advice)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The entity that a text names.

    ``notes`` say what the text was taken as where it left something open or had a typing error; ``choices`` are slugs of the
    others that it fits. ``count`` is the number of accelerators that the text states, ``quant`` the quantization in the
    name of a model's file or repository.
    """

    slug: str
    notes: tuple[Sentence, ...] = ()
    choices: tuple[str, ...] = ()
    count: int | None = None
    quant: str | None = None

    @property
    def note(self) -> str | None:
        """The notes as one text; None for none."""
        return " ".join(self.notes) or None


@dataclass(frozen=True, slots=True)
class AliasClash:
    """Two entities of one kind claim the same name: ``winner`` keeps it, ``loser`` needs another."""

    name: str
    winner: str
    loser: str


@dataclass(frozen=True, slots=True)
class Fits:
    """Entities that have all words of a text: slug -> whether by an own name in full, in full, or with words left out."""

    own: tuple[str, ...]
    full: tuple[str, ...]
    partial: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.full or self.partial)

    @property
    def slugs(self) -> tuple[str, ...]:
        return (*self.full, *self.partial)


NOTHING = Fits((), (), ())


def listed(slugs: Sequence[str]) -> str:
    """The first of some slugs, and the number of the rest."""
    rest = f" and {len(slugs) - MAX_CHOICES} more" if len(slugs) > MAX_CHOICES else ""
    return ", ".join(slugs[:MAX_CHOICES]) + rest


def taken_as(text: str, name: str, others: Sequence[str] = ()) -> Sentence:
    """The sentence that states a choice."""
    also = f"; it also fits {listed(others)}" if others else ""
    told, code = shortened(text), SentenceCode.NAME_TAKEN_AS
    return Sentence(code, f"{told!r} is taken as {name}{also}.", name=told, taken_as=name, others=list(others))


def not_read(text: str, parts: Sequence[str]) -> tuple[Sentence, ...]:
    """The sentence on parts of a text that no name states; none for no part."""
    if not parts:
        return ()
    told, also = shortened(text), ", ".join(parts)
    message = f"{also!r} of {told!r} is not read: it is no part of the name, and is stated by itself."
    return (Sentence(SentenceCode.PART_NOT_READ, message, name=told, parts=list(parts)),)


def shortened(text: str) -> str:
    """A text for a message: at most a name's length."""
    return text if len(text) <= MAX_NAME_CHARACTERS else f"{text[:MAX_NAME_CHARACTERS]}..."
