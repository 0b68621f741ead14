"""The fitted constants and their spread, read from ``calibration.json``; written by ``fitgraph calibrate`` only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.effects import (
    DECODE_FACTORS,
    NO_FLASH_FACTORS,
    NO_GRAPH_FAMILIES,
    OVERALL_FACTORS,
    PREFILL_FACTORS,
    SLOPES,
    chip_of,
    effect_name,
    engine_factor,
    factor_values,
    family_of,
    quant_class,
    stack_of,
    unit_clocks_s,
)
from estimator.calibration.intervals import DEPTH, names_of
from estimator.speed.arithmetic import LLAMA_CPP_STEP_TOKENS, matrix_peak, power_log, step_tokens, weight_peak
from estimator.speed.coefficients import CALIBRATED, Parallel, SpeedCoefficients
from estimator.speed.multi_gpu import PIPELINED_BACKENDS, TENSOR_PARALLEL_ENGINES, is_linked, peer_bytes_s
from estimator.speed.roofline import DECODE_TERMS, PREFILL_TERMS, UNPACK_UNIT_CLOCKS
from estimator.structure.architecture import ModelArchitecture
from estimator.types import EVIDENCES, Accelerator, Backend, Engine, Evidence, Quant

DEFAULT_PATH = Path(__file__).with_name("calibration.json")
_MEASURED = EVIDENCES.index(Evidence.MEASURED)
_EXTRAPOLATED = EVIDENCES.index(Evidence.EXTRAPOLATED)
_ENGINES, _BACKENDS = tuple(Engine), tuple(Backend)
#: Bits per weight of whole files of the K types and the plain ones, medians over models from 2 B parameters. Other types
#: have kernels of another kind, which are slower on some backends and measured so.
TYPICAL_BITS: Mapping[str, float] = {
    "Q2_K": 3.01, "Q3_K_S": 3.52, "Q3_K_M": 3.92, "Q3_K_L": 4.26, "Q4_K_S": 4.60, "Q4_K_M": 4.87, "Q5_K_S": 5.53,
    "Q5_K_M": 5.69, "Q6_K": 6.56, "Q8_0": 8.50, "F16": 16.0,
}  # fmt: skip
#: An evened file type is at least this power of its share of the bits quicker per weight than the next wider one.
EVEN_POWER = 0.35
#: Builds older than this lack CUDA graphs, years before the reference date: llama.cpp got them in May 2024, so that a
#: build of June has them and one that states only May counts as without.
GRAPHS_AGE_YEARS = 2.35
PER_WEIGHT_TERMS = ("dense", "routed", "unpack")
#: How well a case is known, best first; each has its own range.
STRATA: tuple[str, ...] = ("measured", "gpu", "family", "none")
_EVIDENCE_OF = np.array([_MEASURED, CALIBRATED, CALIBRATED, _EXTRAPOLATED], dtype=np.uint8)
_MODEL_FACTORS = ("architecture", "architecture|vendor", "model")
_EVEN_ORDER: tuple[str, ...] = tuple(sorted(TYPICAL_BITS, key=lambda name: -TYPICAL_BITS[name]))
_PER_WEIGHT = [DECODE_TERMS.index(term) for term in PER_WEIGHT_TERMS]
_OF_POWER = [len(DECODE_TERMS) + PREFILL_TERMS.index(term) for term in SLOPES["power"]]
#: Terms with an effect of the very GPU: place among the logs, kind, name.
_OF_ONE_GPU: tuple[tuple[int, str, str], ...] = (
    *((k, "decode", term) for k, term in enumerate(DECODE_TERMS) if "gpu" in DECODE_FACTORS[term]),
    *(
        (len(DECODE_TERMS) + k, "prefill", term)
        for k, term in enumerate(PREFILL_TERMS)
        if "gpu" in PREFILL_FACTORS[term]
    ),
    (-2, "decode", "whole"),
    (-1, "prefill", "whole"),
)
#: Pairs of the setups whose coefficients are kept, about half a kilobyte each: ten times the whole catalog.
_KEPT_PAIRS = 150_000
#: Classes of accelerators and quants whose coefficients are kept; the catalog has some thousand.
_KEPT_CLASSES = 16_384


@dataclass(frozen=True, eq=False)
class Setup:
    """Accelerators and quants with the engine and backend of each pair, codes of shape (G, Q), 255 where none runs.

    Compared by identity: what is derived from one is kept for as long as it is asked about.
    ``software`` names a fork or front with a pace of its own.
    """

    gpus: tuple[Accelerator, ...]
    quants: tuple[Quant, ...]
    engine: NDArray[np.uint8]
    backend: NDArray[np.uint8]
    is_moe: bool
    software: str | None = None


@dataclass(frozen=True, slots=True)
class _Base:
    """Coefficients of a setup before any model is looked at.

    ``vendor`` is the index of each accelerator's vendor, ``stratum`` by kind that of each pair, ``ranges`` by kind the
    log ends of the range that a pair would have in each stratum, shape (2, strata, pairs); ``places`` are the indices of
    the accelerators of a slug.
    """

    table: SpeedCoefficients
    vendors: tuple[str, ...]
    vendor: NDArray[np.int64]
    stratum: dict[str, NDArray[np.int64]]
    ranges: dict[str, NDArray[np.float64]]
    places: dict[str, list[int]]


class Calibration:
    """Effects, ranges and measured configurations; see :mod:`estimator.calibration.effects` for how they combine."""

    def __init__(self, data: Mapping[str, Any], version: str) -> None:
        self.data = data
        self.version = version
        self._decode: dict[str, float] = data["decode"]["effects"]
        self._prefill: dict[str, float] = data["prefill"]["effects"]
        # A setup that nobody holds is never asked about again.
        self._bases: WeakKeyDictionary[Setup, _Base] = WeakKeyDictionary()
        self._lock = Lock()
        self._classes: dict[Any, NDArray[np.float64]] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> Calibration:
        """The calibration of a file; the bundled one by default, read once."""
        return _load(path or DEFAULT_PATH)

    def table(
        self, model: ModelArchitecture, setup: Setup, build_age_years: float = 0.0, *, flash_attention: bool = True
    ) -> SpeedCoefficients:
        """Coefficients of one model on every pair of ``setup``: numbers, or arrays of shape (pairs,), GPU first.

        ``build_age_years`` is 0 for a current build.
        """
        base = self._bases.get(setup) or self._keep(setup, self._base(setup))
        found = self._with_model(model, setup, base)
        if not flash_attention:
            found = replace(found, cache=found.cache * self._without_flash(setup))
        return self._aged(found, setup, build_age_years) if build_age_years else found

    def _keep(self, setup: Setup, base: _Base) -> _Base:
        with self._lock:
            self._bases[setup] = base
            kept = list(self._bases)
            pairs = sum(each.engine.size for each in kept)
            for oldest in kept[:-1]:
                if pairs <= _KEPT_PAIRS:
                    break
                pairs -= oldest.engine.size
                self._bases.pop(oldest, None)
        return base

    def _base(self, setup: Setup) -> _Base:
        gpus, quants = setup.gpus, setup.quants
        logs = np.zeros((len(gpus), len(quants), len(DECODE_TERMS) + len(PREFILL_TERMS) + 2))
        peak = np.repeat([[matrix_peak(gpu)] for gpu in gpus], len(quants), axis=1)
        step = np.full(peak.shape, float(LLAMA_CPP_STEP_TOKENS))
        for g, gpu in enumerate(gpus):
            memo: dict[Any, NDArray[np.float64]] = {}
            codes = zip(setup.engine[g].tolist(), setup.backend[g].tolist(), quants, strict=True)
            for q, (engine, backend, quant) in enumerate(codes):
                if engine >= len(_ENGINES):
                    continue
                key = (engine, backend, quant.slug)
                if key not in memo:
                    name = setup.software or _ENGINES[engine].value
                    memo[key] = self._logs(gpu, _BACKENDS[backend], name, quant, setup.is_moe)
                logs[g, q] = memo[key]
                peak[g, q] = weight_peak(gpu, _BACKENDS[backend], quant)
                step[g, q] = step_tokens(gpu, setup.software or _ENGINES[engine].value)
        n, size = len(DECODE_TERMS), len(quants)
        values = np.ascontiguousarray(np.exp(logs).reshape(-1, logs.shape[2]).T)
        strata = {kind: np.repeat(self._stratum(kind, gpus), size) for kind in ("decode", "prefill")}
        ranges = {kind: self._ranges(kind, setup) for kind in strata}
        known: dict[str, Any] = {}
        for kind, stratum in strata.items():
            known |= self._range_fields(kind, ranges[kind], stratum)
        offload = self.data["offload"]
        table = SpeedCoefficients(
            bandwidth_bytes_s=np.repeat([gpu.bandwidth_bytes_s or math.nan for gpu in gpus], size),
            peak_flops=peak.ravel(),
            attention_peak_flops=np.repeat([matrix_peak(gpu) for gpu in gpus], size),
            step_tokens=step.ravel(),
            unit_clocks_s=np.repeat([unit_clocks_s(gpu) for gpu in gpus], size),
            **{term: values[k] for k, term in enumerate(DECODE_TERMS)},
            **{term: values[n + k] for k, term in enumerate(PREFILL_TERMS)},
            decode_overall=values[-2],
            prefill_overall=values[-1],
            decode_shift=np.zeros(peak.size),
            prefill_shift=np.zeros(peak.size),
            thinness=float(self._prefill.get("thinness", 0.0)),
            host=float(offload["host"]),
            host_layer=float(offload["host_layer"]),
            host_expert=float(offload["host_expert"]),
            host_expert_layer=float(offload["host_expert_layer"]),
            link=float(offload["link"]),
            offload_low=math.log(offload["low"]),
            offload_high=math.log(offload["high"]),
            default_link_bytes_s=float(offload["default_link_bytes_s"]),
            ttft_fixed_s=float(self.data["ttft_fixed_s"]),
            **known,
            parallel=_parallel(self.data["parallel"]),
            tensor_parallel=_among(setup.engine, _ENGINES, TENSOR_PARALLEL_ENGINES),
            pipelines=_among(setup.backend, _BACKENDS, PIPELINED_BACKENDS),
            peer_bytes_s=np.repeat([peer_bytes_s(gpu, float(offload["default_link_bytes_s"])) for gpu in gpus], size),
            linked=np.repeat([is_linked(gpu) for gpu in gpus], size),
            seen=strata["decode"] <= STRATA.index("gpu"),
        )
        vendors = tuple(sorted({gpu.vendor for gpu in gpus}))
        places: dict[str, list[int]] = {}
        for g, gpu in enumerate(gpus):
            places.setdefault(gpu.slug, []).append(g)
        vendor = np.array([vendors.index(gpu.vendor) for gpu in gpus])
        return _Base(table, vendors, vendor, strata, ranges, places)

    def _logs(self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool) -> NDArray[np.float64]:
        """Logs of the coefficients of the decode terms, the prefill terms and both overall ones, shape (14,)."""
        out = self._class_logs(gpu, backend, engine, quant, is_moe).copy()
        out[_PER_WEIGHT] += self.evening(gpu, backend, engine, quant, is_moe)
        out[_OF_POWER] += self._prefill.get("power", 0.0) * power_log(gpu, weight_peak(gpu, backend, quant))
        for index, effects, term in _OF_ONE_GPU:
            known = self._decode if effects == "decode" else self._prefill
            out[index] += known.get(effect_name(term, "gpu", gpu.slug), 0.0)
            out[index] += known.get(effect_name(term, "chip", chip_of(gpu)), 0.0)
        return out

    def _class_logs(
        self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool
    ) -> NDArray[np.float64]:
        """The part of ``_logs`` that GPUs of a family and quants of a class share."""
        key = (family_of(gpu), gpu.vendor, backend, engine, quant_class(quant), is_moe)
        found = self._classes.get(key)
        if found is None:
            self._make_room()
            values = factor_values(gpu, backend, engine, quant, is_moe, "", "") | {"gpu": None, "chip": None}
            logs = [_sum(self._decode, term, DECODE_FACTORS[term], values) for term in DECODE_TERMS]
            logs += [_sum(self._prefill, term, PREFILL_FACTORS[term], values) for term in PREFILL_TERMS]
            own = tuple(factor for factor in OVERALL_FACTORS if factor not in _MODEL_FACTORS)
            logs += [_sum(effects, "whole", own, values) for effects in (self._decode, self._prefill)]
            found = self._classes[key] = np.array(logs)
        return found

    def _make_room(self) -> None:
        """Forget what was kept before callers' own accelerators fill the memory."""
        if len(self._classes) >= _KEPT_CLASSES:
            self._classes.clear()

    def evening(self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool) -> float:
        """What a file type's log cost per weight is lowered by, so that no wider file type is quicker to read.

        Types of one kind differ by what they read; a wider one that came out quicker did so by scatter of thin data.
        """
        own = TYPICAL_BITS.get(quant.file_type or "")
        if own is None or gpu.bandwidth_bytes_s is None:
            return 0.0
        clocks = unit_clocks_s(gpu)
        key = ("evening", family_of(gpu), gpu.vendor, gpu.slug, gpu.bandwidth_bytes_s, clocks, backend, engine, is_moe)
        found = self._classes.get(key)
        if found is None:
            self._make_room()
            found = self._classes[key] = self._evenings(gpu, backend, engine, quant, is_moe)
        return float(found[_EVEN_ORDER.index(str(quant.file_type))])

    def _evenings(
        self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool
    ) -> NDArray[np.float64]:
        lowest, wider_bits, out = math.inf, math.inf, []
        dense, unpack = DECODE_TERMS.index("routed" if is_moe else "dense"), DECODE_TERMS.index("unpack")
        clocks = unit_clocks_s(gpu)
        for name in _EVEN_ORDER:
            bits = TYPICAL_BITS[name]
            logs = self._class_logs(gpu, backend, engine, replace(quant, file_type=name), is_moe)
            read = math.exp(logs[dense]) * bits / 8.0 / gpu.bandwidth_bytes_s  # type: ignore[operator]
            mine = read + math.exp(logs[unpack]) * UNPACK_UNIT_CLOCKS / clocks
            bound = lowest * min(bits / wider_bits, 1.0) ** EVEN_POWER if lowest < math.inf else mine
            lowest, wider_bits = min(mine, bound), bits
            out.append(math.log(lowest / mine))
        return np.array(out)

    def _stratum(self, kind: str, gpus: Sequence[Accelerator]) -> NDArray[np.int64]:
        seen = self.data[kind]["seen"]
        return np.array(
            [1 if gpu.slug in seen["gpu"] else 2 if family_of(gpu) in seen["family"] else 3 for gpu in gpus]
        )

    def _with_model(self, model: ModelArchitecture, setup: Setup, base: _Base) -> SpeedCoefficients:
        changes: dict[str, Any] = {}
        size = len(setup.quants)
        for kind, effects in (("decode", self._decode), ("prefill", self._prefill)):
            shared = effects.get(effect_name("whole", "architecture", model.architecture), 0.0)
            shared += effects.get(effect_name("whole", "model", model.slug), 0.0)
            names = (f"{model.architecture}|{vendor}" for vendor in base.vendors)
            of_vendor = [effects.get(effect_name("whole", "architecture|vendor", name), 0.0) for name in names]
            shift = shared + np.array(of_vendor)[base.vendor]
            logs = np.repeat(shift, size)
            measured = self.data[kind]["measured"].get(model.slug, {})
            rows = [g for slug in measured for g in base.places.get(slug, ())]
            if rows:
                stratum, own = base.stratum[kind].copy(), np.zeros(len(logs))
                for g in rows:
                    self._as_measured(setup, g, measured[setup.gpus[g].slug], own, stratum)
                logs += own
                changes |= self._range_fields(kind, base.ranges[kind], stratum) | {f"{kind}_shift": own}
            changes[f"{kind}_overall"] = getattr(base.table, f"{kind}_overall") * np.exp(logs)
        if model.launches_per_layer != 1.0:
            changes["layer"] = base.table.layer * model.launches_per_layer
        return replace(base.table, **changes)

    @staticmethod
    def _as_measured(
        setup: Setup, g: int, measured: Mapping[str, Any], shift: NDArray[np.float64], stratum: NDArray[np.int64]
    ) -> None:
        """Let the pairs of accelerator ``g`` know what its rows with the same engine and backend have shown."""
        size = len(setup.quants)
        codes = zip(setup.engine[g].tolist(), setup.backend[g].tolist(), setup.quants, strict=True)
        for pair, (engine, backend, quant) in enumerate(codes, start=g * size):
            if engine >= len(_ENGINES):
                continue
            found = measured.get(stack_of(setup.software or _ENGINES[engine].value, _BACKENDS[backend].value))
            if found is not None:
                shift[pair] += found[0]
                stratum[pair] = STRATA.index("measured" if quant.slug in found[1] else "gpu")

    def _without_flash(self, setup: Setup) -> NDArray[np.float64]:
        """How much longer reads of the cache take without flash attention, shape (pairs,); 1 where no engine runs."""
        out = np.ones(setup.backend.shape)
        for g, gpu in enumerate(setup.gpus):
            for q, quant in enumerate(setup.quants):
                if setup.backend[g, q] < len(_BACKENDS):
                    backend = _BACKENDS[setup.backend[g, q]]
                    values = factor_values(gpu, backend, "", quant, setup.is_moe, "", "", flash_attention=False)
                    out[g, q] = math.exp(_sum(self._decode, "cache", NO_FLASH_FACTORS, values))
        return out.ravel()

    def _aged(self, table: SpeedCoefficients, setup: Setup, years: float) -> SpeedCoefficients:
        """The coefficients of a build of ``years`` ago: engines have become faster, by backend."""
        names = [each.value for each in _BACKENDS]
        backend = setup.backend.ravel()
        changes: dict[str, Any] = {}
        if years > GRAPHS_AGE_YEARS:
            without = self._without_graphs(setup)
            for term in ("layer", "expert_layer"):
                cost = self._decode.get(effect_name(term, "no-graphs", "yes"), 0.0)
                changes[term] = getattr(table, term) * np.exp(cost * without)
        for kind, effects in (("decode", self._decode), ("prefill", self._prefill)):
            rates = [effects.get(effect_name("whole", "age", name), 0.0) for name in names]
            known = np.array([*rates, *([0.0] * (256 - len(rates)))])
            changes[f"{kind}_overall"] = getattr(table, f"{kind}_overall") * np.exp(known[backend] * years)
        return replace(table, **changes)

    @staticmethod
    def _without_graphs(setup: Setup) -> NDArray[np.bool_]:
        """Pairs that have lost CUDA graphs in a build from before llama.cpp had them, shape (pairs,)."""
        lost = np.array([family_of(gpu) not in NO_GRAPH_FAMILIES for gpu in setup.gpus])
        own = np.isin(setup.engine, [_ENGINES.index(each) for each in Engine if engine_factor(each.value) is None])
        runs = own & (setup.backend == _BACKENDS.index(Backend.CUDA)) & (setup.software is None)
        return np.asarray((runs & lost[:, None]).ravel())

    def _ranges(self, kind: str, setup: Setup) -> NDArray[np.float64]:
        """Log ends of the range of each pair in each stratum, shape (2, strata, pairs)."""
        out = np.zeros((2, len(STRATA), setup.engine.size))
        codes = list(zip(setup.engine.ravel().tolist(), setup.backend.ravel().tolist(), strict=True))
        for k, stratum in enumerate(STRATA):
            stated = self.data[kind]["ranges"][stratum]
            size = {
                (engine, backend): math.exp(
                    sum(
                        stated["spread"].get(name, 0.0)
                        for name in names_of(
                            setup.is_moe,
                            _BACKENDS[backend].value,
                            engine_factor(setup.software or _ENGINES[engine].value),
                        )
                    )
                )
                for engine, backend in set(codes)
                if engine < len(_ENGINES)
            }
            sizes = np.array([size.get(code, 1.0) for code in codes])
            out[0, k], out[1, k] = stated["low"] * sizes, stated["high"] * sizes
        return out

    def _range_fields(self, kind: str, ranges: NDArray[np.float64], stratum: NDArray[np.int64]) -> dict[str, Any]:
        pairs = np.arange(len(stratum))
        slopes = np.array([float(self.data[kind]["ranges"][name]["spread"][DEPTH]) for name in STRATA])
        return {
            f"{kind}_low": ranges[0, stratum, pairs],
            f"{kind}_high": ranges[1, stratum, pairs],
            f"{kind}_depth": slopes[stratum],
            f"{kind}_evidence": _EVIDENCE_OF[stratum],
        }


def _parallel(data: Mapping[str, Any]) -> Parallel:
    """The constants of the ``parallel`` part of ``calibration.json``."""
    ranges = {name: (float(low), float(high)) for name, (low, high) in data["ranges"].items()}
    hop, total, total_bytes, unpipelined = (float(data[name]) for name in ("hop", "sum", "sum_bytes", "unpipelined"))
    return Parallel(hop, total, total_bytes, unpipelined, ranges)


def _among(codes: NDArray[np.uint8], known: Sequence[Any], wanted: frozenset[Any]) -> NDArray[np.bool_]:
    """Which pairs have one of the ``wanted``; ``codes`` index ``known``."""
    return np.isin(codes.ravel(), [known.index(each) for each in wanted])


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
