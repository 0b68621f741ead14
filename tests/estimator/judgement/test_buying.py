"""Offers: computers, cards in computers that hold them, and hours."""

from __future__ import annotations

import dataclasses
import math

import pytest

from estimator.judgement.buying import (
    DESKTOP_CARDS,
    Offer,
    Terms,
    Ware,
    break_even_months,
    is_card,
    offers,
    running_usd_an_hour,
)
from estimator.judgement.market import Board, Computer, Price, PriceKind
from tests.support.answers import HOST, HOSTS, accelerator

TODAY = "2026-11"


def price(usd: float, kind: PriceKind = PriceKind.STREET_NEW, date: str = "2026-09") -> Price:
    return Price(kind, usd, "US", "test", date, "test")


def desktop(slug: str, places: int, supply_w: float, gib: int, usd: float | None) -> Computer:
    host = dataclasses.replace(HOST, memory_bytes=gib * 2**30)
    prices = () if usd is None else (price(usd, PriceKind.SYSTEM),)
    return Computer(slug, slug, None, gib * 2**30, host, places, 7, supply_w, prices=prices)


CARD = Ware(accelerator("rtx-3090"), Board("card", 3, 750.0, None, None, "test"), (price(1000.0),))
MAC = Ware(accelerator("apple-m5-max-40c-128gb"), None, ())
CHIP = Ware(
    accelerator("h100-sxm5-80-gb"), Board("sxm", None, None, None, None, "test"), (price(2.5, PriceKind.CLOUD_HOUR),)
)
STUDIO = Computer(
    "studio", "Studio", MAC.accelerator.slug, 2**37, None, 0, None, None, prices=(price(5099.0, PriceKind.SYSTEM),)
)
SMALL = desktop("small", 1, 800.0, 32, 700.0)
LARGE = desktop("large", 2, 1500.0, 64, 2000.0)
COMPUTERS = (STUDIO, SMALL, LARGE)


def offered(
    terms: Terms | None = None, wares: tuple[Ware, ...] = (CARD, MAC, CHIP), computers: tuple[Computer, ...] = COMPUTERS
) -> list[Offer]:
    return offers(wares, computers, terms or Terms(TODAY), HOSTS)


def test_a_whole_computer_costs_its_system_price() -> None:
    studio = next(offer for offer in offered() if offer.computer is STUDIO)
    assert (studio.usd, studio.count, studio.name) == (5099.0, 1, "Studio")


def test_cards_are_bought_with_the_computers_that_hold_them() -> None:
    cards = [offer for offer in offered() if offer.ware is CARD]
    bought = {(offer.count, offer.computer.slug, offer.usd) for offer in cards if offer.computer is not None}
    assert bought == {(1, "small", 1700.0), (1, "large", 3000.0), (2, "large", 4000.0)}
    assert all(offer.misfits == () for offer in cards)


def test_a_desktop_takes_two_cards_unless_the_buyer_says_otherwise() -> None:
    assert max(offer.count for offer in offered() if offer.hour is None) == DESKTOP_CARDS
    rack = desktop("rack", 8, 5000.0, 256, None)
    rack = dataclasses.replace(rack, expansion_slots=24)
    four = [offer for offer in offered(Terms(TODAY, cards=4), computers=(*COMPUTERS, rack)) if offer.count == 4]
    assert [(offer.computer, offer.usd) for offer in four if offer.hour is None] == [(rack, None)]
    assert [part.name for part in four[0].unknown] == ["rack"]


def test_cards_that_fit_nowhere_say_why() -> None:
    two = [offer for offer in offered(computers=(SMALL,)) if offer.ware is CARD and offer.count == 2]
    assert len(two) == 1
    assert "takes 1 wide cards" in two[0].misfits[0]


def test_a_card_without_a_fan_is_cautioned_against() -> None:
    assert CARD.board is not None
    bare = dataclasses.replace(CARD, board=dataclasses.replace(CARD.board, cooling="passive"))
    assert all("no fan" in offer.cautions[0] for offer in offered(wares=(bare,)))
    assert all(offer.cautions == () for offer in offered())


def test_an_owned_computer_costs_nothing_more() -> None:
    cards = [offer for offer in offered(Terms(TODAY, owned=SMALL)) if offer.ware is CARD and offer.hour is None]
    assert [(offer.count, offer.usd, bool(offer.misfits)) for offer in cards] == [(1, 1000.0, False), (2, 2000.0, True)]


def test_chips_of_servers_are_rented_and_no_cards() -> None:
    chips = [offer for offer in offered() if offer.ware is CHIP]
    assert all(offer.hour is not None and offer.usd is None for offer in chips)
    assert [offer.usd_an_hour for offer in chips] == [2.5, 5.0, 10.0, 20.0]
    assert not is_card(CHIP)
    assert not is_card(MAC)
    assert not is_card(dataclasses.replace(CHIP, board=None))
    assert is_card(dataclasses.replace(CARD, board=None))


def test_an_unknown_price_is_unknown_and_its_last_one_is_told() -> None:
    old = dataclasses.replace(CARD, prices=(price(349.0, PriceKind.MSRP, "2019-01"),))
    card = next(offer for offer in offered(wares=(old,)) if offer.count == 1)
    assert card.usd is None
    assert [(part.name, part.last.usd) for part in card.unknown if part.last] == [(CARD.accelerator.name, 349.0)]
    assert card.last_usd == 349.0 + 700.0
    never = next(offer for offer in offered(wares=(dataclasses.replace(CARD, prices=()),)) if offer.count == 1)
    assert never.last_usd == math.inf


def test_vendors_limit_everything() -> None:
    assert {offer.ware for offer in offered(Terms(TODAY, vendors=frozenset({"apple"})))} == {MAC}


@pytest.mark.parametrize(("rent", "running", "months"), [(2.5, 0.0, 100.0), (2.5, 0.5, 125.0), (0.5, 0.5, None)])
def test_break_even(rent: float, running: float, months: float | None) -> None:
    assert break_even_months(25_000.0, rent, 100.0, running) == months


def test_electricity_counts_at_design_power() -> None:
    two = next(offer for offer in offered() if offer.ware is CARD and offer.count == 2)
    watts = CARD.accelerator.tdp_w
    assert watts is not None
    assert running_usd_an_hour(two, Terms(TODAY, electricity_usd_per_kwh=0.2)) == pytest.approx(2 * watts / 1000 * 0.2)
    assert running_usd_an_hour(two, Terms(TODAY)) == 0.0
