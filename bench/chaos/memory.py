"""Memory that runs out: a control group with almost none, in which the kernel's OOM killer strikes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
#: Pages that a process may still take.
_SPARE_BYTES = 1 << 18


class MemoryLimit:
    """A control group; needs root, and groups of either version that are writable. Raises PermissionError without."""

    def __enter__(self) -> MemoryLimit:
        unified = (_ROOT / "cgroup.controllers").exists()
        parent = _ROOT if unified else _ROOT / "memory"
        self._parent = parent
        try:
            self._group = Path(tempfile.mkdtemp(prefix="fgchaos-", dir=parent))
            (self._group / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(_SPARE_BYTES))
        except OSError as error:
            raise PermissionError(f"no control group for memory can be made: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            for pid in (self._group / "cgroup.procs").read_text().split():
                (self._parent / "cgroup.procs").write_text(pid)
            self._group.rmdir()

    def strike(self, pid: int, patience_s: float) -> None:
        """Put a process into the group and wait until the kernel has killed it, or ``patience_s``.

        What it holds already is not charged to the group: the next memory that it takes ends it.
        """
        deadline = time.monotonic() + patience_s
        with contextlib.suppress(ProcessLookupError):
            (self._group / "cgroup.procs").write_text(str(pid))
        while os.path.exists(f"/proc/{pid}") and str(pid) in self._members() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _members(self) -> list[str]:
        return (self._group / "cgroup.procs").read_text().split()
