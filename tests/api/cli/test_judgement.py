"""The judgement's commands: what they list, and that the committed fits belong to the committed facts."""

from __future__ import annotations

import json

import pytest

from api.cli import judgement
from db.entries.files import CATALOG_ROOT
from estimator.calibration.capability_prior import KINDS
from estimator.judgement.capability import CapabilityTable


def test_every_model_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.capability_command(as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len({row["slug"] for row in rows}) == 336
    for row in rows:
        for kind in KINDS:
            assert {"value", "low", "high", "evidence"} <= set(row[kind])
    assert [row["general"]["value"] for row in rows] == sorted((row["general"]["value"] for row in rows), reverse=True)


def test_the_list_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.capability_command(as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 338
    assert "long context" in lines[0]


def test_accuracy_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.accuracy_command("capability", as_json=False) == 0
    assert "spearman" in capsys.readouterr().out
    assert judgement.accuracy_command("capability", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["models"] == 258


def test_the_committed_capabilities_were_fitted_on_the_committed_results() -> None:
    assert CapabilityTable.load().data_hash == judgement.files_hash(CATALOG_ROOT / "capability")
