"""Estimates for several users at once: the batch of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.catalog.view import CatalogView
from estimator.estimate import sweep
from estimator.fit_facts import request_of
from estimator.grid import FitBlock
from estimator.judgement import recommend
from estimator.types import Workload


def block_for_users(
    view: CatalogView,
    model: ModelRecord,
    gpus: Sequence[GpuRecord],
    quants: Sequence[QuantRecord],
    workload: Workload,
    target: recommend.Target,
    count: int = 1,
) -> FitBlock:
    """Estimates of ``count`` of each accelerator with the target's users as the batch, shape (gpus, quants, 1)."""
    devices, specs = tuple(gpu.accelerator for gpu in gpus), tuple(quant.spec for quant in quants)
    request = replace(request_of(specs[0], devices[0], view.host), gpu_count=count, batch=target.users or 1)
    return sweep(view.architecture(model), request, devices, specs, view.calibration, workload)


def serving_flags(
    view: CatalogView,
    model: ModelRecord,
    gpus: Sequence[GpuRecord],
    quants: Sequence[QuantRecord],
    workload: Workload,
    target: recommend.Target,
) -> recommend.Flags | None:
    """Whether each accelerator and quantization serves the target's users, shape (gpus, quants); None without users."""
    if target.users is None:
        return None
    return recommend.serves(block_for_users(view, model, gpus, quants, workload, target), 0, target, workload)
