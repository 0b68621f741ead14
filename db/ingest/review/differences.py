"""Differences between two states of the catalog, field by field, with both values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from db.entries.derivatives import DIRECTORY as DERIVATIVES
from db.entries.files import DIRECTORIES, load_catalog

_ABSENT = object()
State = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``field`` is a path with dots, None where the entity itself was added (``before`` None) or removed
    (``after`` None); a field that only one side has is None on the other."""

    kind: str
    slug: str
    field: str | None
    before: Any
    after: Any

    @property
    def sort(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.field is not None:
            return "changed"
        return "added" if self.before is None else "removed"

    def as_json(self) -> dict[str, Any]:
        values = {"before": self.before, "after": self.after} if self.field is not None else {}
        return {"change": self.sort, "kind": self.kind, "slug": self.slug, "field": self.field, **values}


def state_of_folder(root: Path) -> dict[str, dict[str, Any]]:
    """Kind -> slug -> entry of a folder of catalog files, derivatives included. Raises :class:`CatalogError`."""
    catalog = load_catalog(root)
    state: dict[str, dict[str, Any]] = {kind: dict(catalog.entries(kind)) for kind in DIRECTORIES}
    state["derivative"] = {
        row["repository"]: row
        for path in sorted((root / DERIVATIVES).glob("*.jsonl"))
        for row in map(orjson.loads, path.read_bytes().splitlines())
    }
    return state


def differences(before: State, after: State) -> Iterator[Change]:
    """Changes from one state to another by kind and slug; kinds that only one side knows are left out."""
    for kind in [kind for kind in before if kind in after]:
        old, new = before[kind], after[kind]
        for slug in sorted({*old, *new}):
            if slug not in old:
                yield Change(kind, slug, None, None, new[slug])
            elif slug not in new:
                yield Change(kind, slug, None, old[slug], None)
            else:
                yield from changes_between(kind, slug, old[slug], new[slug])


def changes_between(kind: str, slug: str, old: Any, new: Any, place: str = "") -> Iterator[Change]:
    """Fields whose values differ, within nested objects; lists are compared as a whole."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            within = f"{place}.{key}" if place else str(key)
            yield from changes_between(kind, slug, old.get(key, _ABSENT), new.get(key, _ABSENT), within)
    elif old is _ABSENT or new is _ABSENT or old != new:
        yield Change(kind, slug, place, *(None if value is _ABSENT else value for value in (old, new)))
