"""Rate limits: points a minute and client, refused with 429, never a reason to be down."""

from __future__ import annotations

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from api.errors import LimitExceededError
from api.graphql.services.auth import new_token
from api.graphql.services.rate_limit import RateLimiter
from api.graphql.services.redis_link import redis_client
from api.server.app import create_app
from api.settings import ApiSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Memory:
    """Counts as Redis would."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.expiring: set[str] = set()

    async def incrby(self, name: str, amount: int) -> int:
        self.values[name] = self.values.get(name, 0) + amount
        return self.values[name]

    async def expire(self, name: str, time: int) -> bool:
        assert time >= 60
        self.expiring.add(name)
        return True


class Gone:
    """A server that is not there."""

    async def incrby(self, name: str, amount: int) -> int:
        raise RedisConnectionError(f"cannot add {amount} to {name}")

    async def expire(self, name: str, time: int) -> bool:
        raise RedisConnectionError(f"cannot expire {name} in {time}")


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.graphql.services.rate_limit.time.time", lambda: 1_000_000.0)


async def test_clients_have_points_of_their_own() -> None:
    memory = Memory()
    limiter = RateLimiter(memory, 10)
    await limiter.admit("a")
    await limiter.pay("a", 9)
    with pytest.raises(LimitExceededError) as caught:
        await limiter.admit("a")
    assert (caught.value.extensions or {})["limit"] == "points per minute"
    await limiter.admit("b")
    assert memory.expiring == set(memory.values)
    assert not any(key.split(":")[2] == "a" for key in memory.values)


async def test_a_new_minute_has_new_points(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = RateLimiter(Memory(), 1)
    await limiter.admit("a")
    with pytest.raises(LimitExceededError):
        await limiter.admit("a")
    monkeypatch.setattr("api.graphql.services.rate_limit.time.time", lambda: 1_000_060.0)
    await limiter.admit("a")


async def test_without_redis_requests_are_admitted() -> None:
    limiter = RateLimiter(Gone(), 1)
    for _ in range(5):
        await limiter.admit("a")
        await limiter.pay("a", 100)


async def test_no_limit_counts_nothing() -> None:
    memory = Memory()
    limiter = RateLimiter(memory, 0)
    await limiter.admit("a")
    assert memory.values == {}


async def test_a_client_over_its_points_gets_429(settings: ApiSettings) -> None:
    token, setting = new_token("someone")
    app = create_app(settings.model_copy(update={"tokens": (setting,)}))
    services = app.state.services
    services.rates = RateLimiter(Memory(), 50)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        body = {"query": "{ models(first: 10) { nodes { slug name } } }"}
        assert (await client.post("/graphql", json=body)).status_code == 200
        assert (await client.post("/graphql", json=body)).status_code == 200
        dear = {"query": "{ gpus(first: 20) { nodes { slug name } } }"}
        assert (await client.post("/graphql", json=dear)).status_code == 200
        refused = await client.post("/graphql", json=dear)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        invented = await client.post("/graphql", json=body, headers={"authorization": "Bearer invented"})
        assert invented.status_code == 429
        known = await client.post("/graphql", json=body, headers={"authorization": f"Bearer {token}"})
        assert known.status_code == 200
    await services.close()


@pytest.mark.parametrize(
    ("url", "path"), [("redis+socket:///tmp/x.sock", "/tmp/x.sock"), ("unix:///tmp/y.sock", "/tmp/y.sock")]
)
async def test_the_broker_s_address_is_understood(url: str, path: str) -> None:
    client = redis_client(url)
    assert client.connection_pool.connection_kwargs["path"] == path
    await client.aclose()
