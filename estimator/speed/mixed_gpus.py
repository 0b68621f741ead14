"""A model's layers over several accelerators, equal or not: what each holds, and what each reads for a token.

As llama.cpp's layer split: consecutive layers on one device after the other, the output head on the last one that is
reached. The fullest device is kept as empty as it can be (the least largest share of its memory, found by bisection:
for a given share, filling in order is optimal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables
from estimator.placement.placements import Placed, Rig
from estimator.speed.coefficients import CALIBRATED, SpeedCoefficients
from estimator.speed.multi_gpu import hop_seconds, line_seconds, ranges_of
from estimator.speed.roofline import decode_seconds, prefill_seconds, stepped
from estimator.speed.throughput import Pace, widths
from estimator.speed.work import DecodeWork, PrefillWork
from estimator.structure.architecture import FeedForward, ModelArchitecture
from estimator.types import Accelerator

Floats = NDArray[np.float64]
_BISECTIONS = 24


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """What one of several accelerators holds, bytes; ``layers`` counts the output head as llama.cpp does.

    The parts of all devices add up to those of the whole load.
    """

    accelerator: Accelerator
    layers: int
    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    overhead_bytes: int
    total_bytes: int
    usable_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A split at size one: per element (layers from the first on the device, then the output head when it is there)
    weight and cache bytes and what a token reads of them; ``ends`` are each device's last element plus one."""

    weights: Floats
    cache: Floats
    dense_read: Floats
    routed_read: Floats
    cache_read: Floats
    is_layer: NDArray[np.bool_]
    has_experts: NDArray[np.bool_]
    ends: tuple[int, ...]

    def of(self, device: int, values: NDArray[np.generic]) -> float:
        """Sum of ``values`` over a device's elements."""
        start = self.ends[device - 1] if device else 0
        return float(values[start : self.ends[device]].sum())


def layout(model: ModelArchitecture, tables: ModelTables, need: Needs, placed: Placed, free: Floats) -> Layout | None:
    """Layers over devices with ``free`` bytes for weights and cache, (devices,); None when no split fits each of them.

    ``placed`` is a plan of one cell.
    """
    n = model.n_layers
    kept, moved = (int(np.asarray(each).flat[0]) for each in (placed.kept, placed.moved))
    with_output = bool(np.asarray(placed.output_on_gpu).flat[0])
    own = np.arange(n - kept, n)
    weights = tables.weights
    experts_here = own >= moved
    share = weights.expert_share
    dense = weights.layers[0, own].astype(np.float64)
    experts = np.where(experts_here, weights.experts[0, own], 0).astype(np.float64)
    cache, read = (np.diff(each[0])[::-1][own] for each in (need.kv_last, need.read_last))
    is_expert = np.array([layer.feed_forward is FeedForward.EXPERTS for layer in model.layers])[own]
    tail = np.array([float(weights.output[0])] if with_output else [])
    none = np.zeros_like(tail)

    def whole(values: Floats, last: Floats = none) -> Floats:
        return np.concatenate([values, last])

    found = Layout(
        weights=whole(dense + experts, tail),
        cache=whole(cache),
        dense_read=whole(dense, tail),
        routed_read=whole(experts * share),
        cache_read=whole(read),
        is_layer=whole(np.ones(kept)) > 0,
        has_experts=whole((is_expert & experts_here).astype(np.float64)) > 0,
        ends=(),
    )
    ends = _ends(found.weights + found.cache, free)
    return None if ends is None else replace(found, ends=ends)


def _ends(sizes: Floats, free: Floats) -> tuple[int, ...] | None:
    sums = np.concatenate([[0.0], np.cumsum(sizes)])

    def filled(share: float) -> tuple[int, ...]:
        ends, at = [], 0
        for room in free:
            at = max(int(np.searchsorted(sums, sums[at] + share * max(float(room), 0.0), side="right")) - 1, at)
            ends.append(at)
        return tuple(ends)

    best = filled(1.0)
    if best[-1] < len(sizes):
        return None
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        tried = filled(middle)
        if tried[-1] == len(sizes):
            best, high = tried, middle
        else:
            low = middle
    return best


def shared_decode_seconds(work: DecodeWork, found: Layout, coefs: Sequence[SpeedCoefficients]) -> Floats:
    """Seconds per token over devices that take turns: each reads its own layers at its own pace, ``work`` is of all."""
    everything = work.dense_bytes + work.routed_bytes + work.host_dense_bytes + work.host_routed_bytes
    layers = max(float(found.is_layer.sum()), 1.0)
    nothing = np.zeros_like(work.dense_bytes)
    no_host = dict.fromkeys(("host_dense_bytes", "host_routed_bytes", "host_kv_bytes", "host_layers"), nothing)
    total = np.zeros_like(everything)
    for device, coef in enumerate(coefs):
        dense, routed = found.of(device, found.dense_read), found.of(device, found.routed_read)
        share = (dense + routed) / np.maximum(everything, 1.0)
        own_layers = found.of(device, found.is_layer)
        part = replace(
            work,
            gpu_count=np.asarray(1.0),
            dense_bytes=nothing + dense,
            routed_bytes=nothing + routed,
            kv_bytes=nothing + found.of(device, found.cache_read),
            layers=nothing + own_layers,
            expert_layers=nothing + found.of(device, found.has_experts),
            flops=work.flops * share,
            attention_flops=work.attention_flops * own_layers / np.maximum(work.layers + work.host_layers, 1.0),
            host_expert_layers=nothing,
            **no_host,
        )
        # The cost of a token as a whole is paid once.
        total = total + decode_seconds(part, replace(coef, token=coef.token * own_layers / layers))
    idle = dict.fromkeys(("dense_bytes", "routed_bytes", "kv_bytes", "layers", "expert_layers", "flops"), nothing)
    host = replace(work, gpu_count=np.asarray(1.0), attention_flops=nothing, **idle)
    in_memory = decode_seconds(host, replace(coefs[0], token=0.0))
    return np.asarray(total + in_memory + hop_seconds(work.gpu_count, coefs[0]))


