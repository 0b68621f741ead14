"""A model's layers over several accelerators, equal or not: what each holds, and what each reads for a token.

As llama.cpp's layer split: consecutive layers on one device after the other, the output head on the last one that is
reached. The fullest device is kept as empty as it can be (the least largest share of its memory, found by bisection:
for a given share, filling in order is optimal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables, weight_sources
from estimator.placement.placements import Placed, Rig
from estimator.speed.coefficients import CALIBRATED, SpeedCoefficients
from estimator.speed.multi_gpu import hop_seconds, line_seconds, ranges_of
from estimator.speed.roofline import decode_seconds, prefill_seconds, stepped
from estimator.speed.throughput import Pace, widths
from estimator.speed.work import DecodeWork, PrefillWork
from estimator.structure.architecture import FeedForward, ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import Accelerator

_BISECTIONS = 24


@dataclass(frozen=True, slots=True)
class DeviceLoad:
    """Load of one of several accelerators, bytes; ``layers`` counts the output head as llama.cpp does.

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
    """Splits of C cells over D devices: per element (every layer, then the output head) weight and cache bytes and what a
    token reads of them, (C, layers + 1), 0 in system memory. ``on`` (D, C, layers + 1) tells which device has an element,
    ``fits`` (C,) where each device holds its part."""

    weights: Floats
    cache: Floats
    dense_read: Floats
    routed_read: Floats
    cache_read: Floats
    is_layer: Flags
    has_experts: Flags
    held: Flags
    on: Flags
    fits: Flags

    def of(self, device: int, values: NDArray[np.generic]) -> Floats:
        """Sums of ``values`` over a device's elements, (C,)."""
        return np.asarray((values * self.on[device]).sum(axis=-1), dtype=np.float64)


def layout(model: ModelArchitecture, tables: ModelTables, need: Needs, placed: Placed, free: Floats) -> Layout:
    """Layers over devices with ``free`` bytes for weights and cache, (D, C); ``placed`` are C cells of one situation."""
    n, weights, q = model.n_layers, tables.weights, placed.q
    kept, moved, with_output = (
        np.broadcast_to(np.asarray(part).ravel(), q.shape)[:, None]
        for part in (placed.kept, placed.moved, placed.output_on_gpu)
    )
    index = np.arange(n)
    on_devices = index >= n - kept
    experts_here = on_devices & (index >= moved)
    is_expert = np.array([layer.feed_forward is FeedForward.EXPERTS for layer in model.layers])
    dense, experts = weights.layers[q] * on_devices, weights.experts[q] * experts_here
    times = np.bincount(weight_sources(model), minlength=n)
    routed = weights.experts[q] * times * experts_here * weights.expert_share
    cache, read = (np.diff(part[0])[::-1] * on_devices for part in (need.kv_last, need.read_last))
    output = weights.output[q][:, None] * with_output

    def whole(layers: NDArray[np.generic], head: Any = 0) -> Floats:
        return np.hstack([layers, np.broadcast_to(head, kept.shape)]).astype(np.float64)

    sizes = whole(dense + experts, output), whole(cache)
    on, fits = _split(sizes[0] + sizes[1], free)
    return Layout(
        weights=sizes[0],
        cache=sizes[1],
        dense_read=whole(weights.layers[q] * times * on_devices, output),
        routed_read=whole(routed),
        cache_read=whole(read),
        is_layer=whole(on_devices) > 0,
        has_experts=whole(is_expert & experts_here) > 0,
        held=whole(on_devices, with_output) > 0,
        on=on,
        fits=fits,
    )


def _split(sizes: Floats, free: Floats) -> tuple[Flags, Flags]:
    """Which device (D, C, E) has each of the elements of ``sizes`` (C, E), and where (C,) all of them have one."""
    count = sizes.shape[1]
    sums = np.hstack([np.zeros((len(sizes), 1)), np.cumsum(sizes, axis=1)])
    room, cells = np.maximum(free, 0.0), np.arange(len(sizes))

    def filled(share: Floats) -> Ints:
        ends, at = [], np.zeros(len(sizes), dtype=np.int64)
        for own in room:
            reached = (sums <= (sums[cells, at] + share * own)[:, None]).sum(axis=1) - 1
            at = np.maximum(reached, at)
            ends.append(at)
        return np.array(ends)

    best = filled(np.ones(len(sizes)))
    fits = best[-1] == count
    low, high = np.zeros(len(sizes)), np.ones(len(sizes))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        tried = filled(middle)
        holds = tried[-1] == count
        best = np.where(holds, tried, best)
        low, high = np.where(holds, low, middle), np.where(holds, middle, high)
    starts = np.vstack([np.zeros_like(best[:1]), best[:-1]])
    element = np.arange(count)
    return (element >= starts[:, :, None]) & (element < best[:, :, None]), fits


