"""`fitgraph buy`: purchases and rents for a model, for the best model, or of one accelerator."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from api.answers.choices import purchases as answers
from api.answers.choices.machine import resolved
from api.answers.choices.models import ModelKind, Wanted
from api.answers.choices.reasons import seconds_text
from api.cli.choices.market import price_json
from api.cli.choices.recommend import member
from api.cli.choices.tables import print_table
from api.cli.exit_codes import NO_ANSWER
from api.errors import QuestionError
from db.entries import specs
from db.entries.files import Catalog, load_catalog
from estimator.calibration.coefficients import Calibration
from estimator.judgement.buying import Offer, Part, Terms
from estimator.judgement.needs import needs_of
from estimator.judgement.purchases import Purchase, Rental


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line's words."""

    models: Sequence[str]
    kind: str | None
    gpu: str | None
    workload: str
    budget_usd: float | None
    min_tok_s: float | None
    max_ttft_ms: float | None
    max_loss: float | None
    context: int | None
    users: int | None
    cards: int | None
    computer: str | None
    vendors: Sequence[str]
    new_only: bool
    region: str
    hours_a_month: float | None
    electricity_usd_per_kwh: float | None


def buy_command(asked: Asked, number: int, *, as_json: bool) -> int:
    """Print at most ``number`` purchases of each list. Returns 0, or 3 when there is no answer."""
    catalog = load_catalog()
    try:
        terms = _terms(catalog, asked)
        if asked.gpu is not None:
            return _rent_or_buy(answers.rent_or_buy(catalog, asked.gpu, terms), terms, as_json=as_json)
        needs = needs_of(
            specs.workload(catalog.workloads[resolved(catalog, "workload", asked.workload)]),
            decode_tok_s=asked.min_tok_s,
            ttft_ms=asked.max_ttft_ms,
            context_tokens=asked.context,
            loss_points=asked.max_loss,
            users=asked.users,
        )
        wanted = Wanted(kind=None if asked.kind is None else member(ModelKind, "kind", asked.kind))
        answer = answers.purchases(
            answers.Judges(catalog, Calibration.load()), asked.models, needs, terms, wanted=wanted
        )
    except QuestionError as error:
        print(f"fitgraph: {error}", file=sys.stderr)
        return NO_ANSWER
    if as_json:
        print(orjson.dumps(_answer_json(answer, number), option=orjson.OPT_INDENT_2).decode())
    else:
        _print_answer(answer, number)
    return 0


def _terms(catalog: Catalog, asked: Asked) -> Terms:
    terms = answers.terms_of(catalog, asked.computer)
    return replace(
        terms,
        budget_usd=asked.budget_usd,
        cards=terms.cards if asked.cards is None else asked.cards,
        used=not asked.new_only,
        region=asked.region,
        vendors=frozenset(vendor.casefold() for vendor in asked.vendors) or None,
        hours_a_month=asked.hours_a_month,
        electricity_usd_per_kwh=asked.electricity_usd_per_kwh,
    )


def _answer_json(answer: answers.Answer, number: int) -> dict[str, Any]:
    purchases = answer.purchases
    workload = answer.needs.workload
    return {
        "needs": {
            "kind": None if answer.wanted is None else answer.wanted.kind,
            "workload": workload.slug,
            "users": answer.needs.users,
            "streams": answer.purchases.streams,
            "decode_tok_s": workload.minimum_decode_tok_s,
            "ttft_ms": workload.usable_ttft_ms,
            "answer_s": workload.usable_answer_s,
            "context_tokens": workload.context_tokens,
            "loss_points": answer.needs.loss_points,
            "budget_usd": answer.terms.budget_usd,
        },
        "prices_of": answer.terms.today,
        "budget_left": answers.why_budget_is_left(answer),
        "purchases": [_purchase_json(answer, purchase) for purchase in purchases.meeting[:number]],
        "near_misses": [_purchase_json(answer, purchase) for purchase in purchases.near[:number]],
        "unknown_prices": [_purchase_json(answer, purchase) for purchase in purchases.unpriced[:number]],
        "not_estimated": [
            {"slug": computer.slug, "name": computer.name, "gpu": computer.gpu} for computer in answer.not_estimated
        ],
        "rentals": [_rental_json(answer, rental) for rental in purchases.rentals[:number]],
    }


