"""Storages and generations: staging rows, making them visible in one transaction, dropping what nobody reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, text, update

from db.entries.store import apply_staged, drop_kept, entity_table, ids_of, keep_entries, kept_layouts
from db.fits.generations import LAYOUT, Generation, current_generation_sync
from db.fits.layout import (
    FIT_COLUMNS,
    QUANT_COLUMNS,
    SLOT_COUNT,
    checked,
    drop_companions,
    drop_storage,
    storage_name,
)
from db.fits.parts import attach, fold, has_parts, parts_of
from db.runs.store import BlockRow, active_run, blocks_of, now
from db.tables import CatalogRevision, PublishedInput, Run, table_of
from db.tables import Generation as GenerationTable

_GENERATION, _RUN = table_of(GenerationTable), table_of(Run)
_INPUT, _REVISION = table_of(PublishedInput), table_of(CatalogRevision)
#: Ids of one IN list.
_PORTION = 500


def carry_over(connection: Connection, source: Generation, target: str, model_ids: list[int]) -> None:
    """Copy the rows of models that ``source`` serves into ``target``, replacing what is there of them."""
    for suffix, columns in (("", FIT_COLUMNS), ("_quant", QUANT_COLUMNS)):
        for model_id in model_ids:
            connection.execute(
                text(f"DELETE FROM {checked(target)}{suffix} WHERE model_id = :model"), {"model": model_id}
            )
            connection.execute(
                text(
                    f"INSERT INTO {target}{suffix} ({', '.join(columns)}) SELECT {', '.join(columns)} "
                    f"FROM {checked(source.table)}{suffix} WHERE model_id = :model AND born <= :generation "
                    "AND (died = 0 OR died > :generation)"
                ),
                {"model": model_id, "generation": source.id},
            )
            connection.execute(
                text(f"UPDATE {target}{suffix} SET died = 0 WHERE model_id = :model"), {"model": model_id}
            )
    _copy_gpus(connection, source.table, target)


def publish(connection: Connection, run_id: int) -> int:
    """Make the results of a run the newest generation; the caller's transaction is the publication.

    Where updates are kept as parts, ``prepare`` comes first, in a transaction of its own.

    Returns the id of the generation. Blocks that failed keep their previous rows, and their models stay marked as out
    of date, so that the next run computes them again.
    """
    run = connection.execute(select(_RUN).where(_RUN.c.id == run_id)).one()
    current = current_generation_sync(connection)
    done, failed = blocks_of(connection, run_id, "done"), blocks_of(connection, run_id, "failed")
    table = storage_name(run_id)
    _set_entries_aside(connection)
    if run.rebuild or current is None:
        apply_staged(connection, run_id)
        rows = _count(connection, table)
    else:
        rows = current.rows + _replace(connection, current.table, table, run.generation, done)
        apply_staged(connection, run_id)
        rows -= _retire_gone(connection, current.table, run)
        if has_parts(connection):
            drop_companions(connection, table)
        else:
            drop_storage(connection, table)
        table = current.table
    _record_inputs(connection, run.inputs, failed)
    counts = run.inputs["counts"] | {kind: _estimated(connection, kind) for kind in ("quant", "workload")}
    product = counts["model"] * counts["gpu"] * counts["quant"] * SLOT_COUNT
    moment = now(connection)
    # Readers of this layout leave its current generation now, also where another layout replaced it long ago.
    left = or_(_GENERATION.c.retired_at.is_(None), _GENERATION.c.id == (0 if current is None else current.id))
    connection.execute(update(_GENERATION).where(left).values(retired_at=moment))
    connection.execute(
        insert(_GENERATION).values(
            id=run.generation,
            run_id=run_id,
            revision=run.revision,
            fit_table=table,
            layout=LAYOUT,
            rows=rows,
            cells=rows * SLOT_COUNT,
            unsupported_cells=product - rows * SLOT_COUNT,
            models=counts["model"],
            gpus=counts["gpu"],
            quants=counts["quant"],
            workloads=counts["workload"],
            published_at=moment,
        )
    )
    connection.execute(insert(_REVISION).values(revision=run.revision, run_id=run_id, published_at=moment))
    return int(run.generation)


def _set_entries_aside(connection: Connection) -> None:
    """Keep the live entries for readers of another layout, before those of this release go live."""
    newest = select(_GENERATION.c.layout).order_by(_GENERATION.c.id.desc()).limit(1)
    of_live = connection.execute(newest).scalar()
    drop_kept(connection, [LAYOUT])
    if of_live is not None and of_live != LAYOUT:
        # A release of before these tables may have published without a word of what was put aside for it.
        drop_kept(connection, [of_live])
        keep_entries(connection, of_live)


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds for which a replaced generation stays: one of this release's layout, and one of another release's."""

    own_s: float
    other_s: float


