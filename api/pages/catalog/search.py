"""The search: the page that a question in one's own words leads to, or what it may mean."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.answers.meant import Meant, half_meant, meant, near
from api.answers.story import pair_slug
from api.answers.wishes import Wish, wish_of
from api.catalog.fit_reads import FitReads
from api.catalog.search import relevance
from api.catalog.view import CatalogView
from api.pages.asked import Asked
from api.pages.catalog.traits import KIND_NAMES, Abilities
from api.pages.readings import TYPED, typed
from api.pages.responses import COMMON, html
from api.pages.wording import billions
from db.entries.names.meanings import Meaning
from estimator.calibration.scale import KIND_OF_WORKLOAD
from estimator.types import WorkloadKind

#: How far the weights of a model may be from a size that is asked for.
_ABOUT = 0.1
_MOST = 12
Group: TypeAlias = tuple[str, list[tuple[str, str, str]]]


async def search_page(request: Request, reads: FitReads, base_url: str) -> Response:
    """The way to what a text asks for, or the entities that it may mean."""
    text = Asked(request).text("q")
    if not text:
        return RedirectResponse("/", 303, headers=dict(COMMON))
    wish, named = await asyncio.to_thread(_read, reads.view, text)
    half = await asyncio.to_thread(_half, reads.view, text, wish, named)
    if half is not None:
        return html("catalog/search.html", half, base_url, "/search")
    path = _page_of(wish, named)
    if path:
        names = typed([named.gpu, named.model])
        path += f"{'&' if '?' in path else '?'}{urlencode({TYPED: names})}" if names else ""
        return RedirectResponse(path, 303, headers=dict(COMMON))
    values = await asyncio.to_thread(_choices, reads.view, text, wish, named.gpu)
    return html("catalog/search.html", values, base_url, "/search", 200 if values["found"] else 404)


def _read(view: CatalogView, text: str) -> tuple[Wish, Meant]:
    named = meant(view, text)
    if named.names_something and named.is_plain:
        return Wish(text), named
    wish = wish_of(text, lambda part: _is_name(view, part))
    return wish, meant(view, wish.names) if wish.names else Meant()


def _is_name(view: CatalogView, text: str) -> bool:
    """Whether a text has names alone: beside a machine, a number of weights is a condition."""
    named = meant(view, text)
    return named.model is not None or (named.gpu is not None and wish_of(text, lambda _: False).size_b is None)


def _page_of(wish: Wish, named: Meant) -> str:
    """Address of the page of what is asked for; empty where a model is still to be chosen, or nothing is named."""
    model, gpu = named.model, named.gpu
    if wish.size_b is not None and model is None:
        return ""
    if gpu is None and (wish.budget_usd is not None or wish.people is not None or wish.decode_tok_s is not None):
        return _bought_or_served(wish, None if model is None else model.slug)
    use = "" if wish.use is None else wish.use.value
    if model is not None and gpu is not None:
        if wish.people is None and (gpu.count or 1) == 1:
            return _address(f"/can/{pair_slug(model.slug, gpu.slug)}", quant=model.quant, workload=use)
        # The page of a pairing is of one accelerator: several are asked about as a server, of one person too.
        serve_keys = {"model": model.slug, "gpu": gpu.slug, "count": gpu.count, "people": wish.people or 1}
        return _address("/serve", **serve_keys, workload=use)
    if gpu is not None and ((gpu.count or 1) > 1 or not wish.is_plain):
        return _address("/here", gpu=gpu.slug if (gpu.count or 1) == 1 else f"{gpu.count}x {gpu.slug}", workload=use)
    if model is not None:
        return _address(f"/model/{quote(model.slug, safe='')}", workload=use)
    return "" if gpu is None else f"/gpu/{quote(gpu.slug, safe='')}"


def _bought_or_served(wish: Wish, model: str | None) -> str:
    """Address of the page of purchases; of people in front of a model without a budget, that of servers."""
    use = "" if wish.use is None else wish.use.value
    if model is not None and wish.people is not None and wish.budget_usd is None:
        return _address("/serve", model=model, people=wish.people, workload=use)
    return _address(
        "/buy", model=model, budget=wish.budget_usd, users=wish.people, tok_s=wish.decode_tok_s,
        context=wish.context_tokens, workload=use, kind=None if model is not None else wish.best_of,
    )  # fmt: skip


def _address(path: str, **values: str | float | None) -> str:
    kept = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
        if value is not None
    }
    query = urlencode({name: value for name, value in kept.items() if value != ""})
    return f"{path}?{query}" if query else path


def _choices(view: CatalogView, text: str, wish: Wish, gpu: Meaning | None) -> dict[str, Any]:
    groups = _entities(view, wish.names or text) if wish.size_b is None else _sized(view, wish, wish.size_b, gpu)
    is_known = any(rows for _, rows in groups)
    title = f"“{text}” may mean" if is_known else f"Nothing is called “{text}”"
    return {"query": text, "title": title, "groups": groups, "found": is_known}


def _half(view: CatalogView, text: str, wish: Wish, named: Meant) -> dict[str, Any] | None:
    """What a text may mean that names a model on a machine, of which one is not known; None for another text."""
    half = half_meant(view, text)
    if half is None or named.names_both:
        return None
    if half[0].model is None and not (wish.is_plain and wish.size_b is None):
        return None
    known, other = half
    listed = near(view, other)
    if known.model is not None:
        kind, name = "accelerator", view.model(known.model.slug).name
        pairs = [(view.gpu(slug).name, Meant(known.model, Meaning(slug))) for slug in listed.gpus]
    else:
        assert known.gpu is not None
        kind, name = "model", view.gpu(known.gpu.slug).name
        pairs = [(view.model(slug).name, Meant(Meaning(slug), known.gpu)) for slug in listed.models]
    # A machine without a model near the text is a question about its use.
    if not pairs and (named.names_something or known.model is None):
        return None
    plain = Wish(text)
    groups: list[Group] = [
        (f"With {name}", [(other_name, _page_of(plain, pair), "") for other_name, pair in pairs]),
        (f"{name} alone", [(name, _page_of(plain, known), "")]),
    ]
    return {"query": text, "title": f"No {kind} is called “{other}”", "groups": groups, "found": True}


def _entities(view: CatalogView, text: str) -> list[Group]:
    listed = near(view, text)
    models, gpus = [view.model(slug) for slug in listed.models], [view.gpu(slug) for slug in listed.gpus]
    return [
        ("Models", [(model.name, f"/model/{model.slug}", model.entry["publisher"]) for model in models]),
        ("Accelerators", [(gpu.name, f"/gpu/{gpu.slug}", gpu.entry["kind"]) for gpu in gpus]),
    ]


def _sized(view: CatalogView, wish: Wish, size_b: float, gpu: Meaning | None) -> list[Group]:
    """Models of about a size, surely most able first, each with the rest of the question; then that without a size."""
    beside = replace(wish, size_b=None)
    able, kind = view.derived(Abilities), KIND_OF_WORKLOAD[wish.use or WorkloadKind.CHAT]
    models = [
        model
        for model in view.models
        if abs((model.entry["params_total_b"] or 0.0) - size_b) <= _ABOUT * size_b and not able.traits[model.slug].base
    ]
    related = [model for model in models if relevance(wish.names, [model.name, model.slug, *model.aliases]) > 0]
    models = sorted(related or models, key=lambda model: -able.of(model.slug)[kind].low)
    open_ended = gpu is None and (
        wish.budget_usd is not None or wish.people is not None or wish.decode_tok_s is not None
    )
    rows = [
        (
            model.name,
            _page_of(beside, Meant(Meaning(model.slug), gpu)),
            f"{billions(model.entry['params_total_b'])}, {able.of(model.slug)[kind].value:.0f} points",
        )
        for model in models[:_MOST]
    ]
    groups: list[Group] = [(f"Models of about {size_b:g}B, most able first", rows)]
    if open_ended:
        best = "The best model for it" + ("" if wish.best_of is None else f": {KIND_NAMES[wish.best_of].lower()}")
        groups.append(("Of any size", [(best, _bought_or_served(wish, None), "what to buy or rent")]))
    return groups
