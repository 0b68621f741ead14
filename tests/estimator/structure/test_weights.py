"""Tensors and recipes against parameter counts, the engine's own plan of 2,109 files, and published file sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from db.entries import specs
from db.entries.measurements import memory_rows
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.block_types import BLOCKS, tensor_bytes
from estimator.structure.files import PublishedFile
from estimator.structure.ik_recipes import IK_TYPES
from estimator.structure.quantization import WIDE_TABLES, index_tensors, tensor_types
from estimator.structure.tensors import EXPERT_CLASSES, Inventory, inventory
from estimator.structure.weights import PARTS, part_of_tensors, weight_table
from estimator.types import EstimatorError, Quant, QuantFormat
from tests.support.catalogs import CATALOG

ESTIMABLE = [slug for slug, entry in CATALOG.models.items() if not specs.missing_facts(entry)]


def gguf(file_type: str, imatrix: bool = False) -> Quant:
    return Quant(file_type, file_type, QuantFormat.GGUF, file_type, 4.0, None, None, None, None, None, imatrix)


@cache
def model_of(slug: str) -> tuple[ModelArchitecture, Inventory]:
    model = specs.architecture(CATALOG.models[slug])
    return model, inventory(model)


def test_every_model_but_the_thin_ones_has_an_inventory_of_its_parameter_count() -> None:
    wrong = []
    for slug in ESTIMABLE:
        model, tensors = model_of(slug)
        stored = sum(
            int(e) for e, layer in zip(tensors.elements, tensors.layer, strict=True) if layer >= model.n_layers
        )
        if tensors.parameters - stored != model.total_parameters:
            wrong.append(slug)
    assert len(ESTIMABLE) == len(CATALOG.models) - 1
    assert wrong == []


def test_the_quantizers_own_plan_is_reproduced() -> None:
    """Bytes that llama.cpp's own rules give, by model, file type, with and without importance matrix."""
    errors = []
    for row in memory_rows("predicted-sizes"):
        model, tensors = model_of(row["model_slug"])
        types = tensor_types(index_tensors(model, tensors), row["ftype"], imatrix=bool(row["imatrix"]))
        computed = int(tensor_bytes(tensors, types).sum())
        errors.append(abs(computed - row["tensor_bytes"]) / row["tensor_bytes"])
    assert len(errors) > 2000
    assert max(errors) < 5e-4


def test_experts_that_were_trained_in_mxfp4_keep_it_in_every_file() -> None:
    """gpt-oss: files of every name differ by their attention and tables alone; a card says 12.04 GB of Q6_K."""
    model, tensors = model_of("gpt-oss-20b")
    names = ("Q2_K", "Q4_K_M", "Q6_K", "Q8_0", "MXFP4_MOE", "F16")
    table = weight_table(model, tuple(gguf(name, imatrix=True) for name in names))
    assert (table.experts == table.experts[0]).all()
    assert table.experts[0].sum() == model_experts(tensors) * 17 // 32
    assert table.file[names.index("Q6_K")] == pytest.approx(12.04e9, rel=1e-3)


def model_experts(tensors: Inventory) -> int:
    return int(tensors.elements[np.isin(tensors.cls, EXPERT_CLASSES)].sum())


