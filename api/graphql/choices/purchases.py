"""Types of purchases and rentals."""

from __future__ import annotations

import strawberry

from api.answers.choices import purchases as answers
from api.graphql.catalog.computers import Computer
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.prices import Price, price_face
from api.graphql.catalog.quants import Quant
from api.graphql.core.scalars import Int64, PartialDate
from api.graphql.core.sentences import Sentence, sentence_of, sentences_of
from db.fits.packing import shown
from estimator.judgement import buying
from estimator.judgement import purchases as domain


@strawberry.type(description="A part of a purchase: cards, or a computer.")
class PurchasePart:
    name: str = strawberry.field(description="Name of the part.")
    count: int = strawberry.field(description="How many.")
    price: Price | None = strawberry.field(description="Price of one today; null when unknown.")
    last_price: Price | None = strawberry.field(
        description="Newest price that is known, whatever its age; null for none."
    )


@strawberry.type(description="Something to buy or rent, with the setup that is best on it.")
class Purchase:
    """A computer, cards in a computer, or accelerators by the hour."""

    name: str = strawberry.field(description="Name of the purchase in common words.")
    gpu: Gpu = strawberry.field(description="The accelerator.")
    gpu_count: int = strawberry.field(description="How many of it.")
    computer: Computer | None = strawberry.field(description="The computer; null for rented hours.")
    host_memory_bytes: Int64 = strawberry.field(description="Memory of the computer around the accelerators, bytes.")
    parts: list[PurchasePart] = strawberry.field(description="Parts that are paid for; empty for rented hours.")
    price_usd: float | None = strawberry.field(
        description="All parts together, US dollars; null for rented hours, or while a price is unknown."
    )
    model: Model = strawberry.field(description="The model.")
    quant: Quant = strawberry.field(description="The quantization.")
    engine: Engine = strawberry.field(description="The engine.")
    thinks: bool = strawberry.field(description="Whether the model thinks before it answers.")
    worth: float = strawberry.field(
        description="Capability for the workload less the loss of the quantization, points of 100."
    )
    loss_points: float = strawberry.field(description="Loss by the quantization, points of capability.")
    decode_tokens_per_second: float = strawberry.field(description="Decode speed of each stream, tokens per second.")
    ttft_ms: float = strawberry.field(description="Time to the first token of one prompt, milliseconds.")
    answer_seconds: float = strawberry.field(description="Time to a whole answer, thinking included, seconds.")
    offloaded_bytes: Int64 = strawberry.field(description="Bytes in the memory of the computer.")
    misses: list[Sentence] = strawberry.field(description="Needs that it misses, one phrase each; empty for none.")
    unknown_prices: list[Sentence] = strawberry.field(
        description="Parts without a price of today, with the newest known one; empty for none."
    )
    cautions: list[Sentence] = strawberry.field(
        description="What is left to do for cards in a computer, such as cooling a card without a fan; empty for none."
    )


@strawberry.type(description="Accelerators by the hour, beside the first purchase.")
class Rental:
    purchase: Purchase = strawberry.field(description="The rented machine, with the setup on it.")
    price: Price = strawberry.field(description="An hour of one accelerator.")
    usd_per_hour: float = strawberry.field(description="An hour of all of them, US dollars.")
    usd_per_month: float | None = strawberry.field(
        description="Rent at the hours a month that were stated, US dollars; null without them."
    )
    break_even_months: float | None = strawberry.field(
        description="Months after which the first purchase has cost less; null when it never does, or without one."
    )


@strawberry.type(
    description="Purchases that meet a need, and those that do not quite. Each list is shortened to `first`."
)
class Purchases:
    prices_until: PartialDate = strawberry.field(
        description="Date of the newest price: the day that prices are told for."
    )
    streams: int = strawberry.field(description="Users that are answered at once in a busy moment.")
    meeting: list[Purchase] = strawberry.field(
        description="Purchases that meet every need at a known price, best value first: rating of the setup less two points for "
        "each doubling of the price; with a budget, less two points for all of it. One that another beats in price, worth and "
        "time is left out."
    )
    budget_left: Sentence | None = strawberry.field(
        description="What more of the budget would buy, where the first purchase leaves over half of it; null elsewhere."
    )
    near_misses: list[Purchase] = strawberry.field(
        description="Within half of every need and of the budget, nearest first."
    )
    unpriced: list[Purchase] = strawberry.field(
        description="Purchases that meet the need at an unknown price, best value at the newest known price first."
    )
    not_estimated: list[Computer] = strawberry.field(
        description="Computers within the budget whose accelerator the catalog lacks: nothing can be said of them."
    )
    rentals: list[Rental] = strawberry.field(description="By rent; empty unless hours a month are stated.")


