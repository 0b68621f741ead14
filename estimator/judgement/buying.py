"""Offers to buy or rent: whole computers, cards in a computer, and accelerators by the hour, each with its prices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from estimator.judgement.market import (
    Board,
    Computer,
    Price,
    PriceKind,
    cautions,
    misfits,
    newest,
    price_of_card,
    price_of_computer,
)
from estimator.placement.hosts import host_for
from estimator.sentences import Sentence
from estimator.types import Accelerator, Host

#: Wide cards that a desktop takes unless the buyer says otherwise.
DESKTOP_CARDS = 2
#: Numbers of cards that a rented machine has.
RENTED_CARDS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Ware:
    """An accelerator with what a buyer must know of it."""

    accelerator: Accelerator
    board: Board | None
    prices: tuple[Price, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """How someone buys. ``today`` is the date that prices are told for.

    ``owned`` is a computer that the cards go into; without one a computer is bought with them. ``hours_a_month`` are those
    of use; rented hours are compared with a purchase by them.
    """

    today: str
    budget_usd: float | None = None
    cards: int = DESKTOP_CARDS
    used: bool = True
    region: str = "US"
    owned: Computer | None = None
    vendors: frozenset[str] | None = None
    hours_a_month: float | None = None
    electricity_usd_per_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a purchase. ``price`` is that of one, None where no price of today is known; ``last`` the newest known."""

    name: str
    count: int
    price: Price | None
    last: Price | None

    @property
    def usd(self) -> float | None:
        """Price of all of this part; None when unknown."""
        return None if self.price is None else self.count * self.price.usd


@dataclass(frozen=True, slots=True)
class Offer:
    """``count`` of an accelerator in a computer: bought in ``parts``, or rented for the ``hour`` price of one each.

    ``computer`` is what is bought, or owned, around the cards; None for rented hours. ``misfits`` tell why the cards do not
    go into it.
    """

    ware: Ware
    count: int
    host: Host
    computer: Computer | None
    parts: tuple[Part, ...] = ()
    hour: Price | None = None
    misfits: tuple[Sentence, ...] = ()

    @property
    def usd(self) -> float | None:
        """Price of all parts; None for one that is rented, or while the price of a part is unknown."""
        prices = [part.usd for part in self.parts]
        return None if not prices or None in prices else sum(usd for usd in prices if usd is not None)

    @property
    def last_usd(self) -> float:
        """Sum of the newest known prices, whatever their age; infinity where a part has none."""
        last = [part.price or part.last for part in self.parts]
        return sum(
            math.inf if price is None else part.count * price.usd for part, price in zip(self.parts, last, strict=True)
        )

    @property
    def usd_an_hour(self) -> float | None:
        """Rent of all accelerators for an hour; None for what is bought."""
        return None if self.hour is None else self.count * self.hour.usd

    @property
    def cautions(self) -> tuple[Sentence, ...]:
        """What a buyer must know of cards beside the price; empty for whole computers and rented hours."""
        return cautions(self.ware.accelerator, self.ware.board) if self._in_cards else ()

    @property
    def is_server_part(self) -> bool:
        """Whether cards that are made for servers go into a computer."""
        return self._in_cards and self.ware.accelerator.kind == "datacenter"

    @property
    def _in_cards(self) -> bool:
        return self.computer is not None and self.computer.gpu is None

    @property
    def unknown(self) -> tuple[Part, ...]:
        """Parts without a price of today."""
        return tuple(part for part in self.parts if part.price is None)

    @property
    def name(self) -> str:
        """As people say it: "2 x RTX 3090 in Desktop for two cards"."""
        return f"{self.brief} in {self.computer.name}" if self.computer and self._in_cards else self.brief

    @property
    def brief(self) -> str:
        """The name without the computer around cards."""
        if self.computer is not None and self.computer.gpu is not None:
            return self.computer.name
        cards = self.ware.accelerator.name if self.count == 1 else f"{self.count} x {self.ware.accelerator.name}"
        return f"{cards} by the hour" if self.computer is None else cards


