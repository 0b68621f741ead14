"""Purchases from the catalog files alone: what to buy or rent for a model, or for the best model, on a buyer's terms."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from api.answers.choices.machine import resolved
from api.answers.choices.models import Wanted
from api.answers.choices.paces import Recent
from api.catalog.view import CatalogView
from api.errors import ErrorCode, QuestionError
from db.entries import market, specs
from db.entries.files import Catalog, Entry
from db.entries.traits import model_traits
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.judgement import purchases as domain
from estimator.judgement.buying import Offer, Part, Terms, Ware, break_even_months, is_card, offers, running_usd_an_hour
from estimator.judgement.market import Computer, Price, PriceKind, newest, price_of_card, price_of_computer
from estimator.judgement.needs import NEAR, Miss, Need, Needs
from estimator.judgement.offer_setups import OfferJudge, Subject
from estimator.judgement.purchases import Purchase, Purchases
from estimator.judgement.worth import PLAIN, THINKING, capabilities
from estimator.sentences import Sentence, SentenceCode
from estimator.types import EstimatorError, OperatingMode, WorkloadKind

#: Judges that are kept: half a megabyte each.
_KEPT_JUDGES = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """Purchases, and the models that they speak of by position; ``wanted`` is None where models were named.

    ``not_estimated`` are computers within the budget that nothing can be said of: their accelerator is not in the catalog.
    """

    subjects: tuple[Subject, ...]
    purchases: Purchases
    not_estimated: tuple[Computer, ...]
    needs: Needs
    terms: Terms
    wanted: Wanted | None

    @property
    def sought(self) -> str:
        """What the purchases are for, in words: the named models, or the best one."""
        if self.wanted is None:
            return ", ".join(subject.name for subject in self.subjects)
        return "The best model" if self.wanted.kind is None else f"The best {self.wanted.kind} model"


@dataclass(frozen=True, slots=True)
class RentOrBuy:
    """An accelerator bought or rented. ``months`` until the purchase costs less; None: never, or a price is unknown.

    ``as_card`` is the same chip on a card, for a module without a price.
    """

    gpu: str
    name: str
    buy: Price | None
    rent: Price | None
    usd_a_month: float | None
    months: float | None
    sold_as_card: bool
    as_card: RentOrBuy | None = None


def terms_of(catalog: Catalog, owned: str | None = None) -> Terms:
    """Default terms on the day of the newest price; ``owned`` names a computer that takes the cards.

    Raises:
        QuestionError: no such computer, or one that takes no cards.
    """
    if owned is None:
        return Terms(market.newest_date(catalog))
    computer = market.computer(catalog, resolved(catalog, "computer", owned))
    if computer.host is None or not computer.card_places:
        raise QuestionError(ErrorCode.BAD_USER_INPUT, f"{computer.name} takes no cards; name one that does", "computer")
    return Terms(market.newest_date(catalog), owned=computer, cards=computer.card_places)


class Judges:
    """What is for sale, and the judges of the questions that were asked last.

    What suits a machine does not depend on its price: a question with another budget asks the judge of the one before.
    """

    def __init__(self, catalog: Catalog, calibration: Calibration) -> None:
        self.catalog, self._calibration = catalog, calibration
        self.wares = wares_of(catalog)
        self.computers = [market.computer(catalog, slug) for slug in catalog.computers]
        self.profiles = [specs.host(entry) for entry in catalog.hosts.values()]
        self._quants = [specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)]
        self._traits = model_traits(catalog)
        self._kept: Recent[Hashable, OfferJudge] = Recent(_KEPT_JUDGES)
        self._contenders: Recent[tuple[WorkloadKind, Wanted], list[Subject]] = Recent(_KEPT_JUDGES)

    @classmethod
    def of_view(cls, view: CatalogView) -> Judges:
        """Those of a view; made by ``view.derived(Judges.of_view)``."""
        return cls(view.catalog, view.calibration)

    def judge(self, models: Sequence[str], needs: Needs, mode: OperatingMode, wanted: Wanted) -> OfferJudge:
        """The judge of the named models, or of all ``wanted`` ones that may be the best when none is named.

        Raises:
            QuestionError: a model is unknown or lacks a fact.
        """
        slugs = tuple(resolved(self.catalog, "model", model) for model in models)
        key = slugs, needs, mode, None if slugs else wanted
        judge = self._kept.get(key)
        if judge is None:
            named = [_subject(self.catalog, self._traits[slug]) for slug in slugs]
            subjects = named or self._contending(needs.workload.kind, wanted)
            judge = OfferJudge(subjects, self._quants, needs, self._calibration, mode)
            self._kept.keep(key, judge)
        return judge

    def _contending(self, work: WorkloadKind, wanted: Wanted) -> list[Subject]:
        subjects = self._contenders.get((work, wanted))
        if subjects is None:
            subjects = _contenders(self.catalog, self._traits, work, wanted)
            self._contenders.keep((work, wanted), subjects)
        return subjects


def purchases(
    judges: Judges,
    models: Sequence[str],
    needs: Needs,
    terms: Terms,
    mode: OperatingMode = OperatingMode.BALANCED,
    wanted: Wanted = Wanted(),
) -> Answer:
    """Purchases and rentals for the named models, or for the best of all ``wanted`` ones when none is named.

    Raises:
        QuestionError: a model is unknown or lacks a fact, or a kind is asked for beside named models.
    """
    if models and wanted.kind is not None:
        message = "a kind is that of the best model where none is named; leave out the kind or the models"
        raise QuestionError(ErrorCode.BAD_USER_INPUT, message, "kind")
    judge = judges.judge(models, needs, mode, wanted)
    everything = offers(judges.wares, judges.computers, terms, judges.profiles)
    return Answer(
        tuple(judge.subjects),
        domain.purchases(judge, [offer for offer in everything if _within_reach(offer, terms)], terms),
        tuple(computer for computer in judges.computers if _is_unknown(judges.catalog, computer, terms)),
        needs,
        terms,
        None if models else wanted,
    )


def _is_unknown(catalog: Catalog, computer: Computer, terms: Terms) -> bool:
    """Whether a computer within the budget has an accelerator that no estimate can be made of."""
    built_in = None if computer.gpu is None else catalog.gpus.get(computer.gpu)
    if computer.card_places or (built_in is not None and not specs.missing_facts(built_in)):
        return False
    price = price_of_computer(computer, terms.today, used=terms.used, region=terms.region)
    return price is not None and (terms.budget_usd is None or price.usd <= terms.budget_usd)


def wares_of(catalog: Catalog) -> list[Ware]:
    """Every accelerator that estimates can be made of, with its board and prices."""
    return [
        Ware(specs.accelerator(entry), market.board(catalog, slug), market.prices(catalog, slug))
        for slug, entry in catalog.gpus.items()
        if not specs.missing_facts(entry)
    ]


def rent_or_buy(catalog: Catalog, gpu: str, terms: Terms) -> RentOrBuy:
    """An accelerator's price beside its rent for the hours a month of the terms. Raises :class:`QuestionError`."""
    slug = resolved(catalog, "gpu", gpu)
    offered = _rent_or_buy(catalog, slug, terms)
    if offered.buy is not None or offered.sold_as_card:
        return offered
    chip = _chip(catalog.gpus[slug])
    cards = [_rent_or_buy(catalog, other, terms) for other, entry in catalog.gpus.items() if _chip(entry) == chip]
    priced = [(card.buy.usd, card) for card in cards if card.sold_as_card and card.buy is not None]
    return replace(offered, as_card=min(priced, key=lambda pair: pair[0], default=(0.0, None))[1])


