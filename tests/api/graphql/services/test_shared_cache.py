"""Whole responses shared by several servers in a real Redis-compatible one: computed once, and never in the way."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from starlette.applications import Starlette

from api.graphql.services.cache import CachedResponse
from api.graphql.services.redis_link import redis_client
from api.graphql.services.shared_cache import SharedResponses
from api.server.app import create_app
from api.settings import ApiSettings
from db.settings import Settings
from workers.local.broker import Broker

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.broker]

QUERY = "{ fits(first: 5) { totalCount nodes { score model { slug } gpu { slug } } } }"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A server on a socket of its own."""
    made = Broker(Settings(state_dir=tmp_path_factory.mktemp("shared")))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def store(broker: Broker) -> Iterator[redis.Redis]:
    """A client that looks into the emptied server."""
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        client.flushall()
        yield client


@asynccontextmanager
async def server(
    settings: ApiSettings, broker: Broker, **changes: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Starlette]]:
    """One server process's application, and its client."""
    app = create_app(settings.model_copy(update={"response_cache_url": f"unix://{broker.socket}", **changes}))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            yield client, app
    finally:
        await app.state.services.close()


async def ask(client: httpx.AsyncClient, query: str = QUERY) -> httpx.Response:
    return await client.post("/graphql", json={"query": query})


def executions(app: Starlette, monkeypatch: pytest.MonkeyPatch, release: asyncio.Event | None = None) -> list[str]:
    """Counts what the application executes; each waits for ``release``."""
    documents: list[str] = []
    execute = app.state.schema.execute

    async def counted(query: str, **options: Any) -> Any:
        documents.append(query)
        if release is not None:
            await release.wait()
        return await execute(query, **options)

    monkeypatch.setattr(app.state.schema, "execute", counted)
    return documents


def kept(store: redis.Redis) -> list[bytes]:
    return [name for name in store.keys("fitgraph:response:*") if not name.endswith(b":lock")]


async def test_a_second_server_takes_what_the_first_computed(
    settings: ApiSettings, broker: Broker, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(settings, broker) as (first_client, _), server(settings, broker) as (two, other):
        first = await ask(first_client)
        run = executions(other, monkeypatch)
        second = await ask(two)
        assert second.content == first.content
        assert run == []
        assert other.state.services.responses.shared_hits == 1
        again = await two.get("/graphql", params={"query": QUERY})
        assert again.content == first.content
        assert other.state.services.responses.hits == 1
    (name,) = kept(store)
    assert 0 < store.ttl(name) <= settings.response_cache_ttl_s
    assert store.keys("*:lock") == []


async def test_a_hot_key_is_computed_once_among_servers(
    settings: ApiSettings, broker: Broker, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()
    async with server(settings, broker) as (first_client, first), server(settings, broker) as (two, second):
        runs = executions(first, monkeypatch, release), executions(second, monkeypatch, release)
        waiting = [asyncio.create_task(ask(client)) for client in (first_client, two) * 10]
        while not any(runs):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        release.set()
        answers = await asyncio.gather(*waiting)
        assert len(runs[0]) + len(runs[1]) == 1
        assert len({answer.content for answer in answers}) == 1
        assert answers[0].json()["data"]["fits"]["totalCount"] > 0


async def test_answers_with_errors_and_large_ones_are_not_shared(
    settings: ApiSettings, broker: Broker, store: redis.Redis
) -> None:
    async with server(settings, broker, response_cache_value_bytes=200) as (client, _):
        assert (await ask(client, '{ gpu(slug: "nope") { name } }')).json()["errors"]
        assert len((await ask(client)).content) > 200
        assert kept(store) == []
        assert len((await ask(client, "{ __typename }")).content) < 200
        assert len(kept(store)) == 1


async def test_volatile_answers_and_mutations_are_not_shared(
    settings: ApiSettings, broker: Broker, store: redis.Redis
) -> None:
    async with server(settings, broker) as (client, _):
        await ask(client, "{ catalog { generation } }")
        await ask(client, "mutation { recompute(input: {}) { userErrors { code } } }")
    assert store.keys("*") == []


async def test_other_limits_variables_and_generations_have_other_names(settings: ApiSettings, broker: Broker) -> None:
    async with server(settings, broker) as (_, small), server(settings, broker, max_cost=40_000) as (_, two):
        shared = [app.state.services._shared for app in (small, two)]
        view = await small.state.services.state.view()
        assert view.identity.startswith("g1 ")
        assert view.generation.revision in view.identity
        names = {cache.name_of((view.identity, "{ a }", "")) for cache in shared}
        names |= {shared[0].name_of(key) for key in ((view.identity, "{ a", "}"), ("g2", "{ a }", ""))}
        assert len(names) == 4


@pytest.mark.parametrize("odd", [b"", b"1", b"2200{}", b"1xx0{}", b"\xff\xfe"])
async def test_an_odd_value_is_computed_anew(
    settings: ApiSettings, broker: Broker, store: redis.Redis, odd: bytes
) -> None:
    async with server(settings, broker) as (client, _):
        await ask(client)
        (name,) = kept(store)
        store.set(name, odd)
    async with server(settings, broker) as (client, _):
        assert (await ask(client)).json()["data"]["fits"]["nodes"]


async def test_the_lock_of_a_dead_server_holds_nobody_up_for_long(
    broker: Broker, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.services.shared_cache.WAIT_S", 0.05)
    shared = SharedResponses(redis_client(f"unix://{broker.socket}"), "n", ttl_s=5, value_bytes=100, lease_s=60)
    name = shared.name_of(("k",))
    store.set(f"{name}:lock", "dead")

    async def compute() -> CachedResponse:
        return CachedResponse(b"new", 200, keep=True)

    assert (await shared.get_or_compute(("k",), compute)).body == b"new"
    # A lock of another process is not released by this one.
    assert store.get(f"{name}:lock") == b"dead"
    assert shared.hits == 0
    await shared.close()


async def test_a_failure_releases_the_lock(broker: Broker, store: redis.Redis) -> None:
    shared = SharedResponses(redis_client(f"unix://{broker.socket}"), "n", ttl_s=5, value_bytes=100, lease_s=60)

    async def fail() -> CachedResponse:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        await shared.get_or_compute(("k",), fail)
    assert store.keys("*") == []
    await shared.close()


async def test_without_redis_responses_are_computed(
    settings: ApiSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(Settings(state_dir=tmp_path / "gone"))
    async with server(settings, broker) as (client, _):
        for query in (QUERY, "{ __typename }", "{ engines { name } }"):
            assert "errors" not in (await ask(client, query)).json()
    # After the first failure Redis is left alone for a while.
    assert len([line for line in caplog.messages if "Redis does not answer" in line]) == 1


async def test_a_redis_that_hangs_or_dies_delays_and_breaks_nothing(settings: ApiSettings, tmp_path: Path) -> None:
    broker = Broker(Settings(state_dir=tmp_path / "hangs"))
    broker.start()
    process = broker.child.process
    assert process is not None
    try:
        async with server(settings, broker) as (client, _):
            assert "errors" not in (await ask(client)).json()
            os.kill(process.pid, signal.SIGSTOP)
            assert "errors" not in (await ask(client, "{ engines { name } }")).json()
            os.kill(process.pid, signal.SIGCONT)
        async with server(settings, broker) as (client, app):
            assert "errors" not in (await ask(client)).json()
            assert app.state.services.responses.shared_hits == 1
            process.kill()
            process.wait()
            assert "errors" not in (await ask(client, "{ engines { slug } }")).json()
    finally:
        broker.stop()
