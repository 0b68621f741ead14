"""Several fits side by side, measure by measure, with the best of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.catalog.records import GpuRecord, ModelRecord, QuantRecord
from api.errors import ApiError, ErrorCode
from db.fits.cells import AnyCell, SpeedFigures
from db.fits.layout import SLOTS
from estimator.fit_facts import RUNNING
from estimator.types import WorkloadKind


class Measure(Enum):
    """Measures of a comparison."""

    SCORE = "score"
    DECODE = "decode"
    PREFILL = "prefill"
    TTFT = "ttft"
    SAFE_CONTEXT = "safe_context"
    HEADROOM = "headroom"
    PRICE = "price"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure, a value a column. A delta is the value over the best one less one; ``winner`` is a column."""

    measure: Measure
    unit: str
    higher_is_better: bool
    values: list[float | None]
    deltas: list[float | None]
    winner: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cells in the order of the pairings; None where a fact is missing."""

    columns: list[AnyCell | None]
    rows: list[Row]


def _value(figures: SpeedFigures | None) -> float | None:
    return None if figures is None else figures[0]


def _headroom(fit: FitRecord) -> float:
    memory = fit.cell.memory
    return float(memory.usable_bytes - memory.total_bytes)


_MEASURES: tuple[tuple[Measure, str, bool, Callable[[FitRecord], float | None]], ...] = (
    (Measure.SCORE, "points", True, lambda fit: fit.cell.score),
    (Measure.DECODE, "tokens per second", True, lambda fit: _value(fit.cell.decode_figures)),
    (Measure.PREFILL, "tokens per second", True, lambda fit: _value(fit.cell.prefill_figures)),
    (Measure.TTFT, "milliseconds", False, lambda fit: fit.cell.ttft_ms),
    (Measure.SAFE_CONTEXT, "tokens", True, lambda fit: float(fit.cell.safe_context_tokens)),
    (Measure.HEADROOM, "bytes", True, _headroom),
    (Measure.PRICE, "US dollars", False, lambda fit: fit.gpu.accelerator.msrp_usd),
    (Measure.POWER, "watts", False, lambda fit: fit.gpu.accelerator.tdp_w),
)


async def compare(
    reads: FitReads,
    pairs: Sequence[tuple[ModelRecord, GpuRecord]],
    quant: QuantRecord | None,
    workload: WorkloadKind,
) -> Comparison:
    """Fits of the given pairings side by side; one statement reads the published ones."""
    published = await reads.published(pairs, SLOTS.index(workload))
    columns = [reads.chosen(cells, quant) for cells in published]
    missing = [place for place, cell in enumerate(columns) if cell is None]
    computed = await asyncio.gather(*(_column(reads, *pairs[place], quant, workload) for place in missing))
    for place, cell in zip(missing, computed, strict=True):
        columns[place] = cell
    running = [FitRecord(reads.view, cell) if cell is not None and cell.status in RUNNING else None for cell in columns]
    return Comparison(columns, [_row(*measure, running) for measure in _MEASURES])


async def _column(
    reads: FitReads, model: ModelRecord, gpu: GpuRecord, quant: QuantRecord | None, workload: WorkloadKind
) -> AnyCell | None:
    try:
        return await reads.fit(model, gpu, quant, workload)
    except ApiError as error:
        if error.code is ErrorCode.MISSING_FACT:
            return None
        raise


def _row(
    measure: Measure,
    unit: str,
    higher: bool,
    read: Callable[[FitRecord], float | None],
    fits: Sequence[FitRecord | None],
) -> Row:
    values = [None if fit is None else read(fit) for fit in fits]
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if not known:
        return Row(measure, unit, higher, values, [None] * len(values), None)
    winner, best = max(known, key=lambda pair: pair[1] if higher else -pair[1])
    deltas = [None if value is None or best == 0 else round(value / best - 1, 6) for value in values]
    return Row(measure, unit, higher, values, deltas, winner)
