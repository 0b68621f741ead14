"""The result page, the card, the badge and oEmbed: every block of the page they replace, right, safe and small."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx
import pytest
from starlette.applications import Starlette

from api.pages.pairs import resolve_pair
from api.pages.responses import TEMPLATES
from api.server.app import create_app
from api.settings import ApiSettings
from db.session import upgrade_database
from estimator.advice.amounts import gib
from tests.api.conftest import Ask, part_of
from tests.support.catalogs import CATALOG

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEED = "/can/kimi-linear-48b-a3b-on-tesla-v100-sxm2-32-gb"
CARD = SEED.replace("/can/", "/embed/")
STATIC = TEMPLATES.parent / "static"


class Outline(HTMLParser):
    """Headings, texts and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_heading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self._in_heading = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def page(client: httpx.AsyncClient, path: str) -> str:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return response.text


async def test_every_block_of_the_page_that_it_replaces_is_there(client: httpx.AsyncClient) -> None:
    text = await page(client, SEED + "?quant=q4-k-m")
    outline = Outline(text)
    blocks = [
        "Can Tesla V100 SXM2 32 GB run Kimi Linear 48B-A3B Instruct?",
        "In numbers",
        "Memory breakdown",
        "See how fast it feels",
        "What limits this setup",
        "How it changes",
        "Best improvement path",
        "Performance by workload",
        "Quantization options",
        "Operating modes",
        "Get started",
        "Frequently asked questions",
        "Embed this result",
        "The query behind this page",
    ]
    assert [heading for heading in outline.headings if heading in blocks] == blocks
    for word in ("Fit", "Decode", "First token after", "Safe context", "Device memory", "System memory", "Offload"):
        assert f"<dt>{word}</dt>" in text
    assert [choice["name"] for choice in outline.all("select")] == [
        "quant", "workload", "mode", "context", "host", "engine",
    ]  # fmt: skip
    assert text.count("best here") == 1
    assert text.count('class="plot"') == 3
    assert re.search(r"Estimated with llama\.cpp in [^<]+ GB, for 16,000 tokens of context\.", text)
    assert text.count('class="command"') >= 4
    assert text.count("<details") == 7
    for row in ("Chat", "Coding", "Agentic coding", "Reasoning", "RAG"):
        assert f">{row}</a></th>" in text


async def test_the_page_says_what_the_query_on_it_answers(client: httpx.AsyncClient) -> None:
    text = await page(client, SEED + "?quant=q4-k-m&workload=rag")
    query = unescape(re.findall(r'aria-label="GraphQL query"><code>(.*?)</code>', text, re.S)[0])
    answer = (await client.get("/graphql?" + urlencode({"query": query}))).json()
    assert "errors" not in answer
    fit = answer["data"]["fit"]
    shown = unescape(text)
    for phrase in (fit["headline"], fit["summary"], *(question["answer"] for question in fit["faq"])):
        assert phrase in shown
    for count in ("weightsBytes", "kvCacheBytes", "computeBytes", "overheadBytes", "totalBytes", "hostBytes"):
        assert gib(int(fit["memory"][count])) in text
    for command in fit["commands"]:
        assert command["text"] in shown
    assert fit["embed"]["html"] in shown


async def test_the_chooser_leads_to_a_page_by_any_name(client: httpx.AsyncClient) -> None:
    outline = Outline(await page(client, "/can"))
    assert {attributes["name"] for attributes in outline.all("input")} == {"q", "model", "gpu"}
    response = await client.get("/can", params={"model": "Kimi Linear 48B A3B", "gpu": "V100 32GB"})
    assert (response.status_code, response.headers["location"]) == (303, SEED)
    assert (await client.get("/can", params={"model": "nothing at all", "gpu": "V100 32GB"})).status_code == 404


async def test_structured_data_are_the_questions(client: httpx.AsyncClient) -> None:
    text = await page(client, SEED)
    data = json.loads(re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.S)[0])
    assert data["@type"] == "FAQPage"
    questions = re.findall(r"<summary>(.*?)</summary>", text)
    assert [question["name"] for question in data["mainEntity"]] == [unescape(question) for question in questions]


async def test_a_mode_changes_grades_and_never_the_fit(client: httpx.AsyncClient) -> None:
    pages = [await page(client, f"{SEED}?mode={mode}") for mode in ("balanced", "scale-out")]
    numbers = [re.findall(r'<dl class="numbers">(.*?)</dl>', text, re.S) for text in pages]
    assert numbers[0] == numbers[1]
    assert "Scale-out</option>" in pages[1]
    matches = [re.search(r"It serves [\d,o]|This setup does not serve", text) for text in pages]
    assert [match is not None for match in matches] == [False, True]


