"""A server on loopback that speaks the part of the hub's interface which an import uses."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Repository:
    """One repository: its files by name, and what its metadata says."""

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    created: str = "2025-04-27T03:42:21.000Z"
    downloads: int = 1000
    task: str = "text-generation"

    @property
    def revision(self) -> str:
        """A commit hash of the contents."""
        return hashlib.sha1(repr((sorted(self.files.items()), sorted(self.card.items()))).encode()).hexdigest()


@dataclass
class LocalHub:
    """The server's address, its repositories by name, and the paths that were asked for."""

    repositories: dict[str, Repository]
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""

    def metadata(self, name: str) -> dict[str, Any]:
        """Answer of the interface for one repository."""
        repository = self.repositories[name]
        stated: dict[str, Any] = {
            "_id": name,
            "id": name,
            "modelId": name,
            "sha": repository.revision,
            "createdAt": repository.created,
            "downloads": repository.downloads,
            "pipeline_tag": repository.task,
            "tags": [],
            "private": False,
            "cardData": repository.card,
            "siblings": [{"rfilename": file} for file in repository.files],
        }
        if repository.parameters is not None:
            stated["safetensors"] = {"parameters": {"BF16": repository.parameters}, "total": repository.parameters}
        return stated


@contextmanager
def local_hub(repositories: dict[str, Repository]) -> Iterator[LocalHub]:
    """A running server with ``repositories``, stopped at the end."""
    hub = LocalHub(repositories)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            hub.asked.append(f"{self.command} {self.path}")
            place = parts.path.strip("/")
            if place == "api/models":
                self._send(json.dumps(self._listed(parse_qs(parts.query))).encode())
            elif place.removeprefix("api/models/") in hub.repositories:
                self._send(json.dumps(hub.metadata(place.removeprefix("api/models/"))).encode())
            else:
                self._file(place)

        def _listed(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
            author = query.get("author", [""])[0]
            names = [name for name in hub.repositories if not author or name.startswith(f"{author}/")]
            key = query.get("sort", ["downloads"])[0]
            rows = sorted(map(hub.metadata, names), key=lambda row: row[key], reverse=True)
            return rows[: int(query.get("limit", ["1000"])[0])]

        def _file(self, place: str) -> None:
            owner, _, rest = place.partition("/")
            name, _, rest = rest.partition("/resolve/")
            repository = hub.repositories.get(f"{owner}/{name}")
            file = rest.partition("/")[2]
            if repository is None or file not in repository.files:
                code = "EntryNotFound" if repository else "RepoNotFound"
                self._send(b'{"error": "not found"}', 404, {"X-Error-Code": code})
                return
            data = repository.files[file]
            etag = hashlib.sha1(data).hexdigest()
            self._send(data, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": repository.revision})

        def _send(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
