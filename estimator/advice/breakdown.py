"""Where the time and the memory of one fit go, from the estimator's own terms.

The memory that holding everything on the device would take is the same placement with unlimited room. The shares of a
token's time come from the speed model itself: a term's part is the time that vanishes when the term is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from estimator.calibration.coefficients import Calibration
from estimator.estimate import overrides_of, require_facts, situation_of_request
from estimator.fleet import fleet_of, require_engine
from estimator.placement.demand import needs
from estimator.placement.hardware import with_wired_limit
from estimator.placement.layer_sums import model_tables
from estimator.placement.search import place
from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.roofline import decode_seconds, prefill_seconds
from estimator.speed.work import DecodeWork, PrefillWork, decode_work, prefill_work
from estimator.structure.architecture import ModelArchitecture
from estimator.types import EstimateRequest, EstimatorError, Workload

#: Stands for a device that holds everything: larger than any real one, small enough for exact float64 sums.
_UNLIMITED_BYTES = float(2**50)
#: Value of a removed term: nothing that can be measured, and no division by zero.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Terms:
    """Memory in bytes of a load that keeps everything on the device, and shares (0..1) of decode and prefill time.

    Shares of each kind add up to 1; they are all 0 when nothing runs.
    """

    full_weights_bytes: int
    full_kv_cache_bytes: int
    full_compute_bytes: int
    full_overhead_bytes: int
    usable_bytes: int
    decode_weights: float
    decode_kv_cache: float
    decode_compute: float
    decode_host: float
    decode_fixed: float
    prefill_compute: float
    prefill_weights: float
    prefill_host: float
    prefill_fixed: float

    @property
    def full_bytes(self) -> int:
        """Device memory that everything together would take."""
        return self.full_weights_bytes + self.full_kv_cache_bytes + self.full_compute_bytes + self.full_overhead_bytes

    @property
    def over_bytes(self) -> int:
        """How much of it the device cannot hold, 0 when all fits."""
        return max(self.full_bytes - self.usable_bytes, 0)


def terms(
    model: ModelArchitecture, request: EstimateRequest, calibration: Calibration, workload: Workload | None = None
) -> Terms:
    """Memory and time terms of one request.

    Raises:
        EstimatorError: as :func:`estimator.estimate.estimate` does.
    """
    require_facts(request.accelerator)
    if request.host is None:
        raise EstimatorError("an estimate needs a host: the memory and bandwidth that offloaded weights would use")
    gpus, quants = (with_wired_limit(request.accelerator, request.wired_limit_bytes),), (request.quant,)
    overrides = overrides_of(request)
    require_engine(model, request.accelerator, request.quant, overrides)
    fleet = fleet_of(model.architecture, model.is_moe, gpus, quants, (request.host,), overrides)
    rig, choices = fleet.rig, fleet.choices
    tables = model_tables(model, quants)
    need = needs(model, (situation_of_request(request, workload),))
    everything = replace(rig, usable=np.full_like(rig.usable, _UNLIMITED_BYTES))
    full = place(model, tables, need, everything, fleet.available, choices.engine, choices.backend)
    split = overrides.gpu_layers, overrides.cpu_moe_layers
    placement = place(model, tables, need, rig, fleet.available, choices.engine, choices.backend, *split)
    placed = placement.split or placement.whole
    decode, prefill = (0.0,) * 5, (0.0,) * 4
    if placed is not None:
        flash = request.flash_attention is not False
        coefficients = calibration.table(model, choices, request.build_age_years, flash_attention=flash)
        decode = _decode_shares(decode_work(model, tables, need, rig, placed), coefficients)
        prefill = _prefill_shares(prefill_work(model, tables, need, rig, placed), coefficients)
    at = (0, 0)
    return Terms(
        int(full.weights[at]),
        int(full.kv_cache[at]),
        int(full.compute[at]),
        int(full.overhead[at]),
        int(rig.usable[0, 0]),
        *decode,
        *prefill,
    )


def _without(work: Any, *names: str) -> Any:
    """``work`` with the named fields set to nothing."""
    known = {field.name for field in fields(work)}
    unknown = set(names) - known
    assert not unknown, unknown
    return replace(work, **{name: np.full_like(getattr(work, name), _NOTHING) for name in names})


def _decode_shares(work: DecodeWork, coefficients: SpeedCoefficients) -> tuple[float, float, float, float, float]:
    def seconds(of: DecodeWork) -> float:
        return float(decode_seconds(of, coefficients).item())

    step_s = seconds(work)
    no_cache = _without(work, "kv_bytes", "host_kv_bytes", "attention_flops")
    no_host = _without(no_cache, "host_dense_bytes", "host_routed_bytes", "host_layers", "host_expert_layers")
    no_weights = _without(no_host, "dense_bytes", "routed_bytes")
    idle = _without(no_weights, "flops")
    steps = [seconds(step) for step in (no_cache, no_host, no_weights, idle)]
    parts = _parts(step_s, steps)
    cache, host, weights, compute, fixed = parts
    return weights, cache, compute, host, fixed


def _prefill_shares(work: PrefillWork, coefficients: SpeedCoefficients) -> tuple[float, float, float, float]:
    def seconds(of: PrefillWork) -> float:
        return float(prefill_seconds(of, coefficients).item())

    prompt_s = seconds(work)
    no_host = _without(work, "host_weight_bytes")
    no_compute = _without(no_host, "flops_per_token", "attention_flops_per_pair")
    idle = _without(no_compute, "weight_bytes", "dense_bytes", "routed_total_bytes")
    host, compute, weights, fixed = _parts(prompt_s, [seconds(step) for step in (no_host, no_compute, idle)])
    return compute, weights, host, fixed


def _parts(whole: float, remaining: list[float]) -> list[float]:
    """Shares of what each removal took away, then of what is left; they are not negative and add up to 1."""
    left = [whole, *remaining]
    taken = [max(before - after, 0.0) for before, after in zip(left, remaining, strict=False)]
    taken.append(max(remaining[-1], 0.0))
    total = sum(taken)
    return [part / total if total > 0 else 0.0 for part in taken]
