"""Roots of choices: setups, rankings, recommendations, estimates."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, cast

import strawberry

from api.answers.choices import rankings
from api.answers.choices import recommendations as answers
from api.answers.choices.setups import CARD_COUNTS, smallest_setups
from api.answers.searches import search
from api.catalog.live import require_facts
from api.errors import bad_input
from api.graphql.catalog.models import Benchmark
from api.graphql.choices.estimates import estimate_many, estimate_one
from api.graphql.choices.inputs import EstimateInput, RecommendationInput, RecommendationTarget, target_of, wanted_of
from api.graphql.choices.types import (
    EstimateResult,
    RankedModel,
    RecommendationConnection,
    Setup,
    Tier,
    TierLetter,
    UpgradeGain,
    gain_of,
    recommendation_of,
    setup_of,
)
from api.graphql.context import RequestContext
from api.graphql.core.arguments import After, Before, First, Last, Paging, Workload
from api.graphql.core.connections import checked_size, page_of, slice_page
from api.graphql.core.ids import signature
from api.graphql.core.inputs import check_set
from api.graphql.fits.predictions import Estimate
from api.graphql.fits.types import fit_of, fits_of_cells
from estimator.judgement import recommend
from estimator.judgement.buying import DESKTOP_CARDS
from estimator.types import OperatingMode, WorkloadKind

First10 = Annotated[int | None, strawberry.argument(description="Most items, 0 to 100; 10 when left out.")]


@strawberry.type(description="Questions before a purchase, and rankings.")
class PurchaseQueries:
    """Fields of the root of all queries."""

    @strawberry.field(
        description="Setups without offload that reach a target, one an accelerator, cheapest first: the fewest of 1, 2, 4 "
        "and 8, in the quantization with most bits of those that can be started (`commands`). At most 100. `purchases` also "
        "prices the computer, and tells near misses and rents."
    )
    async def smallest_setups(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        target: Annotated[
            RecommendationTarget, strawberry.argument(description="Thresholds that a choice must reach.")
        ],
        workload: Workload = WorkloadKind.CODING,
        budget_usd: Annotated[
            float | None,
            strawberry.argument(description="Most for all accelerators together at prices of today, US dollars."),
        ] = None,
        max_power_watts: Annotated[
            float | None, strawberry.argument(description="Most design power of all together, watts.")
        ] = None,
        cards: Annotated[
            int | None,
            strawberry.argument(
                description=f"Most cards in a computer, 1 to {CARD_COUNTS[-1]}; {DESKTOP_CARDS} when left out. Modules "
                "of servers are not bound by it."
            ),
        ] = None,
        first: First10 = None,
    ) -> list[Setup] | None:
        context: RequestContext = info.context
        size, view = checked_size(context.services.limits, first), context.view
        if cards is not None and not 1 <= cards <= CARD_COUNTS[-1]:
            raise bad_input(f"cards must be 1 to {CARD_COUNTS[-1]}, not {cards}.", field="cards")
        record = view.model(model)
        require_facts(record)
        buyer, kind = recommend.Buyer(budget_usd, max_power_watts), workload or WorkloadKind.CODING
        setups = await search(
            smallest_setups, view, record, target_of(target), kind, buyer, size, cards or DESKTOP_CARDS
        )
        return [setup_of(context.faces, setup) for setup in setups]

    @strawberry.field(
        description="Models that gain from another accelerator, each in its best setup: those that become usable first. "
        "At most 100."
    )
    async def upgrade_gains(
        self,
        info: strawberry.Info,
        from_: Annotated[str, strawberry.argument(name="from", description="Present accelerator, by slug or alias.")],
        to: Annotated[str, strawberry.argument(description="The other accelerator, by slug or alias.")],
        workload: Workload = WorkloadKind.CODING,
        first: First10 = None,
    ) -> list[UpgradeGain] | None:
        context: RequestContext = info.context
        size, kind = checked_size(context.services.limits, first), workload or WorkloadKind.CODING
        before = await rankings.usable_models(context.loaders, context.view.gpu(from_), kind)
        after = await rankings.usable_models(context.loaders, context.view.gpu(to), kind)
        gains = rankings.upgrade_gains(before, after)[:size]
        olds = [gain.before for gain in gains if gain.before is not None]
        old_cells = dict(
            zip((old.key.model_id for old in olds), await before.cells(context.loaders, olds), strict=True)
        )
        cells = await after.cells(context.loaders, [gain.after for gain in gains])
        return [
            gain_of(context.faces, gain, old_cells.get(cell.model_id), cell)
            for gain, cell in zip(gains, cells, strict=True)
        ]

    @strawberry.field(
        description="Every model that is usable on an accelerator, once, by how far it is rated below the best. At most 6 tiers."
    )
    async def tiers(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        workload: Workload = WorkloadKind.CODING,
    ) -> list[Tier] | None:
        context: RequestContext = info.context
        listed = await rankings.usable_models(context.loaders, context.view.gpu(gpu), workload or WorkloadKind.CODING)
        cells = await listed.cells(context.loaders, listed.choices)
        fits = {fit.cell.model_id: fit for fit in fits_of_cells(context.faces, cells)}
        return [
            Tier(letter=TierLetter(letter), fits=[fits[choice.key.model_id] for choice in choices])
            for letter, choices in rankings.tiers(listed).items()
        ]

    @strawberry.field(
        description="Models that are usable on an accelerator, by a published benchmark: best result first, then models "
        "without one, by rating. At most 100."
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
        first: First10 = None,
    ) -> list[RankedModel] | None:
        context: RequestContext = info.context
        size = checked_size(context.services.limits, first)
        view = context.view
        listed = await rankings.usable_models(context.loaders, view.gpu(gpu), workload or WorkloadKind.CODING)
        ranked = rankings.by_benchmark(listed, view, benchmark, setting)[:size]
        cells = await listed.cells(context.loaders, [choice for choice, _ in ranked])
        return [
            RankedModel(
                rank=place, fit=fit_of(context.faces, cell), quality=None if result is None else Benchmark.of(result)
            )
            for place, ((_, result), cell) in enumerate(zip(ranked, cells, strict=True), 1)
        ]


@strawberry.type(description="Recommendations and estimates.")
class ChoiceQueries:
    """Fields of the root of all queries."""

    @strawberry.field(
        description="Usable setups, best first: accelerators for a model, models for an accelerator, or quantizations "
        "for a pairing. Usable is what meets the workload's bounds on speed, first token and whole answer. Accelerators are "
        "all of the catalog with the facts that an estimate needs, laptops, boards and server parts too; `fit.gpu.kind` tells "
        "them apart. Quantizations are those in which weights are known to be had (`fit.weightsKnown`); all that run where "
        "a pairing has none of those. The modes LIGHT_API and SCALE_OUT judge 4 and 32 users at once with everything on the "
        "accelerator, unless the target names their number."
    )
    async def recommendations(
        self,
        info: strawberry.Info,
        input: Annotated[RecommendationInput, strawberry.argument(description="Subject and limits.")],
        mode: Annotated[OperatingMode | None, strawberry.argument(description="How time is charged.")] = (
            OperatingMode.BALANCED
        ),
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> RecommendationConnection | None:
        paging = first, after, last, before
        return await _recommendations(info.context, input, mode or OperatingMode.BALANCED, paging)

    @strawberry.field(description="Answer to a question with any lengths and settings, computed at once.")
    async def estimate(
        self,
        info: strawberry.Info,
        input: Annotated[EstimateInput, strawberry.argument(description="The question.")],
    ) -> Estimate | None:
        return await estimate_one(info.context, input)

    @strawberry.field(description="Answers to up to 1,000 questions, in their order; a bad one fails alone.")
    async def estimates(
        self,
        info: strawberry.Info,
        inputs: Annotated[list[EstimateInput], strawberry.argument(description="The questions.")],
    ) -> list[EstimateResult] | None:
        return await estimate_many(info.context, inputs)


async def _recommendations(
    context: RequestContext, asked: RecommendationInput, mode: OperatingMode, paging: Paging
) -> RecommendationConnection:
    page = page_of(context.services.limits, *paging)
    # One more than the page tells whether others follow.
    first = page.size + 1 if page.after is None and page.before is None and not page.backward else None
    listed = await _listed(context, asked, mode, first)
    sealed = signature("recommendations", asked, mode.value)
    connection = slice_page(RecommendationConnection, listed.choices, page, context.view.state, sealed)
    if first is not None:
        connection.counter = partial(_count, context, asked, mode)
    page_choices: list[answers.Choice] = list(cast(Any, connection.nodes))
    # The pick is on the first page.
    choices = {choice.place: choice for choice in (*page_choices, *([] if listed.pick is None else [listed.pick]))}
    cells = await listed.cells(context.loaders, list(choices.values()))
    entries = {
        place: recommendation_of(context.faces, choice, listed.rank(choice), listed.judgement(choice), cell)
        for (place, choice), cell in zip(choices.items(), cells, strict=True)
    }
    connection.nodes[:] = [entries[choice.place] for choice in page_choices]
    connection.pick = None if listed.pick is None else entries[listed.pick.place]
    return connection


async def _count(context: RequestContext, asked: RecommendationInput, mode: OperatingMode) -> int:
    return len((await _listed(context, asked, mode, None)).choices)


async def _listed(
    context: RequestContext, asked: RecommendationInput, mode: OperatingMode, first: int | None
) -> answers.Recommendations:
    """The list that is asked for, or the ``first`` of it."""
    vendors = None
    if asked.vendors is not None:
        check_set("vendors", asked.vendors)
        vendors = frozenset(vendor.value for vendor in asked.vendors)
    view, reads = context.view, context.loaders
    model = None if asked.model is None else view.model(asked.model)
    gpu = None if asked.gpu is None else view.gpu(asked.gpu)
    buyer = recommend.Buyer(asked.budget_usd, asked.max_power_watts, vendors)
    target, wanted = target_of(asked.target), wanted_of(asked)
    question = answers.Question(asked.workload, asked.aim.value, mode, buyer, target, wanted)
    return await answers.recommendations(reads, model, gpu, question, first)
