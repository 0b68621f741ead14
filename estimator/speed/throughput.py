"""From a placement to speeds: gathers what each running cell reads and computes, and asks the speed model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.coefficients import CALIBRATED, SpeedCoefficients
from estimator.calibration.intervals import depth_log
from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables
from estimator.placement.search import Placed, Rig
from estimator.speed.multi_gpu import kv_heads, on_several, ranges_of
from estimator.speed.roofline import DecodeWork, PrefillWork, decode_seconds, prefill_seconds
from estimator.structure.architecture import ModelArchitecture

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """Speeds of the cells of one :class:`~estimator.placement.search.Placed`, tok/s and milliseconds; they broadcast to it.

    ``*_low`` and ``*_high`` are logs of factors on tok/s. Unknown prefill speeds and TTFT are 0.
    """

    decode_tok_s: Floats
    decode_low: Any
    decode_high: Any
    prefill_tok_s: Floats
    prefill_low: Any
    prefill_high: Any
    ttft_ms: Floats
    decode_evidence: Any
    prefill_evidence: Any


def pace(
    model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Placed, coef: SpeedCoefficients
) -> Pace:
    """Decode and prefill of every cell of ``placed``; ``coef`` is that of its pairs."""
    several = rig.count > 1
    if several:
        coef = on_several(coef)
    step, work = decode_work(model, tables, need, rig, placed), prefill_work(model, tables, need, rig, placed)
    decode, prefill = decode_seconds(step, coef), prefill_seconds(work, coef)
    decode_width, prefill_width = widths(step.depth_tokens, work.depth_tokens, coef)
    decode_tok_s = 1.0 / decode
    prefill_tok_s = work.prompt_tokens / np.maximum(prefill, 1e-9)
    ttft = (prefill + decode + coef.ttft_fixed_s) * 1000.0
    unknown = np.flatnonzero(np.isnan(coef.peak_flops))
    if len(unknown):
        # A device without a known arithmetic peak has a decode speed and no prefill.
        prefill_tok_s[..., unknown] = ttft[..., unknown] = 0.0
    offloaded = False if placed.runs is not None else np.asarray(placed.on_host) > 0
    if several:
        coef = replace(coef, **ranges_of(coef))
    # What was measured had everything on one device, so a split load is at best calibrated.
    shared = True if several else offloaded
    return Pace(
        decode_tok_s=decode_tok_s,
        # The range of a split load was set on rows of all depths as they are.
        decode_low=_where(offloaded, coef.offload_low, coef.decode_low * decode_width),
        decode_high=_where(offloaded, coef.offload_high, coef.decode_high * decode_width),
        prefill_tok_s=prefill_tok_s,
        prefill_low=coef.prefill_low * prefill_width,
        prefill_high=coef.prefill_high * prefill_width,
        ttft_ms=ttft,
        decode_evidence=_where(shared, np.maximum(coef.decode_evidence, CALIBRATED), coef.decode_evidence),
        prefill_evidence=_where(shared, np.maximum(coef.prefill_evidence, CALIBRATED), coef.prefill_evidence),
    )


def widths(decode_depth_tokens: Any, prefill_depth_tokens: Any, coef: SpeedCoefficients) -> tuple[Any, Any]:
    """How many times wider the ranges of decode and prefill are, in logs, than at an empty context."""
    return (
        np.exp(coef.decode_depth * depth_log(decode_depth_tokens)),
        np.exp(coef.prefill_depth * depth_log(prefill_depth_tokens)),
    )


def _where(condition: Any, yes: Any, no: Any) -> Any:
    return no if condition is False else np.where(condition, yes, no)


def _of_situations(need: Needs, placed: Placed, name: str) -> Floats:
    """A field of the situations, per cell; one number when all situations share it."""
    values = np.array([float(getattr(one, name)) for one in need.situations])
    return values[0] if (values == values[0]).all() else values[placed.s]


def _at(sums: Floats, row: Any, column: Any) -> Any:
    """``sums[row, column]`` of a contiguous table; a column that all cells share is cut out first."""
    if np.ndim(column) == 0:
        return sums[:, int(column)][row]
    return sums.ravel()[row * sums.shape[1] + column]


def decode_work(model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Placed) -> DecodeWork:
    """What one decoded token reads, per running cell. On a CPU everything is read by the device itself."""
    n = model.n_layers
    q, s, kept, moved = placed.q, placed.s, placed.kept, placed.moved
    output = tables.active - tables.active_layers[:, n]
    off_output = np.where(placed.output_on_gpu, 0.0, output[q])
    routed_on = _at(tables.last_routed_active, q, kept)
    moved_active = np.minimum(_at(tables.active_experts, q, moved), routed_on)
    active_on = _at(tables.active_layers, q, kept) - moved_active + output[q] - off_output
    routed_on = routed_on - moved_active
    whole = placed.runs is not None
    # Differences of sums in float64 leave crumbs, which a whole load must not take for weights in system memory.
    routed_off = np.asarray(0.0) if whole else tables.routed_active[q] - routed_on
    active_off = np.asarray(0.0) if whole else tables.active[q] - active_on
    read_on = _at(need.read_last, s, kept)
    expert_layers = tables.expert_layers_first[n]
    expert_on = expert_layers - tables.expert_layers_first[np.maximum(n - kept, moved)]
    depth = _of_situations(need, placed, "depth_tokens")
    experts = model.experts
    return DecodeWork(
        dense_bytes=np.maximum(active_on - routed_on, 0.0),
        routed_bytes=np.maximum(routed_on, 0.0),
        kv_bytes=read_on,
        host_dense_bytes=np.maximum(active_off - routed_off, 0.0),
        host_routed_bytes=np.maximum(routed_off, 0.0),
        host_kv_bytes=np.asarray(0.0) if whole else _at(need.read_last, s, n) - read_on,
        layers=np.asarray(kept, dtype=np.float64),
        host_layers=np.asarray(n - kept, dtype=np.float64),
        expert_layers=expert_on,
        host_expert_layers=expert_layers - expert_on,
        batch=_of_situations(need, placed, "batch"),
        expert_count=np.asarray(float(experts.count if experts else 0)),
        experts_per_token=np.asarray(float(experts.per_token if experts else 0)),
        depth_tokens=depth,
        attention_flops=tables.attention_flops_per_token_pair * depth,
        flops=np.asarray(tables.flops_per_token),
        gpu_count=np.asarray(float(rig.count)),
        link_bytes_s=rig.link_bytes_s[placed.g],
        host_bandwidth_bytes_s=np.asarray(rig.host.bandwidth_bytes_s),
        hidden=np.asarray(float(model.hidden)),
        kv_heads=np.asarray(float(kv_heads(model))),
    )


def prefill_work(model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Placed) -> PrefillWork:
    """What the prompt of each running cell reads and computes."""
    q, n = placed.q, model.n_layers
    experts = model.experts
    routed_all = _at(tables.host_experts, q, n)
    routed = routed_all - np.minimum(placed.on_host, routed_all)
    return PrefillWork(
        prompt_tokens=np.maximum(_of_situations(need, placed, "prompt_tokens"), 1.0),
        # A prefill row states a depth that was there before; a workload's decode depth comes after its prompt.
        depth_tokens=np.maximum(_of_situations(need, placed, "depth_before_tokens"), 0.0),
        micro_batch_tokens=_of_situations(need, placed, "prompt_step_tokens"),
        flops_per_token=np.asarray(tables.flops_per_token),
        attention_flops_per_pair=np.asarray(tables.attention_flops_per_token_pair),
        weight_bytes=placed.weights,
        dense_bytes=np.maximum(placed.weights - routed, 0.0),
        routed_total_bytes=routed,
        host_weight_bytes=np.asarray(placed.on_host),
        layers=np.asarray(float(n)),
        expert_layers=np.asarray(float(tables.expert_layers_first[n])),
        expert_count=np.asarray(float(experts.count if experts else 0)),
        experts_per_token=np.asarray(float(experts.per_token if experts else 0)),
        link_bytes_s=rig.link_bytes_s[placed.g],
        host_bandwidth_bytes_s=np.asarray(rig.host.bandwidth_bytes_s),
        gpu_count=np.asarray(float(rig.count)),
        hidden=np.asarray(float(model.hidden)),
        pipelined=placed.pipelined,
    )
