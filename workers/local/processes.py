"""Child processes that end with their parent, however it ends, and are started again when they die."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
#: A child that lived this long is sound: the next pause starts from the first again.
SOUND_AFTER_S = 20.0
STOP_TIMEOUT_S = 20.0
_PR_SET_PDEATHSIG = 1


def dying_with_parent() -> Callable[[], None] | None:
    """A call for a child before its program, so that the kernel ends it with its parent; None without such a call.

    Linux ties it to the thread that starts the child, which must therefore live as long as the parent.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


@dataclass
class Child:
    """One supervised program; ``log`` None shares the terminal."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0
    pause_s: float = FIRST_PAUSE_S
    due_at: float = 0.0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the program in a session of its own, so that Ctrl-C reaches only the supervisor."""
        options: dict[str, Any] = {"start_new_session": True, "preexec_fn": dying_with_parent()}
        with contextlib.ExitStack() as stack:
            if self.log is not None:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                options["stdout"] = options["stderr"] = stack.enter_context(self.log.open("ab"))
            self.process = subprocess.Popen(
                list(self.argv), stdin=subprocess.DEVNULL, env={**os.environ, **self.env}, **options
            )
        self.started_at = time.monotonic()

    def check(self) -> bool:
        """Start it again when it died, after a pause that doubles each time. True when it was started now."""
        if self.alive:
            if time.monotonic() - self.started_at > SOUND_AFTER_S:
                self.pause_s = FIRST_PAUSE_S
            return False
        moment = time.monotonic()
        if not self.due_at:
            self.due_at = moment + self.pause_s
            self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
        if moment < self.due_at:
            return False
        self.due_at = 0.0
        self.restarts += 1
        self.start()
        return True

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.alive and self.process is not None:
            self.process.terminate()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End it and all that it started: by SIGTERM, and by SIGKILL after ``timeout_s``."""
        if self.process is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=timeout_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=STOP_TIMEOUT_S)
