"""Changes of the catalog by operators: entries checked, put in or taken out, planned and run."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import strawberry

from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from api.graphql.context import RequestContext
from api.graphql.core.errors import UserError, user_error
from api.graphql.core.inputs import check_set
from api.graphql.core.scalars import Int64
from api.graphql.runs.types import Run, run_from_row
from api.graphql.services.auth import Operator
from db.entries.check import shape_faults
from db.entries.files import DIRECTORIES, Catalog, Entry, revision_of
from db.entries.rules import RULES
from db.runs.store import RunRow

if TYPE_CHECKING:
    from workers.plan import Plan, Scope

logger = logging.getLogger("fitgraph.api")
#: Most entries of one change.
MAX_ENTRIES = 500


@strawberry.type(description="Work of a run, and its reasons.")
class RunPlan:
    revision: str = strawberry.field(description="Catalog revision that it computes.")
    everything: bool = strawberry.field(description="Whether every fit is computed afresh.")
    block_count: int = strawberry.field(description="Blocks to compute; 0 where only facts change.")
    cell_count: Int64 = strawberry.field(description="Combinations to look at.")
    expected_seconds: float | None = strawberry.field(
        description="Expected duration at the pace of the last run, seconds; null without one."
    )
    model_slugs: list[str] = strawberry.field(description="Models to compute, whole or for `gpuSlugs` alone.")
    gpu_slugs: list[str] = strawberry.field(description="Accelerators to compute for the other models.")
    changed_slugs: list[str] = strawberry.field(description="Entries that are new or have changed.")
    deleted_slugs: list[str] = strawberry.field(description="Entries that are gone.")


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """Entries to put in and slugs to take out, by kind."""

    upserts: Mapping[str, Sequence[Entry]] = dataclasses.field(default_factory=dict)
    deletions: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @property
    def cause(self) -> str:
        """The change in a few words."""
        slugs = [f"upsert {kind} {entry['slug']}" for kind, entries in self.upserts.items() for entry in entries]
        slugs += [f"delete {kind} {slug}" for kind, gone in self.deletions.items() for slug in gone]
        return slugs[0] if len(slugs) == 1 else f"change of {len(slugs)} entries"


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """A run with its plan, or why there is none; ``run`` is None too where nothing changed, or for a dry run."""

    plan: RunPlan | None = None
    run: Run | None = None
    errors: list[UserError] = dataclasses.field(default_factory=list)


def checked_entry(kind: str, entry: Any, path: Sequence[str] = ("entry",)) -> tuple[Entry, list[UserError]]:
    """An entry that passed the schema and the rules of its kind, or everything that is wrong with it."""
    if not isinstance(entry, dict) or not isinstance(entry.get("slug"), str):
        return {}, [_user_error(path, "The entry must be an object with a slug.")]
    name = entry["slug"]
    faults = [
        (fault.field, fault.message) for fault in shape_faults(kind, f"{DIRECTORIES[kind]}/{name}.json", name, entry)
    ]
    if not faults:
        faults = [fault for rule in RULES[kind] for fault in rule(entry)]
    return entry, [_user_error([*path, *field.split(".")], message) for field, message in faults]


def named_slugs(
    view: CatalogView, kind: str, field: str, texts: Sequence[str] | None
) -> tuple[list[str], list[UserError]]:
    """Slugs of the entities that operators name, and what is wrong with the names. Raises over 500 of them.

    What is changed must be named by its slug or an alias: a name that leaves something open is not taken as one.
    """
    slugs: list[str] = []
    errors: list[UserError] = []
    check_set(field, texts or (), MAX_ENTRIES)
    for place, text in enumerate(texts or ()):
        try:
            meaning = view.meaning(kind, text)
        except ApiError as error:
            errors.append(user_error(error, field, str(place)))
            continue
        slugs.append(meaning.slug)
        if meaning.notes or meaning.count is not None or meaning.quant is not None:
            message = f"{text!r} is no slug or alias; {meaning.slug!r} is the nearest."
            errors.append(
                UserError(
                    code=ErrorCode.NOT_FOUND, message=message, field=[field, str(place)], suggestions=[meaning.slug]
                )
            )
    return slugs, errors


def repeated(named: Sequence[tuple[Sequence[str], str | None]]) -> list[UserError]:
    """An error for each slug that one change names again; ``named`` are slugs of a kind, None for none, behind their paths."""
    slugs: set[str] = set()
    errors = []
    for path, slug in named:
        if slug in slugs:
            errors.append(_user_error(path, f"{slug!r} is in this change already; keep one."))
        elif slug is not None:
            slugs.add(slug)
    return errors


def changed_catalog(catalog: Catalog, change: Change) -> Catalog:
    """The catalog after a change, under its new revision."""
    changed: dict[str, Any] = {}
    for kind in {*change.upserts, *change.deletions}:
        gone = set(change.deletions.get(kind, ()))
        new = {entry["slug"]: entry for entry in change.upserts.get(kind, ())}
        kept = {slug: entry for slug, entry in catalog.entries(kind).items() if slug not in gone}
        changed[DIRECTORIES[kind]] = dict(sorted({**kept, **new}.items()))
    after = dataclasses.replace(catalog, **changed)
    return dataclasses.replace(
        after, revision=revision_of({name: getattr(after, name) for name in DIRECTORIES.values()})
    )


async def start(
    context: RequestContext, operator: Operator, change: Change | None, scope: Scope | None, *, dry_run: bool = False
) -> Started:
    """Start a run of a change, or within a scope; plan it only for a dry run."""
    from workers.policy import PolicyError

    catalog = context.view.catalog if change is None else changed_catalog(context.view.catalog, change)
    cause = f"{operator.name}: {'recompute' if change is None else change.cause}"
    try:
        if dry_run:
            return Started(plan=plan_of(await asyncio.to_thread(_planned, context, catalog, scope)))
        row, busy, plan = await asyncio.to_thread(_start_run, context, catalog, cause, scope)
    except PolicyError as error:
        return Started(errors=[_user_error((), str(error))])
    if row is not None:
        context.services.state.expect_publication()
    if busy and change is not None:
        message = "Another run is under way; repeat this when it has ended."
        return Started(errors=[UserError(code=ErrorCode.UNAVAILABLE, message=message, field=None, suggestions=[])])
    return Started(plan_of(plan), None if row is None else run_from_row(row))


def _planned(context: RequestContext, catalog: Catalog, scope: Scope | None) -> Plan:
    from db.session import sync_engine
    from workers.plan import plan_run

    settings = context.services.settings
    with sync_engine(settings.resolved_database_url).connect() as connection:
        return plan_run(catalog, connection, settings, scope)


def _start_run(
    context: RequestContext, catalog: Catalog, cause: str, scope: Scope | None
) -> tuple[RunRow | None, bool, Plan]:
    from kombu.exceptions import OperationalError

    from workers.queue import wake_workers
    from workers.runs import start_run

    settings = context.services.settings
    started = start_run(settings, catalog, cause=cause, scope=scope, enqueue=False)
    if started.run is not None and not started.already_running:
        try:
            wake_workers(settings, started.run.id)
        except (OperationalError, OSError):
            # The run is recorded: the workers' sweep finds it when the broker is back.
            logger.warning("the broker does not answer; run %s waits for the sweep", started.run.id)
    return started.run, started.already_running, started.plan


def plan_of(plan: Plan) -> RunPlan:
    """The GraphQL object of a plan."""
    entries = [(slug, values) for kind in plan.changed.values() for slug, values in kind.items()]
    return RunPlan(
        revision=plan.revision,
        everything=plan.rebuild,
        block_count=len(plan.blocks),
        cell_count=Int64(plan.cells),
        expected_seconds=plan.cells / plan.cells_per_s if plan.cells_per_s else None,
        model_slugs=sorted({slug for block in plan.blocks for slug in block.models}),
        gpu_slugs=sorted({slug for block in plan.blocks for slug in block.gpus or ()}),
        changed_slugs=sorted(slug for slug, values in entries if values is not None),
        deleted_slugs=sorted(slug for slug, values in entries if values is None),
    )


def _user_error(field: Sequence[str], message: str) -> UserError:
    return UserError(code=ErrorCode.BAD_USER_INPUT, message=message, field=list(field) or None, suggestions=[])
