"""Accelerators: facts of the catalog in base units."""

from __future__ import annotations

from typing import Any

import strawberry

from api.answers.choices.prices import price_of
from api.catalog.records import GpuRecord
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.prices import Board, Kinds, Price, Region, Used, board_of, price_face, prices_of
from api.graphql.core.connections import Connection
from api.graphql.core.enums import BackendKind, GpuKind, Vendor
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64, PartialDate
from db.entries import specs
from estimator.judgement.buying import Terms


@strawberry.type(description="An accelerator: a graphics card, a system on a chip, or a processor.")
class Gpu(Node):
    slug: str = strawberry.field(description="Name in URLs and arguments, such as `rtx-4090`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    vendor: Vendor = strawberry.field(description="Maker.")
    architecture: str | None = strawberry.field(description="Hardware generation, such as `Ada Lovelace`.")
    kind: GpuKind = strawberry.field(description="Sort of product.")
    release_date: PartialDate | None = strawberry.field(
        description="Date of announcement or sale, as precisely as known."
    )
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
    price_usd: float | None = strawberry.field(
        description="List price at launch, US dollars; null when unknown. `currentPrice` is what one costs today."
    )
    backends: list[BackendKind] = strawberry.field(description="Interfaces that engines can drive it through.")
    unverified_facts: list[str] = strawberry.field(
        description="Facts typed from general knowledge or disputed between sources: check before relying."
    )
    sources: list[str] = strawberry.field(description="Where the facts come from.")
    note: str | None = strawberry.field(description="Further remarks; null for none.")
    missing_facts: list[str] = strawberry.field(
        description="Facts that an estimate needs and that nobody has published; empty when estimates can be made."
    )

    @strawberry.field(description="Engines that run on it.")
    def engines(self, info: strawberry.Info) -> list[Engine]:
        engines: list[Engine] = info.context.faces.engines_of(self.slug)
        return engines

    @strawberry.field(description="The vendor's reference board; null where nothing is recorded.")
    def board(self, info: strawberry.Info) -> Board | None:
        view = info.context.view
        return board_of(view.board(view.by_slug("gpu", self.slug)))

    @strawberry.field(description="Every dated price that is recorded, suspect ones too.")
    def prices(self, info: strawberry.Info, kinds: Kinds = None) -> list[Price]:
        return prices_of(info.context.view.price_list(self.slug), kinds)

    @strawberry.field(
        description="Price of one: for a card the cheaper of its newest street prices, else a list price of the last two "
        "years; else that of the cheapest computer that it is built into. Null when no price of today is known."
    )
    def current_price(self, info: strawberry.Info, used: Used = True, region: Region = "US") -> Price | None:
        view = info.context.view
        terms = Terms(view.today, used=used is not False, region=region or "US")
        price = price_of(view.catalog, self.slug, terms)
        return None if price is None else price_face(price)


@strawberry.type(description="One page of accelerators.")
class GpuConnection(Connection[Gpu]):
    """Page of accelerators."""


def gpu_of(record: GpuRecord) -> Gpu:
    """The GraphQL object of an accelerator, in the estimator's units."""
    entry, accelerator = record.entry, record.accelerator
    return Gpu(
        id=strawberry.ID(encode_id("Gpu", accelerator.slug)),
        slug=accelerator.slug,
        name=accelerator.name,
        aliases=record.aliases,
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
        unverified_facts=list(specs.unverified_fields(entry)),
        sources=record.sources,
        note=entry.get("notes"),
        missing_facts=list(record.missing_facts),
    )


def _member(kind: Any, value: str | None) -> Any:
    try:
        return kind(value)
    except ValueError:
        return kind.OTHER
