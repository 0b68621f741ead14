"""The page of an accelerator: its facts and prices, and every model that can be used on it, in tiers."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.answers.choices.models import ModelKind, Wanted
from api.answers.choices.rankings import tiers
from api.answers.choices.recommendations import Choice, Question, Recommendations, recommendations
from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.records import GpuRecord
from api.catalog.view import CatalogView
from api.errors import ApiError
from api.pages.asked import Asked
from api.pages.catalog.traits import KIND_NAMES
from api.pages.forms import SIZES, Options, Select, mode_options, pager, with_any, workload_of, workload_options
from api.pages.plots import Plot, axis
from api.pages.readings import TYPED, of_typed, typed
from api.pages.responses import COMMON, breadcrumbs, html
from api.pages.wording import GPU_KINDS, PRICE_KINDS, VENDORS, billions, dollars, memory_gib
from estimator.advice.amounts import duration, pace
from estimator.judgement import recommend
from estimator.judgement.choice import TIERS
from estimator.judgement.market import Price
from estimator.judgement.recommend import Aim
from estimator.types import OperatingMode

PAGE_ROWS = 50
_ORDERS: Options = ((Aim.SCORE.value, "Rating"), ("worth", "Capability"), (Aim.FASTEST.value, "Fastest"))
_NAMED = 14


async def gpu_page(request: Request, reads: FitReads, base_url: str) -> Response:
    view, asked = reads.view, Asked(request)
    gpu = view.gpu(request.path_params["gpu"])
    path = f"/gpu/{gpu.slug}"
    path_name = request.path_params["gpu"]
    if path_name != gpu.slug:
        address = asked.address_at(path, **{TYPED: typed([view.meaning("gpu", path_name)])})
        return RedirectResponse(address, 303, headers=dict(COMMON))
    question = _question(view, asked)
    models: Recommendations | None = None
    problem = ""
    try:
        models = await recommendations(reads, None, gpu, question)
    except ApiError as error:
        problem = error.message
    values = await asyncio.to_thread(_values, view, asked, gpu, models, question)
    notes = of_typed(view, asked.text(TYPED), "gpu", gpu.slug, lambda slug: f"/gpu/{slug}")
    values |= {"problem": problem, "path": path, "notes": notes, "image": f"/preview{path}.png"}
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Accelerators", "/gpus"), (gpu.name, path))
    return html("catalog/gpu.html", values, base_url, path)


def _question(view: CatalogView, asked: Asked) -> Question:
    kind = asked.choice("kind", {"": None, **{kind.value: kind for kind in ModelKind}}, "")
    order = asked.choice("order", {name: name for name, _ in _ORDERS}, Aim.SCORE.value)
    return Question(
        workload=workload_of(asked, view).spec.kind,
        aim=Aim.FASTEST if order == Aim.FASTEST.value else Aim.SCORE,
        mode=asked.choice("mode", {mode.value: mode for mode in OperatingMode}, OperatingMode.BALANCED.value),
        buyer=recommend.Buyer(),
        target=recommend.Target(),
        wanted=Wanted(kind=kind),
    )


def _values(
    view: CatalogView, asked: Asked, gpu: GpuRecord, models: Recommendations | None, question: Question
) -> dict[str, Any]:
    most, order = asked.number("size", 0, 1e6), asked.text("order", Aim.SCORE.value)
    listed = [] if models is None else [
        choice for choice in models.choices if most is None or (choice.side.entry["params_total_b"] or 0) <= most
    ]  # fmt: skip
    workload = view.workload_of(question.workload)
    rows = [] if models is None else [_row(view, models, choice, workload.slug) for choice in listed]
    if order == "worth":
        rows.sort(key=lambda row: -row["worth"])
    letters = {} if models is None else {
        choice.slug: letter for letter, choices in tiers(models).items() for choice in choices
    }  # fmt: skip
    page = pager(asked, len(rows), PAGE_ROWS)
    page_rows = [{**row, "tier": letters[row["slug"]]} for row in rows[page.start : page.stop]]
    counts = {letter: sum(letters[row["slug"]] == letter for row in rows) for letter, _ in TIERS}
    return {
        **_facts(view, gpu),
        "fields": [
            Select("workload", "Workload", workload_options(view), workload.slug),
            Select("mode", "Mode", mode_options(), question.mode.value),
            Select("kind", "Kind", with_any(KIND_NAMES.items()), asked.text("kind")),
            Select("size", "Size", with_any(SIZES), asked.text("size")),
            Select("order", "Order", _ORDERS, order),
        ],
        "workload_name": workload.name,
        "count": len(rows),
        "of": len(view.models),
        "page": page,
        "tiers": [(letter, counts[letter], _below(ends)) for letter, ends in TIERS],
        "rows": page_rows,
        "plot": _plot(gpu, rows, workload.name),
    }


def _below(points: float) -> str:
    return "the rest" if points == float("inf") else f"within {points:g} points of the best"


def _facts(view: CatalogView, gpu: GpuRecord) -> dict[str, Any]:
    entry, device = gpu.entry, gpu.accelerator
    flops = device.matrix_flops
    host = view.host_of(gpu)
    newest = sorted(view.price_list(gpu.slug), key=lambda price: price.date or "", reverse=True)
    return {
        "name": gpu.name,
        "slug": gpu.slug,
        "vendor": VENDORS.get(entry["vendor"], entry["vendor"]),
        "kind": GPU_KINDS.get(entry["kind"], entry["kind"]),
        "architecture": entry["architecture"],
        "facts": [
            ("Memory", memory_gib(entry["memory_gb"]), entry["memory_type"] or ""),
            ("Bandwidth", _figure(entry["bandwidth_gbps"], "GB/s"), ""),
            ("Compute", _figure(None if flops is None else flops / 1e12, "TFLOPS"), "FP16, dense"),
            ("Power", _figure(entry["tdp_w"], "W"), "by design" if entry["tdp_w"] else ""),
            ("Assumed host", host.name if device.has_own_memory else "the same computer", ""),
        ],
        "prices": [_price(price) for price in newest if not price.suspect][:5],
    }


def _price(price: Price) -> tuple[str, str, str, str]:
    """Kind, amount, date and configuration of a price."""
    usd = f"${price.usd:,.2f}" if price.usd < 100 else dollars(price.usd)
    return PRICE_KINDS[price.kind], usd, price.date or "undated", price.configuration


def _figure(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:,.0f} {unit}" if value >= 10 else f"{value:,.1f} {unit}"


def _row(view: CatalogView, models: Recommendations, choice: Choice, workload: str) -> dict[str, Any]:
    judgement, model, quant = models.judgement(choice), choice.side, view.quant_by_id[choice.key.quant_id]
    gpu = view.gpu_by_id[choice.key.gpu_id]
    return {
        "slug": model.slug,
        "name": model.name,
        "size": billions(model.entry["params_total_b"]),
        "href": f"/can/{pair_slug(model.slug, gpu.slug)}?{urlencode({'quant': quant.slug, 'workload': workload})}",
        "quant": quant.spec.name,
        "decode": pace(judgement.decode_tok_s),
        "ttft": "–" if judgement.ttft_ms is None else duration(judgement.ttft_ms),
        "answer": duration(judgement.answer_s * 1000),
        "seconds": judgement.answer_s,
        "thinks": judgement.thinks,
        "where": "" if models.is_whole(choice) else "offloads",
        "worth": judgement.worth.value,
        "range": f"{judgement.worth.low:.0f}–{judgement.worth.high:.0f}",
        "frontier": judgement.on_frontier,
        "reason": judgement.reason,
    }


def _plot(gpu: GpuRecord, rows: list[dict[str, Any]], workload: str) -> Markup | str:
    """Worth of each model against the time of its answer; empty for fewer than three models."""
    if len(rows) < 3:
        return ""
    plot = Plot(
        axis("seconds to a whole answer", [row["seconds"] for row in rows], log=True),
        axis("worth, points", [row["worth"] for row in rows]),
        f"Worth of each model on {gpu.name} for {workload} against the time of a whole answer; the frontier is what no "
        "other setup beats in both.",
    )
    best = sorted((row for row in rows if row["frontier"]), key=lambda row: row["seconds"])
    plot.dots((row["seconds"], row["worth"]) for row in rows if not row["frontier"])
    plot.steps([(row["seconds"], row["worth"]) for row in best])
    plot.dots(((row["seconds"], row["worth"]) for row in best), "top", 4)
    plot.names(
        [((row["seconds"], row["worth"]), row["name"]) for row in sorted(best, key=lambda row: -row["worth"])][:_NAMED]
    )
    return plot.svg()
