"""Gives freed memory back to the system.

glibc keeps what a burst of heavy requests has freed, in one arena for each thread that took part, so that a server would
hold on to its highest moment for good. ``malloc_trim`` gives back the free end of the first arena alone, and of others
only what lies between things in use: so there is one arena.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

#: Seconds between two rounds; one takes some milliseconds, outside of Python's lock.
EVERY_S = 10.0

#: ``M_ARENA_MAX`` of glibc's ``malloc.h``.
_ARENA_MAX = -8


def use_one_arena() -> bool:
    """Let all threads allocate from one arena; whether the C library does. Call before a second thread is started.

    They hardly ever wait for each other there: Python's lock lets one of them run at a time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return bool(mallopt(_ARENA_MAX, 1))


def trimmer() -> Callable[[int], int] | None:
    """glibc's ``malloc_trim``; None under another C library."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


async def give_back(every_s: float = EVERY_S, trim: Callable[[int], int] | None = None) -> None:
    """Give back what is free every ``every_s`` seconds until cancelled; returns at once where nothing can be done."""
    trim = trim or trimmer()
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)
