"""Models, accelerators, closed lists, nodes: names, filters, orders, pages."""

from __future__ import annotations

from typing import Any

import pytest

from api.graphql.core.ids import encode_id
from estimator.types import Engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", ["rtx-4090", "RTX 4090", "NVIDIA GeForce RTX 4090", "nvidia geforce rtx4090"])
async def test_slugs_and_aliases_name_the_same(data: Any, name: str) -> None:
    assert (await data("query($n: String!) { gpu(slug: $n) { slug } }", n=name))["gpu"] == {"slug": "rtx-4090"}


@pytest.mark.parametrize("kind", ["model", "gpu", "quant"])
async def test_an_unknown_name_is_a_typed_error(ask: Any, kind: str) -> None:
    answer = await ask(f'{{ {kind}(slug: "zzzz-9999") {{ slug }} }}')
    assert answer["data"] == {kind: None}
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["kind"], extensions["name"]) == ("NOT_FOUND", kind, "zzzz-9999")


async def test_near_names_are_suggested(ask: Any) -> None:
    error = (await ask('{ gpu(slug: "rtx 4091") { slug } }'))["errors"][0]
    assert error["extensions"]["code"] == "NOT_FOUND"
    assert any("4090" in name for name in error["extensions"]["suggestions"])
    assert "Did you mean" in error["message"]


async def test_facts_of_a_model(data: Any) -> None:
    query = """{ model(slug: "kimi-linear-48b-a3b") { name parameterCount activeParameterCount contextTokens layerCount
        mixtureOfExperts { expertCount expertsPerToken sharedExpertCount layerCount } attention { layerPattern }
        verified missingFacts sources unverifiedFacts releaseDate releaseDateKind } }"""
    model = (await data(query))["model"]
    assert model["parameterCount"] == 49_122_681_728
    assert model["activeParameterCount"] == 3_484_459_904
    assert model["mixtureOfExperts"] == {
        "expertCount": 256,
        "expertsPerToken": 8,
        "sharedExpertCount": 1,
        "layerCount": 26,
    }
    assert model["attention"]["layerPattern"].count("F") == 7
    assert model["missingFacts"] == []
    assert model["sources"]
    assert "release_date" not in model["unverifiedFacts"]
    assert model["releaseDateKind"] == "REPOSITORY_CREATED"


async def test_native_and_extended_context_are_two_facts(data: Any) -> None:
    query = (
        "{ model(slug: %s) { contextTokens nativeContextTokens contextExtension { tokens method factor isApplied } } }"
    )
    assert (await data(query % '"qwen3-30b-a3b"'))["model"] == {
        "contextTokens": 40_960,
        "nativeContextTokens": 32_768,
        "contextExtension": {"tokens": 131_072, "method": "yarn", "factor": 4.0, "isApplied": False},
    }
    assert (await data(query % '"llama-3.1-8b"'))["model"]["nativeContextTokens"] == 8192
    assert (await data(query % '"llama-2-7b"'))["model"]["contextExtension"] is None


async def test_facts_of_an_accelerator_in_base_units(data: Any) -> None:
    query = """{ gpu(slug: "rtx-4090") { vendor kind memoryBytes bandwidthBytesPerSecond matrixFlopsPerSecond
        hostLinkBytesPerSecond peerLinkBytesPerSecond powerWatts priceUsd backends engines { slug } } }"""
    gpu = (await data(query))["gpu"]
    assert gpu["vendor"] == "NVIDIA"
    assert gpu["memoryBytes"] == 25_757_220_864
    assert gpu["bandwidthBytesPerSecond"] == 1_008e9
    assert gpu["matrixFlopsPerSecond"] == pytest.approx(165.15e12)
    assert gpu["hostLinkBytesPerSecond"] == pytest.approx(16 * 1.969e9)
    assert gpu["peerLinkBytesPerSecond"] is None
    assert (gpu["powerWatts"], gpu["priceUsd"]) == (450, 1599)
    assert set(gpu["backends"]) == {"CUDA", "VULKAN"}
    assert "llama.cpp" in {engine["slug"] for engine in gpu["engines"]}


#: Two cards whose price is not known, and the one from that price on.
PRICED_FROM = ["apple-m3-max-30c-36gb", "rtx-4090", "tesla-v100-sxm2-32-gb"]


