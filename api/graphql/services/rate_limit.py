"""Rate limits by client: points a minute, counted in Redis, so that every server process sees the same count.

A request is admitted while its client has points left, and pays its cost afterwards; one from the response cache pays
one point. When Redis does not answer, requests are admitted: a limit that fails must not take the service down.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from hashlib import blake2s
from typing import Protocol

from api.errors import LimitExceededError
from api.graphql.services.redis_link import REDIS_FAULTS, Breaker

_WINDOW_S = 60


class Counter(Protocol):
    """The two commands that counting needs."""

    def incrby(self, name: str, amount: int) -> Awaitable[int]:
        """Add to a key; the new value."""

    def expire(self, name: str, time: int) -> Awaitable[bool]:
        """Let a key end after some seconds."""


class RateLimiter:
    """Points of each client in the present minute."""

    def __init__(self, counter: Counter | None, points_per_minute: int) -> None:
        self._counter = counter
        self._maximum = points_per_minute
        self._breaker = Breaker("the rate limiter's Redis does not answer; requests are admitted")

    @property
    def is_off(self) -> bool:
        """Whether nobody is limited."""
        return self._counter is None or self._maximum == 0

    async def admit(self, client: str) -> None:
        """Take one point. Raises :class:`LimitExceededError` when none was left."""
        total = await self._add(client, 1)
        if total > self._maximum:
            raise LimitExceededError(
                "points per minute",
                total,
                self._maximum,
                f"This client has used its {self._maximum} points of the present minute; each request costs its "
                "`extensions.cost`.",
            )

    async def pay(self, client: str, points: int) -> None:
        """Take the further points that a request turned out to cost."""
        if points > 0:
            await self._add(client, points)

    async def _add(self, client: str, points: int) -> int:
        if self._counter is None or self._maximum == 0 or self._breaker.is_open:
            return 0
        minute = int(time.time()) // _WINDOW_S
        key = f"fitgraph:rate:{blake2s(client.encode(), digest_size=12).hexdigest()}:{minute}"
        try:
            total = await self._counter.incrby(key, points)
            if total == points:
                await self._counter.expire(key, 2 * _WINDOW_S)
        except REDIS_FAULTS as error:
            self._breaker.trip(error)
            return 0
        return total


def retry_after_s() -> int:
    """Seconds to the next minute's points."""
    return _WINDOW_S - int(time.time()) % _WINDOW_S
