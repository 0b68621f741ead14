"""Commands of the market: dated prices, and the computers that one can buy."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from api.cli.choices.tables import print_table
from api.cli.exit_codes import NO_ANSWER
from db.entries import market
from db.entries.files import Catalog, load_catalog
from db.entries.names.meanings import UnknownNameError
from estimator.judgement.market import Computer, Price, PriceKind, newest


def prices_command(name: str | None, region: str, *, as_json: bool) -> int:
    """List the newest price of each kind of everything, or every price of one product. Returns 0, or 3: no such product."""
    catalog = load_catalog()
    if name is not None:
        slug = _product(catalog, name)
        if slug is None:
            return NO_ANSWER
        rows = [{"slug": slug, **price_json(price)} for price in market.prices(catalog, slug)]
    else:
        rows = [
            {"slug": slug, **price_json(price)}
            for slug in sorted({*catalog.gpus, *catalog.computers})
            for kind in PriceKind
            if (price := newest(market.prices(catalog, slug), (kind,), region)) is not None
        ]
    if as_json:
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return 0
    table = Table("Product", "Kind", box=None, pad_edge=False)
    table.add_column("US dollars", justify="right", no_wrap=True)
    for column in ("Date", "Region", "Configuration"):
        table.add_column(column)
    for row in rows:
        doubt = " suspect" if row["suspect"] else ""
        table.add_row(
            row["slug"],
            row["kind"],
            f"{row['usd']:,.2f}{doubt}",
            row["date"] or "-",
            row["region"],
            row["configuration"],
        )
    _print(table)
    return 0


def computers_command(*, as_json: bool) -> int:
    """List computers: the accelerator or the cards that they take, memory, power supply and newest price. Returns 0."""
    catalog = load_catalog()
    computers = [market.computer(catalog, slug) for slug in catalog.computers]
    if as_json:
        print(orjson.dumps([computer_json(computer) for computer in computers], option=orjson.OPT_INDENT_2).decode())
        return 0
    table = Table("Computer", "Accelerator", box=None, pad_edge=False)
    for column in ("GiB", "Cards", "Supply W", "US dollars", "Date"):
        table.add_column(column, justify="right", no_wrap=True)
    for computer in computers:
        price = newest(computer.prices, (PriceKind.SYSTEM,))
        memory = "-" if computer.memory_bytes is None else f"{computer.memory_bytes / 2**30:.0f}"
        supply = "-" if computer.supply_w is None else f"{computer.supply_w:.0f}"
        cost = ("-", "-") if price is None else (f"{price.usd:,.2f}", price.date or "-")
        table.add_row(computer.slug, computer.gpu or "-", memory, str(computer.card_places or "-"), supply, *cost)
    _print(table)
    return 0


def price_json(price: Price) -> dict[str, Any]:
    return {
        "kind": price.kind.value,
        "usd": price.usd,
        "usd_low": price.usd_low,
        "usd_high": price.usd_high,
        "region": price.region,
        "configuration": price.configuration,
        "date": price.date,
        "spot": price.spot,
        "suspect": price.suspect,
        "derived": price.derived,
        "note": price.note,
        "source": price.source,
    }


def computer_json(computer: Computer) -> dict[str, Any]:
    """A computer as one JSON object; ``price`` is its newest system price."""
    price = newest(computer.prices, (PriceKind.SYSTEM,))
    return {
        "slug": computer.slug,
        "name": computer.name,
        "gpu": computer.gpu,
        "memory_bytes": computer.memory_bytes,
        "host": None if computer.host is None else computer.host.slug,
        "card_places": computer.card_places,
        "expansion_slots": computer.expansion_slots,
        "power_supply_w": computer.supply_w,
        "price": None if price is None else price_json(price),
    }


def _product(catalog: Catalog, name: str) -> str | None:
    """Slug of an accelerator or a computer; None after a message that tells of near names."""
    for kind in ("gpu", "computer"):
        try:
            return catalog.resolve(kind, name)
        except UnknownNameError as error:
            unknown = error
    print(f"fitgraph: no accelerator or computer is called {name!r}; {unknown}", file=sys.stderr)
    return None


def _print(table: Table) -> None:
    console = Console()
    print_table(console if console.is_terminal else Console(width=180), table)
