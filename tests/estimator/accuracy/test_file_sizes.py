"""Estimated sizes of GGUF files against those that publishers print."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries.measurements import memory_rows
from estimator.accuracy.file_sizes import compared_files
from estimator.structure.quantization import WIDE_TABLES
from tests.estimator.entities import ENTITIES


def test_published_file_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    """Median within 0.3 % over every size of a standard name; 90th percentile 1.5 % where the mix is standard too."""
    files = compared_files(ENTITIES, memory_rows("gguf-sizes"))
    errors = np.abs([file.error for file in files])
    standard = np.abs([file.error for file in files if not file.own_mix])
    with capsys.disabled():
        print(f"\n{'files':20} number  median error  largest")
        for name, values in (("all", errors), ("without own mixes", standard)):
            tail = f"90th percentile {np.quantile(values, 0.9):.3%}"
            print(f"{name:20} {len(values):6}  {np.median(values):11.3%}  {values.max():8.3%}  {tail}")
    assert len(errors) > 150
    assert float(np.median(errors)) < 0.003
    assert len(standard) > 140
    assert float(np.quantile(standard, 0.9)) < 0.015


def test_files_of_a_publishers_own_mix() -> None:
    """Unsloth's dynamic files and those with wide tables: median within 0.5 %, 90th percentile within 2 %."""
    files = compared_files(ENTITIES, memory_rows("gguf-sizes"))
    errors = np.abs([file.error for file in files if file.name.startswith("UD-") or file.name in WIDE_TABLES])
    assert len(errors) > 20
    assert float(np.median(errors)) < 0.005
    assert float(np.quantile(errors, 0.9)) < 0.02
