"""Purchases: what meets a need and is beaten by nothing, near misses, unknown prices, and rent beside purchase."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest

from db.entries import market, specs
from db.entries.traits import model_traits
from estimator.calibration.coefficients import Calibration
from estimator.judgement.buying import Terms, Ware, offers
from estimator.judgement.needs import NEAR, Need, Needs, needs_of
from estimator.judgement.offer_setups import OfferJudge, Subject
from estimator.judgement.purchases import PRICE_POINTS, Purchase, Purchases, purchases
from estimator.types import OperatingMode
from tests.support.answers import HOSTS, architecture, workload
from tests.support.catalogs import CATALOG

GPUS = ("rtx-3090", "rtx-2060", "rtx-3060-12-gb", "rtx-5090", "rtx-pro-6000-blackwell-workstation-edition",
        "apple-m5-max-40c-128gb", "strix-halo-8060s-128gb", "h100-sxm5-80-gb", "rtx-a6000")  # fmt: skip
CALIBRATION = Calibration.load()
QUANTS = [specs.quant(entry) for entry in CATALOG.quants.values() if specs.is_precomputed(entry)]
TODAY = market.newest_date(CATALOG)


@cache
def found(models: tuple[str, ...], needs: Needs, terms: Terms) -> Purchases:
    wares = [
        Ware(specs.accelerator(CATALOG.gpus[slug]), market.board(CATALOG, slug), market.prices(CATALOG, slug))
        for slug in GPUS
    ]
    computers = [market.computer(CATALOG, slug) for slug in CATALOG.computers]
    traits = model_traits(CATALOG)
    subjects = [Subject(slug, CATALOG.models[slug]["name"], architecture(slug), traits[slug]) for slug in models]
    judge = OfferJudge(subjects, QUANTS, needs, CALIBRATION, OperatingMode.BALANCED)
    return purchases(judge, offers(wares, computers, terms, HOSTS), terms)


CODING = needs_of(workload("coding"))


@pytest.mark.parametrize("users", [1, 20])
def test_what_meets_a_need_meets_every_part_of_it(users: int) -> None:
    needs, terms = dataclasses.replace(CODING, users=users), Terms(TODAY, budget_usd=15_000.0)
    meeting = found(("qwen3-32b",), needs, terms).meeting
    assert meeting
    for purchase in meeting:
        setup = purchase.setup
        assert setup.decode_tok_s >= needs.workload.minimum_decode_tok_s
        assert setup.ttft_ms <= needs.workload.usable_ttft_ms
        assert setup.answer_s <= needs.workload.usable_answer_s
        assert setup.loss_points <= needs.loss_points
        assert purchase.offer.usd is not None
        assert purchase.offer.usd <= 15_000.0
        assert purchase.misses == ()
        assert purchase.offer.misfits == ()
        assert purchase.offer.count <= 2


def test_money_that_is_set_aside_is_spent_where_it_buys_something_better() -> None:
    firsts = [
        found(("qwen3-32b", "qwen3-30b-a3b"), CODING, Terms(TODAY, budget_usd=budget)).meeting[0]
        for budget in (1_000.0, 1_500.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0)
    ]
    ratings = [first.setup.rating for first in firsts]
    assert ratings == sorted(ratings)
    assert ratings[-1] > ratings[1] + 1.0


def test_the_whole_budget_costs_as_much_as_a_doubling_without_one() -> None:
    purchase = found(("qwen3-32b",), CODING, Terms(TODAY)).meeting[0]
    planned = dataclasses.replace(purchase, budget_usd=4_000.0)
    assert planned.value_at(4_000.0) == purchase.setup.rating - PRICE_POINTS
    assert purchase.value_at(4_000.0) == purchase.setup.rating - 2 * PRICE_POINTS


def test_nothing_in_the_list_is_beaten_and_the_list_is_by_value() -> None:
    answer = found(("qwen3-32b",), CODING, Terms(TODAY))

    def beats(purchase: Purchase, other: Purchase) -> bool:
        pairs = (
            (purchase.offer.usd, other.offer.usd),
            (-purchase.setup.worth, -other.setup.worth),
            (purchase.setup.answer_s, other.setup.answer_s),
        )
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        return all(a <= b for a, b in known) and any(a < b for a, b in known)

    everything = (*answer.meeting, *answer.beaten)
    assert not any(beats(purchase, other) for purchase in everything for other in answer.meeting)
    assert all(any(beats(purchase, other) for purchase in answer.meeting) for other in answer.beaten)
    values = [purchase.value for purchase in answer.meeting]
    assert values == sorted(values, reverse=True)


def test_twenty_users_are_not_served_by_many_small_cards() -> None:
    answer = found(("qwen3-32b",), dataclasses.replace(CODING, users=20), Terms(TODAY))
    assert {purchase.offer.ware.accelerator.slug for purchase in answer.meeting} <= {
        "rtx-pro-6000-blackwell-workstation-edition", "rtx-a6000", "apple-m5-max-40c-128gb", "rtx-5090",
    }  # fmt: skip


def test_near_misses_are_near_and_say_what_they_miss() -> None:
    needs = needs_of(workload("chat"), decode_tok_s=15.0)
    answer = found(("llama-3.3-70b",), needs, Terms(TODAY, budget_usd=4500.0))
    near = answer.near
    assert answer.meeting
    assert near
    for purchase in near:
        assert purchase.misses or purchase.offer.misfits
        assert all(miss.factor <= NEAR * 1.0001 for miss in purchase.misses if miss.need is not Need.BUDGET)
    met = {(p.offer.ware, p.offer.count) for p in (*answer.meeting, *answer.beaten)}
    assert not met & {(purchase.offer.ware, purchase.offer.count) for purchase in near}
    distances = [purchase.distance for purchase in near]
    assert distances == sorted(distances)


def test_unknown_prices_are_a_list_of_their_own() -> None:
    answer = found(("qwen3-8b",), CODING, Terms(TODAY))
    assert answer.unpriced
    assert all(purchase.offer.usd is None and purchase.offer.unknown and purchase.meets for purchase in answer.unpriced)
    assert "rtx-2060" in {purchase.offer.ware.accelerator.slug for purchase in answer.unpriced}


def test_rent_is_compared_with_the_first_purchase() -> None:
    answer = found(("qwen3-32b",), CODING, Terms(TODAY, hours_a_month=100.0))
    first = answer.meeting[0].offer.usd
    assert first is not None
    assert answer.rentals
    for rental in answer.rentals:
        rent = rental.purchase.offer.usd_an_hour
        assert rent is not None
        assert rental.usd_a_month == pytest.approx(100 * rent)
        assert rental.months == pytest.approx(first / (100 * rent))
    untold = found(("qwen3-32b",), CODING, Terms(TODAY)).rentals
    assert all(rental.usd_a_month is None and rental.months is None for rental in untold)


def test_of_several_models_the_better_one_wins_where_it_runs_as_well() -> None:
    both = found(("qwen3-8b", "qwen3-32b"), CODING, Terms(TODAY)).meeting
    alone = found(("qwen3-8b",), CODING, Terms(TODAY)).meeting
    rating = {purchase.offer.name: purchase.setup.rating for purchase in both}
    assert any(purchase.setup.subject == 1 for purchase in both)
    assert all(
        rating[purchase.offer.name] >= purchase.setup.rating for purchase in alone if purchase.offer.name in rating
    )
