"""Facts of a pairing that a question fixes: another computer, engine or context than the runs compute it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from api.catalog.live import cell_from, require_facts, unsupported_cell
from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from db.fits.cells import FitCell, FitKey
from estimator.estimate import cell_of, sweep
from estimator.fit_facts import request_of
from estimator.types import Accelerator, Engine, EstimateRequest, EstimatorError, Host, Quant


@dataclass(frozen=True, slots=True)
class Setting:
    """None leaves a part as it is assumed."""

    host: Host | None = None
    engine: Engine | None = None
    context_tokens: int | None = None

    def request(self, quant: Quant, accelerator: Accelerator, host: Host) -> EstimateRequest:
        """The request of a quantization on an accelerator, which is assumed to be in ``host``."""
        request = request_of(quant, accelerator, self.host or host)
        return replace(request, engine=self.engine, context_tokens=self.context_tokens)


ASSUMED = Setting()


def cells_under(
    setting: Setting, view: CatalogView, model: ModelRecord, gpu: GpuRecord, quants: Sequence[QuantRecord]
) -> list[FitCell]:
    """Cells of one pairing: the quantizations by all workloads.

    Raises ``MISSING_FACT`` for an entity that lacks a fact, ``UNSUPPORTED`` for a setting that no estimate can be made of.
    """
    require_facts(model, gpu)
    specs = tuple(quant.spec for quant in quants)
    request = setting.request(specs[0], gpu.accelerator, view.host_of(gpu))
    model_id, gpu_id = view.model_ids[model.slug], view.gpu_ids[gpu.slug]
    cells = []
    for slot, workload in enumerate(view.workloads):
        try:
            block = sweep(view.architecture(model), request, (gpu.accelerator,), specs, view.calibration, workload.spec)
        except EstimatorError as error:
            raise ApiError(ErrorCode.UNSUPPORTED, str(error)) from error
        context = setting.context_tokens or workload.spec.context_tokens
        recommended = np.asarray(block.recommended)
        for q, quant in enumerate(quants):
            key = FitKey(model_id, gpu_id, view.quant_ids[quant.slug])
            if block.available[0, q]:
                cells.append(cell_from(key, slot, cell_of(block, 0, q, 0, context), bool(recommended[0, q, 0])))
            else:
                cells.append(unsupported_cell(key, slot))
    return cells
