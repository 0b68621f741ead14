"""Bytes that each running cell of a placement reads, and its operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables
from estimator.placement.placements import Placed, Rig
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.structure.kv_cache import kv_heads, wide_kv_heads


@dataclass(frozen=True, slots=True)
class DecodeWork:
    """Bytes that one decode step reads, and its operations, arrays of shape (cells,); bytes per step of all streams together."""

    dense_bytes: Floats
    routed_bytes: Floats
    kv_bytes: Floats
    host_dense_bytes: Floats
    host_routed_bytes: Floats
    host_kv_bytes: Floats
    layers: Floats
    host_layers: Floats
    expert_layers: Floats
    host_expert_layers: Floats
    batch: Floats
    expert_count: Floats
    experts_per_token: Floats
    depth_tokens: Floats
    attention_flops: Floats
    flops: Floats
    gpu_count: Floats
    link_bytes_s: Floats
    host_bandwidth_bytes_s: Floats
    hidden: Floats
    kv_heads: Floats
    vocab: Floats
    #: Bytes of ``kv_bytes`` that heads too wide for most kernels read, and the number of these heads of one stream.
    wide_bytes: Floats
    wide_heads: Floats


@dataclass(frozen=True, slots=True)
class PrefillWork:
    """Bytes that a prompt reads, and its operations, arrays of shape (cells,); a micro-batch of 0 is the engine's own."""

    prompt_tokens: Floats
    depth_tokens: Floats
    micro_batch_tokens: Floats
    flops_per_token: Floats
    attention_flops_per_pair: Floats
    weight_bytes: Floats
    dense_bytes: Floats
    routed_total_bytes: Floats
    host_weight_bytes: Floats
    host_routed_bytes: Floats
    layers: Floats
    expert_layers: Floats
    expert_count: Floats
    experts_per_token: Floats
    link_bytes_s: Floats
    host_bandwidth_bytes_s: Floats
    gpu_count: Floats
    hidden: Floats
    #: Whether several devices may work on micro-batches at once: their copies of the inputs have room.
    pipelined: Any = True
    #: Streams whose prompts share steps.
    batch: Any = 1.0


def _of_situations(need: Needs, placed: Placed, name: str) -> Floats:
    """A field of the situations, per cell; one number when all situations share it."""
    if len(need.situations) == 1:
        return np.asarray(float(getattr(need.situations[0], name)))
    values = np.array([float(getattr(situation, name)) for situation in need.situations])
    return values[0] if (values == values[0]).all() else values[placed.s]


def _at(sums: Floats, row: Any, column: Any) -> Any:
    """``sums[row, column]`` of a contiguous table; a column that all cells share is cut out first."""
    if np.ndim(column) == 0:
        return sums[:, int(column)][row]
    return sums.ravel()[row * sums.shape[1] + column]


def decode_work(model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Placed) -> DecodeWork:
    """Bytes that one decoded token reads, per running cell. On a CPU everything is read by the device itself."""
    n = model.n_layers
    q, s, kept, moved = placed.q, placed.s, placed.kept, placed.moved
    output = tables.active - tables.active_layers[:, n]
    off_output = np.where(placed.output_on_gpu, 0.0, output[q])
    routed_on = _at(tables.last_routed_active, q, kept)
    moved_active = np.minimum(_at(tables.active_experts, q, moved), routed_on)
    active_on = _at(tables.active_layers, q, kept) - moved_active + output[q] - off_output
    routed_on = routed_on - moved_active
    is_whole = placed.runs is not None
    # Differences of sums in float64 leave crumbs, which a whole load must not take for weights in system memory.
    routed_off = np.asarray(0.0) if is_whole else tables.routed_active[q] - routed_on
    active_off = np.asarray(0.0) if is_whole else tables.active[q] - active_on
    read_on, passed_on = _at(need.read_last, s, kept), _at(need.passed_last, s, kept)
    expert_layers = tables.expert_layers_first[n]
    expert_on = expert_layers - tables.expert_layers_first[np.maximum(n - kept, moved)]
    depth = _of_situations(need, placed, "depth_tokens")
    experts, wide = model.experts, wide_kv_heads(model)
    return DecodeWork(
        dense_bytes=np.maximum(active_on - routed_on, 0.0),
        routed_bytes=np.maximum(routed_on, 0.0),
        kv_bytes=read_on + np.where(rig.is_processor[placed.g], passed_on, 0.0),
        host_dense_bytes=np.maximum(active_off - routed_off, 0.0),
        host_routed_bytes=np.maximum(routed_off, 0.0),
        host_kv_bytes=np.asarray(0.0)
        if is_whole
        else _at(need.read_last + need.passed_last, s, n) - (read_on + passed_on),
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
        host_bandwidth_bytes_s=rig.host_bandwidth_bytes_s[placed.g],
        hidden=np.asarray(float(model.hidden)),
        kv_heads=np.asarray(float(kv_heads(model))),
        vocab=np.asarray(float(model.vocab)),
        wide_bytes=_at(need.full_last, s, kept) * depth if wide else np.asarray(0.0),
        wide_heads=np.asarray(float(wide)),
    )


def prefill_work(model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Placed) -> PrefillWork:
    """Bytes that the prompt of each running cell reads, and its operations."""
    q, n = placed.q, model.n_layers
    experts, passes = model.experts, tables.passes[placed.q]
    routed_all = _at(tables.host_experts, q, n) * passes
    on_host, weights = placed.on_host * passes, placed.weights * passes
    host_routed = np.minimum(on_host, routed_all)
    routed = routed_all - host_routed
    return PrefillWork(
        prompt_tokens=np.maximum(_of_situations(need, placed, "prompt_tokens"), 1.0),
        # A prefill row states a depth that was there before; a workload's decode depth comes after its prompt.
        depth_tokens=np.maximum(_of_situations(need, placed, "depth_before_tokens"), 0.0),
        micro_batch_tokens=_of_situations(need, placed, "prompt_step_tokens"),
        flops_per_token=np.asarray(tables.flops_per_token),
        attention_flops_per_pair=np.asarray(tables.attention_flops_per_token_pair),
        weight_bytes=weights,
        dense_bytes=np.maximum(weights - routed, 0.0),
        routed_total_bytes=routed,
        host_weight_bytes=np.asarray(on_host),
        host_routed_bytes=host_routed,
        layers=np.asarray(float(n)),
        expert_layers=np.asarray(float(tables.expert_layers_first[n])),
        expert_count=np.asarray(float(experts.count if experts else 0)),
        experts_per_token=np.asarray(float(experts.per_token if experts else 0)),
        link_bytes_s=rig.link_bytes_s[placed.g],
        host_bandwidth_bytes_s=rig.host_bandwidth_bytes_s[placed.g],
        gpu_count=np.asarray(float(rig.count)),
        hidden=np.asarray(float(model.hidden)),
        pipelined=placed.pipelined,
        batch=_of_situations(need, placed, "batch"),
    )
