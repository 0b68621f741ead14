"""Filters and orders of fits, and how they become a query of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar

import strawberry

from api.catalog.view import CatalogView
from api.errors import bad_input
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.inputs import GpuFilter, ModelFilter, select_gpus, select_models
from api.graphql.catalog.models import Model
from api.graphql.core.described import describe
from api.graphql.core.enums import EngineKind, FitStatus, Grade, OrderDirection
from api.graphql.core.inputs import (
    FloatRange,
    IntRange,
    StringSet,
    check_alternatives,
    check_range,
    check_set,
    members_of,
    named_by,
    within_reach,
)
from api.graphql.core.orders import MAX_ORDER_TERMS
from db.fits.layout import SLOTS
from db.fits.query import NARROW_IDS, NOT_RUNNING, FitField, FitOwner, FitQuery, ModelQuants
from db.fits.query import FitOrder as StoredOrder
from estimator.types import WorkloadKind
from estimator.verdict import GRADES

T = TypeVar("T", Model, Gpu)
C = TypeVar("C", ModelFilter, GpuFilter)
_SLOT_OF = {kind: slot for slot, kind in enumerate(SLOTS)}


@strawberry.input(description="A set of workloads; both parts must hold.")
class WorkloadSet:
    in_: list[WorkloadKind] | None = strawberry.field(
        name="in", default=None, description="Workloads allowed; an empty list matches nothing."
    )
    not_in: list[WorkloadKind] | None = strawberry.field(default=None, description="Workloads not allowed.")


@strawberry.input(description="A set of outcomes; both parts must hold.")
class FitStatusSet:
    in_: list[FitStatus] | None = strawberry.field(
        name="in", default=None, description="Outcomes allowed; an empty list matches nothing."
    )
    not_in: list[FitStatus] | None = strawberry.field(default=None, description="Outcomes not allowed.")


@strawberry.input(description="A set of engines; both parts must hold.")
class EngineSet:
    in_: list[EngineKind] | None = strawberry.field(
        name="in", default=None, description="Engines allowed; an empty list matches nothing."
    )
    not_in: list[EngineKind] | None = strawberry.field(default=None, description="Engines not allowed.")


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
    weights_known: bool | None = strawberry.field(
        default=None, description="Only fits whose weights are known to be had (`Fit.weightsKnown`), or only others."
    )
    or_: list[FitFilter] | None = strawberry.field(
        name="or",
        default=None,
        description="Alternatives, at most 20: one of them must hold besides the other parts. They have no alternatives of their "
        "own.",
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
    VALUE = FitField.VALUE
    EFFICIENCY = FitField.EFFICIENCY


describe(
    FitOrderField,
    "FitOrderField",
    "Sort keys of fits. `PREFILL`, `MEMORY`, `PRICE`, `VALUE` and `EFFICIENCY` need a filter (or an owner of the list) that "
    f"leaves at most {NARROW_IDS} models or accelerators; fits without the figure come last in both directions.",
    {
        "SCORE": "Score.",
        "DECODE": "Decode speed.",
        "TTFT": "Time to the first token.",
        "SAFE_CONTEXT": "Longest safe context.",
        "PREFILL": "Prefill speed.",
        "MEMORY": "Memory of the load on the accelerator, all parts together.",
        "PRICE": "List price of the accelerator at launch.",
        "VALUE": "Decode speed for a dollar of list price at launch.",
        "EFFICIENCY": "Decode speed for a watt of design power.",
    },
)


class FitGroup(Enum):
    MODEL = FitOwner.MODEL
    GPU = FitOwner.GPU
    QUANT = FitOwner.QUANT


describe(
    FitGroup,
    "FitGroup",
    "Groups of which a list has only the first fit in its order. The choice needs a filter (or an owner of the list) that "
    f"leaves at most {NARROW_IDS} models or accelerators.",
    {"MODEL": "Each model.", "GPU": "Each accelerator.", "QUANT": "Each quantization."},
)


@strawberry.input(description="One term of an order of fits.")
class FitOrder:
    field: FitOrderField = strawberry.field(description="Sort key.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Direction; descending when left out."
    )


def store_query(faces: Faces, wanted: FitFilter | None, level: int = 0) -> FitQuery:
    """The store's query for a filter. Raises for unknown names and ranges the wrong way round."""
    if wanted is None:
        return FitQuery()
    view = faces.view
    for name in ("decode_tokens_per_second", "ttft_ms", "safe_context_tokens", "score"):
        check_range(name, getattr(wanted, name))
    context, score = wanted.safe_context_tokens or IntRange(), _bounded(wanted.score)
    models = _matching(faces, wanted.model_matches, select_models, view.model_ids)
    gpus = _matching(faces, wanted.gpu_matches, select_gpus, view.gpu_ids)
    workloads = members_of(SLOTS, wanted.workload)
    query = FitQuery(
        model_ids=ids_of_names(view, "model", wanted.model, view.model_ids, models),
        gpu_ids=ids_of_names(view, "gpu", wanted.gpu, view.gpu_ids, gpus),
        quant_ids=ids_of_names(view, "quant", wanted.quant, view.quant_ids),
        workload_ids=tuple(_SLOT_OF.values()) if workloads is None else tuple(_SLOT_OF[kind] for kind in workloads),
        engines=members_of(EngineKind, wanted.engine),
        statuses=members_of(FitStatus, wanted.status),
        recommended=wanted.recommended,
        score_min=_score_from(score.min, wanted.minimum_grade),
        score_max=score.max,
        safe_context_min=context.min,
        safe_context_max=context.max,
        model_quants=None
        if wanted.weights_known is None
        else ModelQuants(view.derived(_without_weights), among=not wanted.weights_known),
        any_of=_groups(faces, wanted, level),
    )
    for name, bounds, unknown in (
        ("decode", wanted.decode_tokens_per_second, FitQuery(statuses=tuple(NOT_RUNNING))),
        ("ttft", wanted.ttft_ms, FitQuery(ttft_known=False)),
    ):
        query = _within(query, name, bounds, unknown)
    return query


