"""Questions before a purchase: the smallest setup that reaches a target, the gains of an upgrade, a tier list."""

from __future__ import annotations

import asyncio
from typing import Annotated

import strawberry

from api.answers import setups as answers
from api.answers.rankings import recommended_fits
from api.answers.setups import smallest_setups, upgrade_gains
from api.catalog.live import require_facts
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.choices.inputs import RecommendationTarget, target_of
from api.graphql.context import RequestContext
from api.graphql.core.arguments import Workload
from api.graphql.core.connections import checked_size
from api.graphql.core.enums import FitStatus
from api.graphql.fits.plans import Estimate, estimate_of_plan
from api.graphql.fits.types import Fit, fits_of_cells
from estimator.fit_facts import FitFacts
from estimator.judgement import recommend
from estimator.types import WorkloadKind


@strawberry.type(description="Equal accelerators that hold a model whole and reach a target.")
class Setup:
    """The fewest of one accelerator, with the widest quantization that does it."""

    gpu: Gpu = strawberry.field(description="The accelerator.")
    quant: Quant = strawberry.field(
        description="The quantization with most bits that reaches the target and can be started."
    )
    gpu_count: int = strawberry.field(description="How many of them.")
    price_usd: float | None = strawberry.field(description="Launch price of all, US dollars; null when unknown.")
    power_watts: float | None = strawberry.field(description="Design power of all, watts; null when unknown.")
    users: int = strawberry.field(description="Users that are answered at once: those of the target, or 1.")
    decode_tokens_per_second: float = strawberry.field(description="Decode speed of each user, tokens per second.")
    ttft_ms: float | None = strawberry.field(
        description="Time to the first token of one prompt, milliseconds; null when unknown."
    )
    safe_context_tokens: int = strawberry.field(description="Longest context of each user that fits, tokens.")
    plan: strawberry.Private[FitFacts]
    faces: strawberry.Private[Faces]

    @strawberry.field(description="The setup as an estimate: its memory, limits, advice and commands.")
    def estimate(self) -> Estimate:
        return estimate_of_plan(self.faces, self.plan)


@strawberry.type(description="What another accelerator changes for one model; each side in its best quantization.")
class UpgradeGain:
    """Scores are 0 where the model does not run."""

    model: Model = strawberry.field(description="The model.")
    score_before: float = strawberry.field(description="Score on the present accelerator, 0 to 100.")
    score_after: float = strawberry.field(description="Score on the other one, 0 to 100.")
    status_before: FitStatus | None = strawberry.field(description="Outcome before; null when nothing runs.")
    status_after: FitStatus = strawberry.field(description="Outcome after.")
    newly_runs: bool = strawberry.field(description="Whether the model did not run before.")
    leaves_offload: bool = strawberry.field(description="Whether it needed host memory before and no longer does.")


@strawberry.type(description="Models of one grade on an accelerator.")
class Tier:
    grade: str = strawberry.field(description="S from 90, A 80, B 65, C 50, D 30, else F.")
    fits: list[Fit] = strawberry.field(description="The best fit of each model of this grade.")


_First = Annotated[int | None, strawberry.argument(description="Most items, 0 to 100; 10 when left out.")]


@strawberry.type(description="Questions before a purchase.")
class SetupQueries:
    @strawberry.field(
        description="Setups without offload that reach a target, one an accelerator, cheapest first: the fewest of 1, 2, 4 "
        "and 8, in the quantization with most bits of those that can be started (`commands`). At most 100."
    )
    async def smallest_setups(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        target: Annotated[RecommendationTarget, strawberry.argument(description="What must be reached.")],
        workload: Workload = WorkloadKind.CODING,
        budget_usd: Annotated[
            float | None, strawberry.argument(description="Most for all accelerators together, US dollars.")
        ] = None,
        max_power_watts: Annotated[
            float | None, strawberry.argument(description="Most design power of all together, watts.")
        ] = None,
        first: _First = None,
    ) -> list[Setup]:
        context: RequestContext = info.context
        size, view = checked_size(context.services.limits, first), context.view
        record = view.model(model)
        require_facts(record)
        buyer, kind = recommend.Buyer(budget_usd, max_power_watts), workload or WorkloadKind.CODING
        setups = await asyncio.to_thread(smallest_setups, view, record, target_of(target), kind, buyer, size)
        return [_setup(context.faces, setup) for setup in setups]

    @strawberry.field(description="Models that gain from another accelerator: those that newly run first. At most 100.")
    async def upgrade_gains(
        self,
        info: strawberry.Info,
        present: Annotated[str, strawberry.argument(description="Present accelerator, by slug or alias.")],
        other: Annotated[str, strawberry.argument(description="The other accelerator, by slug or alias.")],
        workload: Workload = WorkloadKind.CODING,
        first: _First = None,
    ) -> list[UpgradeGain]:
        context: RequestContext = info.context
        size, kind = checked_size(context.services.limits, first), workload or WorkloadKind.CODING
        before = await recommended_fits(context.loaders, context.view.gpu(present), kind)
        after = await recommended_fits(context.loaders, context.view.gpu(other), kind)
        return [_gain(context.faces, gain) for gain in upgrade_gains(before, after)[:size]]

    @strawberry.field(
        description="Every model that runs on an accelerator, once, by grade of its best quantization. At most 6 tiers."
    )
    async def tier_list(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        workload: Workload = WorkloadKind.CODING,
    ) -> list[Tier]:
        context: RequestContext = info.context
        best = await recommended_fits(context.loaders, context.view.gpu(gpu), workload or WorkloadKind.CODING)
        fits = fits_of_cells(context.faces, [fit.cell for fit in best])
        tiers = recommend.tiers([fit.cell.score for fit in best])
        return [Tier(grade=letter, fits=[fits[place] for place in places]) for letter, places in tiers.items()]


def _gain(faces: Faces, gain: answers.UpgradeGain) -> UpgradeGain:
    before = gain.before
    return UpgradeGain(
        model=faces.of(gain.after.model),
        score_before=gain.found.before,
        score_after=gain.found.after,
        status_before=None if before is None else before.cell.status,
        status_after=gain.after.cell.status,
        newly_runs=gain.found.newly_runs,
        leaves_offload=gain.found.leaves_offload,
    )


def _setup(faces: Faces, setup: answers.Setup) -> Setup:
    estimate = setup.plan.estimate
    assert estimate.decode is not None
    return Setup(
        gpu=faces.of(setup.gpu),
        quant=faces.of(setup.quant),
        gpu_count=setup.found.count,
        price_usd=setup.found.price_usd,
        power_watts=setup.found.power_w,
        users=setup.plan.request.batch,
        decode_tokens_per_second=estimate.decode.value,
        ttft_ms=estimate.ttft_ms,
        safe_context_tokens=estimate.safe_context_tokens,
        plan=setup.plan,
        faces=faces,
    )
