"""`fitgraph here --measure` with a recorded engine on PATH."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from api.cli.exit_codes import NO_ANSWER
from db.entries.measurements import check_measurements
from tests.support.catalogs import CATALOG
from tests.support.gguf_files.files import header, tensor
from tests.support.gguf_files.shapes import converted_to, metadata, tensors

Q4_K_M = 15


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A GGUF file of a model of the catalog: header alone, all matrices in Q4_K."""
    model = CATALOG.models["llama-3.1-8b"]
    arch = converted_to(model["architecture"])
    keys = {"context_length": model["context_length"], **metadata(model, arch)}
    pairs = {
        "general.architecture": arch,
        "general.file_type": Q4_K_M,
        **{f"{arch}.{key}": value for key, value in keys.items()},
    }
    named = [tensor(name, list(shape), 12 if len(shape) > 1 else 0) for name, shape in tensors(model, arch)]
    path = tmp_path / "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf"
    path.write_bytes(header(pairs, named))
    return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common = {"build_number": 4549, "backends": "CPU", "model_type": "llama 8B Q4_K - Medium"}
    printed = [
        common | {"n_prompt": 512, "n_gen": 0, "avg_ts": 60.0},
        common | {"n_prompt": 0, "n_gen": 128, "avg_ts": 11.5},
    ]
    path = tmp_path / "llama-bench"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(printed)}\nEND\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("bench")
def test_the_benchmark_stands_beside_its_estimate(model_file: Path) -> None:
    words = ["here", "--measure", "--model-file", str(model_file), "--no-gpu", "--json"]
    facts = ["--memory-channels", "2", "--memory-mt-s", "5600", "--host-memory-gb", "32"]
    result = CliRunner().invoke(app, [*words, *facts])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    decode = next(speed for speed in printed["speeds"] if speed["kind"] == "decode")
    assert decode["measured_tok_s"] == 11.5
    # 4.6 GB of weights at 89.6 GB/s are at most 19 tokens per second.
    assert 8 < decode["estimated_tok_s"] < 20
    assert decode["ratio"] == pytest.approx(11.5 / decode["estimated_tok_s"], abs=0.001)


@pytest.mark.usefixtures("bench")
def test_the_rows_pass_the_check_of_the_catalog(model_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "catalog" / "measurements" / "thin"
    folder.mkdir(parents=True)
    words = ["here", "--measure", "--model-file", str(model_file), "--no-gpu", "--rows", str(folder / "mine.jsonl")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "11.5 tok/s measured; estimate" in result.stdout
    slugs = {kind: set(CATALOG.entries(kind)) for kind in ("gpu", "model", "quant")}
    assert check_measurements(tmp_path / "catalog", slugs) == []
    rows = [json.loads(line) for line in (folder / "mine.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["model_slug"], row["model_match"], row["quant_slug"]) for row in rows] == [
        ("prefill", "llama-3.1-8b", "exact", "q4-k-m"), ("decode", "llama-3.1-8b", "exact", "q4-k-m"),
    ]  # fmt: skip


@pytest.mark.usefixtures("bench")
def test_a_file_that_is_no_model_is_a_typed_error(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"no header")
    result = CliRunner().invoke(app, ["here", "--measure", "--model-file", str(file)])
    assert result.exit_code == NO_ANSWER
    assert "broken.gguf" in result.stderr


@pytest.mark.usefixtures("bench")
def test_a_row_names_the_accelerator_that_is_stated(model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    words = ["here", "--measure", "--model-file", str(model_file), "--gpu", "RTX 4090", "--rows", str(file)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert {(row["gpu"], row["gpu_slug"]) for row in map(json.loads, file.read_text().splitlines())} == {
        ("RTX 4090", "rtx-4090")
    }
