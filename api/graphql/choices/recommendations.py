"""What to choose: quantizations for a pairing, accelerators for a model, models for an accelerator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import strawberry

from api.errors import LimitExceededError, bad_input
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog_view import CatalogView
from api.graphql.choices.targets import RecommendationTarget, serving_flags, target_of
from api.graphql.core.described import describe
from api.graphql.core.enums import FitSource, OperatingMode, Vendor, WorkloadKind
from api.graphql.core.inputs import check_set
from api.graphql.fits.types import Fit, fit_from_cell
from api.graphql.live import block_cell, require_facts
from db.fits import reads
from db.fits.cells import FitKey
from db.fits.layout import SLOTS
from db.fits.query import FitField, FitOrder, FitQuery
from estimator import verdict
from estimator.grid import FitBlock, evaluate_block
from estimator.judgement import recommend
from estimator.types import STATUSES, Status

if TYPE_CHECKING:
    from api.graphql.context import RequestContext

DEFAULT_ITEMS = 10
_RUNNABLE = (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)


class RecommendationAim(Enum):
    """What comes first."""

    SCORE = recommend.Aim.SCORE
    FASTEST = recommend.Aim.FASTEST
    CHEAPEST = recommend.Aim.CHEAPEST
    EFFICIENT = recommend.Aim.EFFICIENT


describe(
    RecommendationAim,
    "RecommendationAim",
    "What comes first.",
    {
        "SCORE": "The highest score in the operating mode.",
        "FASTEST": "The highest decode speed.",
        "CHEAPEST": "The lowest price at launch; accelerators of unknown price are left out. On one "
        "accelerator: the highest score.",
        "EFFICIENT": "The highest decode speed per watt of board power; accelerators of unknown power are left out. On one "
        "accelerator: the highest decode speed.",
    },
)


@strawberry.input(
    description="What to recommend for: a model (which accelerators?), an accelerator (which models?), or both "
    "(which quantizations?)."
)
class RecommendationInput:
    """At least one of model and gpu."""

    model: str | None = strawberry.field(default=None, description="Model, by slug or alias.")
    gpu: str | None = strawberry.field(default=None, description="Accelerator, by slug or alias.")
    workload: WorkloadKind = strawberry.field(default=WorkloadKind.CODING, description="The workload.")
    aim: RecommendationAim = strawberry.field(default=RecommendationAim.SCORE, description="What comes first.")
    budget_usd: float | None = strawberry.field(
        default=None, description="Highest price at launch, US dollars; unknown prices do not meet it."
    )
    max_power_watts: float | None = strawberry.field(
        default=None, description="Highest board power, watts; unknown powers do not meet it."
    )
    vendors: list[Vendor] | None = strawberry.field(
        default=None, description="Makers to choose from; all when left out."
    )
    target: RecommendationTarget | None = strawberry.field(default=None, description="What must be reached.")


@strawberry.type(description="One recommendation.")
class Recommendation:
    """A fit with its place and its score in the mode asked for."""

    rank: int = strawberry.field(description="Place, from 1.")
    fit: Fit = strawberry.field(description="The fit.")
    score: float = strawberry.field(description="Score in the operating mode, 0 to 100.")


@dataclass(frozen=True, slots=True)
class _Choice:
    fit: Fit
    score: float


async def recommendations(
    context: RequestContext, asked: RecommendationInput, mode: OperatingMode, first: int | None
) -> list[Recommendation]:
    """Best first, at most ``first`` (10 when None). Raises for unknown names and contradictory questions."""
    size = DEFAULT_ITEMS if first is None else first
    if size < 0:
        raise bad_input(f"first must be 0 or more, not {size}.", field="first")
    if size > context.services.limits.page_size:
        raise LimitExceededError("first", size, context.services.limits.page_size)
    if asked.vendors is not None:
        check_set("vendors", asked.vendors)
    view = context.view
    model = None if asked.model is None else view.model(asked.model)
    gpu = None if asked.gpu is None else view.gpu(asked.gpu)
    if model is not None and gpu is not None:
        chosen = await _quants_of_pairing(context, model, gpu, asked, mode)
    elif model is not None:
        chosen = await _gpus_for_model(context, model, asked, mode, size)
    elif gpu is not None:
        chosen = await _models_for_gpu(context, gpu, asked, mode)
    else:
        raise bad_input("Name a model, an accelerator, or both.", field="for")
    return [Recommendation(rank=place, fit=one.fit, score=one.score) for place, one in enumerate(chosen[:size], 1)]


async def _quants_of_pairing(
    context: RequestContext, model: Model, gpu: Gpu, asked: RecommendationInput, mode: OperatingMode
) -> list[_Choice]:
    slot, target = SLOTS.index(asked.workload), target_of(asked.target)
    options = [fit for fit in await context.loaders.pairing(model, gpu, slot) if fit.status in _RUNNABLE]
    if any(fit.weights_known for fit in options):
        options = [fit for fit in options if fit.weights_known]
    fits = [fit for fit in options if _qualifies(fit, asked)]
    return _ranked(await asyncio.to_thread(_scored, context.view, fits, target, mode), asked.aim)


async def _models_for_gpu(
    context: RequestContext, gpu: Gpu, asked: RecommendationInput, mode: OperatingMode
) -> list[_Choice]:
    """Every model that runs, in the quantization that is best by the aim of those that reach the target, ranked."""
    view, target = context.view, target_of(asked.target)
    query = FitQuery(
        gpu_ids=(view.gpu_ids[gpu.slug],),
        workload_ids=(SLOTS.index(asked.workload),),
        statuses=_RUNNABLE,
        decode_min=target.decode_tok_s,
        ttft_max_ms=target.ttft_ms,
        safe_context_min=target.context_tokens,
    )
    by_score = asked.aim in (RecommendationAim.SCORE, RecommendationAim.CHEAPEST)
    if by_score and mode is OperatingMode.BALANCED and asked.target is None:
        query = replace(query, recommended=True)
    found = await _fits(context, query)
    fits = [fit for fit in found if _qualifies(fit, asked)]
    if not query.recommended and not all(fit.weights_known for fit in fits):
        # A recommended fit has no known weights only where nothing that runs has any.
        best_fits = await _fits(
            context, FitQuery(gpu_ids=query.gpu_ids, workload_ids=query.workload_ids, recommended=True)
        )
        without = {fit.model.slug for fit in best_fits if not fit.weights_known}
        fits = [fit for fit in fits if fit.weights_known or fit.model.slug in without]
    best: dict[str, _Choice] = {}
    for one in _ranked(await asyncio.to_thread(_scored, view, fits, target, mode), asked.aim):
        best.setdefault(one.fit.model.slug, one)
    return list(best.values())


async def _fits(context: RequestContext, query: FitQuery) -> list[Fit]:
    view = context.view
    most = len(view.models) * len(view.quants)
    page = await reads.page_fits(
        context.services.reads, context.generation, query, (FitOrder(FitField.SCORE),), limit=most
    )
    return [fit_from_cell(view, cell) for cell in page.cells]


async def _gpus_for_model(
    context: RequestContext, model: Model, asked: RecommendationInput, mode: OperatingMode, size: int
) -> list[_Choice]:
    view = context.view
    require_facts(model)
    gpus = [gpu for gpu in view.gpus if not gpu.missing_facts]
    block = await asyncio.to_thread(_block, view, model, gpus)
    slot = SLOTS.index(asked.workload)
    chosen = await asyncio.to_thread(_best_gpus, view, block, model, gpus, asked, mode)
    numbers = [
        FitKey(
            view.model_ids[model.slug],
            view.gpu_ids[gpus[one.gpu].slug],
            view.quant_ids[view.precomputed_quants[one.quant].slug],
        )
        for one in chosen[:size]
    ]
    published = await context.loaders.cells(numbers) if view.generation is not None else {}
    found = []
    for one, key in zip(chosen[:size], numbers, strict=True):
        cells = published.get(key)
        if cells:
            fit = fit_from_cell(view, cells[slot])
        else:
            fit = fit_from_cell(view, block_cell(view, block, key, (one.gpu, one.quant, slot)), FitSource.LIVE)
        found.append(_Choice(fit, one.score))
    return found


def _block(view: CatalogView, model: Model, gpus: Sequence[Gpu]) -> FitBlock:
    return evaluate_block(
        view.architecture(model),
        tuple(gpu.accelerator for gpu in gpus),
        tuple(quant.spec for quant in view.precomputed_quants),
        tuple(workload.spec for workload in view.workloads),
        view.host,
        view.calibration,
    )


def _best_gpus(
    view: CatalogView,
    block: FitBlock,
    model: Model,
    gpus: Sequence[Gpu],
    asked: RecommendationInput,
    mode: OperatingMode,
) -> list[recommend.Choice]:
    slot, target = SLOTS.index(asked.workload), target_of(asked.target)
    scores = recommend.mode_scores(block, [workload.spec for workload in view.workloads], mode)
    vendors = None if asked.vendors is None else frozenset(vendor.value for vendor in asked.vendors)
    return recommend.best_devices(
        block,
        scores,
        slot,
        [gpu.accelerator for gpu in gpus],
        asked.aim.value,
        recommend.Buyer(asked.budget_usd, asked.max_power_watts, vendors),
        target,
        serving_flags(view, model, gpus, view.precomputed_quants, view.workload_of_slot(slot).spec, target),
    )


def _qualifies(fit: Fit, asked: RecommendationInput) -> bool:
    """Whether a fit runs, is within the buyer's limits and reaches what a stored fit tells of the target."""
    if fit.status not in _RUNNABLE or fit.decode is None:
        return False
    target = target_of(asked.target)
    gpu = fit.gpu
    return (
        (target.decode_tok_s is None or fit.decode.tokens_per_second >= target.decode_tok_s)
        and (target.ttft_ms is None or (fit.ttft_ms is not None and fit.ttft_ms <= target.ttft_ms))
        and (target.context_tokens is None or fit.safe_context_tokens >= target.context_tokens)
        and (asked.budget_usd is None or (gpu.price_usd is not None and gpu.price_usd <= asked.budget_usd))
        and (
            asked.max_power_watts is None or (gpu.power_watts is not None and gpu.power_watts <= asked.max_power_watts)
        )
        and (asked.vendors is None or gpu.vendor in asked.vendors)
    )


