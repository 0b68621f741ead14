"""Prices of today: of one accelerator, of each of a catalog, and of all accelerators of a machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from db.entries import market
from db.entries.files import Catalog
from estimator.judgement.buying import Terms
from estimator.judgement.market import Price, price_of_card, price_of_computer

if TYPE_CHECKING:  # commands read no view, and need not import the database
    from api.catalog.view import CatalogView


def price_of(catalog: Catalog, gpu: str, terms: Terms) -> Price | None:
    """Price today of one accelerator: of a card, or of the cheapest computer that it is built into."""
    card = price_of_card(market.prices(catalog, gpu), terms.today, used=terms.used, region=terms.region)
    if card is not None:
        return card
    computers = [market.computer(catalog, slug) for slug, entry in catalog.computers.items() if entry["gpu"] == gpu]
    prices = [price_of_computer(computer, terms.today, used=terms.used, region=terms.region) for computer in computers]
    return min((price for price in prices if price is not None), key=lambda price: price.usd, default=None)


def prices_of(view: CatalogView) -> dict[str, float | None]:
    """Price today of one of each accelerator, US dollars."""
    return _usd(view.catalog, [gpu.slug for gpu in view.gpus])


def price_of_all(catalog: Catalog, gpus: Iterable[str]) -> float | None:
    """Price today of several accelerators together, US dollars; None when one is unknown."""
    slugs = list(gpus)
    prices = _usd(catalog, set(slugs))
    known = [price for slug in slugs if (price := prices[slug]) is not None]
    return sum(known) if len(known) == len(slugs) else None


def _usd(catalog: Catalog, gpus: Iterable[str]) -> dict[str, float | None]:
    terms = Terms(market.newest_date(catalog))
    prices = {slug: price_of(catalog, slug, terms) for slug in gpus}
    return {slug: None if price is None else price.usd for slug, price in prices.items()}