def shared_decode_seconds(work: DecodeWork, layout: Layout, coefs: Sequence[SpeedCoefficients]) -> Floats:
    """Seconds per token over devices that take turns: each reads its own layers at its own pace, ``work`` is of all."""
    everything = work.dense_bytes + work.routed_bytes + work.host_dense_bytes + work.host_routed_bytes
    layers = np.maximum(layout.is_layer.sum(axis=1), 1.0)
    nothing = np.zeros_like(work.dense_bytes)
    no_host = dict.fromkeys(("host_dense_bytes", "host_routed_bytes", "host_kv_bytes", "host_layers"), nothing)
    total = np.zeros_like(everything)
    for device, coef in enumerate(coefs):
        dense, routed = layout.of(device, layout.dense_read), layout.of(device, layout.routed_read)
        share = (dense + routed) / np.maximum(everything, 1.0)
        own_layers = layout.of(device, layout.is_layer)
        part = replace(
            work,
            gpu_count=np.asarray(1.0),
            dense_bytes=nothing + dense,
            routed_bytes=nothing + routed,
            kv_bytes=nothing + layout.of(device, layout.cache_read),
            layers=nothing + own_layers,
            expert_layers=nothing + layout.of(device, layout.has_experts),
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


def shared_prefill_seconds(work: PrefillWork, layout: Layout, coefs: Sequence[SpeedCoefficients]) -> Floats:
    """Seconds for the prompt over devices that work on its micro-batches one after the other, at once where all can queue
    copies; weights in system memory are streamed to the first."""
    work = stepped(work, coefs[0])
    n = np.maximum(work.layers, 1.0)
    nothing = np.zeros_like(work.weight_bytes)
    on_devices = np.maximum(work.weight_bytes, 1.0)
    everything = np.maximum(work.weight_bytes + work.host_weight_bytes, 1.0)
    stages = []
    for device, coef in enumerate(coefs):
        weights_bytes = layout.of(device, layout.weights)
        layers = layout.of(device, layout.is_layer)
        computed = weights_bytes + (work.host_weight_bytes if device == 0 else 0.0)
        layers_done = layers + (n - layout.is_layer.sum(axis=1) if device == 0 else 0.0)
        part = replace(
            work,
            gpu_count=np.asarray(1.0),
            flops_per_token=work.flops_per_token * computed / everything,
            attention_flops_per_pair=work.attention_flops_per_pair * layers_done / n,
            weight_bytes=nothing + weights_bytes,
            dense_bytes=work.dense_bytes * weights_bytes / on_devices,
            routed_total_bytes=work.routed_total_bytes * weights_bytes / on_devices,
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
    offloaded: Any,
    coefs: Sequence[SpeedCoefficients],
) -> Pace:
    """Speeds of devices that take turns, with the widest of their ranges; no such mixture has been measured.

    ``offloaded`` tells which cells have weights in system memory.
    """
    coefs = [replace(coef, **ranges_of(coef)) for coef in coefs]
    decode_tok_s = 1.0 / decode
    prefill_tok_s = np.nan_to_num(prompt.prompt_tokens / np.maximum(prefill, 1e-9))
    ttft = np.nan_to_num((prefill + decode + coefs[0].ttft_fixed_s) * 1000.0)

    def widest(name: str, pick: np.ufunc) -> Floats:
        return np.asarray(pick.reduce([getattr(coef, name) for coef in coefs]))

    ranges = [widths(step.depth_tokens, prompt.depth_tokens, coef) for coef in coefs]
    decode_width, prefill_width = (np.max([wide[kind] for wide in ranges], axis=0) for kind in (0, 1))

    def end(kind: str, name: str, pick: np.ufunc, width: Any) -> Floats:
        alone = widest(f"{kind}_{name}", pick) * width
        return np.asarray(np.where(offloaded, widest(f"offload_{kind}_{name}", pick), alone))

    return Pace(
        decode_tok_s=decode_tok_s,
        decode_low=end("decode", "low", np.minimum, decode_width),
        decode_high=end("decode", "high", np.maximum, decode_width),
        prefill_tok_s=prefill_tok_s,
        prefill_low=end("prefill", "low", np.minimum, prefill_width),
        prefill_high=end("prefill", "high", np.maximum, prefill_width),
        ttft_ms=ttft,
        decode_evidence=np.maximum(widest("decode_evidence", np.maximum), CALIBRATED).astype(np.uint8),
        prefill_evidence=np.maximum(widest("prefill_evidence", np.maximum), CALIBRATED).astype(np.uint8),
    )


def joint_rig(rigs: Sequence[Rig], reserved_bytes: int) -> Rig:
    """The memory of several devices together, from the rigs of each at size one; the first one streams offloads."""
    cards = np.stack([rig.usable - rig.overhead for rig in rigs])
    cards[0] -= reserved_bytes
    return Rig(
        usable=np.sum([rig.usable for rig in rigs], axis=0),
        capacity=np.sum([rig.capacity for rig in rigs], axis=0),
        overhead=np.sum([rig.overhead for rig in rigs], axis=0) + reserved_bytes,
        offloads=np.all([rig.offloads for rig in rigs], axis=0),
        link_bytes_s=rigs[0].link_bytes_s,
        count=len(rigs),
        host_memory_bytes=rigs[0].host_memory_bytes,
        host_bandwidth_bytes_s=rigs[0].host_bandwidth_bytes_s,
        shares_host=rigs[0].shares_host,
        is_processor=rigs[0].is_processor,
        cards=cards,
    )
