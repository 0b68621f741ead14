"""Published results: the bundled files have no fault, faults are named, and every model has its facts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from db.entries.capability import benchmark_entries, benchmarks, check_capability, result_rows, results
from db.entries.files import CATALOG_ROOT
from estimator.calibration.scale import KINDS

SLUGS = {"model": {path.stem for path in (CATALOG_ROOT / "models").rglob("*.json")}}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(CATALOG_ROOT / "capability", tmp_path / "capability")
    return tmp_path


def test_the_bundled_results_have_no_fault() -> None:
    assert check_capability(CATALOG_ROOT, SLUGS) == []


def test_a_catalog_without_results_has_no_fault(tmp_path: Path) -> None:
    assert check_capability(tmp_path, SLUGS) == []


def test_every_row_has_a_source_and_every_benchmark_a_kind() -> None:
    rows = list(result_rows())
    assert len(rows) > 5000
    assert all(row["source"] for row in rows)
    assert {benchmark.kind for benchmark in benchmarks().values()} == set(KINDS)
    assert {result.benchmark for result in results()} == set(benchmarks())


def test_one_name_and_version_is_one_benchmark() -> None:
    named = [(entry["name"].casefold(), entry["version"]) for entry in benchmark_entries()]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"model_slug": "no-such-model"}, "model_slug", "no model 'no-such-model'"),
        ({"benchmark": "no-such-benchmark"}, "benchmark", "no benchmark 'no-such-benchmark'"),
        ({"mode": "often"}, "mode", "'often'"),
        ({"value": "high"}, "value", "'high'"),
        ({"extra": 1}, "extra", "not permitted"),
    ],
)
def test_a_fault_names_file_line_and_field(copied: Path, change: dict[str, object], field: str, message: str) -> None:
    path = copied / "capability" / "results" / "bfcl.jsonl"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest]) + "\n")
    (fault,) = check_capability(copied, SLUGS)
    assert (fault.file, fault.entry, fault.field) == ("capability/results/bfcl.jsonl", "line 1", field)
    assert message in fault.message


def test_a_source_without_terms_is_a_fault(copied: Path) -> None:
    (copied / "capability" / "results" / "bfcl.jsonl").rename(copied / "capability" / "results" / "unknown.jsonl")
    (fault,) = check_capability(copied, SLUGS)
    assert "sources.json has no item 'unknown'" in fault.message


def test_an_unreadable_list_is_a_fault(copied: Path) -> None:
    (copied / "capability" / "sources.json").write_text("[")
    assert any(fault.file == "capability/sources.json" for fault in check_capability(copied, SLUGS))


def test_levels_must_be_in_order(copied: Path) -> None:
    path = copied / "capability" / "benchmarks.json"
    entries = json.loads(path.read_text())
    entries[0]["ceiling"] = 0
    path.write_text(json.dumps(entries))
    (fault,) = check_capability(copied, SLUGS)
    assert fault.entry == entries[0]["slug"]
    assert "ceiling must be above chance" in fault.message
