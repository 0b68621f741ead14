"""Types of ik_llama.cpp: block sizes, the quantizer's choices, and the sizes of its own measured files."""

from __future__ import annotations

import numpy as np
import pytest

from db.entries import specs
from db.entries.quality import quant_loss_rows
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.block_types import BLOCKS, CODE, ROW_BYTES, TYPES, tensor_bytes
from estimator.structure.ik_recipes import IK_TYPES, default_type, ik_types
from estimator.structure.quantization import TensorIndex, index_tensors
from estimator.structure.tensors import TensorClass, inventory
from tests.support.catalogs import CATALOG


def indexed(slug: str) -> tuple[ModelArchitecture, TensorIndex]:
    model = specs.architecture(CATALOG.models[slug])
    return model, index_tensors(model, inventory(model))


def names(index: TensorIndex, file_type: str, cls: TensorClass) -> set[str]:
    return {TYPES[code] for code in ik_types(index, file_type)[index.is_class[cls]]}


def test_every_type_has_a_block() -> None:
    assert {default_type(name) for name in IK_TYPES} <= BLOCKS.keys()
    assert ROW_BYTES.keys() <= BLOCKS.keys()


def test_bits_of_a_pure_type_are_those_of_measured_files() -> None:
    """Bits that Thireus states of DeepSeek-V3.1-Terminus with every quantizable tensor in one type; norms and routers add."""
    _, index = indexed("deepseek-v3.1-terminus")
    tensors = index.inventory
    stated = {
        row["type"]: row["bits_per_weight"]
        for row in quant_loss_rows()
        if row["pure"] and row["model_slug"] == "deepseek-v3.1-terminus" and row["type"] in BLOCKS
    }
    assert len(stated) > 12
    for name, bits in stated.items():
        types = np.full(len(tensors.elements), CODE[name])
        types[index.is_class[TensorClass.KEPT]] = CODE["F32"]
        computed = tensor_bytes(tensors, types).sum() * 8.0 / tensors.elements.sum()
        assert computed == pytest.approx(bits, rel=3e-3), name


@pytest.mark.parametrize(
    ("file_type", "cls", "expected"),
    [
        ("IQ4_KS", TensorClass.ATTN_V, {"IQ5_K"}),
        ("IQ4_KS", TensorClass.OUTPUT, {"Q6_K"}),
        ("IQ2_K", TensorClass.ATTN_OUTPUT, {"IQ3_K"}),
        ("IQ2_KT", TensorClass.ATTN_OUTPUT, {"IQ3_K"}),
        ("IQ3_KT", TensorClass.EMBEDDING, {"IQ3_S"}),
        ("IQ5_K", TensorClass.ATTN_Q, {"IQ4_K"}),
        ("IQ6_K", TensorClass.OUTPUT, {"IQ6_K"}),
        ("IQ4_XS_R8", TensorClass.FFN_UP, {"IQ4_XS"}),
        ("IQ3_KL", TensorClass.FFN_DOWN, {"IQ3_K", "IQ4_KS"}),
    ],
)
def test_the_quantizer_widens_what_its_rules_name(file_type: str, cls: TensorClass, expected: set[str]) -> None:
    _, index = indexed("llama-3.1-8b")
    assert names(index, file_type, cls) == expected


def test_attention_beside_experts_is_wide() -> None:
    _, index = indexed("qwen3-30b-a3b")
    assert names(index, "IQ4_KSS", TensorClass.ATTN_K) == {"Q8_0"}
    assert names(index, "IQ4_KSS", TensorClass.ATTN_OUTPUT) == {"Q5_K"}
    assert names(index, "IQ2_KL", TensorClass.ATTN_OUTPUT) == {"IQ4_KS"}
    assert names(index, "IQ2_KS", TensorClass.ATTN_Q) == {"Q4_K"}


def test_every_recipe_gives_each_model_a_size() -> None:
    for slug in ("llama-3.1-8b", "qwen3-30b-a3b", "gemma-3-4b", "deepseek-v3", "gpt-oss-20b"):
        _, index = indexed(slug)
        for name in IK_TYPES:
            assert tensor_bytes(index.inventory, ik_types(index, name)).sum() > 0, (slug, name)
