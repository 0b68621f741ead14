"""The fitted constants and their spread, read from ``calibration.json``; written by ``fitgraph calibrate`` only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.effects import (
    NO_FLASH_FACTORS,
    chip_of,
    effect_name,
    factor_values,
    family_of,
    stack_of,
    unit_clocks_s,
    unit_splits,
)
from estimator.calibration.intervals import STRATA, range_ends, range_fields, unseen_layers, unseen_pairs
from estimator.calibration.loss import DEFAULT_PATH as LOSS_PATH
from estimator.calibration.loss import LossTable
from estimator.calibration.old_builds import aged
from estimator.calibration.stream_constants import OTHER_ENGINES, stream_engine, stream_fields
from estimator.calibration.term_logs import TermLogs, sum_effects
from estimator.memo import Kept
from estimator.placement.engines import EngineChoices
from estimator.speed.arithmetic import LLAMA_CPP_STEP_TOKENS, attention_peak, matrix_peak, step_tokens, weight_peak
from estimator.speed.coefficients import Parallel, SpeedCoefficients
from estimator.speed.links import is_direct, peer_bytes_s
from estimator.speed.multi_gpu import PIPELINED_BACKENDS, TENSOR_PARALLEL_ENGINES
from estimator.speed.roofline import DECODE_TERMS, PREFILL_TERMS
from estimator.speed.streams import stream_peak, stream_tile, unpacks
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags
from estimator.structure.likeness import special_layers
from estimator.structure.weights import kernel_quant
from estimator.types import BACKENDS, ENGINES, Accelerator, Backend, Engine, Quant

DEFAULT_PATH = Path(__file__).with_name("calibration.json")
#: Pairs of the engine choices whose coefficients are kept, about half a kilobyte each: ten times the whole catalog.
_KEPT_PAIRS = 150_000
#: Models and lists of vendors whose effects are kept, half a kilobyte each.
_KEPT_MODELS = 8192
#: Rows of accelerators that are kept: those of the catalog in all its quants.
_KEPT_ROWS_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _Base:
    """Coefficients of engine choices before any model is looked at.

    ``vendor`` is the index of each accelerator's vendor, ``stratum`` by kind that of each pair, ``ranges`` by kind the
    log ends of the range that a pair would have in each stratum, shape (2, strata, pairs); ``places`` are the indices of
    the accelerators of a chip; ``unseen`` tells by kind of special layers on which pairs no row had any.
    """

    table: SpeedCoefficients
    vendors: tuple[str, ...]
    vendor: NDArray[np.int64]
    stratum: dict[str, NDArray[np.int64]]
    ranges: dict[str, NDArray[np.float64]]
    places: dict[str, list[int]]
    unseen: dict[str, Flags]


class Calibration:
    """Effects, ranges and measured configurations; see :mod:`estimator.calibration.effects` for how they combine."""

    def __init__(self, data: Mapping[str, Any], version: str) -> None:
        self.data = data
        self.losses = LossTable.load()
        self.version = version
        self._decode: dict[str, float] = data["decode"]["effects"]
        self._prefill: dict[str, float] = data["prefill"]["effects"]
        # Choices that nobody holds are never asked about again.
        self._bases: WeakKeyDictionary[EngineChoices, _Base] = WeakKeyDictionary()
        self._lock = Lock()
        self.terms = TermLogs(self._decode, self._prefill)
        #: Effects of a model by vendor: a question asks for those of every model.
        self._of_vendors = lru_cache(maxsize=_KEPT_MODELS)(self._effects_of_model)
        #: What rows of each model have shown, by chip.
        self._chips = {
            kind: {slug: _of_chips(measured) for slug, measured in data[kind].get("measured", {}).items()}
            for kind in ("decode", "prefill")
        }
        #: Models with rows on each chip.
        self._models_of_chips: dict[str, dict[str, list[str]]] = {kind: {} for kind in self._chips}
        for kind, models in self._chips.items():
            for slug, chips in models.items():
                for chip in chips:
                    self._models_of_chips[kind].setdefault(chip, []).append(slug)
        #: What was measured of decode and of prefill, by name of the stratum.
        self._seen = [
            {name: frozenset(known) for name, known in data[kind].get("seen", {}).items()}
            for kind in ("decode", "prefill")
        ]
        self._rows: Kept[NDArray[np.float64]] = Kept(self._of_gpu, _KEPT_ROWS_BYTES)

    @classmethod
    def load(cls, path: Path | None = None) -> Calibration:
        """The calibration of a file; the bundled one by default, read once."""
        return _load(path or DEFAULT_PATH)

    def table(
        self,
        model: ModelArchitecture,
        choices: EngineChoices,
        build_age_years: float = 0.0,
        *,
        flash_attention: bool = True,
    ) -> SpeedCoefficients:
        """Coefficients of one model on every pair of ``choices``: numbers, or arrays of shape (pairs,), GPU first.

        ``build_age_years`` is 0 for a current build.
        """
        table = self._with_model(model, choices, self._based(choices))
        if not flash_attention:
            table = replace(table, cache=table.cache * self._without_flash(choices))
        return aged(table, model, choices, build_age_years, self.data) if build_age_years else table

    def _based(self, choices: EngineChoices) -> _Base:
        """The part that all models share; kept for as long as the choices are held."""
        base = self._bases.get(choices)
        if base is not None:
            return base
        base = self._base(choices)
        with self._lock:
            self._bases[choices] = base
            kept = list(self._bases)
            pairs = sum(pairing.engine.size for pairing in kept)
            for oldest in kept[:-1]:
                if pairs <= _KEPT_PAIRS:
                    break
                pairs -= oldest.engine.size
                self._bases.pop(oldest, None)
        return base

    def _base(self, choices: EngineChoices) -> _Base:
        gpus, size = choices.gpus, len(choices.quants)
        pairs, strata = self._of_pairs(choices)
        ranges = {kind: range_ends(self.data[kind]["ranges"], choices) for kind in strata}
        known: dict[str, Any] = {}
        for kind, stratum in strata.items():
            known |= range_fields(kind, self.data[kind]["ranges"], ranges[kind], stratum)
        default_link_bytes_s = float(self.data["offload"]["default_link_bytes_s"])
        table = SpeedCoefficients(
            bandwidth_bytes_s=np.repeat([gpu.bandwidth_bytes_s or math.nan for gpu in gpus], size),
            unit_clocks_s=np.repeat([unit_clocks_s(gpu) for gpu in gpus], size),
            decode_shift=np.zeros(len(gpus) * size),
            prefill_shift=np.zeros(len(gpus) * size),
            thinness=float(self._prefill.get("thinness", 0.0)),
            default_link_bytes_s=default_link_bytes_s,
            ttft_fixed_s=float(self.data["ttft_fixed_s"]),
            parallel=Parallel.of(self.data["parallel"]),
            tensor_parallel=_among(choices.engine, ENGINES, TENSOR_PARALLEL_ENGINES),
            pipelines=_among(choices.backend, BACKENDS, PIPELINED_BACKENDS),
            peer_bytes_s=np.repeat([peer_bytes_s(gpu, default_link_bytes_s) for gpu in gpus], size),
            direct=np.repeat([is_direct(gpu) for gpu in gpus], size),
            seen=strata["decode"] <= STRATA.index("gpu"),
            unit_splits=np.where(
                _among(choices.engine, ENGINES, frozenset({Engine.SGLANG})) & (choices.software is None),
                np.repeat([unit_splits(gpu) for gpu in gpus], size),
                1.0,
            ),
            **known,
            **pairs,
            **self._of_offload(choices.backend.ravel()),
            **self._of_streams(choices),
        )
        vendors = tuple(sorted({gpu.vendor for gpu in gpus}))
        places: dict[str, list[int]] = {}
        for g, gpu in enumerate(gpus):
            places.setdefault(chip_of(gpu.slug), []).append(g)
        vendor = np.array([vendors.index(gpu.vendor) for gpu in gpus])
        return _Base(table, vendors, vendor, strata, ranges, places, unseen_pairs(self._seen[0].get("layers"), choices))

    def unseen_layers(self, gpu: Accelerator, backend: Backend, engine: str) -> tuple[str, ...]:
        """As :func:`estimator.calibration.intervals.unseen_layers`, of rows of decode speed."""
        return unseen_layers(self._seen[0].get("layers"), gpu, backend, engine)

    def _of_pairs(self, choices: EngineChoices) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.int64]]]:
        """Fields that differ by pair, shape (pairs,): the coefficients of terms, the peaks, the tokens of a step; and the
        strata of each kind."""
        kernels = tuple(kernel_quant(choices.architecture, quant) for quant in choices.quants)
        rows = [
            self._rows(gpu, kernels, engines.tobytes(), backends.tobytes(), choices.is_moe, choices.software)
            for gpu, engines, backends in zip(choices.gpus, choices.engine, choices.backend, strict=True)
        ]
        columns = np.ascontiguousarray(np.concatenate(rows).T)
        terms = *DECODE_TERMS, *PREFILL_TERMS, "decode_overall", "prefill_overall"
        peak, attention, step, *logs, of_streams, decode, prefill = columns
        peaks = {"peak_flops": peak, "attention_peak_flops": attention, "stream_peak_flops": of_streams}
        strata = {"decode": decode.astype(np.int64), "prefill": prefill.astype(np.int64)}
        return {**peaks, "step_tokens": step, **dict(zip(terms, np.exp(logs), strict=True))}, strata

    @cached_property
    def _streams(self) -> dict[str, dict[str, Any]]:
        """Constants of several streams by engine."""
        return {name: stream_fields(constants) for name, constants in self.data["streams"]["engines"].items()}

    def _of_streams(self, choices: EngineChoices) -> dict[str, NDArray[np.float64]]:
        """Constants of several streams by the engine of each pair, shape (pairs,), and log ends of their ranges."""
        known, other = self._streams, self._streams[OTHER_ENGINES]
        names = (choices.software or engine.value for engine in ENGINES)
        # A pair that no engine runs has a code beyond those of the engines.
        of_engines = [*(known.get(stream_engine(name), other) for name in names), other]
        at = np.minimum(choices.engine.ravel(), len(ENGINES))
        values = {field: np.array([fields[field] for fields in of_engines])[at] for field in other}
        unpacked = {has: [unpacks(quant, has) for quant in choices.quants] for has in (False, True)}
        values["stream_unpacks"] = np.ravel([unpacked[bool(gpu.fp4_flops)] for gpu in choices.gpus])
        values["stream_tile"] = np.tile([stream_tile(quant) for quant in choices.quants], len(choices.gpus))
        return values

    def _of_gpu(
        self,
        gpu: Accelerator,
        quants: tuple[Quant, ...],
        engines: bytes,
        backends: bytes,
        is_moe: bool,
        software: str | None,
    ) -> NDArray[np.float64]:
        """Both peaks, tokens of a step, logs of the coefficients, the peak of several streams and the strata of one
        accelerator in each quant, shape (Q, 20).

        ``engines`` and ``backends`` are a code of each quant.
        """
        out = np.zeros((len(quants), 3 + len(DECODE_TERMS) + len(PREFILL_TERMS) + 5))
        out[:, :3] = matrix_peak(gpu), matrix_peak(gpu), LLAMA_CPP_STEP_TOKENS
        out[:, -2:] = STRATA.index("none")
        at = [q for q, engine in enumerate(engines) if engine < len(ENGINES)]
        if at:
            stacks = [(BACKENDS[backends[q]], software or ENGINES[engines[q]].value) for q in at]
            run = [quants[q] for q in at]
            out[at, 0] = [weight_peak(gpu, backend, quant) for (backend, _), quant in zip(stacks, run, strict=True)]
            out[at, 1] = [attention_peak(gpu, *stack) for stack in stacks]
            out[at, 2] = [step_tokens(gpu, name) for _, name in stacks]
            out[at, 3:-3] = self.terms.of_gpu(gpu, stacks, run, is_moe)
            strata = {stack: self._strata(gpu, *stack) for stack in set(stacks)}
            out[at, -2:] = [strata[stack] for stack in stacks]
        out[:, -3] = [stream_peak(gpu, quant, peak) for quant, peak in zip(quants, out[:, 0].tolist(), strict=True)]
        return out

    def _of_offload(self, backend: NDArray[np.uint8]) -> dict[str, Any]:
        offload = self.data["offload"]
        names = ("host", "host_layer", "host_expert", "host_expert_layer")
        ends = {
            f"offload_{kind}_{end}": math.log(value)
            for kind, values in offload["ranges"].items()
            for end, value in zip(("low", "high"), values, strict=True)
        }
        link = np.where(backend == BACKENDS.index(Backend.CUDA), offload["link_cuda"], offload["link_other"])
        return {name: float(offload[name]) for name in names} | ends | {"link": link}

    def _strata(self, gpu: Accelerator, backend: Backend, engine: str) -> list[int]:
        """How well decode and prefill of a device, or of its family, are known with an engine and backend."""
        stack, owners = stack_of(engine, backend.value), {"gpu": gpu.slug, "family": family_of(gpu)}
        return [
            next(
                (STRATA.index(name) for name, of in owners.items() if f"{of}|{stack}" in seen[name]),
                STRATA.index("none"),
            )
            for seen in self._seen
        ]

    def stacked(self, models: Sequence[ModelArchitecture], choices: EngineChoices) -> SpeedCoefficients:
        """The parts of the speeds of each of ``models``, as :meth:`table` has them: arrays (models, pairs).

        Ranges and evidence are those of no model.
        """
        base, overall = self._based(choices), {}
        for kind, chips in self._models_of_chips.items():
            of_vendors = [self._of_vendors(kind, model.architecture, model.slug, base.vendors) for model in models]
            logs = np.repeat(np.array(of_vendors)[:, base.vendor], len(choices.quants), axis=1)
            known = {slug for chip in base.places for slug in chips.get(chip, ())}
            for log, model in zip(logs, models, strict=True):
                own = self._measured(kind, model, choices, base)[0] if model.slug in known else None
                if own is not None:
                    log += own
            overall[f"{kind}_overall"] = getattr(base.table, f"{kind}_overall") * np.exp(logs)
        launches = np.array([[model.launches_per_layer] for model in models])
        return replace(base.table, layer=base.table.layer * launches, **overall)

    def _with_model(self, model: ModelArchitecture, choices: EngineChoices, base: _Base) -> SpeedCoefficients:
        changes: dict[str, Any] = {}
        special = special_layers(model)
        unseen = np.any([base.unseen[layers] for layers in special], axis=0) if special else None
        if unseen is not None:
            changes["seen"] = base.table.seen & ~unseen
        for kind in ("decode", "prefill"):
            of_vendors = self._of_vendors(kind, model.architecture, model.slug, base.vendors)
            logs = np.repeat(of_vendors[base.vendor], len(choices.quants))
            own, stratum = self._measured(kind, model, choices, base)
            if own is not None:
                logs += own
                changes |= range_fields(kind, self.data[kind]["ranges"], base.ranges[kind], stratum) | {
                    f"{kind}_shift": own
                }
            if unseen is not None:
                stratum = np.where(unseen, STRATA.index("none"), stratum)
                changes |= range_fields(kind, self.data[kind]["ranges"], base.ranges[kind], stratum)
            changes[f"{kind}_overall"] = getattr(base.table, f"{kind}_overall") * np.exp(logs)
        if model.launches_per_layer != 1.0:
            changes["layer"] = base.table.layer * model.launches_per_layer
        return replace(base.table, **changes)

    def _effects_of_model(
        self, kind: str, architecture: str, slug: str, vendors: tuple[str, ...]
    ) -> NDArray[np.float64]:
        """Logs of the effects of a model, shape (vendors,)."""
        effects = self._decode if kind == "decode" else self._prefill
        shared = effects.get(effect_name("whole", "architecture", architecture), 0.0)
        shared += effects.get(effect_name("whole", "model", slug), 0.0)
        names = (f"{architecture}|{vendor}" for vendor in vendors)
        return shared + np.array(
            [effects.get(effect_name("whole", "architecture|vendor", name), 0.0) for name in names]
        )

    def _measured(
        self, kind: str, model: ModelArchitecture, choices: EngineChoices, base: _Base
    ) -> tuple[NDArray[np.float64] | None, NDArray[np.int64]]:
        """Logs that the rows of a model have shown, shape (pairs,), None for none; and the strata of the pairs."""
        chips = self._chips[kind].get(model.slug, {})
        rows = sorted(g for chip in chips for g in base.places.get(chip, ()))
        if not rows:
            return None, base.stratum[kind]
        measured = self.data[kind]["measured"][model.slug]
        stratum, own = base.stratum[kind].copy(), np.zeros(len(base.stratum[kind]))
        for g in rows:
            slug = choices.gpus[g].slug
            self._as_measured(choices, g, chips[chip_of(slug)] | measured.get(slug, {}), own, stratum)
        return own, stratum

    @staticmethod
    def _as_measured(
        choices: EngineChoices,
        g: int,
        measured: Mapping[str, Any],
        shift: NDArray[np.float64],
        stratum: NDArray[np.int64],
    ) -> None:
        """Let the pairs of accelerator ``g`` know what rows of its chip with the same engine and backend have shown."""
        size = len(choices.quants)
        codes = zip(choices.engine[g].tolist(), choices.backend[g].tolist(), choices.quants, strict=True)
        for pair, (engine, backend, quant) in enumerate(codes, start=g * size):
            if engine >= len(ENGINES):
                continue
            residual = measured.get(stack_of(choices.software or ENGINES[engine].value, BACKENDS[backend].value))
            if residual is not None:
                shift[pair] += residual[0]
                if residual[1] is not None:
                    stratum[pair] = STRATA.index("measured" if quant.slug in residual[1] else "gpu")

    def _without_flash(self, choices: EngineChoices) -> NDArray[np.float64]:
        """How much longer reads of the cache take without flash attention, shape (pairs,); 1 where no engine runs."""
        out = np.ones(choices.backend.shape)
        for g, gpu in enumerate(choices.gpus):
            for q, quant in enumerate(choices.quants):
                if choices.backend[g, q] < len(BACKENDS):
                    backend = BACKENDS[choices.backend[g, q]]
                    values = factor_values(gpu, backend, "", quant, choices.is_moe, "", "", flash_attention=False)
                    out[g, q] = math.exp(sum_effects(self._decode, "cache", NO_FLASH_FACTORS, values))
        return out.ravel()


def _of_chips(measured: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, list[str]]]]:
    """Mean residual of each stack by chip, over the sizes that were measured; no quant counts as measured on the others."""
    residuals: dict[str, dict[str, list[float]]] = {}
    for slug, stacks in measured.items():
        of_chip = residuals.setdefault(chip_of(slug), {})
        for stack, (residual, quants) in stacks.items():
            if quants:
                of_chip.setdefault(stack, []).append(residual)
    return {
        chip: {stack: (sum(known) / len(known), []) for stack, known in stacks.items()}
        for chip, stacks in residuals.items()
    }


def _among(codes: NDArray[np.uint8], known: Sequence[Any], wanted: frozenset[Any]) -> NDArray[np.bool_]:
    """Which pairs have one of the ``wanted``; ``codes`` index ``known``."""
    return np.array([code < len(known) and known[code] in wanted for code in range(256)])[codes.ravel()]


@lru_cache(maxsize=8)
def _load(path: Path) -> Calibration:
    raw = path.read_bytes()
    version = hashlib.sha256(raw + LOSS_PATH.read_bytes()).hexdigest()
    return Calibration(json.loads(raw), version)
