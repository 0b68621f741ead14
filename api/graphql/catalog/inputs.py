"""Filters and orders of models and accelerators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import strawberry

from api.catalog.records import Record
from api.catalog.search import relevance
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
    StringSet,
    check_dates,
    check_range,
    check_set,
    folded,
    in_dates,
    in_range,
)


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


@strawberry.input(description="A set of makers.")
class VendorSet:
    in_: list[Vendor] = strawberry.field(name="in", description="Makers allowed; an empty list matches nothing.")


@strawberry.input(description="A set of sorts of product.")
class GpuKindSet:
    in_: list[GpuKind] = strawberry.field(name="in", description="Sorts allowed; an empty list matches nothing.")


@strawberry.input(description="A set of compute interfaces.")
class BackendSet:
    in_: list[BackendKind] = strawberry.field(
        name="in", description="Interfaces allowed; an empty list matches nothing."
    )


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


def _family_of(model: Model) -> list[str]:
    return [model.family] if model.family else []


def _publisher_of(model: Model) -> list[str]:
    return [model.publisher] if model.publisher else []


def _license_of(model: Model) -> list[str]:
    return [model.license] if model.license else []


def _modalities_of(model: Model) -> list[str]:
    return model.modalities


def select_models(faces: Faces, wanted: ModelFilter | None) -> list[Model]:
    """Models that pass a filter, in slug order; with ``search``, best match first. Raises for an unknown name."""
    if wanted is None:
        return list(faces.models)
    slugs = _slugs(wanted.slug, faces.view.model)
    check_range("parameter_count", wanted.parameter_count)
    check_range("active_parameter_count", wanted.active_parameter_count)
    check_range("context_tokens", wanted.context_tokens)
    check_dates("release_date", wanted.release_date)
    active = [
        (members, read)
        for read, wanted_set in (
            (_family_of, wanted.family),
            (_publisher_of, wanted.publisher),
            (_license_of, wanted.license),
            (_modalities_of, wanted.modality),
        )
        if (members := folded(wanted_set)) is not None
    ]
    chosen = [
        model
        for model in faces.models
        if (slugs is None or model.slug in slugs)
        and all(any(value.casefold() in members for value in read(model)) for members, read in active)
        and in_range(model.parameter_count, wanted.parameter_count)
        and in_range(model.active_parameter_count, wanted.active_parameter_count)
        and in_range(model.context_tokens, wanted.context_tokens)
        and in_dates(model.release_date, wanted.release_date)
        and wanted.mixture_of_experts in (None, model.mixture_of_experts is not None)
        and wanted.verified in (None, model.verified)
        and wanted.estimable in (None, not model.missing_facts)
    ]
    return _by_relevance(chosen, wanted.search)


#: Filter fields that are ranges over the accelerator's field of the same name.
_RANGED = ("memory_bytes", "bandwidth_bytes_per_second", "matrix_flops_per_second", "power_watts", "price_usd")


def select_gpus(faces: Faces, wanted: GpuFilter | None) -> list[Gpu]:
    """Accelerators that pass a filter, in slug order; with ``search``, best match first. Raises for an unknown name."""
    if wanted is None:
        return list(faces.gpus)
    ranges = [(attribute, getattr(wanted, attribute)) for attribute in _RANGED]
    for attribute, bounds in ranges:
        check_range(attribute, bounds)
    check_dates("release_date", wanted.release_date)
    for members in (wanted.vendor, wanted.kind, wanted.backend):
        if members is not None:
            check_set("in", members.in_)
    slugs, architectures = _slugs(wanted.slug, faces.view.gpu), folded(wanted.architecture)
    chosen = [
        gpu
        for gpu in faces.gpus
        if (slugs is None or gpu.slug in slugs)
        and (architectures is None or (gpu.architecture or "").casefold() in architectures)
        and (wanted.vendor is None or gpu.vendor in wanted.vendor.in_)
        and (wanted.kind is None or gpu.kind in wanted.kind.in_)
        and (wanted.backend is None or any(backend in wanted.backend.in_ for backend in gpu.backends))
        and all(in_range(getattr(gpu, attribute), bounds) for attribute, bounds in ranges)
        and in_dates(gpu.release_date, wanted.release_date)
        and wanted.unified_memory in (None, gpu.unified_memory)
        and wanted.estimable in (None, not gpu.missing_facts)
    ]
    return _by_relevance(chosen, wanted.search)


def _slugs(names: StringSet | None, record_of: Callable[[str], Record]) -> frozenset[str] | None:
    """Slugs of named entities; None for no set."""
    if names is None:
        return None
    check_set("in", names.in_)
    return frozenset(record_of(text).slug for text in names.in_)


def _by_relevance(items: Sequence[Any], text: str | None) -> list[Any]:
    """Items whose name, slug or alias matches a text, best first; all of them for none, or one of spaces alone."""
    if text is None:
        return list(items)
    check_set("search", text, MAX_TEXT)
    if not text.strip():
        return list(items)
    scored = [(relevance(text, (item.name, item.slug, *item.aliases)), item) for item in items]
    return [item for score, item in sorted(scored, key=lambda pair: -pair[0]) if score > 0]
