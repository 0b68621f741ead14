"""Purchases for a need: what meets it, what nearly does, what would at an unknown price, and rent beside purchase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from estimator import verdict
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.estimate import thresholds_of
from estimator.fleet import Overrides
from estimator.grid import FitBlock, evaluate
from estimator.judgement.buying import Offer, Terms, break_even_months, running_usd_an_hour
from estimator.judgement.choice import customary
from estimator.judgement.setups import Pace, Setups, usable_setups
from estimator.judgement.worth import THINKING, WorthTable, worth_table
from estimator.placement.demand import Situation
from estimator.structure.architecture import ModelArchitecture
from estimator.types import ENGINES, Accelerator, Engine, EstimatorError, Host, OperatingMode, Quant, Workload

#: Points of capability that a quantization may cost unless a buyer says otherwise: a ninth of the step to a model of twice
#: the size and date, below what a user of one model notices.
NOTICEABLE_POINTS = 1.0
#: Points of capability that a doubling of the price costs: as much as a doubling of the time beyond comfort.
PRICE_POINTS = 2.0
#: A near miss is within this factor of every need, and of the budget.
NEAR = 1.5


@dataclass(frozen=True, slots=True)
class Needs:
    """What a purchase is for. The workload's least speed, waits and context are the buyer's where they state them."""

    workload: Workload
    users: int = 1
    loss_points: float = NOTICEABLE_POINTS


def needs_of(
    workload: Workload,
    *,
    decode_tok_s: float | None = None,
    ttft_ms: float | None = None,
    context_tokens: int | None = None,
    loss_points: float | None = None,
    users: int | None = None,
) -> Needs:
    """Needs of a workload: its usable speed and waits, and no loss that one notices, where nothing else is asked."""
    asked = replace(
        workload,
        minimum_decode_tok_s=workload.minimum_decode_tok_s if decode_tok_s is None else decode_tok_s,
        usable_ttft_ms=workload.usable_ttft_ms if ttft_ms is None else ttft_ms,
        context_tokens=workload.context_tokens if context_tokens is None else context_tokens,
    )
    return Needs(asked, users or 1, NOTICEABLE_POINTS if loss_points is None else loss_points)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that may be run: its architecture and what its capability follows from."""

    slug: str
    name: str
    architecture: ModelArchitecture
    traits: ModelTraits


class Need(Enum):
    """What a purchase may miss, with its unit."""

    DECODE = "tok/s"
    TTFT = "ms to the first token"
    ANSWER = "s to a whole answer"
    LOSS = "points lost to the quantization"
    BUDGET = "US dollars"


@dataclass(frozen=True, slots=True)
class Miss:
    """A need that is missed: what is needed and what there is."""

    what: Need
    needed: float
    has: float

    @property
    def factor(self) -> float:
        """How far off, above 1."""
        return max(self.needed / max(self.has, 1e-9), self.has / max(self.needed, 1e-9))


@dataclass(frozen=True, slots=True)
class Setup:
    """One model on one offer: speeds of each user, loss and worth in points, seconds to a whole answer."""

    subject: int
    quant: Quant
    engine: Engine
    thinks: bool
    worth: float
    loss_points: float
    decode_tok_s: float
    ttft_ms: float
    answer_s: float
    host_bytes: int
    rating: float


@dataclass(frozen=True, slots=True)
class Purchase:
    """An offer with the best setup on it, and what it misses of the need."""

    offer: Offer
    setup: Setup
    misses: tuple[Miss, ...] = ()

    @property
    def meets(self) -> bool:
        """Whether nothing is missed and the cards go into the computer."""
        return not self.misses and not self.offer.misfits

    @property
    def value(self) -> float:
        """Rating of the setup less the charge for the price; minus infinity where that is unknown."""
        return self.value_at(self.offer.usd)

    def value_at(self, usd: float | None) -> float:
        """The value at another price."""
        return -math.inf if usd is None else self.setup.rating - PRICE_POINTS * math.log2(usd / 1000.0)

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
    """What meets the need, in order, without what costs more and is no better; near misses; unknown prices; rentals."""

    meeting: tuple[Purchase, ...]
    beaten: tuple[Purchase, ...]
    near: tuple[Purchase, ...]
    unpriced: tuple[Purchase, ...]
    rentals: tuple[Rental, ...]


