"""Messages to the workers, sent by task name."""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from db.runs.leases import free_blocks
from db.runs.store import active_run, get_run_sync, open_blocks
from db.session import sync_engine
from db.settings import Settings
from workers import tracing

logger = logging.getLogger("fitgraph.workers")


def wake_workers(settings: Settings, run_id: int) -> int:
    """Send a message for every free block of a run, or for its publication. Returns how many were sent.

    A broker that does not answer is no fault of the run: the next sweep sends again.
    """
    from workers.app import app

    with sync_engine(settings.resolved_database_url).connect() as connection:
        run, free = get_run_sync(connection, run_id), free_blocks(connection, run_id, settings.lease_s)
        waiting = open_blocks(connection, run_id)
    if run is None or run.is_final:
        return 0
    try:
        with tracing.span("wake workers", {"fitgraph.run_id": run_id, "fitgraph.free_blocks": len(free)}):
            if not waiting:
                app.send_task("fitgraph.publish_run", (run_id,))
                return 1
            for block_id in free:
                app.send_task("fitgraph.compute_block", (run_id, block_id))
    except (BrokerError, RedisError, OSError) as error:
        logger.warning("the broker takes no message (%s); run %d is woken by a later sweep", error, run_id)
        return 0
    return len(free)


def sweep(settings: Settings) -> int:
    """Send again what an active run waits for when no message for it is left in the queue. Returns how many."""
    from workers.app import queue_length

    with sync_engine(settings.resolved_database_url).connect() as connection:
        run = active_run(connection)
    if run is None or queue_length() != 0:
        return 0
    return wake_workers(settings, run.id)
