"""HTTP load on one port of this machine: `wrk` where it is installed, else a small asyncio client in its own process.

Every side of a comparison is driven by the same generator with the same requests, taken in turn.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

_LUA = """
local requests = {
%s
}
local number = 0
request = function()
  number = number %% #requests + 1
  return requests[number]
end
"""
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")


@dataclass(frozen=True, slots=True)
class Sent:
    """One HTTP request as bytes."""

    method: str
    path: str
    body: str = ""

    def raw(self) -> bytes:
        """The request on the wire."""
        body = self.body.encode()
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


def requests_per_s(port: int, requests: Sequence[Sent], *, connections: int = 16, seconds: float = 4.0) -> float:
    """Answers a second with status 2xx over ``connections`` open connections. Raises RuntimeError for any other one."""
    return (_wrk if shutil.which("wrk") else _own)(port, requests, connections, seconds)


def generator() -> str:
    """Name of the generator in use."""
    return "wrk" if shutil.which("wrk") else "asyncio client"


def _wrk(port: int, requests: Sequence[Sent], connections: int, seconds: float) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA % ",\n".join(_lua_text(request.raw()) for request in requests))
        script.flush()
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script.name]
        done = subprocess.run(
            [*argv, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False, timeout=seconds + 60
        )
    if done.returncode or (failed := _FAILED.search(done.stdout)):
        raise RuntimeError(f"wrk on port {port}: {failed.group(0) if not done.returncode else done.stderr.strip()}")
    rate = _RATE.search(done.stdout)
    if rate is None:
        raise RuntimeError(f"wrk wrote no rate: {done.stdout[-500:]}")
    return float(rate.group(1))


def _lua_text(raw: bytes) -> str:
    return (
        '"' + "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in raw) + '"'
    )


def _own(port: int, requests: Sequence[Sent], connections: int, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests.json"
        file.write_text(json.dumps([asdict(request) for request in requests]))
        argv = [
            sys.executable,
            "-m",
            "tests.support.load_clients",
            str(port),
            str(file),
            str(connections),
            str(seconds),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"the client on port {port} failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


class Connection(asyncio.Protocol):
    """One kept-alive connection that sends its next request as soon as the last answer is whole."""

    def __init__(self, requests: Sequence[bytes], start: int, step: int) -> None:
        self._requests, self._next, self._step = requests, start, step
        self._buffer = b""
        self._missing = -1
        self._transport: asyncio.Transport | None = None
        self.answers = 0
        self.failure = ""
        self.running = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports have the methods of asyncio's, not its class.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += self._step

    def data_received(self, data: bytes) -> None:
        """Count an answer when its last byte is there."""
        if self._missing > 0:
            self._missing -= len(data)
        else:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            if not head.startswith(b"http/1.1 2"):
                self.failure = head[:80].decode("latin-1")
            length = re.search(rb"content-length: (\d+)", head)
            if length is None:
                self.failure = self.failure or "an answer without Content-Length"
            self._missing = int(length.group(1)) - (len(self._buffer) - end - 4) if length else 0
            self._buffer = b""
        if self._missing <= 0 and self.running:
            self._missing = -1
            self.answers += 1
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """An early end is a failure."""
        if self.running:
            self.failure = self.failure or f"the server closed a connection ({exc})"


async def _drive(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda n=n: Connection(requests, n, connections), "127.0.0.1", port))[1]  # type: ignore[misc]
        for n in range(connections)
    ]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    rate = sum(connection.answers for connection in made) / (time.perf_counter() - began)
    for connection in made:
        connection.running = False
    if failures := [connection.failure for connection in made if connection.failure]:
        raise RuntimeError(failures[0])
    if not rate:
        raise RuntimeError(f"port {port} answered nothing in {seconds:g} s")
    return rate


def main(arguments: list[str]) -> int:
    """Drive a port: PORT FILE CONNECTIONS SECONDS; prints answers a second."""
    import uvloop

    port, file, connections, seconds = arguments
    requests = [Sent(**request).raw() for request in json.loads(Path(file).read_text())]
    print(uvloop.run(_drive(int(port), requests, int(connections), float(seconds))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
