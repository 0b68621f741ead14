"""Accelerators: facts of the catalog in base units, filters, orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.graphql.catalog.models import as_texts, by_relevance
from api.graphql.core.arguments import fits_field
from api.graphql.core.connections import Connection
from api.graphql.core.described import describe
from api.graphql.core.enums import BackendKind, GpuKind, OrderDirection, Vendor
from api.graphql.core.ids import encode_id
from api.graphql.core.inputs import (
    DateRange,
    FloatRange,
    Int64Range,
    StringSet,
    check_dates,
    check_range,
    check_set,
    folded,
    in_dates,
    in_range,
)
from api.graphql.core.node import Node
from api.graphql.core.scalars import Date, Int64
from estimator.types import Accelerator

if TYPE_CHECKING:
    from api.graphql.catalog.engines import Engine


@strawberry.type(description="An accelerator: a graphics card, a system on a chip, or a processor.")
class Gpu(Node):
    """Facts of one accelerator in base units; unknown ones are null."""

    slug: str = strawberry.field(description="Name in URLs and arguments, such as `rtx-4090`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    vendor: Vendor = strawberry.field(description="Maker.")
    architecture: str | None = strawberry.field(description="Hardware generation, such as `Ada Lovelace`.")
    kind: GpuKind = strawberry.field(description="Sort of product.")
    release_date: Date | None = strawberry.field(description="Date of announcement or sale, as precisely as known.")
    memory_bytes: Int64 | None = strawberry.field(
        description="Memory in bytes: what the driver reports where that is known, else the nominal size. "
        "For unified memory the whole pool; null for a processor, whose memory is the host's."
    )
    memory_type: str | None = strawberry.field(description="Kind of memory, such as `HBM2`.")
    unified_memory: bool = strawberry.field(description="Whether the memory is shared with the processor.")
    bandwidth_bytes_per_second: float | None = strawberry.field(description="Peak memory bandwidth, bytes per second.")
    matrix_flops_per_second: float | None = strawberry.field(
        description="Dense FP16 peak with FP32 accumulation, floating point operations per second."
    )
    fp32_flops_per_second: float | None = strawberry.field(
        description="FP32 peak, floating point operations per second."
    )
    int8_operations_per_second: float | None = strawberry.field(description="Dense INT8 peak, operations per second.")
    fp8_flops_per_second: float | None = strawberry.field(
        description="Dense FP8 peak, floating point operations per second."
    )
    fp4_flops_per_second: float | None = strawberry.field(
        description="Dense FP4 peak, floating point operations per second."
    )
    compute_units: int | None = strawberry.field(description="Multiprocessors, compute units or cores.")
    compute_capability: float | None = strawberry.field(description="CUDA compute capability; null for other makers.")
    host_link_bytes_per_second: float | None = strawberry.field(
        description="Peak of the link to host memory in one direction, bytes per second."
    )
    peer_link_bytes_per_second: float | None = strawberry.field(
        description="Peak of the link to other cards of its kind, bytes per second; null for none or unknown."
    )
    power_watts: float | None = strawberry.field(description="Board power limit, watts.")
    price_usd: float | None = strawberry.field(description="List price at launch, US dollars; null when unknown.")
    backends: list[BackendKind] = strawberry.field(description="Interfaces that engines can drive it through.")
    unverified_facts: list[str] = strawberry.field(
        description="Facts typed from general knowledge or disputed between sources: check before relying."
    )
    sources: list[str] = strawberry.field(description="Where the facts come from.")
    note: str | None = strawberry.field(description="What else one should know; null for nothing.")
    missing_facts: list[str] = strawberry.field(
        description="Facts that an estimate needs and that nobody has published; empty when estimates can be made."
    )
    accelerator: strawberry.Private[Accelerator]

    @strawberry.field(description="Engines that run on it.")
    def engines(self, info: strawberry.Info) -> list[Annotated[Engine, strawberry.lazy("api.graphql.catalog.engines")]]:
        """Engines by the catalog."""
        engines: list[Engine] = info.context.catalog.engines_of(self)
        return engines

    fits = fits_field("Fits of all models on this accelerator; default order: score, best first.")


@strawberry.type(description="One page of accelerators.")
class GpuConnection(Connection[Gpu]):
    """Page of accelerators."""


@strawberry.input(description="A set of makers.")
class VendorSet:
    """Matches any member."""

    in_: list[Vendor] = strawberry.field(name="in", description="Makers allowed; an empty list matches nothing.")


@strawberry.input(description="A set of sorts of product.")
class GpuKindSet:
    """Matches any member."""

    in_: list[GpuKind] = strawberry.field(name="in", description="Sorts allowed; an empty list matches nothing.")


@strawberry.input(description="A set of compute interfaces.")
class BackendSet:
    """Matches any member."""

    in_: list[BackendKind] = strawberry.field(
        name="in", description="Interfaces allowed; an empty list matches nothing."
    )


@strawberry.input(description="Which accelerators. All given parts must hold.")
class GpuFilter:
    """Typed conditions on accelerators."""

    search: str | None = strawberry.field(
        default=None,
        description="Words of a name or alias; forgives typing errors; blank: any. At most 200 characters.",
    )
    slug: StringSet | None = strawberry.field(default=None, description="Slugs.")
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
    "What accelerators can be ordered by.",
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
    """Field and direction."""

    field: GpuOrderField = strawberry.field(description="What to order by.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Direction; ascending when left out."
    )


def gpu_from_entry(
    entry: Mapping[str, Any], accelerator: Accelerator, missing_facts: Sequence[str], unverified: Sequence[str]
) -> Gpu:
    """The accelerator of a catalog entry; units as the estimator has them."""
    return Gpu(
        id=strawberry.ID(encode_id("Gpu", accelerator.slug)),
        slug=accelerator.slug,
        name=accelerator.name,
        aliases=list(entry.get("aliases") or ()),
        vendor=_member(Vendor, entry.get("vendor")),
        architecture=entry.get("architecture"),
        kind=_member(GpuKind, entry.get("kind")),
        release_date=entry.get("release_date"),
        memory_bytes=None if accelerator.memory_bytes is None else Int64(accelerator.memory_bytes),
        memory_type=entry.get("memory_type"),
        unified_memory=accelerator.unified_memory,
        bandwidth_bytes_per_second=accelerator.bandwidth_bytes_s,
        matrix_flops_per_second=accelerator.matrix_flops,
        fp32_flops_per_second=accelerator.fp32_flops,
        int8_operations_per_second=accelerator.int8_ops,
        fp8_flops_per_second=accelerator.fp8_flops,
        fp4_flops_per_second=accelerator.fp4_flops,
        compute_units=accelerator.compute_units,
        compute_capability=accelerator.compute_capability,
        host_link_bytes_per_second=accelerator.pcie_bytes_s,
        peer_link_bytes_per_second=accelerator.link_bytes_s,
        power_watts=accelerator.tdp_w,
        price_usd=accelerator.msrp_usd,
        backends=list(accelerator.backends),
        unverified_facts=list(unverified),
        sources=as_texts(entry.get("source")),
        note=entry.get("notes"),
        missing_facts=list(missing_facts),
        accelerator=accelerator,
    )


#: Filter fields that are ranges over the accelerator's field of the same name.
_RANGED = ("memory_bytes", "bandwidth_bytes_per_second", "matrix_flops_per_second", "power_watts", "price_usd")


def select_gpus(gpus: Sequence[Gpu], wanted: GpuFilter | None) -> list[Gpu]:
    """Accelerators that pass a filter, in the given order; with ``search``, best match first."""
    if wanted is None:
        return list(gpus)
    ranges = [(attribute, getattr(wanted, attribute)) for attribute in _RANGED]
    for attribute, bounds in ranges:
        check_range(attribute, bounds)
    check_dates("release_date", wanted.release_date)
    for members in (wanted.vendor, wanted.kind, wanted.backend):
        if members is not None:
            check_set("in", members.in_)
    slugs, architectures = folded(wanted.slug), folded(wanted.architecture)
    chosen = [
        gpu
        for gpu in gpus
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
    return by_relevance(chosen, wanted.search)


def _member(kind: Any, value: str | None) -> Any:
    try:
        return kind(value)
    except ValueError:
        return kind.OTHER
