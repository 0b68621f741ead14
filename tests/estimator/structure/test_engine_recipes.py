"""Recipes and inventories against the engine's own quantizer, tensor by tensor, over small models of many kinds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llama_cpp", reason="the engine is not installed; `make engine-test` builds it")
pytest.importorskip("gguf", reason="the engine's file library is not installed; `make engine-test` builds it")

import gguf

from estimator.structure.block_types import TYPES, tensor_bytes
from estimator.structure.quantization import DEFAULT_TYPE, index_tensors, tensor_types
from estimator.structure.tensors import TensorClass, inventory
from tests.support.gguf_files.engine import planned_types, quantize
from tests.support.gguf_files.models import FOR_RECIPES, EngineModel, odd_models, small_models

MODELS = {model.name: model for model in (*small_models(FOR_RECIPES), *odd_models())}
#: File types that need no importance matrix, and so can be written without one.
WRITABLE = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_S", "Q5_K_M",
            "Q6_K", "Q8_0", "IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS")  # fmt: skip
#: Row, elements and type of a tensor.
Kind = tuple[int, int, str]


def layer_of(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("blk.") else -1


def of_engine(model: EngineModel, types: dict[str, str]) -> tuple[Counter[tuple[int, Kind]], Counter[int]]:
    """Quantizable tensors of each layer by kind, and elements of each layer that are kept in F32."""
    matrices: Counter[tuple[int, Kind]] = Counter()
    kept: Counter[int] = Counter()
    for name, shape in model.tensors.items():
        elements = int(np.prod(shape))
        if types[name] == "F32":
            kept[layer_of(name)] += elements
        else:
            matrices[layer_of(name), (shape[0], elements, types[name])] += 1
    return matrices, kept


def of_estimator(model: EngineModel, file_type: str, imatrix: bool) -> tuple[Counter[tuple[int, Kind]], Counter[int]]:
    structure = model.structure
    tensors = inventory(structure)
    types = tensor_types(index_tensors(structure, tensors), file_type, imatrix=imatrix)
    matrices: Counter[tuple[int, Kind]] = Counter()
    kept: Counter[int] = Counter()
    for cls, layer, row, elements, code in zip(
        tensors.cls, tensors.layer, tensors.row, tensors.elements, types, strict=True
    ):
        if cls == TensorClass.KEPT:
            kept[int(layer)] += int(elements)
        else:
            matrices[int(layer), (int(row), int(elements), TYPES[code])] += 1
    return matrices, kept


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("engine")
    return {name: model.write(folder / f"{name}.gguf") for name, model in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_gets_the_type_that_the_quantizer_plans(name: str, files: dict[str, Path]) -> None:
    model, wrong, refused = MODELS[name], [], set[str]()
    for file_type in set(DEFAULT_TYPE) - {"F32"}:
        for imatrix in (False, True):
            planned = planned_types(files[name], file_type, imatrix=imatrix)
            if not planned:
                refused.add(file_type)
                continue
            theirs, their_kept = of_engine(model, planned)
            ours, our_kept = of_estimator(model, file_type, imatrix)
            assert +our_kept == +their_kept, file_type
            if ours != theirs:
                wrong.append((file_type, imatrix, dict(ours - theirs), dict(theirs - ours)))
    assert wrong == []
    assert refused <= {"Q1_0"}


@pytest.mark.parametrize(
    ("name", "file_types"),
    [
        ("llama", WRITABLE),
        ("mixtral", ("Q3_K_M", "Q4_K_M")),
        ("gemma2", ("Q4_K_M", "IQ4_XS")),
        ("qwen3next", ("Q5_K_M",)),
    ],
)
def test_files_that_the_quantizer_writes_have_those_types(
    name: str, file_types: tuple[str, ...], files: dict[str, Path], tmp_path: Path
) -> None:
    model = MODELS[name]
    tensors = inventory(model.structure)
    index = index_tensors(model.structure, tensors)
    for file_type in file_types:
        target = tmp_path / f"{file_type}.gguf"
        quantize(files[name], target, file_type)
        written = {tensor.name: tensor for tensor in gguf.GGUFReader(target).tensors}
        theirs = of_engine(model, {tensor_name: tensor.tensor_type.name for tensor_name, tensor in written.items()})
        assert of_estimator(model, file_type, False) == theirs, file_type
        ours = int(tensor_bytes(tensors, tensor_types(index, file_type, imatrix=False)).sum())
        assert ours == sum(int(tensor.n_bytes) for tensor in written.values()), file_type
