"""Models for an accelerator by a published benchmark."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.answers.rankings import ranked_models
from api.graphql.catalog.models import Benchmark
from api.graphql.context import RequestContext
from api.graphql.core.arguments import Workload
from api.graphql.core.connections import checked_size
from api.graphql.fits.types import Fit, fit_of
from estimator.types import WorkloadKind


@strawberry.type(description="A model that runs on the accelerator, with what was published of its quality.")
class RankedModel:
    """Place by quality where it is known; models without a figure follow those with one, by score."""

    rank: int = strawberry.field(description="Place, from 1.")
    fit: Fit = strawberry.field(description="The model's recommended quantization there.")
    quality: Benchmark | None = strawberry.field(
        description="The published result, with its setting and source; null when none is known. Results of different "
        "settings, and of base and tuned models, do not compare well."
    )


@strawberry.type(description="Rankings by published quality.")
class RankingQueries:
    @strawberry.field(
        description="Models that run on an accelerator, by a published benchmark: best result first, then models without "
        "one, by score. At most 100."
    )
    async def ranked_models(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        benchmark: Annotated[
            str, strawberry.argument(description="Name of a benchmark in the catalog, such as `MMLU-Pro`.")
        ],
        setting: Annotated[
            str | None,
            strawberry.argument(description="Only results of this setting, such as `5-shot`; others count as unknown."),
        ] = None,
        workload: Workload = WorkloadKind.CODING,
        first: Annotated[int | None, strawberry.argument(description="Most items, 0 to 100; 10 when left out.")] = None,
    ) -> list[RankedModel]:
        context: RequestContext = info.context
        size = checked_size(context.services.limits, first)
        ranked = await ranked_models(
            context.loaders, context.view.gpu(gpu), benchmark, setting, workload or WorkloadKind.CODING
        )
        return [
            RankedModel(
                rank=place,
                fit=fit_of(context.faces, fit.cell),
                quality=None if result is None else Benchmark.of(result),
            )
            for place, (fit, result) in enumerate(ranked[:size], 1)
        ]