async def slugs(data: Any, kind: str, arguments: str) -> list[str]:
    reply = await data(f"{{ {kind}({arguments}) {{ nodes {{ slug }} }} }}")
    return [node["slug"] for node in reply[kind]["nodes"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("filter: {vendor: {in: [APPLE, AMD]}}", ["apple-m3-max-30c-36gb", "rx-7900-xtx"]),
        ("filter: {memoryBytes: {min: 30000000000}}", ["apple-m3-max-30c-36gb", "tesla-v100-sxm2-32-gb"]),
        ("filter: {memoryBytes: {max: 24000000000}}", []),
        ("filter: {unifiedMemory: true}", ["apple-m3-max-30c-36gb"]),
        ("filter: {backend: {in: [METAL]}}", ["apple-m3-max-30c-36gb"]),
        ('filter: {slug: {in: ["RTX-4090"]}}', ["rtx-4090"]),
        ("filter: {vendor: {in: []}}", []),
        ("filter: {vendor: {notIn: [NVIDIA]}}", ["apple-m3-max-30c-36gb", "rx-7900-xtx"]),
        ("filter: {vendor: {in: [NVIDIA, AMD], notIn: [NVIDIA]}}", ["rx-7900-xtx"]),
        ('filter: {slug: {notIn: ["RTX 4090"]}, vendor: {in: [NVIDIA]}}', ["rtx-3090", "tesla-v100-sxm2-32-gb"]),
        ("filter: {backend: {notIn: [CUDA, ROCM]}}", ["apple-m3-max-30c-36gb"]),
        ("filter: {priceUsd: {min: 1550, includeUnknown: true}, vendor: {in: [NVIDIA, APPLE]}}", PRICED_FROM),
        (
            "filter: {or: [{vendor: {in: [APPLE]}}, {vendor: {in: [NVIDIA]}, memoryBytes: {min: 30000000000}}]}",
            ["apple-m3-max-30c-36gb", "tesla-v100-sxm2-32-gb"],
        ),
        ("filter: {or: []}", []),
        ('filter: {search: "rtx 409o"}', []),
        ('filter: {search: "rtx 30"}', ["rtx-3090"]),
        # An input that nobody has typed into asks for nothing; one without a letter or digit of ours finds nothing.
        ('filter: {search: " ", unifiedMemory: true}', ["apple-m3-max-30c-36gb"]),
        ('filter: {search: "", unifiedMemory: true}', ["apple-m3-max-30c-36gb"]),
        ('filter: {search: "漢字"}', []),
        ('filter: {search: "radoen"}', ["rx-7900-xtx"]),
        ('filter: {releaseDate: {min: "2022", max: "2022-10"}}', ["rtx-4090"]),
        ("filter: {priceUsd: {max: 1500}, vendor: {in: [NVIDIA]}}", ["rtx-3090"]),
        ("orderBy: [{field: BANDWIDTH, direction: DESC}], first: 2", ["rtx-4090", "rx-7900-xtx"]),
        (
            "orderBy: [{field: PRICE}, {field: NAME, direction: DESC}], first: 3",
            ["rx-7900-xtx", "rtx-3090", "rtx-4090"],
        ),
    ],
)
async def test_filters_and_orders_of_accelerators(data: Any, arguments: str, expected: list[str]) -> None:
    assert await slugs(data, "gpus", arguments) == expected


