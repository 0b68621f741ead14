"""The catalog in the database: entities with stable ids. Rows change in the publishing transaction of a run only."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Table, delete, exists, func, insert, literal, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.entries import specs
from db.tables import ENTITY_TABLES, KeptEntry, StagedEntry, table_of
from estimator.types import EstimatorError

KINDS: tuple[str, ...] = tuple(ENTITY_TABLES)
_STAGED, _KEPT = table_of(StagedEntry), table_of(KeptEntry)
_PORTION = 100
#: What readers see of an entity: columns that its own table and the table of kept entries share.
_SHOWN = ("id", "slug", "entry_hash", "entry")
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
    # Here and below, rows of the whole catalog are fetched at once: one by one takes several times as long.
    table = entity_table(kind)
    query = select(table.c.slug, table.c.entry_hash, table.c.fingerprint, table.c.estimated).where(table.c.live)
    return {
        slug: (digest, value if estimated else None)
        for slug, digest, value, estimated in connection.execute(query).all()
    }


def ids_of(connection: Connection, kind: str, slugs: Collection[str] | None = None) -> dict[str, int]:
    """Id by slug of every entity that was ever known, or of those of ``slugs`` that were."""
    table = entity_table(kind)
    query = select(table.c.slug, table.c.id)
    if slugs is not None and len(slugs) <= _PORTION:
        query = query.where(table.c.slug.in_(slugs))
    return {row[0]: row[1] for row in connection.execute(query).all() if slugs is None or row[0] in slugs}


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
    hashes: dict[int, str] = {row[0]: row[1] for row in connection.execute(query).all()}
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


def keep_entries(connection: Connection, layout: int) -> None:
    """Put aside the live entities for readers of ``layout``: a release with another layout is about to publish its own."""
    for kind in KINDS:
        table = entity_table(kind)
        shown = select(literal(layout), literal(kind), *(table.c[name] for name in _SHOWN)).where(table.c.live)
        connection.execute(insert(_KEPT).from_select(["layout", "kind", *_SHOWN], shown))


def drop_kept(connection: Connection, layouts: Iterable[int]) -> None:
    """Forget what was put aside for readers of ``layouts``: nobody reads them, or what is live is theirs again."""
    connection.execute(delete(_KEPT).where(_KEPT.c.layout.in_(list(layouts))))


def kept_layouts(connection: Connection) -> set[int]:
    """The layouts whose readers have entities put aside for them."""
    return set(connection.execute(select(_KEPT.c.layout).distinct()).scalars())


def shown_entities(kind: str, layout: int, *columns: str, ids: Collection[int] | None = None) -> Select[Any]:
    """The entities of a kind that readers of ``layout`` see, by slug, or those of ``ids``: the kept ones, or the live ones.

    One statement, so that no publication comes between the question which ones they are and the answer.
    """
    table = entity_table(kind)
    kept = select(*(_KEPT.c[name] for name in _SHOWN)).where(_KEPT.c.layout == layout, _KEPT.c.kind == kind)
    live = select(*(table.c[name] for name in _SHOWN)).where(table.c.live, ~exists().where(_KEPT.c.layout == layout))
    shown = union_all(kept, live).subquery()
    query = select(*(shown.c[name] for name in columns)).order_by(shown.c.slug)
    return query if ids is None else query.where(shown.c.id.in_(ids))


def count_shown(connection: Connection, layout: int) -> dict[str, int]:
    """How many entities of each kind readers of ``layout`` see."""
    counts = [
        select(func.count()).select_from(shown_entities(kind, layout, "id").subquery()).scalar_subquery()
        for kind in KINDS
    ]
    return dict(zip(KINDS, connection.execute(select(*counts)).one(), strict=True))


async def shown_hashes(connection: AsyncConnection, kind: str, layout: int) -> list[tuple[int, str, str]]:
    """Id, slug and entry hash of every entity that readers of ``layout`` see: tells which ones changed."""
    rows = await connection.execute(shown_entities(kind, layout, "id", "slug", "entry_hash"))
    return [(row[0], row[1], row[2]) for row in rows]


async def shown_entries(
    connection: AsyncConnection, kind: str, layout: int, ids: Collection[int] | None = None
) -> dict[str, dict[str, Any]]:
    """Entry by slug of the entities that readers of ``layout`` see, or of those of ``ids`` alone."""
    rows = await connection.execute(shown_entities(kind, layout, "slug", "entry", ids=ids))
    return {row[0]: row[1] for row in rows}


async def slugs_by_id(connection: AsyncConnection, kind: str, ids: Collection[int]) -> dict[int, str]:
    """Slugs of entities, live or not."""
    table = entity_table(kind)
    rows = await connection.execute(select(table.c.id, table.c.slug).where(table.c.id.in_(ids)))
    return {row[0]: row[1] for row in rows}
