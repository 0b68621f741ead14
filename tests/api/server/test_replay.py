"""Repeated posts are answered from memory: the same bytes, for the same caller only, until the next generation."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.server.app import create_app
from api.server.replay import HotAnswers
from api.settings import ApiSettings
from db.entries.files import Catalog

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = {"query": '{ model(slug: "llama-2-7b") { slug fits(first: 20) { nodes { id score } } } }'}


async def post(app: Starlette, body: Any = QUERY, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.post("/graphql", json=body, headers={"accept-encoding": "identity", **headers})


@pytest.fixture
async def hot_app(settings: ApiSettings, catalog: Catalog) -> Any:
    made = create_app(settings, catalog)
    yield made
    await made.state.services.close()


async def asked(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Clients whose requests reach the endpoint from now on."""
    clients: list[str] = []
    rates = app.state.services.rates
    admit = rates.admit

    async def note(client: str) -> None:
        clients.append(client)
        await admit(client)

    monkeypatch.setattr(rates, "admit", note)
    return clients


async def test_the_same_post_is_answered_from_memory(hot_app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await post(hot_app)
    reached = await asked(hot_app, monkeypatch)
    hits = hot_app.state.services.responses.hits
    second = await post(hot_app)
    assert reached == []
    assert hot_app.state.services.responses.hits == hits + 1
    assert (second.status_code, second.content) == (200, first.content)
    ids = [response.headers.get_list("x-request-id") for response in (first, second)]
    assert all(len(values) == 1 for values in ids)
    assert ids[0] != ids[1]
    both = [
        {name: value for name, value in response.headers.items() if name != "x-request-id"}
        for response in (first, second)
    ]
    assert both[0] == both[1]


async def test_what_an_answer_depends_on_is_looked_at(hot_app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    await post(hot_app)
    reached = await asked(hot_app, monkeypatch)
    assert (await post(hot_app, **{"accept-encoding": "gzip"})).headers["content-encoding"] == "gzip"
    assert (await post(hot_app, **{"accept-encoding": "gzip"})).headers["content-encoding"] == "gzip"
    assert (
        (await post(hot_app, accept="application/graphql-response+json"))
        .headers["content-type"]
        .startswith("application/graphql-response+json")
    )
    assert "access-control-allow-origin" in (await post(hot_app, origin="https://example.org")).headers
    await post(hot_app, authorization="Bearer x")
    await post(hot_app, {**QUERY, "operationName": None})
    assert len(reached) == 5, reached


async def test_answers_of_a_passed_generation_and_errors_are_not_kept(
    hot_app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = await asked(hot_app, monkeypatch)
    for _ in range(2):
        await post(hot_app, {"query": '{ model(slug: "nope") { slug } }'})
        await post(hot_app, {"query": "{ catalog { generation lastRun { id } } }"})
    served = len(reached)
    await post(hot_app)
    view = hot_app.state.services.state.fresh_view or await hot_app.state.services.state.view()
    monkeypatch.setitem(vars(view), "identity", "another")
    await post(hot_app)
    assert len(reached) >= served + 2
    assert served >= 4


async def test_an_answer_pushed_out_while_it_is_looked_up_is_still_given(
    hot_app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await post(hot_app)
    view = hot_app.state.services.state.view

    async def crowded() -> Any:
        # Everything that is kept goes, as it does when other requests fill the memory in the meantime.
        layer: Any = hot_app.middleware_stack
        while not isinstance(layer, HotAnswers):
            layer = getattr(layer, "app", None) or layer._app
        layer._kept.clear()
        layer._used = 0
        return await view()

    monkeypatch.setattr(hot_app.state.services.state, "view", crowded)
    monkeypatch.setattr(type(hot_app.state.services.state), "fresh_view", None)
    second = await post(hot_app)
    assert (second.status_code, second.content) == (200, first.content)
