"""Files whose publisher chooses the types of tensors by model: their bytes over a recipe's, from published sizes.

No list of the types of such files is published (Unsloth's "UD" files), but sizes are. The factors of the parts are those with
which the sizes of all models come out best; a model with a published size of its own does not need them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.structure.architecture import ModelArchitecture
from estimator.structure.block_types import tensor_bytes
from estimator.structure.quantization import index_tensors
from estimator.structure.tensors import inventory
from estimator.structure.weights import METADATA_BYTES_PER_TOKEN, PARTS, file_types, part_of_tensors

#: Relative error below which a row counts as exact, and the pull of every part towards the factor of all.
_EXACT, _PULL = 0.003, 0.004
#: A part's factor at least, over the factor of all, and at most.
_LEAST, _MOST = 0.4, 8.0
_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class DynamicFile:
    """A published file: bytes, the recipe's bytes of each of ``PARTS``, and the bytes of what is never quantized."""

    family: str
    stated_bytes: float
    rounding_bytes: float
    recipe_bytes: NDArray[np.float64]
    fixed_bytes: float


@dataclass(frozen=True, slots=True)
class DynamicFit:
    """Factors by part, and relative errors on files of families that the fit did not see."""

    factors: dict[str, float]
    files: int
    left_out_errors: NDArray[np.float64]


def dynamic_files(
    models: Mapping[str, ModelArchitecture], entries: Mapping[str, Mapping[str, Any]], quant: str, file_type: str
) -> list[DynamicFile]:
    """Published files of one quantization about the recipe ``file_type``; experts that were trained in 4 bits are left so,
    and tell nothing of it."""
    files = []
    for slug, model in models.items():
        file = next((file for file in model.published_files if file.quant == quant and not file.is_alike), None)
        if file is None or "4" in model.native_dtype:
            continue
        parts, fixed = _parts(model, file_type)
        middle = (file.low_bytes + file.high_bytes) / 2.0
        files.append(
            DynamicFile(str(entries[slug]["family"]), middle, (file.high_bytes - file.low_bytes) / 2.0, parts, fixed)
        )
    return files


def fit_factors(files: Sequence[DynamicFile]) -> DynamicFit:
    """Least relative deviations, with every family left out in turn for the errors."""
    errors = []
    by_family: dict[str, list[DynamicFile]] = defaultdict(list)
    for file in files:
        by_family[file.family].append(file)
    for family, own in by_family.items():
        rest = [file for file in files if file.family != family]
        if rest:
            factors = _fit(rest)
            errors += [float(_bytes_of(file, factors) / file.stated_bytes - 1.0) for file in own]
    fitted = dict(zip(PARTS, np.round(_fit(files), 3).tolist(), strict=True))
    return DynamicFit(fitted, len(files), np.array(errors))


def _parts(model: ModelArchitecture, file_type: str) -> tuple[NDArray[np.float64], float]:
    index = index_tensors(model, inventory(model))
    sizes = tensor_bytes(index.inventory, file_types(model, index, file_type, imatrix=True))
    number = part_of_tensors(model, index, native_experts=False)
    parts = np.array([sizes[number == part].sum() for part in range(len(PARTS))], dtype=np.float64)
    return parts, float(sizes[number < 0].sum() + METADATA_BYTES_PER_TOKEN * model.vocab)


def _bytes_of(file: DynamicFile, factors: NDArray[np.float64]) -> float:
    return float(file.recipe_bytes @ factors) + file.fixed_bytes


def _fit(files: Iterable[DynamicFile]) -> NDArray[np.float64]:
    """Factor of each part by least relative deviations (least squares, weighted anew by the last errors)."""
    rows = list(files)
    parts = np.stack([file.recipe_bytes for file in rows])
    goal = np.array([file.stated_bytes - file.fixed_bytes for file in rows])
    sure = np.array([_EXACT / (_EXACT + file.rounding_bytes / file.stated_bytes) for file in rows])
    of_all = float(np.median(goal / parts.sum(1)))
    # Rows that fit no block have the recipe's type unless files say otherwise.
    usual = np.where([part.startswith("odd") for part in PARTS], 1.0, of_all)
    factors = usual.copy()
    for _ in range(_ROUNDS):
        error = np.abs(parts @ factors / goal - 1.0)
        weight = np.sqrt(sure / np.maximum(error, _EXACT))
        pull = _PULL * np.sqrt(weight @ weight)
        matrix = np.vstack([parts * (weight / goal)[:, None], np.diag(pull / usual)])
        factors = np.linalg.lstsq(matrix, np.concatenate([weight, np.full(len(PARTS), pull)]), rcond=None)[0]
        factors = np.clip(factors, _LEAST * of_all, _MOST)
    return factors