def purchases(
    subjects: Sequence[Subject],
    offers: Sequence[Offer],
    quants: Sequence[Quant],
    needs: Needs,
    terms: Terms,
    calibration: Calibration,
    mode: OperatingMode = OperatingMode.BALANCED,
) -> Purchases:
    """The best setup of every offer, sorted into lists; what meets the need by its value."""
    judged = _Judge(subjects, quants, needs, calibration, mode).purchases(offers)
    bought = [_with_budget(purchase, terms) for purchase in judged if purchase.offer.hour is None]
    good = [purchase for purchase in bought if purchase.meets]
    priced = sorted((purchase for purchase in good if purchase.offer.usd is not None), key=_by_value)
    meeting, beaten = _frontier(priced)
    near = sorted(
        (purchase for purchase in bought if not purchase.meets and purchase.offer.usd is not None), key=_by_distance
    )
    unpriced = sorted((purchase for purchase in good if purchase.offer.usd is None), key=_by_last_price)
    shown = {_cards(purchase) for purchase in meeting}
    rented = sorted(
        (purchase for purchase in judged if purchase.offer.hour is not None and purchase.meets),
        key=lambda purchase: (purchase.offer.usd_an_hour, -purchase.setup.rating),
    )
    return Purchases(
        meeting=tuple(meeting),
        beaten=tuple(purchase for purchase in _one_each(beaten) if _cards(purchase) not in shown),
        near=tuple(purchase for purchase in _one_each(near) if _cards(purchase) not in shown),
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


def _frontier(found: Sequence[Purchase]) -> tuple[list[Purchase], list[Purchase]]:
    """Purchases that no other one beats, and the rest: as cheap, as good and as fast, and better in one.

    Of equals the first stays. Rentals are compared by their rent.
    """
    costs = [(p.offer.usd_an_hour or p.offer.usd, -p.setup.worth, p.setup.answer_s) for p in found]
    figures = np.array(costs, np.float64).reshape(-1, 3)
    kept: list[Purchase] = []
    beaten: list[Purchase] = []
    for place, purchase in enumerate(found):
        no_worse = (figures <= figures[place]).all(axis=1)
        better = no_worse & (figures < figures[place]).any(axis=1)
        equal_before = no_worse[:place] & ~better[:place]
        (beaten if better.any() or equal_before.any() else kept).append(purchase)
    return kept, beaten


def _cards(purchase: Purchase) -> tuple[str, int]:
    return purchase.offer.ware.accelerator.slug, purchase.offer.count


def _one_each(found: Sequence[Purchase]) -> list[Purchase]:
    """The first purchase of each accelerator and count."""
    first: dict[tuple[str, int], Purchase] = {}
    for purchase in found:
        first.setdefault(_cards(purchase), purchase)
    return list(first.values())


def _rentals(rented: Sequence[Purchase], bought: Sequence[Purchase], terms: Terms) -> list[Rental]:
    """Rentals in their order, each beside the purchase that comes first."""
    beside = bought[0] if bought else None
    found = []
    for purchase in rented:
        rent, hours = purchase.offer.usd_an_hour, terms.hours_a_month
        assert rent is not None
        months = None
        if beside is not None and hours is not None and beside.offer.usd is not None:
            months = break_even_months(beside.offer.usd, rent, hours, running_usd_an_hour(beside.offer, terms))
        found.append(Rental(purchase, None if hours is None else rent * hours, beside, months))
    return found


class _Judge:
    """Models, quantizations and needs, against which offers are judged in groups of equal count."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        quants: Sequence[Quant],
        needs: Needs,
        calibration: Calibration,
        mode: OperatingMode,
    ) -> None:
        self.subjects, self.quants, self.needs = subjects, tuple(quants), needs
        self.calibration, self.mode = calibration, mode
        self.recency = np.array([subject.traits.released for subject in subjects])
        self.custom = np.array([customary(quant) for quant in quants])
        self._table: WorthTable | None = None

    def purchases(self, offers: Sequence[Offer]) -> list[Purchase]:
        """Each offer on which a model comes near the need, with its best setup."""
        groups: dict[int, dict[tuple[Accelerator, Host], list[Offer]]] = {}
        for offer in offers:
            groups.setdefault(offer.count, {}).setdefault((offer.ware.accelerator, offer.host), []).append(offer)
        found = []
        for count, machines in groups.items():
            blocks = self._blocks(count, list(machines))
            for g, alike in enumerate(machines.values()):
                best = self._best(blocks, g)
                if best is not None:
                    found += [Purchase(offer, *best) for offer in alike]
        return found

    def _blocks(self, count: int, machines: Sequence[tuple[Accelerator, Host]]) -> list[FitBlock | None]:
        """Estimates of each model on ``count`` of each accelerator in its host; None for a model without an estimate."""
        workload = self.needs.workload
        devices, hosts = tuple(device for device, _ in machines), tuple(host for _, host in machines)
        situation = Situation(
            workload.prompt_tokens, workload.output_tokens, workload.context_tokens, workload.decode_depth_tokens,
            batch=self.needs.users,
        )  # fmt: skip
        overrides = Overrides(gpu_count=count)
        blocks: list[FitBlock | None] = []
        for subject in self.subjects:
            try:
                blocks.append(
                    evaluate(
                        subject.architecture, devices, self.quants, (situation,),
                        thresholds_of(workload, situation), hosts, self.calibration, overrides,
                    )
                )  # fmt: skip
            except EstimatorError:
                blocks.append(None)
        return blocks

    def _best(self, blocks: Sequence[FitBlock | None], g: int) -> tuple[Setup, tuple[Miss, ...]] | None:
        """The best setup that meets the need, else the nearest of those that nearly do; None where nothing does."""
        pace, table = _pace(blocks, g, len(self.quants), whole=self.needs.users > 1), self._worth(blocks)
        for slack in (1.0, NEAR):
            allowed = np.where(table.loss <= self.needs.loss_points * slack, table.value, np.nan)
            found = usable_setups(replace(table, value=allowed), pace, _relaxed(self.needs.workload, slack), self.mode)
            best = found.best(self.recency, self.custom)
            if len(best):
                if slack > 1:
                    best = best[np.argsort(self._distance(found, pace, table)[best], kind="stable")]
                setup = self._made(blocks, pace, table, found, int(best[0]), g)
                return setup, self._misses(setup)
        return None

    def _distance(self, found: Setups, pace: Pace, table: WorthTable) -> NDArray[np.float64]:
        """How far each setup is from the need: the sum of the logarithms of what it misses."""
        workload, at = self.needs.workload, (found.model, found.quant)
        ratios = (
            workload.minimum_decode_tok_s / pace.decode_tok_s[at],
            pace.ttft_ms[at] / workload.usable_ttft_ms,
            found.seconds / workload.usable_answer_s,
            table.loss[found.model, found.way, found.quant] / self.needs.loss_points,
        )
        return np.asarray(np.sum([np.log(np.maximum(ratio, 1.0)) for ratio in ratios], axis=0))

    def _made(
        self, blocks: Sequence[FitBlock | None], pace: Pace, table: WorthTable, found: Setups, n: int, g: int
    ) -> Setup:
        m, way, q = int(found.model[n]), int(found.way[n]), int(found.quant[n])
        block = blocks[m]
        assert block is not None
        return Setup(
            subject=m,
            quant=self.quants[q],
            engine=ENGINES[int(block.engine[g, q])],
            thinks=way == THINKING,
            worth=float(found.worth[n]),
            loss_points=float(table.loss[m, way, q]),
            decode_tok_s=float(pace.decode_tok_s[m, q]),
            ttft_ms=float(pace.ttft_ms[m, q]),
            answer_s=float(found.seconds[n]),
            host_bytes=int(block.host_bytes[g, q, 0]),
            rating=float(found.rating[n]),
        )

    def _misses(self, setup: Setup) -> tuple[Miss, ...]:
        workload = self.needs.workload
        least = Miss(Need.DECODE, workload.minimum_decode_tok_s, setup.decode_tok_s)
        most = (
            Miss(Need.TTFT, workload.usable_ttft_ms, setup.ttft_ms),
            Miss(Need.ANSWER, workload.usable_answer_s, setup.answer_s),
            Miss(Need.LOSS, self.needs.loss_points, setup.loss_points),
        )
        return (*((least,) if least.has < least.needed else ()), *(miss for miss in most if miss.has > miss.needed))

    def _worth(self, blocks: Sequence[FitBlock | None]) -> WorthTable:
        """Worth of every model and quantization; the same for every group."""
        if self._table is None:
            bits = np.array([_row(block, "bits_per_weight", len(self.quants)) for block in blocks])
            traits = [subject.traits for subject in self.subjects]
            self._table = worth_table(self.needs.workload.kind, traits, self.quants, bits)
        return self._table


def _relaxed(workload: Workload, slack: float) -> Workload:
    return replace(
        workload,
        minimum_decode_tok_s=workload.minimum_decode_tok_s / slack,
        usable_ttft_ms=workload.usable_ttft_ms * slack,
        usable_answer_s=workload.usable_answer_s * slack,
    )


def _row(block: FitBlock | None, name: str, quants: int) -> NDArray[np.float64]:
    return np.full(quants, 16.0) if block is None else np.asarray(getattr(block, name), np.float64)


def _pace(blocks: Sequence[FitBlock | None], g: int, quants: int, *, whole: bool) -> Pace:
    """Arrays (models, quants) of one accelerator; setups that serve several users hold everything on the devices."""
    worst = verdict.FITS_TIGHTLY if whole else verdict.FITS_WITH_OFFLOAD
    shape = len(blocks), quants
    runs, tight = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    decode, ttft = np.zeros(shape), np.zeros(shape)
    bits = np.array([_row(block, "bits_per_weight", quants) for block in blocks])
    for m, block in enumerate(blocks):
        if block is not None:
            status = block.status[g, :, 0]
            runs[m] = block.available[g] & block.has_weights & (status <= worst)
            tight[m] = status == verdict.FITS_TIGHTLY
            decode[m], ttft[m] = block.decode_tok_s[g, :, 0], block.ttft_ms[g, :, 0]
    return Pace(runs, tight, decode, ttft, bits)
