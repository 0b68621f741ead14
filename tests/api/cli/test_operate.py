"""Runs on the command line of operators."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from api.cli import operate
from api.cli.app import main
from db.entries.files import Catalog
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.runs import run_in_process
from workers.runs import start_run


def test_history_names_causes_whole_and_a_run_can_be_cancelled(
    tmp_path: Path, small_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(state_dir=tmp_path, database_url="", block_cells=1)
    upgrade_database(settings.resolved_database_url)
    monkeypatch.setattr(operate, "get_settings", lambda: settings)
    run_in_process(settings, small_catalog, cause="alice: upsert model some-model-with-a-long-name")
    started = start_run(settings, small_catalog, everything=True, enqueue=False)
    assert started.run is not None
    assert operate.cancel_command(started.run.id) == 0
    assert operate.cancel_command(started.run.id) == operate.FAILED
    assert "is not at work" in capsys.readouterr().err
    assert operate.runs_command(10) == 0
    newest, first = capsys.readouterr().out.splitlines()[1:3]
    assert newest.split()[:2] == [str(started.run.id), "cancelled"]
    assert "alice: upsert model some-model-with-a-long-name" in first
    assert f"{len(small_catalog.models)}/{len(small_catalog.models)}" in first
    sync_engine(settings.resolved_database_url).dispose()


def test_a_database_that_is_away_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url="postgresql+psycopg://nobody@127.0.0.1:1/fitgraph")
    monkeypatch.setattr(operate, "get_settings", lambda: settings)
    monkeypatch.setattr(sys, "argv", ["fitgraph", "runs"])
    with pytest.raises(SystemExit, match=r"^fitgraph: the database failed: .*Connection refused$"):
        main()
