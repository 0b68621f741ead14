"""Bytes of a checkpoint: an index as text or parsed, the header of an only file, however many tensors."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from api.answers.files.checkpoints import size_of_checkpoint, size_of_file
from db.imports.errors import ImportFactsError
from tests.api.answers.files.test_models import INDEX, answer
from tests.api.answers.test_own_hardware import LLAMA

HEADER = {"w": {"dtype": "U8", "shape": [5_730_000_000], "data_offsets": [0, 5_730_000_000]}}


def test_an_index_gives_the_bytes_of_the_checkpoint() -> None:
    question = {"model": "llama-3.1-8b", "quant": "awq-int4"}
    indexed, computed = answer(**question, model_index=INDEX), answer(**question)
    assert indexed["file_size_bytes"] == INDEX["metadata"]["total_size"]
    difference = indexed["memory"]["weights_bytes"] - computed["memory"]["weights_bytes"]
    assert difference == pytest.approx(indexed["file_size_bytes"] - computed["file_size_bytes"], abs=100)
    assert answer(**question, model_index=HEADER) == answer(**question, model_index=json.dumps(INDEX)) == indexed
    assert answer(quant="awq-int4", model_config=LLAMA, model_index=INDEX)["memory"] == indexed["memory"]


def test_the_index_of_a_large_mixture_of_experts_is_read() -> None:
    name = "language_model.model.layers.{}.block_sparse_moe.experts.{}.down_proj.weight_packed"
    weights = {name.format(number % 96, number): "model-00001-of-00096.safetensors" for number in range(500_000)}
    text = json.dumps({"metadata": {"total_size": 10**12}, "weight_map": weights}, indent=2)
    assert size_of_checkpoint(text).tensors == 500_000


def test_local_files_are_read_by_their_kind(tmp_path: Path) -> None:
    index, weights = tmp_path / "model.safetensors.index.json", tmp_path / "model.safetensors"
    index.write_text(json.dumps(INDEX))
    header = json.dumps(HEADER).encode()
    weights.write_bytes(struct.pack("<Q", len(header)) + header + b"weights")
    assert size_of_file(index).tensor_bytes == size_of_file(weights).tensor_bytes == 5_730_000_000
    weights.write_bytes(b"")
    for path in (weights, tmp_path, tmp_path / "absent"):
        with pytest.raises(ImportFactsError) as caught:
            size_of_file(path)
        assert caught.value.field == "model_index"