def replaced_generations(connection: Connection) -> list[int]:
    """Ids of generations that another one has replaced."""
    return list(connection.execute(select(_GENERATION.c.id).where(_GENERATION.c.retired_at.is_not(None))).scalars())


def _unread(connection: Connection, grace: Grace, replaced: list[int]) -> Any:
    """Condition on those of ``replaced`` that are past their ``grace``; None before the first publication."""
    current = current_generation_sync(connection)
    if current is None:
        return None
    own, moment = _GENERATION.c.layout == LAYOUT, now(connection)
    retired_before = case(
        (own, moment - timedelta(seconds=grace.own_s)), else_=moment - timedelta(seconds=grace.other_s)
    )
    # The clock has jumped back since a generation was retired in its future.
    past = or_(_GENERATION.c.retired_at < retired_before, and_(own, _GENERATION.c.retired_at > moment))
    return and_(_GENERATION.c.id != current.id, _GENERATION.c.id.in_(replaced), past)


def has_unread(connection: Connection, grace: Grace, replaced: list[int]) -> bool:
    """Whether ``drop_unread`` would drop something; takes no lock."""
    old = _unread(connection, grace, replaced)
    return old is not None and connection.execute(select(_GENERATION.c.id).where(old).limit(1)).first() is not None


def prepare(connection: Connection, run_id: int) -> None:
    """Make the rows of an update readable for the generation that is about to be published, and for no other."""
    current = current_generation_sync(connection)
    if current is not None and has_parts(connection):
        attach(connection, current.table, storage_name(run_id))


def fold_one(connection: Connection, *, quiet_s: float, most: int) -> bool:
    """Fold the oldest part of the live storage once nothing was published for ``quiet_s``, or there are over ``most``.

    False when there was nothing to fold. The part of a run at work stays: its publication counts and moves its rows.
    """
    current = current_generation_sync(connection) if has_parts(connection) else None
    if current is None:
        return False
    parts = parts_of(connection, current.table)
    # Looked at after the parts: a run that attached one of them and is not at work any more has ended.
    working = active_run(connection)
    folded = [part for part in parts if working is None or part != storage_name(working.id)]
    quiet = current.published_at < now(connection) - timedelta(seconds=quiet_s)
    return bool(folded) and (quiet or len(folded) > most) and fold(connection, current.table, folded[0])


def drop_unread(connection: Connection, grace: Grace, replaced: list[int]) -> int:
    """Drop those of ``replaced`` that are past their ``grace``, with rows and storages that no other one shows.

    Returns how many generations were dropped.
    """
    old = _unread(connection, grace, replaced)
    if old is None:
        return 0
    dropped = connection.execute(select(_GENERATION.c.id, _GENERATION.c.fit_table).where(old)).all()
    if not dropped:
        return 0
    connection.execute(delete(_GENERATION).where(old))
    held = set(connection.execute(select(_GENERATION.c.layout).distinct()).scalars())
    drop_kept(connection, kept_layouts(connection) - held)
    kept: dict[str, int] = {
        row[0]: row[1]
        for row in connection.execute(
            select(_GENERATION.c.fit_table, func.min(_GENERATION.c.id)).group_by(_GENERATION.c.fit_table)
        )
    }
    for table in {row[1] for row in dropped}:
        if table not in kept:
            drop_storage(connection, table)
            continue
        for suffix in ("", "_quant"):
            connection.execute(
                text(f"DELETE FROM {checked(table)}{suffix} WHERE died <> 0 AND died <= :oldest"),
                {"oldest": kept[table]},
            )
    return len(dropped)


