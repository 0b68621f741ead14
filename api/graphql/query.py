"""The root of all queries."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import strawberry

from api.errors import ApiError, ErrorCode, LimitExceededError
from api.graphql.catalog import catalog as catalog_lists
from api.graphql.catalog.catalog import Catalog
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu, GpuConnection, GpuFilter, GpuOrder
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.measurements import find_measurement, measurements_field
from api.graphql.catalog.models import Model, ModelConnection, ModelFilter, ModelOrder
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.choices.estimates import Estimate, EstimateInput, EstimateResult, estimate_many, estimate_one
from api.graphql.choices.rankings import RankingQueries
from api.graphql.choices.recommendations import Recommendation, RecommendationInput, recommendations
from api.graphql.choices.setups import SetupQueries
from api.graphql.core.arguments import After, Before, First, Last
from api.graphql.core.enums import OperatingMode, WorkloadKind
from api.graphql.core.ids import decode_id
from api.graphql.core.node import Node
from api.graphql.fits.comparisons import Comparison, ComparisonMatrix, compare, compare_all
from api.graphql.fits.inputs import FitFilter, FitOrder
from api.graphql.fits.queries import all_fits, find_fit, fit_by_key
from api.graphql.fits.types import Fit, FitConnection
from api.graphql.runs.runs import Run, RunConnection, RunFilter, RunOrder, find_run, page_runs, run_number

MAX_NODES = 100

Slug = Annotated[str, strawberry.argument(description="Slug or alias.")]
QuantName = Annotated[
    str | None, strawberry.argument(description="Quantization, by slug or alias; the recommended one when left out.")
]
WorkloadArgument = Annotated[WorkloadKind | None, strawberry.argument(description="The workload.")]


@strawberry.type(description="Everything that can be read.")
class Query(SetupQueries, RankingQueries):
    """Roots of the graph."""

    @strawberry.field(description="The thing with a global id; null when it has left the catalog.")
    async def node(
        self, info: strawberry.Info, id: Annotated[strawberry.ID, strawberry.argument(description="Global id.")]
    ) -> Node | None:
        """One node."""
        found: Node | None = await _node(info, str(id))
        return found

    @strawberry.field(description="Things with global ids, in the order asked for; at most 100.")
    async def nodes(
        self, info: strawberry.Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Global ids.")]
    ) -> list[Node | None]:
        """Several nodes."""
        if len(ids) > MAX_NODES:
            raise LimitExceededError("ids", len(ids), MAX_NODES)
        # Side by side, so that what they read goes together.
        return list(await asyncio.gather(*(_node(info, str(text)) for text in ids)))

    @strawberry.field(description="One model.")
    def model(self, info: strawberry.Info, slug: Slug) -> Model | None:
        """Model by slug or alias."""
        found: Model = info.context.view.model(slug)
        return found

    @strawberry.field(description="Models; default order: slug, with a search best match first.")
    def models(
        self,
        info: strawberry.Info,
        filter: Annotated[ModelFilter | None, strawberry.argument(description="Which models.")] = None,
        order_by: Annotated[
            list[ModelOrder] | None,
            strawberry.argument(description="Terms of the order, most important first; at most 3."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> ModelConnection:
        """One page of models."""
        return catalog_lists.page_models(info.context, filter, order_by, (first, after, last, before))

    @strawberry.field(description="One accelerator.")
    def gpu(self, info: strawberry.Info, slug: Slug) -> Gpu | None:
        """Accelerator by slug or alias."""
        found: Gpu = info.context.view.gpu(slug)
        return found

    @strawberry.field(description="Accelerators; default order: slug, with a search best match first.")
    def gpus(
        self,
        info: strawberry.Info,
        filter: Annotated[GpuFilter | None, strawberry.argument(description="Which accelerators.")] = None,
        order_by: Annotated[
            list[GpuOrder] | None,
            strawberry.argument(description="Terms of the order, most important first; at most 3."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> GpuConnection:
        """One page of accelerators."""
        return catalog_lists.page_gpus(info.context, filter, order_by, (first, after, last, before))

    @strawberry.field(description="One quantization.")
    def quant(self, info: strawberry.Info, slug: Slug) -> Quant | None:
        """Quantization by slug or alias."""
        found: Quant = info.context.view.quant(slug)
        return found

    @strawberry.field(description="All quantizations, a closed list of a few dozen; fewest bits first.")
    def quants(self, info: strawberry.Info) -> list[Quant]:
        """Closed list."""
        return list(info.context.view.quants)

    @strawberry.field(description="The workloads that every pairing is computed for, a closed list of five.")
    def workloads(self, info: strawberry.Info) -> list[Workload]:
        """Closed list."""
        return list(info.context.view.workloads)

    @strawberry.field(description="All engines, a closed list.")
    def engines(self, info: strawberry.Info) -> list[Engine]:
        """Closed list."""
        return list(info.context.view.engines)

    @strawberry.field(description="All host profiles, a closed list.")
    def hosts(self, info: strawberry.Info) -> list[Host]:
        """Closed list."""
        return list(info.context.view.hosts)

    @strawberry.field(description="One model on one accelerator; computed live when it is not published yet.")
    async def fit(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        quant: QuantName = None,
        workload: WorkloadArgument = WorkloadKind.CODING,
    ) -> Fit | None:
        """One fit."""
        view = info.context.view
        return await find_fit(info.context, view.model(model), view.gpu(gpu), quant, workload or WorkloadKind.CODING)

    @strawberry.field(description="All published fits; default order: score, best first.")
    async def fits(
        self,
        info: strawberry.Info,
        filter: Annotated[FitFilter | None, strawberry.argument(description="Which fits.")] = None,
        order_by: Annotated[
            list[FitOrder] | None,
            strawberry.argument(description="Terms of the order, most important first; at most 3."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> FitConnection:
        """One page of fits."""
        return await all_fits(info.context, filter, order_by, (first, after, last, before))

    @strawberry.field(description="One model on several accelerators, side by side.")
    async def compare_gpus(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        gpus: Annotated[list[str], strawberry.argument(description="Accelerators, by slug or alias; 1 to 50.")],
        quant: QuantName = None,
        workload: WorkloadArgument = WorkloadKind.CODING,
    ) -> Comparison:
        """Columns are accelerators."""
        view = info.context.view
        found = view.model(model)
        return await compare(
            info.context, [(found, view.gpu(name)) for name in gpus], quant, workload or WorkloadKind.CODING
        )

    @strawberry.field(
        description="Several models on several accelerators: one comparison a model, all with the same columns."
    )
    async def compare_many(
        self,
        info: strawberry.Info,
        models: Annotated[list[str], strawberry.argument(description="Models, by slug or alias.")],
        gpus: Annotated[
            list[str],
            strawberry.argument(description="Accelerators, by slug or alias; models times accelerators is 1 to 50."),
        ],
        quant: QuantName = None,
        workload: WorkloadArgument = WorkloadKind.CODING,
    ) -> ComparisonMatrix:
        """Rows are models, columns are accelerators."""
        view = info.context.view
        found, devices = [view.model(name) for name in models], [view.gpu(name) for name in gpus]
        kind = workload or WorkloadKind.CODING
        return await compare_all(info.context, found, devices, quant, kind)

    @strawberry.field(
        description="Several models on one accelerator, side by side, each in its recommended quantization."
    )
    async def compare_models(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        models: Annotated[list[str], strawberry.argument(description="Models, by slug or alias; 1 to 50.")],
        workload: WorkloadArgument = WorkloadKind.CODING,
    ) -> Comparison:
        """Columns are models."""
        view = info.context.view
        found = view.gpu(gpu)
        return await compare(
            info.context, [(view.model(name), found) for name in models], None, workload or WorkloadKind.CODING
        )

    @strawberry.field(
        description="What to choose, best first: accelerators for a model, models for an accelerator, or quantizations "
        "for a pairing. At most 100. Accelerators are all of the catalog with the facts that an estimate needs, laptops, "
        "boards and server parts too; `fit.gpu.kind` tells them apart. Quantizations are those in which weights are known to "
        "be had (`fit.weightsKnown`); all that run where a pairing has none of those."
    )
    async def recommendations(
        self,
        info: strawberry.Info,
        for_: Annotated[
            RecommendationInput,
            strawberry.argument(name="for", description="What to recommend for, within which limits."),
        ],
        mode: Annotated[OperatingMode | None, strawberry.argument(description="How scores are weighed.")] = (
            OperatingMode.BALANCED
        ),
        first: Annotated[int | None, strawberry.argument(description="Most items, 0 to 100; 10 when left out.")] = None,
    ) -> list[Recommendation]:
        """Ranked choices."""
        return await recommendations(info.context, for_, mode or OperatingMode.BALANCED, first)

    @strawberry.field(description="Answer to a question with any lengths and settings, computed at once.")
    async def estimate(
        self,
        info: strawberry.Info,
        input: Annotated[EstimateInput, strawberry.argument(description="The question.")],
    ) -> Estimate:
        """One estimate."""
        return await estimate_one(info.context, input)

    @strawberry.field(description="Answers to up to 1,000 questions, in their order; a bad one fails alone.")
    async def estimates(
        self,
        info: strawberry.Info,
        inputs: Annotated[list[EstimateInput], strawberry.argument(description="The questions.")],
    ) -> list[EstimateResult]:
        """A batch of estimates."""
        return await estimate_many(info.context, inputs)

    measurements = measurements_field(
        "Published measurements of what is in the catalog; default order: that of the catalog's files.", lambda _: None
    )

    @strawberry.field(description="State of the catalog: revision, generation, counts.")
    def catalog(self, info: strawberry.Info) -> Catalog:
        """Catalog state."""
        return catalog_lists.catalog_state(info.context)

    @strawberry.field(description="One run; null when there is none of this id.")
    async def run(
        self,
        info: strawberry.Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the run.")],
    ) -> Run | None:
        """One run."""
        return await find_run(info.context, run_number(str(id)))

    @strawberry.field(description="Runs; default order: newest first.")
    async def runs(
        self,
        info: strawberry.Info,
        filter: Annotated[RunFilter | None, strawberry.argument(description="Which runs; all when left out.")] = None,
        order_by: Annotated[
            list[RunOrder] | None, strawberry.argument(description="Terms of the order, most important first.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> RunConnection:
        """One page of runs."""
        return await page_runs(info.context, filter, order_by, (first, after, last, before))


async def _node(info: strawberry.Info, text: str) -> Any:
    node = decode_id(text)
    if node.kind == "Fit":
        return await fit_by_key(info.context, node.key)
    if node.kind == "Run":
        return await find_run(info.context, run_number(text))
    if node.kind == "Measurement":
        return find_measurement(info.context.view, node.key[0])
    if node.kind not in ("Model", "Gpu", "Quant", "Workload", "Engine", "Host"):
        raise ApiError(ErrorCode.BAD_USER_INPUT, "This id is not one that this service gave out.")
    return info.context.view.by_slug(node.kind.lower(), node.key[0])
