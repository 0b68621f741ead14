"""The lists of all models and of all accelerators: search, facets, order, pages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.answers.choices.models import kinds_of
from api.answers.choices.prices import prices_of
from api.catalog.fit_reads import FitReads
from api.catalog.records import GpuRecord, ModelRecord
from api.catalog.search import relevance
from api.catalog.view import CatalogView
from api.pages.asked import Asked
from api.pages.catalog.traits import KIND_NAMES, Abilities
from api.pages.forms import MEMORIES, SIZES, Entry, Options, Select, pager, with_any
from api.pages.responses import breadcrumbs, html
from api.pages.wording import GPU_KINDS, RELEASE_NOTES, VENDORS, billions, context_length, dollars, memory_gib

#: Rows of a page.
PAGE_ROWS = 60
#: Upper bounds of the facet of size, 10^9 weights.
_MODEL_ORDERS: Options = (
    ("able", "Capability"),
    ("new", "Newest"),
    ("large", "Largest"),
    ("small", "Smallest"),
    ("name", "Name"),
)
_GPU_ORDERS: Options = (
    ("memory", "Memory"), ("bandwidth", "Bandwidth"), ("price", "Price"), ("new", "Newest"), ("name", "Name"),
)  # fmt: skip


async def models_page(request: Request, reads: FitReads, base_url: str) -> Response:
    values = await asyncio.to_thread(_models, reads.view, Asked(request))
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Models", "/models"))
    return html("catalog/models.html", values, base_url, "/models")


async def gpus_page(request: Request, reads: FitReads, base_url: str) -> Response:
    values = await asyncio.to_thread(_gpus, reads.view, Asked(request))
    values["structured_data"] = breadcrumbs(base_url, ("fitgraph", "/"), ("Accelerators", "/gpus"))
    return html("catalog/gpus.html", values, base_url, "/gpus")


def _models(view: CatalogView, asked: Asked) -> dict[str, Any]:
    abilities = view.derived(Abilities)
    text, most = asked.text("q"), asked.number("size", 0, 1e6)
    publisher, license_, family = asked.text("publisher"), asked.text("license"), asked.text("family")
    kind = asked.choice("kind", {"": None, **{name: name for name in KIND_NAMES}}, "")
    ability = asked.choice("ability", {name: name for name, _ in abilities.options}, "coding")
    order = asked.choice("order", {name: name for name, _ in _MODEL_ORDERS}, "able")
    rows = [
        model
        for model in _searched(view.models, text)
        if publisher in ("", model.entry["publisher"])
        and license_ in ("", model.entry["license"])
        and family in ("", model.entry["family"])
        and (most is None or (model.entry["params_total_b"] or 0) <= most)
        and (kind is None or kind in kinds_of(model.entry, abilities.traits[model.slug]))
    ]
    if not text or "order" in asked.names:
        rows = sorted(rows, key=_model_key(order, abilities, ability))
    page = pager(asked, len(rows), PAGE_ROWS)
    fields = [
        Select("kind", "Kind", with_any(KIND_NAMES.items()), kind or ""),
        Select("size", "Size", with_any(SIZES), asked.text("size")),
        Select("publisher", "Publisher", _facet(view.models, "publisher"), publisher),
        Select("license", "Licence", _facet(view.models, "license"), license_),
        Select("ability", "Capability in", abilities.options, ability),
        Select("order", "Order", _MODEL_ORDERS, order),
    ]
    return {
        "search": Entry("q", "Search", text, "qwen coder"),
        "fields": fields,
        "family": family,
        "count": len(rows),
        "page": page,
        "ability": dict(abilities.options)[ability],
        "rows": [_model_row(model, abilities, ability) for model in rows[page.start : page.stop]],
    }


def _model_row(model: ModelRecord, abilities: Abilities, ability: str) -> dict[str, Any]:
    entry, able, traits = model.entry, abilities.of(model.slug)[ability], abilities.traits[model.slug]
    return {
        "slug": model.slug,
        "name": model.name,
        "publisher": entry["publisher"],
        "size": billions(entry["params_total_b"]),
        "active": billions(traits.active_b) if entry["moe"] else "",
        "context": context_length(entry),
        "released": (entry["release_date"] or "–")[:7] + ("~" if entry["release_date_kind"] in RELEASE_NOTES else ""),
        "license": entry["license"] or "–",
        "able": able,
        "bar": round(able.value),
    }


def _model_key(order: str, abilities: Abilities, ability: str) -> Callable[[ModelRecord], Any]:
    keys: dict[str, Callable[[ModelRecord], Any]] = {
        "able": lambda model: -abilities.of(model.slug)[ability].value,
        "new": lambda model: _descending(model.entry["release_date"]),
        "large": lambda model: -(model.entry["params_total_b"] or 0),
        "small": lambda model: model.entry["params_total_b"] or 1e9,
        "name": lambda model: model.name.casefold(),
    }
    return lambda model: (keys[order](model), model.name.casefold())


def _gpus(view: CatalogView, asked: Asked) -> dict[str, Any]:
    prices = view.derived(prices_of)
    text, least, most = asked.text("q"), asked.number("memory", 0, 1e6), asked.number("price", 0, 1e9)
    vendor, kind = asked.text("vendor"), asked.text("kind")
    order = asked.choice("order", {name: name for name, _ in _GPU_ORDERS}, "memory")
    rows = [
        gpu
        for gpu in _searched(view.gpus, text)
        if vendor in ("", gpu.entry["vendor"])
        and kind in ("", gpu.entry["kind"])
        and (least is None or (gpu.entry["memory_gb"] or 0) >= least)
        and (most is None or (prices[gpu.slug] or 1e12) <= most)
    ]
    if not text or "order" in asked.names:
        rows = sorted(rows, key=_gpu_key(order, prices))
    page = pager(asked, len(rows), PAGE_ROWS)
    fields = [
        Select("vendor", "Vendor", _facet(view.gpus, "vendor", VENDORS), vendor),
        Select("kind", "Kind", _facet(view.gpus, "kind", GPU_KINDS), kind),
        Select("memory", "Memory", with_any(MEMORIES), asked.text("memory")),
        Entry("price", "Price up to, $", asked.text("price"), "any", numeric=True),
        Select("order", "Order", _GPU_ORDERS, order),
    ]
    return {
        "search": Entry("q", "Search", text, "rtx 4090"),
        "fields": fields,
        "count": len(rows),
        "page": page,
        "today": view.today,
        "rows": [_gpu_row(gpu, prices[gpu.slug]) for gpu in rows[page.start : page.stop]],
    }


def _gpu_row(gpu: GpuRecord, price: float | None) -> dict[str, Any]:
    entry = gpu.entry
    flops = gpu.accelerator.matrix_flops
    return {
        "slug": gpu.slug,
        "name": gpu.name,
        "kind": GPU_KINDS.get(entry["kind"], entry["kind"]),
        "memory": memory_gib(entry["memory_gb"]),
        "bandwidth": "–" if entry["bandwidth_gbps"] is None else f"{entry['bandwidth_gbps']:,.0f}",
        "compute": "–" if flops is None else f"{flops / 1e12:,.0f}" if flops >= 1e13 else f"{flops / 1e12:,.1f}",
        "power": "–" if entry["tdp_w"] is None else f"{entry['tdp_w']:,.0f}",
        "price": dollars(price),
        "launch": dollars(entry["msrp_usd"]),
        "year": entry["generation_year"] or "–",
    }


def _gpu_key(order: str, prices: dict[str, float | None]) -> Callable[[GpuRecord], Any]:
    keys: dict[str, Callable[[GpuRecord], Any]] = {
        "memory": lambda gpu: -(gpu.entry["memory_gb"] or 0),
        "bandwidth": lambda gpu: -(gpu.entry["bandwidth_gbps"] or 0),
        "price": lambda gpu: prices[gpu.slug] or 1e12,
        "new": lambda gpu: _descending(gpu.entry["release_date"] or str(gpu.entry["generation_year"] or "")),
        "name": lambda gpu: gpu.name.casefold(),
    }
    return lambda gpu: (keys[order](gpu), -(gpu.entry["bandwidth_gbps"] or 0), gpu.name.casefold())


def _descending(date: str | None) -> tuple[int, ...]:
    """A key that puts later dates first, and undated ones last."""
    return tuple(-ord(letter) for letter in date or "")


def _searched(records: Sequence[Any], text: str) -> list[Any]:
    """Records whose names have all words of a text, best first; all of them for none."""
    if not text:
        return list(records)
    scores = [(relevance(text, [record.name, record.slug, *record.aliases]), record) for record in records]
    return [record for score, record in sorted(scores, key=lambda pair: (-pair[0], pair[1].slug)) if score > 0]


def _facet(records: Sequence[Any], key: str, names: dict[str, str] | None = None) -> Options:
    """Values of a fact with their counts, the most frequent first."""
    counts = Counter(str(record.entry[key]) for record in records if record.entry[key])
    texts = names or {}
    return with_any((value, f"{texts.get(value, value)} ({count})") for value, count in counts.most_common())
