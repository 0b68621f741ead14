"""The published state of the catalog in a few figures."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from db.entries.store import count_shown
from db.fits import generations
from db.fits.generations import Generation, current_generation_sync
from db.runs.store import RunRow, page_runs_sync


@dataclass(frozen=True, slots=True)
class CatalogState:
    """Published revision, generation and counts; ``last_run`` is the newest run of any state."""

    revision: str
    generation: Generation | None
    models: int
    gpus: int
    quants: int
    workloads: int
    engines: int
    hosts: int
    computers: int
    prices: int
    last_run: RunRow | None


def catalog_state(connection: Connection) -> CatalogState:
    """The state that this release has published, in three small statements."""
    generation = current_generation_sync(connection)
    counts = {f"{kind}s": count for kind, count in count_shown(connection, generations.LAYOUT).items()}
    runs = page_runs_sync(connection, limit=1)
    return CatalogState(
        revision="" if generation is None else generation.revision,
        generation=generation,
        last_run=runs[0] if runs else None,
        **counts,
    )
