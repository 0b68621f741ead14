"""Threads for searches: work of a tenth of a second to some seconds, such as purchases and advice.

Threads share Python's lock, so searches at once end no sooner than one after the other, and slow down every other request. One
runs, and the rest wait: those of the request that came first are first, as its time is over first. A search whose request has
ended before its turn is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from itertools import count
from queue import PriorityQueue
from typing import Any, TypeVar

T = TypeVar("T")

_THREADS = ThreadPoolExecutor(1, thread_name_prefix="search")
_NUMBERS = count()
#: Time of the request, number of the search, its result, and its work.
_WAITING: PriorityQueue[tuple[float, int, Future[Any], Callable[[], Any]]] = PriorityQueue()
_ARRIVED: ContextVar[float] = ContextVar("arrived")


def arrive() -> None:
    """Let all searches of this request, whenever they are asked for, take their turns from now on."""
    _ARRIVED.set(time.monotonic())


async def search(work: Callable[..., T], *arguments: object) -> T:
    """The result of ``work``, made in a thread when it is its turn."""
    result: Future[T] = Future()
    _WAITING.put((_ARRIVED.get(time.monotonic()), next(_NUMBERS), result, partial(work, *arguments)))
    _THREADS.submit(_run_first)
    return await asyncio.wrap_future(result)


def _run_first() -> None:
    *_, result, work = _WAITING.get_nowait()
    if not result.set_running_or_notify_cancel():
        return
    try:
        result.set_result(work())
    except BaseException as error:
        result.set_exception(error)
