"""The lists are searched, filtered, ordered and paged, and every row is a link."""

from __future__ import annotations

import re

import httpx
import pytest

import api.pages.catalog.lists as lists
from db.entries.traits import model_traits
from tests.api.pages.test_pages import Outline, page
from tests.support.catalogs import CATALOG

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def rows(client: httpx.AsyncClient, path: str) -> list[str]:
    """Slugs of the rows of a list, in order."""
    return re.findall(r'<th scope="row"><a href="/(?:model|gpu)/([^"]+)"', await page(client, path))


async def test_every_entity_is_listed(client: httpx.AsyncClient) -> None:
    assert len(await rows(client, "/models")) == 4
    assert len(await rows(client, "/gpus")) == 5


async def test_orders_are_kept(client: httpx.AsyncClient) -> None:
    assert (await rows(client, "/models?order=small"))[0] == "llama-2-7b"
    assert (await rows(client, "/models?order=large"))[0] == "kimi-linear-48b-a3b"
    assert (await rows(client, "/models?order=new"))[-1] == "llama-2-7b"
    assert (await rows(client, "/gpus?order=memory"))[0] == "apple-m3-max-30c-36gb"
    assert (await rows(client, "/gpus?order=bandwidth"))[0] == "rtx-4090"
    by_name = await rows(client, "/gpus?order=name")
    assert sorted(by_name) != sorted(by_name, reverse=True)


async def test_facets_narrow_and_combine(client: httpx.AsyncClient) -> None:
    assert set(await rows(client, "/models?publisher=Meta")) == {"llama-3.1-8b", "llama-2-7b"}
    assert await rows(client, "/models?publisher=Meta&size=7&q=llama") == ["llama-2-7b"]
    assert set(await rows(client, "/gpus?vendor=nvidia&memory=32")) == {"tesla-v100-sxm2-32-gb"}
    assert await rows(client, "/models?publisher=nobody") == []
    assert (await rows(client, "/gpus?q=7900"))[0] == "rx-7900-xtx"


async def test_a_list_has_pages(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE_ROWS", 2)
    path, slugs = "/gpus?order=name", []
    while path:
        text = await page(client, path)
        slugs += re.findall(r'<th scope="row"><a href="/gpu/([^"]+)"', text)
        path = next(
            (attributes["href"] or "" for attributes in Outline(text).all("a") if attributes.get("rel") == "next"), ""
        )
    assert len(slugs) == len(set(slugs)) == 5


@pytest.mark.parametrize(
    "query", ["order=pink", "size=big", "page=0", "page=x", "ability=juggling", "kind=dog", "q=" + "x" * 300]
)
async def test_bad_values_are_refused_with_what_is_allowed(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"/models?{query}")
    assert response.status_code == 400
    assert "&#39;" + query.partition("=")[0] in response.text


async def test_active_weights_are_those_of_the_structure() -> None:
    catalog = CATALOG
    mixed = [slug for slug, entry in catalog.models.items() if entry["moe"] and entry["params_active_b"] is None]
    traits = model_traits(catalog)
    assert mixed
    for slug in mixed:
        assert traits[slug].active_b is not None
        assert traits[slug].active_b < traits[slug].total_b
