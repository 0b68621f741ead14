"""Operators that can be killed: `python -m bench.chaos.operator` forks a process for each line and prints its id.

A line is the number of a pickled catalog. The process starts a run of the catalog. The parent imports every module before the
forks, so that a kill strikes the start of the run and not the start of Python.
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
    """The handle of the process that forks operators."""

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
        """Start a run of ``catalog`` by an operator. Returns the id of the operator's process."""
        self._count += 1
        (self._folder / f"catalog-{self._count}").write_bytes(pickle.dumps(catalog))
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process of the operators has no pipes")
        stdin.write(f"{self._count}\n")
        stdin.flush()
        return int(stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def main(folder: Path) -> None:
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
