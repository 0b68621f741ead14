"""Recipes of the file types that ik_llama.cpp adds: a type per tensor class, as its quantizer chooses.

The rules are those of ``llama_tensor_get_type`` in ``src/llama-quantize.cpp`` of ik_llama.cpp (0296c60), with an importance
matrix. A type with interleaved rows (``_R4``, ``_R8``) has the size of the plain one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from estimator.structure.block_types import CODE
from estimator.structure.quantization import TensorIndex, fit_and_keep, more_bits
from estimator.structure.tensors import TensorClass

Put = Callable[[NDArray[np.bool_], str], None]

_INTERLEAVED = re.compile(r"_R(?:4|8|16)$")
#: Types of rows interleaved for processors whose plain type has another size, or whose file type mixes several.
_OWN_DEFAULT = {
    "IQ2_M_R4": "IQ2_S",
    "IQ1_S_R4": "IQ1_S_R4",
    "IQ1_M_R4": "IQ1_M_R4",
    "Q8_K_R8": "Q8_K_R8",
    "IQ3_KL": "IQ3_K",
}
IK_TYPES: tuple[str, ...] = (
    "IQ1_KT", "IQ2_KT", "IQ3_KT", "IQ4_KT", "IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K", "IQ2_KS", "IQ3_KS", "IQ4_KS",
    "IQ5_KS", "IQ4_KSS", "IQ2_KL", "IQ3_KL", "Q6_0", "Q8_KV", "IQ1_BN", "IQ2_BN", "Q4_0_R8", "Q5_0_R4", "Q8_0_R8",
    "Q2_K_R4", "Q3_K_R4", "Q4_K_R4", "Q5_K_R4", "Q6_K_R4", "IQ1_S_R4", "IQ1_M_R4", "IQ2_XXS_R4", "IQ2_XS_R4", "IQ2_M_R4",
    "IQ3_XXS_R4", "IQ3_S_R4", "IQ4_XS_R8", "IQ4_NL_R4", "Q8_K_R8",
)  # fmt: skip
_LOW = frozenset({"IQ2_K", "IQ3_K", "IQ2_KS", "IQ3_KS", "IQ2_KL", "IQ1_KT", "IQ2_KT", "IQ3_KT"})
_KEPT_OUTPUT = frozenset({"IQ6_K", "Q8_0", "Q8_K_R8", "Q8_KV"})
#: File type -> type of attn_v where several query heads share a key head, else.
_VALUE = {
    "IQ2_K": ("IQ4_K", "IQ3_K"), "IQ3_K": ("IQ4_K", "IQ3_K"), "IQ3_KS": ("IQ4_KS", "IQ3_KS"), "IQ2_KL": ("IQ4_KS", "IQ2_KL"),
    "IQ3_KL": ("IQ5_K", "IQ4_K"), "IQ4_KS": ("IQ5_K", "IQ4_KS"), "IQ4_KSS": ("IQ5_K", "IQ4_KSS"), "IQ4_K": ("IQ5_K", "IQ4_K"),
    "IQ4_XS_R8": ("IQ5_K", "IQ4_XS"), "IQ4_NL_R4": ("IQ5_K", "IQ4_NL"), "IQ3_S_R4": ("IQ4_K", "IQ3_S"),
}  # fmt: skip
#: The same where at least four share one.
_VALUE_OF_FOUR = {"IQ3_KT": ("IQ4_K", "IQ3_K"), "IQ4_KT": ("IQ5_K", "IQ4_K"), "Q2_K_R4": ("Q4_K", "Q2_K")}
#: File type -> type of attn_output, without experts.
_OUTPUT = {"IQ2_K": "IQ3_K", "IQ3_KL": "IQ4_KS", "IQ3_XXS_R4": "IQ3_K"}
_OUTPUT_UNCHANGED = frozenset({"IQ5_K", "IQ6_K", "IQ4_KT", "Q6_0", "Q8_KV", "Q8_K_R8", "Q5_K_R4", "Q6_K_R4", "Q8_0_R8"})
_VOCABULARY_OF_LLAMA_3 = 127_999


def default_type(file_type: str) -> str:
    """Type of every tensor that no rule names."""
    return _OWN_DEFAULT.get(file_type) or _INTERLEAVED.sub("", file_type)


def ik_types(index: TensorIndex, file_type: str) -> NDArray[np.int64]:
    """Type codes of the tensors of a file, shape (tensors,)."""
    base = default_type(file_type)
    types = np.full(index.is_class.shape[1], CODE[base], dtype=np.int64)

    def put(mask: NDArray[np.bool_], name: str) -> None:
        types[mask] = CODE[name]

    if file_type in ("IQ2_KT", "IQ2_KS", "IQ2_XXS_R4", "IQ2_XS_R4", "IQ2_M_R4", "IQ1_S_R4", "IQ1_M_R4"):
        _two_bits(put, index, file_type)
    else:
        _others(put, index, file_type)
    _tables(put, index, file_type, base)
    fit_and_keep(types, index)
    return types


def _tables(put: Put, index: TensorIndex, file_type: str, base: str) -> None:
    is_class = index.is_class
    table = is_class[TensorClass.EMBEDDING] | is_class[TensorClass.LOOKUP]
    output = table if index.tied else is_class[TensorClass.OUTPUT]
    if file_type == "IQ3_KT":
        put(table, "IQ3_S")
    elif file_type in ("IQ1_BN", "IQ2_BN"):
        put(table, "IQ4_NL")
    if bool((index.inventory.row[output] % 256 != 0).any()):
        put(output, "Q8_0")
    elif file_type in _LOW or file_type.startswith(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_M", "IQ3_XXS")):
        put(output, "IQ4_K" if index.tied else "Q5_K")
    elif index.tied and file_type in ("IQ4_KS", "IQ4_KSS", "IQ3_KL", "IQ3_S_R4"):
        put(output, "IQ5_K")
    elif base not in _KEPT_OUTPUT:
        put(output, "Q6_K")


def _two_bits(put: Put, index: TensorIndex, file_type: str) -> None:
    is_class, group, experts = index.is_class, index.group, index.n_experts
    trellis, wide = file_type == "IQ2_KT", file_type == "IQ2_M_R4"
    narrow = "IQ3_S" if wide else "Q2_K"
    many = experts >= 4 or group >= 4
    put(is_class[TensorClass.ATTN_V], "IQ4_K" if many else "IQ3_K" if group >= 2 else narrow)
    if experts >= 8:
        put(is_class[TensorClass.ATTN_K] | is_class[TensorClass.ATTN_Q], "Q4_K")
    first = (index.ordinal if trellis else index.running_down) < index.n_layers // 8
    put(index.down & first, "IQ3_K" if trellis else narrow)
    if experts >= 4:
        put(is_class[TensorClass.ATTN_OUTPUT], "Q5_K")
    elif trellis or wide:
        put(is_class[TensorClass.ATTN_OUTPUT], "IQ3_K" if trellis else "IQ3_S")
    elif file_type.startswith("IQ1"):
        put(is_class[TensorClass.ATTN_OUTPUT], "IQ2_K")


def _others(put: Put, index: TensorIndex, file_type: str) -> None:
    is_class, group, experts = index.is_class, index.group, index.n_experts
    value, output = is_class[TensorClass.ATTN_V], is_class[TensorClass.ATTN_OUTPUT]
    if experts >= 4:
        put(value | is_class[TensorClass.ATTN_K], "Q8_0")
        if file_type == "IQ2_KL":
            put(output, "IQ4_KS")
        elif file_type not in _OUTPUT_UNCHANGED and not file_type.endswith(("_BN", "IQ1_KT")):
            put(output, "Q5_K")
    else:
        if file_type in _VALUE:
            put(value, _VALUE[file_type][group < 2])
        elif file_type in _VALUE_OF_FOUR:
            put(value, _VALUE_OF_FOUR[file_type][group < 4])
        elif file_type in ("IQ5_K", "IQ5_KS") and index.vocab >= _VOCABULARY_OF_LLAMA_3 and index.is_llama_8b_or_70b:
            put(value, "IQ6_K")
            put(is_class[TensorClass.ATTN_Q], "IQ4_K" if file_type == "IQ5_K" else "IQ4_KS")
        if file_type in _OUTPUT:
            put(output, _OUTPUT[file_type])
        elif file_type == "IQ3_KT" and group >= 4:
            put(output, "IQ3_K")
    if file_type == "IQ3_KL":
        wide = more_bits(index.ordinal, index.n_layers)
        put(index.down & wide, "IQ4_KS")
