"""Filters and orders of models and accelerators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

import strawberry

from api.catalog.records import Record
from api.catalog.search import relevance
from api.errors import bad_input
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.core.described import describe
from api.graphql.core.enums import BackendKind, GpuKind, OrderDirection, Vendor
from api.graphql.core.inputs import (
    MAX_TEXT,
    DateRange,
    FloatRange,
    Int64Range,
    IntRange,
    Range,
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

#: Whether an entity passes.
Test: TypeAlias = Callable[[Any], bool]


@strawberry.input(description="Which models. All given parts must hold.")
class ModelFilter:
    search: str | None = strawberry.field(
        default=None,
        description="Words of a name or alias; forgives typing errors; blank: any. At most 200 characters.",
    )
    slug: StringSet | None = strawberry.field(
        default=None, description="Models, by slug or alias; an unknown name is an error."
    )
    family: StringSet | None = strawberry.field(default=None, description="Families.")
    publisher: StringSet | None = strawberry.field(default=None, description="Publishers.")
    license: StringSet | None = strawberry.field(default=None, description="Licence identifiers.")
    modality: StringSet | None = strawberry.field(default=None, description="Modalities; any of them must be read.")
    parameter_count: Int64Range | None = strawberry.field(default=None, description="All parameters.")
    active_parameter_count: Int64Range | None = strawberry.field(default=None, description="Parameters per token.")
    context_tokens: IntRange | None = strawberry.field(default=None, description="Longest context, tokens.")
    release_date: DateRange | None = strawberry.field(default=None, description="Date of first release.")
    mixture_of_experts: bool | None = strawberry.field(
        default=None, description="Only mixtures of experts, or only dense ones."
    )
    verified: bool | None = strawberry.field(
        default=None, description="Only models whose facts are verified, or only others."
    )
    estimable: bool | None = strawberry.field(
        default=None, description="Only models with all facts for an estimate, or only others."
    )
    or_: list[ModelFilter] | None = strawberry.field(
        name="or",
        default=None,
        description="Alternatives, at most 20: one of them must hold besides the other parts. They have no alternatives of their "
        "own, and no `search`.",
    )


class ModelOrderField(Enum):
    """Sort keys of models."""

    NAME = "name"
    SLUG = "slug"
    RELEASE_DATE = "release_date"
    PARAMETER_COUNT = "parameter_count"
    ACTIVE_PARAMETER_COUNT = "active_parameter_count"
    CONTEXT_TOKENS = "context_tokens"


describe(
    ModelOrderField,
    "ModelOrderField",
    "Sort keys of models.",
    {
        "NAME": "Display name.",
        "SLUG": "Slug.",
        "RELEASE_DATE": "Date of first release.",
        "PARAMETER_COUNT": "All parameters.",
        "ACTIVE_PARAMETER_COUNT": "Parameters per token.",
        "CONTEXT_TOKENS": "Longest context.",
    },
)


@strawberry.input(description="One term of an order of models.")
class ModelOrder:
    field: ModelOrderField = strawberry.field(description="Sort key.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Direction; ascending when left out."
    )


@strawberry.input(description="A set of makers; both parts must hold.")
class VendorSet:
    in_: list[Vendor] | None = strawberry.field(
        name="in", default=None, description="Makers allowed; an empty list matches nothing."
    )
    not_in: list[Vendor] | None = strawberry.field(default=None, description="Makers not allowed.")


@strawberry.input(description="A set of sorts of product; both parts must hold.")
class GpuKindSet:
    in_: list[GpuKind] | None = strawberry.field(
        name="in", default=None, description="Sorts allowed; an empty list matches nothing."
    )
    not_in: list[GpuKind] | None = strawberry.field(default=None, description="Sorts not allowed.")


@strawberry.input(description="A set of compute interfaces; both parts must hold.")
class BackendSet:
    in_: list[BackendKind] | None = strawberry.field(
        name="in", default=None, description="Interfaces allowed; an empty list matches nothing."
    )
    not_in: list[BackendKind] | None = strawberry.field(default=None, description="Interfaces not allowed.")


@strawberry.input(description="Which accelerators. All given parts must hold.")
class GpuFilter:
    search: str | None = strawberry.field(
        default=None,
        description="Words of a name or alias; forgives typing errors; blank: any. At most 200 characters.",
    )
    slug: StringSet | None = strawberry.field(
        default=None, description="Accelerators, by slug or alias; an unknown name is an error."
    )
    vendor: VendorSet | None = strawberry.field(default=None, description="Makers.")
    architecture: StringSet | None = strawberry.field(default=None, description="Hardware generations.")
    kind: GpuKindSet | None = strawberry.field(default=None, description="Sorts of product.")
    backend: BackendSet | None = strawberry.field(default=None, description="Interfaces; any of them must be there.")
    memory_bytes: Int64Range | None = strawberry.field(default=None, description="Memory, bytes.")
    bandwidth_bytes_per_second: FloatRange | None = strawberry.field(
        default=None, description="Bandwidth, bytes per second."
    )
    matrix_flops_per_second: FloatRange | None = strawberry.field(
        default=None, description="FP16 peak, operations per second."
    )
    power_watts: FloatRange | None = strawberry.field(default=None, description="Board power, watts.")
    price_usd: FloatRange | None = strawberry.field(default=None, description="List price at launch, US dollars.")
    release_date: DateRange | None = strawberry.field(default=None, description="Date of announcement or sale.")
    unified_memory: bool | None = strawberry.field(
        default=None, description="Only unified memory, or only separate memory."
    )
    estimable: bool | None = strawberry.field(
        default=None, description="Only those with all facts for an estimate, or only others."
    )
    or_: list[GpuFilter] | None = strawberry.field(
        name="or",
        default=None,
        description="Alternatives, at most 20: one of them must hold besides the other parts. They have no alternatives of their "
        "own, and no `search`.",
    )


class GpuOrderField(Enum):
    """Sort keys of accelerators."""

    NAME = "name"
    SLUG = "slug"
    MEMORY = "memory_bytes"
    BANDWIDTH = "bandwidth_bytes_per_second"
    COMPUTE = "matrix_flops_per_second"
    POWER = "power_watts"
    PRICE = "price_usd"
    RELEASE_DATE = "release_date"


describe(
    GpuOrderField,
    "GpuOrderField",
    "Sort keys of accelerators.",
    {
        "NAME": "Display name.",
        "SLUG": "Slug.",
        "MEMORY": "Memory.",
        "BANDWIDTH": "Memory bandwidth.",
        "COMPUTE": "FP16 peak.",
        "POWER": "Board power.",
        "PRICE": "List price at launch.",
        "RELEASE_DATE": "Date of announcement or sale.",
    },
)


@strawberry.input(description="One term of an order of accelerators.")
class GpuOrder:
    field: GpuOrderField = strawberry.field(description="Sort key.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Direction; ascending when left out."
    )


def _value_of(name: str) -> Callable[[Any], list[Any]]:
    """Function that reads a field as the list of its known values."""

    def read(item: Any) -> list[Any]:
        value = getattr(item, name)
        return [] if value is None else [value]

    return read


#: Sets of a filter, and the values that they are about.
_MODEL_SETS: dict[str, Callable[[Any], list[Any]]] = {
    **{name: _value_of(name) for name in ("slug", "family", "publisher", "license")},
    "modality": lambda model: model.modalities,
}
_GPU_SETS: dict[str, Callable[[Any], list[Any]]] = {
    **{name: _value_of(name) for name in ("slug", "vendor", "architecture", "kind")},
    "backend": lambda gpu: gpu.backends,
}
#: Filter fields that are ranges over the field of the same name.
_MODEL_RANGES = ("parameter_count", "active_parameter_count", "context_tokens")
_GPU_RANGES = ("memory_bytes", "bandwidth_bytes_per_second", "matrix_flops_per_second", "power_watts", "price_usd")


def select_models(faces: Faces, wanted: ModelFilter | None) -> list[Model]:
    """Models that pass a filter, in slug order; with ``search``, best match first. Raises for an unknown name."""
    if wanted is None:
        return list(faces.models)
    test = _model_test(faces, wanted)
    return _by_relevance([model for model in faces.models if test(model)], wanted.search)


def select_gpus(faces: Faces, wanted: GpuFilter | None) -> list[Gpu]:
    """Accelerators that pass a filter, in slug order; with ``search``, best match first. Raises for an unknown name."""
    if wanted is None:
        return list(faces.gpus)
    test = _gpu_test(faces, wanted)
    return _by_relevance([gpu for gpu in faces.gpus if test(gpu)], wanted.search)


def _model_test(faces: Faces, wanted: ModelFilter, level: int = 0) -> Test:
    tests = _shared_tests(faces.view.model, wanted, _MODEL_SETS, _MODEL_RANGES)
    if wanted.mixture_of_experts is not None:
        tests.append(lambda model: wanted.mixture_of_experts == (model.mixture_of_experts is not None))
    if wanted.verified is not None:
        tests.append(lambda model: wanted.verified == model.verified)
    return _all_of([*tests, *_alternatives(wanted, level, lambda own: _model_test(faces, own, level + 1))])


def _gpu_test(faces: Faces, wanted: GpuFilter, level: int = 0) -> Test:
    tests = _shared_tests(faces.view.gpu, wanted, _GPU_SETS, _GPU_RANGES)
    if wanted.unified_memory is not None:
        tests.append(lambda gpu: wanted.unified_memory == gpu.unified_memory)
    return _all_of([*tests, *_alternatives(wanted, level, lambda own: _gpu_test(faces, own, level + 1))])


def _all_of(tests: Sequence[Test]) -> Test:
    return lambda item: all(test(item) for test in tests)


def _shared_tests(
    record_of: Callable[[str], Record],
    wanted: Any,
    sets: Mapping[str, Callable[[Any], list[Any]]],
    ranges: Sequence[str],
) -> list[Test]:
    """The conditions given, of those that all filters have: sets, ranges, the date, and whether all facts are there."""
    members: dict[str, Any] = {name: getattr(wanted, name) for name in sets}
    check_members(*members.values())
    members["slug"] = named_by(wanted.slug, lambda text: record_of(text).slug)
    bounds = {name: getattr(wanted, name) for name in ranges}
    for name, wanted_range in bounds.items():
        check_range(name, wanted_range)
    check_dates("release_date", wanted.release_date)
    tests: list[Test] = [
        *(partial(_passes, sets[name], wanted_set) for name, wanted_set in members.items() if wanted_set is not None),
        *(partial(_in_range, name, range_) for name, range_ in bounds.items() if range_ is not None),
    ]
    if wanted.release_date is not None:
        tests.append(lambda item: in_dates(item.release_date, wanted.release_date))
    if wanted.estimable is not None:
        tests.append(lambda item: wanted.estimable == (not item.missing_facts))
    return tests


def _passes(read: Callable[[Any], list[Any]], wanted: Any, item: Any) -> bool:
    return passes(read(item), wanted)


def _in_range(name: str, wanted: Range, item: Any) -> bool:
    return in_range(getattr(item, name), wanted)


def _alternatives(wanted: Any, level: int, test_of: Callable[[Any], Test]) -> list[Test]:
    """The condition that one of the alternatives of a filter holds; none without alternatives."""
    check_alternatives(wanted.or_, level)
    if wanted.or_ is None:
        return []
    if any(own.search is not None for own in wanted.or_):
        raise bad_input("A search is no alternative: it orders the list.", field="or")
    tests = [test_of(own) for own in wanted.or_]
    return [lambda item: any(test(item) for test in tests)]


def _by_relevance(items: Sequence[Any], text: str | None) -> list[Any]:
    """Items whose name, slug or alias matches a text, best first; all of them for none, or one of spaces alone."""
    if text is None:
        return list(items)
    check_set("search", text, MAX_TEXT)
    if not text.strip():
        return list(items)
    scored = [(relevance(text, (item.name, item.slug, *item.aliases)), item) for item in items]
    return [item for score, item in sorted(scored, key=lambda pair: -pair[0]) if score > 0]
