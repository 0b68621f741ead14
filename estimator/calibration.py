"""The fitted constants and their spread, read from ``calibration.json``; written by ``fitgraph calibrate`` only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.architecture import ModelArchitecture
from estimator.effects import (
    DECODE_FACTORS,
    OVERALL_FACTORS,
    PREFILL_FACTORS,
    effect_name,
    factor_values,
    family_of,
    unit_clocks_s,
)
from estimator.speed import DECODE_TERMS, PREFILL_TERMS, UNPACK_UNIT_CLOCKS
from estimator.types import EVIDENCES, Accelerator, Backend, Engine, Evidence, Quant

DEFAULT_PATH = Path(__file__).with_name("calibration.json")
_MEASURED = EVIDENCES.index(Evidence.MEASURED)
CALIBRATED = EVIDENCES.index(Evidence.CALIBRATED)
_EXTRAPOLATED = EVIDENCES.index(Evidence.EXTRAPOLATED)
_ENGINES, _BACKENDS = tuple(Engine), tuple(Backend)
#: Scale of the arithmetic peak of Apple GPUs whose vendor states none: FLOPS per core. The family's effect corrects it.
NOMINAL_FLOPS_PER_CORE = 2.5e11
#: Bits per weight of whole files of the K types and the plain ones, medians over models from 2 B parameters. Other types
#: have kernels of another kind, which are slower on some backends and measured so.
TYPICAL_BITS: Mapping[str, float] = {
    "Q2_K": 3.01, "Q3_K_S": 3.52, "Q3_K_M": 3.92, "Q3_K_L": 4.26, "Q4_K_S": 4.60, "Q4_K_M": 4.87, "Q5_K_S": 5.53,
    "Q5_K_M": 5.69, "Q6_K": 6.56, "Q8_0": 8.50, "F16": 16.0,
}  # fmt: skip
#: An evened file type is at least this power of its share of the bits quicker per weight than the next wider one.
EVEN_POWER = 0.35
PER_WEIGHT_TERMS = ("dense", "routed", "unpack")
#: How well a case is known, best first; each has its own range.
STRATA: tuple[str, ...] = ("measured", "gpu", "family", "none")
_MODEL_FACTORS = ("architecture", "architecture|vendor", "model")


@dataclass(frozen=True, slots=True)
class SpeedCoefficients:
    """What the speed model needs of a device, a quant and a model; arrays of one common shape.

    Each term has a coefficient on its ideal seconds; ``*_overall`` multiply the whole time on the device; ``host*``
    and ``link`` are those of system memory (layers, experts, and fixed per layer) and the link; ``*_low`` and
    ``*_high`` multiply tok/s (``offload_*`` where weights are in system memory).
    """

    bandwidth_bytes_s: Any
    peak_flops: Any
    unit_clocks_s: Any
    dense: Any
    routed: Any
    cache: Any
    unpack: Any
    layer: Any
    expert_layer: Any
    token: Any
    decode_overall: Any
    linear: Any
    attention: Any
    read: Any
    step: Any
    thinness: Any
    prefill_overall: Any
    host: Any
    host_layer: Any
    host_expert: Any
    host_expert_layer: Any
    link: Any
    default_link_bytes_s: Any
    ttft_fixed_s: Any
    offload_low: Any
    offload_high: Any
    decode_low: Any
    decode_high: Any
    prefill_low: Any
    prefill_high: Any
    decode_evidence: Any
    prefill_evidence: Any

    def take(self, g: NDArray[np.int64], q: NDArray[np.int64]) -> SpeedCoefficients:
        """The coefficients of cells, gathered from arrays of shape (gpus, quants)."""
        return SpeedCoefficients(*(_gather(getattr(self, each.name), g, q) for each in fields(self)))


def _gather(values: Any, g: NDArray[np.int64], q: NDArray[np.int64]) -> Any:
    if np.ndim(values) == 0:
        return values
    rows, columns = values.shape
    if values.size == 1:
        return values[0, 0]
    return values[:, 0][g] if columns == 1 else values.ravel()[g * columns + q] if rows > 1 else values[0][q]


def peak_flops(accelerator: Accelerator) -> float:
    """Dense peak that prefill is measured against, FLOPS; NaN when no fact leads to one."""
    if accelerator.matrix_flops is not None:
        return accelerator.matrix_flops
    if accelerator.fp32_flops is not None:
        return accelerator.fp32_flops
    if accelerator.vendor == "apple" and accelerator.compute_units:
        return accelerator.compute_units * NOMINAL_FLOPS_PER_CORE
    return math.nan


class Calibration:
    """Effects, ranges and measured configurations; see :mod:`estimator.effects` for how they combine."""

    def __init__(self, data: Mapping[str, Any], version: str) -> None:
        self.data = data
        self.version = version
        self._decode: dict[str, float] = data["decode"]["effects"]
        self._prefill: dict[str, float] = data["prefill"]["effects"]
        self._tables: dict[Any, tuple[SpeedCoefficients, NDArray[np.int64], NDArray[np.int64]]] = {}
        self._per_model: dict[Any, SpeedCoefficients] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> Calibration:
        """The calibration of a file; the bundled one by default, read once."""
        return _load(path or DEFAULT_PATH)

    def table(
        self,
        model: ModelArchitecture,
        gpus: Sequence[Accelerator],
        quants: Sequence[Quant],
        engine: NDArray[np.uint8],
        backend: NDArray[np.uint8],
        software: str | None = None,
        build_age_years: float = 0.0,
    ) -> SpeedCoefficients:
        """Coefficients of one model on every (gpu, quant); arrays of shape (gpus, quants) or (gpus, 1).

        ``software`` names a fork or front with a pace of its own; ``build_age_years`` is 0 for a current build.
        """
        key = (tuple(gpus), tuple(quants), engine.tobytes(), backend.tobytes(), model.is_moe, software)
        own = (*key, model, build_age_years)
        found = self._per_model.get(own)
        if found is None:
            if key not in self._tables:
                self._tables[key] = self._build(gpus, quants, engine, backend, model.is_moe, software)
            found = self._with_model(model, gpus, quants, *self._tables[key])
            if build_age_years:
                found = self._aged(found, backend, build_age_years)
            if len(self._per_model) > 512:
                self._per_model.clear()
            self._per_model[own] = found
        return found

    def _build(
        self,
        gpus: Sequence[Accelerator],
        quants: Sequence[Quant],
        engine: NDArray[np.uint8],
        backend: NDArray[np.uint8],
        is_moe: bool,
        software: str | None,
    ) -> tuple[SpeedCoefficients, NDArray[np.int64], NDArray[np.int64]]:
        shape = (len(gpus), len(quants))
        logs = np.zeros((len(DECODE_TERMS) + len(PREFILL_TERMS) + 2, *shape))
        memo: dict[Any, NDArray[np.float64]] = {}
        for g, gpu in enumerate(gpus):
            for q, quant in enumerate(quants):
                if engine[g, q] >= len(_ENGINES):
                    continue
                key = (family_of(gpu), gpu.slug, engine[g, q], backend[g, q], quant.slug)
                if key not in memo:
                    name = software or _ENGINES[engine[g, q]].value
                    memo[key] = self._logs(gpu, _BACKENDS[backend[g, q]], name, quant, is_moe)
                logs[:, g, q] = memo[key]
        n = len(DECODE_TERMS)
        values = np.exp(logs)
        offload = self.data["offload"]
        table = SpeedCoefficients(
            bandwidth_bytes_s=np.array([[gpu.bandwidth_bytes_s or math.nan] for gpu in gpus]),
            peak_flops=np.array([[peak_flops(gpu)] for gpu in gpus]),
            unit_clocks_s=np.array([[unit_clocks_s(gpu)] for gpu in gpus]),
            **{term: values[k] for k, term in enumerate(DECODE_TERMS)},
            **{term: values[n + k] for k, term in enumerate(PREFILL_TERMS)},
            decode_overall=values[-2],
            prefill_overall=values[-1],
            thinness=float(self._prefill.get("thinness", 0.0)),
            host=float(offload["host"]),
            host_layer=float(offload["host_layer"]),
            host_expert=float(offload["host_expert"]),
            host_expert_layer=float(offload["host_expert_layer"]),
            link=float(offload["link"]),
            offload_low=float(offload["low"]),
            offload_high=float(offload["high"]),
            default_link_bytes_s=float(offload["default_link_bytes_s"]),
            ttft_fixed_s=float(self.data["ttft_fixed_s"]),
            decode_low=1.0,
            decode_high=1.0,
            prefill_low=1.0,
            prefill_high=1.0,
            decode_evidence=0,
            prefill_evidence=0,
        )
        return table, self._stratum("decode", gpus), self._stratum("prefill", gpus)

    def _logs(self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool) -> NDArray[np.float64]:
        values = factor_values(gpu, backend, engine, quant, is_moe, "", "")
        out = [_sum(self._decode, term, DECODE_FACTORS[term], values) for term in DECODE_TERMS]
        evening = self.evening(gpu, backend, engine, quant, is_moe)
        for term in PER_WEIGHT_TERMS:
            out[DECODE_TERMS.index(term)] += evening
        out += [_sum(self._prefill, term, PREFILL_FACTORS[term], values) for term in PREFILL_TERMS]
        own = tuple(factor for factor in OVERALL_FACTORS if factor not in _MODEL_FACTORS)
        out += [_sum(effects, "whole", own, values) for effects in (self._decode, self._prefill)]
        return np.array(out)

    def evening(self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool) -> float:
        """What a file type's log cost per weight is lowered by, so that no wider file type is quicker to read.

        Types of one kind differ by what they read; a wider one that came out quicker did so by scatter of thin data.
        """
        own = TYPICAL_BITS.get(quant.file_type or "")
        if own is None or gpu.bandwidth_bytes_s is None:
            return 0.0
        lowest, wider_bits, mine = math.inf, math.inf, 0.0
        for name, bits in sorted(TYPICAL_BITS.items(), key=lambda item: -item[1]):
            if bits < own:
                break
            values = factor_values(gpu, backend, engine, replace(quant, file_type=name), is_moe, "", "")
            logs = {term: _sum(self._decode, term, DECODE_FACTORS[term], values) for term in PER_WEIGHT_TERMS}
            read = math.exp(logs["routed" if is_moe else "dense"]) * bits / 8.0 / gpu.bandwidth_bytes_s
            mine = read + math.exp(logs["unpack"]) * UNPACK_UNIT_CLOCKS / unit_clocks_s(gpu)
            bound = lowest * min(bits / wider_bits, 1.0) ** EVEN_POWER if lowest < math.inf else mine
            lowest, wider_bits = min(mine, bound), bits
            if name == quant.file_type:
                break
        return math.log(lowest / mine)

    def _stratum(self, kind: str, gpus: Sequence[Accelerator]) -> NDArray[np.int64]:
        seen = self.data[kind]["seen"]
        return np.array(
            [1 if gpu.slug in seen["gpu"] else 2 if family_of(gpu) in seen["family"] else 3 for gpu in gpus]
        )

    def _with_model(
        self,
        model: ModelArchitecture,
        gpus: Sequence[Accelerator],
        quants: Sequence[Quant],
        table: SpeedCoefficients,
        decode_stratum: NDArray[np.int64],
        prefill_stratum: NDArray[np.int64],
    ) -> SpeedCoefficients:
        changes: dict[str, Any] = {}
        for kind, effects, base in (
            ("decode", self._decode, decode_stratum),
            ("prefill", self._prefill, prefill_stratum),
        ):
            shared = effects.get(effect_name("whole", "architecture", model.architecture), 0.0)
            shared += effects.get(effect_name("whole", "model", model.slug), 0.0)
            shift = np.array(
                [
                    shared
                    + effects.get(
                        effect_name("whole", "architecture|vendor", f"{model.architecture}|{gpu.vendor}"), 0.0
                    )
                    for gpu in gpus
                ]
            )
            stratum = np.repeat(base[:, None], len(quants), axis=1)
            measured = self.data[kind]["measured"].get(model.slug, {})
            for g, gpu in enumerate(gpus):
                if gpu.slug in measured:
                    residual, slugs = measured[gpu.slug]
                    shift[g] += residual
                    stratum[g] = [0 if quant.slug in slugs else 1 for quant in quants]
            low, high = self._ranges(kind, model.is_moe)
            changes[f"{kind}_overall"] = getattr(table, f"{kind}_overall") * np.exp(shift)[:, None]
            changes[f"{kind}_low"], changes[f"{kind}_high"] = low[stratum], high[stratum]
            codes = np.array([_MEASURED, CALIBRATED, CALIBRATED, _EXTRAPOLATED], dtype=np.uint8)
            changes[f"{kind}_evidence"] = codes[stratum]
        return replace(table, **changes)

    def _aged(self, table: SpeedCoefficients, backend: NDArray[np.uint8], years: float) -> SpeedCoefficients:
        """The coefficients of a build of ``years`` ago: engines have become faster, by backend."""
        names = [each.value for each in _BACKENDS]
        changes = {}
        for kind, effects in (("decode", self._decode), ("prefill", self._prefill)):
            rates = [effects.get(effect_name("whole", "age", name), 0.0) for name in names]
            known = np.array([*rates, *([0.0] * (256 - len(rates)))])
            changes[f"{kind}_overall"] = getattr(table, f"{kind}_overall") * np.exp(known[backend] * years)
        return replace(table, **changes)

    def _ranges(self, kind: str, is_moe: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ranges = self.data[kind]["ranges"]["moe" if is_moe else "dense"]
        return np.array([ranges[name][0] for name in STRATA]), np.array([ranges[name][1] for name in STRATA])


def _sum(effects: Mapping[str, float], term: str, factors: Sequence[str], values: Mapping[str, str | None]) -> float:
    total = 0.0
    for factor in factors:
        value = values.get(factor)
        if value is not None:
            total += effects.get(effect_name(term, factor, value), 0.0)
    return total


@lru_cache(maxsize=8)
def _load(path: Path) -> Calibration:
    raw = path.read_bytes()
    return Calibration(json.loads(raw), hashlib.sha256(raw).hexdigest())
