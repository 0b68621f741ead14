"""Probes of this machine, and recordings of what they were asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.machine.probe import RecordedMachine, ThisMachine


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_recording_answers_as_the_machine_did(on_path: Path) -> None:
    program(on_path, "tell", 'echo "first: $1"; echo second')
    (on_path / "facts").write_text("one\ntwo\n")
    probe = ThisMachine()
    asked = (probe.command("tell", "me"), probe.file(f"{on_path}/facts"), probe.program("tell"), probe.module("json"))
    recorded = RecordedMachine(probe.recorded())
    assert recorded.system == probe.system
    assert asked == ("first: me\nsecond", "one\ntwo", f"{on_path}/tell", True)
    assert (
        recorded.command("tell", "me"), recorded.file(f"{on_path}/facts"), recorded.program("tell"),
        recorded.module("json"),
    ) == asked  # fmt: skip
    assert recorded.names(str(on_path)) == ("facts",)


def test_a_command_that_fails_or_is_missing_says_nothing(on_path: Path) -> None:
    program(on_path, "broken", "echo half; exit 3")
    probe = ThisMachine()
    assert probe.command("broken") is None
    assert probe.command("no-such-program-here") is None
    assert probe.file(f"{on_path}/missing") is None
    assert probe.names(f"{on_path}/missing") == ()


def test_a_text_without_a_system_is_no_recording() -> None:
    with pytest.raises(ValueError, match="system"):
        RecordedMachine("hello")
