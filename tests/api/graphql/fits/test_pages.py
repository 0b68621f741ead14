"""Lists of fits from both ends, of everything that fits belong to."""

from __future__ import annotations

from typing import Any

import pytest

from api.catalog import fit_reads
from api.graphql.core.ids import Cursor, encode_cursor, encode_id
from db.fits import query as fit_query
from estimator.placement.hosts import host_for
from tests.support import answers

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = """pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  nodes { id score model { slug } gpu { slug } quant { slug } workload { slug } engine { slug } }"""
ARGUMENTS = "filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before"
VARIABLES = "$filter: FitFilter, $orderBy: [FitOrder!], $first: Int, $after: String, $last: Int, $before: String"
#: Of each owner: how it is asked for, and how its fits are known.
OWNERS: dict[str, tuple[str, dict[str, str]]] = {
    "all": ("", {}),
    "model": ('model(slug: "llama-2-7b")', {"model": "llama-2-7b"}),
    "gpu": ('gpu(slug: "rtx-4090")', {"gpu": "rtx-4090"}),
    "quant": ('quant(slug: "q4-k-m")', {"quant": "q4-k-m"}),
}


def host_of(gpu: str) -> str:
    """Slug of the computer that fits of an accelerator are computed in."""
    return host_for(answers.accelerator(gpu), answers.HOSTS).slug


def page_of(owner: str) -> str:
    fits = f"fits({ARGUMENTS}) {{ {PARTS} }}"
    return f"query({VARIABLES}) {{ {fits if not owner else f'owner: {owner} {{ {fits} }}'} }}"


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize(
    "order_by",
    [
        None,
        [{"field": "DECODE"}],
        [{"field": "TTFT", "direction": "ASC"}, {"field": "SCORE"}],
        [{"field": "PREFILL"}],
        [{"field": "PRICE", "direction": "ASC"}, {"field": "MEMORY", "direction": "ASC"}],
    ],
)
async def test_pages_from_the_end_are_those_from_the_start_turned_round(data: Any, owner: str, order_by: Any) -> None:
    query = page_of(OWNERS[owner][0])
    # The condition that all accelerators meet makes the filter one of few accelerators.
    wanted = {"filter": {"workload": {"in": ["CODING", "RAG"]}, "gpuMatches": {}}, "orderBy": order_by}

    async def page(**paging: Any) -> Any:
        reply = await data(query, **wanted, **paging)
        return (reply["owner"] if OWNERS[owner][0] else reply)["fits"]

    forward: list[str] = []
    cursor = None
    while True:
        part = await page(first=17, after=cursor)
        forward += [fit["id"] for fit in part["nodes"]]
        assert part["pageInfo"]["hasPreviousPage"] is (cursor is not None)
        cursor = part["pageInfo"]["endCursor"]
        if not part["pageInfo"]["hasNextPage"]:
            break
    backward: list[str] = []
    cursor = None
    while True:
        part = await page(last=17, before=cursor)
        backward = [fit["id"] for fit in part["nodes"]] + backward
        assert part["pageInfo"]["hasNextPage"] is (cursor is not None)
        cursor = part["pageInfo"]["startCursor"]
        if not part["pageInfo"]["hasPreviousPage"]:
            break
    assert forward == backward
    assert len(forward) > 20
    # A page between two others knows of both, whichever way it was reached.
    second = await page(first=10, after=(await page(first=10))["pageInfo"]["endCursor"])
    assert (second["pageInfo"]["hasPreviousPage"], second["pageInfo"]["hasNextPage"]) == (True, True)
    back = await page(last=10, before=(await page(last=10))["pageInfo"]["startCursor"])
    assert (back["pageInfo"]["hasPreviousPage"], back["pageInfo"]["hasNextPage"]) == (True, True)


@pytest.mark.parametrize("plural", ["quants", "workloads", "engines", "hosts"])
async def test_lists_hold_the_first_of_their_own_fits(data: Any, plural: str) -> None:
    singular = plural[:-1]
    wanted = {"recommended": True, "model": {"in": ["llama-2-7b", "llama-3.1-8b", "qwen3-30b-a3b"]}}
    reply = await data(
        f"query($filter: FitFilter) {{ {plural} {{ slug fits(first: 3, filter: $filter) {{ totalCount {PARTS} }} }} "
        f"fits(first: 100, filter: $filter) {{ totalCount {PARTS} }} }}",
        filter=wanted,
    )
    everything = reply["fits"]["nodes"]
    assert reply["fits"]["totalCount"] == len(everything)
    counts = 0
    for owner in reply[plural]:
        of_it = [
            fit
            for fit in everything
            if (host_of(fit["gpu"]["slug"]) if singular == "host" else fit[singular]["slug"]) == owner["slug"]
        ]
        assert owner["fits"]["nodes"] == of_it[:3]
        assert owner["fits"]["totalCount"] == len(of_it)
        assert owner["fits"]["pageInfo"]["hasNextPage"] is (len(of_it) > 3)
        counts += len(of_it)
    # A computer with memory of its own, such as a Mac, is no profile.
    profiles = [fit for fit in everything if singular != "host" or host_of(fit["gpu"]["slug"]) != fit["gpu"]["slug"]]
    assert counts == len(profiles)
    assert (len(profiles) < len(everything)) is (singular == "host")


