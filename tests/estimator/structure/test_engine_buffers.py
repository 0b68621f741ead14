"""Weights, caches, states and compute buffers against what the engine itself allocates, over small random models.

The engine's log has two decimals of a MiB; contexts are long enough for one element a token too many to show. Compute
buffers are a formula for the peak of the engine's graph allocator; where logits come to lie behind a hole that attention
left, the allocator takes more than the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llama_cpp", reason="the engine is not installed; `make engine-test` builds it")
pytest.importorskip("gguf", reason="the engine's file library is not installed; `make engine-test` builds it")

from estimator.placement.memory import compute_bytes
from estimator.structure.block_types import tensor_bytes
from estimator.structure.kv_cache import cache_shape
from estimator.structure.quantization import index_tensors, tensor_types
from estimator.structure.tensors import inventory
from estimator.structure.weights import METADATA_BYTES_PER_TOKEN, weight_table
from estimator.types import CacheType, Quant, QuantFormat
from tests.support.gguf_files.engine import MIB, load, quantize
from tests.support.gguf_files.models import FOR_BUFFERS, FOR_RECIPES, small_models

MODELS = {model.name: model for model in small_models(FOR_BUFFERS)}


@dataclass(frozen=True)
class Load:
    """Settings of one load; ``context_tokens`` of each of ``sequences`` in one cache."""

    context_tokens: int
    micro_batch: int = 512
    cache: CacheType = CacheType.F16
    flash_attention: bool = True
    all_logits: bool = True
    sequences: int = 1


LOADS = (
    Load(4096),
    Load(8192),
    Load(4096, 256, flash_attention=False),
    Load(8192, all_logits=False),
    Load(8192, flash_attention=False, all_logits=False),
    Load(2048, sequences=4, all_logits=False),
    Load(8192, cache=CacheType.Q8_0),
    Load(16384, 256, cache=CacheType.Q8_0, all_logits=False),
)


@pytest.mark.parametrize("name", MODELS)
def test_a_load_takes_what_the_engine_takes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = MODELS[name]
    structure, path = model.structure, model.write(tmp_path / "model.gguf")
    tensors, shape, errors = inventory(structure), cache_shape(structure), []
    types = tensor_types(index_tensors(structure, tensors), "F16", imatrix=False)
    for setting in LOADS:
        loaded = load(
            path,
            context_tokens=setting.context_tokens * setting.sequences,
            micro_batch=setting.micro_batch,
            cache=setting.cache,
            flash_attention=setting.flash_attention,
            all_logits=setting.all_logits,
            sequences=setting.sequences,
        )
        assert loaded.parameters == tensors.parameters
        assert loaded.weights_bytes == int(tensor_bytes(tensors, types).sum())
        assert abs(loaded.weights_bytes / MIB - loaded.mib("model")) <= loaded.rounding_mib("model")
        state = float(shape.state_bytes.sum()) * setting.sequences
        context, options = setting.context_tokens, {"sequences": setting.sequences, "micro_batch": setting.micro_batch}
        options["unified"] = True
        kept = float(shape.bytes_per_layer(context, setting.cache, **options)[0].sum())
        assert abs(state / MIB - loaded.mib("RS")) <= loaded.rounding_mib("RS"), setting
        assert abs((kept - state) / MIB - loaded.mib("KV")) <= loaded.rounding_mib("KV"), setting
        output = 4.0 * structure.vocab * setting.sequences
        assert abs(output / MIB - loaded.mib("output")) <= loaded.rounding_mib("output"), setting
        device, _ = compute_bytes(
            structure,
            shape,
            context,
            cache=setting.cache,
            flash_attention=setting.flash_attention,
            all_logits=setting.all_logits,
            converts_cache=False,
            **options,
        )
        # A CPU has no second buffer for the input embeddings: they stay in this one. With a quantized cache, rows are
        # rotated out of place, and they are overwritten.
        embeddings = 4.0 * setting.micro_batch * structure.hidden * (setting.cache is CacheType.F16)
        errors.append((float(device[0]) + embeddings) / MIB / loaded.mib("compute") - 1.0)
    with capsys.disabled():
        print(f"\n{name:14} compute buffers " + " ".join(f"{error:+6.1%}" for error in errors), end=" ")
    assert np.abs(errors).max() < 0.10


@pytest.mark.parametrize(("name", "file_type"), [("llama", "Q4_K_M"), ("qwen3moe", "Q3_K_L"), ("gpt-oss", "MXFP4_MOE")])
def test_a_quantized_file_takes_what_its_table_says(name: str, file_type: str, tmp_path: Path) -> None:
    model = next(candidate for candidate in small_models(FOR_RECIPES) if candidate.name == name)
    path = tmp_path / "quantized.gguf"
    quantize(model.write(tmp_path / "model.gguf"), path, file_type)
    loaded = load(path, context_tokens=256, micro_batch=64, cache=CacheType.F16, flash_attention=True)
    quant = Quant(file_type, file_type, QuantFormat.GGUF, file_type, 4.0, None, None, None, None, None)
    table = weight_table(model.structure, (quant,))
    parts = table.layers.sum() + table.experts.sum() + table.embedding[0] + table.output[0]
    assert loaded.weights_bytes == int(parts)
    metadata = METADATA_BYTES_PER_TOKEN * model.structure.vocab
    assert path.stat().st_size == pytest.approx(int(table.file[0]) - metadata, abs=64 * 1024)
