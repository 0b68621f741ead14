"""Roots of buying: purchases for a need, and rent beside purchase."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import strawberry

from api.answers.choices import purchases as answers
from api.answers.choices.models import ModelKind, Wanted
from api.answers.searches import search
from api.catalog.live import require_facts
from api.catalog.view import CatalogView
from api.errors import ApiError, QuestionError, bad_input
from api.graphql.choices.purchases import Purchases, RentOrBuy, purchases_of, rent_or_buy_of
from api.graphql.context import RequestContext
from api.graphql.core.connections import checked_size
from api.graphql.core.enums import Vendor
from api.graphql.core.inputs import MAX_TEXT, check_set, within_reach
from estimator.judgement.buying import DESKTOP_CARDS, Terms
from estimator.judgement.needs import NOTICEABLE_POINTS, Needs, needs_of
from estimator.judgement.serving.curve import MAX_STREAMS
from estimator.types import OperatingMode, WorkloadKind

#: Models that one question may name.
MAX_MODELS = 20
MAX_CARDS = 8
MAX_CONTEXT_TOKENS = 2**24
_HOURS_A_MONTH = 744.0


@strawberry.input(description="How someone buys. A field that is left out is not asked for.")
class BuyerInput:
    budget_usd: float | None = strawberry.field(default=None, description="Most for everything together, US dollars.")
    cards: int | None = strawberry.field(
        default=None,
        description=f"Most cards in a computer, 0 (whole computers alone) to {MAX_CARDS}; {DESKTOP_CARDS} when left out.",
    )
    computer: str | None = strawberry.field(
        default=None,
        description="A computer that the buyer has and that takes the cards, by slug or alias; one is bought when left out.",
    )
    vendors: list[Vendor] | None = strawberry.field(
        default=None, description="Makers of the accelerator; all when left out."
    )
    used: bool | None = strawberry.field(default=None, description="Whether used hardware counts; true when left out.")
    region: str | None = strawberry.field(
        default=None, description="Region whose prices are preferred; `US` when left out."
    )
    hours_per_month: float | None = strawberry.field(
        default=None, description="Hours of use a month, above 0 to 744: rent is compared with purchase by them."
    )
    electricity_usd_per_kwh: float | None = strawberry.field(
        default=None, description="Price of electricity, US dollars per kilowatt hour; 0 when left out."
    )


@strawberry.input(description="Use of a purchase. Each threshold that is left out is that of the workload.")
class PurchaseInput:
    models: list[str] | None = strawberry.field(
        default=None,
        description=f"Models, any of which will do, by slug or alias, at most {MAX_MODELS}; the best of all when left out.",
    )
    model_kind: ModelKind | None = strawberry.field(
        default=None, description="With no models named: the best of this kind."
    )
    workload: WorkloadKind = strawberry.field(default=WorkloadKind.CODING, description="The workload.")
    decode_tokens_per_second: float | None = strawberry.field(
        default=None, description="Least decode speed of each user, tokens per second."
    )
    ttft_ms: float | None = strawberry.field(default=None, description="Longest time to the first token, milliseconds.")
    context_tokens: int | None = strawberry.field(default=None, description="Context of each user, tokens.")
    loss_points: float | None = strawberry.field(
        default=None,
        description=f"Most that the quantization may cost, points of capability; {NOTICEABLE_POINTS:g} when left out.",
    )
    users: int | None = strawberry.field(
        default=None,
        description=f"People who think, ask and read, 1 to {MAX_STREAMS:,}; 1 when left out. So many streams as in a "
        "busy moment are on the accelerators, each at the workload's comfortable speed or the one asked for.",
    )


@strawberry.type(description="Purchases and rentals.")
class BuyingQueries:
    """Fields of the root of all queries."""

    @strawberry.field(
        description="Purchases and rentals for a model, or for the best one: whole computers, one or two cards in a desktop, "
        "hours. Power supply and slots are checked, every price has its date. Lists of at most 100 items."
    )
    async def purchases(
        self,
        info: strawberry.Info,
        input: Annotated[PurchaseInput, strawberry.argument(description="Use of the purchase.")],
        buyer: Annotated[BuyerInput | None, strawberry.argument(description="How someone buys.")] = None,
        mode: Annotated[OperatingMode | None, strawberry.argument(description="How time is weighed.")] = (
            OperatingMode.BALANCED
        ),
        first: Annotated[
            int | None, strawberry.argument(description="Most items of each list, 0 to 100; 10 when left out.")
        ] = None,
    ) -> Purchases | None:
        context: RequestContext = info.context
        view, size = context.view, checked_size(context.services.limits, first)
        models, needs, terms = _models(view, input), _needs(view, input), _terms(view, buyer or BuyerInput())
        try:
            answer = await search(
                answers.purchases,
                view.derived(answers.Judges.of_view),
                models,
                needs,
                terms,
                mode or OperatingMode.BALANCED,
                Wanted(kind=input.model_kind),
            )
        except QuestionError as error:
            raise ApiError(error.code, str(error)) from error
        return purchases_of(context.faces, answer, size)

    @strawberry.field(description="An accelerator's price beside its rent for the hours a month that a buyer states.")
    def rent_or_buy(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        buyer: Annotated[BuyerInput | None, strawberry.argument(description="How someone buys.")] = None,
    ) -> RentOrBuy | None:
        view = info.context.view
        terms = _terms(view, buyer or BuyerInput())
        return rent_or_buy_of(info.context.faces, answers.rent_or_buy(view.catalog, view.gpu(gpu).slug, terms))


def _models(view: CatalogView, asked: PurchaseInput) -> list[str]:
    """Slugs of the models asked for. Raises ``NOT_FOUND``, ``MISSING_FACT`` or ``LIMIT_EXCEEDED``."""
    named = asked.models or []
    check_set("models", named, MAX_MODELS)
    records = [view.model(model) for model in named]
    for record in records:
        require_facts(record)
    return [record.slug for record in records]


def _needs(view: CatalogView, asked: PurchaseInput) -> Needs:
    users, context = asked.users, asked.context_tokens
    if users is not None and not 1 <= users <= MAX_STREAMS:
        raise bad_input(f"users must be 1 to {MAX_STREAMS:,}, not {users:,}.", field="users")
    if context is not None and not 1 <= context <= MAX_CONTEXT_TOKENS:
        raise bad_input(f"contextTokens must be 1 to {MAX_CONTEXT_TOKENS:,}, not {context:,}.", field="contextTokens")
    return needs_of(
        view.workload_of(asked.workload).spec,
        decode_tok_s=_positive("decodeTokensPerSecond", asked.decode_tokens_per_second),
        ttft_ms=_positive("ttftMs", asked.ttft_ms),
        context_tokens=context,
        loss_points=_positive("lossPoints", asked.loss_points),
        users=users,
    )


def _terms(view: CatalogView, asked: BuyerInput) -> Terms:
    """Terms of a buyer. Raises ``BAD_USER_INPUT`` for a value out of range, ``NOT_FOUND`` for an unknown computer."""
    try:
        terms = answers.terms_of(view.catalog, None if asked.computer is None else view.computer(asked.computer).slug)
    except QuestionError as error:
        raise bad_input(f"{error}.", field="computer") from error
    if asked.cards is not None and not 0 <= asked.cards <= MAX_CARDS:
        raise bad_input(f"cards must be 0 to {MAX_CARDS}, not {asked.cards}.", field="cards")
    hours = _positive("hoursPerMonth", asked.hours_per_month)
    if hours is not None and hours > _HOURS_A_MONTH:
        raise bad_input(f"hoursPerMonth must be at most {_HOURS_A_MONTH:g}, not {hours:g}.", field="hoursPerMonth")
    if asked.electricity_usd_per_kwh is not None and not asked.electricity_usd_per_kwh >= 0:
        raise bad_input("electricityUsdPerKwh must be 0 or more.", field="electricityUsdPerKwh")
    if asked.vendors is not None:
        check_set("vendors", asked.vendors)
    if asked.region is not None and len(asked.region) > MAX_TEXT:
        raise bad_input(f"region has at most {MAX_TEXT} characters.", field="region")
    return replace(
        terms,
        budget_usd=_positive("budgetUsd", asked.budget_usd),
        cards=terms.cards if asked.cards is None else asked.cards,
        used=asked.used is not False,
        region=asked.region or terms.region,
        vendors=None if asked.vendors is None else frozenset(vendor.value for vendor in asked.vendors),
        hours_a_month=hours,
        electricity_usd_per_kwh=within_reach(asked.electricity_usd_per_kwh),
    )


def _positive(name: str, value: float | None) -> float | None:
    """A number above 0 within reach. Raises ``BAD_USER_INPUT`` for another one."""
    if value is not None and not value > 0:
        raise bad_input(f"{name} must be above 0, not {value:g}.", field=name)
    return within_reach(value)
