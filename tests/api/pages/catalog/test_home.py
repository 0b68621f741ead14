"""The first page leads everywhere, and names in errors are links."""

from __future__ import annotations

import httpx
import pytest

from tests.api.pages.test_pages import Outline, page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_first_page_leads_everywhere(client: httpx.AsyncClient) -> None:
    text = await page(client, "/")
    outline = Outline(text)
    links = {attributes["href"] for attributes in outline.all("a")}
    assert {"/models", "/gpus", "/graphql", "/explorer"} <= links
    actions = {attributes["action"] for attributes in outline.all("form")}
    assert "/search" in actions
    assert all(attributes["method"] == "get" for attributes in outline.all("form"))
    assert "/can/llama-3.1-8b-on-tesla-v100-sxm2-32-gb" in links
    assert "tok/s" in text


async def test_before_the_first_run_the_first_page_has_live_numbers(live_app: object) -> None:
    transport = httpx.ASGITransport(live_app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert "tok/s" in await page(client, "/")
        assert "/model/llama-3.1-8b" in await page(client, "/models")


async def test_an_address_without_a_route_has_a_page_in_a_browser(client: httpx.AsyncClient) -> None:
    response = await client.get("/nothing/here", headers={"accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 404
    assert "No such page" in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
    plain = await client.get("/nothing/here", headers={"accept": "application/json"})
    assert (plain.status_code, plain.text) == (404, "Not Found")


async def test_a_name_in_an_error_is_a_link(client: httpx.AsyncClient) -> None:
    response = await client.get("/can", params={"model": "llama 3.1 9b", "gpu": "rtx 3090"})
    assert response.status_code == 404
    links = [attributes["href"] or "" for attributes in Outline(response.text).all("a")]
    followed = [href for href in links if "llama-3.1-8b" in href]
    assert followed
    assert (await client.get(followed[0])).status_code in (200, 303)
