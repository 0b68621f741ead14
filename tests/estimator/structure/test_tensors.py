"""The matrices of a layer are those of the GGUF file that llama.cpp's converter writes."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from estimator.structure.architecture import architecture_from_facts
from estimator.structure.tensors import TensorClass, inventory
from tests.support.catalogs import CATALOG
from tests.support.gguf_files.shapes import converted_to, tensors

#: Models of the catalog whose files fuse query, key and value.
FUSED = ("bloom-560m", "falcon-7b", "gpt2", "granite-code-20b", "pythia-1.4b", "qwen-1.8b", "starcoder-15b")


@pytest.mark.parametrize("slug", FUSED)
def test_old_files_fuse_query_key_and_value(slug: str) -> None:
    model = CATALOG.models[slug]
    table = inventory(architecture_from_facts(model))
    ours = Counter(
        (int(row), int(elements))
        for cls, layer, row, elements in zip(table.cls, table.layer, table.row, table.elements, strict=True)
        if layer == 0 and cls != TensorClass.KEPT
    )
    theirs = Counter(
        (shape[0], math.prod(shape))
        for name, shape in tensors(model, converted_to(model["architecture"]))
        if name.startswith("blk.0.") and len(shape) == 2
    )
    assert ours == theirs
    assert not (table.cls == TensorClass.ATTN_Q).any()
