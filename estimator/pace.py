"""From a placement to speeds: gathers what each running cell reads and computes, and asks the speed model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.architecture import ModelArchitecture
from estimator.calibration import CALIBRATED, SpeedCoefficients
from estimator.needs import Needs
from estimator.placement import CPU_ONLY, Plan, Rig
from estimator.speed import DecodeWork, PrefillWork, decode_seconds, prefill_seconds
from estimator.tables import ModelTables

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """Speeds of the running cells, each of shape (cells,): tok/s and milliseconds."""

    decode_tok_s: Floats
    decode_low_tok_s: Floats
    decode_high_tok_s: Floats
    prefill_tok_s: Floats
    prefill_low_tok_s: Floats
    prefill_high_tok_s: Floats
    ttft_ms: Floats
    decode_evidence: NDArray[np.uint8]
    prefill_evidence: NDArray[np.uint8]


def pace(
    model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Plan, coef: SpeedCoefficients
) -> Pace:
    """Decode and prefill of every running cell."""
    cells, situations = placed.cells, need.situations
    prompt = np.array([float(one.prompt_tokens) for one in situations])[cells.s]
    work = decode_work(model, tables, need, rig, placed)
    decode = decode_seconds(work, coef)
    offloaded = work.host_dense_bytes + work.host_routed_bytes > 0
    prefill_work_ = _prefill_work(model, tables, need, rig, placed, prompt)
    prefill = prefill_seconds(prefill_work_, coef)
    decode_tok_s = 1.0 / decode
    # A device without a known arithmetic peak has a decode speed and no prefill: 0 stands for unknown.
    prefill_tok_s = np.nan_to_num(prompt / np.maximum(prefill, 1e-9))
    ttft = np.nan_to_num((prefill + decode + coef.ttft_fixed_s) * 1000.0)
    return Pace(
        decode_tok_s=decode_tok_s,
        decode_low_tok_s=decode_tok_s * np.where(offloaded, coef.offload_low, coef.decode_low),
        decode_high_tok_s=decode_tok_s * np.where(offloaded, coef.offload_high, coef.decode_high),
        prefill_tok_s=prefill_tok_s,
        prefill_low_tok_s=prefill_tok_s * coef.prefill_low,
        prefill_high_tok_s=prefill_tok_s * coef.prefill_high,
        ttft_ms=ttft,
        # What was measured had everything on the device, so a split load is at best calibrated.
        decode_evidence=np.where(offloaded, np.maximum(coef.decode_evidence, CALIBRATED), coef.decode_evidence),
        prefill_evidence=np.where(offloaded, np.maximum(coef.prefill_evidence, CALIBRATED), coef.prefill_evidence),
    )


def decode_work(model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Plan) -> DecodeWork:
    """What one decoded token reads, per running cell. On a CPU everything is read by the device itself."""
    cells, n = placed.cells, model.n_layers
    q, s, kept, moved = cells.q, cells.s, placed.kept, placed.moved
    output = tables.active - tables.active_layers[:, n]
    off_output = np.where(placed.output_on_gpu, 0.0, output[q])
    routed_on = tables.last_routed_active[q, kept]
    moved_active = np.minimum(tables.active_experts[q, moved], routed_on)
    active_on = tables.active_layers[q, kept] - moved_active + output[q] - off_output
    routed_on = routed_on - moved_active
    routed_off = tables.routed_active[q] - routed_on
    active_off = tables.active[q] - active_on
    read_all = need.read_last[s, n]
    read_on = need.read_last[s, kept]
    expert_layers = tables.expert_layers_first[n]
    expert_on = expert_layers - tables.expert_layers_first[np.maximum(n - kept, moved)]
    batch = np.array([float(one.batch) for one in need.situations])[s]
    depth = np.array([float(one.depth_tokens) for one in need.situations])[s]
    experts = model.experts
    return DecodeWork(
        dense_bytes=np.maximum(active_on - routed_on, 0.0),
        routed_bytes=np.maximum(routed_on, 0.0),
        kv_bytes=read_on,
        host_dense_bytes=np.maximum(active_off - routed_off, 0.0),
        host_routed_bytes=np.maximum(routed_off, 0.0),
        host_kv_bytes=read_all - read_on,
        layers=kept.astype(np.float64),
        host_layers=(n - kept).astype(np.float64),
        expert_layers=expert_on,
        host_expert_layers=expert_layers - expert_on,
        batch=batch,
        expert_count=np.full(len(q), float(experts.count if experts else 0)),
        experts_per_token=np.full(len(q), float(experts.per_token if experts else 0)),
        depth_tokens=depth,
        attention_flops=tables.attention_flops_per_token_pair * depth,
        flops=np.full(len(q), tables.flops_per_token),
        gpu_count=np.full(len(q), float(rig.count)),
        link_bytes_s=rig.link_bytes_s[cells.g],
        host_bandwidth_bytes_s=np.full(len(q), rig.host.bandwidth_bytes_s),
        hidden=np.full(len(q), float(model.hidden)),
    )


def _prefill_work(
    model: ModelArchitecture, tables: ModelTables, need: Needs, rig: Rig, placed: Plan, prompt: Floats
) -> PrefillWork:
    cells, n = placed.cells, model.n_layers
    q, s = cells.q, cells.s
    experts = model.experts
    # vLLM also keeps the input table on the device; a prompt looks up rows of it and reads none of the rest.
    device = np.minimum(placed.weights[cells.g, q, s].astype(np.float64), tables.device[q])
    routed_all = tables.host_experts[q, n]
    on_host = tables.device[q] - np.minimum(device, tables.device[q])
    routed_host = np.minimum(on_host, routed_all)
    # A prefill row states a depth that was there before; a workload's decode depth comes after its prompt.
    before = np.array([max(float(one.depth_before_tokens), 0.0) for one in need.situations])[s]
    return PrefillWork(
        prompt_tokens=np.maximum(prompt, 1.0),
        depth_tokens=before,
        micro_batch_tokens=np.array([float(one.micro_batch_tokens) for one in need.situations])[s],
        flops_per_token=np.full(len(q), tables.flops_per_token),
        attention_flops_per_pair=np.full(len(q), tables.attention_flops_per_token_pair),
        weight_bytes=device,
        dense_bytes=np.maximum(device - (routed_all - routed_host), 0.0),
        routed_total_bytes=routed_all - routed_host,
        host_weight_bytes=np.where(placed.strategy[cells.g, q, s] == CPU_ONLY, 0.0, on_host),
        layers=np.full(len(q), float(n)),
        expert_layers=np.full(len(q), float(tables.expert_layers_first[n])),
        expert_count=np.full(len(q), float(experts.count if experts else 0)),
        experts_per_token=np.full(len(q), float(experts.per_token if experts else 0)),
        link_bytes_s=rig.link_bytes_s[cells.g],
        host_bandwidth_bytes_s=np.full(len(q), rig.host.bandwidth_bytes_s),
        gpu_count=np.full(len(q), float(rig.count)),
        hidden=np.full(len(q), float(model.hidden)),
    )