async def test_a_filter_that_shuts_an_owner_out_leaves_it_nothing(data: Any) -> None:
    reply = await data(
        """{ quant(slug: "q4-k-m") { fits(filter: {quant: {in: ["Q8_0"]}}) { totalCount nodes { id } } }
          workloads { kind fits(first: 1, filter: {workload: {in: [RAG]}}) { totalCount nodes { workload { kind } } } }
          engines { kind fits(first: 1, filter: {engine: {in: [VLLM]}, gpu: {in: ["rtx-4090"]}}) {
            nodes { engine { kind } } } } }"""
    )
    assert reply["quant"]["fits"] == {"totalCount": 0, "nodes": []}
    for workload in reply["workloads"]:
        assert [fit["workload"]["kind"] for fit in workload["fits"]["nodes"]] == ["RAG"] * (workload["kind"] == "RAG")
        assert (workload["fits"]["totalCount"] > 0) == (workload["kind"] == "RAG")
    for engine in reply["engines"]:
        assert [fit["engine"]["kind"] for fit in engine["fits"]["nodes"]] == ["VLLM"] * (engine["kind"] == "VLLM")


@pytest.mark.parametrize(("kind", "name"), [("quants", "quantizations"), ("engines", "engines")])
async def test_fits_of_many_quantizations_or_engines_need_a_narrow_filter(ask: Any, kind: str, name: str) -> None:
    answer = await ask(
        f"{{ {kind} {{ fits(first: 1) {{ nodes {{ id }} }} }} workloads {{ fits(first: 1) {{ nodes {{ score }} }} }} }}"
    )
    # A front has no fits, so none of its are read.
    read = [owner for owner in answer["data"][kind] if owner["fits"] is None]
    assert len(read) == answer["errors"][0]["extensions"]["value"] > 5
    assert all(workload["fits"]["nodes"] for workload in answer["data"]["workloads"])
    limit = answer["errors"][0]["extensions"]
    assert (limit["code"], limit["limit"], limit["maximum"]) == ("LIMIT_EXCEEDED", f"{name} with fits", 5)
    # A read of the same turn stands.
    assert {error["path"][0] for error in answer["errors"]} == {kind}


async def test_fits_of_few_quantizations_need_no_filter(ask: Any) -> None:
    few = " ".join(
        f'{name}: quant(slug: "{name}") {{ fits(first: 1) {{ nodes {{ score }} }} }}' for name in ("q8_0", "q6_k")
    )
    answer = await ask(f"{{ {few} }}")
    assert all(quant["fits"]["nodes"] for quant in answer["data"].values())


UNINDEXED = ("PREFILL", "MEMORY", "PRICE")
READERS: dict[str, Any] = {
    "PREFILL": lambda fit: (fit["prefill"] or {"tokensPerSecond": None})["tokensPerSecond"],
    "MEMORY": lambda fit: (fit["memory"] or {"totalBytes": None})["totalBytes"],
    "PRICE": lambda fit: fit["gpu"]["priceUsd"],
}
FIGURES = "id prefill { tokensPerSecond } memory { totalBytes } gpu { priceUsd }"


@pytest.mark.parametrize("field", UNINDEXED)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_orders_by_what_has_no_column(data: Any, field: str, direction: str) -> None:
    query = f"""query($order: [FitOrder!]) {{ model(slug: "llama-3.1-8b") {{
      fits(first: 100, orderBy: $order, filter: {{workload: {{in: [CODING]}}}}) {{ totalCount nodes {{ {FIGURES} }} }} }} }}"""
    fits = (await data(query, order=[{"field": field, "direction": direction}]))["model"]["fits"]
    figures = [READERS[field](fit) for fit in fits["nodes"]]
    known = [figure for figure in figures if figure is not None]
    assert len(figures) == min(fits["totalCount"], 100)
    assert len(set(known)) >= 3
    assert figures[: len(known)] == sorted(known, reverse=direction == "DESC")


@pytest.mark.parametrize("field", UNINDEXED)
async def test_orders_by_what_has_no_column_need_few_models_or_accelerators(
    ask: Any, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fit_query, fit_reads):
        monkeypatch.setattr(module, "NARROW_IDS", 3)
    order = f"orderBy: [{{field: {field}}}]"

    async def refused(query: str) -> Any:
        answer = await ask(query)
        error = answer["errors"][0]
        extensions = error["extensions"]
        assert (extensions["code"], extensions["field"]) == ("BAD_USER_INPUT", "orderBy")
        assert (extensions["order"], extensions["maximum"]) == (field, 3)
        assert error["message"].startswith(f"An order by {field} needs a filter that leaves at most 3 models or accel")
        return error

    for wide in ("", ", filter: {gpuMatches: {}}"):
        await refused(f"{{ fits({order}{wide}) {{ nodes {{ id }} }} }}")
    for owners in ('quant(slug: "q4-k-m")', "workloads", "engines"):
        await refused(f"{{ {owners} {{ fits({order}) {{ nodes {{ id }} }} }} }}")
    error = await refused(f"{{ gpus {{ nodes {{ fits({order}) {{ nodes {{ id }} }} }} }} }}")
    assert "at most 3 of them at once, not of 5" in error["message"]
    few = f"{{ gpus(first: 3) {{ nodes {{ fits({order}, first: 2) {{ nodes {{ id }} }} }} }} }}"
    assert all(len(gpu["fits"]["nodes"]) == 2 for gpu in (await ask(few))["data"]["gpus"]["nodes"])