def _scored(view: CatalogView, fits: Sequence[Fit], target: recommend.Target, mode: OperatingMode) -> list[_Choice]:
    """Fits of one accelerator and workload that reach the rest of the target, with their scores in the mode."""
    if target.bits_per_weight is not None:
        least = target.bits_per_weight
        fits = [fit for fit in fits if view.bits_per_weight(fit.model, fit.quant) >= least]
    if target.users is not None:
        fits = _serving(view, fits, target)
    if mode is OperatingMode.BALANCED or not fits:
        return [_Choice(fit, fit.score) for fit in fits]
    return [_Choice(fit, score) for fit, score in zip(fits, _mode_scores(view, fits, mode), strict=True)]


def _serving(view: CatalogView, fits: Sequence[Fit], target: recommend.Target) -> list[Fit]:
    """Fits of one accelerator and workload that serve the target's users."""
    by_model: dict[str, list[Fit]] = {}
    for fit in fits:
        by_model.setdefault(fit.model.slug, []).append(fit)
    found = []
    for own in by_model.values():
        flags = serving_flags(
            view, own[0].model, [own[0].gpu], [fit.quant for fit in own], own[0].workload.spec, target
        )
        assert flags is not None
        found += [fit for fit, serves in zip(own, flags[0], strict=True) if serves]
    return found


