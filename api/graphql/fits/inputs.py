"""Filters and orders of fits, and how they become a query of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TypeVar

import strawberry

from api.catalog.view import CatalogView
from api.errors import bad_input
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.inputs import GpuFilter, ModelFilter, select_gpus, select_models
from api.graphql.catalog.models import Model
from api.graphql.core.described import describe
from api.graphql.core.enums import EngineKind, FitStatus, Grade, OrderDirection
from api.graphql.core.inputs import FloatRange, IntRange, StringSet, check_range, check_set, within_reach
from api.graphql.core.orders import MAX_ORDER_TERMS
from db.fits.layout import SLOTS
from db.fits.query import NARROW_IDS, FitField, FitQuery
from db.fits.query import FitOrder as StoredOrder
from estimator.types import WorkloadKind
from estimator.verdict import GRADES

T = TypeVar("T", Model, Gpu)
C = TypeVar("C", ModelFilter, GpuFilter)


@strawberry.input(description="A set of workloads.")
class WorkloadSet:
    in_: list[WorkloadKind] = strawberry.field(
        name="in", description="Workloads allowed; an empty list matches nothing."
    )


@strawberry.input(description="A set of outcomes.")
class FitStatusSet:
    in_: list[FitStatus] = strawberry.field(name="in", description="Outcomes allowed; an empty list matches nothing.")


@strawberry.input(description="A set of engines.")
class EngineSet:
    in_: list[EngineKind] = strawberry.field(name="in", description="Engines allowed; an empty list matches nothing.")


@strawberry.input(
    description="Which fits. All given parts must hold. Prefill speed, memory of the load and evidence are not among them: "
    "they are stored packed. Time to the first token comes nearest to the first, `status` and `gpuMatches` to the second."
)
class FitFilter:
    model: StringSet | None = strawberry.field(default=None, description="Models, by slug or alias.")
    gpu: StringSet | None = strawberry.field(default=None, description="Accelerators, by slug or alias.")
    quant: StringSet | None = strawberry.field(default=None, description="Quantizations, by slug or alias.")
    workload: WorkloadSet | None = strawberry.field(default=None, description="Workloads; all five when left out.")
    model_matches: ModelFilter | None = strawberry.field(default=None, description="Conditions on the model.")
    gpu_matches: GpuFilter | None = strawberry.field(default=None, description="Conditions on the accelerator.")
    status: FitStatusSet | None = strawberry.field(default=None, description="Outcomes.")
    recommended: bool | None = strawberry.field(
        default=None, description="Only the best quantization of each pairing and workload, or only others."
    )
    decode_tokens_per_second: FloatRange | None = strawberry.field(
        default=None, description="Decode speed, tokens per second."
    )
    ttft_ms: FloatRange | None = strawberry.field(default=None, description="Time to the first token, milliseconds.")
    safe_context_tokens: IntRange | None = strawberry.field(default=None, description="Longest safe context, tokens.")
    score: FloatRange | None = strawberry.field(default=None, description="Score, 0 to 100.")
    minimum_grade: Grade | None = strawberry.field(default=None, description="Grade, or a better one.")
    engine: EngineSet | None = strawberry.field(
        default=None, description="Engines that the numbers are of; a front of an engine has none of its own."
    )


class FitOrderField(Enum):
    """Sort keys of fits: stored columns, and what is unpacked of few models or accelerators."""

    SCORE = FitField.SCORE
    DECODE = FitField.DECODE
    TTFT = FitField.TTFT
    SAFE_CONTEXT = FitField.SAFE_CONTEXT
    PREFILL = FitField.PREFILL
    MEMORY = FitField.MEMORY
    PRICE = FitField.PRICE


describe(
    FitOrderField,
    "FitOrderField",
    "Sort keys of fits. `PREFILL`, `MEMORY` and `PRICE` need a filter (or an owner of the list) that leaves at most "
    f"{NARROW_IDS} models or accelerators; fits without the figure come last in both directions.",
    {
        "SCORE": "Score.",
        "DECODE": "Decode speed.",
        "TTFT": "Time to the first token.",
        "SAFE_CONTEXT": "Longest safe context.",
        "PREFILL": "Prefill speed.",
        "MEMORY": "Memory of the load on the accelerator, all parts together.",
        "PRICE": "List price of the accelerator at launch.",
    },
)


@strawberry.input(description="One term of an order of fits.")
class FitOrder:
    field: FitOrderField = strawberry.field(description="Sort key.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Direction; descending when left out."
    )


def store_query(faces: Faces, wanted: FitFilter | None) -> FitQuery:
    """The store's query for a filter. Raises for unknown names and ranges the wrong way round."""
    if wanted is None:
        return FitQuery()
    view = faces.view
    for name, bounds in (
        ("decode_tokens_per_second", wanted.decode_tokens_per_second),
        ("ttft_ms", wanted.ttft_ms),
        ("safe_context_tokens", wanted.safe_context_tokens),
        ("score", wanted.score),
    ):
        check_range(name, bounds)
    decode, ttft = _bounded(wanted.decode_tokens_per_second), _bounded(wanted.ttft_ms)
    context, score = wanted.safe_context_tokens or IntRange(), _bounded(wanted.score)
    return FitQuery(
        model_ids=_ids(
            view, "model", wanted.model, _matching(faces, wanted.model_matches, select_models, view.model_ids)
        ),
        gpu_ids=_ids(view, "gpu", wanted.gpu, _matching(faces, wanted.gpu_matches, select_gpus, view.gpu_ids)),
        quant_ids=_ids(view, "quant", wanted.quant, None),
        workload_ids=_workloads(wanted.workload),
        engines=None if wanted.engine is None else tuple(dict.fromkeys(wanted.engine.in_)),
        statuses=None if wanted.status is None else tuple(dict.fromkeys(wanted.status.in_)),
        recommended=wanted.recommended,
        decode_min=decode.min,
        decode_max=decode.max,
        ttft_min_ms=ttft.min,
        ttft_max_ms=ttft.max,
        score_min=_score_from(score.min, wanted.minimum_grade),
        score_max=score.max,
        safe_context_min=context.min,
        safe_context_max=context.max,
    )


