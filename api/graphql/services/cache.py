"""Whole responses of this process by document, variables and generation, and totals; what is missing is computed once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """Encoded body and its entity tag; ``keep`` is False for answers with errors."""

    body: bytes
    status: int
    keep: bool

    @property
    def etag(self) -> str:
        """The tag of the body."""
        return f'"{blake2s(self.body, digest_size=12).hexdigest()}"'


Key = tuple[str, ...]


Compute = Callable[[], Awaitable[CachedResponse]]


class SecondLevel(Protocol):
    """A further cache, for a response that this process does not have."""

    hits: int

    async def get_or_compute(self, key: Key, compute: Compute) -> CachedResponse:
        """The response, from elsewhere or new."""


class ResponseCache:
    """Least recently used responses within a budget of bytes, before an optional second level."""

    def __init__(self, budget_bytes: int, shared: SecondLevel | None = None) -> None:
        self._budget = budget_bytes
        self._shared = shared
        self._used = 0
        self._kept: OrderedDict[Key, CachedResponse] = OrderedDict()
        self._running: dict[Key, asyncio.Future[CachedResponse]] = {}
        self.hits = 0
        self.joined = 0
        self.misses = 0

    @property
    def shared_hits(self) -> int:
        """Responses that came from the second level; they are misses of this one."""
        return 0 if self._shared is None else self._shared.hits

    @property
    def used_bytes(self) -> int:
        """Memory of the kept responses, about."""
        return self._used

    def get(self, key: Key) -> CachedResponse | None:
        """The kept response, or None."""
        response = self._kept.get(key)
        if response is not None:
            self._kept.move_to_end(key)
            self.hits += 1
        return response

    async def get_or_compute(self, key: Key, compute: Compute) -> CachedResponse:
        """The kept response, the one that is being computed, or a new one."""
        response = self.get(key)
        if response is not None:
            return response
        running = self._running.get(key)
        if running is not None:
            self.joined += 1
            return await asyncio.shield(running)
        self.misses += 1
        future: asyncio.Future[CachedResponse] = asyncio.ensure_future(self._fill(key, compute))
        self._running[key] = future
        future.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(future)

    async def _fill(self, key: Key, compute: Compute) -> CachedResponse:
        return await (compute() if self._shared is None else self._shared.get_or_compute(key, compute))

    def _finish(self, key: Key, done: asyncio.Future[CachedResponse]) -> None:
        self._running.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        response = done.result()
        size = _size(key, response)
        if not response.keep or size > self._budget // 8 or key in self._kept:
            return
        self._kept[key] = response
        self._used += size
        while self._used > self._budget:
            self._used -= _size(*self._kept.popitem(last=False))


def _size(key: Key, response: CachedResponse) -> int:
    """Bytes that a kept response takes, about: body, key, and what Python adds."""
    return len(response.body) + sum(len(part) for part in key) + 512


class CountCache:
    """Totals of filtered lists, kept by generation and filter; one that is being counted is counted once."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, int] = OrderedDict()
        self._running: dict[Hashable, asyncio.Future[int]] = {}

    async def get(self, key: Hashable, count: Callable[[], Coroutine[Any, Any, int]]) -> int:
        """The kept total, the one that is being counted, or a new one. A failure is not kept."""
        total = self._kept.get(key)
        if total is not None:
            self._kept.move_to_end(key)
            return total
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(count())
            running.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(running)

    def _finish(self, key: Hashable, done: asyncio.Future[int]) -> None:
        self._running.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[key] = done.result()
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
