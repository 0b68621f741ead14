"""Changes by operators: entries of the catalog, and runs. Each takes one input and returns one payload."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import strawberry
from strawberry.scalars import JSON

from api.catalog.records import gpu_record, model_record
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from api.graphql.catalog.gpus import Gpu, gpu_of
from api.graphql.catalog.models import Model, model_of
from api.graphql.context import RequestContext
from api.graphql.core.errors import UserError, user_error
from api.graphql.core.inputs import check_set
from api.graphql.runs.changes import (
    MAX_ENTRIES,
    Change,
    RunPlan,
    Started,
    checked_entry,
    named_slugs,
    repeated,
    start,
)
from api.graphql.runs.types import Run, run_from_row, run_number
from api.graphql.services.auth import Operator, Scope
from db.entries.files import Entry
from db.runs import store
from db.runs.store import RunRow

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
    models: list[str] | None = strawberry.field(
        default=None, description="Models to compute even when they have not changed, by slug or alias."
    )
    gpus: list[str] | None = strawberry.field(
        default=None, description="Accelerators to compute even when they have not changed, by slug or alias."
    )
    dry_run: bool = strawberry.field(default=False, description="Whether the run is only planned.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_CLIENT_KEY)


@strawberry.input(
    description="Changes of the catalog, published by one run. Nothing changes when one of them is wrong."
)
class ChangeCatalogInput:
    upsert_models: list[JSON] | None = strawberry.field(
        default=None, description=f"Models to add or replace: whole entries; at most {MAX_ENTRIES}."
    )
    upsert_gpus: list[JSON] | None = strawberry.field(
        default=None, description=f"Accelerators to add or replace: whole entries; at most {MAX_ENTRIES}."
    )
    delete_models: list[str] | None = strawberry.field(
        default=None, description="Models to take out, by slug or alias."
    )
    delete_gpus: list[str] | None = strawberry.field(
        default=None, description="Accelerators to take out, by slug or alias."
    )
    dry_run: bool = strawberry.field(default=False, description="Whether the run is only planned.")
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
        description="The run that was started, or the one under way; null when nothing changed, and for a dry run.",
    )
    plan: RunPlan | None = strawberry.field(description="Planned work; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(description="Why nothing was started; empty when it was.")
    client_mutation_id: str | None = strawberry.field(description="The client's key.")


@strawberry.type(description="Outcome of `changeCatalog`.")
class ChangeCatalogPayload:
    models: list[Model] = strawberry.field(description="The models that were put in; empty when there are errors.")
    gpus: list[Gpu] = strawberry.field(description="The accelerators that were put in; empty when there are errors.")
    run: Run | None = strawberry.field(
        description="The run that publishes them; null when nothing changed, for a dry run, and with errors.",
    )
    plan: RunPlan | None = strawberry.field(description="Planned work; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(description="Errors of the input; empty for none.")
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
        entry, run, errors = await _upserted(info, "model", input.entry)
        model = None if errors else model_of(model_record(entry))
        return UpsertModelPayload(model=model, run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)

    @strawberry.mutation(description="Add or replace an accelerator and publish its fits. Needs the scope `catalog`.")
    async def upsert_gpu(
        self,
        info: strawberry.Info,
        input: Annotated[UpsertGpuInput, strawberry.argument(description="The accelerator.")],
    ) -> UpsertGpuPayload:
        entry, run, errors = await _upserted(info, "gpu", input.entry)
        gpu = None if errors else gpu_of(gpu_record(entry))
        return UpsertGpuPayload(gpu=gpu, run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)

    @strawberry.mutation(description="Start a run over what changed, or over everything. Needs the scope `runs`.")
    async def recompute(
        self,
        info: strawberry.Info,
        input: Annotated[RecomputeInput, strawberry.argument(description="Scope of a run.")],
    ) -> RecomputePayload:
        """Start a run; one that is under way is returned instead."""
        from workers.plan import Scope as PlanScope

        operator = _operator(info, Scope.RUNS)
        models, errors = named_slugs(info.context.view, "model", "models", input.models)
        gpus, more = named_slugs(info.context.view, "gpu", "gpus", input.gpus)
        started = Started(errors=errors + more)
        if not started.errors:
            scope = PlanScope(input.everything, frozenset(models), frozenset(gpus))
            started = await start(info.context, operator, None, scope, dry_run=input.dry_run)
        return RecomputePayload(
            run=started.run,
            plan=started.plan,
            user_errors=started.errors,
            client_mutation_id=input.client_mutation_id,
        )

    @strawberry.mutation(
        description="Add, replace and take out models and accelerators, and publish all of it by one run. Needs the scope "
        "`catalog`."
    )
    async def change_catalog(
        self,
        info: strawberry.Info,
        input: Annotated[ChangeCatalogInput, strawberry.argument(description="The changes.")],
    ) -> ChangeCatalogPayload:
        operator = _operator(info, Scope.CATALOG)
        change, errors = change_of(info.context.view, input)
        started = Started(errors=errors)
        if not errors:
            started = await start(info.context, operator, change, None, dry_run=input.dry_run)
        done = not started.errors
        return ChangeCatalogPayload(
            models=[model_of(model_record(entry)) for entry in change.upserts["model"]] if done else [],
            gpus=[gpu_of(gpu_record(entry)) for entry in change.upserts["gpu"]] if done else [],
            run=started.run,
            plan=started.plan,
            user_errors=started.errors,
            client_mutation_id=input.client_mutation_id,
        )

    @strawberry.mutation(description="Stop a run; it publishes nothing. Needs the scope `runs`.")
    async def cancel_run(
        self, info: strawberry.Info, input: Annotated[CancelRunInput, strawberry.argument(description="The run.")]
    ) -> CancelRunPayload:
        from workers.runs import cancel_run

        _operator(info, Scope.RUNS)
        context: RequestContext = info.context
        try:
            number = run_number(str(input.id))
        except ApiError as error:
            return CancelRunPayload(
                run=None, user_errors=[user_error(error, "id")], client_mutation_id=input.client_mutation_id
            )
        stopped = await asyncio.to_thread(cancel_run, context.services.settings, number)
        async with context.services.state.connection() as connection:
            row = await store.get_run(connection, number)
        errors = [] if stopped else [_refusal(row)]
        run = None if row is None else run_from_row(row)
        return CancelRunPayload(run=run, user_errors=errors, client_mutation_id=input.client_mutation_id)


def change_of(view: CatalogView, asked: ChangeCatalogInput) -> tuple[Change, list[UserError]]:
    """The change that an input asks for, and everything that is wrong with it. Raises over 500 entries."""
    errors: list[UserError] = []
    upserts: dict[str, list[Entry]] = {}
    deletions: dict[str, list[str]] = {}
    for kind, entries, names in (
        ("model", asked.upsert_models or [], asked.delete_models or []),
        ("gpu", asked.upsert_gpus or [], asked.delete_gpus or []),
    ):
        upsert, delete = (f"{word}{kind.capitalize()}s" for word in ("upsert", "delete"))
        check_set(upsert, entries, MAX_ENTRIES)
        checked = [checked_entry(kind, entry, (upsert, str(place))) for place, entry in enumerate(entries)]
        deletions[kind], faults = named_slugs(view, kind, delete, names)
        upserts[kind] = [entry for entry, _ in checked]
        errors += [fault for _, of_entry in checked for fault in of_entry] + faults
        if not faults:
            named: list[tuple[Sequence[str], str | None]] = [
                ((upsert, str(place), "slug"), entry.get("slug")) for place, entry in enumerate(upserts[kind])
            ]
            named += [((delete, str(place)), slug) for place, slug in enumerate(deletions[kind])]
            errors += repeated(named)
    return Change(upserts, deletions), errors


async def _upserted(info: strawberry.Info, kind: str, entry: Any) -> tuple[Entry, Run | None, list[UserError]]:
    """The checked entry and the run that publishes it; or errors."""
    operator = _operator(info, Scope.CATALOG)
    checked, errors = checked_entry(kind, entry)
    if errors:
        return checked, None, errors
    started = await start(info.context, operator, Change({kind: [checked]}), None)
    return checked, started.run, started.errors


def _operator(info: strawberry.Info, scope: Scope) -> Operator:
    context: RequestContext = info.context
    return context.services.operators.require(context.token, scope)


def _refusal(row: RunRow | None) -> UserError:
    if row is None:
        return UserError(code=ErrorCode.NOT_FOUND, message="There is no run of this id.", field=["id"], suggestions=[])
    message = f"The run had ended already: it is {row.state.value}."
    return UserError(code=ErrorCode.BAD_USER_INPUT, message=message, field=["id"], suggestions=[])
