"""Whole responses: bounded, least recently used go first, a hot key is computed once."""

from __future__ import annotations

import asyncio

import pytest

from api.graphql.services.cache import CachedResponse, CountCache, ResponseCache


def response(size: int, *, keep: bool = True) -> CachedResponse:
    return CachedResponse(b"x" * size, 200, keep=keep)


async def test_a_hot_key_is_computed_once() -> None:
    cache = ResponseCache(1_000_000)
    release = asyncio.Event()
    calls = 0

    async def compute() -> CachedResponse:
        nonlocal calls
        calls += 1
        await release.wait()
        return response(10)

    waiting = [asyncio.create_task(cache.get_or_compute(("k",), compute)) for _ in range(20)]
    await asyncio.sleep(0)
    release.set()
    responses = await asyncio.gather(*waiting)
    assert calls == 1
    assert len({id(item) for item in responses}) == 1
    assert await cache.get_or_compute(("k",), compute) is responses[0]
    assert calls == 1


async def test_a_client_that_leaves_does_not_stop_the_others() -> None:
    cache = ResponseCache(1_000_000)
    release = asyncio.Event()

    async def compute() -> CachedResponse:
        await release.wait()
        return response(10)

    leaver = asyncio.create_task(cache.get_or_compute(("k",), compute))
    stayer = asyncio.create_task(cache.get_or_compute(("k",), compute))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    release.set()
    assert (await stayer).body == b"x" * 10


async def test_answers_with_errors_are_not_kept() -> None:
    cache = ResponseCache(1_000_000)

    async def compute() -> CachedResponse:
        return response(10, keep=False)

    await cache.get_or_compute(("k",), compute)
    assert cache.get(("k",)) is None


async def test_a_failure_reaches_every_waiter_and_is_forgotten() -> None:
    cache = ResponseCache(1_000_000)

    async def fail() -> CachedResponse:
        raise RuntimeError("broken")

    async def compute() -> CachedResponse:
        return response(1)

    with pytest.raises(RuntimeError):
        await cache.get_or_compute(("k",), fail)
    assert (await cache.get_or_compute(("k",), compute)).body == b"x"


async def test_the_budget_holds() -> None:
    cache = ResponseCache(80_000)

    async def compute() -> CachedResponse:
        return response(9_000)

    for number in range(20):
        await cache.get_or_compute((str(number),), compute)
    await asyncio.sleep(0)
    assert cache._used <= 80_000
    assert cache.get(("19",)) is not None
    assert cache.get(("0",)) is None


async def test_a_response_too_large_for_the_cache_is_not_kept() -> None:
    cache = ResponseCache(80_000)

    async def compute() -> CachedResponse:
        return response(20_000)

    await cache.get_or_compute(("k",), compute)
    assert cache.get(("k",)) is None


async def test_totals_are_counted_once_and_failures_are_not_kept() -> None:
    cache, calls = CountCache(size=2), 0

    async def count() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls == 2:
            raise ValueError("down")
        return calls

    assert await asyncio.gather(*(cache.get("a", count) for _ in range(5))) == [1] * 5
    with pytest.raises(ValueError, match="down"):
        await cache.get("b", count)
    assert await cache.get("b", count) == 3
    assert await cache.get("c", count) == 4  # pushes the oldest out
    assert await cache.get("a", count) == 5
