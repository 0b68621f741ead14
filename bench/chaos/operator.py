"""Operators that can be killed: `python -m bench.chaos.operator` reads a line, forks a process that starts a run, says its id.

A line is the number of a pickled catalog. Everything is imported before the forks, so that what is killed is the start
of the run, not the start of Python.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from db.settings import Settings
from workers.local.processes import dying_with_parent
from workers.local.supervisor import environment


class Operators:
    """The process that forks operators, seen from the bench."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.chaos.operator", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment(settings)},
            preexec_fn=dying_with_parent(),
            text=True,
        )

    def begin(self, catalog: object) -> int:
        """Let an operator start a run of ``catalog``; returns the id of its process."""
        self._count += 1
        (self._folder / f"catalog-{self._count}").write_bytes(pickle.dumps(catalog))
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the operators' process has no pipes")
        stdin.write(f"{self._count}\n")
        stdin.flush()
        return int(stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def main(folder: Path) -> None:
    """Fork one operator a line."""
    from db.settings import get_settings
    from workers.runs import start_run

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        # The child writes nothing: only the parent answers.
        pid = os.fork()
        if pid == 0:
            try:
                catalog = pickle.loads((folder / f"catalog-{int(line)}").read_bytes())
                start_run(get_settings(), catalog, cause="chaos")
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
