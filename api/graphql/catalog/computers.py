"""Computers that one can buy: with a built-in accelerator, or with places for cards."""

from __future__ import annotations

from enum import StrEnum

import strawberry

from api.catalog.records import ComputerRecord
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.prices import Kinds, Price, Region, Used, price_face, prices_of
from api.graphql.core.connections import Connection
from api.graphql.core.described import describe
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64, PartialDate
from estimator.judgement.market import price_of_computer


class ComputerForm(StrEnum):
    DESKTOP = "desktop"
    WORKSTATION = "workstation"
    SERVER = "server"
    MINI = "mini"
    LAPTOP = "laptop"
    DEVELOPER_KIT = "developer-kit"
    MODULE = "module"


describe(
    ComputerForm,
    "ComputerForm",
    "Sort of computer.",
    {
        "DESKTOP": "A computer on or under a desk.",
        "WORKSTATION": "A desktop for more cards and memory.",
        "SERVER": "A computer for a rack.",
        "MINI": "A small computer without places for cards.",
        "LAPTOP": "A laptop.",
        "DEVELOPER_KIT": "A board with its power supply, for developers.",
        "MODULE": "A module that needs a carrier board.",
    },
)


@strawberry.type(
    description="A computer that one can buy. One that takes cards is a definition, such as a desktop for two."
)
class Computer(Node):
    slug: str = strawberry.field(description="Name in arguments, such as `mac-studio-m5-max-40c-128gb`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    maker: str = strawberry.field(description="Who makes it; `generic` for a class of computers.")
    form: ComputerForm | None = strawberry.field(description="Sort of computer; null when unknown.")
    memory_bytes: Int64 | None = strawberry.field(description="Memory of the whole computer, bytes; null when unknown.")
    card_places: int = strawberry.field(description="Wide cards that it takes; 0 with a built-in accelerator.")
    expansion_slots: int | None = strawberry.field(
        description="Slots that cards may cover together; null when unknown."
    )
    power_supply_watts: float | None = strawberry.field(description="Power supply, watts; null when unknown.")
    discontinued: PartialDate | None = strawberry.field(
        description="When its maker stopped selling it; null while it is sold."
    )
    note: str | None = strawberry.field(description="Further remarks; null for none.")
    sources: list[str] = strawberry.field(description="Where the facts come from.")
    gpu_slug: strawberry.Private[str | None]
    host_slug: strawberry.Private[str | None]

    @strawberry.field(
        description="Its built-in accelerator; null for one that takes cards, or whose accelerator is not in the catalog."
    )
    def gpu(self, info: strawberry.Info) -> Gpu | None:
        gpu: Gpu | None = None if self.gpu_slug is None else info.context.faces.by_slug("gpu", self.gpu_slug)
        return gpu

    @strawberry.field(
        description="Host profile of one that takes cards, whose memory `memoryBytes` replaces; null for others."
    )
    def host(self, info: strawberry.Info) -> Host | None:
        host: Host | None = None if self.host_slug is None else info.context.faces.by_slug("host", self.host_slug)
        return host

    @strawberry.field(description="Every dated price that is recorded, suspect ones too.")
    def prices(self, info: strawberry.Info, kinds: Kinds = None) -> list[Price]:
        return prices_of(info.context.view.price_list(self.slug), kinds)

    @strawberry.field(
        description="Price: its newest system price while it is sold and at most two years old, or its newest used "
        "price; null when no price of today is known. Without cards."
    )
    def current_price(self, info: strawberry.Info, used: Used = True, region: Region = "US") -> Price | None:
        view = info.context.view
        spec = view.by_slug("computer", self.slug).spec
        price = price_of_computer(spec, view.today, used=used is not False, region=region or "US")
        return None if price is None else price_face(price)


@strawberry.type(description="One page of computers.")
class ComputerConnection(Connection[Computer]):
    """Page of computers."""


def computer_of(record: ComputerRecord) -> Computer:
    """The GraphQL object of a computer."""
    entry, spec = record.entry, record.spec
    return Computer(
        id=strawberry.ID(encode_id("Computer", spec.slug)),
        slug=spec.slug,
        name=spec.name,
        aliases=record.aliases,
        maker=entry["maker"],
        form=None if entry["form"] is None else ComputerForm(entry["form"]),
        memory_bytes=None if spec.memory_bytes is None else Int64(spec.memory_bytes),
        card_places=spec.card_places,
        expansion_slots=spec.expansion_slots,
        power_supply_watts=spec.supply_w,
        discontinued=None if spec.discontinued is None else PartialDate(spec.discontinued),
        note=entry["notes"],
        sources=record.sources,
        gpu_slug=spec.gpu,
        host_slug=entry["host"],
    )
