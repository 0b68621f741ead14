"""Routes of the pages for people."""

from __future__ import annotations

from starlette.routing import Route

from api.catalog.state import CatalogState
from api.pages.catalog.gpu import gpu_page
from api.pages.catalog.home import choose_page, home_page, search_page
from api.pages.catalog.lists import gpus_page, models_page
from api.pages.catalog.model import model_page
from api.pages.embeds import badge_image, card_page, oembed
from api.pages.responses import Handler, answering
from api.pages.result import pairing_page
from api.settings import ApiSettings

PAGES: dict[str, Handler] = {
    "/": home_page,
    "/search": search_page,
    "/models": models_page,
    "/gpus": gpus_page,
    "/model/{model}": model_page,
    "/gpu/{gpu}": gpu_page,
    "/can": choose_page,
    "/can/{address:path}": pairing_page,
    "/embed/{address:path}.svg": badge_image,
    "/embed/{address:path}": card_page,
    "/oembed": oembed,
}


def routes(state: CatalogState, settings: ApiSettings) -> list[Route]:
    """The routes of all pages."""
    return [
        Route(path, answering(handler, state, settings.public_url), methods=["GET"]) for path, handler in PAGES.items()
    ]
