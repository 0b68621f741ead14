"""The pages that choose say what the answers behind them say, and take their questions from the address alone."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from estimator.judgement.serving import curve
from tests.api.conftest import Ask
from tests.api.pages.test_pages import Outline, page

pytestmark = pytest.mark.asyncio(loop_scope="session")


def names(text: str, kind: str) -> list[str]:
    """Slugs of the rows of a table that link to pages of a kind, in order."""
    return re.findall(rf'<th scope="row"><a href="/{kind}/([^"?]+)', text)


async def test_this_machine_ranks_as_the_published_recommendations_do(client: httpx.AsyncClient, data: Ask) -> None:
    query = '{ recommendations(input: {gpu: "rtx-3090", workload: CHAT}) { nodes { fit { model { slug } quant { name } } } } }'
    nodes = (await data(query))["recommendations"]["nodes"]
    text = await page(client, "/here?gpu=RTX 3090&workload=chat")
    assert names(text, "can") == [f"{node['fit']['model']['slug']}-on-rtx-3090" for node in nodes]
    for node in nodes:
        assert node["fit"]["quant"]["name"] in text


async def test_several_cards_and_other_memory_are_computed(client: httpx.AsyncClient) -> None:
    single = await page(client, "/here?gpu=rtx 3090&workload=coding")
    two = await page(client, "/here?gpu=2x rtx 3090&workload=coding")
    assert "2 x GeForce RTX 3090" in two
    assert names(two, "model")
    assert names(single, "can")
    small = await page(client, "/here?machine=rtx-3090&ram=8")
    assert "with 8 GiB of system memory" in small


async def test_without_a_machine_there_is_a_form_that_needs_no_script(client: httpx.AsyncClient) -> None:
    text = await page(client, "/here")
    outline = Outline(text)
    assert {attributes["value"] for attributes in outline.all("option")} >= {
        "rtx-4090",
        "apple-m3-max-30c-36gb",
        "coding",
    }
    assert {attributes["src"] for attributes in outline.all("script") if attributes.get("src")} == {
        "/static/page.js",
        "/static/here.js",
    }


async def test_a_comparison_names_the_winner_of_each_measure(client: httpx.AsyncClient, data: Ask) -> None:
    text = unescape(await page(client, "/compare?model=llama-3.1-8b&model=llama-2-7b&gpu=rtx-4090&gpu=rtx-3090"))
    rows = dict(re.findall(r'<th scope="row">([A-Z][^<]+)</th><td class="n"><b>[^<]+</b></td><td>([^<]+)</td>', text))
    assert rows["Decode speed"].endswith(" on GeForce RTX 4090")
    assert rows["Launch price"] == "GeForce RTX 3090"
    assert rows["Design power"] == "GeForce RTX 3090"
    assert text.count('href="/can/') == 4
    for href in re.findall(r'href="(/can/[^"]+)"', text):
        assert (await client.get(href)).status_code == 200


async def test_a_machine_of_a_comparison_may_be_several_accelerators(client: httpx.AsyncClient) -> None:
    text = unescape(await page(client, "/compare?model=llama-3.1-8b&gpu=rtx-3090&gpu=2x%203090"))
    one, two = re.findall(r'<th scope="col"><a href="/gpu/rtx-3090">([^<]+)</a>', text)
    assert (one, two) == ("GeForce RTX 3090", "2 x GeForce RTX 3090")
    (several,) = re.findall(r'href="(/serve[^"]+count=2[^"]+)"', text)
    # The page that a cell leads to is of the same setup.
    (quant,) = re.findall("quant=([^&]+)", several)
    assert f'value="{quant}" selected' in await page(client, several)
    prices = dict(re.findall(r'<th scope="row">([A-Z][^<]+)</th><td class="n"><b>[^<]+</b></td><td>([^<]+)</td>', text))
    assert prices["Launch price"] == one
    assert prices["Free memory"].endswith(two)


async def test_setups_that_look_equal_are_called_equal(client: httpx.AsyncClient) -> None:
    text = unescape(await page(client, "/compare?model=llama-3.1-8b&model=llama-2-7b&gpu=rtx-4090&gpu=rtx-3090"))
    reasons = re.findall(r'</td><td class="soft">([^<]*)</td></tr>', text)
    assert len(reasons) > 5
    for value, reason in zip(re.findall(r'<td class="n"><b>([^<]+)</b></td>', text), reasons, strict=True):
        assert f"({value})" not in reason


async def test_a_list_of_servers_leaves_out_weights_that_answer_badly(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "/serve?model=llama-3.1-8b&people={}"
    assert 'href="/serve?' in await page(client, address.format(20))
    monkeypatch.setattr(curve, "MOST_LOSS_POINTS", -1.0)
    assert 'href="/serve?' not in await page(client, address.format(19))


async def test_a_comparison_has_limits_and_names_what_is_wrong(client: httpx.AsyncClient) -> None:
    many = "&".join(f"model=llama-{number}" for number in range(6))
    assert (await client.get(f"/compare?{many}&gpu=rtx-4090")).status_code == 400
    response = await client.get("/compare?model=lama-3.1-9b&gpu=rtx-4090")
    assert response.status_code == 404
    repaired = next(
        attributes["href"]
        for attributes in Outline(response.text).all("a")
        if "llama-3.1-8b" in (attributes["href"] or "")
    )
    assert (await client.get(repaired or "")).status_code == 200


async def test_an_error_names_the_choices_once_and_writes_numbers_out(client: httpx.AsyncClient) -> None:
    several = (await client.get("/model/llama")).text
    assert "'llama' fits several entries." in unescape(several)
    assert several.count("llama-2-7b") == 1
    unknown = (await client.get("/model/llama-nothing")).text
    assert unescape(unknown).count("Did you mean") == 1
    assert "from 50 to 10,000,000" in (await client.get("/buy?budget=many")).text


async def test_purchases_are_within_the_budget_and_near_misses_say_what_they_miss(client: httpx.AsyncClient) -> None:
    assert "meets" not in await page(client, "/buy")
    text = unescape(await page(client, "/buy?budget=2500&model=llama-3.1-8b"))
    meeting, _, rest = text.partition('id="near"')
    prices = [int(price.replace(",", "")) for price in re.findall(r"<b>\$([\d,]+)</b>", meeting)]
    assert prices
    assert max(prices) <= 2500
    assert "above the budget" in rest
    assert (await client.get("/buy?budget=many")).status_code == 400
    dense = await page(client, "/buy?budget=2500&kind=dense")
    assert dense.split('id="meets"')[1].count("llama-3.1-8b") > 0
    assert "kimi-linear" not in dense
    assert "The best dense model: Coding, at least" in dense
    assert (await client.get("/buy?budget=2500&kind=large")).status_code == 400


async def test_a_size_in_front_of_people_is_searched_for(client: httpx.AsyncClient) -> None:
    response = await client.get("/serve?model=8B&people=20")
    assert (response.status_code, response.headers["location"]) == (303, "/search?q=8B+for+20+people")


async def test_a_server_has_a_curve_and_a_verdict(client: httpx.AsyncClient) -> None:
    text = unescape(await page(client, "/serve?model=llama-3.1-8b&gpu=rtx-4090&people=4"))
    assert "4 people for chat? Yes" in text
    assert "1 person for chat? Yes" in await page(client, "/serve?model=llama-3.1-8b&gpu=rtx-4090&count=2&people=1")
    assert text.count('class="plot"') == 2
    assert "Not even one stream" in await page(client, "/serve?model=kimi-linear-48b-a3b&gpu=rtx-3090&quant=f16")


async def test_machines_for_so_many_people_lead_to_their_curves(client: httpx.AsyncClient) -> None:
    text = unescape(await page(client, "/serve?model=llama-3.1-8b&people=20"))
    hrefs = re.findall(r'<th scope="row"><a href="(/serve[^"]+)"', text)
    assert len(hrefs) > 3
    for href in hrefs:
        assert "20 people for chat? Yes" in await page(client, href)
    assert 'href="/buy?model=llama-3.1-8b&users=20' in text


@pytest.mark.parametrize(
    "path",
    [
        "/here?gpu=<b>",
        "/compare?model=%22%3E<img src=x>&gpu=rtx-4090",
        "/serve?model={{7*7}}",
        "/buy?model='--&budget=9",
        "/search?q=<script>",
    ],
)
async def test_hostile_names_come_back_escaped(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code in (400, 404)
    outline = Outline(response.text)
    assert not outline.all("img")
    assert not outline.all("b")
    assert all("src" in attributes for attributes in outline.all("script"))
    assert "49" not in re.sub("<[^>]+>", "", response.text)


async def test_a_name_that_is_not_known_offers_links_to_near_ones(client: httpx.AsyncClient) -> None:
    response = await client.get("/serve?model=llama-3.1-9b&people=20")
    assert response.status_code == 404
    links = [link for link in Outline(response.text).all("a") if "people=20" in (link["href"] or "")]
    assert "/serve?model=llama-3.1-8b&people=20" in [link["href"] for link in links]
    assert ">Llama 3.1 8B</a>" in response.text


@pytest.mark.parametrize("address", ["/compare?model={}&gpu=rtx-4090", "/buy?model={}", "/serve?model={}&gpu=rtx-4090"])
async def test_a_page_says_what_a_name_was_taken_as(client: httpx.AsyncClient, address: str) -> None:
    assert 'role="note"' not in await page(client, address.format("llama-3.1-8b"))
    assert "is taken as Llama 3.1 8B" in unescape(await page(client, address.format("lama-3.1-8b")))


@pytest.mark.parametrize(
    "address", ["/can/llama-3.1-8b-on-rtx-4090", "/serve?model=llama-3.1-8b&gpu=rtx-4090&people=20"]
)
async def test_no_choice_of_a_form_is_a_dead_end(client: httpx.AsyncClient, address: str) -> None:
    selects = re.findall(r'<select id="\w+" name="(\w+)">(.*?)</select>', await page(client, address), re.DOTALL)
    assert len(selects) > 1
    for name, options in selects:
        for value in re.findall(r'<option value="([^"]+)"', options):
            chosen = f"{address}{'&' if '?' in address else '?'}{name}={value}"
            assert (await client.get(chosen)).status_code == 200, chosen
