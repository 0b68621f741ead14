"""The arithmetic of docs/explanation/capacity.md: its measured columns agree, and the last one follows from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from db.fits.layout import SLOT_COUNT

PAGE = Path(__file__).parents[1] / "docs/explanation/capacity.md"


def columns() -> dict[str, list[int]]:
    """Figures of the table by the label of their row."""
    lines = [re.split(r"\s*\|\s*", line.strip("| \n")) for line in PAGE.read_text().splitlines() if line[:2] == "| "]
    return {line[0]: [int(figure.replace(",", "")) for figure in line[1:]] for line in lines if line[1][0].isdigit()}


def test_every_column_follows_from_models_and_accelerators() -> None:
    table = columns()
    stated = re.search(r"runs ([\d.]+) of the \d+ precomputed quantizations", PAGE.read_text())
    assert stated is not None
    quants = float(stated[1])
    cells, size = table["cells (five workloads a row)"], table["bytes, indexes included"]
    for models, gpus, rows, count in zip(table["models"], table["accelerators"], table["fit rows"], cells, strict=True):
        assert rows == pytest.approx(models * gpus * quants, rel=0.02)
        assert count == rows * SLOT_COUNT
    *measured, far = [total / count for total, count in zip(size, cells, strict=True)]
    assert max(measured) / min(measured) < 1.02
    assert min(measured) <= far <= max(measured) + 0.05


def test_the_run_over_all_models_takes_the_pace_that_is_stated() -> None:
    table = columns()
    stated = re.search(r"([\d,]+)\s+cells/s\s+by\s+two\s+workers", PAGE.read_text())
    assert stated is not None
    pace = int(stated[1].replace(",", ""))
    cells, seconds = table["cells (five workloads a row)"], table["seconds of the first run"]
    assert seconds[-1] == pytest.approx(cells[-1] / pace, rel=0.02)
    assert pace <= max(count / taken for count, taken in zip(cells[:-1], seconds[:-1], strict=True))
