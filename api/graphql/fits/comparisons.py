"""Comparisons: several setups side by side, measure by measure, with the best of each."""

from __future__ import annotations

from enum import Enum

import strawberry

from api.answers import comparisons as answers
from api.answers.comparisons import Measure
from api.errors import LimitExceededError, bad_input
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.described import describe
from api.graphql.core.errors import UserError, user_error
from api.graphql.fits.predictions import Prediction, estimate_of_plan
from api.graphql.fits.types import fit_of
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
        "VALUE": f"Decode speed for {answers.VALUE_USD:,} US dollars of list price at launch; more is better.",
        "EFFICIENCY": "Decode speed for a watt of design power; more is better.",
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


class ComparisonWarningCode(Enum):
    QUANTS_DIFFER = "QUANTS_DIFFER"


describe(
    ComparisonWarningCode,
    "ComparisonWarningCode",
    "Why columns of a comparison may not compare well.",
    {"QUANTS_DIFFER": "No quantization was asked for, and the recommended ones of the columns differ."},
)


@strawberry.type(description="Why columns of a comparison may not compare well.")
class ComparisonWarning:
    code: ComparisonWarningCode = strawberry.field(description="Kind of the warning.")
    message: str = strawberry.field(description="One sentence.")
    columns: list[int] = strawberry.field(description="Indexes of the columns that it is about.")


@strawberry.input(
    description="Every model on every accelerator, in every quantization, number of accelerators and context that is named. "
    "The product of the lists is 1 to 50."
)
class ComparisonInput:
    models: list[str] = strawberry.field(description="Models, by slug or alias.")
    gpus: list[str] = strawberry.field(
        description='Accelerators, by slug or alias, or several equal ones as "2x rtx-3090".'
    )
    quants: list[str] | None = strawberry.field(
        default=None, description="Quantizations, by slug or alias; the recommended one of each pairing when left out."
    )
    gpu_counts: list[int] | None = strawberry.field(
        default=None, description="Equal accelerators in a setup; what the name of each states when left out, else 1."
    )
    context_tokens: list[int] | None = strawberry.field(
        default=None, description="Contexts to allocate, tokens; what the workload needs when left out."
    )
    workload: WorkloadKind = strawberry.field(default=WorkloadKind.CODING, description="The workload.")


@strawberry.type(description="One setup of a comparison.")
class ComparisonColumn:
    model: Model | None = strawberry.field(description="The model; null for an unknown name.")
    gpu: Gpu | None = strawberry.field(description="The accelerator; null for an unknown name.")
    quant: Quant | None = strawberry.field(description="The quantization; null where none was found.")
    gpu_count: int = strawberry.field(description="How many accelerators.")
    context_tokens: int | None = strawberry.field(
        description="Context that was asked for, tokens; null for what the workload needs."
    )
    prediction: Prediction | None = strawberry.field(
        description="How it runs: a fit, or an estimate where a number or a context was asked for; null with an error."
    )
    error: UserError | None = strawberry.field(description="Why the column is empty; null when it is not.")


@strawberry.type(description="Setups side by side.")
class Comparison:
    workload: Workload = strawberry.field(description="The workload of every column.")
    columns: list[ComparisonColumn] = strawberry.field(
        description="One column a setup: by model, then accelerator, quantization, number and context, each in the order "
        "asked for."
    )
    rows: list[ComparisonRow] = strawberry.field(description="One row a measure.")
    winner: int | None = strawberry.field(
        description="Index of the column with the best score; null when nothing runs."
    )
    warnings: list[ComparisonWarning] = strawberry.field(
        description="Differences to mind when the columns are compared; empty for none."
    )


async def compare(context: RequestContext, asked: ComparisonInput) -> Comparison:
    """The setups of a question side by side."""
    question = answers.Question(
        asked.models, asked.gpus, asked.quants or (), asked.gpu_counts or (), asked.context_tokens or (), asked.workload
    )
    _check(context, question)
    faces = context.faces
    comparison = await answers.compare(context.loaders, question)
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
        workload=faces.of(context.view.workload_of(asked.workload)),
        columns=[_column_of(faces, column) for column in comparison.columns],
        rows=rows,
        winner=rows[0].winner,
        warnings=_warnings_of(comparison),
    )


def _column_of(faces: Faces, column: answers.Column) -> ComparisonColumn:
    prediction: Prediction | None = None
    if column.cell is not None:
        prediction = fit_of(faces, column.cell)
    elif column.plan is not None:
        prediction = estimate_of_plan(faces, column.plan)
    return ComparisonColumn(
        model=None if column.model is None else faces.of(column.model),
        gpu=None if column.gpu is None else faces.of(column.gpu),
        quant=None if column.quant is None else faces.of(column.quant),
        gpu_count=column.gpu_count,
        context_tokens=column.context_tokens,
        prediction=prediction,
        error=None if column.error is None else user_error(column.error),
    )


def _warnings_of(comparison: answers.Comparison) -> list[ComparisonWarning]:
    places = comparison.quants_differ
    if not places:
        return []
    quants = dict.fromkeys(quant.name for place in places if (quant := comparison.columns[place].quant) is not None)
    message = f"The recommended quantizations differ ({', '.join(quants)}), and so does what they cost in quality."
    return [ComparisonWarning(code=ComparisonWarningCode.QUANTS_DIFFER, message=message, columns=places)]


def _check(context: RequestContext, question: answers.Question) -> None:
    """Raise for an empty comparison or one with too many columns."""
    maximum = context.services.settings.max_comparison
    if question.size > maximum:
        raise LimitExceededError("comparison columns", question.size, maximum)
    if question.size == 0:
        raise bad_input("A comparison needs at least one model and one accelerator.", field="input")