@strawberry.type(description="An accelerator's price beside its rent.")
class RentOrBuy:
    gpu: Gpu = strawberry.field(description="The accelerator.")
    sold_as_card: bool = strawberry.field(description="Whether it is sold as a card for a computer.")
    price: Price | None = strawberry.field(description="Price of one card today; null when unknown.")
    hour: Price | None = strawberry.field(description="An hour of one; null when unknown.")
    usd_per_month: float | None = strawberry.field(
        description="Rent at the hours stated, US dollars; null when unknown."
    )
    break_even_months: float | None = strawberry.field(
        description="Months after which the purchase has cost less; null when it never does, or a price is unknown."
    )
    as_card: RentOrBuy | None = strawberry.field(
        description="The same chip on a card that has a price; null for what has a price or is a card itself."
    )


def purchases_of(faces: Faces, answer: answers.Answer, size: int) -> Purchases:
    """The GraphQL object of an answer, at most ``size`` items a list."""

    def listed(group: tuple[domain.Purchase, ...]) -> list[Purchase]:
        return [_purchase(faces, answer, purchase) for purchase in group[:size]]

    purchases, left = answer.purchases, answers.why_budget_is_left(answer)
    return Purchases(
        prices_until=PartialDate(answer.terms.today),
        streams=purchases.streams,
        meeting=listed(purchases.meeting),
        budget_left=None if left is None else sentence_of(left),
        near_misses=listed(purchases.near),
        unpriced=listed(purchases.unpriced),
        not_estimated=[faces.by_slug("computer", computer.slug) for computer in answer.not_estimated[:size]],
        rentals=[_rental(faces, answer, rental) for rental in purchases.rentals[:size]],
    )


def rent_or_buy_of(faces: Faces, told: answers.RentOrBuy) -> RentOrBuy:
    """The GraphQL object of a comparison."""
    return RentOrBuy(
        gpu=faces.by_slug("gpu", told.gpu),
        sold_as_card=told.sold_as_card,
        price=None if told.buy is None else price_face(told.buy),
        hour=None if told.rent is None else price_face(told.rent),
        usd_per_month=told.usd_a_month,
        break_even_months=told.months,
        as_card=None if told.as_card is None else rent_or_buy_of(faces, told.as_card),
    )


def _purchase(faces: Faces, answer: answers.Answer, purchase: domain.Purchase) -> Purchase:
    offer, setup = purchase.offer, purchase.setup
    return Purchase(
        name=offer.name,
        gpu=faces.by_slug("gpu", offer.ware.accelerator.slug),
        gpu_count=offer.count,
        computer=None if offer.computer is None else faces.by_slug("computer", offer.computer.slug),
        host_memory_bytes=Int64(offer.host.memory_bytes),
        parts=[_part(part) for part in offer.parts],
        price_usd=offer.usd,
        model=faces.by_slug("model", answer.subjects[setup.subject].slug),
        quant=faces.by_slug("quant", setup.quant.slug),
        engine=faces.engine_by_kind[setup.engine],
        thinks=setup.thinks,
        worth=setup.worth,
        loss_points=setup.loss_points,
        decode_tokens_per_second=shown(setup.decode_tok_s),
        ttft_ms=shown(setup.ttft_ms),
        answer_seconds=shown(setup.answer_s),
        offloaded_bytes=Int64(setup.host_bytes),
        misses=sentences_of(answers.why_missed(purchase)),
        unknown_prices=sentences_of(answers.why_unpriced(offer)),
        cautions=sentences_of(offer.cautions),
    )


def _part(part: buying.Part) -> PurchasePart:
    return PurchasePart(
        name=part.name,
        count=part.count,
        price=None if part.price is None else price_face(part.price),
        last_price=None if part.last is None else price_face(part.last),
    )


def _rental(faces: Faces, answer: answers.Answer, rental: domain.Rental) -> Rental:
    offer = rental.purchase.offer
    assert offer.hour is not None
    assert offer.usd_an_hour is not None
    return Rental(
        purchase=_purchase(faces, answer, rental.purchase),
        price=price_face(offer.hour),
        usd_per_hour=offer.usd_an_hour,
        usd_per_month=rental.usd_a_month,
        break_even_months=rental.months,
    )
