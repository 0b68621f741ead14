"""Fits that no run has published: computed for one request by the code that the runs use."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from db.fits.cells import FitCell, FitKey
from db.fits.layout import SLOTS
from estimator.estimate import cell_of
from estimator.grid import FitBlock, evaluate_block
from estimator.types import (
    Backend,
    Engine,
    Estimate,
    EstimatorError,
    MemoryParts,
    Placement,
    Status,
    Strategy,
    missing_fact,
)

#: Blocks kept: one is a pairing in every quantization and workload, about 100 kB.
_KEPT = 32


class LiveFits:
    """Computes pairings in a thread and keeps the most recent ones; a pairing asked for twice is computed once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str, str], asyncio.Future[list[FitCell]]] = OrderedDict()

    async def pairing(
        self, view: CatalogView, model: ModelRecord, gpu: GpuRecord, quant: QuantRecord | None = None
    ) -> list[FitCell]:
        """Cells of every listed quantization, or of the given one, by every workload.

        The status of a quantization without an engine is ``UNSUPPORTED``. Raises ``MISSING_FACT`` for an entity that
        lacks a fact.
        """
        require_facts(model, gpu)
        listed = view.listed_quants(model)
        if quant is None:
            return await self._cells(view, model, gpu, listed)
        if quant not in listed:
            # A quantization outside the runs is never the recommended one.
            cells = await self._cells(view, model, gpu, [quant])
            return [dataclasses.replace(cell, recommended=False) for cell in cells]
        cells = await self._cells(view, model, gpu, listed)
        return [cell for cell in cells if cell.quant_id == view.quant_ids[quant.slug]]

    async def _cells(
        self, view: CatalogView, model: ModelRecord, gpu: GpuRecord, quants: Sequence[QuantRecord]
    ) -> list[FitCell]:
        key = (view.state, model.slug, gpu.slug, "" if len(quants) > 1 else quants[0].slug)
        waiting = self._kept.get(key)
        if waiting is None:
            waiting = asyncio.ensure_future(asyncio.to_thread(pairing_cells, view, model, gpu, quants))
            self._kept[key] = waiting
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        try:
            return await asyncio.shield(waiting)
        except EstimatorError as error:
            raise ApiError(ErrorCode.UNSUPPORTED, str(error)) from error
        finally:
            if waiting.done() and (waiting.cancelled() or waiting.exception() is not None):
                self._kept.pop(key, None)


def pairing_cells(
    view: CatalogView, model: ModelRecord, gpu: GpuRecord, quants: Sequence[QuantRecord]
) -> list[FitCell]:
    """Cells of one pairing: the quantizations by all workloads."""
    block = evaluate_block(
        view.architecture(model),
        (gpu.accelerator,),
        tuple(quant.spec for quant in quants),
        tuple(workload.spec for workload in view.workloads),
        (view.host_of(gpu),),
        view.calibration,
    )
    model_id, gpu_id = view.model_ids[model.slug], view.gpu_ids[gpu.slug]
    return [
        block_cell(view, block, FitKey(model_id, gpu_id, view.quant_ids[quant.slug]), (0, q, slot))
        for q, quant in enumerate(quants)
        for slot in range(len(SLOTS))
    ]


def block_cell(view: CatalogView, block: FitBlock, key: FitKey, at: tuple[int, int, int]) -> FitCell:
    """The cell of a block at (accelerator, quantization, workload slot)."""
    g, q, slot = at
    if not block.available[g, q]:
        return unsupported_cell(key, slot)
    estimate = cell_of(block, g, q, slot, view.workloads[slot].spec.context_tokens)
    return cell_from(key, slot, estimate, bool(np.asarray(block.recommended)[at]))


def cell_from(key: FitKey, slot: int, estimate: Estimate, recommended: bool) -> FitCell:
    """The cell of an estimate that an engine runs."""
    assert estimate.engine is not None
    assert estimate.backend is not None
    return FitCell(
        key=key,
        workload_id=slot,
        generation=0,
        status=estimate.status,
        recommended=recommended,
        engine=estimate.engine,
        backend=estimate.backend,
        placement=estimate.placement,
        memory=estimate.memory,
        decode=estimate.decode,
        prefill=estimate.prefill,
        ttft_ms=estimate.ttft_ms,
        safe_context_tokens=estimate.safe_context_tokens,
        score=estimate.score,
    )


def unsupported_cell(key: FitKey, slot: int) -> FitCell:
    """The cell of a quantization without an engine on the accelerator."""
    return FitCell(
        key=key, workload_id=slot, generation=0, status=Status.UNSUPPORTED, recommended=False, engine=Engine.LLAMA_CPP,
        backend=Backend.CPU, placement=Placement(Strategy.NONE, 0, 0, 0.0), memory=MemoryParts(0, 0, 0, 0, 0, 0, 0, 0),
        decode=None, prefill=None, ttft_ms=None, safe_context_tokens=0, score=0.0,
    )  # fmt: skip


def require_facts(*entities: ModelRecord | GpuRecord) -> None:
    """Raise ``MISSING_FACT`` for the first entity that lacks a fact."""
    for entity in entities:
        if entity.missing_facts:
            raise ApiError(
                ErrorCode.MISSING_FACT,
                missing_fact(entity.name, entity.missing_facts[0]),
                name=entity.slug,
                field=entity.missing_facts[0],
            )
