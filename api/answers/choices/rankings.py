"""Models for an accelerator by a published benchmark; models without a result come last."""

from __future__ import annotations

from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.catalog.records import BenchmarkResult, GpuRecord, ModelRecord
from api.catalog.view import CatalogView
from api.errors import NotFoundError
from db.entries.names.index import near_names
from db.fits.layout import SLOTS
from db.fits.query import FitField, FitOrder, FitQuery
from estimator.judgement import recommend
from estimator.types import WorkloadKind


async def recommended_fits(reads: FitReads, gpu: GpuRecord, workload: WorkloadKind) -> list[FitRecord]:
    """The published recommended fit of each model that runs on an accelerator, best score first."""
    view = reads.view
    query = FitQuery(gpu_ids=(view.gpu_ids[gpu.slug],), workload_ids=(SLOTS.index(workload),), recommended=True)
    page = await reads.page(query, (FitOrder(FitField.SCORE),), len(view.models))
    return [FitRecord(view, cell) for cell in page.cells]


async def ranked_models(
    reads: FitReads, gpu: GpuRecord, benchmark: str, setting: str | None, workload: WorkloadKind
) -> list[tuple[FitRecord, BenchmarkResult | None]]:
    """Models that run, best result first, then those without a result of the setting, by score."""
    name = _benchmark_named(reads.view, benchmark)
    fits = await recommended_fits(reads, gpu, workload)
    results = [_result(fit.model, name, setting) for fit in fits]
    speeds = [fit.cell.decode_figures for fit in fits]
    order = recommend.rank_models(
        [fit.cell.score for fit in fits],
        [None if result is None else result.value for result in results],
        [0.0 if speed is None else speed[0] for speed in speeds],
        [fit.model.slug for fit in fits],
    )
    return [(fits[place], results[place]) for place in order]


def _benchmark_named(view: CatalogView, text: str) -> str:
    """A benchmark's name as the catalog has it. Raises :class:`NotFoundError`."""
    names = sorted({result.name for model in view.models for result in model.benchmarks})
    name = next((name for name in names if name.casefold() == text.strip().casefold()), None)
    if name is None:
        raise NotFoundError("benchmark", text, near_names("benchmark", text, names))
    return name


def _result(model: ModelRecord, name: str, setting: str | None) -> BenchmarkResult | None:
    """A model's result with a number and a source; None when it has none, or none of this setting."""
    for result in model.benchmarks:
        if result.name == name and result.value is not None and result.source and setting in (None, result.setting):
            return result
    return None
