"""Measurements: of a fit and of the whole catalog, filtered, ordered, paged from both ends, found again by id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.graphql.core.ids import encode_id
from db.entries.measurements import speed_rows
from tests.api.conftest import GPUS, MODELS

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = [
    row
    for row in speed_rows()
    if row.get("model_slug") in MODELS and row.get("gpu_slug") in GPUS and row.get("quant_slug") is not None
]
LIST = """query($filter: MeasurementFilter, $orderBy: [MeasurementOrder!],
  $first: Int, $after: String, $last: Int, $before: String) {
  measurements(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes { id phase tokensPerSecond engineName backendName depthTokens promptTokens gpuCount batch exact date sourceUrl
      model { slug } gpu { slug } quant { slug } } } }"""


async def everything(data: Any, **variables: Any) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = (await data(LIST, first=100, after=cursor, **variables))["measurements"]
        nodes += page["nodes"]
        assert page["pageInfo"]["hasPreviousPage"] is (cursor is not None)
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len(nodes) == page["totalCount"]
            return nodes


async def test_all_that_is_of_the_catalog_is_listed_once(data: Any) -> None:
    nodes = await everything(data)
    assert len({node["id"] for node in nodes}) == len(nodes) == len(ROWS) > 20
    speeds = [
        (node["model"]["slug"], node["gpu"]["slug"], node["quant"]["slug"], node["tokensPerSecond"]) for node in nodes
    ]
    assert speeds == [(row["model_slug"], row["gpu_slug"], row["quant_slug"], row["tok_s"]) for row in ROWS]
    assert all(node["sourceUrl"].startswith("https://") for node in nodes)


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"model": {"in": ["Llama 2 7B"]}}, lambda node: node["model"]["slug"] == "llama-2-7b"),
        ({"gpu": {"in": ["RTX 3090"]}}, lambda node: node["gpu"]["slug"] == "rtx-3090"),
        ({"quant": {"in": ["Q4_0"]}}, lambda node: node["quant"]["slug"] == "q4-0"),
        ({"phase": "PREFILL"}, lambda node: node["phase"] == "PREFILL"),
        ({"engineName": {"in": ["LLAMA.CPP"]}}, lambda node: node["engineName"] == "llama.cpp"),
        ({"backendName": {"in": ["cuda", "vulkan"]}}, lambda node: node["backendName"] in ("CUDA", "Vulkan")),
        ({"quant": {"notIn": ["Q4_0"]}}, lambda node: node["quant"]["slug"] != "q4-0"),
        (
            {"or": [{"exact": False}, {"phase": "PREFILL"}]},
            lambda node: not node["exact"] or node["phase"] == "PREFILL",
        ),
        (
            {"depthTokens": {"max": 0, "includeUnknown": True}},
            lambda node: node["depthTokens"] is None or node["depthTokens"] == 0,
        ),
        ({"source": "GitHub.com/ggml-org"}, lambda node: "github.com/ggml-org" in node["sourceUrl"].lower()),
        ({"exact": True}, lambda node: node["exact"]),
        ({"exact": False}, lambda node: not node["exact"]),
        ({"tokensPerSecond": {"min": 100}}, lambda node: node["tokensPerSecond"] >= 100),
        ({"depthTokens": {"max": 0}}, lambda node: node["depthTokens"] == 0),
        (
            {"promptTokens": {"min": 512, "max": 512}},
            lambda node: node["promptTokens"] == 512,
        ),
        ({"date": {"max": "2025"}}, lambda node: node["date"] is not None and node["date"] < "2026"),
        ({"gpuCount": {"max": 1}, "batch": {"max": 1}}, lambda node: node["gpuCount"] == node["batch"] == 1),
    ],
)
async def test_a_filter_finds_exactly_what_it_says(data: Any, wanted: Any, holds: Callable[[Any], bool]) -> None:
    every = await everything(data)
    nodes = await everything(data, filter=wanted)
    assert nodes == [node for node in every if holds(node)]
    assert nodes


@pytest.mark.parametrize(
    ("field", "name"), [("TOKENS_PER_SECOND", "tokensPerSecond"), ("DEPTH", "depthTokens"), ("DATE", "date")]
)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_orders_put_what_is_unknown_last(data: Any, field: str, name: str, direction: str) -> None:
    values = [node[name] for node in await everything(data, orderBy=[{"field": field, "direction": direction}])]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    if name != "date":
        assert known == sorted(known, reverse=direction == "DESC")
    else:
        years = [value[:4] for value in known]
        assert years == sorted(years, reverse=direction == "DESC")


async def test_pages_from_the_end(data: Any) -> None:
    every = await everything(data)
    end = (await data(LIST, last=5))["measurements"]
    assert end["nodes"] == every[-5:]
    assert (end["pageInfo"]["hasNextPage"], end["pageInfo"]["hasPreviousPage"]) == (False, True)
    before = (await data(LIST, last=5, before=end["pageInfo"]["startCursor"]))["measurements"]
    assert before["nodes"] == every[-10:-5]
    assert (before["pageInfo"]["hasNextPage"], before["pageInfo"]["hasPreviousPage"]) == (True, True)


async def test_a_fit_has_its_own(data: Any) -> None:
    every = await everything(data)
    reply = await data(
        """{ fit(model: "llama-2-7b", gpu: "rtx-3090", quant: "Q4_0") {
          all: measurements(first: 100) { totalCount nodes { id } }
          decode: measurements(filter: {phase: DECODE}, orderBy: [{field: TOKENS_PER_SECOND}], first: 100) {
            totalCount nodes { id tokensPerSecond } }
          none: measurements(filter: {model: {in: ["llama-3.1-8b"]}}) { totalCount } } }"""
    )
    of_it = [
        node
        for node in every
        if (node["model"]["slug"], node["gpu"]["slug"], node["quant"]["slug"]) == ("llama-2-7b", "rtx-3090", "q4-0")
    ]
    assert [node["id"] for node in reply["fit"]["all"]["nodes"]] == [node["id"] for node in of_it]
    decode = [node for node in of_it if node["phase"] == "DECODE"]
    assert reply["fit"]["all"]["totalCount"] == len(of_it) > reply["fit"]["decode"]["totalCount"] == len(decode) > 1
    speeds = [node["tokensPerSecond"] for node in reply["fit"]["decode"]["nodes"]]
    assert speeds == sorted(speeds, reverse=True)
    assert reply["fit"]["none"] == {"totalCount": 0}


async def test_a_measurement_is_found_again_by_its_id(data: Any) -> None:
    first = (await data(LIST, first=1))["measurements"]["nodes"][0]
    node = "query($id: ID!) { node(id: $id) { __typename id ... on Measurement { tokensPerSecond model { slug } } } }"
    assert (await data(node, id=first["id"]))["node"] == {
        "__typename": "Measurement",
        "id": first["id"],
        "tokensPerSecond": first["tokensPerSecond"],
        "model": first["model"],
    }
    assert (await data(node, id=encode_id("Measurement", "0123456789abcdef")))["node"] is None


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"model": {"in": ["nope"]}}, "NOT_FOUND"),
        ({"depthTokens": {"min": 2, "max": 1}}, "BAD_USER_INPUT"),
        ({"source": "x" * 201}, "LIMIT_EXCEEDED"),
        ({"phase": "BOTH"}, "BAD_USER_INPUT"),
    ],
)
async def test_bad_filters(client: Any, wanted: Any, code: str) -> None:
    response = await client.post("/graphql", json={"query": LIST, "variables": {"filter": wanted}})
    assert response.json()["errors"][0]["extensions"]["code"] == code


async def test_measurements_need_no_database(data: Any, statements: Any, live: Any) -> None:
    query = (
        "{ measurements(first: 30, filter: {phase: DECODE}) { totalCount nodes { id model { slug } gpu { slug } } } }"
    )
    await data("{ __typename }")
    with statements() as executed:
        published = await data(query)
    assert executed == []
    assert (await live(query))["data"] == published
