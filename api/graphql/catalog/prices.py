"""Dated prices and boards: what a buyer must know of an accelerator or a computer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, TypeAlias

import strawberry

from api.graphql.core.described import describe
from api.graphql.core.scalars import PartialDate
from estimator.judgement import market
from estimator.judgement.market import PriceKind

__all__ = ["Board", "Kinds", "Price", "PriceKind", "Region", "Used", "board_of", "price_face", "prices_of"]

describe(
    PriceKind,
    "PriceKind",
    "Kind of a price.",
    {
        "MSRP": "List price of an accelerator, at launch or after a change.",
        "STREET_NEW": "Asked by shops for a new one.",
        "STREET_USED": "Asked by owners for a used one.",
        "SYSTEM": "A whole computer.",
        "CLOUD_HOUR": "An hour of one rented accelerator.",
    },
)


class BoardForm(StrEnum):
    """How an accelerator is attached to a computer."""

    CARD = "card"
    SXM = "sxm"
    OAM = "oam"
    MXM = "mxm"
    BUILT_IN = "built-in"


describe(
    BoardForm,
    "BoardForm",
    "How an accelerator is attached to a computer.",
    {
        "CARD": "A card for a slot.",
        "SXM": "NVIDIA's module for servers.",
        "OAM": "The open module for servers.",
        "MXM": "A module for laptops.",
        "BUILT_IN": "A part of the processor or the mainboard.",
    },
)

Kinds: TypeAlias = Annotated[
    list[PriceKind] | None, strawberry.argument(description="Kinds of price; all when left out.")
]
Used: TypeAlias = Annotated[
    bool | None, strawberry.argument(description="Whether used ones count; true when left out.")
]
Region: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Region whose prices are preferred; `US` when left out.")
]


@strawberry.type(description="A price as one source states it on one date.")
class Price:
    kind: PriceKind = strawberry.field(description="Kind of the price.")
    usd: float = strawberry.field(description="US dollars.")
    usd_low: float | None = strawberry.field(description="Low end of the source's range; null for one price.")
    usd_high: float | None = strawberry.field(description="High end of the source's range; null for one price.")
    region: str = strawberry.field(description="Where it is asked, such as `US`, `EU` or `AU`.")
    configuration: str = strawberry.field(description="The exact configuration that costs this.")
    date: PartialDate | None = strawberry.field(
        description="When it held, as precisely as stated; null when not stated."
    )
    source: str = strawberry.field(description="Who says so.")
    derived: str | None = strawberry.field(
        description="How it follows from the source's figures; null for a stated one."
    )
    note: str | None = strawberry.field(description="Further remarks; null for none.")
    suspect: bool = strawberry.field(description="Whether it is doubted: shown, and never used in an answer.")
    spot: bool = strawberry.field(description="Whether it is of an hour that ends when another pays more.")


@strawberry.type(
    description="The vendor's reference board of an accelerator; boards of partners are often wider and longer."
)
class Board:
    form: BoardForm | None = strawberry.field(description="How it is attached; null when unknown.")
    slots: int | None = strawberry.field(description="Slots that it covers; null when unknown.")
    power_supply_watts: float | None = strawberry.field(
        description="Power supply that the vendor suggests for a computer with one, watts; null when unknown."
    )
    length_mm: float | None = strawberry.field(description="Length, millimetres; null when unknown.")
    connectors: str | None = strawberry.field(description="Power connectors; null when unknown.")
    cooling: str | None = strawberry.field(
        description="passive: no fan, the computer blows air through it; active; null when unknown."
    )
    source: str = strawberry.field(description="Where the facts come from.")


def price_face(price: market.Price) -> Price:
    """The GraphQL object of a price."""
    return Price(
        kind=price.kind,
        usd=price.usd,
        usd_low=price.usd_low,
        usd_high=price.usd_high,
        region=price.region,
        configuration=price.configuration,
        date=None if price.date is None else PartialDate(price.date),
        source=price.source,
        derived=price.derived,
        note=price.note,
        suspect=price.suspect,
        spot=price.spot,
    )


def prices_of(prices: Iterable[market.Price], kinds: Sequence[PriceKind] | None) -> list[Price]:
    """The GraphQL objects of the prices of some kinds, newest first."""
    wanted = [price for price in prices if kinds is None or price.kind in kinds]
    return [price_face(price) for price in sorted(wanted, key=lambda price: price.date or "", reverse=True)]


def board_of(board: market.Board | None) -> Board | None:
    """The GraphQL object of a board."""
    if board is None:
        return None
    return Board(
        form=None if board.form is None else BoardForm(board.form),
        slots=board.slots,
        power_supply_watts=board.supply_w,
        length_mm=board.length_mm,
        connectors=board.connectors,
        cooling=board.cooling,
        source=board.source,
    )
