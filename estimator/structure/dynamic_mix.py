"""Parts of a file whose publisher mixes the types of a recipe by model, and their bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.structure.architecture import ModelArchitecture
from estimator.structure.quantization import TensorIndex
from estimator.structure.tensors import EXPERT_CLASSES, TensorClass

Ints = NDArray[np.int64]

#: Parts that have factors: embedding and output, tables of single layers, parts of dense models, and those of models with
#: experts, for which the publisher chose other types when they were released late.
PARTS: tuple[str, ...] = (
    "tables", "lookup", "attention", "down", "up", "beside_experts", "expert_down", "expert_up", "late_beside_experts",
    "late_expert_down", "late_expert_up",
)  # fmt: skip
#: Year from which on Unsloth's files of models with experts have other types, and come in more kinds (published sizes).
LATE_RELEASES = 2026.0 + 1 / 12
_DOWN = (TensorClass.FFN_DOWN,)
_UP = (TensorClass.FFN_UP, TensorClass.FFN_GATE)
_TABLES = (TensorClass.EMBEDDING, TensorClass.OUTPUT)


def part_of_tensors(model: ModelArchitecture, index: TensorIndex, *, native_experts: bool) -> Ints:
    """Number of the part (into ``PARTS``) of each tensor, shape (tensors,); -1 for what keeps its bytes: norms, routers, and
    experts that were trained in a block type."""
    is_late = not model.training.is_dated or model.training.released >= LATE_RELEASES
    prefix = "late_" if is_late else ""
    rest, down, up = ("attention", "down", "up") if not index.is_moe else (f"{prefix}beside_experts",) * 3
    expert_down, *expert_up = EXPERT_CLASSES
    number = np.full(len(index.inventory.cls), PARTS.index(rest), dtype=np.int64)
    for classes, part in (
        (_DOWN, down),
        (_UP, up),
        (_TABLES, "tables"),
        ((TensorClass.LOOKUP,), "lookup"),
        ((expert_down,), f"{prefix}expert_down"),
        (expert_up, f"{prefix}expert_up"),
    ):
        number[index.is_class[list(classes)].any(axis=0)] = PARTS.index(part)
    kept = [TensorClass.KEPT, TensorClass.HALF, *(EXPERT_CLASSES if native_experts else ())]
    number[index.is_class[kept].any(axis=0)] = -1
    return number


def mixed_bytes(recipe_bytes: Ints, part: Ints, factors: ArrayLike) -> Ints:
    """Bytes of each tensor, from those of the recipe and the numbers of the parts."""
    by_part = np.append(factors, 1.0)
    return np.asarray(np.rint(recipe_bytes * by_part[part]), dtype=np.int64)
