"""The page of a model: its facts, its capability, and every machine that it can be used on."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias
from urllib.parse import urlencode

import numpy as np
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.answers.choices.models import Wanted
from api.answers.choices.prices import prices_of
from api.answers.choices.recommendations import Choice, Question, Recommendations, recommendations
from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.records import ModelRecord
from api.catalog.view import CatalogView
from api.errors import ApiError
from api.pages.asked import Asked
from api.pages.catalog.traits import ABILITY_NAMES, Abilities
from api.pages.forms import (
    MEMORIES,
    Entry,
    Options,
    Select,
    mode_options,
    pager,
    with_any,
    workload_of,
    workload_options,
)
from api.pages.plots import Plot, axis
from api.pages.readings import TYPED, of_typed, typed
from api.pages.responses import COMMON, breadcrumbs, html
from api.pages.wording import GPU_KINDS, RELEASE_NOTES, VENDORS, billions, context_tokens, dollars, memory_gib
from estimator.advice.amounts import duration, pace
from estimator.judgement import recommend
from estimator.judgement.choice import frontier
from estimator.judgement.recommend import Aim
from estimator.types import OperatingMode

PAGE_ROWS = 50
_ORDERS: Options = (
    ("score", "Rating"), ("fastest", "Fastest"), ("cheapest", "Price of today"), ("efficient", "Speed per watt"),
)  # fmt: skip
#: Names on a plot at most.
_NAMED = 14
#: Price of today in US dollars, rating, and the machine that has them.
Point: TypeAlias = tuple[float, float, Choice]


async def model_page(request: Request, reads: FitReads, base_url: str) -> Response:
    view, asked = reads.view, Asked(request)
    model = view.model(request.path_params["model"])
    path = f"/model/{model.slug}"
    path_name = request.path_params["model"]
    if path_name != model.slug:
        address = asked.address_at(path, **{TYPED: typed([view.meaning("model", path_name)])})
        return RedirectResponse(address, 303, headers=dict(COMMON))
    question = _question(view, asked)
    machines: Recommendations | None = None
    problem = ""
    try:
        machines = await recommendations(reads, model, None, question)
    except ApiError as error:
        problem = error.message
    values = await asyncio.to_thread(_values, view, asked, model, machines, question)
    notes = of_typed(view, asked.text(TYPED), "model", model.slug, lambda slug: f"/model/{slug}")
    values |= {"problem": problem, "path": path, "notes": notes, "image": f"/preview{path}.png"}
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Models", "/models"), (model.name, path))
    return html("catalog/model.html", values, base_url, path)


def _question(view: CatalogView, asked: Asked) -> Question:
    vendor = asked.choice("vendor", {"": None, **{name: name for name in VENDORS}}, "")
    return Question(
        workload=workload_of(asked, view).spec.kind,
        aim=asked.choice("order", {aim.value: aim for aim in Aim}, Aim.SCORE.value),
        mode=asked.choice("mode", {mode.value: mode for mode in OperatingMode}, OperatingMode.BALANCED.value),
        buyer=recommend.Buyer(vendors=None if vendor is None else frozenset((vendor,))),
        target=recommend.Target(),
        wanted=Wanted(),
    )


def _values(
    view: CatalogView, asked: Asked, model: ModelRecord, machines: Recommendations | None, question: Question
) -> dict[str, Any]:
    kind, least, most = asked.text("kind"), asked.number("memory", 0, 1e6), asked.number("price", 0, 1e9)
    prices = view.derived(prices_of)
    choices = [
        choice
        for choice in (() if machines is None else machines.choices)
        if kind in ("", choice.side.entry["kind"])
        and (least is None or (choice.side.entry["memory_gb"] or 0) >= least)
        and (most is None or (prices[choice.slug] or 1e12) <= most)
    ]
    page = pager(asked, len(choices), PAGE_ROWS)
    workload = view.workload_of(question.workload)
    leading = [] if machines is None else _frontier(machines, choices, prices)
    edge = {choice.slug for _, _, choice in leading}
    return {
        **_facts(view, model),
        "fields": [
            Select("workload", "Workload", workload_options(view), workload.slug),
            Select("mode", "Mode", mode_options(), question.mode.value),
            Select("vendor", "Vendor", with_any(VENDORS.items()), asked.text("vendor")),
            Select("kind", "Kind", with_any(GPU_KINDS.items()), kind),
            Select("memory", "Memory", with_any(MEMORIES), asked.text("memory")),
            Entry("price", "Price up to, $", asked.text("price"), "any", numeric=True),
            Select("order", "Order", _ORDERS, question.aim.value),
        ],
        "workload_name": workload.name,
        "count": len(choices),
        "of": len(view.gpus),
        "page": page,
        "rows": [] if machines is None else [
            {**_row(view, machines, choice, workload.slug), "frontier": choice.slug in edge}
            for choice in choices[page.start : page.stop]
        ],
        "plot": "" if machines is None else _plot(_priced(machines, choices, prices), leading, model),
        "leading": [(_href(view, choice, workload.slug), choice.side.name, dollars(price), f"{rating:.1f}")
                    for price, rating, choice in leading],
    }  # fmt: skip


def _facts(view: CatalogView, model: ModelRecord) -> dict[str, Any]:
    entry = model.entry
    abilities = view.derived(Abilities)
    able, active = abilities.of(model.slug), abilities.traits[model.slug].active_b
    facts = [
        (
            "Weights",
            billions(entry["params_total_b"]),
            f"{billions(active)} active a token" if entry["moe"] else "dense",
        ),
        ("Context", context_tokens(entry["context_length"]), "tokens at most"),
        ("Layers", str(entry["n_layers"] or "–"), f"{entry['hidden_size']:,} wide" if entry["hidden_size"] else ""),
        ("Released", entry["release_date"] or "–", RELEASE_NOTES.get(entry["release_date_kind"], "")),
        ("Licence", entry["license"] or "–", ""),
    ]
    return {
        "name": model.name,
        "slug": model.slug,
        "publisher": entry["publisher"],
        "family": entry["family"],
        "repository": entry["hf_repo"] or "",
        "facts": facts,
        "abilities": [(name, able[kind], round(able[kind].value)) for kind, name in ABILITY_NAMES.items()],
    }


def _row(view: CatalogView, machines: Recommendations, choice: Choice, workload: str) -> dict[str, Any]:
    judgement, gpu, quant = machines.judgement(choice), choice.side, view.quant_by_id[choice.key.quant_id]
    return {
        "name": gpu.name,
        "slug": gpu.slug,
        "kind": GPU_KINDS.get(gpu.entry["kind"], gpu.entry["kind"]),
        "href": _href(view, choice, workload),
        "memory": memory_gib(gpu.entry["memory_gb"]),
        "quant": quant.spec.name,
        "decode": pace(judgement.decode_tok_s),
        "ttft": "–" if judgement.ttft_ms is None else duration(judgement.ttft_ms),
        "answer": duration(judgement.answer_s * 1000),
        "where": "" if machines.is_whole(choice) else "offloads",
        "worth": f"{judgement.worth.value:.1f}",
        "thinks": judgement.thinks,
        "price": dollars(view.derived(prices_of)[gpu.slug]),
    }


def _href(view: CatalogView, choice: Choice, workload: str) -> str:
    """Address of the page of an entry."""
    model, quant = view.model_by_id[choice.key.model_id], view.quant_by_id[choice.key.quant_id]
    return f"/can/{pair_slug(model.slug, choice.slug)}?{urlencode({'quant': quant.slug, 'workload': workload})}"


def _frontier(machines: Recommendations, choices: list[Choice], prices: dict[str, float | None]) -> list[Point]:
    """Machines that no cheaper one equals in rating, by price of today."""
    known = _priced(machines, choices, prices)
    usd, ratings = (np.array([point[at] for point in known], np.float64) for at in (0, 1))
    leading = [point for point, flag in zip(known, frontier(ratings, usd), strict=True) if flag]
    return sorted(leading, key=lambda point: point[:2])


def _priced(machines: Recommendations, choices: list[Choice], prices: dict[str, float | None]) -> list[Point]:
    return [
        (price, machines.rating(choice), choice) for choice in choices if (price := prices[choice.slug]) is not None
    ]


def _plot(points: list[Point], leading: list[Point], model: ModelRecord) -> Markup | str:
    """Rating of each machine against its price of today; empty for fewer than three prices."""
    if len(points) < 3:
        return ""
    plot = Plot(
        axis("price of today, US dollars", (price for price, _, _ in points), log=True, unit="$"),
        axis("rating", (rating for _, rating, _ in points)),
        f"Rating of {model.name} against the price of each machine; the frontier is what no cheaper machine equals.",
    )
    edge = {choice.slug for _, _, choice in leading}
    plot.dots((price, rating) for price, rating, choice in points if choice.slug not in edge)
    plot.steps([(price, rating) for price, rating, _ in leading])
    plot.dots(((price, rating) for price, rating, _ in leading), "top", 4)
    plot.names([((price, rating), _short(choice.side.name)) for price, rating, choice in leading][:_NAMED])
    return plot.svg()


def _short(name: str) -> str:
    """A name of an accelerator without what every one of its line says."""
    for word in ("GeForce ", "Radeon ", "NVIDIA ", "AMD ", "Apple ", "Intel ", "-core GPU"):
        name = name.replace(word, "")
    return name if len(name) <= 24 else f"{name[:23]}…"
