"""Ways to ask a machine: files, commands, programs and Python modules of this one, or of a recorded one.

A recording is a text of sections, each under a line ``>>> KIND ARGUMENT``: ``system`` (the name that ``platform.system()``
gives), ``file`` and ``command`` with the text that was read under it, ``program`` and ``module`` for what is installed. The
one PowerShell script is the section ``powershell``.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

#: Longest time that one command may take, seconds.
COMMAND_S = 5.0
#: A file is read up to this size: tables of devices have a megabyte or two.
_MOST_BYTES = 4 << 20
#: Where drivers put their programs when PATH lacks the place.
_OTHER_PLACES = ("/usr/lib/wsl/lib", "/opt/rocm/bin", "/usr/sbin", "/sbin", "~/.lmstudio/bin", "~/.local/bin")
_MARK = ">>> "


class Probe(Protocol):
    """One machine that answers. ``system`` is Linux, Darwin or Windows."""

    system: str

    def file(self, path: str) -> str | None:
        """Text of a file without trailing space; None when it cannot be read."""

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder, sorted; empty when there is none."""

    def command(self, *words: str) -> str | None:
        """Output of a command; None when it is not there, fails or takes too long."""

    def program(self, name: str) -> str | None:
        """Path of a program; None when it is not installed."""

    def module(self, name: str) -> bool:
        """Whether Python can import a module."""


class ThisMachine:
    """The machine that this process runs on. It keeps what it was asked, for a recording."""

    def __init__(self) -> None:
        self.system = platform.system()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe")
        self._runs: dict[tuple[str, ...], Future[str | None]] = {}
        self._texts: dict[str, str] = {}

    def start(self, *commands: tuple[str, ...]) -> None:
        """Run commands beside each other, whose answers are asked for later."""
        for words in commands:
            if words not in self._runs:
                self._runs[words] = self._pool.submit(self._output, words)

    def file(self, path: str) -> str | None:
        try:
            with Path(path).expanduser().open("rb") as opened:
                text = opened.read(_MOST_BYTES).decode(errors="replace").replace("\0", "").rstrip()
        except OSError:
            return None
        self._texts[f"file {path}"] = text
        return text

    def names(self, folder: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(entry.name for entry in Path(folder).iterdir()))
        except OSError:
            return ()

    def command(self, *words: str) -> str | None:
        self.start(words)
        return self._runs[words].result()

    def _output(self, words: tuple[str, ...]) -> str | None:
        program = self.program(words[0])
        if program is None:
            return None
        try:
            run = subprocess.run(
                [program, *words[1:]], capture_output=True, timeout=COMMAND_S, check=True, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError):
            return None
        text = run.stdout.decode(errors="replace").rstrip()
        self._texts[_key(words)] = text
        return text

    def program(self, name: str) -> str | None:
        installed = shutil.which(name)
        places = (Path(place).expanduser() / name for place in _OTHER_PLACES)
        path = installed or next((str(place) for place in places if place.is_file()), None)
        if path is not None:
            self._texts[f"program {name} {path}"] = ""
        return path

    def module(self, name: str) -> bool:
        there = find_spec(name) is not None
        if there:
            self._texts[f"module {name}"] = ""
        return there

    def recorded(self) -> str:
        """Everything that was asked so far, as a recording. Serial numbers and paths of a home stay in it: read it first."""
        sections = [f"{_MARK}system {self.system}\n", *(f"{_MARK}{key}\n{text}\n" for key, text in self._texts.items())]
        return "".join(sections)


def _key(words: tuple[str, ...]) -> str:
    return words[0] if words[0] == "powershell" else f"command {' '.join(words)}"


class RecordedMachine:
    """A machine that answers from a recording.

    Raises:
        ValueError: the text has no ``system`` section.
    """

    def __init__(self, text: str) -> None:
        self._sections: dict[str, str] = {}
        key, lines = "", list[str]()
        for line in [*text.splitlines(), _MARK]:
            if not line.startswith(_MARK):
                lines.append(line)
                continue
            self._sections[key] = "\n".join(lines).rstrip()
            key, lines = line.removeprefix(_MARK).strip(), []
        systems = [key.removeprefix("system ") for key in self._sections if key.startswith("system ")]
        if not systems:
            raise ValueError(f"a recording of a machine has a line '{_MARK}system NAME'; this text has none")
        self.system = systems[0]

    def file(self, path: str) -> str | None:
        return self._sections.get(f"file {path}")

    def names(self, folder: str) -> tuple[str, ...]:
        start = f"file {folder.rstrip('/')}/"
        return tuple(sorted({key.removeprefix(start).split("/")[0] for key in self._sections if key.startswith(start)}))

    def command(self, *words: str) -> str | None:
        return self._sections.get(_key(words))

    def program(self, name: str) -> str | None:
        start = f"program {name} "
        return next((key.removeprefix(start) for key in self._sections if key.startswith(start)), None)

    def module(self, name: str) -> bool:
        return f"module {name}" in self._sections