def offers(wares: Sequence[Ware], computers: Sequence[Computer], terms: Terms, profiles: Sequence[Host]) -> list[Offer]:
    """Everything that can be bought or rented on these terms; ``profiles`` has the computers around rented accelerators.

    A laptop's chip is sold in a laptop, and a module in a server: neither is offered as a card.
    """
    allowed = [ware for ware in wares if terms.vendors is None or ware.accelerator.vendor in terms.vendors]
    by_slug = {ware.accelerator.slug: ware for ware in allowed}
    offers: list[Offer] = []
    for computer in computers:
        if computer.gpu in by_slug:
            ware = by_slug[computer.gpu]
            host = computer.host or host_for(ware.accelerator, profiles)
            offers.append(Offer(ware, 1, host, computer, (_computer_part(computer, terms),)))
    around = [
        (computer, _computer_part(computer, terms))
        for computer in computers
        if computer.card_places and computer.host is not None
    ]
    for ware in allowed:
        if is_card(ware):
            offers += _cards(ware, around, terms)
        hour = newest(ware.prices, (PriceKind.CLOUD_HOUR,), terms.region)
        if hour is not None:
            counts = RENTED_CARDS[:1] if ware.accelerator.comes_alone else RENTED_CARDS
            host = host_for(ware.accelerator, profiles)
            offers += [Offer(ware, count, host, None, hour=hour) for count in counts]
    return offers


def is_card(ware: Ware) -> bool:
    """Whether an accelerator is sold as a card for a computer.

    Without a recorded board, those for desktops are; those for servers come in many forms and are not known to be.
    """
    if ware.accelerator.comes_alone:
        return False
    if ware.board is None or ware.board.form is None:
        return ware.accelerator.kind in ("consumer", "workstation")
    return ware.board.form == "card"


def _cards(ware: Ware, computers: Sequence[tuple[Computer, Part]], terms: Terms) -> Iterator[Offer]:
    last = newest(ware.prices, (PriceKind.STREET_NEW, PriceKind.STREET_USED), terms.region)
    last = last or newest(ware.prices, (PriceKind.MSRP,), terms.region)
    price = price_of_card(ware.prices, terms.today, used=terms.used, region=terms.region)
    for count in range(1, terms.cards + 1):
        cards = Part(ware.accelerator.name, count, price, last)
        if terms.owned is not None:
            host = terms.owned.host
            assert host is not None
            wrong = misfits(terms.owned, ware.accelerator, ware.board, count)
            yield Offer(ware, count, host, terms.owned, (cards,), misfits=wrong)
            continue
        for computer, part, wrong in _around(ware, count, computers):
            assert computer.host is not None
            yield Offer(ware, count, computer.host, computer, (cards, part), misfits=wrong)


def _around(
    ware: Ware, count: int, computers: Sequence[tuple[Computer, Part]]
) -> list[tuple[Computer, Part, tuple[Sentence, ...]]]:
    """Computers for the cards, with what is wrong with them: the cheapest of each size of memory that they go into.

    Where none has a known price, the smallest; where they go into none, the one with least against it.
    """
    judged = [(computer, part, misfits(computer, ware.accelerator, ware.board, count)) for computer, part in computers]
    fitting = [entry for entry in judged if not entry[2]]
    priced = [(part.price.usd, entry) for entry in fitting if (part := entry[1]).price is not None]
    kept: list[tuple[Computer, Part, tuple[Sentence, ...]]] = []
    for _, entry in sorted(priced, key=lambda pair: pair[0]):
        if not kept or (entry[0].memory_bytes or 0) > (kept[-1][0].memory_bytes or 0):
            kept.append(entry)
    if kept or fitting:
        return kept or [min(fitting, key=lambda entry: (entry[0].card_places, entry[0].memory_bytes or 0))]
    return sorted(judged, key=lambda entry: len(entry[2]))[:1]


def _computer_part(computer: Computer, terms: Terms) -> Part:
    price = price_of_computer(computer, terms.today, used=terms.used, region=terms.region)
    last = newest(computer.prices, (PriceKind.SYSTEM, PriceKind.STREET_USED), terms.region)
    return Part(computer.name, 1, price, last)


def break_even_months(usd: float, usd_an_hour: float, hours_a_month: float, running_usd_an_hour: float) -> float | None:
    """Months after which a purchase has cost less than rent for the same hours; None when it never does."""
    saved = (usd_an_hour - running_usd_an_hour) * hours_a_month
    return usd / saved if saved > 0 else None


def running_usd_an_hour(offer: Offer, terms: Terms) -> float:
    """Electricity of an hour at the design power of the accelerators; 0 where its price or the power is unknown."""
    power_w, price = offer.ware.accelerator.tdp_w, terms.electricity_usd_per_kwh
    return 0.0 if power_w is None or price is None else offer.count * power_w / 1000.0 * price