def _within(query: FitQuery, name: str, bounds: FloatRange | None, unknown: FitQuery) -> FitQuery:
    """The query within the bounds of a figure; those without it pass too where the bounds include them."""
    if bounds is None or (bounds.min is None and bounds.max is None):
        return query
    unit, ends = "_ms" if name == "ttft" else "", _bounded(bounds)
    limits: dict[str, Any] = {f"{name}_min{unit}": ends.min, f"{name}_max{unit}": ends.max}
    if bounds.include_unknown:
        return replace(query, any_of=(*query.any_of, (FitQuery(**limits), unknown)))
    return replace(query, **limits)


def _groups(faces: Faces, wanted: FitFilter, level: int) -> tuple[tuple[FitQuery, ...], ...]:
    """Groups of alternatives, of each of which one must hold."""
    check_alternatives(wanted.or_, level)
    return () if wanted.or_ is None else (tuple(store_query(faces, own, level + 1) for own in wanted.or_),)


def _without_weights(view: CatalogView) -> frozenset[tuple[int, int]]:
    """Ids of the models and precomputed quantizations without known weights. A model that lacks a fact has no fits."""
    return frozenset(
        (view.model_ids[model.slug], view.quant_ids[quant.slug])
        for model in view.models
        if not model.missing_facts
        for quant in view.precomputed_quants
        if not view.weights_known(model, quant)
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


def _matching(
    faces: Faces,
    condition: C | None,
    select: Callable[[Faces, C | None], list[T]],
    ids: Mapping[str, int],
) -> frozenset[int] | None:
    """Ids of the entities that pass a condition; None where all of many do."""
    if condition is None:
        return None
    passing = frozenset(ids[item.slug] for item in select(faces, condition))
    return None if len(passing) == len(ids) > NARROW_IDS else passing


def ids_of_names(
    view: CatalogView,
    kind: str,
    names: StringSet | None,
    every: Mapping[str, int],
    matching: Iterable[int] | None = None,
) -> tuple[int, ...] | None:
    """Ids of named entities that also match; None for no condition. Raises ``NOT_FOUND`` for an unknown name."""
    named = named_by(names, lambda text: view.id_of(kind, text))
    if named is None or (named.in_ is None and named.not_in is None):
        return None if matching is None else tuple(sorted(matching))
    ids = set(every.values() if named.in_ is None else named.in_) - set(named.not_in or ())
    return tuple(sorted(ids if matching is None else ids & set(matching)))
