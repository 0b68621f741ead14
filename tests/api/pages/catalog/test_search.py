"""The search leads to every entity by the names that people type, and to the page that answers their question."""

from __future__ import annotations

import httpx
import pytest

from api.server.app import create_app
from api.settings import ApiSettings
from tests.api.conftest import client_of, part_of
from tests.api.pages.test_pages import Outline, page
from tests.support.catalogs import CATALOG

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
        ("llama 3.1 8b on 2x 3090", "/serve?model=llama-3.1-8b&gpu=rtx-3090&count=2&people=1"),
        ("what can I run on an RTX 4090 for chat?", "/here?gpu=rtx-4090&workload=chat"),
        ("llama 3.1 8b on RTX 4090 for coding", "/can/llama-3.1-8b-on-rtx-4090?workload=coding"),
        ("chat on RTX 4090", "/here?gpu=rtx-4090&workload=chat"),
        ("llama 3.1 8b for 20 users", "/serve?model=llama-3.1-8b&people=20"),
        ("20 users, llama 3.1 8b on 2x 3090", "/serve?model=llama-3.1-8b&gpu=rtx-3090&count=2&people=20"),
        ("$2,500 for coding at 20 tok/s", "/buy?budget=2500&tok_s=20&workload=coding"),
        ("$2,500 for the best MoE at 20 tok/s", "/buy?budget=2500&tok_s=20&kind=mixture-of-experts"),
        ("$1,234,567 for coding", "/buy?budget=1234567&workload=coding"),
        ("llama 3.1 8b for $1k", "/buy?model=llama-3.1-8b&budget=1000"),
        ("", "/"),
    ],
)
async def test_a_text_leads_to_the_page_of_what_it_names(client: httpx.AsyncClient, text: str, path: str) -> None:
    response = await client.get("/search", params={"q": text})
    assert (response.status_code, response.headers["location"]) == (303, path)


async def test_a_text_that_fits_several_lists_them(client: httpx.AsyncClient) -> None:
    response = await client.get("/search", params={"q": "llama"})
    assert response.status_code == 200
    links = [attributes["href"] for attributes in Outline(response.text).all("a")]
    assert {"/model/llama-3.1-8b", "/model/llama-2-7b"} <= set(links)
    nothing = await client.get("/search", params={"q": "zzzz"})
    assert nothing.status_code == 404
    assert "Nothing is called" in nothing.text


@pytest.mark.parametrize(
    ("text", "title", "paths"),
    [
        (
            "llama 3.1 8b on RTX 9090",
            "No accelerator is called “RTX 9090”",
            ["/can/llama-3.1-8b-on-rtx-3090", "/model/llama-3.1-8b"],
        ),
        ("llama on 2x 3090", "No model is called “llama”", ["/serve?model=llama-3.1-8b&gpu=rtx-3090&count=2&people=1"]),
        ("llama 3.1 8b on a potato", "No accelerator is called “potato”", ["/model/llama-3.1-8b"]),
        ("an 8B on rtx 4090", "may mean", ["/can/llama-3.1-8b-on-rtx-4090"]),
    ],
)
async def test_the_known_half_of_a_question_is_kept(
    client: httpx.AsyncClient, text: str, title: str, paths: list[str]
) -> None:
    response = await client.get("/search", params={"q": text})
    assert response.status_code == 200
    assert title in response.text
    assert {*paths} <= {attributes["href"] for attributes in Outline(response.text).all("a")}


async def test_a_size_lists_its_models_with_the_rest_of_the_question(client: httpx.AsyncClient) -> None:
    response = await client.get("/search", params={"q": "20 users of an 8B model"})
    assert response.status_code == 200
    links = [attributes["href"] for attributes in Outline(response.text).all("a")]
    assert {"/serve?model=llama-3.1-8b&people=20", "/buy?users=20"} <= set(links)
    assert not any("kimi-linear-48b" in (link or "") for link in links)


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("m4", ["/gpu/apple-m4-10c-16gb"]),
        ("m4 for coding", ["/here?gpu=apple-m4-10c-16gb&workload=coding"]),
        ("llama 3.1 8b on m4", ["/can/llama-3.1-8b-on-apple-m4-10c-16gb"]),
        ("20 users of llama 3.1 8b on m4", ["/serve?model=llama-3.1-8b&gpu=apple-m4-10c-16gb&people=20"]),
    ],
)
async def test_the_page_of_an_open_name_says_what_it_was_taken_as(
    empty_settings: ApiSettings, text: str, others: list[str]
) -> None:
    catalog = part_of(CATALOG, ("llama-3.1-8b",), ("apple-m4-10c-32gb", "apple-m4-10c-16gb"))
    app = create_app(empty_settings, catalog)
    async with client_of(app) as client:
        response = await client.get("/search", params={"q": text})
        address = response.headers["location"]
        assert "apple-m4-10c-32gb" in address
        shown = await page(client, address)
        assert "“m4” is taken as Apple M4 10-core GPU 32 GB. It also fits" in shown
        links = [attributes["href"] for attributes in Outline(shown).all("a")]
        assert set(others) <= set(links)
        assert "is taken as" not in await page(client, others[0])
    await app.state.services.close()


async def test_the_best_model_of_a_kind_stands_beside_the_models_of_a_size(client: httpx.AsyncClient) -> None:
    response = await client.get("/search", params={"q": "$2,500 for an 8B or the best MoE at 20 tok/s"})
    links = {attributes["href"] for attributes in Outline(response.text).all("a")}
    rest = "budget=2500&tok_s=20"
    assert {f"/buy?{rest}&kind=mixture-of-experts", f"/buy?model=llama-3.1-8b&{rest}"} <= links
