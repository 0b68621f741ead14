"""The first page, and the form for a pairing."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.errors import ApiError
from api.pages.asked import Asked
from api.pages.forms import workload_options
from api.pages.pairs import SEPARATOR
from api.pages.responses import COMMON, html, json_ld
from api.pages.wording import decode_words, tone
from estimator.advice.explain import WORDS
from estimator.types import WorkloadKind
from estimator.verdict import word_of

#: Pairings that the first page shows, those that the catalog has.
EXAMPLES = (
    ("qwen3.6-35b-a3b", "rtx-4090"),
    ("qwen3.5-9b", "apple-m4-10c-16gb"),
    ("qwen3-14b", "rtx-3060-12-gb"),
    ("gpt-oss-120b", "strix-halo-8060s-128gb"),
    ("qwen3.8-27b", "rtx-5090"),
    ("llama-3.1-8b", "tesla-v100-sxm2-32-gb"),
)
#: Questions for the box, with the entities that they name.
SAMPLES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Qwen3 32B on RTX 4090", (("model", "qwen3-32b"), ("gpu", "rtx-4090"))),
    ("gpt-oss 120B on Strix Halo 128 GB", (("model", "gpt-oss-120b"), ("gpu", "strix-halo-8060s-128gb"))),
    ("16 GB M4 Mac for coding", (("gpu", "apple-m4-10c-16gb"),)),
    ("2x RTX 3090", (("gpu", "rtx-3090"),)),
    ("$2,500 for a 70B or the best MoE at 20 tok/s", ()),
    ("Qwen3 32B for 20 users", (("model", "qwen3-32b"),)),
)


async def home_page(request: Request, reads: FitReads, base_url: str) -> Response:
    view = reads.view
    examples = await asyncio.gather(*(_example(reads, *pair) for pair in EXAMPLES))
    values = {
        "models": len(view.models),
        "gpus": len(view.gpus),
        "query": "",
        "samples": [
            (text, f"/search?{urlencode({'q': text})}")
            for text, named in SAMPLES
            if all(view.by_slug(kind, slug) for kind, slug in named)
        ],
        "examples": [example for example in examples if example is not None],
        "workloads": workload_options(view),
        "explorer": any(route.path == "/explorer" for route in request.app.routes if hasattr(route, "path")),
        "structured_data": _site_data(base_url),
    }
    return html("catalog/home.html", values, base_url, "/")


def _site_data(base_url: str) -> str:
    return json_ld(
        {
            "@type": "WebSite",
            "name": "fitgraph",
            "url": base_url + "/",
            "potentialAction": {
                "@type": "SearchAction",
                "target": {"@type": "EntryPoint", "urlTemplate": f"{base_url}/search?q={{query}}"},
                "query-input": "required name=query",
            },
        }
    )


async def _example(reads: FitReads, model_slug: str, gpu_slug: str) -> dict[str, str] | None:
    """A card of a pairing for coding; None for one that the catalog does not have."""
    view = reads.view
    model, gpu = view.by_slug("model", model_slug), view.by_slug("gpu", gpu_slug)
    if model is None or gpu is None:
        return None
    try:
        cell = await reads.fit(model, gpu, None, WorkloadKind.CODING)
    except ApiError:
        return None
    if cell is None:
        return None
    fit = FitRecord(view, cell)
    return {
        "model": model.name,
        "gpu": gpu.name,
        "quant": fit.quant.name,
        "decode": decode_words(fit.estimate),
        "word": WORDS[word_of(fit.cell.score)],
        "tone": tone(fit.estimate),
        "href": f"/can/{pair_slug(model.slug, gpu.slug)}",
    }


async def choose_page(request: Request, reads: FitReads, base_url: str) -> Response:
    """A form for a pairing; with both names given, the way to its page."""
    asked, view = Asked(request), reads.view
    model, gpu = asked.text("model"), asked.text("gpu")
    if model and gpu:
        named, on = view.meaning("model", model), view.meaning("gpu", gpu)
        # An address that keeps the names as typed says on its page what they were taken as.
        stated = named.notes or on.notes or named.quant
        path = f"/can/{quote(model if stated else named.slug)}{SEPARATOR}{quote(gpu if stated else on.slug)}"
        return RedirectResponse(path, 303, headers=dict(COMMON))
    values = {
        "models": [record.name for record in view.models],
        "gpus": [record.name for record in view.gpus],
        "model": model,
        "gpu": gpu,
    }
    return html("catalog/choose.html", values, base_url, "/can")
