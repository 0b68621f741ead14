"""Computers and price lists of the catalog: their rules, and their bridge to the estimator's types.

``computers/`` has one file a computer that one can buy, ``prices/`` one file an accelerator or a computer with its dated
prices and, for an accelerator, its board.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from db.entries import specs
from db.entries.files import Catalog
from db.entries.rules_models import Entry, Finding
from estimator.judgement.market import Board, Computer, Price, PriceKind


def takes_cards_or_has_an_accelerator(entry: Entry) -> Iterator[Finding]:
    """A computer with a built-in accelerator takes no cards; one that takes cards has a host profile and memory."""
    if entry["gpu"] is not None and entry["card_places"]:
        yield "card_places", "a computer with a built-in accelerator has 0; set gpu to null for one that takes cards"
    if entry["card_places"] and (entry["host"] is None or entry["memory_gb"] is None):
        yield "host", "a computer that takes cards needs a host profile and its memory"


def price_list_is_of_one_product(entry: Entry) -> Iterator[Finding]:
    """The list names the accelerator or the computer whose slug it has; a computer has no board."""
    named = [kind for kind in ("gpu", "computer") if entry[kind] is not None]
    if len(named) != 1 or entry[named[0]] != entry["slug"]:
        yield "gpu", "exactly one of gpu and computer must be set, to the slug of this file"
    if entry["computer"] is not None and entry["board"] is not None:
        yield "board", "a computer has no board; set it to null"


def prices_are_of_the_products_kind(entry: Entry) -> Iterator[Finding]:
    """Whole computers have system prices, accelerators have not; only hours may be spot hours; a range holds its price."""
    for place, price in enumerate(entry["prices"]):
        field = f"prices.{place}"
        if (price["kind"] == "system") and entry["computer"] is None:
            yield f"{field}.kind", "an accelerator has no system price; give it to the computer"
        if price["kind"] == "cloud_hour" and entry["gpu"] is None:
            yield f"{field}.kind", "hours are of accelerators; move the price there"
        if price["spot"] and price["kind"] != "cloud_hour":
            yield f"{field}.spot", "only an hour can be a spot hour; set it to false"
        low, high = price["usd_low"], price["usd_high"]
        if (low is not None and low > price["usd"]) or (high is not None and high < price["usd"]):
            yield f"{field}.usd", f"{price['usd']} is outside its range from {low} to {high}; correct one of the three"


COMPUTER_RULES = (takes_cards_or_has_an_accelerator,)
PRICE_RULES = (price_list_is_of_one_product, prices_are_of_the_products_kind)


def prices(catalog: Catalog, slug: str) -> tuple[Price, ...]:
    """Prices of an accelerator or a computer, as its list has them.

    The launch price of an accelerator's own file stands in for a list price that the list does not have.
    """
    rows = tuple(_price(row) for row in catalog.prices.get(slug, {}).get("prices", ()))
    gpu = catalog.gpus.get(slug)
    if gpu is None or gpu["msrp_usd"] is None or any(price.kind is PriceKind.MSRP for price in rows):
        return rows
    launch = Price(
        PriceKind.MSRP, float(gpu["msrp_usd"]), "US", "launch price", gpu["release_date"], "; ".join(gpu["source"])
    )
    return (launch, *rows)


def _price(row: Entry) -> Price:
    return Price(
        kind=PriceKind(row["kind"]),
        usd=float(row["usd"]),
        region=row["region"],
        configuration=row["what"],
        date=row["date"],
        source=row["source"],
        usd_low=row["usd_low"],
        usd_high=row["usd_high"],
        derived=row["derived"],
        note=row["note"],
        suspect=row["suspect"],
        spot=row["spot"],
    )


def board(catalog: Catalog, gpu: str) -> Board | None:
    """Reference board of an accelerator; None where nothing is recorded."""
    facts = catalog.prices.get(gpu, {}).get("board")
    if facts is None:
        return None
    return Board(
        form=facts["form"],
        slots=facts["slots"],
        supply_w=facts["suggested_supply_w"],
        length_mm=facts["length_mm"],
        connectors=facts["connectors"],
        cooling=facts.get("cooling"),  # not stored by releases before it
        source=facts["source"],
    )


def computer(catalog: Catalog, slug: str) -> Computer:
    """A computer of the catalog with its prices. Its host is the profile with the memory that the computer has."""
    entry = catalog.computers[slug]
    memory = None if entry["memory_gb"] is None else round(entry["memory_gb"] * specs.GIB)
    host = None if entry["host"] is None else specs.host(catalog.hosts[entry["host"]])
    if host is not None and memory is not None:
        host = replace(host, memory_bytes=memory)
    return Computer(
        slug=slug,
        name=entry["name"],
        gpu=entry["gpu"],
        memory_bytes=memory,
        host=host,
        card_places=entry["card_places"],
        expansion_slots=entry["expansion_slots"],
        supply_w=entry["power_supply_w"],
        discontinued=entry["discontinued"],
        prices=prices(catalog, slug),
    )


def newest_date(catalog: Catalog) -> str:
    """Date of the newest price of the catalog: the day that prices are told for."""
    return max((row["date"] or "" for entry in catalog.prices.values() for row in entry["prices"]), default="")