async def test_unknown_values_come_last_both_ways(data: Any) -> None:
    for direction in ("ASC", "DESC"):
        names = await slugs(data, "gpus", f"orderBy: [{{field: PRICE, direction: {direction}}}]")
        assert names[-1] in ("apple-m3-max-30c-36gb", "tesla-v100-sxm2-32-gb")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "filter: {mixtureOfExperts: false, or: [{verified: true}, {verified: false}]}",
            ["llama-2-7b", "llama-3.1-8b"],
        ),
        ("filter: {mixtureOfExperts: true}", ["kimi-linear-48b-a3b", "qwen3-30b-a3b"]),
        ("filter: {parameterCount: {max: 7000000000}}", ["llama-2-7b"]),
        ("filter: {activeParameterCount: {max: 4000000000}}", ["kimi-linear-48b-a3b", "qwen3-30b-a3b"]),
        ('filter: {family: {in: ["llama 2"]}}', ["llama-2-7b"]),
        ('filter: {license: {in: ["MIT", "llama2"]}}', ["kimi-linear-48b-a3b", "llama-2-7b"]),
        ('filter: {search: "lama"}', ["llama-2-7b", "llama-3.1-8b"]),
        ('filter: {search: "kimi linaer"}', ["kimi-linear-48b-a3b"]),
        ("filter: {contextTokens: {min: 1000000}}", ["kimi-linear-48b-a3b"]),
        ('filter: {releaseDate: {min: "2025"}}', ["kimi-linear-48b-a3b", "qwen3-30b-a3b"]),
        ("orderBy: [{field: PARAMETER_COUNT, direction: DESC}], first: 1", ["kimi-linear-48b-a3b"]),
        ("filter: {estimable: false}", []),
    ],
)
async def test_filters_and_orders_of_models(data: Any, arguments: str, expected: list[str]) -> None:
    assert sorted(await slugs(data, "models", arguments)) == sorted(expected)


