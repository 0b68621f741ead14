"""Whole responses shared by several server processes, in Redis. One process computes a missing response.

A response is kept under a hash of all that it depends on, for a bounded time and up to a bounded size. Redis is a help
and never a need: when it is away, slow or holds something odd, the response is computed here, and Redis is left alone
for some seconds.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2s

from redis.asyncio import Redis

from api.graphql.services.cache import CachedResponse, Key
from api.graphql.services.redis_link import REDIS_FAULTS, Breaker

#: Longest wait for another process that computes the same response, seconds: it may have died.
WAIT_S = 2.0
_FIRST_LOOK_S, _LONGEST_PAUSE_S = 0.005, 0.1
_FORMAT = b"1"
_HEAD_BYTES = 4
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class SharedResponses:
    """Responses in Redis. ``namespace`` keeps apart what other code, limits or data would answer otherwise."""

    def __init__(self, client: Redis, namespace: str, *, ttl_s: int, value_bytes: int, lease_s: float) -> None:
        self._client = client
        self._namespace = namespace
        self._ttl_s = ttl_s
        self._value_bytes = value_bytes
        self._lease_ms = int(lease_s * 1000)
        self._breaker = Breaker("the response cache's Redis does not answer; responses are computed here")
        self.hits = 0

    async def get_or_compute(self, key: Key, compute: Callable[[], Awaitable[CachedResponse]]) -> CachedResponse:
        """The response that some process kept, or is computing now, else a new one."""
        if self._breaker.is_open:
            return await compute()
        name = self.name_of(key)
        token = secrets.token_hex(8)
        try:
            shared = _decoded(await self._client.get(name))
            if shared is None and not await self._client.set(_lock(name), token, nx=True, px=self._lease_ms):
                shared = await self._wait_for(name)
        except REDIS_FAULTS as error:
            self._breaker.trip(error)
            return await compute()
        if shared is not None:
            self.hits += 1
            return shared
        response: CachedResponse | None = None
        try:
            response = await compute()
            return response
        finally:
            await self._keep(name, response, token)

    def name_of(self, key: Sequence[str]) -> str:
        """The name of a response in Redis."""
        digest = blake2s(digest_size=24)
        for part in (self._namespace, *key):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return f"fitgraph:response:{digest.hexdigest()}"

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    async def _wait_for(self, name: str) -> CachedResponse | None:
        """The response that the holder of the lock stores; None when it stores none, or takes too long."""
        deadline, pause = time.monotonic() + WAIT_S, _FIRST_LOOK_S
        while time.monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            value, lock = await self._client.mget(name, _lock(name))
            if value is not None or lock is None:
                return _decoded(value)
        return None

    async def _keep(self, name: str, response: CachedResponse | None, token: str) -> None:
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                if response is not None and response.keep and len(response.body) <= self._value_bytes:
                    pipeline.set(name, _FORMAT + str(response.status).encode() + response.body, ex=self._ttl_s)
                pipeline.eval(_RELEASE, 1, _lock(name), token)
                await pipeline.execute()
        except REDIS_FAULTS as error:
            self._breaker.trip(error)


def _lock(name: str) -> str:
    return f"{name}:lock"


def _decoded(value: bytes | str | None) -> CachedResponse | None:
    if not isinstance(value, bytes) or value[:1] != _FORMAT or not value[1:_HEAD_BYTES].isdigit():
        return None
    return CachedResponse(value[_HEAD_BYTES:], int(value[1:_HEAD_BYTES]), keep=True)
