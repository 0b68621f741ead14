"""Comparisons: several fits side by side, measure by measure, with the best of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import strawberry

from api.answers import comparisons as answers
from api.answers.comparisons import Measure
from api.catalog.records import GpuRecord, ModelRecord
from api.errors import LimitExceededError, bad_input
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.described import describe
from api.graphql.fits.types import Fit, fit_of
from estimator.types import WorkloadKind

describe(
    Measure,
    "ComparisonMeasure",
    "Measure of a row of a comparison.",
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
    measure: Measure = strawberry.field(description="Measure of the row.")
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
    comparisons: list[Comparison] = strawberry.field(description="One comparison a model, in the order asked for.")


async def compare_all(
    context: RequestContext,
    models: Sequence[ModelRecord],
    gpus: Sequence[GpuRecord],
    quant: str | None,
    workload: WorkloadKind,
) -> ComparisonMatrix:
    """One comparison a model over the same accelerators; one statement reads the rows of all."""
    check_columns(context, len(models) * len(gpus))
    comparisons = await asyncio.gather(
        *(compare(context, [(model, gpu) for gpu in gpus], quant, workload) for model in models)
    )
    return ComparisonMatrix(comparisons=list(comparisons))


async def compare(
    context: RequestContext,
    pairs: Sequence[tuple[ModelRecord, GpuRecord]],
    quant: str | None,
    workload: WorkloadKind,
) -> Comparison:
    """Fits of the given pairings side by side."""
    check_columns(context, len(pairs))
    faces, view = context.faces, context.view
    record = None if quant is None else view.quant(quant)
    comparison = await answers.compare(context.loaders, pairs, record, workload)
    rows = [
        ComparisonRow(
            measure=row.measure,
            unit=row.unit,
            higher_is_better=row.higher_is_better,
            values=row.values,
            deltas=row.deltas,
            winner=row.winner,
        )
        for row in comparison.rows
    ]
    return Comparison(
        workload=faces.of(view.workload_of(workload)),
        columns=[None if cell is None else fit_of(faces, cell) for cell in comparison.columns],
        rows=rows,
        winner=rows[0].winner,
    )


def check_columns(context: RequestContext, count: int) -> None:
    """Raise for an empty comparison or one with too many columns."""
    maximum = context.services.settings.max_comparison
    if count > maximum:
        raise LimitExceededError("comparison columns", count, maximum)
    if count == 0:
        raise bad_input("A comparison needs at least one name.")
