"""Threads for searches: work of a tenth of a second to some seconds, such as purchases and advice.

Threads share Python's lock, so searches at once end no sooner than one after the other, and slow down every other request. One
runs, and the rest wait in their order. A search whose request has ended before its turn is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")

_THREADS = ThreadPoolExecutor(1, thread_name_prefix="search")


async def search(work: Callable[..., T], *arguments: object) -> T:
    """The result of ``work``, made in a thread when it is its turn."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *arguments))
