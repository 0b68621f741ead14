"""Purchases for a need: what meets it, what nearly does, what would at an unknown price, and rent beside purchase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimator.judgement.buying import Offer, Terms, break_even_months, running_usd_an_hour
from estimator.judgement.needs import Miss, Need
from estimator.judgement.offer_setups import OfferJudge, Setup

#: Points of capability that a doubling of the price costs; with a budget, those that all of it costs: money that is set aside
#: is there to be spent where it buys something better.
PRICE_POINTS = 2.0
#: Points that a part made for servers costs in a desktop: mostly without a fan or a picture, and old by the time it is cheap.
SERVER_PART_POINTS = 3.0
#: Points that each further card costs: a larger supply, heat, and setups that not every engine splits well.
FURTHER_CARD_POINTS = 1.0


@dataclass(frozen=True, slots=True)
class Purchase:
    """An offer with the best setup on it, and what it misses of the need; ``budget_usd`` None: no budget."""

    offer: Offer
    setup: Setup
    misses: tuple[Miss, ...] = ()
    budget_usd: float | None = None

    @property
    def meets(self) -> bool:
        """Whether nothing is missed and the cards go into the computer."""
        return not self.misses and not self.offer.misfits

    @property
    def value(self) -> float:
        """Rating of the setup less charges for price and work; minus infinity where the price is unknown."""
        return self.value_at(self.offer.usd)

    def value_at(self, usd: float | None) -> float:
        """The value at another price."""
        if usd is None:
            return -math.inf
        parts = math.log2(usd / 1000.0) if self.budget_usd is None else usd / self.budget_usd
        work = SERVER_PART_POINTS * self.offer.is_server_part + FURTHER_CARD_POINTS * (self.offer.count - 1)
        return self.setup.rating - PRICE_POINTS * parts - work

    @property
    def distance(self) -> float:
        """How far from the need, as the sum of logarithms; 0 for one that meets it."""
        return sum(math.log(miss.factor) for miss in self.misses) + len(self.offer.misfits)


@dataclass(frozen=True, slots=True)
class Rental:
    """Accelerators by the hour. ``months`` until the purchase beside it costs less; None without one, or never."""

    purchase: Purchase
    usd_a_month: float | None
    beside: Purchase | None
    months: float | None


@dataclass(frozen=True, slots=True)
class Purchases:
    """Purchases that meet the need, in order, without dearer ones that are no better; near misses; unknown prices; rentals.

    ``streams`` of the need's users are answered at once in a busy moment.
    """

    streams: int
    meeting: tuple[Purchase, ...]
    beaten: tuple[Purchase, ...]
    near: tuple[Purchase, ...]
    unpriced: tuple[Purchase, ...]
    rentals: tuple[Rental, ...]

    @property
    def best_rated(self) -> Purchase | None:
        """The purchase that is best whatever it costs within the budget; None when nothing meets the need."""
        return max((*self.meeting, *self.beaten), key=lambda purchase: purchase.setup.rating, default=None)


def purchases(judge: OfferJudge, offers: Sequence[Offer], terms: Terms) -> Purchases:
    """The best setup of every offer, sorted into lists; what meets the need by its value."""
    judged = [Purchase(*group, terms.budget_usd) for group in judge.setups(offers)]
    bought = [_with_budget(purchase, terms) for purchase in judged if purchase.offer.hour is None]
    good = [purchase for purchase in bought if purchase.meets]
    priced = sorted((purchase for purchase in good if purchase.offer.usd is not None), key=_by_value)
    meeting, beaten = _frontier(priced)
    near = sorted(
        (purchase for purchase in bought if not purchase.meets and purchase.offer.usd is not None), key=_by_distance
    )
    unpriced = sorted((purchase for purchase in good if purchase.offer.usd is None), key=_by_last_price)
    shown, met = ({_cards(purchase) for purchase in group} for group in (meeting, priced))
    rented = sorted(
        (purchase for purchase in judged if purchase.offer.hour is not None and purchase.meets),
        key=lambda purchase: (purchase.offer.usd_an_hour, -purchase.setup.rating),
    )
    return Purchases(
        streams=judge.streams,
        meeting=tuple(meeting),
        beaten=tuple(purchase for purchase in _one_each(beaten) if _cards(purchase) not in shown),
        near=tuple(purchase for purchase in _one_each(near) if _cards(purchase) not in met),
        unpriced=tuple(_one_each(unpriced)),
        rentals=tuple(_rentals(_frontier(rented)[0], meeting, terms)),
    )


def _by_value(purchase: Purchase) -> tuple[float, str]:
    return -purchase.value, purchase.offer.name


def _by_distance(purchase: Purchase) -> tuple[float, float, str]:
    return purchase.distance, purchase.offer.usd or math.inf, purchase.offer.name


def _by_last_price(purchase: Purchase) -> tuple[float, float, str]:
    return -purchase.value_at(purchase.offer.last_usd), -purchase.setup.rating, purchase.offer.name


def _with_budget(purchase: Purchase, terms: Terms) -> Purchase:
    usd = purchase.offer.usd
    if terms.budget_usd is None or usd is None or usd <= terms.budget_usd:
        return purchase
    return replace(purchase, misses=(*purchase.misses, Miss(Need.BUDGET, terms.budget_usd, usd)))


def _frontier(purchases: Sequence[Purchase]) -> tuple[list[Purchase], list[Purchase]]:
    """Purchases that no other one beats, and the rest: as cheap, as good and as fast, and better in one.

    The first of equals stays. Rentals are compared by their rent.
    """
    costs = [(p.offer.usd_an_hour or p.offer.usd, -p.setup.worth, p.setup.answer_s) for p in purchases]
    figures = np.array(costs, np.float64).reshape(-1, 3)
    kept: list[Purchase] = []
    beaten: list[Purchase] = []
    for place, purchase in enumerate(purchases):
        no_worse = (figures <= figures[place]).all(axis=1)
        better = no_worse & (figures < figures[place]).any(axis=1)
        equal_before = no_worse[:place] & ~better[:place]
        (beaten if better.any() or equal_before.any() else kept).append(purchase)
    return kept, beaten


def _cards(purchase: Purchase) -> tuple[str, int]:
    return purchase.offer.ware.accelerator.slug, purchase.offer.count


def _one_each(purchases: Sequence[Purchase]) -> list[Purchase]:
    """The first purchase of each accelerator and count."""
    first: dict[tuple[str, int], Purchase] = {}
    for purchase in purchases:
        first.setdefault(_cards(purchase), purchase)
    return list(first.values())


def _rentals(rented: Sequence[Purchase], bought: Sequence[Purchase], terms: Terms) -> list[Rental]:
    """Rentals in their order, each beside the purchase that comes first."""
    beside = bought[0] if bought else None
    rentals = []
    for purchase in rented:
        rent, hours = purchase.offer.usd_an_hour, terms.hours_a_month
        assert rent is not None
        months = None
        if beside is not None and hours is not None and beside.offer.usd is not None:
            months = break_even_months(beside.offer.usd, rent, hours, running_usd_an_hour(beside.offer, terms))
        rentals.append(Rental(purchase, None if hours is None else rent * hours, beside, months))
    return rentals
