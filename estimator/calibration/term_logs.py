"""Logs of the coefficients of every term, as sums of effects, for a device, engine and quant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.effects import (
    DECODE_FACTORS,
    OVERALL_FACTORS,
    PREFILL_FACTORS,
    SLOPES,
    barrier_scale,
    clock_log,
    die_of,
    effect_name,
    factor_values,
    family_of,
    feed_log,
    quant_class,
    unit_clocks_s,
)
from estimator.speed.arithmetic import matrix_log, power_log, weight_peak
from estimator.speed.roofline import DECODE_TERMS, PREFILL_TERMS, UNPACK_UNIT_CLOCKS
from estimator.types import Accelerator, Backend, Quant

#: Bits per weight of whole files of the K types and the plain ones, medians over models from 2 B parameters. Other types
#: have kernels of another kind, which are slower on some backends and measured so.
TYPICAL_BITS: Mapping[str, float] = {
    "Q2_K": 3.01, "Q3_K_S": 3.52, "Q3_K_M": 3.92, "Q3_K_L": 4.26, "Q4_K_S": 4.60, "Q4_K_M": 4.87, "Q5_K_S": 5.53,
    "Q5_K_M": 5.69, "Q6_K": 6.56, "Q8_0": 8.50, "F16": 16.0,
}  # fmt: skip
#: An evened file type is at least this power of its share of the bits quicker per weight than the next wider one.
EVEN_POWER = 0.35
PER_WEIGHT_TERMS = ("dense", "routed", "unpack")
_OWN_FACTORS = ("gpu", "chip")
_MODEL_FACTORS = ("architecture", "architecture|vendor", "model")
_EVEN_ORDER: tuple[str, ...] = tuple(sorted(TYPICAL_BITS, key=lambda name: -TYPICAL_BITS[name]))
_PER_WEIGHT = [DECODE_TERMS.index(term) for term in PER_WEIGHT_TERMS]
_PER_LAYER = [DECODE_TERMS.index(term) for term in ("layer", "expert_layer")]
#: Slopes of decode on facts of the accelerator, with the places of the terms that each acts on.
_OF_DEVICE: tuple[tuple[str, Callable[[Accelerator], float], list[int]], ...] = tuple(
    (name, log, [DECODE_TERMS.index(term) for term in SLOPES[name]])
    for name, log in (("feed", feed_log), ("clock", clock_log))
)
#: Slopes on facts of the accelerator, with the places of the terms that each acts on.
_OF_PEAK: tuple[tuple[str, Callable[[Accelerator, float], float], list[int]], ...] = tuple(
    (name, log, [len(DECODE_TERMS) + PREFILL_TERMS.index(term) for term in SLOPES[name]])
    for name, log in (("power", power_log), ("matrix", matrix_log))
)
#: Terms with an effect of the very GPU or its kin: place among the logs, kind, name.
_OF_ONE_GPU: tuple[tuple[int, str, str], ...] = (
    *((k, "decode", term) for k, term in enumerate(DECODE_TERMS) if {*_OWN_FACTORS} & {*DECODE_FACTORS[term]}),
    *(
        (len(DECODE_TERMS) + k, "prefill", term)
        for k, term in enumerate(PREFILL_TERMS)
        if {*_OWN_FACTORS} & {*PREFILL_FACTORS[term]}
    ),
    (-2, "decode", "whole"),
    (-1, "prefill", "whole"),
)
#: Classes of accelerators and quants whose coefficients are kept; the catalog has some thousand.
_KEPT_CLASSES = 16_384


class TermLogs:
    """Sums of the effects ``decode`` and ``prefill``."""

    def __init__(self, decode: Mapping[str, float], prefill: Mapping[str, float]) -> None:
        self._decode, self._prefill = decode, prefill
        self._classes: dict[Any, NDArray[np.float64]] = {}

    def of_gpu(
        self, gpu: Accelerator, stacks: Sequence[tuple[Backend, str]], quants: Sequence[Quant], is_moe: bool
    ) -> NDArray[np.float64]:
        """Logs of the coefficients of the decode terms, the prefill terms and both overall ones, shape (pairs, 14).

        Each pair is a quant with its stack: backend and engine.
        """
        family = family_of(gpu)
        pairs = list(zip(stacks, quants, strict=True))
        out = np.array([self._class_logs(gpu, family, *stack, quant, is_moe) for stack, quant in pairs])
        evening = np.zeros(len(pairs))
        of_stacks: dict[tuple[Backend, str], NDArray[np.float64]] = {}
        for place, (stack, quant) in enumerate(pairs):
            if quant.file_type in TYPICAL_BITS:
                if stack not in of_stacks:
                    of_stacks[stack] = self._evenings(gpu, family, *stack, quant, is_moe)
                evening[place] = _evening_of(quant, of_stacks[stack])
        peaks = [weight_peak(gpu, backend, quant) for (backend, _), quant in pairs]
        out[:, _PER_WEIGHT] += evening[:, None]
        out[:, _PER_LAYER] += math.log(barrier_scale(gpu))
        for name, slope, terms in _OF_DEVICE:
            out[:, terms] += self._decode.get(name, 0.0) * slope(gpu)
        for name, log, terms in _OF_PEAK:
            out[:, terms] += self._prefill.get(name, 0.0) * np.array([log(gpu, peak) for peak in peaks])[:, None]
        for index, effects, term in _OF_ONE_GPU:
            known = self._decode if effects == "decode" else self._prefill
            for factor, key in zip(_OWN_FACTORS, (gpu.slug, die_of(gpu)), strict=True):
                out[:, index] += known.get(effect_name(term, factor, key), 0.0)
        return out

    def _class_logs(
        self, gpu: Accelerator, family: str, backend: Backend, engine: str, quant: Quant, is_moe: bool
    ) -> NDArray[np.float64]:
        """The part of the logs that GPUs of a family and quants of a class share."""
        own = gpu.vendor, gpu.inline_checks
        key = (family, *own, backend, engine, quant_class(quant), quant.file_type == "BF16", is_moe)
        class_logs = self._classes.get(key)
        if class_logs is None:
            self._make_room()
            values = factor_values(gpu, backend, engine, quant, is_moe, "", "") | dict.fromkeys(_OWN_FACTORS)
            logs = [sum_effects(self._decode, term, DECODE_FACTORS[term], values) for term in DECODE_TERMS]
            logs += [sum_effects(self._prefill, term, PREFILL_FACTORS[term], values) for term in PREFILL_TERMS]
            overall = tuple(factor for factor in OVERALL_FACTORS if factor not in _MODEL_FACTORS)
            logs += [sum_effects(effects, "whole", overall, values) for effects in (self._decode, self._prefill)]
            class_logs = self._classes[key] = np.array(logs)
        return class_logs

    def _make_room(self) -> None:
        """Forget what was kept before callers' own accelerators fill the memory."""
        if len(self._classes) >= _KEPT_CLASSES:
            self._classes.clear()

    def evening(self, gpu: Accelerator, backend: Backend, engine: str, quant: Quant, is_moe: bool) -> float:
        """Decrease of a file type's log cost per weight, so that no wider file type is quicker to read.

        Types of one kind differ by what they read; a wider one that came out quicker did so by scatter of thin data.
        """
        if quant.file_type not in TYPICAL_BITS:
            return 0.0
        return _evening_of(quant, self._evenings(gpu, family_of(gpu), backend, engine, quant, is_moe))

    def _evenings(
        self, gpu: Accelerator, family: str, backend: Backend, engine: str, quant: Quant, is_moe: bool
    ) -> NDArray[np.float64]:
        """Evening of every file type in ``_EVEN_ORDER``; ``quant`` stands for a file of any."""
        clocks = unit_clocks_s(gpu)
        key = ("evening", family, gpu.vendor, gpu.slug, gpu.bandwidth_bytes_s, clocks, backend, engine, is_moe)
        evenings = self._classes.get(key)
        if evenings is None:
            self._make_room()
            evenings = self._classes[key] = self._evened(gpu, family, backend, engine, quant, is_moe)
        return evenings

    def _evened(
        self, gpu: Accelerator, family: str, backend: Backend, engine: str, quant: Quant, is_moe: bool
    ) -> NDArray[np.float64]:
        if gpu.bandwidth_bytes_s is None:
            return np.zeros(len(_EVEN_ORDER))
        lowest, wider_bits, out = math.inf, math.inf, []
        dense, unpack = DECODE_TERMS.index("routed" if is_moe else "dense"), DECODE_TERMS.index("unpack")
        clocks = unit_clocks_s(gpu)
        for name, typed in zip(_EVEN_ORDER, _in_types(quant), strict=True):
            bits = TYPICAL_BITS[name]
            logs = self._class_logs(gpu, family, backend, engine, typed, is_moe)
            read = math.exp(logs[dense]) * bits / 8.0 / gpu.bandwidth_bytes_s
            mine = read + math.exp(logs[unpack]) * UNPACK_UNIT_CLOCKS / clocks
            bound = lowest * min(bits / wider_bits, 1.0) ** EVEN_POWER if lowest < math.inf else mine
            lowest, wider_bits = min(mine, bound), bits
            out.append(math.log(lowest / mine))
        return np.array(out)


@lru_cache(maxsize=256)
def _in_types(quant: Quant) -> tuple[Quant, ...]:
    """The quantization as a file of each type of ``_EVEN_ORDER``."""
    return tuple(replace(quant, file_type=name) for name in _EVEN_ORDER)


def _evening_of(quant: Quant, evenings: NDArray[np.float64]) -> float:
    return float(evenings[_EVEN_ORDER.index(str(quant.file_type))])


def sum_effects(
    effects: Mapping[str, float], term: str, factors: Sequence[str], values: Mapping[str, str | None]
) -> float:
    """Sum of the effects of a term that apply, by the ``values`` of its ``factors``."""
    total = 0.0
    for factor in factors:
        value = values.get(factor)
        if value is not None:
            total += effects.get(effect_name(term, factor, value), 0.0)
    return total
