"""Figures that nobody can tell are null, are never the best, and meet no filter: here a processor's, whose peak is unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.server.app import create_app
from api.settings import ApiSettings
from db.session import upgrade_database
from tests.api.conftest import Ask, asker, client_of, part_of
from tests.support.catalogs import CATALOG
from tests.support.runs import run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROCESSOR = "cpu-ddr5-5600-2ch"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Client of an application that has published a model on a card and on a processor."""
    made = ApiSettings(state_dir=tmp_path_factory.mktemp("processor"))
    catalog = part_of(CATALOG, ("llama-2-7b",), ("rtx-3090", PROCESSOR))
    upgrade_database(made.resolved_database_url)
    assert run_in_process(made, catalog) is not None
    app = create_app(made, catalog)
    async with client_of(app) as client:
        yield client
    await app.state.services.close()


@pytest_asyncio.fixture(loop_scope="session")
async def known(caller: httpx.AsyncClient) -> Ask:
    """Asks that application."""
    return asker(caller)


@pytest.mark.parametrize(
    "figures",
    [
        "prefill { tokensPerSecond } ttftMs",
        "prefill { tokensPerSecond low high evidence } ttftMs",
        "... on Fit { prefill { ...S } ttftMs }",
    ],
)
async def test_a_published_fit_says_no_more_than_an_estimate(known: Ask, figures: str) -> None:
    reply = await known(
        f'{{ fit(model: "llama-2-7b", gpu: "{PROCESSOR}", quant: "q4-k-m") {{ source status decode {{ tokensPerSecond }} '
        f'summary {figures} }} estimate(input: {{model: {{slug: "llama-2-7b"}}, machine: {{gpu: "{PROCESSOR}"}}, quant: "q4-k-m", '
        "workload: CODING}) "
        "{ prefill { low } ttftMs } }" + (" fragment S on SpeedEstimate { low }" if "...S" in figures else "")
    )
    fit, estimate = reply["data"]["fit"], reply["data"]["estimate"]
    assert (fit["source"], fit["status"]) == ("PUBLISHED", "FITS")
    assert fit["decode"]["tokensPerSecond"] > 0
    assert (fit["prefill"], fit["ttftMs"]) == (estimate["prefill"], estimate["ttftMs"]) == (None, None)
    assert "first token" not in fit["summary"]


async def test_an_unknown_wait_wins_no_comparison(known: Ask) -> None:
    reply = await known(
        f'{{ comparison(input: {{models: "llama-2-7b", gpus: ["{PROCESSOR}", "rtx-3090"], quants: "q4-k-m"}}) '
        "{ rows { measure values deltas winner } } }"
    )
    rows: dict[str, Any] = {row["measure"]: row for row in reply["data"]["comparison"]["rows"]}
    for measure in ("TTFT", "PREFILL"):
        assert rows[measure]["values"][0] is None
        assert rows[measure]["deltas"] == [None, 0]
        assert rows[measure]["winner"] == 1
    assert None not in rows["DECODE"]["values"]


async def test_a_stream_does_not_begin_at_an_unknown_time(caller: httpx.AsyncClient) -> None:
    query = f'subscription {{ decodeStream(model: "llama-2-7b", gpu: "{PROCESSOR}", quant: "q4-k-m") {{ text }} }}'
    answer = await caller.post("/graphql", json={"query": query}, headers={"accept": "text/event-stream"})
    assert '"code":"MISSING_FACT"' in answer.text
    assert '"field":"matrixFlopsPerSecond"' in answer.text


@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("field", ["TTFT", "PREFILL", "DECODE"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_what_is_not_known_comes_last_in_both_directions(
    known: Ask, field: str, direction: str, size: int
) -> None:
    figures: list[float | None] = []
    after = None
    narrow = 'model: {in: ["llama-2-7b"]}, ' if field == "PREFILL" else ""
    while True:
        reply = await known(
            f"query($after: String) {{ fits(first: {size}, after: $after, filter: {{{narrow}workload: {{in: [RAG]}}}}, "
            f"orderBy: [{{field: {field}, direction: {direction}}}]) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ "
            "TTFT: ttftMs DECODE: decode { tokensPerSecond } PREFILL: prefill { tokensPerSecond } } } }",
            after=after,
        )
        page = reply["data"]["fits"]
        figures += [
            node[field]["tokensPerSecond"] if isinstance(node[field], dict) else node[field] for node in page["nodes"]
        ]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    present = [figure for figure in figures if figure is not None]
    assert figures[: len(present)] == sorted(present, reverse=direction == "DESC")
    assert len(present) > 10
    assert field == "DECODE" or len(present) < len(figures)


@pytest.mark.parametrize("bounds", ["{min: 0}", "{max: 1e9}", "{min: 0, max: 1e9}"])
async def test_what_is_not_known_lies_in_no_range(known: Ask, bounds: str) -> None:
    reply = await known(
        f"{{ fits(first: 100, filter: {{workload: {{in: [RAG]}}, ttftMs: {bounds}}}) {{ totalCount nodes {{ ttftMs gpu {{ slug }} "
        "} } }"
    )
    page = reply["data"]["fits"]
    assert page["totalCount"] == len(page["nodes"]) > 10
    assert {fit["gpu"]["slug"] for fit in page["nodes"]} == {"rtx-3090"}
    assert all(fit["ttftMs"] for fit in page["nodes"])
