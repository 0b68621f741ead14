"""Freed memory goes back to the system, again and again, for as long as the server runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from api.server import malloc
from api.server.malloc import give_back, trimmer


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

    monkeypatch.setattr(malloc.ctypes, "CDLL", no_such_library)
    assert trimmer() is None
    await asyncio.wait_for(give_back(), 10)


def test_the_c_library_answers_where_it_is_glibc() -> None:
    trim = trimmer()
    if trim is not None:
        assert trim(0) in (0, 1)


#: Prints how many arenas glibc has after threads have allocated side by side, in a server process or in any other.
_COUNT_ARENAS = """
import ctypes, sys, threading
import uvicorn

def count(*_, **__):
    met = threading.Barrier(4)
    def allocate():
        held = bytes(20_000)
        met.wait(10)
        del held
    threads = [threading.Thread(target=allocate) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    library = ctypes.CDLL(None)
    library.open_memstream.restype = ctypes.c_void_p
    library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    library.fclose.argtypes = [ctypes.c_void_p]
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    file = library.open_memstream(ctypes.byref(text), ctypes.byref(size))
    library.malloc_info(0, file)
    library.fclose(file)
    print(text.value.count(b"<heap nr="))

uvicorn.run = count
if sys.argv[1] == "server":
    from api.cli.launch import serve_api
    serve_api()
else:
    count()
"""


@pytest.mark.skipif(trimmer() is None, reason="another C library")
def test_a_server_allocates_from_one_arena() -> None:
    def arenas(kind: str) -> int:
        argv = [sys.executable, "-c", _COUNT_ARENAS, kind]
        return int(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout)

    assert arenas("any") > 1
    assert arenas("server") == 1
