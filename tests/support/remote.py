"""A server on this machine that behaves, and misbehaves, as servers of files do: https with a certificate of its own."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

CERTIFICATE = Path(__file__).parents[1] / "data" / "loopback.pem"


def trust() -> ssl.SSLContext:
    """A context that trusts the server and nobody else."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


class _Files(BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range")))
        kind, _, rest = self.path.strip("/").partition("/")
        {"to": self._redirect, "slow": self._slow, "zipped": self._zipped, "other-range": self._other_range,
         "junk": self._junk, "endless": self._endless, "whole": self._whole}.get(kind, self._part)(rest)  # fmt: skip

    def _part(self, _: str) -> None:
        body = self.files.get(self.path)
        if body is None:
            self._send(404, b"nothing here")
            return
        first, _, last = (self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last or len(body)) + 1]
        self._send(206, part, {"Content-Range": f"bytes {first}-{len(part) - 1}/{len(body)}"})

    def _redirect(self, rest: str) -> None:
        self._send(302, b"", {"Location": rest.replace("!", "://") if "!" in rest else "/" + rest})

    def _whole(self, rest: str) -> None:
        self._send(200, self.files["/" + rest])

    def _zipped(self, rest: str) -> None:
        self._send(200, self.files["/" + rest], {"Content-Encoding": "gzip"})

    def _other_range(self, rest: str) -> None:
        self._send(206, self.files["/" + rest], {"Content-Range": "bytes 5-9/10"})

    def _slow(self, _: str) -> None:
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                self.wfile.write(b"X-Wait: 1\r\n")
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def _junk(self, _: str) -> None:
        self.wfile.write(b"\x00\x01\x02 this is no answer\r\n\r\n")
        self.close_connection = True

    def _endless(self, _: str) -> None:
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                self.wfile.write(b"\0" * 65_536)
        except OSError:
            self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up early are what the tests are about."""


@contextmanager
def file_server(files: dict[str, bytes]) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """``localhost:port`` of a server of ``files`` by path, and what it was asked: path and range."""
    handler = type("Handler", (_Files,), {"files": files, "asked": []})
    server = _Quiet(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"localhost:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