def _score_from(bound: float | None, grade: Grade | None) -> float | None:
    """The least score that meets a bound and a grade."""
    if grade is None:
        return bound
    least = dict(GRADES)[grade.value]
    return least if bound is None else max(bound, least)


def _bounded(bounds: FloatRange | None) -> FloatRange:
    """The range within what the store can compare: no stored number comes near its ends."""
    if bounds is None:
        return FloatRange()
    return FloatRange(min=within_reach(bounds.min), max=within_reach(bounds.max))


def store_order(wanted: Sequence[FitOrder] | None) -> tuple[StoredOrder, ...]:
    """The store's order; best score first when none is given. Raises ``BAD_USER_INPUT`` for a field named twice."""
    if not wanted:
        return (StoredOrder(FitField.SCORE, descending=True),)
    check_set("orderBy", wanted, MAX_ORDER_TERMS)
    terms = tuple(StoredOrder(term.field.value, descending=term.direction is OrderDirection.DESC) for term in wanted)
    if len({term.field for term in terms}) < len(terms):
        raise bad_input("orderBy names a field twice.", field="orderBy")
    return terms


def _workloads(wanted: WorkloadSet | None) -> tuple[int, ...]:
    if wanted is None:
        return tuple(range(len(SLOTS)))
    return tuple(sorted({SLOTS.index(kind) for kind in wanted.in_}))


def _matching(
    faces: Faces,
    condition: C | None,
    select: Callable[[Faces, C | None], list[T]],
    ids: Mapping[str, int],
) -> frozenset[int] | None:
    """Ids of the entities that pass a condition; None for no condition."""
    if condition is None:
        return None
    return frozenset(ids[item.slug] for item in select(faces, condition))


def _ids(
    view: CatalogView, kind: str, names: StringSet | None, matching: Iterable[int] | None
) -> tuple[int, ...] | None:
    """Ids of named entities that also match; None for no condition."""
    if names is None:
        return None if matching is None else tuple(sorted(matching))
    check_set("in", names.in_)
    named = {view.id_of(kind, text) for text in names.in_}
    return tuple(sorted(named if matching is None else named & set(matching)))
