"""Documents for robots: the icon, the rules, and the map of all pages, by generation."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response

from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.view import CatalogView
from api.errors import NotFoundError
from api.pages.responses import COMMON

#: Pages without a name in their address.
PAGES = ("/", "/here", "/models", "/gpus", "/compare", "/buy", "/serve", "/accuracy", "/can")
#: Models of one file of pairings: the protocol allows 50,000 addresses a file.
MOST_ADDRESSES = 40_000
_SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><style>.a{fill:#a05a00}.b{fill:#3566c5}.c{fill:#17743a}'
    "@media (prefers-color-scheme:dark){.a{fill:#e0a04a}.b{fill:#6f9cf5}.c{fill:#62d084}}</style>"
    '<rect class="a" x="3" y="17" width="7" height="12" rx="2"/><rect class="b" x="12.5" y="10" width="7" height="19" rx="2"/>'
    '<rect class="c" x="22" y="3" width="7" height="26" rx="2"/></svg>'
)


async def icon(request: Request, reads: FitReads, base_url: str) -> Response:
    return Response(_ICON, media_type="image/svg+xml", headers=dict(COMMON))


async def robots(request: Request, reads: FitReads, base_url: str) -> Response:
    """Everything may be read but searches and the API, whose addresses have no end."""
    text = (
        f"User-agent: *\nDisallow: /search\nDisallow: /graphql\nDisallow: /oembed\n\nSitemap: {base_url}/sitemap.xml\n"
    )
    return Response(text, media_type="text/plain", headers=dict(COMMON))


async def sitemap(request: Request, reads: FitReads, base_url: str) -> Response:
    """The index: one file of pages, and files of pairings."""
    view = reads.view
    files = ["pages", *(f"pairings-{number}" for number in range(1, len(_chunks(view)) + 1))]
    parts = [f"<sitemap><loc>{escape(base_url)}/sitemap-{name}.xml</loc>{_changed(view)}</sitemap>" for name in files]
    return _xml("sitemapindex", parts)


async def sitemap_file(request: Request, reads: FitReads, base_url: str) -> Response:
    """One file of addresses."""
    view, name = reads.view, request.path_params["name"]
    kind, _, number = name.rpartition("-")
    chunks = _chunks(view)
    if name == "pages":
        paths = [*PAGES, *(f"/model/{quote(model.slug)}" for model in view.models)]
        paths += [f"/gpu/{quote(gpu.slug)}" for gpu in view.gpus]
    elif kind == "pairings" and number.isdecimal() and 1 <= int(number) <= len(chunks):
        gpus = _estimated(view.gpus)
        paths = [f"/can/{pair_slug(model, gpu)}" for model in chunks[int(number) - 1] for gpu in gpus]
    else:
        raise NotFoundError("sitemap", name)
    parts = [f"<url><loc>{escape(base_url + path)}</loc>{_changed(view)}</url>" for path in paths]
    return _xml("urlset", parts)


def _chunks(view: CatalogView) -> list[list[str]]:
    """Slugs of models that can be estimated, as many a file as it has room for."""
    models, size = _estimated(view.models), max(1, MOST_ADDRESSES // max(len(_estimated(view.gpus)), 1))
    return [models[at : at + size] for at in range(0, len(models), size)]


def _estimated(records: Iterable[object]) -> list[str]:
    return [record.slug for record in records if not record.missing_facts]  # type: ignore[attr-defined]


def _changed(view: CatalogView) -> str:
    """The date of the generation; nothing before the first one."""
    if view.generation is None or view.generation.published_at is None:
        return ""
    return f"<lastmod>{view.generation.published_at:%Y-%m-%d}</lastmod>"


def _xml(root: str, parts: list[str]) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_SPACE}">{"".join(parts)}</{root}>\n'
    return Response(text, media_type="application/xml", headers=dict(COMMON))
