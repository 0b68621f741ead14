"""The command itself: its version, its completion, and a reader that leaves early."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from api.answers.choices.models import ModelKind
from api.cli.app import app
from api.cli.choices import options
from api.cli.here.answer import TOOLS
from db.entries.schema import GpuFile
from estimator.types import OperatingMode, WorkloadKind
from tests.support.catalogs import CATALOG

ROOT = Path(__file__).parents[3]


def test_the_version_names_the_catalog() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout == f"fitgraph 0.1.0, catalog {CATALOG.revision}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_a_shell(shell: str) -> None:
    result = CliRunner().invoke(app, [], prog_name="fitgraph", env={"_FITGRAPH_COMPLETE": f"source_{shell}"})
    assert f"_FITGRAPH_COMPLETE=complete_{shell}" in result.stdout


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("buy --kind mix", ["mixture-of-experts"]),
        ("here --mode ", ["balanced", "interactive", "light-api", "scale-out"]),
        ("serving --workload c", ["chat", "coding"]),
    ],
)
def test_values_of_closed_sets_are_completed(words: str, values: list[str]) -> None:
    line = f"fitgraph {words}"
    asked = {"_FITGRAPH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert CliRunner().invoke(app, [], prog_name="fitgraph", env=asked).stdout.split() == values


def test_completed_values_are_those_that_a_command_takes() -> None:
    assert tuple(WorkloadKind) == options.WORKLOADS
    assert tuple(OperatingMode) == options.MODES
    assert tuple(ModelKind) == options.KINDS
    assert get_args(GpuFile.model_fields["vendor"].annotation) == options.VENDORS
    assert tuple(TOOLS) == options.ENGINES


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    command = [sys.executable, "-m", "api.cli", "catalog", "find", "a"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
