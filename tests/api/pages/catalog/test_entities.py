"""The pages of a model and of an accelerator list what can be used, in the order that the answers have."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from tests.api.conftest import Ask
from tests.api.pages.test_pages import Outline, page

pytestmark = pytest.mark.asyncio(loop_scope="session")


def linked(text: str) -> list[str]:
    """Pairings of the rows of a table, in order."""
    return re.findall(r'<th scope="row"><a href="/can/([^"?]+)', text.split('class="list"')[1])


async def test_machines_of_a_model_are_the_recommended_ones(client: httpx.AsyncClient, data: Ask) -> None:
    query = '{ recommendations(input: {model: "llama-3.1-8b", workload: RAG}) { nodes { fit { gpu { slug } } } } }'
    nodes = (await data(query))["recommendations"]["nodes"]
    text = await page(client, "/model/llama-3.1-8b?workload=rag")
    assert linked(text) == [f"llama-3.1-8b-on-{node['fit']['gpu']['slug']}" for node in nodes]
    assert len(nodes) >= 4


async def test_models_of_an_accelerator_are_the_recommended_ones(client: httpx.AsyncClient, data: Ask) -> None:
    query = '{ recommendations(input: {gpu: "rtx-4090", workload: CHAT}) { nodes { fit { model { slug } } } } }'
    nodes = (await data(query))["recommendations"]["nodes"]
    text = await page(client, "/gpu/rtx-4090?workload=chat")
    assert linked(text) == [f"{node['fit']['model']['slug']}-on-rtx-4090" for node in nodes]
    counts = [int(count) for count in re.findall(r'class="tier">[A-Z]</span></th><td class="n">(\d+)', text)]
    assert sum(counts) == len(nodes)


async def test_filters_leave_what_passes(client: httpx.AsyncClient) -> None:
    text = await page(client, "/model/llama-3.1-8b?memory=30&vendor=nvidia")
    assert linked(text) == ["llama-3.1-8b-on-tesla-v100-sxm2-32-gb"]
    assert "No accelerator that passes" in await page(client, "/model/llama-3.1-8b?memory=192")
    text = await page(client, "/gpu/rtx-4090?size=9&order=worth")
    assert linked(text)[0] == "llama-3.1-8b-on-rtx-4090"


async def test_every_row_leads_to_the_setup_that_it_states(client: httpx.AsyncClient) -> None:
    text = await page(client, "/gpu/rtx-4090")
    rows = re.findall(r'<th scope="row"><a href="(/can/[^"]+)">.*?<b>[\d.]+</b>.*?<td class="n">([\d.,]+ tok/s)', text)
    assert rows
    for href, decode in rows:
        assert decode in await page(client, unescape(href))


async def test_another_name_leads_to_the_page_of_the_slug(client: httpx.AsyncClient) -> None:
    for path, slug in (("/model/Llama 3.1 8B", "/model/llama-3.1-8b"), ("/gpu/4090", "/gpu/rtx-4090")):
        response = await client.get(path)
        assert (response.status_code, response.headers["location"]) == (303, slug)
    response = await client.get("/gpu/rtx-9999")
    assert response.status_code == 404
    assert any((attributes["href"] or "").startswith("/gpu/rtx") for attributes in Outline(response.text).all("a"))


@pytest.mark.parametrize("path", ["/model/llama-3.1-8b", "/gpu/rtx-4090"])
async def test_the_page_has_a_frontier_plot_and_its_place(client: httpx.AsyncClient, path: str) -> None:
    text = await page(client, path)
    assert text.count('class="plot"') == 1
    assert '"BreadcrumbList"' in text


async def test_the_frontier_of_a_model_rises_in_price_and_rating(client: httpx.AsyncClient) -> None:
    text = await page(client, "/model/llama-3.1-8b")
    table = text.split("Machines on the frontier")[1].split("</table>")[0]
    rows = re.findall(r'href="(/can/[^"]+)".*?\$([\d,]+)</td><td class="n">([\d.]+)', table)
    prices, ratings = [float(usd.replace(",", "")) for _, usd, _ in rows], [float(rating) for _, _, rating in rows]
    assert rows
    assert prices == sorted(prices)
    assert ratings == sorted(ratings)
    listed = text.split('class="list"')[1]
    assert all(href in listed for href, _, _ in rows)
    assert listed.count('class="tag best"') == len(rows)
