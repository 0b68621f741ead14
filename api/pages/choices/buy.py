"""The page of purchases: a budget and a need in, computers and cards out, with near misses and rents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from api.answers.choices import purchases as answers
from api.answers.choices.models import ModelKind, Wanted
from api.answers.choices.paces import Recent
from api.answers.choices.reasons import seconds_text
from api.answers.searches import search
from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.view import CatalogView
from api.pages.asked import Asked
from api.pages.catalog.traits import KIND_NAMES
from api.pages.forms import Entry, Options, Select, with_any, workload_of, workload_options
from api.pages.readings import readings
from api.pages.responses import breadcrumbs, html
from api.pages.wording import PRICE_KINDS, VENDORS, dollars
from estimator.advice.amounts import pace
from estimator.judgement.buying import Part, Terms
from estimator.judgement.needs import Needs, needs_of
from estimator.judgement.purchases import Purchase, Rental

#: Rows of each list.
ROWS = 10
_KEPT = 32
_USED: Options = (("yes", "Used is fine"), ("no", "New only"))
Key: TypeAlias = tuple[tuple[str, ...], Needs, Terms, Wanted]


class Kept(Recent[Key, answers.Answer]):
    """The answers of a view that were asked for last; made by ``view.derived(Kept)``."""

    def __init__(self, view: CatalogView) -> None:
        super().__init__(_KEPT)


async def buy_page(request: Request, reads: FitReads, base_url: str) -> Response:
    values = await search(_values, reads.view, Asked(request))
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Buy", "/buy"))
    return html("choices/buy.html", values, base_url, "/buy")


def _values(view: CatalogView, asked: Asked) -> dict[str, Any]:
    text = asked.text("model")
    meaning = view.meaning("model", text) if text else None
    model = None if meaning is None else view.model(meaning.slug)
    workload = workload_of(asked, view)
    needs = needs_of(
        workload.spec,
        decode_tok_s=asked.number("tok_s", 0.1, 10_000),
        context_tokens=asked.whole("context", 1024, 2_000_000),
        users=asked.whole("users", 1, 10_000),
    )
    vendor = asked.choice("vendor", {"": None, **{name: name for name in VENDORS}}, "")
    kind = asked.choice("kind", {"": None, **{kind.value: kind for kind in ModelKind}}, "") if model is None else None
    terms = replace(
        answers.terms_of(view.catalog),
        budget_usd=asked.number("budget", 50, 10_000_000),
        used=asked.choice("used", {"yes": True, "no": False}, "yes"),
        vendors=None if vendor is None else frozenset((vendor,)),
        hours_a_month=asked.number("hours", 1, 744),
    )
    values: dict[str, Any] = {
        "fields": [
            Entry("budget", "Budget, US dollars", asked.text("budget"), "2,500", numeric=True),
            Select("workload", "For", workload_options(view), workload.slug),
            Entry("model", "Model", text, "the best one"),
            Select("kind", "Kind of the best one", with_any(KIND_NAMES.items()), kind or ""),
            Entry("users", "People", asked.text("users"), "1", numeric=True),
            Entry("tok_s", "At least, tok/s", asked.text("tok_s"), f"{needs.workload.minimum_decode_tok_s:g}", numeric=True),
            Entry("context", "Context, tokens", asked.text("context"), f"{workload.spec.context_tokens:,}", numeric=True),
            Select("used", "Condition", _USED, asked.text("used", "yes")),
            Select("vendor", "Maker of the chip", with_any(VENDORS.items()), vendor or ""),
            Entry("hours", "Rent, hours a month", asked.text("hours"), "do not rent", numeric=True),
        ],
        "asked": terms.budget_usd is not None or model is not None or needs.users > 1,
        "today": terms.today,
        "notes": [] if meaning is None else readings(view, "model", meaning, lambda slug: asked.address(model=slug)),
    }  # fmt: skip
    if not values["asked"]:
        return values
    models, wanted = () if model is None else (model.slug,), Wanted(kind=kind)
    kept, key = view.derived(Kept), (models, needs, terms, wanted)
    answer = kept.get(key)
    if answer is None:
        answer = answers.purchases(view.derived(answers.Judges.of_view), models, needs, terms, wanted=wanted)
        kept.keep(key, answer)
    return values | _lists(answer)


def _lists(answer: answers.Answer) -> dict[str, Any]:
    purchases, workload = answer.purchases, answer.needs.workload
    return {
        "need": f"{answer.sought}: {workload.name}, at least {workload.minimum_decode_tok_s:g} tok/s, the first token within "
        f"{workload.usable_ttft_ms / 1000:g} s, {workload.context_tokens:,} tokens of context",
        "streams": purchases.streams if answer.needs.users > 1 else 0,
        "users": answer.needs.users,
        "meeting": [_row(answer, purchase) for purchase in purchases.meeting[:ROWS]],
        "left": answers.why_budget_is_left(answer),
        "near": [
            {**_row(answer, purchase), "why": "; ".join(answers.why_missed(purchase))}
            for purchase in purchases.near[:ROWS]
        ],
        "unpriced": [
            {**_row(answer, purchase), "why": "; ".join(answers.why_unpriced(purchase.offer))}
            for purchase in purchases.unpriced[:ROWS]
        ],
        "rentals": [_rental(answer, rental) for rental in purchases.rentals[:ROWS]],
        "not_estimated": [computer.name for computer in answer.not_estimated],
    }


def _row(answer: answers.Answer, purchase: Purchase) -> dict[str, Any]:
    offer, setup = purchase.offer, purchase.setup
    subject = answer.subjects[setup.subject]
    chosen = urlencode({"quant": setup.quant.slug, "workload": answer.needs.workload.slug})
    gpu = offer.ware.accelerator.slug
    # The page of a pairing is of one accelerator; of several, the page of the machine.
    href = f"/can/{pair_slug(subject.slug, gpu)}?{chosen}"
    return {
        "name": offer.name,
        "href": href if offer.count == 1 else f"/here?{urlencode({'gpu': gpu, 'count': offer.count})}",
        "price": dollars(offer.usd),
        "parts": _parts(offer.parts),
        "model": subject.name,
        "model_slug": subject.slug,
        "quant": setup.quant.name,
        "thinks": setup.thinks,
        "worth": f"{setup.worth:.1f}",
        "decode": pace(setup.decode_tok_s),
        "ttft": seconds_text(setup.ttft_ms / 1000),
        "answer": seconds_text(setup.answer_s),
        "offloads": setup.offloads,
        "cautions": offer.cautions,
    }


def _parts(parts: Sequence[Part]) -> list[tuple[str, str]]:
    """The price of each part, and the kind and the date of it; the purchase's name names them in this order."""
    prices = []
    for part in parts:
        count = "" if part.count == 1 else f"{part.count} x "
        if part.price is None:
            prices.append(("unknown", ""))
        else:
            kind, date = PRICE_KINDS[part.price.kind], part.price.date or "undated"
            prices.append((f"{count}{dollars(part.price.usd)}", f"{kind}, {date}"))
    return prices


def _rental(answer: answers.Answer, rental: Rental) -> dict[str, Any]:
    offer, months = rental.purchase.offer, rental.months
    after = "never" if months is None else f"{months:.0f} months" if months < 36 else f"{months / 12:.0f} years"
    return {
        **_row(answer, rental.purchase),
        "hour": "–" if offer.usd_an_hour is None else f"${offer.usd_an_hour:,.2f}",
        "month": dollars(rental.usd_a_month),
        "after": "" if rental.beside is None else after,
    }