def _purchase_json(answer: answers.Answer, purchase: Purchase) -> dict[str, Any]:
    offer, setup = purchase.offer, purchase.setup
    return {
        "name": offer.name,
        "gpu": offer.ware.accelerator.slug,
        "gpu_count": offer.count,
        "computer": None if offer.computer is None else offer.computer.slug,
        "host_memory_bytes": offer.host.memory_bytes,
        "price_usd": offer.usd,
        "parts": [_part_json(part) for part in offer.parts],
        "model": answer.subjects[setup.subject].slug,
        "quant": setup.quant.slug,
        "engine": setup.engine.value,
        "thinking": setup.thinks,
        "worth": round(setup.worth, 2),
        "loss": round(setup.loss_points, 3),
        "decode_tok_s": round(setup.decode_tok_s, 2),
        "ttft_ms": round(setup.ttft_ms, 1),
        "answer_s": round(setup.answer_s, 2),
        "host_bytes": setup.host_bytes,
        "misses": answers.why_missed(purchase),
        "unknown": answers.why_unpriced(offer),
        "cautions": list(offer.cautions),
    }


def _part_json(part: Part) -> dict[str, Any]:
    price = part.price
    return {"name": part.name, "count": part.count, "price": None if price is None else price_json(price)}


def _rental_json(answer: answers.Answer, rental: Rental) -> dict[str, Any]:
    hour = rental.purchase.offer.hour
    assert hour is not None
    return _purchase_json(answer, rental.purchase) | {
        "usd_an_hour": rental.purchase.offer.usd_an_hour,
        "usd_a_month": rental.usd_a_month,
        "price": price_json(hour),
        "beside": None if rental.beside is None else rental.beside.offer.name,
        "break_even_months": rental.months,
    }


def _print_answer(answer: answers.Answer, number: int) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=200)
    purchases = answer.purchases
    console.print(_headline(answer))
    if purchases.meeting:
        if left := answers.why_budget_is_left(answer):
            console.print(left)
        print_table(
            console, _table(answer, purchases.meeting[:number], "Prices", lambda purchase: _prices(purchase.offer))
        )
    else:
        console.print("Nothing with a known price meets this.")
    if purchases.near:
        console.print("\nNear misses")
        print_table(
            console, _table(answer, purchases.near[:number], "Misses", lambda p: "; ".join(answers.why_missed(p)))
        )
    if purchases.unpriced:
        console.print(f"\nThat meet this at an unknown price ({len(purchases.unpriced)})")
        unknown = purchases.unpriced[:number]
        print_table(console, _table(answer, unknown, "Unknown", lambda p: "; ".join(answers.why_unpriced(p.offer))))
    listed = (*purchases.meeting[:number], *purchases.near[:number], *purchases.unpriced[:number])
    for caution in dict.fromkeys(caution for purchase in listed for caution in purchase.offer.cautions):
        console.print(f"\n{caution}.")
    if answer.not_estimated:
        names = ", ".join(computer.name for computer in answer.not_estimated)
        console.print(f"\nNot estimated, since the catalog lacks the accelerator: {names}")
    if purchases.rentals:
        console.print("\nRent")
        print_table(console, _rental_table(purchases.rentals[:number]))


def _headline(answer: answers.Answer) -> str:
    workload, needs = answer.needs.workload, answer.needs
    streams = answer.purchases.streams
    users = "" if needs.users == 1 else f" for {needs.users} users, {streams} of them at once in a busy moment"
    loss = f"{needs.loss_points:g} {'point' if needs.loss_points == 1 else 'points'}"
    budget = "" if answer.terms.budget_usd is None else f", at most ${answer.terms.budget_usd:,.0f}"
    return (
        f"{answer.sought}{users}: {workload.name}, at least {workload.minimum_decode_tok_s:g} tok/s, first token within "
        f"{workload.usable_ttft_ms / 1000:g} s, at most {loss} lost{budget}; "
        f"prices up to {answer.terms.today}"
    )


