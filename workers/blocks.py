"""One block of a run: leased, computed and stored; an error is recorded with the block."""

from __future__ import annotations

import logging
import secrets
import time

from sqlalchemy import select

from db.fits.layout import storage_name
from db.fits.writes import write_block
from db.outages import is_outage
from db.runs.leases import claim_block
from db.runs.store import BlockRow, fail_block, finish_block, get_run_sync, give_back_block, open_blocks
from db.session import sync_engine, writing
from db.settings import Settings
from db.tables import Run, table_of
from workers.compute import compute_rows, load_models, setting_of
from workers.kernel import release_version

logger = logging.getLogger("fitgraph.workers")
_RUN = table_of(Run)
#: Between two tries to reach a database that failed.
OUTAGE_PAUSE_S = 0.2


def compute_one(settings: Settings, run_id: int, block_id: int) -> bool:
    """Lease, compute and store one block. True when it was the last open one, so that the run can be published.

    An error of the computation is recorded with the block, which is given out again until its tries are used up.
    """
    engine, token = sync_engine(settings.resolved_database_url), secrets.token_hex(8)
    with writing(engine) as connection:
        block = claim_block(connection, block_id, token, settings.lease_s, settings.block_attempts, release_version())
    if block is None:
        return _is_ready(settings, run_id)
    try:
        with engine.connect() as connection:
            setting = setting_of(connection, settings.resolved_database_url, run_id)
            models = load_models(connection, run_id, block.model_ids)
            generation = connection.execute(select(_RUN.c.generation).where(_RUN.c.id == run_id)).scalar_one()
        packed = compute_rows(models, setting, generation, block.gpu_ids)
        with writing(engine) as connection:
            if finish_block(connection, block, token, len(packed.fits), packed.unsupported_cells):
                write_block(connection, storage_name(run_id), packed)
    except Exception as error:
        _give_back(settings, block, token, error)
        raise
    return _is_ready(settings, run_id)


def _give_back(settings: Settings, block: BlockRow, token: str, error: Exception) -> None:
    """Record an error with its block. A database that went away, or a full disk, is not the block's fault."""
    outage, said = is_outage(error), f"{type(error).__name__}: {error}"
    if outage:
        logger.warning("the database failed block %d of run %d: %s", block.id, block.run_id, error)
    else:
        logger.error("block %d of run %d failed", block.id, block.run_id, exc_info=error)
    deadline = time.monotonic() + settings.lease_s
    while True:
        try:
            with writing(sync_engine(settings.resolved_database_url)) as connection:
                if outage:
                    give_back_block(connection, block, token, said)
                else:
                    fail_block(connection, block, token, said, settings.block_attempts)
            return
        except Exception as again:
            # After its lease the block is free anyway.
            if not is_outage(again) or time.monotonic() > deadline:
                logger.warning("block %d of run %d stays leased: %s", block.id, block.run_id, again)
                return
            time.sleep(OUTAGE_PAUSE_S)


def _is_ready(settings: Settings, run_id: int) -> bool:
    with sync_engine(settings.resolved_database_url).connect() as connection:
        run = get_run_sync(connection, run_id)
        return run is not None and not run.is_final and open_blocks(connection, run_id) == 0


def is_quick(settings: Settings, run_id: int) -> bool:
    """Whether a run is published in less time than a block may take: an update of few cells."""
    query = select(_RUN.c.rebuild, _RUN.c.cells_total).where(_RUN.c.id == run_id)
    with sync_engine(settings.resolved_database_url).connect() as connection:
        rebuild, cells = connection.execute(query).one()
    return not rebuild and cells <= settings.block_cells