async def test_only_frames_of_the_card_are_allowed_and_no_inline_code_anywhere(client: httpx.AsyncClient) -> None:
    for path in (SEED, CARD, CARD + ".svg", "/can/nothing", SEED + "?quant=zzz"):
        response = await client.get(path)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert ("frame-ancestors *" in policy) == path.startswith("/embed/")
        assert response.headers["x-content-type-options"] == "nosniff"
        outline = Outline(response.text)
        for tag, attributes in outline.tags:
            assert "style" not in attributes, tag
            assert not any(name.startswith("on") for name in attributes), tag
        for script in outline.all("script"):
            assert script.get("src") == "/static/page.js" or script.get("type") == "application/ld+json"
    assert not Outline((await client.get(CARD)).text).all("script")


async def test_a_format_that_nobody_publishes_has_no_command_and_says_why(client: httpx.AsyncClient) -> None:
    text = await page(client, "/can/llama-2-7b-on-rtx-4090?quant=awq-int4")
    assert "No published AWQ" in text
    assert "No engine runs this plan" not in text


async def test_a_page_states_what_its_address_was_taken_as(client: httpx.AsyncClient) -> None:
    text = await page(client, "/can/Llama-3.1-8B-Instruct-Q5_K_M.gguf-on-rxt-4090")
    assert "&#39;rxt-4090&#39; is taken as GeForce RTX 4090." in text
    assert 'value="q5-k-m" selected' in text
    assert "is taken as" not in await page(client, SEED)
    several = await client.get("/can/llama-3.1-8b-on-2x-3090")
    assert several.status_code == 404
    assert "names 2 accelerators" in several.text
    chosen = await client.get("/can", params={"model": "lama 3.1 8b", "gpu": "rtx 3090"})
    assert chosen.headers["location"] == "/can/lama%203.1%208b-on-rtx%203090"


@pytest.mark.parametrize("pair", ["llama-3.1-8b-on-rtx-3090", "qwen3-30b-a3b-on-rtx-4090"])
@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ("context=65536", {"contextTokens": 65536}),
        ("host=laptop-ddr5-5600-32gb", {"host": "laptop-ddr5-5600-32gb"}),
        ("engine=vllm", {"engine": "VLLM"}),
        ("context=8192&host=server-ddr5-6000-12ch-768gb&engine=llama.cpp", {
            "contextTokens": 8192, "host": "server-ddr5-6000-12ch-768gb", "engine": "LLAMA_CPP",
        }),
    ],
)  # fmt: skip
async def test_a_setting_gives_the_estimate_of_the_same_question(
    client: httpx.AsyncClient, data: Ask, pair: str, setting: str, asked: dict[str, object]
) -> None:
    text = unescape(await page(client, f"/can/{pair}?workload=rag&{setting}"))
    quant = re.findall(r'<option value="([^"]+)" selected', text)[0]
    model, _, gpu = pair.partition("-on-")
    question = {"model": {"slug": model}, "machine": {"gpu": gpu}, "quant": quant, "workload": "RAG", **asked}
    query = (
        "query($input: EstimateInput!) { estimate(input: $input) { headline decode { tokensPerSecond }"
        " memory { totalBytes } contextTokens } }"
    )
    estimate = (await data(query, input=question))["estimate"]
    assert estimate["headline"] in text
    assert gib(int(estimate["memory"]["totalBytes"])) in text
    assert f"for {estimate['contextTokens']:,} tokens of context." in text
    links = [attributes["href"] or "" for attributes in Outline(text).all("a") if "data-live" in attributes]
    assert links
    for part in setting.split("&"):
        assert all(part in link for link in links)
    assert "Computed for this request" in text


async def test_the_page_is_small(client: httpx.AsyncClient) -> None:
    parts = [await client.get(path) for path in (SEED, "/static/page.css", "/static/page.js")]
    assert [part.status_code for part in parts] == [200, 200, 200]
    assert sum(len(part.content) for part in parts) < 100_000