def _mode_scores(view: CatalogView, fits: Sequence[Fit], mode: OperatingMode) -> list[float]:
    """Scores of fits of one workload, as :func:`estimator.judgement.recommend.mode_scores` of a grid."""
    use = fits[0].workload.spec

    def figures(read: Callable[[Fit], float]) -> Any:
        return np.array([read(fit) for fit in fits], dtype=np.float64)

    parts = (
        verdict.decode_part(figures(_pace), use.comfortable_decode_tok_s),
        verdict.ttft_part(figures(lambda fit: fit.ttft_ms or 0.0), use.patience_ttft_ms),
        verdict.context_part(figures(lambda fit: fit.safe_context_tokens), float(use.context_tokens)),
        verdict.quality_part(figures(lambda fit: view.bits_per_weight(fit.model, fit.quant))),
        verdict.headroom_part(
            figures(lambda fit: fit.memory.total_bytes if fit.memory else 0),
            figures(lambda fit: fit.memory.usable_bytes if fit.memory else 0),
            figures(lambda fit: fit.placement.offload_fraction),
        ),
    )
    status = np.array([STATUSES.index(Status(fit.status)) for fit in fits])
    return [float(score) for score in verdict.score(parts, status, mode)]


def _pace(fit: Fit) -> float:
    return 0.0 if fit.decode is None else fit.decode.tokens_per_second


def _ranked(choices: Sequence[_Choice], aim: RecommendationAim) -> list[_Choice]:
    """Best first by the aim, then by score, then by name; price and power are those of the one accelerator."""

    keys: dict[RecommendationAim, Callable[[_Choice], float]] = {
        RecommendationAim.SCORE: lambda one: -one.score,
        RecommendationAim.FASTEST: lambda one: -_pace(one.fit),
        # One accelerator has one price and one power.
        RecommendationAim.CHEAPEST: lambda one: -one.score,
        RecommendationAim.EFFICIENT: lambda one: -_pace(one.fit),
    }
    key = keys[aim]
    return sorted(
        choices, key=lambda one: (key(one), -one.score, not one.fit.recommended, one.fit.model.slug, one.fit.quant.slug)
    )
