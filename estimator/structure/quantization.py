"""The recipes that give each tensor of a GGUF file its type.

They are the rules of llama.cpp's quantizer (``llama_tensor_get_type``), stated as data: a default type per file type and
overrides by tensor class and layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.structure.architecture import ModelArchitecture
from estimator.structure.block_types import CODE, fit_to_rows
from estimator.structure.tensors import EXPERT_CLASSES, Inventory, TensorClass
from estimator.types import EstimatorError

#: File type -> type of every tensor that no rule names.
DEFAULT_TYPE: dict[str, str] = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1",
    "Q8_0": "Q8_0", "Q2_K": "Q2_K", "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K",
    "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K", "IQ1_S": "IQ1_S",
    "IQ1_M": "IQ1_M", "IQ2_XXS": "IQ2_XXS", "IQ2_XS": "IQ2_XS", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S",
    "IQ3_XXS": "IQ3_XXS", "IQ3_XS": "IQ3_S", "IQ3_S": "IQ3_S", "IQ3_M": "IQ3_S", "IQ4_XS": "IQ4_XS",
    "IQ4_NL": "IQ4_NL", "MXFP4_MOE": "Q8_0", "TQ1_0": "TQ1_0", "TQ2_0": "TQ2_0", "Q1_0": "Q1_0", "Q2_0": "Q2_0",
}  # fmt: skip
#: File types of publishers that keep the embeddings, per-layer ones too, and the output in Q8_0 -> the recipe of the rest.
#: bartowski's cards: "Uses Q8_0 for embed and output weights".
WIDE_TABLES: dict[str, str] = {
    "Q2_K_L": "Q2_K", "Q3_K_XL": "Q3_K_L", "Q4_K_L": "Q4_K_M", "Q5_K_L": "Q5_K_M", "Q6_K_L": "Q6_K",
}  # fmt: skip
#: File types whose tensors' types are known.
FILE_TYPES: tuple[str, ...] = (*DEFAULT_TYPE, *WIDE_TABLES)
_LOW_IQ = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS"})
_IQ1 = frozenset({"IQ1_S", "IQ1_M"})
_IQ12_SMALL = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"})
_IQ12 = _IQ12_SMALL | frozenset({"IQ2_S", "IQ2_M"})
_FOUR_BITS_OR_LESS = frozenset({"Q2_K", "Q3_K", "Q4_K", "IQ3_XXS", "IQ3_S", "IQ4_XS", "IQ4_NL"})
_IQ2_WIDE = frozenset({"IQ2_S", "IQ2_M"})
_UP = [TensorClass.FFN_UP, TensorClass.FFN_GATE, TensorClass.EXPERT_UP, TensorClass.EXPERT_GATE]
_CLASSES = np.arange(max(TensorClass) + 1)[:, None]
#: Architectures that llama.cpp calls "70B" when they have 80 layers: their attn_v is promoted.
_LLAMA_LIKE = frozenset({"LlamaForCausalLM", "Qwen2ForCausalLM", "DeciLMForCausalLM"})


@dataclass(frozen=True, slots=True)
class TensorIndex:
    """Facts that recipes read of each tensor of an inventory; arrays of shape (tensors,).

    ``is_class`` has one mask per tensor class, shape (classes, tensors); ``down`` are all ``ffn_down``, experts' too.
    """

    inventory: Inventory
    ordinal: NDArray[np.int64]
    running_down: NDArray[np.int64]
    is_class: NDArray[np.bool_]
    down: NDArray[np.bool_]
    n_layers: int
    n_value: int
    group: int
    n_experts: int
    tied: bool
    is_70b: bool
    is_llama_8b_or_70b: bool
    is_moe: bool
    vocab: int


def index_tensors(model: ModelArchitecture, tensors: Inventory) -> TensorIndex:
    """Number the tensors of each class, and derive the ratios that recipes look at."""
    is_class = tensors.cls == _CLASSES
    ordinal = np.zeros(len(tensors.cls), dtype=np.int64)
    for cls in (TensorClass.ATTN_V, TensorClass.FFN_DOWN):
        mask = is_class[cls]
        ordinal[mask] = np.arange(int(mask.sum()))
    if model.is_moe:
        # Files with experts number ffn_down by the layer in its name.
        ordinal[is_class[TensorClass.FFN_DOWN]] = tensors.layer[is_class[TensorClass.FFN_DOWN]]
    experts_down = is_class[TensorClass.EXPERT_DOWN]
    ordinal[experts_down] = tensors.layer[experts_down]
    any_down = experts_down | is_class[TensorClass.FFN_DOWN]
    running = np.zeros(len(tensors.cls), dtype=np.int64)
    running[any_down] = np.arange(int(any_down.sum()))
    first = model.layers[0]
    group = first.heads // first.kv_heads if first.has_attention and first.kv_heads else 0
    if model.latent is not None:
        # A file states one key head, that of the latent row, or none where its first layer does not attend.
        group = first.heads if first.has_attention else 0
    elif model.linear is not None:
        # These files state the key heads once for all layers; other hybrids by layer, 0 where a layer does not attend.
        attending = next((layer for layer in model.layers if layer.has_attention), None)
        group = attending.heads // max(attending.kv_heads, 1) if attending else 0
    return TensorIndex(
        inventory=tensors,
        ordinal=ordinal,
        running_down=running,
        is_class=is_class,
        down=any_down,
        n_layers=model.n_layers + model.stored_mtp_layers,
        n_value=int(is_class[TensorClass.ATTN_V].sum()),
        group=group,
        n_experts=model.experts.count if model.experts else 0,
        tied=model.tied_embeddings,
        is_70b=model.n_layers == 80 and model.architecture in _LLAMA_LIKE,
        is_llama_8b_or_70b=model.architecture == "LlamaForCausalLM" and model.n_layers in (32, 80),
        is_moe=model.is_moe,
        vocab=model.vocab,
    )


def more_bits(i: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Layers that a "more bits" rule promotes: the first and last eighth and every third between."""
    return np.asarray((i < n // 8) | (i >= 7 * n // 8) | ((i - n // 8) % 3 == 2))


def tensor_types(index: TensorIndex, file_type: str, *, imatrix: bool) -> NDArray[np.int64]:
    """Type code (into ``TYPES``) of every tensor, shape (tensors,).

    Raises:
        EstimatorError: the file type is none that llama.cpp writes.
    """
    if file_type not in FILE_TYPES:
        raise EstimatorError(f"unknown GGUF file type {file_type!r}; known are {', '.join(FILE_TYPES)}")
    is_class = index.is_class
    wide_tables, file_type = file_type in WIDE_TABLES, WIDE_TABLES.get(file_type, file_type)
    types = np.full(is_class.shape[1], CODE[DEFAULT_TYPE[file_type]], dtype=np.int64)
    if file_type in ("F16", "BF16", "F32"):
        types[is_class[TensorClass.KEPT]] = CODE["F32"]
        return types
    if file_type == "MXFP4_MOE":
        types[is_class[[*EXPERT_CLASSES, TensorClass.PER_HEAD]].any(axis=0)] = CODE["MXFP4"]
    else:
        _apply_recipe(types, index, file_type, imatrix)
    _apply_output(types, index, file_type)
    if wide_tables:
        types[is_class[[TensorClass.EMBEDDING, TensorClass.LOOKUP, TensorClass.OUTPUT]].any(axis=0)] = CODE["Q8_0"]
    fit_and_keep(types, index)
    return types


def fit_and_keep(types: NDArray[np.int64], index: TensorIndex) -> None:
    """Fall back where a row is too short for a block, and put back the types of what no recipe quantizes."""
    fit_to_rows(types, index.inventory.row)
    types[index.is_class[TensorClass.KEPT]] = CODE["F32"]
    types[index.is_class[TensorClass.HALF]] = CODE["F16"]


def _apply_output(types: NDArray[np.int64], index: TensorIndex, file_type: str) -> None:
    is_class = index.is_class
    table = is_class[TensorClass.EMBEDDING] | is_class[TensorClass.LOOKUP]
    # Without an output tensor of its own a file keeps its embedding tables, per-layer ones too, as wide as an output.
    output = table if index.tied else is_class[TensorClass.OUTPUT]
    default = DEFAULT_TYPE[file_type]
    if not index.tied:
        if file_type in _IQ12_SMALL:
            types[table] = CODE["Q2_K"]
        elif file_type in _IQ2_WIDE or file_type == "IQ3_XXS":
            types[table] = CODE["IQ3_S"]
        elif file_type in ("TQ1_0", "TQ2_0", "Q2_0"):
            types[table] = CODE["Q4_K"]
        else:
            types[table] = CODE[default]
    wide = default == "Q8_0" or bool((index.inventory.row[output] % 256 != 0).any())
    if wide:
        types[output] = CODE["Q8_0"]
    elif file_type in _LOW_IQ:
        types[output] = CODE["Q5_K"]
    else:
        types[output] = CODE["Q6_K"]


def _apply_recipe(types: NDArray[np.int64], index: TensorIndex, file_type: str, imatrix: bool) -> None:
    i, n, group = index.ordinal, index.n_layers, index.group
    value, down, output = index.is_class[TensorClass.ATTN_V], index.down, index.is_class[TensorClass.ATTN_OUTPUT]
    # The lowest types count every ffn_down tensor, experts and shared experts included; the others go by layer.
    eighth = (index.running_down < n // 8) if file_type in _IQ12 else (i < n // 8)

    def put(mask: NDArray[np.bool_], name: str) -> None:
        types[mask] = CODE[name]

    if file_type == "Q2_K":
        put(value, "Q4_K" if group >= 4 else "Q3_K")
        put(down, "Q3_K")
        put(output, "Q3_K")
    elif file_type == "Q2_K_S":
        if group >= 4:
            put(value, "Q4_K")
        put(down & eighth, "Q4_K")
    elif file_type == "Q3_K_M":
        put(value, "Q4_K")
        put(value & (i < 2), "Q5_K")
        put(down, "Q4_K")
        put(down & (i < n // 16), "Q5_K")
        put(output, "Q4_K")
    elif file_type == "Q3_K_L":
        put(value | down | output, "Q5_K")
    elif file_type == "Q4_K_S":
        put(value & (i < 4), "Q5_K")
        put(down & eighth, "Q5_K")
    elif file_type in ("Q4_K_M", "Q5_K_M"):
        put(value & more_bits(i, index.n_value), "Q6_K")
        put(down & more_bits(i, n), "Q6_K")
    elif file_type in ("Q4_0", "Q5_0") and imatrix:
        put(down & eighth, "Q4_1" if file_type == "Q4_0" else "Q5_1")
    elif file_type in ("IQ4_NL", "IQ4_XS"):
        if group >= 4:
            put(value, "Q5_K")
        if not imatrix:
            put(down & eighth, "Q5_K")
    elif file_type.startswith("IQ"):
        _apply_iq(put, types, index, file_type, imatrix, value, down, output, eighth)
    if index.is_70b and file_type not in _IQ12:
        low = value & ((types == CODE["Q3_K"]) | (types == CODE["Q4_K"]))
        put(low, "Q5_K")
    if index.n_experts == 8:
        _apply_eight_experts(put, index, file_type, value, output)


def _apply_eight_experts(
    put: Any, index: TensorIndex, file_type: str, value: NDArray[np.bool_], output: NDArray[np.bool_]
) -> None:
    """Mixtral's exceptions: attention is a small part of the file, so it is kept wide."""
    n, key = index.n_layers, index.is_class[TensorClass.ATTN_K]
    if file_type in _IQ12:
        put(key, "Q4_K")
        put(output, "Q5_K")
        return
    put(key | value, "Q8_0")
    if file_type == "Q3_K_L":
        put(output, "Q3_K")
    if file_type == "IQ3_M":
        put(index.is_class[TensorClass.EXPERT_DOWN] & more_bits(index.ordinal, n), "Q4_K")
    if DEFAULT_TYPE[file_type] in _FOUR_BITS_OR_LESS and file_type not in ("Q2_K_S", "Q3_K_L"):
        put(output, "Q5_K")


def _apply_iq(
    put: Any,
    types: NDArray[np.int64],
    index: TensorIndex,
    file_type: str,
    imatrix: bool,
    value: NDArray[np.bool_],
    down: NDArray[np.bool_],
    output: NDArray[np.bool_],
    eighth: NDArray[np.bool_],
) -> None:
    is_class, n, grouped = index.is_class, index.n_layers, index.group >= 4
    query_key = is_class[TensorClass.ATTN_Q] | is_class[TensorClass.ATTN_K]
    if file_type == "IQ3_M":
        put(value, "Q4_K")
        put(down & eighth, "Q4_K")
        put(output, "Q4_K")
    elif file_type in ("IQ3_S", "IQ3_XS"):
        if grouped:
            put(value, "Q4_K")
        if file_type == "IQ3_XS":
            put(query_key, "IQ3_XXS")
            middle = (index.inventory.layer >= n // 8) & (index.inventory.layer < 7 * n // 8)
            put(is_class[_UP].any(axis=0) & middle, "IQ3_XXS")
    elif file_type == "IQ3_XXS":
        if grouped:
            put(value, "Q4_K")
        elif not imatrix:
            put(value, "IQ3_S")
        if not imatrix:
            put(down, "Q3_K")
            put(down & eighth, "Q4_K")
        put(output, "IQ3_S")
        put(query_key, "IQ2_S")
    elif file_type in _IQ12_SMALL:
        put(value, "Q4_K" if grouped or index.n_experts >= 4 else "Q2_K")
        put(down & eighth, "Q2_K")
        if file_type in _IQ1:
            put(output, "IQ2_XXS")
    elif file_type in _IQ2_WIDE:
        put(value, "Q4_K" if grouped or index.n_experts >= 4 else "IQ3_S")
        put(down & eighth, "IQ3_S")
        put(output, "IQ3_S")
