"""Bits by part of files whose publisher chooses the types of tensors by model: effective ones, from published sizes.

No recipe of such files is published (Unsloth's "UD" files), but sizes are. The bits of a part are those with which the
sizes of all models come out best; a model with a published size of its own does not need them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.structure.architecture import ModelArchitecture
from estimator.structure.quantization import index_tensors
from estimator.structure.tensors import inventory
from estimator.structure.weights import METADATA_BYTES_PER_TOKEN, part_bytes
from estimator.types import PartBits

PARTS = ("tables", "dense", "beside_experts", "experts")
#: Relative error below which a row counts as exact, and the pull of every part towards the average bits of all.
_EXACT, _PULL = 0.003, 0.004
_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class DynamicFile:
    """A published file: bytes, the weights of each of ``PARTS``, and the bytes of what is never quantized."""

    family: str
    stated_bytes: float
    rounding_bytes: float
    weights: NDArray[np.float64]
    fixed_bytes: float


@dataclass(frozen=True, slots=True)
class DynamicFit:
    """Bits by part, and relative errors on files of families that the fit did not see."""

    bits: PartBits
    files: int
    left_out_errors: NDArray[np.float64]


def dynamic_files(
    models: Mapping[str, ModelArchitecture], entries: Mapping[str, Mapping[str, Any]], quant: str
) -> list[DynamicFile]:
    """Published files of one quantization; experts that were trained in 4 bits are left so, and tell nothing of it."""
    files = []
    for slug, model in models.items():
        file = next((file for file in model.published_files if file.quant == quant), None)
        if file is None or "4" in model.native_dtype:
            continue
        weights, fixed = _parts(model)
        middle = (file.low_bytes + file.high_bytes) / 2.0
        files.append(
            DynamicFile(str(entries[slug]["family"]), middle, (file.high_bytes - file.low_bytes) / 2.0, weights, fixed)
        )
    return files


def fit_part_bits(files: Sequence[DynamicFile]) -> DynamicFit:
    """Least relative deviations, with every family left out in turn for the errors."""
    errors = []
    by_family: dict[str, list[DynamicFile]] = defaultdict(list)
    for file in files:
        by_family[file.family].append(file)
    for family, own in by_family.items():
        rest = [file for file in files if file.family != family]
        if rest:
            bits = _fit(rest)
            errors += [float(_bytes_of(file, bits) / file.stated_bytes - 1.0) for file in own]
    tables, *others = (float(value) for value in np.round(_fit(files), 2))
    return DynamicFit(PartBits(tables, tables, *others), len(files), np.array(errors))


def _parts(model: ModelArchitecture) -> tuple[NDArray[np.float64], float]:
    index = index_tensors(model, inventory(model))

    def total(*bits: float) -> float:
        return float(part_bytes(model, index, PartBits(*bits), native_experts=False).sum())

    none = total(0, 0, 0, 0, 0)
    one_bit = [(1, 1, 0, 0, 0), (0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)]
    weights = np.array([total(*bits) - none for bits in one_bit])
    return weights, none + METADATA_BYTES_PER_TOKEN * model.vocab


def _bytes_of(file: DynamicFile, bits: NDArray[np.float64]) -> float:
    return float(file.weights @ bits) + file.fixed_bytes


def _fit(files: Iterable[DynamicFile]) -> NDArray[np.float64]:
    """Bits of each part by least relative deviations (least squares, weighted anew by the last errors)."""
    rows = list(files)
    parts = np.stack([file.weights for file in rows])
    goal = np.array([file.stated_bytes - file.fixed_bytes for file in rows])
    sure = np.array([_EXACT / (_EXACT + file.rounding_bytes / file.stated_bytes) for file in rows])
    average = np.full(len(PARTS), float(np.median(goal / parts.sum(1))))
    bits = average.copy()
    for _ in range(_ROUNDS):
        error = np.abs(parts @ bits / goal - 1.0)
        weight = np.sqrt(sure / np.maximum(error, _EXACT))
        pull = _PULL * np.sqrt(weight @ weight)
        matrix = np.vstack([parts * (weight / goal)[:, None], np.diag(pull / average)])
        bits = np.linalg.lstsq(matrix, np.concatenate([weight, np.full(len(PARTS), pull)]), rcond=None)[0]
        bits = np.clip(bits, 0.6 * average, 16.0)
    return bits
