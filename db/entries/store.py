"""The catalog in the database: entities with stable ids. Rows change in the publishing transaction of a run only."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Table, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.entries import specs
from db.tables import ENTITY_TABLES, StagedEntry, table_of
from estimator.types import EstimatorError

KINDS: tuple[str, ...] = tuple(ENTITY_TABLES)
_STAGED = table_of(StagedEntry)
_PORTION = 100
#: Entry keys that are also columns, to filter and sort by.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "model": (
        "family", "publisher", "license", "params_total_b", "params_active_b", "release_date", "context_length",
    ),
    "gpu": ("vendor", "kind", "architecture", "memory_gb", "bandwidth_gbps", "release_date", "msrp_usd"),
    "quant": (),
    "workload": (),
    "engine": (),
    "host": (),
    "computer": (),
    "price": (),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One entity: its id, its whole entry, and whether its facts allow an estimate."""

    id: int
    slug: str
    name: str
    kind: str
    entry: dict[str, Any]
    estimated: bool
    missing_fact: str | None


def entity_table(kind: str) -> Table:
    """Table of a kind. Raises KeyError for an unknown kind."""
    return table_of(ENTITY_TABLES[kind])


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Hash of a whole entry: tells whether anything about the entity changed, a display name included.

    Entries are never changed in place; the hash of one that was asked for before is kept.
    """
    known = _hashes.get(id(entry))
    if known is not None and known[0] is entry:
        return known[1]
    if len(_hashes) >= _MAX_HASHES:
        _hashes.clear()
    _hashes[id(entry)] = (entry, _hash_of(entry))
    return _hashes[id(entry)][1]


#: By identity: the entry, kept alive so that its identity stays its own, and its hash.
_hashes: dict[int, tuple[Mapping[str, Any], str]] = {}
_MAX_HASHES = 10_000


def _hash_of(entry: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def entity_values(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Column values of an entity, without its id."""
    fingerprint, missing = _fingerprint(kind, entry)
    values: dict[str, Any] = {
        "slug": entry["slug"],
        "name": entry["name"],
        "estimated": missing is None,
        "missing_fact": missing,
        "fingerprint": fingerprint,
        "entry_hash": entry_hash(entry),
        "entry": dict(entry),
    }
    values |= {column: entry.get(column) for column in _COLUMNS[kind]}
    if kind == "model":
        values["moe"] = bool(entry.get("moe"))
    return values


def _fingerprint(kind: str, entry: Mapping[str, Any]) -> tuple[str, str | None]:
    """Fingerprint of the facts that the estimator reads, and the name of the fact that is missing, if one is."""
    if kind in ("model", "gpu"):
        missing = specs.missing_facts(entry)
        if missing:
            return "", ", ".join(missing)
    try:
        if kind == "model":
            return specs.fingerprint(specs.architecture(entry)), None
        if kind == "gpu":
            return specs.fingerprint(specs.accelerator(entry)), None
        if kind == "quant":
            return specs.fingerprint(specs.quant(entry)), None if specs.is_precomputed(entry) else "precomputed"
        if kind == "workload":
            return specs.fingerprint(specs.workload(entry)), None
        if kind == "host":
            return specs.fingerprint(specs.host(entry)), None
    except EstimatorError as error:
        return "", str(error)
    return entry_hash(entry), None


def stored_prints(connection: Connection, kind: str) -> dict[str, tuple[str, str | None]]:
    """Entry hash by slug of all live entities of a kind, with the fingerprint of those whose facts allow an estimate."""
    table = entity_table(kind)
    query = select(table.c.slug, table.c.entry_hash, table.c.fingerprint, table.c.estimated).where(table.c.live)
    return {
        slug: (digest, value if estimated else None) for slug, digest, value, estimated in connection.execute(query)
    }


def ids_of(connection: Connection, kind: str, slugs: Collection[str] | None = None) -> dict[str, int]:
    """Id by slug of every entity that was ever known, or of those of ``slugs`` that were."""
    table = entity_table(kind)
    query = select(table.c.slug, table.c.id)
    if slugs is not None and len(slugs) <= _PORTION:
        query = query.where(table.c.slug.in_(slugs))
    return {row[0]: row[1] for row in connection.execute(query)}


def stage_entries(connection: Connection, run_id: int, kind: str, changed: Mapping[str, dict[str, Any] | None]) -> None:
    """Put aside new values by slug (None: gone) for the publication of a run; new slugs get their id now."""
    table, known = entity_table(kind), ids_of(connection, kind, changed)
    fresh = [
        {
            "slug": slug,
            "name": slug,
            "live": False,
            "estimated": False,
            "fingerprint": "",
            "entry_hash": "",
            "entry": {},
        }
        | ({"moe": False} if kind == "model" else {})
        for slug in changed
        if slug not in known
    ]
    if fresh:
        connection.execute(table.insert(), fresh)
        known = ids_of(connection, kind, changed)
    if changed:
        rows = [
            {"run_id": run_id, "kind": kind, "entity_id": known[slug], "values": values}
            for slug, values in changed.items()
        ]
        connection.execute(_STAGED.insert(), rows)


