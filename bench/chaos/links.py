"""Links that can be slow, silent or cut: a relay between the processes of an installation and a server.

A silent link keeps its connections and carries nothing, as a cut cable does until somebody notices; what was sent
arrives once the link heals. A cut link ends its connections and takes no new one, as a failed host does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any

_READ_BYTES = 1 << 16


class Way(Enum):
    """Directions that a fault strikes."""

    THERE = "to the server"
    BACK = "from the server"
    BOTH = "both"


class Link:
    """A relay on a loopback port of its own to ``target``: the path of a Unix socket, or a host and a port."""

    def __init__(self, target: str | tuple[str, int]) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open = {Way.THERE: asyncio.Event(), Way.BACK: asyncio.Event()}
        self._delay_s = 0.0
        self._taking = True
        self._writers: set[asyncio.StreamWriter] = set()
        for opened in self._open.values():
            opened.set()
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def silence(self, way: Way) -> None:
        """Carry nothing in the given direction until ``heal``."""
        for direction in (Way.THERE, Way.BACK) if way is Way.BOTH else (way,):
            self._loop.call_soon_threadsafe(self._open[direction].clear)

    def slow(self, delay_s: float) -> None:
        """Hold each portion of bytes for ``delay_s``."""
        self._delay_s = delay_s

    def cut(self) -> None:
        """End every connection and refuse new ones until ``heal``."""
        self._taking = False
        self._loop.call_soon_threadsafe(self._abort)

    def heal(self) -> None:
        """Carry everything again."""
        self._taking, self._delay_s = True, 0.0
        for opened in self._open.values():
            self._loop.call_soon_threadsafe(opened.set)

    def close(self) -> None:
        """End the relay with its connections."""
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._taking:
            writer.transport.abort()
            return
        try:
            if isinstance(self._target, str):
                there, back = await asyncio.open_unix_connection(self._target)
            else:
                there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self._writers |= pair
        try:
            await asyncio.gather(self._pump(reader, back, Way.THERE), self._pump(there, writer, Way.BACK))
        finally:
            self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with contextlib.suppress(OSError):
            while portion := await reader.read(_READ_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._open[way].wait()
                writer.write(portion)
                await writer.drain()
            writer.write_eof()
            return
        writer.transport.abort()
