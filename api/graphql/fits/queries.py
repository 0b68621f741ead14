"""Roots of fits and comparisons, and the lists of fits of their owners."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload as WorkloadType
from api.graphql.context import RequestContext
from api.graphql.core.arguments import ORDER, After, Before, First, Last, Workload
from api.graphql.core.connections import counts_alone
from api.graphql.core.described import extend
from api.graphql.fits.comparisons import Comparison, ComparisonInput, compare
from api.graphql.fits.inputs import FitFilter, FitGroup, FitOrder
from api.graphql.fits.pages import all_fits, fits_of
from api.graphql.fits.types import Fit, FitConnection, fit_of
from estimator.types import WorkloadKind

QuantName = Annotated[
    str | None, strawberry.argument(description="Quantization, by slug or alias; the recommended one when left out.")
]

OnePer = Annotated[
    FitGroup | None,
    strawberry.argument(
        description="Only the first fit, in the order of the list, of each model, accelerator or quantization."
    ),
]


@strawberry.type(description="Fits.")
class FitQueries:
    @strawberry.field(description="One model on one accelerator; computed live when it is not published yet.")
    async def fit(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        quant: QuantName = None,
        workload: Workload = WorkloadKind.CODING,
    ) -> Fit | None:
        return await find_fit(info.context, model, gpu, quant, workload or WorkloadKind.CODING)

    @strawberry.field(description="All published fits; default order: score, best first.")
    async def fits(
        self,
        info: strawberry.Info,
        filter: Annotated[FitFilter | None, strawberry.argument(description="Which fits.")] = None,
        order_by: Annotated[list[FitOrder] | None, ORDER] = None,
        one_per: OnePer = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> FitConnection | None:
        asked, paging = (filter, order_by, one_per), (first, after, last, before)
        return await all_fits(info.context, asked, paging, counts=counts_alone(info))

    @strawberry.field(
        description="Setups side by side: models, accelerators, quantizations, numbers and contexts. A column without an "
        "answer has its own error."
    )
    async def comparison(
        self,
        info: strawberry.Info,
        input: Annotated[ComparisonInput, strawberry.argument(description="Which setups.")],
    ) -> Comparison | None:
        return await compare(info.context, input)


async def find_fit(
    context: RequestContext, model: str, gpu: str, quant: str | None, workload: WorkloadKind
) -> Fit | None:
    """The fit of a named pairing in a named quantization, or in the best one; live when none is published."""
    view = context.view
    record = None if quant is None else view.quant(quant)
    cell = await context.loaders.fit(view.model(model), view.gpu(gpu), record, workload)
    return None if cell is None else fit_of(context.faces, cell)


async def fit_by_key(context: RequestContext, key: tuple[str, ...]) -> Fit | None:
    """The fit of an id; None when an entity of it has left the catalog."""
    if len(key) != 4:
        return None
    kinds = ("model", "gpu", "quant", "workload")
    records = [context.view.by_slug(kind, slug) for kind, slug in zip(kinds, key, strict=True)]
    if None in records:
        return None
    return await find_fit(context, *key[:3], records[3].spec.kind)


def _fits_field(description: str) -> Any:
    """The list of fits of an owner."""

    async def fits(
        self: Any,
        info: strawberry.Info,
        filter: Annotated[
            FitFilter | None, strawberry.argument(description="Which fits; all given parts must hold.")
        ] = None,
        order_by: Annotated[list[FitOrder] | None, ORDER] = None,
        one_per: OnePer = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> FitConnection | None:
        asked, paging = (filter, order_by, one_per), (first, after, last, before)
        return await fits_of(info.context, self, asked, paging, counts=counts_alone(info))

    return strawberry.field(resolver=fits, description=description)


#: Owners and the descriptions of their lists. The catalog's types stand below those of fits.
_OWNERS: dict[type, str] = {
    Model: "Fits of this model on all hardware; default order: score, best first.",
    Gpu: "Fits of all models on this accelerator; default order: score, best first.",
    Quant: "Published fits in this quantization, none for those that runs do not cover; default order: score, best "
    "first. More than 5 quantizations at once need a filter that leaves at most 24 models or accelerators.",
    WorkloadType: "Published fits of this workload; default order: score, best first.",
    Engine: "Published fits whose numbers are of this engine, none for a front; default order: score, best first. More "
    "than 5 engines at once need a filter that leaves at most 24 models or accelerators.",
    Host: "Published fits of the accelerators that are assumed to sit in this computer; default order: score, best first.",
}
for _owner, _description in _OWNERS.items():
    extend(_owner, "fits", _fits_field(_description))
