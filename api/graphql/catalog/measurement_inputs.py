"""Filters and orders of measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeAlias, TypeVar

import strawberry

from api.catalog.view import CatalogView
from api.graphql.core.described import describe
from api.graphql.core.enums import OrderDirection
from api.graphql.core.inputs import (
    MAX_TEXT,
    DateRange,
    FloatRange,
    IntRange,
    StringSet,
    check_dates,
    check_range,
    check_set,
    folded,
    in_dates,
    in_range,
)

T = TypeVar("T")
#: Whether a measurement passes.
Test: TypeAlias = Callable[[Any], bool]


class MeasurementPhase(Enum):
    """Kinds of a speed; the values are those of the measured tables."""

    DECODE = "decode"
    PREFILL = "prefill"


describe(
    MeasurementPhase,
    "MeasurementPhase",
    "Kind of a measured speed.",
    {"DECODE": "Tokens of the answer.", "PREFILL": "Tokens of the prompt."},
)


@strawberry.input(
    description="Which measurements. All given parts must hold; what a source does not state matches nothing."
)
class MeasurementFilter:
    model: StringSet | None = strawberry.field(default=None, description="Models, by slug or alias.")
    gpu: StringSet | None = strawberry.field(default=None, description="Accelerators, by slug or alias.")
    quant: StringSet | None = strawberry.field(default=None, description="Quantizations, by slug or alias.")
    phase: MeasurementPhase | None = strawberry.field(default=None, description="Kind of the speed.")
    engine: StringSet | None = strawberry.field(
        default=None, description="Engines as their sources name them, such as `llama.cpp`."
    )
    backend: StringSet | None = strawberry.field(
        default=None, description="Compute interfaces as their sources name them, such as `Vulkan`."
    )
    source: str | None = strawberry.field(
        default=None, description="A part of the source's address. At most 200 characters."
    )
    exact: bool | None = strawberry.field(
        default=None, description="Only those whose configuration is the catalog's to the letter, or only others."
    )
    tokens_per_second: FloatRange | None = strawberry.field(
        default=None, description="Measured speed, tokens per second."
    )
    depth_tokens: IntRange | None = strawberry.field(default=None, description="Tokens already in context.")
    prompt_tokens: IntRange | None = strawberry.field(default=None, description="Tokens of the prompt.")
    gpu_count: IntRange | None = strawberry.field(default=None, description="Accelerators that ran together.")
    batch: IntRange | None = strawberry.field(default=None, description="Sequences that ran together.")
    date: DateRange | None = strawberry.field(default=None, description="When it was measured or published.")


class MeasurementOrderField(Enum):
    """Sort keys of measurements: attributes."""

    TOKENS_PER_SECOND = "tokens_per_second"
    DEPTH = "depth_tokens"
    DATE = "date"


describe(
    MeasurementOrderField,
    "MeasurementOrderField",
    "Sort keys of measurements.",
    {
        "TOKENS_PER_SECOND": "Measured speed.",
        "DEPTH": "Tokens already in context.",
        "DATE": "When it was measured or published.",
    },
)


@strawberry.input(description="One term of an order of measurements.")
class MeasurementOrder:
    field: MeasurementOrderField = strawberry.field(description="Sort key.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="Direction; descending when left out."
    )


#: Filter fields that are ranges over the measurement's field of the same name.
_RANGED = ("tokens_per_second", "depth_tokens", "prompt_tokens", "gpu_count", "batch")
_NAMED = ("engine", "backend")


def select_measurements(view: CatalogView, measurements: Sequence[T], wanted: MeasurementFilter | None) -> list[T]:
    """Measurements that pass a filter, in the given order. Raises for unknown names and ranges the wrong way round."""
    if wanted is None:
        return list(measurements)
    tests: list[Test] = []
    for attribute, names, resolve in (
        ("model_slug", wanted.model, view.model),
        ("gpu_slug", wanted.gpu, view.gpu),
        ("quant_slug", wanted.quant, view.quant),
    ):
        if names is not None:
            check_set("in", names.in_)
            tests.append(_one_of(attribute, frozenset(resolve(text).slug for text in names.in_)))
    for attribute in _NAMED:
        members = folded(getattr(wanted, attribute))
        if members is not None:
            tests.append(_named(attribute, members))
    for attribute in _RANGED:
        bounds = getattr(wanted, attribute)
        check_range(attribute, bounds)
        if bounds is not None:
            tests.append(_within(attribute, bounds))
    if wanted.phase is not None:
        tests.append(_one_of("phase", frozenset((wanted.phase.value,))))
    if wanted.exact is not None:
        tests.append(_one_of("exact", frozenset((wanted.exact,))))
    if wanted.date is not None:
        dates = wanted.date
        check_dates("date", dates)
        tests.append(lambda measurement: in_dates(measurement.date, dates))
    if wanted.source is not None:
        check_set("source", wanted.source, MAX_TEXT)
        part = wanted.source.casefold()
        tests.append(lambda measurement: part in measurement.source_url.casefold())
    return [measurement for measurement in measurements if all(test(measurement) for test in tests)]


def _one_of(attribute: str, members: frozenset[object]) -> Test:
    return lambda measurement: getattr(measurement, attribute) in members


def _named(attribute: str, members: frozenset[str]) -> Test:
    return lambda measurement: (getattr(measurement, attribute) or "").casefold() in members


def _within(attribute: str, bounds: FloatRange | IntRange) -> Test:
    return lambda measurement: in_range(getattr(measurement, attribute), bounds)