def shared_prefill_seconds(work: PrefillWork, found: Layout, coefs: Sequence[SpeedCoefficients]) -> Floats:
    """Seconds for the prompt over devices that work on its micro-batches one after the other, at once where all can queue
    copies; weights in system memory are streamed to the first."""
    work = stepped(work, coefs[0])
    n = np.maximum(work.layers, 1.0)
    nothing = np.zeros_like(work.weight_bytes)
    on_devices = np.maximum(work.weight_bytes, 1.0)
    everything = np.maximum(work.weight_bytes + work.host_weight_bytes, 1.0)
    stages = []
    for device, coef in enumerate(coefs):
        held = found.of(device, found.weights)
        layers = found.of(device, found.is_layer)
        computed = held + (work.host_weight_bytes if device == 0 else 0.0)
        layers_done = layers + (n - float(found.is_layer.sum()) if device == 0 else 0.0)
        part = replace(
            work,
            gpu_count=np.asarray(1.0),
            flops_per_token=work.flops_per_token * computed / everything,
            attention_flops_per_pair=work.attention_flops_per_pair * layers_done / n,
            weight_bytes=nothing + held,
            dense_bytes=work.dense_bytes * held / on_devices,
            routed_total_bytes=work.routed_total_bytes * held / on_devices,
            host_weight_bytes=work.host_weight_bytes if device == 0 else nothing,
            layers=np.asarray(layers_done),
        )
        stages.append(nothing + prefill_seconds(part, coef))
    pipelines = np.all([coef.pipelines for coef in coefs], axis=0)
    return line_seconds(work, coefs[0], np.sum(stages, axis=0), np.max(stages, axis=0), pipelines)


def shared_pace(
    decode: Floats,
    prefill: Floats,
    step: DecodeWork,
    prompt: PrefillWork,
    offloaded: bool,
    coefs: Sequence[SpeedCoefficients],
) -> Pace:
    """Speeds of devices that take turns, with the widest of their ranges; no such mixture has been measured."""
    coefs = [replace(coef, **ranges_of(coef)) for coef in coefs]
    decode_tok_s = 1.0 / decode
    prefill_tok_s = np.nan_to_num(prompt.prompt_tokens / np.maximum(prefill, 1e-9))
    ttft = np.nan_to_num((prefill + decode + coefs[0].ttft_fixed_s) * 1000.0)

    def widest(name: str, pick: np.ufunc) -> Floats:
        return np.asarray(pick.reduce([getattr(coef, name) for coef in coefs]))

    each = [widths(step.depth_tokens, prompt.depth_tokens, coef) for coef in coefs]
    decode_width, prefill_width = (np.max([wide[kind] for wide in each], axis=0) for kind in (0, 1))
    low, high = widest("decode_low", np.minimum) * decode_width, widest("decode_high", np.maximum) * decode_width
    if offloaded:
        low, high = widest("offload_low", np.minimum), widest("offload_high", np.maximum)
    return Pace(
        decode_tok_s=decode_tok_s,
        decode_low=low,
        decode_high=high,
        prefill_tok_s=prefill_tok_s,
        prefill_low=widest("prefill_low", np.minimum) * prefill_width,
        prefill_high=widest("prefill_high", np.maximum) * prefill_width,
        ttft_ms=ttft,
        decode_evidence=np.maximum(widest("decode_evidence", np.maximum), CALIBRATED).astype(np.uint8),
        prefill_evidence=np.maximum(widest("prefill_evidence", np.maximum), CALIBRATED).astype(np.uint8),
    )


def joint_rig(rigs: Sequence[Rig], reserved_bytes: int) -> Rig:
    """The memory of several devices together, from the rigs of each at size one; the first one streams offloads."""
    cards = np.stack([each.usable - each.overhead for each in rigs])
    cards[0] -= reserved_bytes
    return Rig(
        usable=np.sum([each.usable for each in rigs], axis=0),
        capacity=np.sum([each.capacity for each in rigs], axis=0),
        overhead=np.sum([each.overhead for each in rigs], axis=0) + reserved_bytes,
        offloads=np.all([each.offloads for each in rigs], axis=0),
        link_bytes_s=rigs[0].link_bytes_s,
        count=len(rigs),
        host_memory_bytes=rigs[0].host_memory_bytes,
        host_bandwidth_bytes_s=rigs[0].host_bandwidth_bytes_s,
        cards=cards,
    )