@pytest.mark.parametrize("slug", ["llama-3.1-8b", "qwen3-30b-a3b", "gemma-3-27b", "kimi-linear-48b-a3b"])
def test_parts_add_up_and_wider_types_are_larger(slug: str) -> None:
    model, tensors = model_of(slug)
    order = ("IQ1_S", "IQ2_XXS", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")
    table = weight_table(model, tuple(gguf(name) for name in order))
    assert (np.diff(table.file) > 0).all()
    tied = table.embedding if model.tied_embeddings else 0
    parts = table.layers.sum(1) + table.experts.sum(1) + table.embedding + table.output - tied + table.lookup
    metadata = table.file - parts - table.stored
    assert (metadata == metadata[0]).all()
    assert 0 < metadata[0] < 20e6
    assert table.parameters == tensors.parameters


def test_an_unknown_file_type_is_refused_by_name() -> None:
    model, tensors = model_of("llama-3.1-8b")
    with pytest.raises(EstimatorError, match="Q9_Z"):
        tensor_types(index_tensors(model, tensors), "Q9_Z", imatrix=False)


def test_block_sizes_are_those_of_ggml() -> None:
    assert BLOCKS["Q4_K"] == (256, 144)
    assert BLOCKS["Q8_0"] == (32, 34)
    assert BLOCKS["MXFP4"] == (32, 17)


@pytest.mark.parametrize(
    ("slug", "name", "stated_bytes"),
    [
        ("qwen2.5-32b", "Q2_K_L", 13.07e9),
        ("qwen2.5-32b", "Q3_K_XL", 17.93e9),
        ("qwen2.5-32b", "Q4_K_L", 20.43e9),
        ("qwen2.5-32b", "Q5_K_L", 23.74e9),
        ("phi-4-mini-instruct", "Q6_K_L", 3_304_470_912),
    ],
)
def test_wide_tables_are_as_large_as_their_cards_say(slug: str, name: str, stated_bytes: float) -> None:
    """bartowski's cards of Qwen2.5-32B-Instruct and Phi-4-mini-instruct."""
    model, _ = model_of(slug)
    assert weight_table(model, (gguf(name, imatrix=True),)).file[0] == pytest.approx(stated_bytes, rel=5e-3)


@pytest.mark.parametrize("slug", ["gemma-4-e2b", "gemma-4-e4b"])
def test_wide_tables_are_those_of_single_layers_too(slug: str) -> None:
    """Published sizes of bartowski's files; per-layer tables in Q6_K would make them a tenth smaller."""
    model, _ = model_of(slug)
    printed = {file.quant: file for file in model.published_files}
    for name in WIDE_TABLES:
        file = printed[name.lower().replace("_", "-")]
        estimate = weight_table(replace(model, published_files=()), (gguf(name, imatrix=True),)).file[0]
        assert estimate == pytest.approx((file.low_bytes + file.high_bytes) / 2, rel=0.02), name


def quant_of(slug: str) -> Quant:
    return specs.quant(CATALOG.quants[slug])


def test_a_published_size_is_met_and_its_layers_make_the_difference() -> None:
    """Sizes of unsloth/Qwen3.8-27B-GGUF, revision 4ca72078."""
    model, _ = model_of("qwen3.8-27b")
    quants = tuple(quant_of(slug) for slug in ("ud-iq1-s", "ud-q4-k-xl", "ud-q8-k-xl"))
    known = weight_table(model, quants)
    assert known.file.tolist() == [6_192_222_208, 17_559_178_144, 31_457_991_680]
    unknown = weight_table(replace(model, published_files=()), quants)
    assert (known.embedding == unknown.embedding).all()
    assert (known.output == unknown.output).all()
    moved = (known.layers.sum(1) - unknown.layers.sum(1)) - (known.file - unknown.file)
    assert (np.abs(moved) <= model.n_layers).all()


def test_a_rounded_size_bounds_the_estimate() -> None:
    model, _ = model_of("qwen3-8b")
    quant = quant_of("ud-q4-k-xl")
    alone = int(weight_table(replace(model, published_files=()), (quant,)).file[0])
    for low, high, expected in (
        (1, alone + 5, alone),
        (alone + 7, alone + 9, alone + 8),
        (alone - 7, alone - 7, alone - 7),
    ):
        bounded = replace(model, published_files=(PublishedFile(quant.slug, low, high),))
        assert weight_table(bounded, (quant,)).file[0] == expected


def test_published_sizes_are_of_files_without_a_recipe_and_of_their_model() -> None:
    """Experts trained in 4 bits are not widened, and short rows take wider types: both move sizes by up to twice."""
    far = []
    for slug, entry in CATALOG.models.items():
        if not entry.get("published_files") or specs.missing_facts(entry):
            continue
        model, _ = model_of(slug)
        quants = tuple(quant_of(file.quant) for file in model.published_files)
        assert all(quant.mixed_recipe or quant.file_type in (*WIDE_TABLES, *IK_TYPES) for quant in quants), slug
        estimated = weight_table(replace(model, published_files=()), quants).file
        for file, size in zip(model.published_files, estimated, strict=True):
            if not file.low_bytes / 2.1 < size < file.high_bytes * 2.1:
                far.append((slug, file.quant, size / file.low_bytes))
    assert far == []


def test_a_model_without_published_sizes_takes_those_of_one_with_the_same_tensors() -> None:
    model, _ = model_of("deepseek-v3")
    files = {file.quant: file for file in model.published_files}
    newest, _ = model_of("deepseek-v3.1-terminus")
    assert files.keys() == {file.quant for file in newest.published_files}
    assert all(file.is_alike for file in files.values())
    assert not any(file.is_alike for file in newest.published_files)
    quant = quant_of("ud-iq1-s")
    assert weight_table(model, (quant,)).file[0] == weight_table(newest, (quant,)).file[0]


def test_experts_that_were_trained_in_mxfp4_keep_it_in_dynamic_files() -> None:
    model, tensors = model_of("gpt-oss-20b")
    table = weight_table(replace(model, published_files=()), (quant_of("ud-q4-k-xl"),))
    assert table.experts.sum() == pytest.approx(model_experts(tensors) * 17 / 32, rel=1e-6)


@pytest.mark.parametrize(
    ("slug", "width", "parts"),
    [
        ("llama-3.1-8b", 4096, {"embedding", "output", "attention", "down", "up"}),
        ("llama-3.2-1b", 2048, {"tied", "attention", "down", "up"}),
        ("llama-3.1-8b", 4000, {"odd_tables", "odd_layers", "attention", "down"}),
    ],
)
def test_factors_of_a_dynamic_file_go_by_table_and_by_rows_that_fit_no_block(
    slug: str, width: int, parts: set[str]
) -> None:
    model = replace(model_of(slug)[0], hidden=width, embedding_dim=width)
    number = part_of_tensors(model, index_tensors(model, inventory(model)), native_experts=False)
    assert {PARTS[part] for part in number if part >= 0} == parts