def _replace(connection: Connection, live: str, stage: str, generation: int, done: list[BlockRow]) -> int:
    """End the life of the rows that blocks computed anew, bring in the new ones, and return how many more there are."""
    gained = 0
    for block in done:
        models = ", ".join(str(int(number)) for number in block.model_ids)
        scope = f"model_id IN ({models})"
        if block.gpu_ids is not None:
            scope += f" AND gpu_id IN ({', '.join(str(int(number)) for number in block.gpu_ids)})"
        elif not _end(connection, f"{checked(live)}_quant", scope, generation):
            # New models: there are no rows to end, and no lock to wait for.
            continue
        gained -= _end(connection, checked(live), scope, generation)
    for suffix, columns in (("", FIT_COLUMNS), ("_quant", QUANT_COLUMNS)):
        if suffix or not has_parts(connection):
            names = ", ".join(columns)
            connection.execute(
                text(f"INSERT INTO {live}{suffix} ({names}) SELECT {names} FROM {checked(stage)}{suffix}")
            )
    gained += _count(connection, stage)
    _copy_gpus(connection, stage, live)
    return gained


def _copy_gpus(connection: Connection, source: str, target: str) -> None:
    connection.execute(
        text(
            f"INSERT INTO {checked(target)}_gpu SELECT * FROM {checked(source)}_gpu s WHERE NOT EXISTS (SELECT 1 FROM "
            f"{target}_gpu t WHERE t.gpu_id = s.gpu_id AND t.engine = s.engine AND t.born = s.born)"
        )
    )


def _retire_gone(connection: Connection, live: str, run: Any) -> int:
    """End the life of rows whose model or GPU is gone from the inputs of ``run``; how many fits."""
    count = 0
    for kind, suffixes in (("model", ("", "_quant")), ("gpu", ("",))):
        slugs = {slug for slug, value in run.inputs[kind].items() if value is None}
        gone = sorted(ids_of(connection, kind, slugs).values())
        for start in range(0, len(gone), _PORTION):
            scope = f"{kind}_id IN ({', '.join(map(str, gone[start : start + _PORTION]))})"
            for suffix in suffixes:
                ended = _end(connection, f"{checked(live)}{suffix}", scope, run.generation)
                count += 0 if suffix else ended
    return count


def _end(connection: Connection, table: str, scope: str, generation: int) -> int:
    """End the life of the rows in ``scope`` that are older than ``generation``; returns how many there were."""
    # No look before the update: on PostgreSQL it would hold a lock that whoever folds a part waits for.
    ended = connection.execute(
        text(f"UPDATE {table} SET died = :born WHERE {scope} AND died = 0 AND born < :born"), {"born": generation}
    )
    return ended.rowcount


def _record_inputs(connection: Connection, inputs: dict[str, dict[str, Any]], failed: list[BlockRow]) -> None:
    """Remember what the published fits were computed from; models of failed blocks are forgotten.

    An update of one model writes one row.
    """
    out_of_date = {model_id for block in failed for model_id in block.model_ids}
    for kind in ("common", "release"):
        own = _INPUT.c.kind == kind
        if connection.execute(select(_INPUT.c.fingerprint).where(own)).scalar() != inputs[kind][kind]:
            connection.execute(delete(_INPUT).where(own))
            connection.execute(insert(_INPUT).values(kind=kind, entity_id=0, fingerprint=inputs[kind][kind]))
    for kind in ("model", "gpu"):
        ids = ids_of(connection, kind, inputs[kind])
        dropped = out_of_date if kind == "model" else set()
        stale = sorted({*(ids[slug] for slug in inputs[kind]), *dropped})
        for start in range(0, len(stale), _PORTION):
            portion = _INPUT.c.entity_id.in_(stale[start : start + _PORTION])
            connection.execute(delete(_INPUT).where(_INPUT.c.kind == kind, portion))
        rows = [
            {"kind": kind, "entity_id": ids[slug], "fingerprint": value}
            for slug, value in inputs[kind].items()
            if value is not None and ids[slug] not in dropped
        ]
        if rows:
            connection.execute(insert(_INPUT), rows)


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {checked(table)}")).scalar_one())


def _estimated(connection: Connection, kind: str) -> int:
    table = entity_table(kind)
    query = select(func.count()).select_from(table).where(table.c.live, table.c.estimated)
    return int(connection.execute(query).scalar_one())
