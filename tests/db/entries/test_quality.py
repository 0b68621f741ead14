"""Measured losses: the bundled files have no fault, and faults are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from db.entries.files import CATALOG_ROOT
from db.entries.quality import cache_loss_rows, check_quality, quant_loss_rows

SLUGS = {"model": {path.stem for path in (CATALOG_ROOT / "models").rglob("*.json")}}


def test_the_bundled_losses_have_no_fault() -> None:
    assert check_quality(CATALOG_ROOT, SLUGS) == []


def test_every_row_has_a_source() -> None:
    quants, caches = list(quant_loss_rows()), list(cache_loss_rows())
    assert (len(quants), len(caches)) == (4606, 237)
    assert all(row["source"] for row in (*quants, *caches))


@pytest.mark.parametrize(
    ("file", "change", "field"),
    [
        ("divergence.jsonl", {"model_slug": "no-such-model"}, "model_slug"),
        ("divergence.jsonl", {"bits_per_weight": 80.0}, "bits_per_weight"),
        ("divergence.jsonl", {"metric": "kld_mean", "value": -1.0, "suspect": None}, "-"),
        ("tasks.jsonl", {"family": "k-quant", "type": None}, "-"),
        ("kv-cache/measured.jsonl", {"k_type": 4}, "k_type"),
    ],
)
def test_a_fault_names_file_line_and_field(tmp_path: Path, file: str, change: dict[str, object], field: str) -> None:
    shutil.copytree(CATALOG_ROOT / "quality", tmp_path / "quality")
    path = tmp_path / "quality" / file
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest]) + "\n")
    (fault,) = check_quality(tmp_path, SLUGS)
    assert (fault.file, fault.entry, fault.field) == (f"quality/{file}", "line 1", field)