def _table(answer: answers.Answer, purchases: Sequence[Purchase], last: str, told: Any) -> Table:
    table = Table("Purchase", box=None, pad_edge=False)
    for name in ("US dollars", "Model", "Quantization", "tok/s", "First token", "Answer"):
        table.add_column(name, justify="left" if name in ("Model", "Quantization") else "right", no_wrap=True)
    table.add_column(last)
    for purchase in purchases:
        setup, usd = purchase.setup, purchase.offer.usd
        table.add_row(
            purchase.offer.name,
            "?" if usd is None else f"{usd:,.0f}",
            answer.subjects[setup.subject].name,
            setup.quant.name,
            f"{setup.decode_tok_s:.0f}",
            seconds_text(setup.ttft_ms / 1000),
            seconds_text(setup.answer_s),
            told(purchase),
        )
    return table


def _prices(offer: Offer) -> str:
    prices = []
    for part in offer.parts:
        assert part.price is not None
        count = "" if part.count == 1 else f"{part.count} x "
        kind = part.price.kind.value.replace("_", " ")
        prices.append(f"{count}{part.price.usd:,.0f} ({kind}, {part.price.date or 'undated'})")
    return " + ".join(prices)


def _rental_table(rentals: Sequence[Rental]) -> Table:
    table = Table("Rented", box=None, pad_edge=False)
    for name in ("an hour", "a month", "tok/s", "Date"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Beside the first purchase")
    for rental in rentals:
        offer = rental.purchase.offer
        assert offer.hour is not None
        beside = "" if rental.beside is None else _cheaper(rental.months)
        table.add_row(
            offer.name,
            f"{offer.usd_an_hour:,.2f}",
            "?" if rental.usd_a_month is None else f"{rental.usd_a_month:,.0f}",
            f"{rental.purchase.setup.decode_tok_s:.0f}",
            offer.hour.date or "undated",
            beside,
        )
    return table


#: Months from which the answer is to rent: few computers are used for longer.
_LONG_MONTHS = 60.0


def _cheaper(months: float | None) -> str:
    """Which costs less, by the ``months`` until buying does; None: it never does."""
    if months is None:
        return "renting always costs less"
    time = f"{months:.0f} months" if months < 36 else f"{months / 12:.0f} years"
    return f"renting costs less for {time}" if months > _LONG_MONTHS else f"buying costs less after {time}"


def _rent_or_buy(told: answers.RentOrBuy, terms: Terms, *, as_json: bool) -> int:
    if as_json:
        print(orjson.dumps(_comparison_json(told, terms), option=orjson.OPT_INDENT_2).decode())
        return 0
    _print_comparison(told, terms)
    if told.as_card is not None:
        _print_comparison(told.as_card, terms)
    return 0


def _comparison_json(told: answers.RentOrBuy, terms: Terms) -> dict[str, Any]:
    return {
        "gpu": told.gpu,
        "buy": None if told.buy is None else price_json(told.buy),
        "rent": None if told.rent is None else price_json(told.rent),
        "hours_a_month": terms.hours_a_month,
        "rent_usd_a_month": told.usd_a_month,
        "break_even_months": told.months,
        "sold_as_card": told.sold_as_card,
        "as_card": None if told.as_card is None else _comparison_json(told.as_card, terms),
    }


def _print_comparison(told: answers.RentOrBuy, terms: Terms) -> None:
    print(told.name)
    for verb, price in (("buy", told.buy), ("rent", told.rent)):
        if price is None:
            print(f"  {verb}: no price of today is known")
        else:
            unit = " an hour" if verb == "rent" else ""
            print(
                f"  {verb}: ${price.usd:,.2f}{unit} ({price.configuration}; {price.date or 'undated'}; {price.source})"
            )
    if not told.sold_as_card:
        print("  It is no card for a desktop: it comes in a computer or a server.")
    if told.usd_a_month is not None:
        print(f"  {terms.hours_a_month:g} hours a month cost ${told.usd_a_month:,.0f} in rent", end="")
        print("." if told.buy is None else f"; {_cheaper(told.months)}.")
