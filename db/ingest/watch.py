"""One look at the hub: new repositories of listed publishers and of the chart -> import -> check -> what changed.

``watch.json`` of the catalog lists the publishers, how many of their newest repositories are looked at, and how many of the
most downloaded ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import Field

from db.entries.derivatives import DIRECTORY as DERIVATIVES
from db.entries.files import Catalog
from db.entries.schema import Name, Shape
from db.ingest.batch import import_sources
from db.ingest.hub import Hub
from db.ingest.outcomes import Outcome
from db.ingest.review.differences import Change, differences, state_of_folder
from db.ingest.sources import Source
from db.ingest.writing import SET_ASIDE, read_lines, write_checked

FILE = "watch.json"


class WatchList(Shape):
    """Whom a watch looks at; counts are of repositories."""

    publishers: list[Name]
    newest: Annotated[int, Field(ge=0, le=1000)]
    top: Annotated[int, Field(ge=0, le=10_000)]


@dataclass(frozen=True, slots=True)
class WatchReport:
    """Outcomes of the repositories that were new, and what of the catalog changed."""

    outcomes: list[Outcome]
    changes: list[Change]


def watch_list(root: Path) -> WatchList:
    """The list of a catalog. Raises :class:`pydantic.ValidationError`."""
    return WatchList.model_validate(orjson.loads((root / FILE).read_bytes()))


def watch_once(catalog: Catalog, root: Path, watched: WatchList, hub: Hub, day: str, *, write: bool) -> WatchReport:
    """Look once, and with ``write`` let in what passes; ``catalog`` is that of ``root``.

    Raises:
        SourceError: the hub does not answer for its lists.
    """
    known = _known(catalog, root)
    new = [Source(name) for name in _named(watched, hub) if name.casefold() not in known]
    outcomes = import_sources(new, catalog, day, hub)
    if not write or not outcomes:
        return WatchReport(outcomes, [])
    before = state_of_folder(root)
    outcomes = write_checked(root, outcomes, catalog, day)
    return WatchReport(outcomes, list(differences(before, state_of_folder(root))))


def _named(watched: WatchList, hub: Hub) -> Iterator[str]:
    """Repositories of the lists, each once."""
    repositories: set[str] = set()
    for publisher in watched.publishers if watched.newest else ():
        repositories.update(hub.newest_of(publisher, watched.newest))
    if watched.top:
        repositories.update(hub.top(watched.top))
    yield from sorted(repositories, key=str.casefold)


def _known(catalog: Catalog, root: Path) -> set[str]:
    """Repositories that were judged before, folded."""
    rows = [row for path in (root / DERIVATIVES).glob("*.jsonl") for row in read_lines(path)]
    names = [row["repository"] for row in rows] + [row["source"] for row in read_lines(root / SET_ASIDE)]
    return {name.casefold() for name in (*names, *(str(entry["hf_repo"]) for entry in catalog.models.values()))}