def _chip(entry: Entry) -> tuple[str, str, str]:
    """Key of the accelerators of one chip: maker, generation, and the first word of the name."""
    return entry["vendor"], entry["architecture"], entry["name"].split()[0]


def _rent_or_buy(catalog: Catalog, slug: str, terms: Terms) -> RentOrBuy:
    ware = Ware(specs.accelerator(catalog.gpus[slug]), market.board(catalog, slug), market.prices(catalog, slug))
    price = price_of_card(ware.prices, terms.today, used=terms.used, region=terms.region)
    rent = newest(ware.prices, (PriceKind.CLOUD_HOUR,), terms.region)
    hours = terms.hours_a_month
    months = None
    if price is not None and rent is not None and hours is not None:
        profile = specs.host(catalog.hosts[catalog.default_host])
        running = running_usd_an_hour(Offer(ware, 1, profile, None), terms)
        months = break_even_months(price.usd, rent.usd, hours, running)
    monthly = None if rent is None or hours is None else rent.usd * hours
    return RentOrBuy(slug, ware.accelerator.name, price, rent, monthly, months, is_card(ware))


def why_missed(purchase: Purchase) -> list[Sentence]:
    """Needs that a purchase misses, one phrase each."""
    phrases = [_missed(miss, purchase.offer) for miss in purchase.misses]
    return phrases + list(purchase.offer.misfits)


_MISSED = {
    Need.DECODE: SentenceCode.DECODE_TOO_SLOW,
    Need.TTFT: SentenceCode.TTFT_TOO_LONG,
    Need.ANSWER: SentenceCode.ANSWER_TOO_LONG,
    Need.LOSS: SentenceCode.LOSS_TOO_LARGE,
    Need.BUDGET: SentenceCode.ABOVE_BUDGET,
}


