"""Decode and prefill times from what is read and computed.

A time is a sum of physical terms, each in seconds at an ideal machine, times a fitted coefficient: bytes over the peak
bandwidth, arithmetic over the peak rate, and fixed costs per layer, expert layer and token (kernel launches and
synchronisation, at a nominal scale stated here). Every function is elementwise over cells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.multi_gpu import decode_exchange_seconds, decode_shares, packed_seconds_of, prefill_seconds_of
from estimator.speed.streams import packed_prompt_seconds, product_seconds, step_seconds, tiled_seconds
from estimator.speed.work import DecodeWork, PrefillWork
from estimator.structure.arrays import Floats

#: Nominal scales of the fixed costs, seconds; the fitted coefficients multiply them.
LAYER_S = 1e-5
EXPERT_LAYER_S = 2e-5
TOKEN_S = 2e-4
#: Nominal arithmetic per weight read, compute units x clocks: unpacking a quantized weight and multiplying it.
UNPACK_UNIT_CLOCKS = 0.05
#: Nominal arithmetic of attention over the cache, FLOPs per compute unit and clock: heads that share keys and values
#: read them once and multiply each.
ATTEND_FLOPS_PER_UNIT_CLOCK = 64.0
#: From this many prompt tokens on, llama.cpp copies offloaded weights to the GPU instead of multiplying on the CPU.
OFFLOAD_COPY_TOKENS = 32
#: Share of the experts that the tokens of a micro-batch use where even chances would use all. llama.cpp copies these
#: alone: 72 to 95 of 128 a layer at 512 tokens (llama.cpp PR 15346 of August 2025); random tokens use no more.
USED_EXPERTS = 0.65
#: Tokens per expert at which grouped matrix products count as full; the fitted exponent says how much less cost more.
FULL_TOKENS_PER_EXPERT = 128.0
DECODE_TERMS: tuple[str, ...] = ("dense", "routed", "cache", "attend", "unpack", "layer", "expert_layer", "token")
PREFILL_TERMS: tuple[str, ...] = ("linear", "attention", "read", "step")


def distinct_experts(tokens: Floats, count: Floats, per_token: Floats) -> Floats:
    """Expected share of experts that ``tokens`` tokens touch when each picks ``per_token`` of ``count`` evenly."""
    if not np.any(count):
        return np.asarray(0.0)
    share = np.where(count > 0, per_token / np.maximum(count, 1.0), 0.0)
    return np.asarray(1.0 - (1.0 - np.minimum(share, 1.0)) ** tokens)


def expert_spread(work: DecodeWork) -> Any:
    """How many times the experts of one token a step of all streams reads; 1 for one stream and for dense models.

    Streams share the experts that routers favour, as the tokens of a prompt do.
    """
    if not np.any(work.batch > 1):
        return 1.0
    favoured = np.maximum(USED_EXPERTS * work.expert_count, work.experts_per_token)
    single = distinct_experts(np.ones_like(work.batch), favoured, work.experts_per_token)
    many = distinct_experts(work.batch, favoured, work.experts_per_token)
    return np.where(single > 0, many / np.maximum(single, 1e-12), 1.0)


def decode_terms(work: DecodeWork, bandwidth_bytes_s: Floats, unit_clocks_s: Floats, spread: Any) -> tuple[Floats, ...]:
    """Ideal seconds of each of ``DECODE_TERMS`` per step; ``unit_clocks_s`` is compute units x clock, 1/s, and ``spread``
    that of the experts."""
    device = work.dense_bytes + work.routed_bytes
    everything = device + work.host_dense_bytes + work.host_routed_bytes
    on_device = np.where(everything > 1.0, device / np.maximum(everything, 1.0), 1.0)
    attending = work.layers / np.maximum(work.layers + work.host_layers, 1.0)
    return (
        work.dense_bytes / bandwidth_bytes_s,
        work.routed_bytes * spread / bandwidth_bytes_s,
        work.kv_bytes / bandwidth_bytes_s,
        work.batch * work.attention_flops * attending / (ATTEND_FLOPS_PER_UNIT_CLOCK * unit_clocks_s),
        0.5 * work.flops * on_device * UNPACK_UNIT_CLOCKS / unit_clocks_s,
        work.layers * LAYER_S,
        work.expert_layers * EXPERT_LAYER_S,
        np.full_like(work.layers, TOKEN_S),
    )


def prefill_terms(
    work: PrefillWork, peak_flops: Floats, attention_flops: Floats, bandwidth_bytes_s: Floats
) -> tuple[Floats, ...]:
    """Ideal seconds of each of ``PREFILL_TERMS`` for the whole prompt."""
    tokens = work.prompt_tokens
    steps = np.ceil(tokens / work.micro_batch_tokens)
    per_step = np.minimum(tokens, work.micro_batch_tokens)
    touched = distinct_experts(per_step, work.expert_count, work.experts_per_token)
    pairs = tokens * (work.depth_tokens + tokens / 2.0)
    return (
        tokens * work.flops_per_token / peak_flops,
        pairs * work.attention_flops_per_pair / attention_flops,
        steps * (work.dense_bytes + work.routed_total_bytes * touched) / bandwidth_bytes_s,
        steps * work.layers * LAYER_S,
    )


def expert_thinness(work: PrefillWork) -> Floats:
    """Log of how many times fewer tokens an expert gets than a full product needs; 0 for dense models."""
    if not np.any(work.expert_count):
        return np.asarray(0.0)
    per_step = np.minimum(work.prompt_tokens, work.micro_batch_tokens)
    per_expert = per_step * work.experts_per_token / np.maximum(work.expert_count, 1.0)
    thin = np.log(np.maximum(FULL_TOKENS_PER_EXPERT / np.maximum(per_expert, 1e-6), 1.0))
    return np.asarray(np.where(work.expert_count > 0, thin, 0.0))


def decode_seconds(work: DecodeWork, coef: SpeedCoefficients) -> Floats:
    """Seconds per token of each stream."""
    spread = expert_spread(work)
    dense, routed, cache, attend, unpack, layer, expert_layer, token = decode_terms(
        work, coef.bandwidth_bytes_s, coef.unit_clocks_s, spread
    )
    # Terms of the situation are added last: the sums before them are then per pair of device and quant.
    weights = dense * coef.dense + routed * coef.routed + unpack * coef.unpack
    several = bool(np.any(work.gpu_count > 1))
    share, cache_share = decode_shares(work, coef) if several else (1.0, 1.0)
    # Heads are cut as matrices are; only the rows that they share are kept more than once.
    context = cache * coef.cache * cache_share + attend * coef.attend * share
    if np.any(work.wide_bytes > 0):
        context = context + _wide_seconds(work, coef)
    read_bytes = weights * share + context
    fixed = layer * coef.layer + expert_layer * coef.expert_layer + token * coef.token
    host_dense = (work.host_dense_bytes + work.host_kv_bytes) / work.host_bandwidth_bytes_s * coef.host
    host_routed = work.host_routed_bytes * spread / work.host_bandwidth_bytes_s * coef.host_expert
    crossings = (work.host_layers * coef.host_layer + work.host_expert_layers * coef.host_expert_layer) * LAYER_S
    between = decode_exchange_seconds(work, coef) if several else 0.0
    # Fitted effects multiply, and where several of them favour one case they would promise more than the memory has.
    floor = (dense + routed) * share + cache * cache_share
    device = np.maximum((read_bytes + fixed) * coef.decode_overall, floor)
    if np.any(work.batch > 1):
        alone = (dense * coef.dense + routed / spread * coef.routed + unpack * coef.unpack) * share
        single = (alone + context / work.batch + fixed) * coef.decode_overall
        products = product_seconds(work, coef, unpack * coef.unpack, share)
        # Without a known arithmetic peak nothing says how far streams may share a read: they take turns at the weights.
        turns = np.maximum(work.batch * alone - weights * share, 0.0) * coef.decode_overall
        products = np.where(np.isfinite(products), products, turns)
        together = step_seconds(work, coef, weights * share, context, fixed) + products
        together = np.maximum(together, tiled_seconds(work, coef, share))
        device = np.where(work.batch > 1, np.maximum(together, np.maximum(single, floor)), device)
    return np.asarray(device + (host_dense + host_routed + crossings + between))


def _wide_seconds(work: DecodeWork, coef: SpeedCoefficients) -> Floats:
    """Seconds beside those of any cache for heads that an engine's general kernel reads: too few units at once for one stream,
    each at its share of the bandwidth."""
    cut = np.where(coef.tensor_parallel, work.gpu_count, 1.0)
    heads = np.maximum(np.floor(work.wide_heads / cut), 1.0)
    reach = np.minimum(coef.unit_splits * heads * work.batch, 1.0)
    seconds = work.wide_bytes * np.minimum(heads / np.maximum(work.wide_heads, 1.0), 1.0) / coef.bandwidth_bytes_s
    return np.asarray(seconds * np.maximum(1.0 / reach - coef.cache, 0.0) * (reach < 1.0))


def stepped(work: PrefillWork, coef: SpeedCoefficients) -> PrefillWork:
    """``work`` with the micro-batch of each cell's engine where none was asked for."""
    stated_tokens = work.micro_batch_tokens
    if np.all(stated_tokens > 0):
        return work
    return replace(work, micro_batch_tokens=np.where(stated_tokens > 0, stated_tokens, coef.step_tokens))


