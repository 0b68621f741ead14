"""The first page and its search lead to every entity by the names that people type."""

from __future__ import annotations

import httpx
import pytest

from tests.api.pages.test_pages import Outline, page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_first_page_leads_everywhere(client: httpx.AsyncClient) -> None:
    text = await page(client, "/")
    outline = Outline(text)
    links = {each["href"] for each in outline.all("a")}
    assert {"/models", "/gpus", "/graphql", "/explorer"} <= links
    actions = {each["action"] for each in outline.all("form")}
    assert "/search" in actions
    assert all(each["method"] == "get" for each in outline.all("form"))
    assert "/can/llama-3.1-8b-on-tesla-v100-sxm2-32-gb" in links
    assert "tok/s" in text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("llama 3.1 8b", "/model/llama-3.1-8b"),
        ("RTX 4090", "/gpu/rtx-4090"),
        ("llama 3.1 8b on RTX 4090", "/can/llama-3.1-8b-on-rtx-4090"),
        ("rtx 4090 llama 3.1 8b", "/can/llama-3.1-8b-on-rtx-4090"),
        ("Kimi Linear 48B A3B with V100 32GB", "/can/kimi-linear-48b-a3b-on-tesla-v100-sxm2-32-gb"),
        ("Llama-3.1-8B-Instruct-Q5_K_M.gguf rtx 3090", "/can/llama-3.1-8b-on-rtx-3090?quant=q5-k-m"),
        ("2x 3090", "/here?gpu=2x+rtx-3090"),
        ("", "/"),
    ],
)
async def test_a_text_leads_to_the_page_of_what_it_names(client: httpx.AsyncClient, text: str, path: str) -> None:
    response = await client.get("/search", params={"q": text})
    assert (response.status_code, response.headers["location"]) == (303, path)


async def test_a_text_that_fits_several_lists_them(client: httpx.AsyncClient) -> None:
    response = await client.get("/search", params={"q": "llama"})
    assert response.status_code == 200
    links = [each["href"] for each in Outline(response.text).all("a")]
    assert {"/model/llama-3.1-8b", "/model/llama-2-7b"} <= set(links)
    nothing = await client.get("/search", params={"q": "zzzz"})
    assert nothing.status_code == 404
    assert "Nothing is called" in nothing.text


async def test_before_the_first_run_the_first_page_has_live_numbers(live_app: object) -> None:
    transport = httpx.ASGITransport(live_app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert "tok/s" in await page(client, "/")
        assert "/model/llama-3.1-8b" in await page(client, "/models")


async def test_a_name_in_an_error_is_a_link(client: httpx.AsyncClient) -> None:
    response = await client.get("/can", params={"model": "llama 3.1 9b", "gpu": "rtx 3090"})
    assert response.status_code == 404
    links = [each["href"] or "" for each in Outline(response.text).all("a")]
    followed = [href for href in links if "llama-3.1-8b" in href]
    assert followed
    assert (await client.get(followed[0])).status_code in (200, 303)
