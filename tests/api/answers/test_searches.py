"""Few searches run at once, and none for a request that has ended."""

from __future__ import annotations

import asyncio
import threading

import pytest

from api.answers.searches import AT_ONCE, search

pytestmark = pytest.mark.asyncio


async def test_few_run_at_once_and_the_others_after_them() -> None:
    running, most, lock, gate = [0], [0], threading.Lock(), threading.Event()

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(30)
        with lock:
            running[0] -= 1
        return number

    searches = [asyncio.ensure_future(search(work, number)) for number in range(3 * AT_ONCE)]
    while running[0] < AT_ONCE:
        await asyncio.sleep(0.001)
    gate.set()
    assert await asyncio.gather(*searches) == list(range(3 * AT_ONCE))
    assert most == [AT_ONCE]


async def test_a_search_whose_request_has_ended_does_not_begin() -> None:
    gate, begun = threading.Event(), []
    busy = [asyncio.ensure_future(search(gate.wait, 30)) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    abandoned = asyncio.ensure_future(search(begun.append, "abandoned"))
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    gate.set()
    await asyncio.gather(*busy)
    await search(begun.append, "next")
    assert begun == ["next"]
