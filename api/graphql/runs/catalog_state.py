"""The catalog's state: counts, and the run that published it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from api.graphql.context import RequestContext
from api.graphql.core.scalars import Int64
from api.graphql.runs.pages import newest_run
from api.graphql.runs.types import Run
from db.fits.generations import held_generations


@strawberry.type(description="A published state whose fits are still held.")
class HeldGeneration:
    generation: int = strawberry.field(description="Its number.")
    revision: str = strawberry.field(description="Content hash of all facts that it was computed from.")
    published_at: datetime = strawberry.field(description="When it was published, UTC.")
    fit_count: Int64 = strawberry.field(description="Its fits.")


@strawberry.type(description="State of the catalog and of its publication.")
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
    precomputed_model_count: int = strawberry.field(
        description="Models that runs cover by the policy of the installation (`FITGRAPH_PRECOMPUTE`); fits of the others are "
        "computed when asked for, and lists of fits of many models leave them out."
    )
    workload_count: int = strawberry.field(description="Workloads.")
    engine_count: int = strawberry.field(description="Engines.")
    fit_count: Int64 = strawberry.field(
        description="Published fits: every precomputed model, accelerator and quantization that an engine can run, "
        "times the workloads. A format of own checkpoints has fits of the models that are published in it."
    )
    estimable_model_count: int = strawberry.field(description="Models with all facts that an estimate needs.")
    estimable_gpu_count: int = strawberry.field(description="Accelerators with all facts that an estimate needs.")
    unsupported_count: Int64 = strawberry.field(
        description="Combinations that no engine can run, or in a format of other models' own checkpoints: "
        "`fitCount + unsupportedCount` is the product of `precomputedModelCount`, `estimableGpuCount`, "
        "`precomputedQuantCount` and `workloadCount`."
    )

    @strawberry.field(
        description="Published states that `fitDifferences` can compare, oldest first. A replaced one is held for a time that "
        "the server is set to, and longer while nothing is published."
    )
    async def held_generations(self, info: strawberry.Info) -> list[HeldGeneration]:
        async with info.context.services.state.connection() as connection:
            generations = await held_generations(connection)
        return [
            HeldGeneration(
                generation=generation.id,
                revision=generation.revision,
                published_at=generation.published_at,
                fit_count=Int64(generation.cells),
            )
            for generation in generations
        ]

    @strawberry.field(description="The newest run; null when there was none.")
    async def last_run(self, info: strawberry.Info) -> Run | None:
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
        precomputed_model_count=0 if generation is None else generation.models,
        workload_count=len(view.workloads),
        engine_count=len(view.engines),
        fit_count=Int64(0 if generation is None else generation.cells),
        estimable_model_count=sum(not model.missing_facts for model in view.models),
        estimable_gpu_count=sum(not gpu.missing_facts for gpu in view.gpus),
        unsupported_count=Int64(0 if generation is None else generation.unsupported_cells),
    )
