"""Prediction intervals of pairs by how well each is known (:mod:`estimator.accuracy.spread` fits their widths)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.effects import engine_factor, family_of, stack_of
from estimator.placement.engines import EngineChoices
from estimator.speed.coefficients import CALIBRATED
from estimator.structure.arrays import Flags
from estimator.structure.likeness import SPECIAL_LAYERS
from estimator.types import BACKENDS, ENGINES, EVIDENCES, Accelerator, Backend, Evidence

#: How well a case is known, best first; each has its own range.
STRATA: tuple[str, ...] = ("measured", "gpu", "family", "none")
_EVIDENCE_OF = np.array(
    [EVIDENCES.index(Evidence.MEASURED), CALIBRATED, CALIBRATED, EVIDENCES.index(Evidence.EXTRAPOLATED)], dtype=np.uint8
)
#: The slope on the depth of the context.
DEPTH = "depth"


def names_of(is_moe: bool, backend: str, engine: str | None) -> tuple[str, ...]:
    """Names of the effects that apply to a case; ``engine`` is None for llama.cpp and its fronts."""
    names = [f"backend:{backend}"]
    if is_moe:
        names.append("moe")
    if engine is not None:
        names += ["engine", f"engine:{engine}"]
    return tuple(names)


def range_ends(stated_ranges: Mapping[str, Any], choices: EngineChoices) -> NDArray[np.float64]:
    """Log ends of the range of each pair in each stratum, shape (2, strata, pairs)."""
    out = np.zeros((2, len(STRATA), choices.engine.size))
    stacks = choices.engine.ravel().astype(np.int64) * 256 + choices.backend.ravel()
    distinct, place = np.unique(stacks, return_inverse=True)
    codes = [divmod(stack, 256) for stack in distinct.tolist()]
    for k, stratum in enumerate(STRATA):
        stated = stated_ranges[stratum]
        size = {
            (engine, backend): math.exp(
                sum(
                    stated["spread"].get(name, 0.0)
                    for name in names_of(
                        choices.is_moe,
                        BACKENDS[backend].value,
                        engine_factor(choices.software or ENGINES[engine].value),
                    )
                )
            )
            for engine, backend in codes
            if engine < len(ENGINES)
        }
        sizes = np.array([size.get(code, 1.0) for code in codes])[place.ravel()]
        out[0, k], out[1, k] = stated["low"] * sizes, stated["high"] * sizes
    # Nobody is surer of a case for knowing less of it.
    return np.stack([np.minimum.accumulate(out[0]), np.maximum.accumulate(out[1])])


def unseen_layers(known: Collection[str] | None, gpu: Accelerator, backend: Backend, engine: str) -> tuple[str, ...]:
    """Kinds of special layers that no row had on the family of a device with an engine and backend, as ``known`` names them.

    None says nothing of any.
    """
    at = f"{family_of(gpu)}|{stack_of(engine, backend.value)}"
    return () if known is None else tuple(layers for layers in SPECIAL_LAYERS if f"{layers}|{at}" not in known)


def unseen_pairs(known: Collection[str] | None, choices: EngineChoices) -> dict[str, Flags]:
    """By kind of special layers, the pairs on whose family, engine and backend no row had any, shape (pairs,)."""
    out = {layers: np.zeros(choices.engine.shape, dtype=np.bool_) for layers in SPECIAL_LAYERS}
    for g, gpu in enumerate(choices.gpus):
        for engine, backend in set(zip(choices.engine[g].tolist(), choices.backend[g].tolist(), strict=True)):
            if engine < len(ENGINES):
                at = (choices.engine[g] == engine) & (choices.backend[g] == backend)
                name = choices.software or ENGINES[engine].value
                for layers in unseen_layers(known, gpu, BACKENDS[backend], name):
                    out[layers][g, at] = True
    return {layers: pairs.ravel() for layers, pairs in out.items()}


def range_fields(
    kind: str, stated_ranges: Mapping[str, Any], ranges: NDArray[np.float64], stratum: NDArray[np.int64]
) -> dict[str, Any]:
    """Fields of :class:`SpeedCoefficients` that tell the ranges of pairs by their ``stratum``."""
    pairs = np.arange(len(stratum))
    slopes = np.array([float(stated_ranges[name]["spread"][DEPTH]) for name in STRATA])
    return {
        f"{kind}_low": ranges[0, stratum, pairs],
        f"{kind}_high": ranges[1, stratum, pairs],
        f"{kind}_depth": slopes[stratum],
        f"{kind}_evidence": _EVIDENCE_OF[stratum],
    }