def prefill_seconds(work: PrefillWork, coef: SpeedCoefficients) -> Floats:
    """Seconds for the whole prompt."""
    return prompt_seconds(work, coef)[0]


def prompt_seconds(work: PrefillWork, coef: SpeedCoefficients) -> tuple[Floats, Floats]:
    """Seconds for the whole prompt, and until it is read: to fill steps with tokens of other streams hastens no prompt of
    its own."""
    work = stepped(work, coef)
    linear, attention, read, step = prefill_terms(
        work, coef.peak_flops, coef.attention_peak_flops, coef.bandwidth_bytes_s
    )
    thin = np.exp(coef.thinness * expert_thinness(work))
    shared = linear * thin * coef.linear + attention * coef.attention + read * coef.read
    device = (shared + step * coef.step) * coef.prefill_overall
    if np.any(work.gpu_count > 1):
        device = prefill_seconds_of(work, coef, device, shared * coef.prefill_overall)
    copied = _copied_seconds(work, coef) if np.any(work.host_weight_bytes > 0) else 0.0
    alone = np.asarray(device + copied)
    if not np.any(work.batch > 1):
        return alone, alone
    packed = packed_seconds_of(work, coef, packed_prompt_seconds(work, coef))
    device = np.where((work.batch > 1) & (coef.stream_tile <= 1.0) & np.isfinite(packed), packed, device)
    return device + copied, np.maximum(device + copied, alone)


def _copied_seconds(work: PrefillWork, coef: SpeedCoefficients) -> Floats:
    """Seconds that weights in system memory add to a prompt: copied to the device, or multiplied where they are."""
    steps = np.ceil(work.prompt_tokens / work.micro_batch_tokens)
    per_step = np.minimum(work.prompt_tokens, work.micro_batch_tokens)
    link = np.where(work.link_bytes_s > 0, work.link_bytes_s, coef.default_link_bytes_s)
    unused = work.host_routed_bytes * (
        1.0 - USED_EXPERTS * distinct_experts(per_step, work.expert_count, work.experts_per_token)
    )
    streamed = np.where(
        per_step >= OFFLOAD_COPY_TOKENS,
        (work.host_weight_bytes - unused) / link * coef.link,
        work.host_weight_bytes / work.host_bandwidth_bytes_s * coef.host,
    )
    return np.asarray(steps * streamed)
