"""The kernel's fingerprint: exactly what the grid imports, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import estimator
from db.runs import publication
from workers import kernel

ESTIMATOR = Path(str(estimator.__file__)).parent
LOADED = (
    "import sys, estimator.grid; print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'estimator'))"
)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the estimator whose fingerprint is computed."""
    folder = tmp_path / "estimator"
    shutil.copytree(ESTIMATOR, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernel, "_root", lambda: tmp_path)
    return folder


def version() -> str:
    return kernel.kernel_version.__wrapped__()


def test_the_kernel_is_what_the_grid_imports() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout.split()
    assert [str(path) for path in kernel.kernel_files()] == sorted(loaded)


def test_a_comment_outside_the_kernel_recomputes_nothing(copied: Path) -> None:
    before = version()
    inside = {path.relative_to(copied.parent) for path in kernel.kernel_files()}
    outside = [path for path in copied.rglob("*.py") if path.relative_to(copied.parent) not in inside]
    assert {path.parent.name for path in outside} >= {"advice", "judgement", "accuracy"}
    for path in outside:
        path.write_text(path.read_text() + "\n# A comment.\n")
    assert version() == before


def test_a_change_in_any_folder_of_the_kernel_recomputes_everything(copied: Path) -> None:
    changed = {path.parent: path for path in kernel.kernel_files()}
    assert {folder.name for folder in changed} >= {"estimator", "structure", "placement", "speed", "calibration"}
    before = version()
    for path in changed.values():
        text = path.read_text()
        path.write_text(text + "\n# A comment.\n")
        assert version() != before, path
        path.write_text(text)


def test_other_code_of_publications_is_another_release_of_the_same_fits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = kernel.fits_version.__wrapped__(), kernel.release_version.__wrapped__()
    assert before[0] != before[1]
    changed = tmp_path / "publication.py"
    changed.write_text(Path(str(publication.__file__)).read_text() + "\nTOLD = True\n")
    monkeypatch.setattr(publication, "__file__", str(changed))
    assert kernel.fits_version.__wrapped__() == before[0]
    assert kernel.release_version.__wrapped__() != before[1]
