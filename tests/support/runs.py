"""A whole run in the process of a test or a bench."""

from __future__ import annotations

import time

from db.entries.files import Catalog
from db.outages import is_outage
from db.runs.leases import free_blocks
from db.runs.store import RunRow, get_run_sync, open_blocks
from db.session import sync_engine
from db.settings import Settings
from workers.blocks import OUTAGE_PAUSE_S, compute_one
from workers.publish import publish_one
from workers.runs import start_run


def run_in_process(
    settings: Settings, catalog: Catalog, *, cause: str = "operator", everything: bool = False
) -> RunRow | None:
    """A whole run in this process, without a broker; one that was interrupted goes on. None when nothing changed.

    An outage of the database ends it with that error; the run stays active, and the next call goes on with it.
    """
    result = start_run(settings, catalog, cause=cause, everything=everything, enqueue=False)
    if result.run is None:
        return None
    engine = sync_engine(settings.resolved_database_url)
    while True:
        with engine.connect() as connection:
            free = free_blocks(connection, result.run.id, settings.lease_s)
            waiting = open_blocks(connection, result.run.id)
        for block_id in free:
            try:
                compute_one(settings, result.run.id, block_id)
            except Exception as error:
                if is_outage(error):
                    raise
        if not waiting:
            break
        if not free:
            # Leased by a process that may have died: its leases run out.
            time.sleep(OUTAGE_PAUSE_S)
    publish_one(settings, result.run.id)
    with engine.connect() as connection:
        return get_run_sync(connection, result.run.id)
