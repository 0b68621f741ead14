"""The judgement's commands: what they list, and that the committed fits belong to the committed facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.cli import judgement
from api.cli.exit_codes import FAILED, NO_ANSWER
from estimator.calibration.loss import LossTable
from estimator.calibration.scale import KINDS
from estimator.judgement.capability import CapabilityTable
from tests.support.catalogs import CATALOG


def test_every_model_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.capability_command(as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["slug"] for row in rows} == CATALOG.models.keys()
    for row in rows:
        for kind in KINDS:
            assert {"value", "low", "high", "evidence"} <= set(row[kind])
    assert [row["general"]["value"] for row in rows] == sorted((row["general"]["value"] for row in rows), reverse=True)


def test_the_list_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.capability_command(as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CATALOG.models) + 2
    assert "long context" in lines[0]


def test_accuracy_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.accuracy_command("capability", as_json=False) == 0
    assert "spearman" in capsys.readouterr().out
    assert judgement.accuracy_command("capability", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["models"] == 258


def test_the_committed_capabilities_were_fitted_on_the_committed_results() -> None:
    assert CapabilityTable.load().data_hash == judgement.capability_hash()


def test_losses_are_listed_by_size_and_by_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert judgement.loss_command(None, as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(judgement.SIZES) * len(CATALOG.quants)
    assert judgement.loss_command("Qwen3 32B", as_json=False) == 0
    assert "q4-k-m" in capsys.readouterr().out
    assert judgement.loss_command("no such model at all", as_json=True) == NO_ANSWER


def test_the_committed_laws_were_fitted_on_the_committed_rows() -> None:
    assert LossTable.load().data_hash == judgement.loss_hash()


def test_a_fit_that_is_not_reproduced_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.json"
    data_file = judgement._DataFile(path, lambda: {"b": 1, "a": 2}, dict)
    monkeypatch.setattr(judgement, "_DATA_FILES", {"some": data_file})
    assert judgement.calibrate_judgement(check=False) == 0
    assert judgement.calibrate_judgement(check=True) == 0
    path.write_text("{}\n")
    assert judgement.calibrate_judgement(check=True) == FAILED
    assert "some.json is not reproduced" in capsys.readouterr().err


def test_the_page_states_the_figures_of_the_fits() -> None:
    page = (Path(__file__).parents[3] / "docs/explanation/judgement.md").read_text()
    capability, loss = CapabilityTable.load().accuracy, LossTable.load().accuracy
    for stratum in ("other benchmarks", "model left out", "family left out"):
        for figure in ("spearman", "coverage"):
            assert " | ".join(f"{capability[stratum][kind][figure]:.2f}" for kind in KINDS) in page
    for stratum in ("model left out", "publisher left out", "one row as anchor"):
        row = loss[stratum]
        figures = " | ".join(f"{row[figure]:.2f}" for figure in ("median_abs_ln", "within_twice", "coverage"))
        assert f"| {stratum} | {figures} |" in page
