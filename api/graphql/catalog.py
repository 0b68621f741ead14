"""The catalog's state, and paging over its lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.graphql.connections import page_of, slice_page
from api.graphql.enums import OrderDirection
from api.graphql.errors import bad_input
from api.graphql.gpus import Gpu, GpuConnection, GpuFilter, GpuOrder, select_gpus
from api.graphql.ids import signature
from api.graphql.inputs import check_set
from api.graphql.models import Model, ModelConnection, ModelFilter, ModelOrder, select_models
from api.graphql.scalars import Int64, date_bounds

if TYPE_CHECKING:
    from api.graphql.context import RequestContext
    from api.graphql.runs import Run

MAX_ORDER_TERMS = 3


@strawberry.type(description="What is in the catalog and what is published of it.")
class Catalog:
    """Counts are of the state that this operation sees."""

    revision: str = strawberry.field(description="Content hash of all facts.")
    generation: int | None = strawberry.field(description="Published generation; null before the first one.")
    published_at: datetime | None = strawberry.field(description="When the generation was published, UTC.")
    model_count: int = strawberry.field(description="Models.")
    gpu_count: int = strawberry.field(description="Accelerators.")
    quant_count: int = strawberry.field(description="Quantizations.")
    precomputed_quant_count: int = strawberry.field(
        description="Quantizations that runs cover; the others are computed when asked for."
    )
    workload_count: int = strawberry.field(description="Workloads.")
    engine_count: int = strawberry.field(description="Engines.")
    fit_count: Int64 = strawberry.field(
        description="Published fits: every model, accelerator and quantization that an engine can run, "
        "times the workloads."
    )
    estimable_model_count: int = strawberry.field(description="Models with all facts that an estimate needs.")
    estimable_gpu_count: int = strawberry.field(description="Accelerators with all facts that an estimate needs.")
    unsupported_count: Int64 = strawberry.field(
        description="Combinations that no engine can run: `fitCount + unsupportedCount` is the product of "
        "`estimableModelCount`, `estimableGpuCount`, `precomputedQuantCount` and `workloadCount`."
    )

    @strawberry.field(description="The newest run; null when there was none.")
    async def last_run(self, info: strawberry.Info) -> Annotated[Run, strawberry.lazy("api.graphql.runs")] | None:
        """Newest run."""
        from api.graphql.runs import newest_run

        return await newest_run(info.context)


def catalog_state(context: RequestContext) -> Catalog:
    """The state that an operation sees."""
    view = context.view
    generation = view.generation
    return Catalog(
        revision=view.revision,
        generation=None if generation is None else generation.id,
        published_at=None if generation is None else generation.published_at,
        model_count=len(view.models),
        gpu_count=len(view.gpus),
        quant_count=len(view.quants),
        precomputed_quant_count=len(view.precomputed_quants),
        workload_count=len(view.workloads),
        engine_count=len(view.engines),
        fit_count=Int64(0 if generation is None else generation.cells),
        estimable_model_count=sum(not model.missing_facts for model in view.models),
        estimable_gpu_count=sum(not gpu.missing_facts for gpu in view.gpus),
        unsupported_count=Int64(0 if generation is None else generation.unsupported_cells),
    )


def page_models(
    context: RequestContext,
    wanted: ModelFilter | None,
    order_by: Sequence[ModelOrder] | None,
    paging: tuple[int | None, str | None, int | None, str | None],
) -> ModelConnection:
    """One page of models."""
    chosen: list[Model] = _ordered(select_models(context.view.models, wanted), order_by)
    return slice_page(
        ModelConnection,
        chosen,
        page_of(context.services.limits, *paging),
        context.view.state,
        _signature("models", wanted, order_by),
    )


def page_gpus(
    context: RequestContext,
    wanted: GpuFilter | None,
    order_by: Sequence[GpuOrder] | None,
    paging: tuple[int | None, str | None, int | None, str | None],
) -> GpuConnection:
    """One page of accelerators."""
    chosen: list[Gpu] = _ordered(select_gpus(context.view.gpus, wanted), order_by)
    return slice_page(
        GpuConnection,
        chosen,
        page_of(context.services.limits, *paging),
        context.view.state,
        _signature("gpus", wanted, order_by),
    )


def _ordered(items: list[Any], order_by: Sequence[Any] | None) -> list[Any]:
    """Items by the given terms, ties by slug; unknown values last. Without terms the order stays."""
    if not order_by:
        return items
    check_set("orderBy", order_by, MAX_ORDER_TERMS)
    if len({term.field for term in order_by}) < len(order_by):
        raise bad_input("orderBy names a field twice.", field="orderBy")
    items = sorted(items, key=lambda item: item.slug)
    for term in reversed(order_by):
        name = term.field.value
        known = [item for item in items if getattr(item, name) is not None]
        unknown = [item for item in items if getattr(item, name) is None]
        known.sort(key=lambda item: _sortable(name, getattr(item, name)), reverse=term.direction is OrderDirection.DESC)
        items = known + unknown
    return items


def _sortable(name: str, value: Any) -> Any:
    if name == "release_date":
        return date_bounds(value)
    return value.casefold() if isinstance(value, str) else value


def _signature(kind: str, wanted: Any, order_by: Sequence[Any] | None) -> str:
    terms = [(term.field.name, term.direction.name) for term in order_by or ()]
    return signature(kind, None if wanted is None else dataclasses.asdict(wanted), terms)
