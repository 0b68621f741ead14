"""Comparisons: several fits side by side, measure by measure, with the best of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

import strawberry

from api.errors import ApiError, ErrorCode, LimitExceededError, bad_input
from api.graphql.catalog.workloads import Workload
from api.graphql.core.described import describe
from api.graphql.fits.queries import find_fit, fit_among
from api.graphql.fits.types import Fit, headroom_bytes
from db.fits.cells import SpeedFigures
from db.fits.layout import SLOTS
from estimator.types import Status, WorkloadKind

if TYPE_CHECKING:
    from api.graphql.catalog.gpus import Gpu
    from api.graphql.catalog.models import Model
    from api.graphql.context import RequestContext

_RUNNABLE = (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)


class ComparisonMeasure(Enum):
    """Measures, each with its better direction."""

    SCORE = "score"
    DECODE = "decode"
    PREFILL = "prefill"
    TTFT = "ttft"
    SAFE_CONTEXT = "safe_context"
    HEADROOM = "headroom"
    PRICE = "price"
    POWER = "power"


describe(
    ComparisonMeasure,
    "ComparisonMeasure",
    "What a row of a comparison measures.",
    {
        "SCORE": "Score, 0 to 100; more is better.",
        "DECODE": "Decode speed, tokens per second; more is better.",
        "PREFILL": "Prefill speed, tokens per second; more is better.",
        "TTFT": "Time to the first token, milliseconds; less is better.",
        "SAFE_CONTEXT": "Longest safe context, tokens; more is better.",
        "HEADROOM": "Memory left after the load, bytes; more is better.",
        "PRICE": "List price at launch, US dollars; less is better.",
        "POWER": "Board power, watts; less is better.",
    },
)


@strawberry.type(description="One measure over all columns of a comparison.")
class ComparisonRow:
    """Values in the order of the columns."""

    measure: ComparisonMeasure = strawberry.field(description="What is measured.")
    unit: str = strawberry.field(description="Unit of the values.")
    higher_is_better: bool = strawberry.field(description="Direction of the measure.")
    values: list[float | None] = strawberry.field(
        description="One value a column; null when unknown or when it cannot run."
    )
    deltas: list[float | None] = strawberry.field(
        description="Value over the best value less one, one a column: 0 for the best; null when unknown or "
        "the best is 0."
    )
    winner: int | None = strawberry.field(
        description="Index of the best column, the first of equals; null when no value is known."
    )


@strawberry.type(description="Fits side by side.")
class Comparison:
    """Columns in the order that was asked for."""

    workload: Workload = strawberry.field(description="The workload of every column.")
    columns: list[Fit | None] = strawberry.field(
        description="One fit a column, in the order asked for; null when facts are missing for an estimate."
    )
    rows: list[ComparisonRow] = strawberry.field(description="One row a measure.")
    winner: int | None = strawberry.field(
        description="Index of the column with the best score; null when nothing runs."
    )


@strawberry.type(description="Several models on several accelerators: one comparison a model.")
class ComparisonMatrix:
    """Rows are models, columns are accelerators."""

    comparisons: list[Comparison] = strawberry.field(description="One comparison a model, in the order asked for.")


def _value(figures: SpeedFigures | None) -> float | None:
    return None if figures is None else figures[0]


_MEASURES: tuple[tuple[ComparisonMeasure, str, bool, Callable[[Fit], float | None]], ...] = (
    (ComparisonMeasure.SCORE, "points", True, lambda fit: fit.cell.score),
    (ComparisonMeasure.DECODE, "tokens per second", True, lambda fit: _value(fit.cell.decode_figures)),
    (ComparisonMeasure.PREFILL, "tokens per second", True, lambda fit: _value(fit.cell.prefill_figures)),
    (ComparisonMeasure.TTFT, "milliseconds", False, lambda fit: fit.cell.ttft_ms),
    (ComparisonMeasure.SAFE_CONTEXT, "tokens", True, lambda fit: float(fit.cell.safe_context_tokens)),
    (ComparisonMeasure.HEADROOM, "bytes", True, lambda fit: float(headroom_bytes(fit.cell.memory_bytes))),
    (ComparisonMeasure.PRICE, "US dollars", False, lambda fit: fit.gpu.price_usd),
    (ComparisonMeasure.POWER, "watts", False, lambda fit: fit.gpu.power_watts),
)


async def compare_all(
    context: RequestContext, models: Sequence[Model], gpus: Sequence[Gpu], quant: str | None, workload: WorkloadKind
) -> ComparisonMatrix:
    """One comparison a model over the same accelerators; the rows of all are read in one statement."""
    check_columns(context, len(models) * len(gpus))
    comparisons = await asyncio.gather(
        *(compare(context, [(model, gpu) for gpu in gpus], quant, workload) for model in models)
    )
    return ComparisonMatrix(comparisons=list(comparisons))


async def compare(
    context: RequestContext,
    pairs: Sequence[tuple[Model, Gpu]],
    quant: str | None,
    workload: WorkloadKind,
) -> Comparison:
    """Fits of the given pairings side by side; their rows are read in one statement."""
    check_columns(context, len(pairs))
    wanted = None if quant is None else context.view.quant(quant)
    published = await context.loaders.published(pairs, SLOTS.index(workload))
    fits = [fit_among(options, wanted) for options in published]
    missing = [place for place, fit in enumerate(fits) if fit is None]
    computed = await asyncio.gather(*(_column(context, *pairs[place], quant, workload) for place in missing))
    for place, fit in zip(missing, computed, strict=True):
        fits[place] = fit
    running = [fit if fit is not None and fit.cell.status in _RUNNABLE else None for fit in fits]
    rows = [_row(measure, unit, higher, read, running) for measure, unit, higher, read in _MEASURES]
    return Comparison(
        workload=next(found for found in context.view.workloads if found.kind is workload),
        columns=fits,
        rows=rows,
        winner=rows[0].winner,
    )


async def _column(
    context: RequestContext, model: Model, gpu: Gpu, quant: str | None, workload: WorkloadKind
) -> Fit | None:
    try:
        return await find_fit(context, model, gpu, quant, workload)
    except ApiError as error:
        if error.code is ErrorCode.MISSING_FACT:
            return None
        raise


def check_columns(context: RequestContext, count: int) -> None:
    """Raise for an empty comparison or one with too many columns."""
    maximum = context.services.settings.max_comparison
    if count > maximum:
        raise LimitExceededError("comparison columns", count, maximum)
    if count == 0:
        raise bad_input("A comparison needs at least one name.")


def _row(
    measure: ComparisonMeasure,
    unit: str,
    higher: bool,
    read: Callable[[Fit], float | None],
    fits: Sequence[Fit | None],
) -> ComparisonRow:
    values = [None if fit is None else read(fit) for fit in fits]
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if not known:
        return ComparisonRow(
            measure=measure, unit=unit, higher_is_better=higher, values=values, deltas=[None] * len(values), winner=None
        )
    winner, best = max(known, key=lambda pair: pair[1] if higher else -pair[1])
    deltas = [None if value is None or best == 0 else round(value / best - 1, 6) for value in values]
    return ComparisonRow(
        measure=measure, unit=unit, higher_is_better=higher, values=values, deltas=deltas, winner=winner
    )
