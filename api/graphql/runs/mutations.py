"""Changes by operators: entries of the catalog, and runs. Each takes one input and returns one payload."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Annotated, Any

import strawberry
from strawberry.scalars import JSON

from api.catalog.records import gpu_record, model_record
from api.errors import ErrorCode
from api.graphql.catalog.gpus import Gpu, gpu_of
from api.graphql.catalog.models import Model, model_of
from api.graphql.context import RequestContext
from api.graphql.core.errors import UserError
from api.graphql.runs.types import Run, run_from_row, run_number
from api.graphql.services.auth import Operator, Scope
from db.entries.check import shape_faults
from db.entries.files import DIRECTORIES, Catalog, Entry, revision_of
from db.entries.rules import RULES
from db.runs import store
from db.runs.store import RunRow

logger = logging.getLogger("fitgraph.api")

_CLIENT_KEY = "Key of the client's choice, sent back unchanged. Repeating a mutation changes nothing further."


@strawberry.input(description="A model to add or replace.")
class UpsertModelInput:
    entry: JSON = strawberry.field(description="The whole entry, with the keys of a file under db/catalog/models.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_CLIENT_KEY)


@strawberry.input(description="An accelerator to add or replace.")
class UpsertGpuInput:
    entry: JSON = strawberry.field(description="The whole entry, with the keys of a file under db/catalog/gpus.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_CLIENT_KEY)


@strawberry.input(description="Scope of a run.")
class RecomputeInput:
    everything: bool = strawberry.field(default=False, description="Every block, changed or not.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_CLIENT_KEY)


@strawberry.input(description="Which run to stop.")
class CancelRunInput:
    id: strawberry.ID = strawberry.field(description="Global id of the run.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_CLIENT_KEY)


@strawberry.type(description="Outcome of `upsertModel`.")
class UpsertModelPayload:
    model: Model | None = strawberry.field(description="The model; null when there are errors.")
    run: Run | None = strawberry.field(
        description="The run that publishes it; null when nothing changed or there are errors.",
    )
    user_errors: list[UserError] = strawberry.field(description="Errors of the input; empty for none.")
    client_mutation_id: str | None = strawberry.field(description="The client's key.")


@strawberry.type(description="Outcome of `upsertGpu`.")
class UpsertGpuPayload:
    gpu: Gpu | None = strawberry.field(description="The accelerator; null when there are errors.")
    run: Run | None = strawberry.field(
        description="The run that publishes it; null when nothing changed or there are errors.",
    )
    user_errors: list[UserError] = strawberry.field(description="Errors of the input; empty for none.")
    client_mutation_id: str | None = strawberry.field(description="The client's key.")


@strawberry.type(description="Outcome of `recompute`.")
class RecomputePayload:
    run: Run | None = strawberry.field(
        description="The run that was started, or the one under way; null when nothing changed.",
    )
    user_errors: list[UserError] = strawberry.field(description="Why nothing was started; empty when it was.")
    client_mutation_id: str | None = strawberry.field(description="The client's key.")


@strawberry.type(description="Outcome of `cancelRun`.")
class CancelRunPayload:
    run: Run | None = strawberry.field(description="The run; null when there is none of this id.")
    user_errors: list[UserError] = strawberry.field(description="Why it was not stopped; empty when it was.")
    client_mutation_id: str | None = strawberry.field(description="The client's key.")


@strawberry.type(description="Everything that operators can change. Each field needs a bearer token.")
class Mutation:
    @strawberry.mutation(description="Add or replace a model and publish its fits. Needs the scope `catalog`.")
    async def upsert_model(
        self, info: strawberry.Info, input: Annotated[UpsertModelInput, strawberry.argument(description="The model.")]
    ) -> UpsertModelPayload:
        operator = _operator(info, Scope.CATALOG)
        entry, errors = checked_entry("model", input.entry)
        if errors:
            return UpsertModelPayload(
                model=None, run=None, user_errors=errors, client_mutation_id=input.client_mutation_id
            )
        run, errors = await _start(info.context, operator, ("model", entry))
        model = None if errors else model_of(model_record(entry))
        return UpsertModelPayload(model=model, run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)

    @strawberry.mutation(description="Add or replace an accelerator and publish its fits. Needs the scope `catalog`.")
    async def upsert_gpu(
        self,
        info: strawberry.Info,
        input: Annotated[UpsertGpuInput, strawberry.argument(description="The accelerator.")],
    ) -> UpsertGpuPayload:
        operator = _operator(info, Scope.CATALOG)
        entry, errors = checked_entry("gpu", input.entry)
        if errors:
            return UpsertGpuPayload(gpu=None, run=None, user_errors=errors, client_mutation_id=input.client_mutation_id)
        run, errors = await _start(info.context, operator, ("gpu", entry))
        gpu = None if errors else gpu_of(gpu_record(entry))
        return UpsertGpuPayload(gpu=gpu, run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)

    @strawberry.mutation(description="Start a run over what changed, or over everything. Needs the scope `runs`.")
    async def recompute(
        self,
        info: strawberry.Info,
        input: Annotated[RecomputeInput, strawberry.argument(description="Scope of a run.")],
    ) -> RecomputePayload:
        """Start a run; one that is under way is returned instead."""
        operator = _operator(info, Scope.RUNS)
        run, errors = await _start(info.context, operator, None, everything=input.everything)
        return RecomputePayload(run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)

    @strawberry.mutation(description="Stop a run; it publishes nothing. Needs the scope `runs`.")
    async def cancel_run(
        self, info: strawberry.Info, input: Annotated[CancelRunInput, strawberry.argument(description="The run.")]
    ) -> CancelRunPayload:
        from workers.runs import cancel_run

        _operator(info, Scope.RUNS)
        context: RequestContext = info.context
        number = run_number(str(input.id))
        stopped = await asyncio.to_thread(cancel_run, context.services.settings, number)
        async with context.services.state.connection() as connection:
            row = await store.get_run(connection, number)
        errors = [] if stopped else [_refusal(row)]
        run = None if row is None else run_from_row(row)
        return CancelRunPayload(run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)


def checked_entry(kind: str, given: Any) -> tuple[Entry, list[UserError]]:
    """An entry that passed the schema and the rules of its kind, or everything that is wrong with it."""
    if not isinstance(given, dict) or not isinstance(given.get("slug"), str):
        return {}, [_user_error(["entry"], "The entry must be an object with a slug.")]
    name = given["slug"]
    faults = [
        (fault.field, fault.message) for fault in shape_faults(kind, f"{DIRECTORIES[kind]}/{name}.json", name, given)
    ]
    if not faults:
        faults = [fault for rule in RULES[kind] for fault in rule(given)]
    return given, [_user_error(["entry", *field.split(".")], message) for field, message in faults]


def changed_catalog(catalog: Catalog, kind: str, entry: Entry) -> Catalog:
    """The catalog with one entry added or replaced, under its new revision."""
    directory = DIRECTORIES[kind]
    entries = dict(sorted({**catalog.entries(kind), entry["slug"]: entry}.items()))
    change: dict[str, Any] = {directory: entries}
    changed = dataclasses.replace(catalog, **change)
    facts = {name: getattr(changed, name) for name in DIRECTORIES.values()}
    return dataclasses.replace(changed, revision=revision_of(facts))


async def _start(
    context: RequestContext, operator: Operator, change: tuple[str, Entry] | None, *, everything: bool = False
) -> tuple[Run | None, list[UserError]]:
    catalog = context.view.catalog
    cause = f"{operator.name}: recompute"
    if change is not None:
        catalog = changed_catalog(catalog, *change)
        cause = f"{operator.name}: upsert {change[0]} {change[1]['slug']}"
    row, busy = await asyncio.to_thread(_start_run, context, catalog, cause, everything)
    if row is not None:
        context.services.state.expect_publication()
    if busy and change is not None:
        message = "Another run is under way; repeat this when it has ended."
        return None, [UserError(code=ErrorCode.UNAVAILABLE, message=message, field=None, suggestions=[])]
    return (None if row is None else run_from_row(row)), []


def _start_run(context: RequestContext, catalog: Catalog, cause: str, everything: bool) -> tuple[RunRow | None, bool]:
    from kombu.exceptions import OperationalError

    from workers.queue import wake_workers
    from workers.runs import start_run

    settings = context.services.settings
    started = start_run(settings, catalog, cause=cause, everything=everything, enqueue=False)
    if started.run is not None and not started.already_running:
        try:
            wake_workers(settings, started.run.id)
        except (OperationalError, OSError):
            # The run is recorded: the workers' sweep finds it when the broker is back.
            logger.warning("the broker does not answer; run %s waits for the sweep", started.run.id)
    return started.run, started.already_running


def _operator(info: strawberry.Info, scope: Scope) -> Operator:
    context: RequestContext = info.context
    return context.services.operators.require(context.token, scope)


def _refusal(row: RunRow | None) -> UserError:
    if row is None:
        return UserError(code=ErrorCode.NOT_FOUND, message="There is no run of this id.", field=["id"], suggestions=[])
    message = f"The run had ended already: it is {row.state.value}."
    return UserError(code=ErrorCode.BAD_USER_INPUT, message=message, field=["id"], suggestions=[])


def _user_error(field: list[str], message: str) -> UserError:
    return UserError(code=ErrorCode.BAD_USER_INPUT, message=message, field=field, suggestions=[])
