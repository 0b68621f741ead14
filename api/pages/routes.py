"""Routes of the pages for people: the result page, the card to embed, its badge, and oEmbed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from api.answers.story import CARD_HEIGHT, CARD_WIDTH, Answers
from api.catalog.fit_reads import FitReads
from api.catalog.state import CatalogState
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode, NotFoundError
from api.pages.cards import THEMES, badge, card
from api.pages.pairs import MAX_ADDRESS_CHARACTERS, SEPARATOR, Pair, load_pair
from api.pages.result import result_page
from api.settings import ApiSettings

TEMPLATES = Path(__file__).parent / "templates"
#: Seconds for which a page may be shown again without asking; its ETag changes with the generation.
MAX_AGE_S = 60
_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
#: The card has no script and may stand in any page's frame.
CARD_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"
BADGE_POLICY = "default-src 'none'; style-src 'none'; frame-ancestors *"
#: Answers a request with reads of the newest view; the text is scheme and host for links.
Handler: TypeAlias = Callable[[Request, FitReads, str], Awaitable[Response]]
_STATUS_OF = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.BAD_USER_INPUT: 400,
    ErrorCode.MISSING_FACT: 422,
    ErrorCode.UNSUPPORTED: 422,
    ErrorCode.UNAVAILABLE: 503,
}


def routes(state: CatalogState, settings: ApiSettings) -> list[Route]:
    def page(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        return _page(handler, state, settings.public_url)

    return [
        Route("/can", page(_choose), methods=["GET"]),
        Route("/can/{address:path}", page(_result), methods=["GET"]),
        Route("/embed/{address:path}.svg", page(_badge), methods=["GET"]),
        Route("/embed/{address:path}", page(_card), methods=["GET"]),
        Route("/oembed", page(_oembed), methods=["GET"]),
    ]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates of the pages: every value is escaped, an unknown name is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(handler: Handler, state: CatalogState, public_url: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # Links begin with the configured public address, else with that of the request.
        base_url = (public_url or str(request.base_url)).rstrip("/")
        try:
            view = await state.view()
            tag = _tag(view, base_url, request)
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"ETag": tag, "Cache-Control": f"public, max-age={MAX_AGE_S}"})
            response = await handler(request, FitReads(state, state.live, view), base_url)
        except ApiError as error:
            return _message(error)
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_S}"
        return response

    return answer


async def _choose(request: Request, reads: FitReads, base_url: str) -> Response:
    """A form for a pairing; with both names given, the way to its page."""
    model, gpu = (request.query_params.get(name, "").strip()[:MAX_ADDRESS_CHARACTERS] for name in ("model", "gpu"))
    if model and gpu:
        named, on = reads.view.meaning("model", model), reads.view.meaning("gpu", gpu)
        # An address that keeps the names as typed says on its page what they were taken as.
        stated = named.note or on.note or named.quant
        path = f"/can/{quote(model if stated else named.slug)}{SEPARATOR}{quote(gpu if stated else on.slug)}"
        return RedirectResponse(path, 303, headers=dict(_COMMON))
    values = {"models": [model.name for model in reads.view.models], "gpus": [gpu.name for gpu in reads.view.gpus]}
    text = environment().get_template("choose.html").render(p=values)
    return Response(text, media_type="text/html", headers={**_COMMON, "Content-Security-Policy": PAGE_POLICY})


async def _result(request: Request, reads: FitReads, base_url: str) -> Response:
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    text = await asyncio.to_thread(_rendered_result, pair, base_url)
    return Response(text, media_type="text/html", headers={**_COMMON, "Content-Security-Policy": PAGE_POLICY})


def _rendered_result(pair: Pair, base_url: str) -> str:
    values = result_page(pair, base_url)
    values["structured_data"] = Markup(values["structured_data"])
    return environment().get_template("can.html").render(p=values)


async def _card(request: Request, reads: FitReads, base_url: str) -> Response:
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    theme = request.query_params.get("theme", "auto")
    if theme not in THEMES:
        raise ApiError(ErrorCode.BAD_USER_INPUT, f"'theme' must be one of {', '.join(THEMES)}")
    text = environment().get_template("card.html").render(c=card(pair, base_url), theme=theme)
    return Response(
        text,
        media_type="text/html",
        headers={
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": CARD_POLICY,
        },
    )


async def _badge(request: Request, reads: FitReads, base_url: str) -> Response:
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    text = environment().get_template("badge.svg").render(b=badge(pair.chosen))
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": BADGE_POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return Response(text, media_type="image/svg+xml", headers=headers)


async def _oembed(request: Request, reads: FitReads, base_url: str) -> Response:
    """oEmbed 1.0 of a result page or card: ``/oembed?url=...``, as JSON or XML."""
    form = request.query_params.get("format", "json")
    if form not in ("json", "xml"):
        return Response("format must be json or xml", 501, media_type="text/plain")
    address, chosen = _embedded_address(request.query_params.get("url", ""))
    pair = await load_pair(reads, address, chosen)
    answers = Answers(pair.chosen)
    document = {
        "version": "1.0",
        "type": "rich",
        "provider_name": "fitgraph",
        "provider_url": base_url,
        "title": f"{pair.chosen.model.name} on {pair.chosen.gpu.name}: {answers.headline}",
        "html": answers.embed_html(base_url),
        "width": CARD_WIDTH,
        "height": CARD_HEIGHT,
        "cache_age": MAX_AGE_S,
    }
    if form == "xml":
        return Response(_xml(document), media_type="text/xml", headers=dict(_COMMON))
    return Response(orjson.dumps(document), media_type="application/json", headers=dict(_COMMON))


def _xml(document: dict[str, Any]) -> bytes:
    root = ElementTree.Element("oembed")
    for name, value in document.items():
        ElementTree.SubElement(root, name).text = str(value)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n{text}'.encode()


def _embedded_address(url: str) -> tuple[str, QueryParams]:
    try:
        parts = urlsplit(url[:2048])
    except ValueError:
        raise ApiError(ErrorCode.BAD_USER_INPUT, "'url' is not a well-formed address") from None
    for prefix in ("/can/", "/embed/"):
        if parts.path.startswith(prefix):
            chosen = {name: values[-1] for name, values in parse_qs(parts.query, max_num_fields=8).items()}
            return parts.path.removeprefix(prefix).removesuffix(".svg"), QueryParams(chosen)
    raise ApiError(ErrorCode.BAD_USER_INPUT, "'url' must be the address of a result page or of a card")


def _tag(view: CatalogView, base_url: str, request: Request) -> str:
    """Entity tag of the published state and the address."""
    text = f"{view.state}|{view.revision}|{base_url}|{request.url.path}?{request.url.query}"
    return f'W/"{hashlib.blake2s(text.encode(), digest_size=12).hexdigest()}"'


def _message(error: ApiError) -> Response:
    status = _STATUS_OF.get(error.code, 400)
    titles = {404: "Not in the catalog", 400: "This address is not right", 422: "No answer", 503: "Not available now"}
    links = []
    if isinstance(error, NotFoundError):
        links = [(name, f"/can/{name}") for name in error.extensions["suggestions"] if SEPARATOR in name]
    values = {"title": titles[status], "text": error.message, "links": links}
    text = environment().get_template("message.html").render(m=values)
    headers = {**_COMMON, "Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    return Response(text, status, media_type="text/html", headers=headers)
