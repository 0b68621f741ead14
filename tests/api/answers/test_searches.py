"""One search runs at a time, and none for a request that has ended."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from api.answers import searches
from api.answers.searches import arrive, search

pytestmark = pytest.mark.asyncio


async def test_one_runs_and_the_others_after_it_in_their_order() -> None:
    begun: list[int] = []
    first, gate = threading.Event(), threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        first.set()
        gate.wait(30)
        return number

    searches = [asyncio.ensure_future(search(work, number)) for number in range(4)]
    await asyncio.to_thread(first.wait, 30)
    assert begun == [0]
    gate.set()
    assert await asyncio.gather(*searches) == begun == [0, 1, 2, 3]


async def test_the_request_that_came_first_has_its_later_searches_first() -> None:
    begun: list[str] = []
    gate, came = threading.Event(), asyncio.Event()
    busy = asyncio.ensure_future(search(gate.wait, 30))
    await asyncio.sleep(0)

    async def request(name: str, reads: asyncio.Event | None = None) -> None:
        arrive()
        if reads is not None:
            await reads.wait()
        await search(begun.append, name)

    first = asyncio.ensure_future(request("first", came))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(request("second"))
    await asyncio.sleep(0)
    came.set()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(busy, first, second)
    assert begun == ["first", "second"]


@pytest.mark.asyncio(loop_scope="session")
async def test_all_searches_of_a_request_have_the_time_at_which_it_came(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, times = searches._WAITING.put, list[float]()

    def noted(job: Any) -> None:
        times.append(job[0])
        put(job)

    monkeypatch.setattr(searches._WAITING, "put", noted)
    answer = await data('{ fits(first: 3, filter: {gpu: {in: ["rtx-4090"]}}) { nodes { serving { people } } } }')
    assert len(answer["fits"]["nodes"]) == len(times) == 3
    assert len(set(times)) == 1


async def test_a_search_that_fails_raises_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        await search(lambda: 1 / 0)


async def test_a_search_whose_request_has_ended_does_not_begin() -> None:
    gate = threading.Event()
    begun: list[str] = []
    busy = asyncio.ensure_future(search(gate.wait, 30))
    await asyncio.sleep(0)
    abandoned = asyncio.ensure_future(search(begun.append, "abandoned"))
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    gate.set()
    assert await busy
    await search(begun.append, "next")
    assert begun == ["next"]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("subject", ['gpu: "rtx-4090"', 'model: "llama-2-7b"', 'model: "llama-2-7b", gpu: "rtx-4090"'])
async def test_what_one_user_can_run_waits_for_no_search(data: Any, subject: str) -> None:
    gate = threading.Event()
    busy = asyncio.ensure_future(search(gate.wait, 60))
    try:
        # No other test asks with this budget, whose list would be kept.
        question = f"{{ recommendations(input: {{{subject}, budgetUsd: 98765}}) {{ totalCount }} }}"
        answer = await asyncio.wait_for(data(question), 30)
    finally:
        gate.set()
    assert answer["recommendations"]["totalCount"] > 0
    assert await busy
