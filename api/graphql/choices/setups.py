"""Questions before a purchase: the smallest setup that reaches a target, what an upgrade brings, a tier list."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.answers.facts import facts_of_plan
from api.errors import ApiError, ErrorCode, LimitExceededError, bad_input
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.choices.estimates import Estimate, estimate_of_plan
from api.graphql.choices.targets import RecommendationTarget, block_for_users, target_of
from api.graphql.core.enums import FitStatus, WorkloadKind
from api.graphql.fits.types import Fit, fit_from_cell
from api.graphql.live import require_facts
from db.fits import reads
from db.fits.layout import SLOTS
from db.fits.query import FitField, FitOrder, FitQuery
from estimator.advice.commands import commands
from estimator.estimate import cell_of
from estimator.fit_facts import FitFacts, request_of
from estimator.judgement import recommend
from estimator.types import STATUSES, EstimatorError, Status

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView
    from api.graphql.context import RequestContext

#: Numbers of equal accelerators that are tried.
CARD_COUNTS = (1, 2, 4, 8)
_DEFAULT_ITEMS = 10
_NONE = STATUSES.index(Status.DOES_NOT_FIT)


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
    view: strawberry.Private[Any]

    @strawberry.field(description="The setup as an estimate: its memory, limits, advice and commands.")
    def estimate(self) -> Estimate:
        """The whole plan."""
        return estimate_of_plan(self.view, self.plan)


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
    """Best first."""

    grade: str = strawberry.field(description="S from 90, A 80, B 65, C 50, D 30, else F.")
    fits: list[Fit] = strawberry.field(description="The best fit of each model of this grade.")


_First = Annotated[int | None, strawberry.argument(description="Most items, 0 to 100; 10 when left out.")]
_Workload = Annotated[WorkloadKind | None, strawberry.argument(description="The workload.")]


@strawberry.type(description="Questions before a purchase.")
class SetupQueries:
    """Fields of the root of all queries."""

    @strawberry.field(
        description="Setups without offload that reach a target, one an accelerator, cheapest first: the fewest of 1, 2, 4 "
        "and 8, in the quantization with most bits of those that can be started (`commands`). At most 100."
    )
    async def smallest_setups(
        self,
        info: strawberry.Info,
        model: Annotated[str, strawberry.argument(description="Model, by slug or alias.")],
        target: Annotated[RecommendationTarget, strawberry.argument(description="What must be reached.")],
        workload: _Workload = WorkloadKind.CODING,
        budget_usd: Annotated[
            float | None, strawberry.argument(description="Most for all accelerators together, US dollars.")
        ] = None,
        max_power_watts: Annotated[
            float | None, strawberry.argument(description="Most design power of all together, watts.")
        ] = None,
        first: _First = None,
    ) -> list[Setup]:
        """Searched live over the whole catalog."""
        size = _size(info.context, first)
        found = info.context.view.model(model)
        require_facts(found)
        buyer = recommend.Buyer(budget_usd, max_power_watts)
        kind = workload or WorkloadKind.CODING
        return await asyncio.to_thread(_smallest, info.context, found, target, kind, buyer, size)

    @strawberry.field(description="Models that gain from another accelerator: those that newly run first. At most 100.")
    async def upgrade_gains(
        self,
        info: strawberry.Info,
        present: Annotated[str, strawberry.argument(description="Present accelerator, by slug or alias.")],
        other: Annotated[str, strawberry.argument(description="The other accelerator, by slug or alias.")],
        workload: _Workload = WorkloadKind.CODING,
        first: _First = None,
    ) -> list[UpgradeGain]:
        """From the published fits."""
        size = _size(info.context, first)
        view = info.context.view
        sides = [
            await _best_fits(info.context, view.gpu(name), workload or WorkloadKind.CODING) for name in (present, other)
        ]
        return _gains(sides[0], sides[1])[:size]

    @strawberry.field(
        description="Every model that runs on an accelerator, once, by grade of its best quantization. At most 6 tiers."
    )
    async def tier_list(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        workload: _Workload = WorkloadKind.CODING,
    ) -> list[Tier]:
        """From the published fits."""
        best = await _best_fits(info.context, info.context.view.gpu(gpu), workload or WorkloadKind.CODING)
        fits = list(best.values())
        found = recommend.tiers([fit.score for fit in fits])
        return [Tier(grade=letter, fits=[fits[place] for place in places]) for letter, places in found.items()]


def _size(context: RequestContext, first: int | None) -> int:
    size = _DEFAULT_ITEMS if first is None else first
    if size < 0:
        raise bad_input(f"first must be 0 or more, not {size}.", field="first")
    if size > context.services.limits.page_size:
        raise LimitExceededError("first", size, context.services.limits.page_size)
    return size


async def _best_fits(context: RequestContext, gpu: Gpu, workload: WorkloadKind) -> dict[str, Fit]:
    """The recommended fit of each model that runs on an accelerator, by the model's slug."""
    view = context.view
    query = FitQuery(gpu_ids=(view.gpu_ids[gpu.slug],), workload_ids=(SLOTS.index(workload),), recommended=True)
    page = await reads.page_fits(
        context.services.reads, context.generation, query, (FitOrder(FitField.SCORE),), limit=len(view.models)
    )
    return {fit.model.slug: fit for fit in (fit_from_cell(view, cell) for cell in page.cells)}