async def test_addresses_take_aliases_and_refuse_the_rest(client: httpx.AsyncClient) -> None:
    assert "Kimi Linear" in await page(client, "/can/kimi-linear-48b-a3b-on-V100-32GB")
    for path, status in [
        ("/can/nothing", 400),
        ("/can/a-on-b", 404),
        ("/can/llama-3.1-8b-on-nothing", 404),
        (SEED + "?quant=nothing", 404),
        (SEED + "?workload=nothing", 400),
        (SEED + "?mode=nothing", 400),
        (SEED + "?context=12", 400),
        (SEED + "?context=many", 400),
        (SEED + "?host=nothing", 400),
        (SEED + "?engine=nothing", 400),
        (SEED + "?engine=mlx", 422),
        (CARD + "?theme=pink", 400),
        ("/can/" + "x" * 300, 400),
        ("/can/..%2f..%2fetc%2fpasswd", 400),
        ("/oembed?url=http://other/", 400),
        ("/oembed?url=http://[::1", 400),
    ]:
        response = await client.get(path)
        assert response.status_code == status, path
        assert "Traceback" not in response.text


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{7*7}}",
        "'; DROP TABLE fits;--",
        "%00",
        "\u202e",
        "🦙" * 40,
    ],
)
async def test_nothing_that_a_caller_sends_comes_back_unescaped(client: httpx.AsyncClient, evil: str) -> None:
    for path in (
        f"/can/{quote(evil, safe='')}-on-{quote(evil, safe='')}",
        f"/can/llama-3.1-8b-on-{quote(evil, safe='')}",
        f"{SEED}?quant={quote(evil)}",
        f"{SEED}?workload={quote(evil)}&mode={quote(evil)}",
        f"{CARD}?theme={quote(evil)}",
        f"/oembed?url={quote('http://x/can/' + evil)}",
    ):
        response = await client.get(path)
        assert response.status_code in (400, 404), path
        outline = Outline(response.text)
        assert not outline.all("img")
        assert {attributes["src"] for attributes in outline.all("script")} <= {"/static/page.js"}
        assert "49" not in re.sub("<[^>]+>", "", response.text)


async def test_a_hostile_name_in_the_catalog_is_only_text(client: httpx.AsyncClient, app: Starlette) -> None:
    view = await app.state.services.state.view()
    entry = view.catalog.models["llama-3.1-8b"]
    before, entry["name"] = entry["name"], '</script><script>alert(1)</script>"&'
    try:
        for path in ("/can/llama-3.1-8b-on-rtx-4090?mode=interactive", "/embed/llama-3.1-8b-on-rtx-4090?theme=dark"):
            text = await page(client, path)
            assert "<script>alert" not in text
            for script in re.findall(r'ld\+json">(.*?)</script>', text, re.S):
                assert json.loads(script)["mainEntity"]
        badge = await page(client, "/embed/llama-3.1-8b-on-rtx-4090.svg?workload=chat")
        assert "alert" in (ElementTree.fromstring(badge).get("aria-label") or "")
    finally:
        entry["name"] = before


async def test_an_unchanged_page_is_not_sent_again(client: httpx.AsyncClient) -> None:
    for path in (SEED, CARD, CARD + ".svg"):
        first = await client.get(path)
        assert "max-age" in first.headers["cache-control"]
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await client.get(path + "?workload=chat", headers={"if-none-match": first.headers["etag"]})
        assert other.status_code == 200


async def test_the_card_has_themes_and_choices(client: httpx.AsyncClient) -> None:
    for theme in ("auto", "light", "dark"):
        assert f'class="{theme}"' in await page(client, f"{CARD}?theme={theme}")
    text = await page(client, f"{CARD}?quant=q8-0&workload=rag")
    assert "Q8_0 · RAG" in text
    assert SEED in text


async def test_the_badge_is_an_image_that_says_the_same(client: httpx.AsyncClient) -> None:
    response = await client.get(CARD + ".svg")
    assert response.headers["content-type"] == "image/svg+xml"
    label = ElementTree.fromstring(response.text).get("aria-label")
    assert label is not None
    assert label in unescape(await page(client, SEED))


async def test_oembed_gives_the_frame(client: httpx.AsyncClient) -> None:
    text = await page(client, SEED + "?quant=q4-k-m&workload=chat")
    link = next(
        attributes for attributes in Outline(text).all("link") if attributes.get("type") == "application/json+oembed"
    )
    embed = (await client.get(link["href"] or "")).json()
    assert (embed["version"], embed["type"], embed["width"], embed["height"]) == ("1.0", "rich", 400, 180)
    source = unescape(re.findall(r'src="([^"]+)"', embed["html"])[0])
    assert "quant=q4-k-m&workload=chat" in source
    assert (await client.get(source)).status_code == 200
    link = next(attributes for attributes in Outline(text).all("link") if attributes.get("type") == "text/xml+oembed")
    response = await client.get(link["href"] or "")
    assert response.headers["content-type"].startswith("text/xml")
    root = ElementTree.fromstring(response.text)
    assert root.tag == "oembed"
    assert {element.tag: element.text for element in root} == {name: str(value) for name, value in embed.items()}
    assert (await client.get("/oembed?format=yaml&url=http://test" + SEED)).status_code == 501


