"""Choices, best first: quantizations for a pairing, accelerators for a model, models for an accelerator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from api.answers.choices.setups import serving_flags
from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.catalog.live import block_cell, require_facts
from api.catalog.records import GpuRecord, ModelRecord
from api.catalog.view import CatalogView
from db.fits.cells import AnyCell, FitKey
from db.fits.layout import SLOTS
from db.fits.query import FitField, FitOrder, FitQuery
from estimator import verdict
from estimator.fit_facts import RUNNING
from estimator.grid import FitBlock, evaluate_block
from estimator.judgement import recommend
from estimator.judgement.recommend import Aim
from estimator.types import STATUSES, OperatingMode, WorkloadKind


@dataclass(frozen=True, slots=True)
class Question:
    """The workload, the order and the limits of a recommendation."""

    workload: WorkloadKind
    aim: Aim
    mode: OperatingMode
    buyer: recommend.Buyer
    target: recommend.Target

    @property
    def slot(self) -> int:
        """Slot of the workload."""
        return SLOTS.index(self.workload)


@dataclass(frozen=True, slots=True)
class Choice:
    """A fit and its score in the operating mode, 0 to 100."""

    fit: FitRecord
    score: float


async def recommended_quants(reads: FitReads, model: ModelRecord, gpu: GpuRecord, question: Question) -> list[Choice]:
    """Quantizations of a pairing; those with known weights, where one of them runs."""
    cells = await reads.pairing(model, gpu, question.slot)
    options = [FitRecord(reads.view, cell) for cell in cells if cell.status in RUNNING]
    options = [fit for fit in options if fit.weights_known] or options
    fits = [fit for fit in options if _qualifies(fit, question)]
    return _ranked(await asyncio.to_thread(_scored, reads.view, fits, question), question.aim)


async def recommended_models(reads: FitReads, gpu: GpuRecord, question: Question) -> list[Choice]:
    """Every model that runs and reaches the target, once, in the quantization that is best by the aim."""
    view, target = reads.view, question.target
    query = FitQuery(
        gpu_ids=(view.gpu_ids[gpu.slug],),
        workload_ids=(question.slot,),
        statuses=tuple(status for status in STATUSES if status in RUNNING),
        decode_min=target.decode_tok_s,
        ttft_max_ms=target.ttft_ms,
        safe_context_min=target.context_tokens,
    )
    by_score = question.aim in (Aim.SCORE, Aim.CHEAPEST)
    if by_score and question.mode is OperatingMode.BALANCED and target == recommend.Target():
        query = replace(query, recommended=True)
    fits = [fit for fit in await _fits(reads, query) if _qualifies(fit, question)]
    if not query.recommended and not all(fit.weights_known for fit in fits):
        # A recommended fit lacks known weights only where every fit that runs lacks them.
        best = FitQuery(gpu_ids=query.gpu_ids, workload_ids=query.workload_ids, recommended=True)
        without = {fit.model for fit in await _fits(reads, best) if not fit.weights_known}
        fits = [fit for fit in fits if fit.weights_known or fit.model in without]
    choices: dict[ModelRecord, Choice] = {}
    for choice in _ranked(await asyncio.to_thread(_scored, view, fits, question), question.aim):
        choices.setdefault(choice.fit.model, choice)
    return list(choices.values())


async def _fits(reads: FitReads, query: FitQuery) -> list[FitRecord]:
    view = reads.view
    page = await reads.page(query, (FitOrder(FitField.SCORE),), len(view.models) * len(view.quants))
    return [FitRecord(view, cell) for cell in page.cells]


async def recommended_gpus(reads: FitReads, model: ModelRecord, question: Question, size: int) -> list[Choice]:
    """At most ``size`` accelerators for a model, each in its best quantization, of all in the catalog."""
    view, slot = reads.view, question.slot
    require_facts(model)
    gpus = [gpu for gpu in view.gpus if not gpu.missing_facts]
    block = await asyncio.to_thread(_block, view, model, gpus)
    chosen = (await asyncio.to_thread(_best_gpus, view, block, model, gpus, question))[:size]
    keys = [
        FitKey(
            view.model_ids[model.slug],
            view.gpu_ids[gpus[choice.gpu].slug],
            view.quant_ids[view.precomputed_quants[choice.quant].slug],
        )
        for choice in chosen
    ]
    cells: list[AnyCell]
    if view.generation is not None:
        cells = [by_slot[slot] for by_slot in await reads.cells(keys)]
    else:
        cells = [
            block_cell(view, block, key, (choice.gpu, choice.quant, slot))
            for choice, key in zip(chosen, keys, strict=True)
        ]
    return [Choice(FitRecord(view, cell), choice.score) for cell, choice in zip(cells, chosen, strict=True)]


def _block(view: CatalogView, model: ModelRecord, gpus: Sequence[GpuRecord]) -> FitBlock:
    return evaluate_block(
        view.architecture(model),
        tuple(gpu.accelerator for gpu in gpus),
        tuple(quant.spec for quant in view.precomputed_quants),
        tuple(workload.spec for workload in view.workloads),
        tuple(view.host_of(gpu) for gpu in gpus),
        view.calibration,
    )


def _best_gpus(
    view: CatalogView, block: FitBlock, model: ModelRecord, gpus: Sequence[GpuRecord], question: Question
) -> list[recommend.Choice]:
    slot, target = question.slot, question.target
    scores = recommend.mode_scores(block, [workload.spec for workload in view.workloads], question.mode)
    return recommend.best_devices(
        block,
        scores,
        slot,
        [gpu.accelerator for gpu in gpus],
        question.aim,
        question.buyer,
        target,
        serving_flags(view, model, gpus, view.precomputed_quants, view.workloads[slot].spec, target),
    )


def _qualifies(fit: FitRecord, question: Question) -> bool:
    """Whether a fit runs, meets the buyer's limits, and reaches the target as far as a stored fit tells."""
    cell, target, buyer = fit.cell, question.target, question.buyer
    if cell.status not in RUNNING or cell.decode_figures is None:
        return False
    device = fit.gpu.accelerator
    price, power = device.msrp_usd, device.tdp_w
    return (
        (target.decode_tok_s is None or _pace(fit) >= target.decode_tok_s)
        and (target.ttft_ms is None or (cell.ttft_ms is not None and cell.ttft_ms <= target.ttft_ms))
        and (target.context_tokens is None or cell.safe_context_tokens >= target.context_tokens)
        and (buyer.budget_usd is None or (price is not None and price <= buyer.budget_usd))
        and (buyer.max_power_w is None or (power is not None and power <= buyer.max_power_w))
        and (buyer.vendors is None or device.vendor in buyer.vendors)
    )


