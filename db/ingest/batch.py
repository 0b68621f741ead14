"""An import of many sources: each is read once, models before what derives from them, and a failure is one entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from db.entries.files import Catalog
from db.ingest.hub import Hub
from db.ingest.outcomes import Outcome, assess
from db.ingest.snapshots import Snapshot, SourceError, UnreachedError
from db.ingest.sources import Source, read_source


def import_sources(sources: Iterable[Source], catalog: Catalog, day: str, hub: Hub | None = None) -> list[Outcome]:
    """Outcomes of ``sources`` against ``catalog``, which stays as it is; ``day`` is that of the import (ISO)."""
    snapshots = []
    for source in dict.fromkeys(sources):
        try:
            if hub is None and source.is_repository:
                hub = Hub()
            snapshots.append(read_source(source, hub))
        except SourceError as error:
            unreached = isinstance(error, UnreachedError)
            snapshots.append(Snapshot(source.place, source.repository, unread=str(error), is_unreached=unreached))
    return assess_all(snapshots, catalog, day)


def assess_all(snapshots: Iterable[Snapshot], catalog: Catalog, day: str) -> list[Outcome]:
    """Outcomes in the order of ``snapshots``; one that names its base may have it among the others."""
    grown = replace(catalog, models=dict(catalog.models))
    ordered = list(enumerate(snapshots))
    outcomes: dict[int, Outcome] = {}
    for index, snapshot in sorted(ordered, key=lambda pair: bool(pair[1].card.base_models)):
        outcomes[index] = outcome = assess(snapshot, grown, day)
        if outcome.kind == "model" and outcome.entry is not None and outcome.slug is not None:
            grown.models[outcome.slug] = outcome.entry
    return [outcomes[index] for index, _ in ordered]
