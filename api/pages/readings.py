"""The entity that a typed name was taken as, for the page to say, with links to the others that it fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from api.catalog.view import CatalogView
from api.errors import ApiError
from db.entries.names.meanings import MAX_CHOICES, Meaning
from estimator.sentences import SentenceCode

#: The query string's name of a text that the search took as the entity of the page.
TYPED = "typed"
#: The address of the same page for the entity that has a slug.
AddressOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence on a name, and the names and addresses that end it."""

    text: str
    links: list[tuple[str, str]]


def typed(meanings: Iterable[Meaning | None]) -> str:
    """The text of a name that fits several entities; empty where none of ``meanings`` leaves anything open."""
    for meaning in meanings:
        for note in () if meaning is None else meaning.notes:
            if note.values.get("others"):
                return str(note.values["name"])
    return ""


def readings(view: CatalogView, kind: str, meaning: Meaning, address_of: AddressOf) -> list[Reading]:
    """What is to be said of the meaning of a name."""
    texts = []
    for note in meaning.notes:
        others = note.values.get("others") if note.code is SentenceCode.NAME_TAKEN_AS else None
        if others:
            text = f"“{note.values['name']}” is taken as {note.values['taken_as']}. It also fits"
            records = [record for slug in others[:MAX_CHOICES] if (record := view.by_slug(kind, slug)) is not None]
            texts.append(Reading(text, [(record.name, address_of(record.slug)) for record in records]))
        else:
            texts.append(Reading(note, []))
    return texts


def of_typed(view: CatalogView, text: str, kind: str, slug: str, address_of: AddressOf) -> list[Reading]:
    """What is to be said of the text of the search that led to the entity of a page; nothing of an empty one."""
    try:
        meaning = view.meaning(kind, text) if text else None
    except ApiError:
        return []
    return [] if meaning is None or meaning.slug != slug else readings(view, kind, meaning, address_of)
