"""`fitgraph catalog import`, `diff`, `stale` and `compare` on local files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from api.cli.app import app
from db.settings import get_settings
from tests.support.hub_repositories.configs import LLAMA, LLAMA_PARAMETERS

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FITGRAPH_STATE_DIR", str(tmp_path / "state"))
    get_settings.cache_clear()

    def catalog(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["catalog", *map(str, arguments)])

    return catalog


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    folder = tmp_path / "Tiny-1B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    lines = [
        {"source": str(folder), "repository": "acme/Tiny-1B", "parameters": LLAMA_PARAMETERS},
        {"source": str(folder / "config.json"), "repository": "acme/Off-1B", "parameters": 2 * LLAMA_PARAMETERS},
    ]
    path = tmp_path / "wanted.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_import_writes_models_and_reasons(run: Run, listed: Path, tmp_path: Path) -> None:
    into = tmp_path / "mine"
    result = run("import", listed, "--into", into, "--json")
    assert result.exit_code == 0, result.output
    assert [row["outcome"] for row in objects(result)] == ["model", "set-aside"]
    entry = json.loads((into / "models" / "tiny" / "tiny-1b.json").read_text())
    assert entry["known_by"]["params_exact_checkpoint"] == "source list"
    assert "-50.00%" in json.loads((into / "set-aside.jsonl").read_text())["reason"]


def test_a_dry_run_writes_nothing(run: Run, listed: Path, tmp_path: Path) -> None:
    result = run("import", listed, "--into", tmp_path / "mine", "--dry-run")
    assert "1 model, 1 set-aside" in result.output
    assert not (tmp_path / "mine").exists()


def test_what_is_no_source_is_named(run: Run) -> None:
    result = run("import", "no such thing")
    assert result.exit_code == 3
    assert "'no such thing' is no file or folder" in result.stdout


def test_states_are_compared(run: Run) -> None:
    result = run("diff", "bundled", "bundled")
    assert (result.exit_code, result.stdout) == (0, "0 added, 0 removed, 0 changed\n")
    assert run("diff", "bundled", "no/folder").exit_code == 3


def test_stale_facts_are_counted_and_listed(run: Run) -> None:
    shown = run("stale")
    assert shown.exit_code == 0
    facts = objects(run("stale", "--json"))
    unknown = sum((row["kind"], row["field"], row["state"]) == ("gpu", "tdp_w", "null") for row in facts)
    assert unknown > 0
    assert ["gpu", "null", "tdp_w", str(unknown)] in [line.split() for line in shown.stdout.splitlines()]


def test_the_comparison_passes(run: Run) -> None:
    result = run("compare", "--json")
    assert result.exit_code == 0, result.output
    assert objects(result)[0]["unexplained"] == []