async def test_a_cursor_of_one_owner_is_not_one_of_another(ask: Any, data: Any) -> None:
    query = (
        "query($s: String!, $c: String) { quant(slug: $s) { fits(first: 1, after: $c) { pageInfo { endCursor } } } }"
    )
    cursor = (await data(query, s="q4-k-m"))["quant"]["fits"]["pageInfo"]["endCursor"]
    assert (await data(query, s="q4-k-m", c=cursor))["quant"]["fits"]["pageInfo"]["endCursor"] != cursor
    answer = await ask(query, s="q8-0", c=cursor)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_one_row_an_accelerator_with_its_fastest_quantization_that_fits(data: Any) -> None:
    query = """query($first: Int, $after: String) { model(slug: "llama-3.1-8b") {
      fits(filter: {workload: {in: [CHAT]}, status: {in: [FITS]}}, orderBy: [{field: DECODE}], onePer: GPU, first: $first,
        after: $after) { totalCount pageInfo { hasNextPage endCursor } nodes { gpu { slug } decode { tokensPerSecond } } }
      every: fits(filter: {workload: {in: [CHAT]}, status: {in: [FITS]}}, orderBy: [{field: DECODE}], first: 100) {
        nodes { gpu { slug } decode { tokensPerSecond } } } } }"""
    model = (await data(query))["model"]
    fastest: dict[str, Any] = {}
    for fit in model["every"]["nodes"]:
        fastest.setdefault(fit["gpu"]["slug"], fit)
    assert model["fits"]["nodes"][: len(fastest)] == list(fastest.values())
    assert model["fits"]["totalCount"] == len(model["fits"]["nodes"]) == 5
    head = (await data(query, first=2))["model"]["fits"]
    tail = (await data(query, first=9, after=head["pageInfo"]["endCursor"]))["model"]["fits"]
    assert head["nodes"] + tail["nodes"] == model["fits"]["nodes"]


async def test_one_fit_a_group_of_everything_is_refused(ask: Any) -> None:
    answer = await ask("{ fits(onePer: MODEL) { totalCount nodes { id } } }")
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert answer["errors"][0]["extensions"]["field"] == "onePer"


async def test_a_wrong_cursor_or_name_fails_its_own_field(ask: Any) -> None:
    cursor = encode_cursor(Cursor("g0", "x", ("y",)))
    query = """query($c: String, $ids: [ID!]!) {
      models(first: 2) { nodes { slug fits(first: 1, after: $c) { totalCount } } }
      quants { slug fits(after: "damaged") { totalCount } }
      nodes(ids: $ids) { id }
      gpu(slug: "no such card") { slug } other: gpu(slug: "rtx-4090") { slug fits(after: $c) { totalCount } } }"""
    own = encode_id("Gpu", "rtx-4090")
    answer = await ask(query, c=cursor, ids=["damaged", own, encode_id("Gpu", "gone")])
    assert "data" in answer, answer
    assert [model["fits"] for model in answer["data"]["models"]["nodes"]] == [None, None]
    assert all(quant["slug"] and quant["fits"] is None for quant in answer["data"]["quants"])
    assert answer["data"]["nodes"] == [None, {"id": own}, None]
    assert answer["data"]["gpu"] is None
    assert answer["data"]["other"] == {"slug": "rtx-4090", "fits": None}
    places = {tuple(error["path"]) for error in answer["errors"]}
    assert {("models", "nodes", 0, "fits"), ("models", "nodes", 1, "fits"), ("nodes", 0), ("gpu",)} <= places
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT", "NOT_FOUND"}


async def test_orders_by_value_and_efficiency(data: Any) -> None:
    query = """query($f: FitOrderField!) { fits(filter: {model: {in: ["llama-2-7b"]}, workload: {in: [CHAT]}}, onePer: GPU,
      orderBy: [{field: $f}]) { nodes { gpu { priceUsd powerWatts } decode { tokensPerSecond } } } }"""
    for field, figure in (("VALUE", "priceUsd"), ("EFFICIENCY", "powerWatts")):
        fits = (await data(query, f=field))["fits"]["nodes"]
        ratios = [
            fit["decode"]["tokensPerSecond"] / fit["gpu"][figure] if fit["decode"] and fit["gpu"][figure] else -1
            for fit in fits
        ]
        assert len(ratios) == 5
        assert ratios == sorted(ratios, reverse=True)
        assert ratios[0] > 0
