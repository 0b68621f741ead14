"""Fits: single, nested, paged, filtered; a constant number of statements; one generation; typed errors."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from api.graphql.core.ids import Cursor, encode_cursor

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEED = """{ fit(model: "Kimi Linear 48B A3B", gpu: "V100 32GB", quant: "Q4_K_M") {
  status source generation score grade recommended
  memory { weightsBytes kvCacheBytes computeBytes overheadBytes totalBytes usableBytes capacityBytes headroomBytes hostBytes }
  placement { strategy gpuLayers cpuMoeLayers offloadFraction }
  decode { tokensPerSecond low high evidence } prefill { tokensPerSecond low high evidence } ttftMs
  safeContextTokens contextTokens engine { slug } backend
  model { slug } gpu { slug } quant { slug } workload { kind }
  headline summary capacityMessage scoreParts { name value weight } limits { code share message }
  loss { points low high evidence divergenceNats }
  advice { code message gain { statusAfter decodeTokensPerSecond ttftMs safeContextTokens headroomBytes score } }
  commands { engine { kind } tool text } faq { question answer } embed { url html } measurements { totalCount }
  workloadOptions { workload { kind } quant { slug } grade status decode { tokensPerSecond } ttftMs safeContextTokens }
  quantOptions { quant { slug nominalBits } workload { kind } recommended status memory { totalBytes } grade score }
} }"""


async def test_the_first_screen_in_one_query(data: Any) -> None:
    fit = (await data(SEED))["fit"]
    memory = fit["memory"]
    parts = [memory[name] for name in ("weightsBytes", "kvCacheBytes", "computeBytes", "overheadBytes")]
    assert sum(parts) == memory["totalBytes"]
    assert memory["usableBytes"] - memory["totalBytes"] == memory["headroomBytes"]
    assert (fit["source"], fit["generation"]) == ("PUBLISHED", 1)
    assert fit["decode"]["low"] < fit["decode"]["tokensPerSecond"] < fit["decode"]["high"]
    assert [option["workload"]["kind"] for option in fit["workloadOptions"]] == [
        "CHAT",
        "CODING",
        "AGENTIC_CODING",
        "REASONING",
        "RAG",
    ]
    assert {option["quant"]["slug"] for option in fit["workloadOptions"]} == {"q4-k-m"}
    bits = [option["quant"]["nominalBits"] for option in fit["quantOptions"]]
    assert bits == sorted(bits)
    assert [option["recommended"] for option in fit["quantOptions"]].count(True) == 1
    assert {option["workload"]["kind"] for option in fit["quantOptions"]} == {"CODING"}
    assert sum(part["weight"] for part in fit["scoreParts"]) == pytest.approx(1)
    assert 0 < fit["loss"]["low"] < fit["loss"]["points"] < fit["loss"]["high"]
    assert fit["loss"]["divergenceNats"] > 0
    assert "Kimi Linear" in fit["summary"]
    assert fit["commands"][0]["engine"]["kind"] == "LLAMA_CPP"
    assert len(fit["faq"]) >= 5
    assert fit["embed"]["url"].startswith("http://test/embed/kimi-linear-48b-a3b-on-tesla-v100-sxm2-32-gb")


async def test_without_a_quantization_the_recommended_one_is_told(data: Any) -> None:
    reply = await data(
        '{ fit(model: "llama-3.1-8b", gpu: "rtx-4090") { recommended quant { slug } quantOptions { quant { slug } '
        "recommended } } }"
    )
    best = [option["quant"] for option in reply["fit"]["quantOptions"] if option["recommended"]]
    assert reply["fit"]["recommended"] is True
    assert best == [reply["fit"]["quant"]]


async def test_published_and_live_fits_say_the_same(data: Any, live: Any) -> None:
    query = SEED.replace("source generation", "")
    published, now = (await data(query))["fit"], (await live(query))["data"]["fit"]
    assert published["embed"] == now["embed"]
    for name in (
        "memory",
        "placement",
        "status",
        "safeContextTokens",
        "engine",
        "backend",
        "grade",
        "headline",
        "commands",
    ):
        assert published[name] == now[name], name
    for name in ("decode", "prefill"):
        for part in ("tokensPerSecond", "low", "high"):
            assert published[name][part] == pytest.approx(now[name][part], rel=1e-5)
    assert published["ttftMs"] == pytest.approx(now["ttftMs"], rel=1e-5)
    assert published["score"] == pytest.approx(now["score"], abs=0.01)


async def test_a_fit_before_any_publication_says_that_it_is_live(live: Any) -> None:
    reply = (
        await live('{ fit(model: "llama-2-7b", gpu: "rtx-3090") { source generation workloadOptions { source } } }')
    )["data"]
    assert (reply["fit"]["source"], reply["fit"]["generation"]) == ("LIVE", None)
    assert {option["source"] for option in reply["fit"]["workloadOptions"]} == {"LIVE"}


async def test_a_list_before_any_publication_is_unavailable(live: Any) -> None:
    answer = await live("{ fits { totalCount } }")
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_what_no_engine_runs_is_a_status_and_no_error(data: Any) -> None:
    fit = (
        await data(
            '{ fit(model: "llama-2-7b", gpu: "rtx-3090", quant: "MLX 4-bit") { status engine { slug } memory { totalBytes } '
            "decode { low } headline summary limits { code } commands { text } scoreParts { name } advice { code } "
            "workloadOptions { status } faq { answer } } }"
        )
    )["fit"]
    assert fit["status"] == "UNSUPPORTED"
    assert (fit["engine"], fit["memory"], fit["decode"]) == (None, None, None)
    assert (fit["commands"], fit["scoreParts"]) == ([], [])
    assert [limit["code"] for limit in fit["limits"]] == ["ENGINE_SUPPORT"]
    assert {option["status"] for option in fit["workloadOptions"]} == {"UNSUPPORTED"}


async def test_a_quantization_outside_the_runs_is_computed_live(data: Any) -> None:
    reply = await data(
        '{ fit(model: "llama-2-7b", gpu: "rtx-3090", quant: "IQ1_S") { source status recommended workloadOptions { source } } }'
    )
    assert (reply["fit"]["source"], reply["fit"]["status"], reply["fit"]["recommended"]) == ("LIVE", "FITS", False)
    assert {option["source"] for option in reply["fit"]["workloadOptions"]} == {"LIVE"}


async def test_unknown_names_in_a_fit(ask: Any) -> None:
    answer = await ask(
        '{ a: fit(model: "nope", gpu: "rtx-3090") { status } b: fit(model: "llama-2-7b", gpu: "rtx 309") { status } }'
    )
    assert answer["data"] == {"a": None, "b": None}
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"NOT_FOUND"}


PAGE = """query($filter: FitFilter, $orderBy: [FitOrder!], $first: Int, $after: String) {
  fits(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
    edges { cursor node { id score ttftMs safeContextTokens status recommended weightsKnown decode { tokensPerSecond }
      model { slug } gpu { slug } quant { slug } workload { kind } engine { kind } grade } } } }"""


async def all_pages(data: Any, size: int, **variables: Any) -> list[dict[str, Any]]:
    fits: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = (await data(PAGE, first=size, after=cursor, **variables))["fits"]
        fits += [edge["node"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] is (cursor is not None)
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len(fits) == page["totalCount"]
            return fits


async def test_paging_through_everything_meets_each_fit_once(data: Any) -> None:
    count = (await data("{ catalog { fitCount } }"))["catalog"]["fitCount"]
    fits = await all_pages(data, 100)
    assert len(fits) == len({fit["id"] for fit in fits}) == count
    scores = [fit["score"] for fit in fits]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("field", "direction", "read"),
    [
        ("DECODE", "DESC", lambda fit: -(fit["decode"] or {"tokensPerSecond": 0})["tokensPerSecond"]),
        ("SAFE_CONTEXT", "ASC", lambda fit: fit["safeContextTokens"]),
        ("SCORE", "ASC", lambda fit: fit["score"]),
        # A fit that does not run has no speed and no latency: it comes last in both directions.
        ("DECODE", "ASC", lambda fit: (fit["decode"] or {"tokensPerSecond": math.inf})["tokensPerSecond"]),
        ("TTFT", "ASC", lambda fit: fit["ttftMs"] or math.inf),
        ("TTFT", "DESC", lambda fit: -(fit["ttftMs"] or 0)),
    ],
)
async def test_orders(data: Any, field: str, direction: str, read: Callable[[Any], float]) -> None:
    wanted = {"workload": {"in": ["CODING"]}}
    fits = await all_pages(data, 37, filter=wanted, orderBy=[{"field": field, "direction": direction}])
    keys = [read(fit) for fit in fits]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"model": {"in": ["Llama 2 7B"]}}, lambda fit: fit["model"]["slug"] == "llama-2-7b"),
        ({"gpu": {"in": ["RTX 3090", "rtx-4090"]}}, lambda fit: fit["gpu"]["slug"] in ("rtx-3090", "rtx-4090")),
        ({"quant": {"in": ["Q4_K_M"]}}, lambda fit: fit["quant"]["slug"] == "q4-k-m"),
        ({"workload": {"in": ["RAG", "CHAT"]}}, lambda fit: fit["workload"]["kind"] in ("RAG", "CHAT")),
        ({"status": {"in": ["DOES_NOT_FIT"]}}, lambda fit: fit["status"] == "DOES_NOT_FIT"),
        ({"recommended": True}, lambda fit: fit["recommended"]),
        ({"recommended": False}, lambda fit: not fit["recommended"]),
        (
            {"decodeTokensPerSecond": {"min": 100}},
            lambda fit: (fit["decode"] or {"tokensPerSecond": 0})["tokensPerSecond"] >= 100,
        ),
        (
            {"decodeTokensPerSecond": {"min": 20, "max": 60}},
            lambda fit: fit["decode"] is not None and 20 <= fit["decode"]["tokensPerSecond"] <= 60,
        ),
        ({"decodeTokensPerSecond": {"min": 0}}, lambda fit: fit["decode"] is not None),
        (
            {"decodeTokensPerSecond": {"max": 12}},
            lambda fit: fit["decode"] is not None and fit["decode"]["tokensPerSecond"] <= 12,
        ),
        ({"ttftMs": {"min": 0}}, lambda fit: fit["ttftMs"] is not None),
        ({"ttftMs": {"max": 500}}, lambda fit: fit["ttftMs"] is not None and fit["ttftMs"] <= 500),
        ({"ttftMs": {"min": 5000}}, lambda fit: fit["ttftMs"] is not None and fit["ttftMs"] >= 5000),
        ({"safeContextTokens": {"min": 100_000}}, lambda fit: fit["safeContextTokens"] >= 100_000),
        ({"safeContextTokens": {"max": 1000}}, lambda fit: fit["safeContextTokens"] <= 1000),
        ({"score": {"min": 90}}, lambda fit: fit["score"] >= 90),
        ({"score": {"max": 10}}, lambda fit: fit["score"] <= 10),
        # Scores are stored in hundredths: a bound between two of them is not rounded to either.
        ({"score": {"max": 99.996}}, lambda fit: fit["score"] <= 99.99),
        ({"score": {"min": -1}}, lambda _: True),
        ({"score": {"min": 0.004}}, lambda fit: fit["score"] > 0),
        ({"minimumGrade": "B"}, lambda fit: fit["grade"] in "SAB"),
        ({"minimumGrade": "C", "score": {"min": 70}}, lambda fit: fit["score"] >= 70),
        ({"minimumGrade": "A", "score": {"min": 70, "max": 85}}, lambda fit: 80 <= fit["score"] <= 85),
        ({"engine": {"in": ["VLLM"]}}, lambda fit: fit["engine"]["kind"] == "VLLM"),
        (
            {"engine": {"in": ["MLX", "VLLM"]}, "status": {"in": ["DOES_NOT_FIT"]}},
            lambda fit: fit["engine"]["kind"] in ("MLX", "VLLM") and fit["status"] == "DOES_NOT_FIT",
        ),
        ({"quant": {"notIn": ["Q4_K_M", "q8-0"]}}, lambda fit: fit["quant"]["slug"] not in ("q4-k-m", "q8-0")),
        (
            {"gpu": {"in": ["rtx-3090", "rtx-4090"], "notIn": ["RTX 4090"]}},
            lambda fit: fit["gpu"]["slug"] == "rtx-3090",
        ),
        ({"workload": {"notIn": ["RAG"]}}, lambda fit: fit["workload"]["kind"] != "RAG"),
        ({"status": {"notIn": ["DOES_NOT_FIT"]}}, lambda fit: fit["status"] != "DOES_NOT_FIT"),
        ({"engine": {"notIn": ["LLAMA_CPP"]}}, lambda fit: fit["engine"]["kind"] != "LLAMA_CPP"),
        ({"status": {}}, lambda _: True),
        (
            {"ttftMs": {"max": 500, "includeUnknown": True}},
            lambda fit: fit["ttftMs"] is None or fit["ttftMs"] <= 500,
        ),
        (
            {"decodeTokensPerSecond": {"min": 100, "includeUnknown": True}},
            lambda fit: fit["decode"] is None or fit["decode"]["tokensPerSecond"] >= 100,
        ),
        (
            {"or": [{"status": {"in": ["FITS"]}, "score": {"min": 90}}, {"gpu": {"in": ["rtx-3090"]}}]},
            lambda fit: (fit["status"] == "FITS" and fit["score"] >= 90) or fit["gpu"]["slug"] == "rtx-3090",
        ),
        (
            {"workload": {"in": ["RAG", "CHAT"]}, "or": [{"workload": {"in": ["RAG"]}}, {"recommended": True}]},
            lambda fit: fit["workload"]["kind"] == "RAG" or (fit["workload"]["kind"] == "CHAT" and fit["recommended"]),
        ),
        ({"weightsKnown": True}, lambda fit: fit["weightsKnown"]),
        ({"weightsKnown": False}, lambda fit: not fit["weightsKnown"]),
        ({"gpuMatches": {"vendor": {"in": ["APPLE"]}}}, lambda fit: fit["gpu"]["slug"].startswith("apple")),
        ({"modelMatches": {"mixtureOfExperts": True}}, lambda fit: fit["model"]["slug"].endswith("a3b")),
        (
            {"gpuMatches": {"vendor": {"in": ["NVIDIA"]}}, "gpu": {"in": ["rtx-3090", "rx-7900-xtx"]}},
            lambda fit: fit["gpu"]["slug"] == "rtx-3090",
        ),
    ],
)
async def test_a_filter_finds_exactly_what_it_says(data: Any, wanted: Any, holds: Callable[[Any], bool]) -> None:
    everything = await all_pages(data, 100)
    fits = await all_pages(data, 100, filter=wanted)
    assert {fit["id"] for fit in fits} == {fit["id"] for fit in everything if holds(fit)}
    assert fits


@pytest.mark.parametrize(
    "wanted",
    [{"model": {"in": []}}, {"status": {"in": []}}, {"workload": {"in": []}}, {"engine": {"in": []}}, {"or": []}],
)
async def test_an_empty_set_matches_nothing(data: Any, wanted: Any) -> None:
    assert (await data(PAGE, filter=wanted))["fits"]["edges"] == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"decodeTokensPerSecond": {"min": 1e308}},
        {"ttftMs": {"min": -1e308, "max": 1e308}},
        {"score": {"min": -1e300, "max": 1e300}},
        {"safeContextTokens": {"min": -2147483648, "max": 2147483647}},
        {"decodeTokensPerSecond": {"max": -5}},
    ],
)
async def test_extreme_bounds_do_no_harm(data: Any, wanted: Any) -> None:
    assert (await data(PAGE, filter=wanted))["fits"]["totalCount"] >= 0


async def test_nested_pages_of_models_and_accelerators(data: Any) -> None:
    reply = await data(
        """{ model(slug: "llama-2-7b") { fits(first: 3, filter: {workload: {in: [CHAT]}}) {
          totalCount pageInfo { hasNextPage endCursor }
          nodes { model { slug } gpu { slug fits(first: 2) { nodes { gpu { slug } score } } } } } } }"""
    )
    page = reply["model"]["fits"]
    assert len(page["nodes"]) == 3
    for fit in page["nodes"]:
        assert fit["model"]["slug"] == "llama-2-7b"
        assert {inner["gpu"]["slug"] for inner in fit["gpu"]["fits"]["nodes"]} == {fit["gpu"]["slug"]}
    more = await data(
        """query($c: String) { model(slug: "llama-2-7b") { fits(first: 100, after: $c, filter: {workload: {in: [CHAT]}}) {
          nodes { id } pageInfo { hasPreviousPage hasNextPage } } } }""",
        c=page["pageInfo"]["endCursor"],
    )
    rest = more["model"]["fits"]
    assert rest["pageInfo"] == {"hasPreviousPage": True, "hasNextPage": False}
    assert len(rest["nodes"]) + 3 == page["totalCount"]


async def test_a_filter_on_another_model_leaves_nothing_of_this_one(data: Any) -> None:
    reply = await data(
        '{ model(slug: "llama-2-7b") { fits(filter: {model: {in: ["llama-3.1-8b"]}}) { totalCount nodes { id } } } }'
    )
    assert reply["model"]["fits"] == {"totalCount": 0, "nodes": []}


NESTED = """query($n: Int!, $m: Int!) { models(first: $n) { nodes { slug quants { fileSizeBytes quant { slug } }
  fits(first: $m, filter: {workload: {in: [CODING]}}) { nodes { score
    workloadOptions { score } quantOptions { score }
    gpu { slug fits(first: $m) { nodes { score model { slug } } } } } } } } }"""


async def test_statements_do_not_grow_with_the_page(data: Any, statements: Any) -> None:
    await data("{ __typename }")
    counts = []
    for models, fits in ((1, 1), (2, 3), (4, 20)):
        with statements() as executed:
            await data(NESTED, n=models, m=fits)
        counts.append(len(executed))
    assert len(set(counts)) == 1, counts
    assert counts[0] <= 6


async def test_aliases_share_statements(data: Any, statements: Any) -> None:
    names = ("rtx-4090", "rtx-3090", "rx-7900-xtx")
    parts = " ".join(
        f'g{place}: fit(model: "llama-2-7b", gpu: "{name}") {{ score }}' for place, name in enumerate(names)
    )
    with statements() as executed:
        await data(f"query Aliases {{ {parts} }}")
    assert len(executed) == 1


async def test_totals_cost_nothing_unless_asked(data: Any, statements: Any) -> None:
    with statements() as executed:
        await data("query Uncounted { fits(first: 2, filter: {recommended: true}) { nodes { score } } }")
    assert not any("count" in statement.lower() for statement in executed)


@pytest.mark.parametrize("owner", ["", "gpus(first: 3) { nodes {", "hosts {"])
@pytest.mark.parametrize("total", ["totalCount", "... { ...Total }", "totalCount nodes @skip(if: true) { score }"])
async def test_a_page_is_not_read_for_its_total(data: Any, statements: Any, owner: str, total: str) -> None:
    fragment = "fragment Total on FitConnection { __typename totalCount }" if "Total }" in total else ""
    # A bound that no other test asks for: counts are kept.
    fits = f"fits(filter: {{score: {{max: 71.{len(owner) + len(total)}}}}})"
    with statements() as executed:
        await data(f"query Totals {{ {owner} {fits} {{ {total} }} {'}' * owner.count('{')} }} {fragment}")
    # A column of a page that no count reads.
    assert not any("plans" in statement for statement in executed)
    assert executed


async def test_a_cursor_of_a_passed_generation_is_stale(ask: Any) -> None:
    page = "query($c: String) { fits(after: $c, first: 1) { pageInfo { endCursor } } }"
    place = (await ask(page))["data"]["fits"]["pageInfo"]["endCursor"]
    sealed = base64.urlsafe_b64decode(place + "=" * (-len(place) % 4))
    state, order, *key = json.loads(sealed[sealed.index(b'["') :])
    again = await ask(page, c=encode_cursor(Cursor(state, order, tuple(key))))
    assert again["data"]["fits"]["pageInfo"]["endCursor"]
    for cursor, code in (
        (Cursor("passed", order, tuple(key)), "STALE_CURSOR"),
        (Cursor(state, "another", tuple(key)), "BAD_USER_INPUT"),
    ):
        answer = await ask(page, c=encode_cursor(cursor))
        assert answer["errors"][0]["extensions"]["code"] == code
    changed = place[:-2] + ("AA" if not place.endswith("AA") else "BB")
    answer = await ask("query($c: String) { fits(after: $c) { totalCount } }", c=changed)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("first: 101", "LIMIT_EXCEEDED"),
        ("last: 101", "LIMIT_EXCEEDED"),
        ("last: -1", "BAD_USER_INPUT"),
        ("first: 1, last: 1", "BAD_USER_INPUT"),
        ('last: 1, after: "x"', "BAD_USER_INPUT"),
        ('first: 1, before: "x"', "BAD_USER_INPUT"),
        ('last: 1, before: "x"', "BAD_USER_INPUT"),
        ("filter: {minimumGrade: E}", "BAD_USER_INPUT"),
        ("orderBy: [{field: SCORE}, {field: SCORE}]", "BAD_USER_INPUT"),
        ("filter: {score: {min: 2, max: 1}}", "BAD_USER_INPUT"),
        ("filter: {or: [{or: [{recommended: true}]}]}", "BAD_USER_INPUT"),
        ("filter: {or: [" + "{}," * 21 + "]}", "LIMIT_EXCEEDED"),
        ('filter: {gpu: {notIn: ["nope"]}}', "NOT_FOUND"),
        ('filter: {model: {in: ["nope"]}}', "NOT_FOUND"),
        ('filter: {model: {in: ["\' OR 1=1 --"]}}', "NOT_FOUND"),
        ("filter: {status: {in: [NOPE]}}", "BAD_USER_INPUT"),
    ],
)
async def test_bad_arguments(client: Any, arguments: str, code: str) -> None:
    response = await client.post("/graphql", json={"query": f"{{ fits({arguments}) {{ nodes {{ id }} }} }}"})
    assert response.json()["errors"][0]["extensions"]["code"] == code
