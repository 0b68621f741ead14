"""Routes of the pages for people."""

from __future__ import annotations

from starlette.routing import Route

from api.catalog.state import CatalogState
from api.pages.accuracy import accuracy_page, accuracy_plot
from api.pages.catalog.gpu import gpu_page
from api.pages.catalog.home import choose_page, home_page
from api.pages.catalog.lists import gpus_page, models_page
from api.pages.catalog.model import model_page
from api.pages.catalog.search import search_page
from api.pages.choices.buy import buy_page
from api.pages.choices.compare import compare_page
from api.pages.choices.here import here_page
from api.pages.choices.serve import serve_page
from api.pages.embeds import badge_image, card_page, oembed
from api.pages.responses import Handler, answering
from api.pages.result import pairing_page
from api.pages.site.preview import gpu_image, model_image, old_icon, preview_image, site_image, touch_icon
from api.pages.site.robots import icon, robots, sitemap, sitemap_file
from api.settings import ApiSettings

PAGES: dict[str, Handler] = {
    "/": home_page,
    "/search": search_page,
    "/models": models_page,
    "/gpus": gpus_page,
    "/model/{model}": model_page,
    "/gpu/{gpu}": gpu_page,
    "/compare": compare_page,
    "/here": here_page,
    "/buy": buy_page,
    "/serve": serve_page,
    "/accuracy": accuracy_page,
    "/accuracy/{name}.png": accuracy_plot,
    "/can": choose_page,
    "/can/{address:path}": pairing_page,
    "/embed/{address:path}.svg": badge_image,
    "/embed/{address:path}": card_page,
    "/oembed": oembed,
    "/preview.png": site_image,
    "/preview/model/{model}.png": model_image,
    "/preview/gpu/{gpu}.png": gpu_image,
    "/preview/{address:path}.png": preview_image,
    "/favicon.svg": icon,
    "/favicon.ico": old_icon,
    "/apple-touch-icon.png": touch_icon,
    "/robots.txt": robots,
    "/sitemap.xml": sitemap,
    "/sitemap-{name}.xml": sitemap_file,
}


def routes(state: CatalogState, settings: ApiSettings) -> list[Route]:
    return [
        Route(path, answering(handler, state, settings.public_url), methods=["GET"]) for path, handler in PAGES.items()
    ]
