"""Filters and orders of measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, TypeAlias, TypeVar

import strawberry

from api.catalog.records import Record
from api.catalog.view import CatalogView
from api.graphql.core.described import describe
from api.graphql.core.enums import OrderDirection
from api.graphql.core.inputs import (
    MAX_TEXT,
    DateRange,
    FloatRange,
    IntRange,
    StringSet,
    check_alternatives,
    check_dates,
    check_members,
    check_range,
    check_set,
    in_dates,
    in_range,
    named_by,
    passes,
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
    description="Which measurements. All given parts must hold; what a source does not state matches no `in`."
)
class MeasurementFilter:
    model: StringSet | None = strawberry.field(default=None, description="Models, by slug or alias.")
    gpu: StringSet | None = strawberry.field(default=None, description="Accelerators, by slug or alias.")
    quant: StringSet | None = strawberry.field(default=None, description="Quantizations, by slug or alias.")
    phase: MeasurementPhase | None = strawberry.field(default=None, description="Kind of the speed.")
    engine_name: StringSet | None = strawberry.field(
        default=None, description="Engines as their sources name them, such as `llama.cpp`."
    )
    backend_name: StringSet | None = strawberry.field(
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
    or_: list[MeasurementFilter] | None = strawberry.field(
        name="or",
        default=None,
        description="Alternatives, at most 20: one of them must hold besides the other parts. They have no alternatives of their "
        "own.",
    )


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


#: Filter fields that are ranges, or sets, over the measurement's field of the same name.
_RANGED = ("tokens_per_second", "depth_tokens", "prompt_tokens", "gpu_count", "batch")
_SETS = ("engine_name", "backend_name")


def select_measurements(view: CatalogView, measurements: Sequence[T], wanted: MeasurementFilter | None) -> list[T]:
    """Measurements that pass a filter, in the given order. Raises for unknown names and ranges the wrong way round."""
    if wanted is None:
        return list(measurements)
    test = _test_of(view, wanted)
    return [measurement for measurement in measurements if test(measurement)]


def _test_of(view: CatalogView, wanted: MeasurementFilter, level: int = 0) -> Test:
    tests = [*_named(view, wanted), *_stated(wanted)]
    check_alternatives(wanted.or_, level)
    if wanted.or_ is not None:
        alternatives = [_test_of(view, own, level + 1) for own in wanted.or_]
        tests.append(lambda measurement: any(test(measurement) for test in alternatives))
    return lambda measurement: all(test(measurement) for test in tests)


def _named(view: CatalogView, wanted: MeasurementFilter) -> Iterator[Test]:
    """Conditions on the things that were measured, and sets of texts."""
    sets: dict[str, Any] = {name: getattr(wanted, name) for name in _SETS}
    check_members(*sets.values())
    for attribute, names, resolve in (
        ("model_slug", wanted.model, view.model),
        ("gpu_slug", wanted.gpu, view.gpu),
        ("quant_slug", wanted.quant, view.quant),
    ):
        sets[attribute] = named_by(names, _slug_by(resolve))
    for attribute, members in sets.items():
        if members is not None:
            yield _in_set(attribute, members)


def _slug_by(resolve: Callable[[str], Record]) -> Callable[[str], str]:
    return lambda text: resolve(text).slug


def _stated(wanted: MeasurementFilter) -> Iterator[Test]:
    """Conditions on what was stated of a measurement."""
    for attribute in _RANGED:
        bounds = getattr(wanted, attribute)
        check_range(attribute, bounds)
        if bounds is not None:
            yield _within(attribute, bounds)
    if wanted.phase is not None:
        yield lambda measurement: measurement.phase is wanted.phase
    if wanted.exact is not None:
        yield lambda measurement: measurement.exact is wanted.exact
    if wanted.date is not None:
        check_dates("date", wanted.date)
        yield lambda measurement: in_dates(measurement.date, wanted.date)
    if wanted.source is not None:
        check_set("source", wanted.source, MAX_TEXT)
        part = wanted.source.casefold()
        yield lambda measurement: part in measurement.source_url.casefold()


def _in_set(attribute: str, members: Any) -> Test:
    def test(measurement: Any) -> bool:
        value = getattr(measurement, attribute)
        return passes([] if value is None else [value], members)

    return test


def _within(attribute: str, bounds: IntRange | FloatRange) -> Test:
    return lambda measurement: in_range(getattr(measurement, attribute), bounds)