def _missed(miss: Miss, offer: Offer) -> Sentence:
    phrase = f"{miss.has:.1f} {miss.need.value} instead of {miss.needed:.1f}"
    values = {"has": miss.has, "needed": miss.needed, "unit": miss.need.value}
    if miss.need is Need.TTFT:
        phrase = f"{miss.has / 1000:.1f} s to the first token instead of {miss.needed / 1000:.1f}"
    elif miss.need is Need.BUDGET:
        phrase = f"${miss.has - miss.needed:,.0f} above the budget"
        cards = offer.parts[0].usd
        if len(offer.parts) > 1 and cards is not None and cards <= miss.needed:
            phrase += f"; ${cards:,.0f} in a computer that you have"
            values["without_computer_usd"] = cards
    return Sentence(_MISSED[miss.need], phrase, **values)


def why_budget_is_left(answer: Answer) -> Sentence | None:
    """What more of the budget would buy, where the first purchase leaves over half of it; None where it does not."""
    bought, budget = answer.purchases, answer.terms.budget_usd
    best = bought.best_rated
    if best is None or budget is None or (bought.meeting[0].offer.usd or 0.0) > budget / 2:
        return None
    points, usd = best.setup.rating - bought.meeting[0].setup.rating, best.offer.usd
    more = (
        f"is rated more than {points:.1f} points above it ({best.offer.name}, ${usd:,.0f})"
        if points
        else "is rated higher"
    )
    phrase = f"The first leaves over half of the budget: nothing within it {more}"
    return Sentence(SentenceCode.BUDGET_LEFT, f"{phrase}.", points=points, purchase=best.offer.name, usd=usd)


def why_unpriced(offer: Offer) -> list[Sentence]:
    """Parts whose price of today is unknown, with the newest known price of each."""
    return [_unpriced(part) for part in offer.unknown]


def _unpriced(part: Part) -> Sentence:
    last = part.last
    known = {} if last is None else {"last_usd": last.usd, "last_kind": last.kind.name, "last_date": last.date}
    text = f"{part.name}: no price of today{_last(last)}"
    return Sentence(SentenceCode.PRICE_UNKNOWN, text, part=part.name, **known)


def _last(price: Price | None) -> str:
    if price is None:
        return ", none recorded"
    return f"; {_KINDS[price.kind]} of {price.date or 'an unknown date'} was ${price.usd:,.0f}"


_KINDS = {
    PriceKind.MSRP: "the list price",
    PriceKind.STREET_NEW: "the price in shops",
    PriceKind.STREET_USED: "the used price",
    PriceKind.SYSTEM: "the list price",
    PriceKind.CLOUD_HOUR: "the hour",
}


def _within_reach(offer: Offer, terms: Terms) -> bool:
    """Whether an offer is within the budget or nearly; rented hours are asked about where hours a month are stated."""
    if offer.hour is not None:
        return terms.hours_a_month is not None
    return terms.budget_usd is None or offer.usd is None or offer.usd <= NEAR * terms.budget_usd


def _subject(catalog: Catalog, traits: ModelTraits) -> Subject:
    entry = catalog.models[traits.slug]
    try:
        return Subject(traits.slug, entry["name"], specs.architecture(entry), traits)
    except EstimatorError as error:
        raise QuestionError(ErrorCode.MISSING_FACT, f"{entry['name']}: {error}", "model") from error


def _contenders(
    catalog: Catalog, models: Mapping[str, ModelTraits], work: WorkloadKind, wanted: Wanted
) -> list[Subject]:
    """Models that may be the best one: no other has as much capability with as few weights and as few active ones."""
    known = {slug: traits for slug, traits in models.items() if wanted.takes(catalog.models[slug], traits)}
    while True:
        leading = _leading(known, work)
        unknown = [slug for slug in leading if specs.missing_facts(catalog.models[slug])]
        if not unknown:
            return [_subject(catalog, known[slug]) for slug in leading]
        known = {slug: traits for slug, traits in known.items() if slug not in unknown}


def _leading(models: Mapping[str, ModelTraits], work: WorkloadKind) -> list[str]:
    """Slugs of the models that no other one beats in capability, weights and active weights, in one way to answer."""
    pairs = capabilities(work, list(models.values()))
    sizes = np.array([(traits.total_b, traits.active_b) for traits in models.values()]).reshape(-1, 2)
    leading = np.zeros(len(models), dtype=np.bool_)
    for way in (PLAIN, THINKING):
        able = [pair[way] for pair in pairs]
        lacking = np.array([np.inf if capability is None else -capability.low for capability in able])
        figures = np.column_stack([lacking, sizes])
        no_worse = np.all(figures[None] <= figures[:, None], axis=2)
        better = np.any(figures[None] < figures[:, None], axis=2)
        leading |= np.isfinite(lacking) & ~np.any(no_worse & better, axis=1)
    return [slug for slug, leads in zip(models, leading, strict=True) if leads]