def _scored(view: CatalogView, fits: Sequence[FitRecord], question: Question) -> list[Choice]:
    """Fits of one accelerator and workload that reach the rest of the target, with their scores in the mode."""
    least = question.target.bits_per_weight
    if least is not None:
        fits = [fit for fit in fits if fit.bits_per_weight >= least]
    if question.target.users is not None:
        fits = _serving(view, fits, question.target)
    if question.mode is OperatingMode.BALANCED or not fits:
        return [Choice(fit, fit.cell.score) for fit in fits]
    return [Choice(fit, score) for fit, score in zip(fits, _mode_scores(fits, question.mode), strict=True)]


def _serving(view: CatalogView, fits: Sequence[FitRecord], target: recommend.Target) -> list[FitRecord]:
    """Fits of one accelerator and workload that serve the target's users."""
    by_model: dict[ModelRecord, list[FitRecord]] = {}
    for fit in fits:
        by_model.setdefault(fit.model, []).append(fit)
    serving = []
    for model, own in by_model.items():
        flags = serving_flags(view, model, [own[0].gpu], [fit.quant for fit in own], own[0].workload.spec, target)
        assert flags is not None
        serving += [fit for fit, serves in zip(own, flags[0], strict=True) if serves]
    return serving


def _mode_scores(fits: Sequence[FitRecord], mode: OperatingMode) -> list[float]:
    """Scores of fits of one workload, as :func:`estimator.judgement.recommend.mode_scores` of a grid."""
    workload = fits[0].workload.spec

    def figures(read: Callable[[FitRecord], float]) -> Any:
        return np.array([read(fit) for fit in fits], dtype=np.float64)

    parts = (
        verdict.decode_part(figures(_pace), workload.comfortable_decode_tok_s),
        verdict.ttft_part(figures(lambda fit: fit.cell.ttft_ms or 0.0), workload.patience_ttft_ms),
        verdict.context_part(figures(lambda fit: fit.cell.safe_context_tokens), float(workload.context_tokens)),
        figures(lambda fit: fit.retained_share),
        verdict.headroom_part(
            figures(lambda fit: fit.cell.memory.total_bytes),
            figures(lambda fit: fit.cell.memory.usable_bytes),
            figures(lambda fit: fit.cell.placement.offload_fraction),
        ),
    )
    usable = verdict.codes_of(figures(lambda fit: fit.cell.score))
    return [float(score) for score in verdict.score(parts, usable, mode)]


def _pace(fit: FitRecord) -> float:
    """Decode speed, tokens per second; 0 when nothing runs."""
    figures = fit.cell.decode_figures
    return 0.0 if figures is None else figures[0]


def _ranked(choices: Sequence[Choice], aim: Aim) -> list[Choice]:
    """Best first by the aim, then by score, then by name. One accelerator has one price and one power."""
    by_pace = aim in (Aim.FASTEST, Aim.EFFICIENT)

    def key(choice: Choice) -> tuple[Any, ...]:
        fit = choice.fit
        first = _pace(fit) if by_pace else choice.score
        return -first, -choice.score, not fit.cell.recommended, fit.model.slug, fit.quant.slug

    return sorted(choices, key=key)
