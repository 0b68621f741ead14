"""Which price holds today, and which cards go into which computer."""

from __future__ import annotations

import dataclasses

import pytest

from estimator.judgement.market import (
    Board,
    Computer,
    Price,
    PriceKind,
    misfits,
    newest,
    price_of_card,
    price_of_computer,
    supply_needed_w,
)
from tests.support.answers import accelerator

TODAY = "2026-11"
CARD = dataclasses.replace(accelerator("rtx-3090"), tdp_w=350.0)
BOARD = Board("card", 3, 750.0, 313.0, "1x 12-pin", "test")
DESKTOP = Computer("desktop", "Desktop", None, 2**36, None, 2, 7, 1500.0)


def price(usd: float, date: str | None, kind: PriceKind = PriceKind.STREET_USED, **facts: object) -> Price:
    return dataclasses.replace(Price(kind, usd, "US", "card", date, "test"), **facts)  # type: ignore[arg-type]


def test_the_newest_sound_price_holds() -> None:
    old, new = price(900.0, "2026-04"), price(1200.0, "2026-09-30")
    doubtful, spot = price(700.0, "2026-10", suspect=True), price(600.0, "2026-10", spot=True)
    assert newest([old, new, doubtful, spot], (PriceKind.STREET_USED,)) == new
    assert newest([doubtful], (PriceKind.STREET_USED,)) is None
    assert newest([old, new], (PriceKind.SYSTEM,)) is None


def test_an_undated_price_is_older_than_any() -> None:
    undated, year = price(500.0, None), price(800.0, "2026")
    assert newest([undated, year, price(700.0, "2026-01")], (PriceKind.STREET_USED,)) == price(700.0, "2026-01")
    assert newest([undated], (PriceKind.STREET_USED,)) == undated


def test_the_region_asked_for_is_preferred() -> None:
    here, there, both = (
        price(1000.0, "2026-01"),
        price(1100.0, "2026-09", region="AU"),
        price(1.0, "2025", region="US/EU"),
    )
    assert newest([here, there], (PriceKind.STREET_USED,)) == here
    assert newest([here, there], (PriceKind.STREET_USED,), "AU") == there
    assert newest([there], (PriceKind.STREET_USED,)) == there
    assert newest([both], (PriceKind.STREET_USED,), "EU") == both


def test_a_card_costs_its_cheaper_street_price() -> None:
    used, new = price(1050.0, "2026-09"), price(1500.0, "2026-09", PriceKind.STREET_NEW)
    assert price_of_card([used, new], TODAY) == used
    assert price_of_card([used, new], TODAY, used=False) == new


def test_an_old_launch_price_is_no_price_of_today() -> None:
    launch = price(349.0, "2019-01", PriceKind.MSRP)
    assert price_of_card([launch], TODAY) is None
    recent = dataclasses.replace(launch, date="2025-03")
    assert price_of_card([recent], TODAY) == recent
    assert price_of_card([dataclasses.replace(launch, date=None)], TODAY) is None


def test_a_computer_that_is_not_sold_any_more_has_only_used_prices() -> None:
    new, used = price(3500.0, "2025-03", PriceKind.SYSTEM), price(18_000.0, "2026-09")
    sold = dataclasses.replace(DESKTOP, prices=(new, used))
    assert price_of_computer(sold, TODAY) == new
    gone = dataclasses.replace(sold, discontinued="2026-08-25")
    assert price_of_computer(gone, TODAY) == used
    assert price_of_computer(gone, TODAY, used=False) is None


@pytest.mark.parametrize(
    ("count", "slots", "supply_w", "reason"),
    [
        (1, 2, 750.0, ""),
        (2, 3, 1200.0, ""),
        (2, 4, 1200.0, "cover 8 slots of 7"),
        (3, 2, 2000.0, "takes 2 wide cards"),
        (2, 2, 1000.0, "need a supply of 1100 W"),
        (2, None, 1200.0, ""),
    ],
)
def test_slots_places_and_supply_are_checked(count: int, slots: int | None, supply_w: float, reason: str) -> None:
    board, desktop = dataclasses.replace(BOARD, slots=slots), dataclasses.replace(DESKTOP, supply_w=supply_w)
    reasons = misfits(desktop, CARD, board, count)
    assert (reason in "; ".join(reasons)) if reason else reasons == ()


def test_a_module_is_no_card() -> None:
    assert "SXM" in misfits(DESKTOP, CARD, dataclasses.replace(BOARD, form="sxm"), 1)[0]


def test_without_a_suggested_supply_the_rest_of_the_computer_is_added() -> None:
    assert supply_needed_w(CARD, None, 2) == 350 + 330 + 350
    assert supply_needed_w(dataclasses.replace(CARD, tdp_w=None), None, 1) is None
