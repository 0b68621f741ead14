"""Prices of hardware: dated prices, boards of cards, computers, and which price holds today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from estimator.sentences import Sentence, SentenceCode
from estimator.types import Accelerator, Host

#: A launch or a system price counts as a price of today for so many years.
LAUNCH_YEARS = 2.0
#: Watts that boards' makers suggest beyond the design power of the card: the median of the catalog's boards.
REST_OF_COMPUTER_W = 330.0


class PriceKind(Enum):
    """MSRP: list price. STREET_NEW, STREET_USED: what shops and owners ask. SYSTEM: a whole computer. CLOUD_HOUR: an hour."""

    MSRP = "msrp"
    STREET_NEW = "street_new"
    STREET_USED = "street_used"
    SYSTEM = "system"
    CLOUD_HOUR = "cloud_hour"


@dataclass(frozen=True, slots=True)
class Price:
    """A price in US dollars as one source states it. ``date`` is ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``, None if unstated.

    ``configuration`` names what costs this, ``usd_low`` and ``usd_high`` are the range of a source that has one,
    ``derived`` says how ``usd`` follows from what the source says. A ``suspect`` price is shown and never used. ``spot``
    hours may be taken away at any time.
    """

    kind: PriceKind
    usd: float
    region: str
    configuration: str
    date: str | None
    source: str
    usd_low: float | None = None
    usd_high: float | None = None
    derived: str | None = None
    note: str | None = None
    suspect: bool = False
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """The board of an accelerator, as its vendor's reference has it; partners' cards are often wider and longer.

    ``form`` is card, sxm, oam, mxm or built-in; ``slots`` the slots that it covers; ``supply_w`` the power supply that the
    vendor suggests for a computer with one. ``cooling`` is passive for a card without a fan.
    """

    form: str | None
    slots: int | None
    supply_w: float | None
    length_mm: float | None
    connectors: str | None
    source: str
    cooling: str | None = None


@dataclass(frozen=True, slots=True)
class Computer:
    """A computer that one can buy: one with a built-in accelerator (slug ``gpu``), or one that takes cards.

    ``host`` is the computer around its cards; ``card_places`` the wide cards that it takes; ``expansion_slots`` the slots
    that they may cover together. Its maker stopped selling it on ``discontinued``, None for one that is sold.
    """

    slug: str
    name: str
    gpu: str | None
    memory_bytes: int | None
    host: Host | None
    card_places: int
    expansion_slots: int | None
    supply_w: float | None
    discontinued: str | None = None
    prices: tuple[Price, ...] = ()


def newest(prices: Iterable[Price], kinds: Sequence[PriceKind], region: str = "US") -> Price | None:
    """The newest price of some kinds that is not suspect, of ``region`` where one is; None where there is none.

    Among several of the newest date the cheapest one counts. Spot hours are left out: they end when another pays more.
    """
    sound = [price for price in prices if price.kind in kinds and not price.suspect and not price.spot]
    here = [price for price in sound if region in price.region.split("/")] or sound
    return max(here, key=lambda price: (price.date or "", -price.usd), default=None)


def price_of_card(prices: Sequence[Price], today: str, *, used: bool = True, region: str = "US") -> Price | None:
    """Price of one card: the cheaper of its street prices, else a launch price of the last two years.

    ``today`` is the date that launch prices are compared with. None where no price of today is known.
    """
    kinds = (PriceKind.STREET_NEW, PriceKind.STREET_USED) if used else (PriceKind.STREET_NEW,)
    street = [price for kind in kinds if (price := newest(prices, (kind,), region)) is not None]
    if street:
        return min(street, key=lambda price: price.usd)
    launch = newest(prices, (PriceKind.MSRP,), region)
    return launch if launch is not None and years_between(launch.date, today) <= LAUNCH_YEARS else None


def price_of_computer(computer: Computer, today: str, *, used: bool = True, region: str = "US") -> Price | None:
    """Price of a computer: the cheaper of its system price, while it is sold, and its used one unless it must be new.

    None where no price of today is known: a system price holds for two years, as a launch price does.
    """
    new = newest(computer.prices, (PriceKind.SYSTEM,), region)
    gone = computer.discontinued is not None and computer.discontinued <= today
    if new is not None and (gone or years_between(new.date, today) > LAUNCH_YEARS):
        new = None
    old = newest(computer.prices, (PriceKind.STREET_USED,), region) if used else None
    return min((price for price in (new, old) if price is not None), key=lambda price: price.usd, default=None)


def years_between(earlier: str | None, later: str) -> float:
    """Years from one date to another, by months; infinity where the earlier one is unknown."""
    return float("inf") if earlier is None else _years(later) - _years(earlier)


def _years(date: str) -> float:
    year, month = [*date.split("-"), "7"][:2]
    return int(year) + (int(month) - 1) / 12


def supply_needed_w(card: Accelerator, board: Board | None, count: int) -> float | None:
    """Watts of the power supply of a computer with ``count`` cards: the vendor's for one, and the power of each further.

    None where the design power is unknown.
    """
    if card.tdp_w is None:
        return None if board is None or count > 1 else board.supply_w
    first = card.tdp_w + REST_OF_COMPUTER_W if board is None or board.supply_w is None else board.supply_w
    return first + (count - 1) * card.tdp_w


def misfits(computer: Computer, card: Accelerator, board: Board | None, count: int) -> tuple[Sentence, ...]:
    """Why ``count`` cards do not go into a computer; empty where they do, or where nothing is known against it."""
    reasons = []
    if board is not None and board.form not in (None, "card"):
        text = f"{card.name} is no card but of form {board.form.upper()}"
        return (Sentence(SentenceCode.NOT_A_CARD, text, gpu=card.name, form=board.form.upper()),)
    if count > computer.card_places:
        text = f"{computer.name} takes {computer.card_places} wide cards"
        reasons.append(Sentence(SentenceCode.TOO_FEW_PLACES, text, cards=count, places=computer.card_places))
    covered = None if board is None or board.slots is None else board.slots * count
    if covered is not None and computer.expansion_slots is not None and covered > computer.expansion_slots:
        text = f"the cards cover {covered} slots of {computer.expansion_slots}"
        reasons.append(Sentence(SentenceCode.TOO_FEW_SLOTS, text, needed_slots=covered, slots=computer.expansion_slots))
    needed = supply_needed_w(card, board, count)
    if needed is not None and computer.supply_w is not None and needed > computer.supply_w:
        text = f"the cards need a supply of {needed:.0f} W, the computer has {computer.supply_w:.0f} W"
        reasons.append(
            Sentence(SentenceCode.SUPPLY_TOO_SMALL, text, needed_watts=needed, supply_watts=computer.supply_w)
        )
    return tuple(reasons)


def cautions(card: Accelerator, board: Board | None) -> tuple[Sentence, ...]:
    """What a buyer of a card must do beside putting it into a computer."""
    if board is None or board.cooling != "passive":
        return ()
    text = f"{card.name} has no fan: the computer must blow air through it, as servers do; a fan for it is not in the price"
    return (Sentence(SentenceCode.NO_FAN, text, gpu=card.name),)
