"""The HTTP client of the benchmarks counts answers and reports failed answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support import load_clients
from tests.support.load_clients import Sent


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    request_count: int = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).request_count += 1
        self.send_response(500 if body == b"fail" else 200)
        self.send_header("Content-Length", "40000")
        self.end_headers()
        self.wfile.write(b"x" * 40000)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    _Handler.request_count = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_answers_are_counted_on_the_loop_that_benchmarks_use(port: int) -> None:
    rate = load_clients._own(port, [Sent("POST", "/", "a"), Sent("POST", "/", "b")], connections=2, seconds=1.0)
    assert 0 < rate <= _Handler.request_count / 1.0


def test_an_answer_that_is_no_success_is_told(port: int) -> None:
    with pytest.raises(RuntimeError, match="500"):
        load_clients._own(port, [Sent("POST", "/", "fail")], connections=2, seconds=0.5)
