"""Responses of the pages: templates, headers, entity tags, and errors whose names are links."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.catalog.fit_reads import FitReads
from api.catalog.state import CatalogState
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode

TEMPLATES = Path(__file__).parent / "templates"
#: Seconds for which a page may be shown again without asking; its ETag changes with the generation.
MAX_AGE_S = 60
COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Answers a request with reads of the newest view; the text is scheme and host for links.
Handler: TypeAlias = Callable[[Request, FitReads, str], Awaitable[Response]]
_STATUS_OF = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.AMBIGUOUS_NAME: 404,
    ErrorCode.BAD_USER_INPUT: 400,
    ErrorCode.LIMIT_EXCEEDED: 400,
    ErrorCode.MISSING_FACT: 422,
    ErrorCode.UNSUPPORTED: 422,
    ErrorCode.UNAVAILABLE: 503,
}
_TITLES = {404: "Not in the catalog", 400: "This address is not right", 422: "No answer", 503: "Not available now"}
#: Where the page of an entity of each kind is.
PAGE_OF = {"model": "/model/", "gpu": "/gpu/"}


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


def html(template: str, values: dict[str, Any], base_url: str, path: str, status: int = 200) -> Response:
    """A page. ``path`` is its canonical one; ``values`` may have ``structured_data`` in JSON-LD."""
    page = {"structured_data": "", "image": "/preview.png", **values, "base_url": base_url, "canonical_path": path}
    text = environment().get_template(template).render(p=page)
    headers = {**COMMON, "Content-Security-Policy": PAGE_POLICY}
    return Response(text, status, media_type="text/html", headers=headers)


def json_ld(document: dict[str, Any]) -> Markup:
    """A document in JSON-LD, safe inside a script element."""
    text = orjson.dumps({"@context": "https://schema.org", **document}).decode()
    # Nothing in a JSON string needs these three, and without them no text can close the element.
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def breadcrumbs(base_url: str, *steps: tuple[str, str]) -> Markup:
    """The way to a page, (name, path) a step, as structured data."""
    items = [
        {"@type": "ListItem", "position": place, "name": name, "item": base_url + path}
        for place, (name, path) in enumerate(steps, 1)
    ]
    return json_ld({"@type": "BreadcrumbList", "itemListElement": items})


def answering(handler: Handler, state: CatalogState, public_url: str) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a handler: reads of the newest view, an entity tag, and errors as pages."""

    async def answer(request: Request) -> Response:
        # Links begin with the configured public address, else with that of the request.
        base_url = (public_url or str(request.base_url)).rstrip("/")
        view = None
        try:
            view = await state.view()
            tag = _tag(view, base_url, request)
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"ETag": tag, "Cache-Control": f"public, max-age={MAX_AGE_S}"})
            response = await handler(request, FitReads(state, state.live, view), base_url)
        except ApiError as error:
            return error_page(error, base_url, request, view)
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_S}"
        return response

    return answer


def _tag(view: CatalogView, base_url: str, request: Request) -> str:
    """Entity tag of the published state and the address."""
    text = f"{view.identity}|{view.revision}|{base_url}|{request.url.path}?{request.url.query}"
    return f'W/"{hashlib.blake2s(text.encode(), digest_size=12).hexdigest()}"'


def error_page(error: ApiError, base_url: str, request: Request, view: CatalogView | None = None) -> Response:
    """The page of an error; names that may be meant are links, as ``view`` spells them."""
    status = _STATUS_OF.get(error.code, 400)
    kind, typed = str(error.extensions.get("kind", "")), str(error.extensions.get("name", ""))
    suggestions: tuple[str, ...] = getattr(error, "suggestions", ())
    names = [str(name) for name in error.extensions.get("suggestions", suggestions)]
    links = [(_spelled(view, name), _repaired(request, typed, name) or _page_of(kind, name)) for name in names]
    title = "Which one do you mean?" if len(links) > 1 else _TITLES[status]
    values = {"title": title, "text": error.told, "links": links}
    response = html("message.html", values, base_url, request.url.path, status)
    response.headers["Cache-Control"] = "no-store"
    return response


async def no_page(request: Request, _: Exception) -> Response:
    """The answer to an address that no route has: a page for a browser, a line for others."""
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("Not Found", 404)
    values = {"title": "No such page", "text": "This address leads nowhere.", "links": []}
    return html("message.html", values, str(request.base_url).rstrip("/"), "/", 404)


def _spelled(view: CatalogView | None, slug: str) -> str:
    """The name of the entity that has a slug; the slug where there is none."""
    if view is None:
        return slug
    records = (view.by_slug(kind, slug) for kind in ("model", "gpu", "computer", "quant"))
    return next((str(record.name) for record in records if record is not None), slug)


def _repaired(request: Request, typed: str, name: str) -> str:
    """The address of a request with one name in place of that which was typed; empty where it is not in the address."""
    path, values = request.scope["path"], request.query_params.multi_items()
    if typed and typed in path:
        path = path.replace(typed, name)
    elif any(value == typed for _, value in values):
        values = [(key, name if value == typed else value) for key, value in values]
    else:
        return ""
    return quote(path) + (f"?{urlencode(values)}" if values else "")


def _page_of(kind: str, name: str) -> str:
    return f"{PAGE_OF[kind]}{quote(name, safe='')}" if kind in PAGE_OF else ""
