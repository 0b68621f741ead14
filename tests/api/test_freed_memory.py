"""Freed memory goes back to the system, again and again, for as long as the server runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api import freed_memory
from api.freed_memory import give_back, trimmer


async def test_gives_back_until_cancelled() -> None:
    rounds: list[int] = []
    twice = asyncio.Event()

    def trim(pad: int) -> int:
        rounds.append(pad)
        if len(rounds) == 2:
            loop.call_soon_threadsafe(twice.set)
        return 1

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(give_back(0.001, trim))
    await asyncio.wait_for(twice.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds[:2] == [0, 0]


async def test_does_nothing_under_another_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_library(_: Any) -> Any:
        return object()

    monkeypatch.setattr(freed_memory.ctypes, "CDLL", no_such_library)
    assert trimmer() is None
    await asyncio.wait_for(give_back(), 10)


def test_the_c_library_answers_where_it_is_glibc() -> None:
    trim = trimmer()
    if trim is not None:
        assert trim(0) in (0, 1)