async def test_pages_forward_and_backward_cover_the_list_once(data: Any) -> None:
    query = """query($first: Int, $after: String, $last: Int, $before: String) {
      gpus(first: $first, after: $after, last: $last, before: $before, orderBy: [{field: MEMORY}]) {
        totalCount edges { cursor node { slug } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    forward: list[str] = []
    cursor = None
    while True:
        page = (await data(query, first=2, after=cursor))["gpus"]
        forward += [edge["node"]["slug"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] is (cursor is not None)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(forward) == len(set(forward)) == page["totalCount"] == 5
    backward: list[str] = []
    cursor = None
    while True:
        page = (await data(query, last=2, before=cursor))["gpus"]
        backward = [edge["node"]["slug"] for edge in page["edges"]] + backward
        assert page["pageInfo"]["hasNextPage"] is (cursor is not None)
        cursor = page["pageInfo"]["startCursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            break
    assert backward == forward


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("first: 101", "LIMIT_EXCEEDED"),
        ("last: 1000", "LIMIT_EXCEEDED"),
        ("first: -1", "BAD_USER_INPUT"),
        ("first: 1, last: 1", "BAD_USER_INPUT"),
        ('after: "nonsense"', "BAD_USER_INPUT"),
        ("orderBy: [{field: NAME}, {field: NAME}]", "BAD_USER_INPUT"),
        ("orderBy: [{field: NAME}, {field: SLUG}, {field: RELEASE_DATE}, {field: RELEASE_DATE}]", "LIMIT_EXCEEDED"),
        ("filter: {contextTokens: {min: 5, max: 1}}", "BAD_USER_INPUT"),
        ('filter: {releaseDate: {min: "yesterday"}}', "BAD_USER_INPUT"),
        ('filter: {releaseDate: {min: "2025-02-30"}}', "BAD_USER_INPUT"),
        ('filter: {releaseDate: {min: "٢٠٢٥"}}', "BAD_USER_INPUT"),
        ('filter: {or: [{search: "kimi"}]}', "BAD_USER_INPUT"),
        ("filter: {or: [{or: []}]}", "BAD_USER_INPUT"),
        ('filter: {search: "' + "x" * 201 + '"}', "LIMIT_EXCEEDED"),
    ],
)
async def test_bad_arguments_are_typed_errors(client: Any, arguments: str, code: str) -> None:
    response = await client.post("/graphql", json={"query": f"{{ models({arguments}) {{ totalCount }} }}"})
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == [code]


@pytest.mark.parametrize(
    "owner", ["models", "gpus", "fits(filter: {gpuMatches", "fits(filter: {modelMatches", "measurements"]
)
async def test_a_range_of_dates_that_ends_before_it_begins(ask: Any, owner: str) -> None:
    name = "date" if owner == "measurements" else "releaseDate"
    bounds = f'{{{name}: {{min: "2025-12", max: "2025-11-30"}}}}'
    query = f"{owner}: {bounds}}})" if "filter" in owner else f"{owner}(filter: {bounds})"
    error = (await ask(f"{{ {query} {{ totalCount }} }}"))["errors"][0]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": name}
    assert error["message"] == f"{name}: min 2025-12 is later than max 2025-11-30."
    assert "errors" not in await ask("{ " + query.replace("2025-11-30", "2025-12-01") + " { totalCount } }")


async def test_a_limit_error_names_limit_value_and_maximum(ask: Any) -> None:
    extensions = (await ask("{ models(first: 500) { totalCount } }"))["errors"][0]["extensions"]
    assert extensions == {"code": "LIMIT_EXCEEDED", "limit": "first", "value": 500, "maximum": 100}


async def test_a_cursor_of_another_list_is_refused(ask: Any, data: Any) -> None:
    cursor = (await data("{ gpus(first: 1) { pageInfo { endCursor } } }"))["gpus"]["pageInfo"]["endCursor"]
    for arguments in ("orderBy: [{field: NAME}]", "filter: {unifiedMemory: true}"):
        answer = await ask(f"query($c: String) {{ gpus(after: $c, {arguments}) {{ totalCount }} }}", c=cursor)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_closed_lists(data: Any) -> None:
    lists = await data(
        "{ hosts { default memoryBytes } quants { slug nominalBits } workloads { kind contextTokens } "
        "engines { kind formats backends frontOf } }"
    )
    assert [host["default"] for host in lists["hosts"]].count(True) == 1
    bits = [quant["nominalBits"] for quant in lists["quants"]]
    assert bits == sorted(bits)
    assert [workload["kind"] for workload in lists["workloads"]] == [
        "CHAT",
        "CODING",
        "AGENTIC_CODING",
        "REASONING",
        "RAG",
    ]
    engines = {engine["kind"]: engine for engine in lists["engines"]}
    assert set(engines) == {engine.name for engine in Engine}
    assert {kind for kind, engine in engines.items() if engine["frontOf"]} == {"OLLAMA", "LM_STUDIO", "LLAMAFILE"}
    assert engines["LLAMA_CPP"]["formats"] == ["GGUF"]
    assert engines["OLLAMA"]["frontOf"] == "LLAMA_CPP"


@pytest.mark.parametrize(
    "selection",
    [
        'model(slug: "llama-2-7b")',
        'gpu(slug: "rtx-3090")',
        'quant(slug: "Q4_K_M")',
        'fit(model: "llama-2-7b", gpu: "rtx-3090", quant: "q4-k-m")',
    ],
)
async def test_ids_read_back_through_node(data: Any, selection: str) -> None:
    first = await data(f"{{ thing: {selection} {{ id __typename }} }}")
    again = await data("query($id: ID!) { node(id: $id) { id __typename } }", id=first["thing"]["id"])
    assert again["node"] == first["thing"]


async def test_nodes_come_in_the_order_asked_for(data: Any) -> None:
    ids = [encode_id("Gpu", "rtx-3090"), encode_id("Model", "gone"), encode_id("Gpu", "rtx-4090")]
    nodes = (await data("query($ids: [ID!]!) { nodes(ids: $ids) { ... on Gpu { slug } } }", ids=ids))["nodes"]
    assert nodes == [{"slug": "rtx-3090"}, None, {"slug": "rtx-4090"}]


@pytest.mark.parametrize("text", ["", "abc", encode_id("Secret", "x"), encode_id("Run", "x")])
async def test_a_foreign_id_is_a_typed_error(ask: Any, text: str) -> None:
    answer = await ask("query($id: ID!) { node(id: $id) { id } }", id=text)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_catalog_counts_are_a_product(data: Any) -> None:
    state = (
        await data(
            "{ catalog { revision generation publishedAt modelCount gpuCount workloadCount fitCount unsupportedCount "
            "precomputedQuantCount "
            "estimableModelCount precomputedModelCount estimableGpuCount lastRun { state cellCount doneCellCount } } }"
        )
    )["catalog"]
    assert (state["modelCount"], state["gpuCount"], state["workloadCount"], state["generation"]) == (4, 5, 5, 1)
    assert state["lastRun"]["state"] == "PUBLISHED"
    product = state["precomputedModelCount"] * state["estimableGpuCount"] * state["precomputedQuantCount"] * 5
    assert state["fitCount"] + state["unsupportedCount"] == product
    assert 0 < state["fitCount"] < product


async def test_runs(data: Any) -> None:
    runs = (await data("{ runs { totalCount nodes { id state cause generation error } pageInfo { hasNextPage } } }"))[
        "runs"
    ]
    assert runs["totalCount"] == 1
    listed = "query($f: RunFilter) { runs(filter: $f, first: 1) { totalCount nodes { state } edges { cursor } } }"
    cause = runs["nodes"][0]["cause"]
    for wanted, count in (
        ({"state": {"in": ["PUBLISHED", "FAILED"]}}, 1),
        ({"state": {"in": ["FAILED"]}}, 0),
        ({"state": {"in": []}}, 0),
        ({"cause": {"in": [cause.upper(), "nobody"]}}, 1),
        ({"cause": {"notIn": [cause.upper()]}}, 0),
        ({"cause": {"notIn": ["nobody"]}, "state": {"notIn": ["FAILED"]}}, 1),
        ({"cause": {"in": ["nobody"]}, "state": {"in": ["PUBLISHED"]}}, 0),
        ({}, 1),
    ):
        part = (await data(listed, f=wanted))["runs"]
        assert (part["totalCount"], len(part["nodes"])) == (count, count), wanted
    run = runs["nodes"][0]
    assert (run["state"], run["generation"], run["error"]) == ("PUBLISHED", 1, None)
    assert (await data("query($id: ID!) { run(id: $id) { cause } }", id=run["id"]))["run"] == {"cause": run["cause"]}
    assert (await data("query($id: ID!) { run(id: $id) { cause } }", id=encode_id("Run", "99")))["run"] is None


async def test_a_set_of_slugs_takes_names_and_refuses_unknown_ones(ask: Any, data: Any) -> None:
    asked = '{ gpus(filter: {slug: {in: ["RTX 4090", "3090"]}}) { nodes { slug } } }'
    assert [gpu["slug"] for gpu in (await data(asked))["gpus"]["nodes"]] == ["rtx-3090", "rtx-4090"]
    unknown = (
        ("models", "llama", "AMBIGUOUS_NAME"),
        ("models", "llama 3.1 8b zorbly", "AMBIGUOUS_NAME"),
        ("models", "no such model at all", "NOT_FOUND"),
    )
    for kind, name, code in unknown:
        answer = await ask(f'{{ {kind}(filter: {{slug: {{in: ["{name}"]}}}}) {{ nodes {{ slug }} }} }}')
        assert answer["errors"][0]["extensions"]["code"] == code
        assert answer["errors"][0]["extensions"]["name"] == name


async def test_a_name_says_what_it_means(ask: Any, data: Any) -> None:
    fields = "{ slug notes { code message values } choices count quantSlug }"
    meant = await data(f'{{ nameMeaning(kind: GPU, text: "2x rxt 4090") {fields} }}')
    assert meant["nameMeaning"] == {
        "slug": "rtx-4090", "choices": [], "count": 2, "quantSlug": None,
        "notes": [{"code": "NAME_TAKEN_AS", "message": "'2x rxt 4090' is taken as GeForce RTX 4090.", "values": {
            "name": "2x rxt 4090", "takenAs": "GeForce RTX 4090", "others": []}}],
    }  # fmt: skip
    file = await data(f'{{ nameMeaning(kind: MODEL, text: "Llama-3.1-8B-Instruct-Q5_K_M.gguf") {fields} }}')
    assert (file["nameMeaning"]["slug"], file["nameMeaning"]["quantSlug"]) == ("llama-3.1-8b", "q5-k-m")
    unknown = await ask(f'{{ nameMeaning(kind: GPU, text: "rtx 4091") {fields} }}')
    assert unknown["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_benchmarks_are_listed(data: Any) -> None:
    reply = await data("{ benchmarks { name settings modelCount } models { nodes { benchmarks { name setting } } } }")
    results = [(node, result) for node, model in enumerate(reply["models"]["nodes"]) for result in model["benchmarks"]]
    assert [benchmark["name"] for benchmark in reply["benchmarks"]] == sorted(
        {benchmark["name"] for _, benchmark in results}, key=str.casefold
    )
    for benchmark in reply["benchmarks"]:
        own = [(node, result) for node, result in results if result["name"] == benchmark["name"]]
        assert benchmark["modelCount"] == len({node for node, _ in own})
        assert benchmark["settings"] == sorted({result["setting"] for _, result in own if result["setting"]})
