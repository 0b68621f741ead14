"""Host profiles: the computer around the accelerator."""

from __future__ import annotations

import strawberry

from api.catalog.records import HostRecord
from api.graphql.core.enums import GpuKind
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64


@strawberry.type(description="A host profile: where offloaded weights live and run.")
class Host(Node):
    slug: str = strawberry.field(description="Name in arguments, such as `desktop-ddr5-5600-64gb`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    memory_bytes: Int64 = strawberry.field(description="System memory, bytes.")
    bandwidth_bytes_per_second: float = strawberry.field(description="Peak memory bandwidth, bytes per second.")
    flops_per_second: float = strawberry.field(
        description="FP32 peak of all cores, floating point operations per second."
    )
    cores: int = strawberry.field(description="Processor cores.")
    default: bool = strawberry.field(description="Whether it is assumed where nothing is known of the computer.")
    assumed_for: list[GpuKind] = strawberry.field(
        description="Sorts of accelerators whose published fits are computed in it. One that shares the computer's memory "
        "and states its size is its own host; of several hosts for a sort, the one with the nearest memory bandwidth."
    )
    sources: list[str] = strawberry.field(description="Where the facts come from.")


def host_of(record: HostRecord) -> Host:
    """The GraphQL object of a host profile."""
    spec = record.spec
    return Host(
        id=strawberry.ID(encode_id("Host", spec.slug)),
        slug=spec.slug,
        name=spec.name,
        aliases=record.aliases,
        memory_bytes=Int64(spec.memory_bytes),
        bandwidth_bytes_per_second=spec.bandwidth_bytes_s,
        flops_per_second=spec.flops,
        cores=spec.cores,
        default=bool(record.entry["default"]),
        assumed_for=[GpuKind(kind) for kind in spec.assumed_for],
        sources=record.sources,
    )