def entries_of_run(
    connection: Connection, run_id: int, kind: str, ids: Iterable[int] | None = None
) -> dict[int, dict[str, Any]]:
    """Entries that a run computes with, by id: the live ones under what the run changes. Estimated ones only."""
    table = entity_table(kind)
    query = select(table.c.id, table.c.entry).where(table.c.live, table.c.estimated)
    staged = select(_STAGED.c.entity_id, _STAGED.c["values"]).where(_STAGED.c.run_id == run_id, _STAGED.c.kind == kind)
    if ids is not None:
        wanted = list(ids)
        query, staged = query.where(table.c.id.in_(wanted)), staged.where(_STAGED.c.entity_id.in_(wanted))
    entries: dict[int, dict[str, Any]] = {row[0]: row[1] for row in connection.execute(query)}
    for entity_id, values in connection.execute(staged):
        entries.pop(entity_id, None)
        if values is not None and values["estimated"]:
            entries[entity_id] = values["entry"]
    return dict(sorted(entries.items()))


def hashes_of_run(connection: Connection, run_id: int, kind: str) -> dict[int, str]:
    """Hash of each entry that ``entries_of_run`` gives, by id, without reading the entries."""
    table = entity_table(kind)
    query = select(table.c.id, table.c.entry_hash).where(table.c.live, table.c.estimated)
    hashes: dict[int, str] = {row[0]: row[1] for row in connection.execute(query)}
    staged = select(
        _STAGED.c.entity_id,
        _STAGED.c["values"]["estimated"].as_boolean(),
        _STAGED.c["values"]["entry_hash"].as_string(),
    ).where(_STAGED.c.run_id == run_id, _STAGED.c.kind == kind)
    for entity_id, estimated, digest in connection.execute(staged):
        hashes.pop(entity_id, None)
        if estimated:
            hashes[entity_id] = digest
    return dict(sorted(hashes.items()))


def apply_staged(connection: Connection, run_id: int) -> None:
    """Make what a run changed live, inside its publishing transaction."""
    keys = connection.execute(select(_STAGED.c.kind, _STAGED.c.entity_id).where(_STAGED.c.run_id == run_id)).all()
    for kind in KINDS:
        table, ids = entity_table(kind), [row[1] for row in keys if row[0] == kind]
        # By portions: a worker's memory does not grow with the catalog.
        for start in range(0, len(ids), _PORTION):
            portion = select(_STAGED.c.entity_id, _STAGED.c["values"]).where(
                _STAGED.c.run_id == run_id,
                _STAGED.c.kind == kind,
                _STAGED.c.entity_id.in_(ids[start : start + _PORTION]),
            )
            for entity_id, values in connection.execute(portion).all():
                change = {"live": False} if values is None else values | {"live": True}
                connection.execute(update(table).where(table.c.id == entity_id).values(**change))
    drop_staged(connection, run_id)


def drop_staged(connection: Connection, run_id: int) -> None:
    """Forget what a run would have changed."""
    connection.execute(_STAGED.delete().where(_STAGED.c.run_id == run_id))


async def all_rows(connection: AsyncConnection, kind: str) -> list[CatalogRow]:
    """Every live entity of a kind, by slug."""
    table = entity_table(kind)
    rows = await connection.execute(_row_columns(table).where(table.c.live).order_by(table.c.slug))
    return [_row(kind, row) for row in rows]


async def live_hashes(
    connection: AsyncConnection, kind: str, others: Collection[int] = ()
) -> list[tuple[int, str, str]]:
    """Id, slug and entry hash of every live entity of a kind, and of ``others`` by id, by slug.

    It is what is needed to see which ones changed.
    """
    table = entity_table(kind)
    wanted = or_(table.c.live, table.c.id.in_(others)) if others else table.c.live
    query = select(table.c.id, table.c.slug, table.c.entry_hash).where(wanted).order_by(table.c.slug)
    return [(row[0], row[1], row[2]) for row in await connection.execute(query)]


async def rows_by_ids(connection: AsyncConnection, kind: str, ids: Iterable[int]) -> dict[int, CatalogRow]:
    """Entities by id, live or not."""
    table = entity_table(kind)
    rows = await connection.execute(_row_columns(table).where(table.c.id.in_(list(ids))))
    return {row[0]: _row(kind, row) for row in rows}


def _row_columns(table: Table) -> Any:
    return select(table.c.id, table.c.slug, table.c.name, table.c.entry, table.c.estimated, table.c.missing_fact)


def _row(kind: str, row: Any) -> CatalogRow:
    return CatalogRow(row[0], row[1], row[2], kind, row[3], bool(row[4]), row[5])
