"""A fit as a plain record: a cell with the entities of its catalog view."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from api.catalog.records import GpuRecord, ModelRecord, QuantRecord, WorkloadRecord
from api.catalog.setting import ASSUMED, Setting
from api.catalog.view import CatalogView
from db.fits.cells import AnyCell
from estimator.calibration.loss import Divergence
from estimator.calibration.scale import KIND_OF_WORKLOAD, RETENTION_PER_NAT, retained_share
from estimator.types import Estimate, EstimateRequest, Status
from estimator.verdict import grade


class FitRecord:
    """One model on one accelerator in one quantization for one workload; ``setting`` is that of a computed cell."""

    def __init__(self, view: CatalogView, cell: AnyCell, setting: Setting = ASSUMED) -> None:
        self.view = view
        self.cell = cell
        self.setting = setting

    @property
    def request(self) -> EstimateRequest:
        """The request that the cell answers."""
        gpu = self.gpu
        return self.setting.request(self.quant.spec, gpu.accelerator, self.view.host_of(gpu))

    @property
    def context_tokens(self) -> int:
        """Tokens of context that are planned."""
        return self.setting.context_tokens or self.workload.spec.context_tokens

    @property
    def model(self) -> ModelRecord:
        return self.view.model_by_id[self.cell.model_id]

    @property
    def gpu(self) -> GpuRecord:
        return self.view.gpu_by_id[self.cell.gpu_id]

    @property
    def quant(self) -> QuantRecord:
        return self.view.quant_by_id[self.cell.quant_id]

    @property
    def workload(self) -> WorkloadRecord:
        return self.view.workloads[self.cell.workload_id]

    @property
    def is_supported(self) -> bool:
        """Whether an engine runs the quantization on the accelerator."""
        return self.cell.status is not Status.UNSUPPORTED

    @property
    def is_published(self) -> bool:
        """Whether the cell is of a generation, and not computed for one request."""
        return self.cell.generation > 0

    @property
    def weights_known(self) -> bool:
        """Whether weights of the model in the quantization are known to exist."""
        return self.view.weights_known(self.model, self.quant)

    @property
    def bits_per_weight(self) -> float:
        """Bits per weight of the model's tensors in the quantization."""
        return self.view.bits_per_weight(self.model, self.quant)

    @property
    def divergence(self) -> Divergence:
        """Divergence of the quantization from the original weights."""
        return self.view.divergence(self.model, self.quant)

    @property
    def retained_share(self) -> float:
        """Share of a score above chance that the quantization leaves of the model's for this workload."""
        kind = KIND_OF_WORKLOAD[self.workload.spec.kind]
        return float(retained_share(RETENTION_PER_NAT[kind], self.divergence.task_nats))

    @cached_property
    def estimate(self) -> Estimate:
        """The numbers as the estimator states them; the size of the file is left out."""
        cell, supported = self.cell, self.is_supported
        return Estimate(
            status=cell.status,
            engine=cell.engine if supported else None,
            backend=cell.backend if supported else None,
            file_size_bytes=0,
            memory=cell.memory,
            placement=cell.placement,
            decode=cell.decode,
            prefill=cell.prefill,
            ttft_ms=cell.ttft_ms,
            safe_context_tokens=cell.safe_context_tokens,
            context_tokens=self.context_tokens,
            score=cell.score,
            grade=grade(cell.score),
        )


def best_of(view: CatalogView, cells: Sequence[AnyCell]) -> AnyCell | None:
    """The recommended cell of a pairing and workload; where nothing runs, the one that needs the least memory."""
    if not cells:
        return None
    for cell in cells:
        if cell.recommended:
            return cell
    placed = [(cell, load) for cell in cells if (load := cell.load) is not None]
    if placed:
        highest = max(cell.score for cell, _ in placed)
        best = [
            (load.total_bytes, view.quant_by_id[cell.quant_id].slug, cell)
            for cell, load in placed
            if cell.score == highest
        ]
        return min(best, key=lambda ranked: ranked[:2])[2]
    return cells[0]
