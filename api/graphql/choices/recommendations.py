"""Recommendations: quantizations for a pairing, accelerators for a model, models for an accelerator."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.answers import recommendations as answers
from api.errors import bad_input
from api.graphql.choices.inputs import RecommendationInput, target_of
from api.graphql.context import RequestContext
from api.graphql.core.connections import checked_size
from api.graphql.core.inputs import check_set
from api.graphql.fits.types import Fit, fit_of
from estimator.judgement import recommend
from estimator.types import OperatingMode


@strawberry.type(description="One recommendation.")
class Recommendation:
    rank: int = strawberry.field(description="Place, from 1.")
    fit: Fit = strawberry.field(description="The fit.")
    score: float = strawberry.field(description="Score in the operating mode, 0 to 100.")


@strawberry.type(description="Recommendations.")
class RecommendationQueries:
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
        return await _recommendations(info.context, for_, mode or OperatingMode.BALANCED, first)


async def _recommendations(
    context: RequestContext, asked: RecommendationInput, mode: OperatingMode, first: int | None
) -> list[Recommendation]:
    size = checked_size(context.services.limits, first)
    vendors = None
    if asked.vendors is not None:
        check_set("vendors", asked.vendors)
        vendors = frozenset(vendor.value for vendor in asked.vendors)
    view, reads = context.view, context.loaders
    model = None if asked.model is None else view.model(asked.model)
    gpu = None if asked.gpu is None else view.gpu(asked.gpu)
    buyer = recommend.Buyer(asked.budget_usd, asked.max_power_watts, vendors)
    question = answers.Question(asked.workload, asked.aim.value, mode, buyer, target_of(asked.target))
    if model is not None and gpu is not None:
        choices = await answers.recommended_quants(reads, model, gpu, question)
    elif model is not None:
        choices = await answers.recommended_gpus(reads, model, question, size)
    elif gpu is not None:
        choices = await answers.recommended_models(reads, gpu, question)
    else:
        raise bad_input("Name a model, an accelerator, or both.", field="for")
    return [
        Recommendation(rank=place, fit=fit_of(context.faces, choice.fit.cell), score=choice.score)
        for place, choice in enumerate(choices[:size], 1)
    ]
