"""The card to embed, its badge, and oEmbed."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from api.answers.story import CARD_HEIGHT, CARD_WIDTH, Answers
from api.catalog.fit_reads import FitReads
from api.errors import ApiError, ErrorCode
from api.pages.cards import THEMES, badge, card
from api.pages.pairs import load_pair
from api.pages.responses import COMMON, MAX_AGE_S, environment

#: The card has no script and may stand in any page's frame.
CARD_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"
BADGE_POLICY = "default-src 'none'; style-src 'none'; frame-ancestors *"


async def card_page(request: Request, reads: FitReads, base_url: str) -> Response:
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


async def badge_image(request: Request, reads: FitReads, base_url: str) -> Response:
    pair = await load_pair(reads, request.path_params["address"], request.query_params)
    text = environment().get_template("badge.svg").render(b=badge(pair.chosen))
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": BADGE_POLICY,
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return Response(text, media_type="image/svg+xml", headers=headers)


async def oembed(request: Request, reads: FitReads, base_url: str) -> Response:
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
        return Response(_xml(document), media_type="text/xml", headers=dict(COMMON))
    return Response(orjson.dumps(document), media_type="application/json", headers=dict(COMMON))


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
