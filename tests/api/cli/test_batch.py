"""Lines of questions: files by path, long lines, and numbers of Python's writer."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from api.cli import batch
from api.cli.estimate import run_extras
from tests.api.answers.test_own_hardware import LLAMA

INDEX = {"metadata": {"total_size": 5_730_000_000}, "weight_map": {"a": "1.safetensors"}}


def answers(tmp_path: Path, *lines: str) -> list[dict[str, Any]]:
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    sink = io.BytesIO()
    assert batch.run_batch(tmp_path / "questions.jsonl", sink) == 0
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_files_are_named_by_path_or_given_whole(tmp_path: Path) -> None:
    config, index = tmp_path / "config.json", tmp_path / "model.safetensors.index.json"
    config.write_text(json.dumps({**LLAMA, "time_step_limit": [0.0, float("inf")]}))
    index.write_text(json.dumps(INDEX))
    question = {"gpu": "rtx-3090", "quant": "awq-int4"}
    inline = json.dumps({**question, "model_config": json.loads(config.read_text()), "model_index": INDEX})
    assert "Infinity" in inline
    lines = answers(
        tmp_path,
        json.dumps({**question, "model": str(config), "model_index": str(index)}),
        inline,
        json.dumps({**question, "model_config": config.read_text(), "model_index": index.read_text()}),
    )
    assert lines[0]["file_size_bytes"] == 5_730_000_000
    assert lines[0] == lines[1] == lines[2]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    question = {
        "model": "llama-3.1-8b",
        "gpu": "rtx-3090",
        "quant": "awq-int4",
        "model_index": str(tmp_path / "no.json"),
    }
    error = answers(tmp_path, json.dumps(question))[0]["error"]
    assert (error["field"], "cannot read no.json" in error["message"]) == ("model_index", True)


def test_a_line_that_is_too_long_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_LINE_BYTES", 200)
    good = json.dumps({"model": "llama-3.1-8b", "gpu": "rtx-3090", "quant": "q4-k-m"})
    lines = answers(tmp_path, " " * 150 + good, good, "x" * 1000, good)
    assert [("error" in line) for line in lines] == [True, False, True, False]
    assert "200 bytes" in lines[2]["error"]["message"]


def test_one_question_takes_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, index = tmp_path / "config.json", tmp_path / "model.safetensors.index.json"
    config.write_text(json.dumps(LLAMA))
    index.write_text(json.dumps({**INDEX, "metadata": {"total_size": 16_060_522_496}}))
    assert run_extras(str(config), "rtx-3090", None, "chat", {"model_index": index}, as_json=True) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert (estimate["quant"], estimate["file_size_bytes"]) == ("bf16-safetensors", 16_060_522_496)
    assert run_extras(str(config), "rtx-3090", None, "chat", {"model_index": config}, as_json=True) == 3
    assert json.loads(capsys.readouterr().out)["error"]["field"] == "model_index"