async def test_before_the_first_run_pages_are_computed_live(live_app: Starlette) -> None:
    transport = httpx.ASGITransport(live_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        text = await page(client, SEED + "?quant=q4-k-m")
        assert "Computed for this request" in text
        assert (await client.get(CARD)).status_code == 200


async def test_what_does_not_fit_has_no_command_and_no_demonstration(client: httpx.AsyncClient) -> None:
    text = await page(client, "/can/kimi-linear-48b-a3b-on-apple-m3-max-30c-36gb?quant=q8-0")
    assert "No: it does not fit" in text
    assert "No engine runs this plan." in text
    assert re.search(r"[\d.]+ GiB needed, [\d.]+ GiB usable", text)
    assert "Device memory for 16,000 tokens of context" in text
    assert "Total on the device" in text
    assert "What would make Kimi Linear" in text
    assert "feels slow" not in text
    assert "See how fast it feels" not in text


async def test_a_processor_has_no_device_memory(settings: ApiSettings, tmp_path: Path) -> None:
    catalog = part_of(CATALOG, ("llama-3.1-8b",), ("cpu-ddr5-5600-2ch",))
    state = ApiSettings(state_dir=tmp_path)
    upgrade_database(state.resolved_database_url)
    made = create_app(state, catalog)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://test") as client:
        text = unescape(await page(client, "/can/llama-3.1-8b-on-cpu-ddr5-5600-2ch?quant=q4-0"))
    await made.state.services.close()
    about_this, _, of_others = text.partition('id="advice"')
    assert "device memory" not in about_this.lower()
    assert "the catalog has no arithmetic rate of this device" in about_this
    assert "wait unknown, counted as 0\N{NO-BREAK SPACE}%" in of_others


@pytest.mark.parametrize(
    ("change", "said"),
    [({"engines": ["opencl"]}, "runs on it"), ({"bandwidth_gbps": None}, "its memory bandwidth is not known")],
)
async def test_an_accelerator_without_a_fact_is_told_of_in_words(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    gpu = "snapdragon-x-elite"
    catalog = part_of(CATALOG, ("llama-3.1-8b",), (gpu,))
    catalog.gpus[gpu] = {**catalog.gpus[gpu], **change}
    state = ApiSettings(state_dir=tmp_path)
    upgrade_database(state.resolved_database_url)
    made = create_app(state, catalog)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://test") as client:
        answer = await client.get(f"/can/llama-3.1-8b-on-{gpu}")
    await made.state.services.close()
    text = unescape(answer.text)
    assert answer.status_code == 422
    assert catalog.gpus[gpu]["name"] in text
    assert "no estimate can be made" in text
    assert said in text
    assert "_gbps" not in text


async def test_every_pairing_of_the_catalog_has_an_address(app: Starlette) -> None:
    view = await app.state.services.state.view()
    for model in view.models:
        for gpu in view.gpus:
            named, on = resolve_pair(view, f"{model.slug}-on-{gpu.slug}")
            assert (named.slug, on.slug) == (model.slug, gpu.slug)


async def test_headings_tables_and_fields_are_marked_up(client: httpx.AsyncClient) -> None:
    outline = Outline(await page(client, SEED))
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in cell for cell in outline.all("th"))
    assert len(outline.all("caption")) == len(outline.all("table"))
    labelled = {attributes.get("for") for attributes in outline.all("label")}
    assert {attributes.get("id") for attributes in outline.all("select")} <= labelled
    assert all(attributes.get("alt") for attributes in outline.all("img"))
    assert all(attributes.get("title") for attributes in outline.all("iframe"))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: str, other: str) -> float:
    light, dark = sorted((luminance(colour), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("sheet", ["page.css", "card.css"])
async def test_text_has_enough_contrast_in_both_themes(sheet: str) -> None:
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", Path(STATIC / sheet).read_text())
    palettes: list[dict[str, str]] = [dict(re.findall(r"--([a-z]+):(#[0-9a-f]{3,6})", block)) for block in blocks]
    assert len(palettes) >= 2
    for palette in palettes:
        for ink in ("ink", "soft", "link", "good", "fair", "bad"):
            for ground in ("paper", "panel"):
                if ground in palette:
                    assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground, palette)


async def test_an_advised_change_leads_to_the_page_that_holds_what_was_promised(app: Starlette) -> None:
    followed = set()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for start in (
            f"{SEED}?quant=q8-0&workload=rag",
            "/can/llama-3.1-8b-on-apple-m3-max-30c-36gb?quant=f16&mode=interactive",
        ):
            text = unescape(await page(client, start))
            items = re.findall(r'<li><strong><a href="([^"]+)">([^<]+)</a></strong>: ([^<]*)', text)
            assert items
            for href, what, effect in items:
                speed = re.search(r"[\d,.]+ tok/s", effect)
                assert speed is not None
                target = unescape(await page(client, href))
                assert speed[0] in target, (href, what, effect)
                assert ("mode=interactive" in href) == ("mode=interactive" in start)
                assert ("workload=rag" in href) == ("workload=rag" in start)
                followed.add(what.split()[0])
    assert followed == {"Use", "Run"}