def _gains(before: dict[str, Fit], after: dict[str, Fit]) -> list[UpgradeGain]:
    slugs = sorted(after)
    olds = [before.get(slug) for slug in slugs]
    found = recommend.upgrade_gains(
        [0.0 if old is None else old.score for old in olds],
        [after[slug].score for slug in slugs],
        [_NONE if old is None else _code(old) for old in olds],
        [_code(after[slug]) for slug in slugs],
    )
    gains = []
    for one in found:
        old, new = olds[one.index], after[slugs[one.index]]
        gains.append(
            UpgradeGain(
                model=new.model,
                score_before=one.before,
                score_after=one.after,
                status_before=None if old is None else old.status,
                status_after=new.status,
                newly_runs=one.newly_runs,
                leaves_offload=one.leaves_offload,
            )
        )
    return gains


def _code(fit: Fit) -> int:
    return STATUSES.index(Status(fit.status))


def _smallest(
    context: RequestContext,
    model: Model,
    target: RecommendationTarget,
    workload: WorkloadKind,
    buyer: recommend.Buyer,
    size: int,
) -> list[Setup]:
    view, wanted = context.view, target_of(target)
    gpus = [gpu for gpu in view.gpus if not gpu.missing_facts]
    quants = view.precomputed_quants
    use = view.workload_of_slot(SLOTS.index(workload)).spec
    try:
        blocks = {count: block_for_users(view, model, gpus, quants, use, wanted, count) for count in CARD_COUNTS}
    except EstimatorError as error:
        raise ApiError(ErrorCode.UNSUPPORTED, str(error)) from error
    devices = [gpu.accelerator for gpu in gpus]
    architecture = view.architecture(model)

    def plan(count: int, g: int, q: int) -> FitFacts:
        request = request_of(quants[q].spec, devices[g], view.host)
        request = replace(request, gpu_count=count, batch=wanted.users or 1)
        answer = cell_of(blocks[count], g, q, 0, use.context_tokens, view.host)
        return facts_of_plan(model.entry, model.slug, architecture, request, answer, use)

    def startable(count: int, g: int, q: int) -> bool:
        return bool(commands(plan(count, g, q)))

    found = recommend.smallest_setups(blocks, 0, devices, wanted.for_each_user(use), buyer, startable)[:size]
    return [_setup(view, gpus[one.gpu], quants[one.quant], one, plan(one.count, one.gpu, one.quant)) for one in found]


def _setup(view: CatalogView, gpu: Gpu, quant: Quant, one: recommend.Setup, facts: FitFacts) -> Setup:
    answer = facts.estimate
    assert answer.decode is not None
    return Setup(
        gpu=gpu,
        quant=quant,
        gpu_count=one.count,
        price_usd=one.price_usd,
        power_watts=one.power_w,
        users=facts.request.batch,
        decode_tokens_per_second=answer.decode.value,
        ttft_ms=answer.ttft_ms,
        safe_context_tokens=answer.safe_context_tokens,
        plan=facts,
        view=view,
    )
