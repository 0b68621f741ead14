"""Prices of today: of cards and of several of them."""

from __future__ import annotations

from api.answers.choices.prices import price_of, price_of_all
from db.entries import market
from estimator.judgement.buying import Terms
from estimator.judgement.market import PriceKind
from tests.support.catalogs import CATALOG

TERMS = Terms(market.newest_date(CATALOG))


def test_several_cards_cost_as_much_as_each() -> None:
    card = price_of(CATALOG, "rtx-3090", TERMS)
    assert card is not None
    assert price_of_all(CATALOG, ["rtx-3090", "rtx-3090"]) == 2 * card.usd


def test_the_price_of_a_machine_is_unknown_where_one_part_is() -> None:
    unknown = next(slug for slug in CATALOG.gpus if price_of(CATALOG, slug, TERMS) is None)
    assert price_of_all(CATALOG, ["rtx-3090", unknown]) is None


def test_a_card_of_years_ago_has_no_launch_price_today() -> None:
    old = next(slug for slug, entry in CATALOG.gpus.items() if entry["msrp_usd"] and entry["release_date"] < "2018")
    price = price_of(CATALOG, old, TERMS)
    assert price is None or price.kind is not PriceKind.MSRP
