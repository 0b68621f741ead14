"""Outcomes become files of the catalog."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from db.ingest.batch import assess_all
from db.ingest.snapshots import Card, CheckpointCount, Snapshot
from db.ingest.writing import SET_ASIDE, read_lines, write_outcomes
from tests.support.catalogs import CATALOG
from tests.support.hub_repositories.configs import LLAMA, LLAMA_PARAMETERS

DAY = "2026-11-29"
BASE = CATALOG.models["qwen3-8b"]


def copies(name: str, base: str = "Qwen/Qwen3-8B") -> Snapshot:
    return Snapshot(name, name, "c" * 40, unread="-", card=Card(base_models=(base,)), is_gguf_only=True)


def write(root: Path, *snapshots: Snapshot) -> None:
    write_outcomes(root, assess_all(snapshots, CATALOG, DAY), CATALOG, DAY)


def test_lines_are_sorted_and_replaced(tmp_path: Path) -> None:
    write(tmp_path, copies("b/Two-GGUF"), copies("A/One-GGUF"))
    write(tmp_path, replace(copies("b/Two-GGUF"), revision="d" * 40), copies("B/Three-GGUF"))
    rows = read_lines(tmp_path / "derivatives" / "qwen3.jsonl")
    assert [row["repository"] for row in rows] == ["A/One-GGUF", "B/Three-GGUF", "b/Two-GGUF"]
    assert rows[2]["revision"] == "d" * 40


def test_a_model_of_the_same_import_has_its_family_s_lines(tmp_path: Path) -> None:
    tiny = Snapshot("acme/Tiny-1B", "acme/Tiny-1B", "a" * 40, config=LLAMA)
    tiny = replace(tiny, checkpoint=CheckpointCount(LLAMA_PARAMETERS, "the hub's count"))
    write(tmp_path, copies("b/Tiny-GGUF", "acme/Tiny-1B"), tiny)
    assert json.loads((tmp_path / "models" / "tiny" / "tiny-1b.json").read_text())["hf_repo"] == "acme/Tiny-1B"
    assert [row["base"] for row in read_lines(tmp_path / "derivatives" / "tiny.jsonl")] == ["tiny-1b"]


def test_what_is_set_aside_keeps_its_reason_until_it_passes(tmp_path: Path) -> None:
    write(tmp_path, copies("b/One-GGUF", "no/body"), copies("b/Two-GGUF", "no/body"))
    rows = read_lines(tmp_path / SET_ASIDE)
    assert [row["source"] for row in rows] == ["b/One-GGUF", "b/Two-GGUF"]
    assert "no/body" in rows[0]["reason"]
    write(tmp_path, copies("b/One-GGUF"))
    assert [row["source"] for row in read_lines(tmp_path / SET_ASIDE)] == ["b/Two-GGUF"]
