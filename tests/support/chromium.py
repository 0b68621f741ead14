"""A headless Chromium over its DevTools protocol, for the tests that look at real pages."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browsers() -> list[str]:
    """Paths of the browsers on this machine, at most one a name."""
    return sorted({path for path in map(shutil.which, NAMES) if path})


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._number = socket, session, 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Result of a protocol method."""
        self._number += 1
        self._socket.send(
            json.dumps({"id": self._number, "sessionId": self._session, "method": method, "params": params})
        )
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number and message.get("sessionId") == self._session:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def open(self, url: str, width: int = 1100, height: int = 900, *, scripts: bool = True) -> None:
        """Load ``url`` and wait until it is complete."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("method") == "Page.loadEventFired" and message.get("sessionId") == self._session:
                return

    def dark(self, on: bool) -> None:
        """Prefer dark or light colours."""
        value = "dark" if on else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def run(self, script: str) -> Any:
        """Value of an expression; promises are awaited."""
        evaluation = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in evaluation, evaluation["exceptionDetails"]
        return evaluation["result"].get("value")

    def key(self, name: str) -> None:
        """Press a key and let it go."""
        codes = {"Tab": 9, "Enter": 13}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=codes[name])

    def picture(self, path: Path, *, is_full: bool = False) -> None:
        """Save a PNG of the window or of the whole page."""
        screenshot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_full)
        path.write_bytes(base64.b64decode(screenshot["data"]))


@contextmanager
def page_of(path: str, profile: Path) -> Iterator[Page]:
    """A tab of a fresh headless browser that talks to nothing but the pages it is told to open."""
    process = subprocess.Popen(
        [
            path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
            "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        address = next(line.split(" on ")[1].strip() for line in process.stderr if "DevTools listening on" in line)
        with connect(address, max_size=None) as socket:
            target = _browser_call(socket, 1, "Target.createTarget", url="about:blank")["targetId"]
            attached = _browser_call(socket, 2, "Target.attachToTarget", targetId=target, flatten=True)
            yield Page(socket, attached["sessionId"])
    finally:
        process.terminate()
        process.wait(timeout=20)
        if process.stderr is not None:
            process.stderr.close()


def _browser_call(socket: ClientConnection, number: int, method: str, **params: Any) -> dict[str, Any]:
    socket.send(json.dumps({"id": number, "method": method, "params": params}))
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=60))
        if message.get("id") == number:
            result: dict[str, Any] = message["result"]
            return result
