"""Block formats of ggml: elements and bytes of a block, and the type that a row of another length falls back to.

Sizes are those of ``ggml_type_size`` and of the structures of ``ggml-common.h``, also of ik_llama.cpp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from estimator.structure.tensors import Inventory

#: ggml type -> (elements per block, bytes per block).
BLOCKS: dict[str, tuple[int, int]] = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22),
    "Q5_1": (32, 24), "Q8_0": (32, 34), "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144),
    "Q5_K": (256, 176), "Q6_K": (256, 210), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ3_XXS": (256, 98),
    "IQ1_S": (256, 50), "IQ4_NL": (32, 18), "IQ3_S": (256, 110), "IQ2_S": (256, 82), "IQ4_XS": (256, 136),
    "IQ1_M": (256, 56), "TQ1_0": (256, 54), "TQ2_0": (256, 66), "MXFP4": (32, 17), "NVFP4": (64, 36),
    "Q1_0": (128, 18), "Q2_0": (64, 18),
    # ik_llama.cpp
    "Q6_0": (32, 26), "Q8_KV": (32, 32), "Q8_K_R8": (256, 258), "IQ1_BN": (64, 13), "IQ2_BN": (64, 16),
    "IQ1_S_R4": (32, 6), "IQ1_M_R4": (32, 7), "IQ2_K": (256, 76), "IQ3_K": (256, 110), "IQ4_K": (256, 144),
    "IQ5_K": (256, 176), "IQ6_K": (256, 212), "IQ2_KS": (256, 70), "IQ3_KS": (256, 102), "IQ4_KS": (256, 136),
    "IQ5_KS": (256, 168), "IQ4_KSS": (256, 128), "IQ2_KL": (256, 86), "IQ1_KT": (256, 56), "IQ2_KT": (256, 68),
    "IQ3_KT": (256, 100), "IQ4_KT": (256, 128),
}  # fmt: skip
TYPES: tuple[str, ...] = tuple(BLOCKS)
CODE = {name: code for code, name in enumerate(TYPES)}
_BLOCK = np.array([BLOCKS[name][0] for name in TYPES], dtype=np.int64)
_BYTES = np.array([BLOCKS[name][1] for name in TYPES], dtype=np.int64)
#: Bytes of a row beside its blocks (``row_meta_size``): a scale of its own.
ROW_BYTES: dict[str, int] = {
    "IQ1_BN": 2, "IQ2_BN": 4, "Q8_KV": 8, "IQ1_S_R4": 2, "IQ1_M_R4": 2, "IQ2_KS": 2, "IQ3_KS": 2, "IQ2_KL": 2, "IQ4_KS": 4,
    "IQ5_KS": 4, "IQ4_KSS": 4, "IQ1_KT": 4, "IQ2_KT": 4, "IQ3_KT": 4, "IQ4_KT": 4,
}  # fmt: skip
_ROW_BYTES = np.array([ROW_BYTES.get(name, 0) for name in TYPES], dtype=np.int64)
#: Block sizes are powers of two.
_LAST_OF_BLOCK = _BLOCK - 1
_BLOCK_SHIFT = np.array([int(size).bit_length() - 1 for size in _BLOCK], dtype=np.int64)
#: When a row is no multiple of 256, the quantizer falls back to a type with 32-element blocks.
_FALLBACK = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
    "TQ1_0": "Q4_0", "TQ2_0": "Q4_0", "Q2_0": "Q4_0", "Q8_K_R8": "Q8_0",
}  # fmt: skip
_FALLBACK_CODE = np.array(
    [
        CODE[_FALLBACK.get(name, "IQ4_NL" if name.startswith("IQ") and BLOCKS[name][0] == 256 else name)]
        for name in TYPES
    ]
)


def fit_to_rows(types: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    """Put in place of every type whose block does not divide its row the one that the quantizer falls back to."""
    short = (rows & _LAST_OF_BLOCK[types]) != 0
    if short.any():
        types[short] = _FALLBACK_CODE[types[short]]
        types[(rows & _LAST_OF_BLOCK[types]) != 0] = CODE["F16"]


def tensor_bytes(tensors: Inventory, types: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of every tensor, of the shape of ``types`` (..., tensors): whole blocks along the rows."""
    blocks = (tensors.elements + _LAST_OF_BLOCK[types]) >> _BLOCK_SHIFT[types]
    own = _ROW_BYTES[types]
    rows = own * (tensors.elements // np.maximum(tensors.row, 1)) if own.any() else 0
    return blocks * _BYTES[types] + rows
