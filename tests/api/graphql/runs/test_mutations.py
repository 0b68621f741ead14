"""Changes by operators: tokens and scopes, validation as data, one new generation at the end."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from api.errors import ApiError, ErrorCode
from api.graphql.context import RequestContext
from api.graphql.core.ids import encode_id
from api.graphql.services.auth import Operators, Scope, new_token
from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog
from db.runs.leases import free_blocks
from db.session import sync_engine, upgrade_database
from tests.support.runs import run_in_process
from workers.blocks import compute_one
from workers.publish import publish_one

pytestmark = pytest.mark.asyncio(loop_scope="session")

UPSERT_MODEL = """mutation($entry: JSON!) { upsertModel(input: {entry: $entry, clientMutationId: "k"}) {
  model { slug name } run { id state blockCount } userErrors { code field message } clientMutationId } }"""
UPSERT_GPU = """mutation($entry: JSON!) { upsertGpu(input: {entry: $entry}) {
  gpu { slug bandwidthBytesPerSecond } run { id state } userErrors { code field message } } }"""
RECOMPUTE = "mutation { recompute(input: {everything: true}) { run { id state cause } userErrors { code } } }"
CANCEL = "mutation($id: ID!) { cancelRun(input: {id: $id}) { run { state } userErrors { code field message } } }"
ALL, ALL_SETTING = new_token("tester")
READER, READER_SETTING = new_token("planner", [Scope.RUNS])


class Desk:
    """An application of its own, with tokens and a published catalog; runs are worked off by hand."""

    def __init__(self, settings: ApiSettings, client: httpx.AsyncClient, app: Starlette) -> None:
        self.settings = settings
        self.client = client
        self.services, self.schema = app.state.services, app.state.schema

    async def send(self, query: str, token: str | None = ALL, **variables: Any) -> dict[str, Any]:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        response = await self.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        reply: dict[str, Any] = response.json()
        return reply

    def work_off(self, run_id: int) -> None:
        """Compute and publish an open run in this process."""
        with sync_engine(self.settings.resolved_database_url).connect() as connection:
            blocks = free_blocks(connection, run_id, 30.0)
        for block in blocks:
            compute_one(self.settings, run_id, block)
        publish_one(self.settings, run_id)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(
    tmp_path_factory: pytest.TempPathFactory, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    """A fresh desk; the broker is not there, as after a restart."""
    monkeypatch.setattr("workers.queue.wake_workers", lambda *_: 0)
    settings = ApiSettings(state_dir=tmp_path_factory.mktemp("desk"), tokens=(ALL_SETTING, READER_SETTING))
    upgrade_database(settings.resolved_database_url)
    assert run_in_process(settings, catalog) is not None
    app = create_app(settings, catalog)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Desk(settings, client, app)
    await app.state.services.close()


CHANGE = """mutation($input: ChangeCatalogInput!) { changeCatalog(input: $input) { models { slug } gpus { slug }
  run { id state } plan { blockCount cellCount modelSlugs gpuSlugs changedSlugs deletedSlugs everything }
  userErrors { code field message } } }"""


async def test_many_changes_are_published_by_one_run(desk: Desk, catalog: Catalog) -> None:
    base = catalog.models["llama-2-7b"]
    entries = [
        {**base, "slug": f"own-{n}", "name": f"Own {n}", "aliases": [], "hf_repo": f"me/own-{n}", "gguf_repo": None}
        for n in (1, 2)
    ]
    change = {"upsertModels": entries, "deleteGpus": ["RTX 4090"]}
    dry = (await desk.send(CHANGE, input={**change, "dryRun": True}))["data"]["changeCatalog"]
    assert (dry["run"], dry["userErrors"]) == (None, [])
    assert dry["plan"]["changedSlugs"] == ["own-1", "own-2"]
    # Two of six models are so many that everything is computed.
    assert dry["plan"]["everything"]
    assert set(dry["plan"]["modelSlugs"]) > {"own-1", "own-2"}
    assert dry["plan"]["deletedSlugs"] == ["rtx-4090"]
    assert (await desk.send("{ runs { totalCount } }"))["data"]["runs"]["totalCount"] == 1
    payload = (await desk.send(CHANGE, input=change))["data"]["changeCatalog"]
    assert payload["userErrors"] == []
    assert payload["plan"] == dry["plan"]
    assert [model["slug"] for model in payload["models"]] == ["own-1", "own-2"]
    desk.work_off(2)
    await asyncio.sleep(0.15)
    query = "{ runs { totalCount nodes { failedBlocks { error } } } models { totalCount } gpus { nodes { slug } } }"
    reply = (await desk.send(query))["data"]
    assert (reply["runs"]["totalCount"], reply["models"]["totalCount"]) == (2, 6)
    assert "rtx-4090" not in {gpu["slug"] for gpu in reply["gpus"]["nodes"]}
    assert reply["runs"]["nodes"][0] == {"failedBlocks": []}


async def test_one_wrong_entry_changes_nothing(desk: Desk, catalog: Catalog) -> None:
    good, wrong = catalog.models["llama-2-7b"], {"slug": "x", "layers": -1}
    change = {"upsertModels": [good, wrong], "deleteModels": ["nope"]}
    payload = (await desk.send(CHANGE, input=change))["data"]["changeCatalog"]
    assert (payload["run"], payload["plan"], payload["models"]) == (None, None, [])
    assert {tuple(error["field"][:2]) for error in payload["userErrors"]} == {
        ("upsertModels", "1"),
        ("deleteModels", "0"),
    }
    assert {error["code"] for error in payload["userErrors"]} == {"BAD_USER_INPUT", "NOT_FOUND"}
    many = await desk.send(CHANGE, input={"deleteModels": ["x"] * 501})
    assert many["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


@pytest.mark.parametrize("name", ["lama 2 7b", "someone/Llama-2-7b-tuned-GGUF", "llama-2-7b.Q4_K_M.gguf"])
async def test_only_what_is_named_exactly_is_taken_out(desk: Desk, name: str) -> None:
    payload = (await desk.send(CHANGE, input={"deleteModels": [name], "dryRun": True}))["data"]["changeCatalog"]
    assert [error["field"] for error in payload["userErrors"]] == [["deleteModels", "0"]]
    assert payload["plan"] is None


async def test_a_change_names_an_entry_once(desk: Desk, catalog: Catalog) -> None:
    entry = catalog.models["llama-2-7b"]
    change = {"upsertModels": [entry, {}, entry], "deleteModels": ["Llama 2 7B"], "dryRun": True}
    payload = (await desk.send(CHANGE, input=change))["data"]["changeCatalog"]
    assert [error["field"] for error in payload["userErrors"]] == [
        ["upsertModels", "1"], ["upsertModels", "2", "slug"], ["deleteModels", "0"],
    ]  # fmt: skip


async def test_a_run_within_a_scope(desk: Desk) -> None:
    query = """mutation($input: RecomputeInput!) { recompute(input: $input) {
      run { state blockCount } plan { modelSlugs gpuSlugs blockCount } userErrors { code field } } }"""
    scope = {"models": ["Llama 2 7B"], "gpus": ["RTX 3090"], "dryRun": True}
    dry = (await desk.send(query, input=scope))["data"]["recompute"]
    assert dry["run"] is None
    assert dry["plan"]["gpuSlugs"] in (["rtx-3090"], [])
    assert "llama-2-7b" in dry["plan"]["modelSlugs"]
    wrong = (await desk.send(query, input={"models": ["nope"]}))["data"]["recompute"]
    assert [error["code"] for error in wrong["userErrors"]] == ["NOT_FOUND"]
    wrong = await desk.send(query, input={"models": ["nope", "Llama 2 7B"], "gpus": ["none", "RTX 3090", "no"]})
    assert [error["field"] for error in wrong["data"]["recompute"]["userErrors"]] == [
        ["models", "0"], ["gpus", "0"], ["gpus", "2"],
    ]  # fmt: skip
    run = (await desk.send(query, input={"models": ["Llama 2 7B"]}))["data"]["recompute"]
    assert run["plan"]["modelSlugs"] == ["llama-2-7b"]
    assert run["run"]["blockCount"] == run["plan"]["blockCount"] == 1


DIFFERENCES = """query($from: Int!, $to: Int, $filter: FitDifferenceFilter, $first: Int, $after: String) {
  catalog { heldGenerations { generation fitCount } }
  fitDifferences(from: $from, to: $to, filter: $filter, first: $first, after: $after) { totalCount
    nodes { kind modelSlug model { slug } gpuSlug quantSlug workload { kind }
      from { status engine { slug } decodeTokensPerSecond } to { status grade decodeTokensPerSecond } }
    pageInfo { hasNextPage endCursor } } }"""


async def test_what_a_publication_changed(desk: Desk, catalog: Catalog) -> None:
    base = catalog.models["llama-2-7b"]
    entry = {**base, "slug": "own-4", "name": "Own 4", "aliases": [], "hf_repo": "me/own-4", "gguf_repo": None}
    await desk.send(CHANGE, input={"upsertModels": [entry]})
    desk.work_off(2)
    await asyncio.sleep(0.15)
    reply = (await desk.send(DIFFERENCES, **{"from": 1}, first=3))["data"]
    held = {state["generation"]: state["fitCount"] for state in reply["catalog"]["heldGenerations"]}
    page = reply["fitDifferences"]
    assert page["totalCount"] == held[2] - held[1] > 0
    assert {(node["kind"], node["modelSlug"], node["from"]) for node in page["nodes"]} == {("ADDED", "own-4", None)}
    assert page["nodes"][0]["to"]["decodeTokensPerSecond"] > 0
    cursor = page["pageInfo"]["endCursor"]
    following = (await desk.send(DIFFERENCES, **{"from": 1}, to=2, first=3, after=cursor))["data"]["fitDifferences"]
    assert not [node for node in following["nodes"] if node in page["nodes"]]
    wanted = {"gpu": {"in": ["RTX 4090"]}, "workload": {"in": ["CHAT"]}, "kind": {"notIn": ["REMOVED"]}}
    few = (await desk.send(DIFFERENCES, **{"from": 1}, filter=wanted))["data"]["fitDifferences"]
    assert {(node["gpuSlug"], node["workload"]["kind"]) for node in few["nodes"]} == {("rtx-4090", "CHAT")}
    assert few["totalCount"] == len(few["nodes"])

    await desk.send(CHANGE, input={"deleteModels": ["own-4"]})
    desk.work_off(3)
    await asyncio.sleep(0.15)
    gone = (await desk.send(DIFFERENCES, **{"from": 2}, first=1))["data"]["fitDifferences"]
    assert gone["totalCount"] == page["totalCount"]
    (node,) = gone["nodes"]
    assert (node["kind"], node["model"], node["modelSlug"], node["to"]) == ("REMOVED", None, "own-4", None)
    assert (await desk.send(DIFFERENCES, **{"from": 1}))["data"]["fitDifferences"]["totalCount"] == 0
    for variables, code, field in (
        ({"from": 1, "after": cursor}, "STALE_CURSOR", None),
        ({"from": 0}, "NOT_FOUND", "from"),
        ({"from": 1, "to": 9}, "NOT_FOUND", "to"),
        ({"from": 2, "to": 1}, "BAD_USER_INPUT", "from"),
    ):
        answer = await desk.send(DIFFERENCES, **variables)
        details = answer["errors"][0]["extensions"]
        assert (details["code"], details.get("field"), answer["data"]["fitDifferences"]) == (code, field, None)
        assert answer["data"]["catalog"]


FOLLOW = """subscription { publications { generation modelCount } }"""


async def test_publications_are_followed(desk: Desk, catalog: Catalog) -> None:
    publications: list[Any] = []

    async def follow() -> None:
        context = RequestContext(desk.services, await desk.services.state.view(), "r")
        stream = await desk.schema.subscribe(FOLLOW, context_value=context)
        async for event in stream:
            publications.append(event.data["publications"])
            if len(publications) == 2:
                await stream.aclose()
                return

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    entry = {**catalog.models["llama-2-7b"], "slug": "own-3", "name": "Own 3", "aliases": [], "hf_repo": "me/own-3"}
    await desk.send(CHANGE, input={"upsertModels": [{**entry, "gguf_repo": None}]})
    desk.work_off(2)
    await asyncio.wait_for(following, 10)
    assert [event["modelCount"] for event in publications] == [4, 5]


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "UNAUTHENTICATED"), ("wrong", "UNAUTHENTICATED"), (READER, "FORBIDDEN")],
    ids=["none", "wrong", "another-scope"],
)
async def test_a_change_needs_a_token_with_its_scope(
    desk: Desk, catalog: Catalog, token: str | None, code: str
) -> None:
    answer = await desk.send(UPSERT_MODEL, token, entry=catalog.models["llama-2-7b"])
    assert answer["errors"][0]["extensions"]["code"] == code


async def test_a_new_model_becomes_visible(desk: Desk, catalog: Catalog) -> None:
    entry = copy.deepcopy(catalog.models["llama-2-7b"])
    entry |= {"slug": "my-own-7b", "name": "My Own 7B", "aliases": [], "hf_repo": "me/my-own-7b", "gguf_repo": None}
    payload = (await desk.send(UPSERT_MODEL, entry=entry))["data"]["upsertModel"]
    assert payload["userErrors"] == []
    assert payload["clientMutationId"] == "k"
    assert payload["model"] == {"slug": "my-own-7b", "name": "My Own 7B"}
    assert payload["run"]["blockCount"] == 1
    desk.work_off(2)
    await asyncio.sleep(0.15)
    query = '{ fit(model: "My Own 7B", gpu: "rtx-3090") { source generation model { slug } } catalog { modelCount } }'
    reply = (await desk.send(query))["data"]
    assert reply["fit"] == {"source": "PUBLISHED", "generation": 2, "model": {"slug": "my-own-7b"}}
    assert reply["catalog"]["modelCount"] == 5
    again = (await desk.send(UPSERT_MODEL, entry=entry))["data"]["upsertModel"]
    assert (again["run"], again["userErrors"]) == (None, [])


async def test_a_cursor_is_stale_after_a_publication(desk: Desk) -> None:
    page = "query($c: String) { fits(first: 5, after: $c) { pageInfo { endCursor } } }"
    cursor = (await desk.send(page))["data"]["fits"]["pageInfo"]["endCursor"]
    started = (await desk.send(RECOMPUTE))["data"]["recompute"]
    assert started["userErrors"] == []
    desk.work_off(2)
    await asyncio.sleep(0.15)
    extensions = (await desk.send(page, c=cursor))["errors"][0]["extensions"]
    assert extensions["code"] == "STALE_CURSOR"


async def test_a_bad_entry_is_told_field_by_field(desk: Desk, catalog: Catalog) -> None:
    entry = copy.deepcopy(catalog.gpus["rtx-3090"]) | {"bandwidth_gbps": "fast", "nonsense": 1}
    payload = (await desk.send(UPSERT_GPU, entry=entry))["data"]["upsertGpu"]
    assert (payload["gpu"], payload["run"]) == (None, None)
    fields = {".".join(error["field"]) for error in payload["userErrors"]}
    assert {"entry.bandwidth_gbps", "entry.nonsense"} <= fields
    assert {error["code"] for error in payload["userErrors"]} == {"BAD_USER_INPUT"}


@pytest.mark.parametrize("entry", [None, 1, "x", [], {}, {"slug": 1}, {"slug": "../../etc/passwd"}])
async def test_an_entry_that_is_none(desk: Desk, entry: Any) -> None:
    answer = await desk.send(UPSERT_GPU, entry=entry)
    if answer.get("data"):
        assert answer["data"]["upsertGpu"]["userErrors"]
    else:
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_changed_accelerator_while_a_run_is_under_way(desk: Desk, catalog: Catalog) -> None:
    first = (await desk.send(RECOMPUTE, READER))["data"]["recompute"]["run"]
    assert first["cause"] == "planner: recompute"
    entry = copy.deepcopy(catalog.gpus["rtx-3090"]) | {"bandwidth_gbps": 950.0}
    payload = (await desk.send(UPSERT_GPU, entry=entry))["data"]["upsertGpu"]
    assert payload["userErrors"][0]["code"] == "UNAVAILABLE"
    assert (await desk.send(RECOMPUTE, READER))["data"]["recompute"]["run"]["id"] == first["id"]
    cancelled = (await desk.send(CANCEL, READER, id=first["id"]))["data"]["cancelRun"]
    assert (cancelled["run"]["state"], cancelled["userErrors"]) == ("CANCELLED", [])
    repeated = (await desk.send(CANCEL, READER, id=first["id"]))["data"]["cancelRun"]
    assert repeated["userErrors"][0]["code"] == "BAD_USER_INPUT"
    payload = (await desk.send(UPSERT_GPU, entry=entry))["data"]["upsertGpu"]
    assert payload["userErrors"] == []
    assert payload["gpu"]["bandwidthBytesPerSecond"] == 950e9


async def test_cancelling_an_unknown_run(desk: Desk) -> None:
    payload = (await desk.send(CANCEL, READER, id=encode_id("Run", "999")))["data"]["cancelRun"]
    assert (payload["run"], payload["userErrors"][0]["code"]) == (None, "NOT_FOUND")
    payload = (await desk.send(CANCEL, READER, id="nonsense"))["data"]["cancelRun"]
    assert [(error["code"], error["field"]) for error in payload["userErrors"]] == [("BAD_USER_INPUT", ["id"])]


@pytest.mark.parametrize(
    "setting", ["", "a", "a:b", "name:catalog:short", "name:nope:" + "0" * 64, ":catalog:" + "0" * 64]
)
async def test_a_malformed_token_setting_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"token|scope"):
        Operators([setting])


async def test_tokens_are_kept_as_hashes_only() -> None:
    token, setting = new_token("ops", [Scope.RUNS])
    assert token not in setting
    operators = Operators([setting])
    assert operators.require(token, Scope.RUNS).name == "ops"
    with pytest.raises(ApiError) as caught:
        operators.require(token, Scope.CATALOG)
    assert caught.value.code is ErrorCode.FORBIDDEN
