"""Publication of a run whose blocks are done, and removal of the generations before it."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from db.entries.store import drop_staged
from db.fits.generations import current_generation_sync
from db.fits.layout import drop_storage, storage_name
from db.runs.leases import claim_publication, give_back_publication, hold_publication
from db.runs.publication import (
    Grace,
    carry_over,
    drop_unread,
    fold_one,
    has_unread,
    prepare,
    publish,
    replaced_generations,
)
from db.runs.store import RunState, blocks_of, end_run
from db.session import is_lock_timeout, sync_engine, wait_shortly, writing
from db.settings import Settings
from db.tables import Run, table_of
from workers.indexes import build_indexes
from workers.kernel import release_version
from workers.leases import held_publication

_RUN = table_of(Run)
#: Updates stay parts of the live storage until nothing was published for so long, or there are more than this.
QUIET_S, MOST_PARTS = 10.0, 8
#: Database -> generation -> moment at which this process first saw it replaced.
_replaced_since: dict[str, dict[int, float]] = {}


def publish_one(settings: Settings, run_id: int) -> bool:
    """Publish a run whose blocks are all done or set aside. False when it is not ready, or not ours to publish."""
    engine, token = sync_engine(settings.resolved_database_url), secrets.token_hex(8)
    with writing(engine) as connection:
        if not claim_publication(connection, run_id, token, settings.lease_s, release_version()):
            return False
    try:
        if not _publish_claimed(settings, run_id, token):
            return False
    except Exception as error:
        with contextlib.suppress(SQLAlchemyError), writing(engine) as connection:
            give_back_publication(connection, run_id, token, f"{type(error).__name__}: {error}")
        raise
    drop_old(settings)
    return True


def _publish_claimed(settings: Settings, run_id: int, token: str) -> bool:
    engine = sync_engine(settings.resolved_database_url)
    with writing(engine) as connection:
        if not hold_publication(connection, run_id, token, settings.lease_s):
            return False
        run = connection.execute(select(_RUN).where(_RUN.c.id == run_id)).one()
        done, failed = blocks_of(connection, run_id, "done"), blocks_of(connection, run_id, "failed")
        current = current_generation_sync(connection)
        if failed and not done:
            end_run(connection, run_id, RunState.FAILED, f"every block failed; the first: {failed[0].error}")
            discard(connection, run_id)
            return True
        if run.rebuild and failed and current is not None:
            models = [model for block in failed for model in block.model_ids]
            carry_over(connection, current, storage_name(run_id), models)
    if run.rebuild:
        with held_publication(settings, run_id, token):
            built = build_indexes(settings, run_id, token, beside_readers=current is not None)
        if not built:
            return False
    elif current is not None:
        with writing(engine) as connection:
            prepare(connection, run_id)
    with writing(engine) as connection:
        if not hold_publication(connection, run_id, token, settings.lease_s):
            return False
        publish(connection, run_id)
        state = RunState.PARTIAL if failed else RunState.PUBLISHED
        error = f"{len(failed)} blocks were set aside; the first: {failed[0].error}" if failed else None
        end_run(connection, run_id, state, error)
    return True


def discard(connection: Connection, run_id: int) -> None:
    """Drop what a run staged."""
    drop_staged(connection, run_id)
    drop_storage(connection, storage_name(run_id))


def drop_old(settings: Settings) -> int:
    """Drop generations past their grace. Returns how many; none while somebody still reads one of their tables.

    The grace has passed by the clock of the database, and no shorter one by this process: clocks jump.
    """
    engine = sync_engine(settings.resolved_database_url)
    grace = Grace(settings.generation_grace_s, settings.layout_grace_s)
    with engine.connect() as connection:
        replaced = _replaced_for(grace.own_s, settings.resolved_database_url, replaced_generations(connection))
        if not replaced or not has_unread(connection, grace, replaced):
            return 0
    return _clean_up(engine, lambda connection: drop_unread(connection, grace, replaced))


def _replaced_for(seconds: float, url: str, replaced: list[int]) -> list[int]:
    """Those that this process has seen replaced for ``seconds``."""
    moment, before = time.monotonic(), _replaced_since.get(url, {})
    since = _replaced_since[url] = {generation: before.get(generation, moment) for generation in replaced}
    return [generation for generation in replaced if moment - since[generation] >= seconds]


def fold_parts(settings: Settings) -> bool:
    """Move a part that an update left beside the live storage into it, when nobody seems to wait. False: not now."""
    engine = sync_engine(settings.resolved_database_url)
    return bool(_clean_up(engine, lambda connection: fold_one(connection, quiet_s=QUIET_S, most=MOST_PARTS)))


def _clean_up(engine: Engine, work: Callable[[Connection], int]) -> int:
    """Do ``work`` in a transaction that keeps no reader waiting. 0: a lock was not to be had, another time will do."""
    try:
        with writing(engine) as connection:
            wait_shortly(connection)
            return work(connection)
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
        return 0
