"""Exact names of the entities of one kind: slugs, display names, repositories, tags and listed aliases."""

from __future__ import annotations

from collections.abc import Mapping

from db.entries.names.meanings import AliasClash
from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS
from db.entries.names.texts.words import Entry, key, own_names, tags


class ExactNames:
    """Slugs by exact name, without regard to case, signs and gaps; ``clashes`` are the names that two entities list."""

    def __init__(self, kind: str, entries: Mapping[str, Entry]) -> None:
        self.kind = kind
        self.clashes: list[AliasClash] = []
        self._entries = entries
        self._exact: dict[str, str] = {}
        self._own: set[str] = set()
        #: Tag -> the one entity that lists it.
        self._tagged: dict[str, str] = {}
        self._claim_all()

    def _claim_all(self) -> None:
        for slug in self._entries:
            self._claim(slug, slug)
            self._own.add(key(self.kind, slug))
        for slug, entry in self._entries.items():
            for alias in entry.get("aliases") or ():
                self._claim(alias, slug)
        listed = dict(self._exact)
        shared: dict[str, set[str]] = {}
        listing: dict[str, set[str]] = {}
        for slug, entry in self._entries.items():
            for name in own_names(self.kind, entry):
                if key(self.kind, name) not in listed:
                    self._claim(name, slug)
                    self._own.add(key(self.kind, name))
            for tag in tags(self.kind, entry):
                shared.setdefault(key(self.kind, tag), set()).add(slug)
                listing.setdefault(tag.casefold(), set()).add(slug)
        self._tagged = {tag: next(iter(slugs)) for tag, slugs in listing.items() if len(slugs) == 1}
        for known, slugs in shared.items():
            if len(slugs) == 1 and known not in self._exact:
                self._exact[known] = next(iter(slugs))
                self._own.add(known)

    def _claim(self, name: str, slug: str) -> None:
        holder = self._exact.setdefault(key(self.kind, name), slug)
        if holder != slug:
            self.clashes.append(AliasClash(name, holder, slug))

    def exact(self, text: str) -> str | None:
        """Slug of the entity that has exactly this name; None when none has."""
        return self._exact.get(key(self.kind, text)) if len(text) <= MAX_NAME_CHARACTERS else None

    def named(self, text: str) -> str | None:
        """Slug of the entity to which this name belongs without question; None when none has it. A registry's tag belongs to
        the entity that lists it, whatever other has its words."""
        slug = self.exact(text)
        tagged = self._tagged.get(text.casefold()) if ":" in text else None
        if tagged is not None and slug not in (None, tagged):
            return tagged
        return slug if slug is not None and key(self.kind, text) in self._own else None
