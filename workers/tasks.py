"""The tasks: ids in, nothing out. Each may be delivered twice, or to two workers at once, and does its work once."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from db.entries.files import Catalog
from db.settings import get_settings
from workers import runs
from workers.app import app
from workers.blocks import compute_one, is_quick
from workers.policy import PolicyError
from workers.publish import drop_old, fold_parts, publish_one
from workers.queue import sweep

logger = logging.getLogger("fitgraph.workers")
#: Seconds before a block that failed is tried again, and the most tries of a message (a block counts its own).
RETRY_DELAY_S = 1
MAX_RETRIES = 5
PUBLISH_TIME_LIMIT_S = 3600
WATCH_TIME_LIMIT_S = 3600


@app.task(
    name="fitgraph.compute_block", bind=True, max_retries=MAX_RETRIES, default_retry_delay=RETRY_DELAY_S, acks_late=True
)
def compute_block(self: Any, run_id: int, block_id: int) -> None:
    settings = get_settings()
    try:
        ready = compute_one(settings, run_id, block_id)
        if ready and is_quick(settings, run_id):
            # Not worth another message, and the time for it.
            publish_one(settings, run_id)
            return
    except Exception as error:
        raise self.retry(exc=error) from error
    if ready:
        publish_run.delay(run_id)


@app.task(
    name="fitgraph.publish_run",
    bind=True,
    max_retries=MAX_RETRIES,
    default_retry_delay=RETRY_DELAY_S,
    time_limit=PUBLISH_TIME_LIMIT_S,
    soft_time_limit=PUBLISH_TIME_LIMIT_S - 60,
)
def publish_run(self: Any, run_id: int) -> None:
    """Publish a run whose blocks are all done."""
    try:
        publish_one(get_settings(), run_id)
    except Exception as error:
        raise self.retry(exc=error) from error


@app.task(name="fitgraph.refresh_catalog", max_retries=0, default_retry_delay=RETRY_DELAY_S)
def refresh_catalog() -> None:
    """Read the catalog files and start a run for what changed. A faulty catalog changes nothing."""
    from db.entries.check import load_checked_catalog
    from db.entries.files import CatalogError

    try:
        catalog = load_checked_catalog()
    except CatalogError as error:
        logger.error("the catalog files have faults; the last good revision stays: %s", error)
        return
    _start_scheduled(catalog, "scheduled refresh")


@app.task(
    name="fitgraph.watch_catalog",
    max_retries=0,
    # A second delivery while the first one looks would ask the hub twice.
    acks_late=False,
    time_limit=WATCH_TIME_LIMIT_S,
    soft_time_limit=WATCH_TIME_LIMIT_S - 60,
)
def watch_catalog() -> None:
    """Import what is new at the listed publishers and in the chart, and start a run for what changed."""
    from db.entries.check import load_checked_catalog
    from db.entries.files import CATALOG_ROOT, CatalogError
    from db.ingest.hub import Hub
    from db.ingest.snapshots import SourceError
    from db.ingest.watch import watch_list, watch_once

    day = datetime.now(UTC).date().isoformat()
    try:
        watched = watch_list(CATALOG_ROOT)
        report = watch_once(load_checked_catalog(), CATALOG_ROOT, watched, Hub(), day, write=True)
        catalog = load_checked_catalog()
    except (SourceError, CatalogError, OSError) as error:
        logger.error("the watch changed nothing: %s", error)
        return
    kinds = Counter(outcome.kind for outcome in report.outcomes)
    logger.info("the watch saw %s; %d changes", dict(kinds), len(report.changes))
    if report.changes:
        _start_scheduled(catalog, "catalog watch")


def _start_scheduled(catalog: Catalog, cause: str) -> None:
    """Start a run for what changed in the catalog. An operator, not a schedule, brings in a new release."""
    try:
        result = runs.start_run(get_settings(), catalog, cause=cause, new_release=False)
    except PolicyError as error:
        logger.error("nothing was started: %s", error)
        return
    if result.run is None and not result.plan.is_empty:
        logger.warning("nothing was started; `fitgraph recompute` starts it: %s", result.plan.describe())


@app.task(name="fitgraph.sweep_runs", max_retries=0, default_retry_delay=RETRY_DELAY_S)
def sweep_runs() -> None:
    """Wake an active run that no message is left for, drop generations past their grace, fold parts of updates."""
    settings = get_settings()
    sweep(settings)
    drop_old(settings)
    fold_parts(settings)
