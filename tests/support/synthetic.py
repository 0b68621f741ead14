"""Random blocks that keep the contract of ``estimator.grid``: for benches and tests of storage, not of physics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.fits.layout import SLOT_COUNT
from estimator.grid import RANGE_DECIMALS, FitBlock

Array = NDArray[Any]
GIB = 1 << 30


def synthetic_block(seed: int, gpus: int, quants: int, *, availability: float = 0.6) -> FitBlock:
    """A plausible block of (gpus, quants, SLOT_COUNT): small models on large GPUs fit, others offload or do not."""
    rng = np.random.default_rng(seed)
    hardware = np.random.default_rng(7)  # the same GPUs for every model
    capacity = (
        hardware.choice(np.array([4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 141, 192]), gpus) * GIB
    )
    overhead_of_gpu = hardware.integers(20, 180, gpus) * 3 * 1024**2
    bandwidth = hardware.uniform(1e11, 4e12, gpus)
    band = hardware.choice(np.array([0.7, 0.8, 0.85, 0.9]), gpus)
    parameters = float(np.exp(rng.uniform(np.log(0.5e9), np.log(400e9))))
    layers = int(rng.integers(16, 90))
    bits = np.linspace(2.6, 16.0, quants)
    weights = (parameters * bits / 8).astype(np.int64)
    kv = (rng.integers(20_000, 300_000) * np.array([4096, 8192, 32768, 16384, 32768])[:SLOT_COUNT]).astype(np.int64)
    compute = (np.arange(1, SLOT_COUNT + 1) * int(rng.integers(1 << 24, 1 << 28))).astype(np.int64)
    shape = (gpus, quants, SLOT_COUNT)
    usable = (capacity * 0.97).astype(np.int64)
    fixed = kv + compute + overhead_of_gpu[:, None, None]
    free = usable[:, None, None] - fixed
    need = np.broadcast_to(weights[None, :, None], shape)
    on_gpu = np.clip(np.floor(layers * free / need), 0, layers).astype(np.int64)
    fits = on_gpu >= layers
    runs = fits | (need < 60 * GIB + np.maximum(free, 0))
    status = np.where(fits, rng.integers(0, 2, shape), np.where(runs, 2, 3)).astype(np.uint8)
    strategy = np.where(fits, 0, np.where(runs, 2, 4)).astype(np.uint8)
    share = np.where(fits | ~runs, 0.0, 1.0 - on_gpu / layers)
    device = np.where(runs, (need * (1.0 - share)).astype(np.int64), need)
    seconds = device / bandwidth[:, None, None] + (need - device) / 6e10
    decode = np.where(runs, 1.0 / seconds, 0.0).astype(np.float32)
    prefill = np.where(runs, 40.0 / seconds, 0.0).astype(np.float32)
    low, high = (ends.round(RANGE_DECIMALS)[:, None, None].astype(np.float32) for ends in (band, 1 / band))
    evidence = np.broadcast_to((band > 0.8).astype(np.uint8)[:, None, None], shape)
    score = np.where(runs, np.clip(rng.normal(60, 20, shape), 0, 100), 0.0).round(2).astype(np.float32)
    available = rng.random((gpus, quants)) < availability
    ranked = np.where(available[:, :, None], score + 1e-3, -1.0)
    best = (ranked == ranked.max(axis=1, keepdims=True)) & available[:, :, None] & runs
    best &= np.cumsum(best, axis=1) == 1
    return FitBlock(
        available=available,
        engine=np.broadcast_to((band > 0.8).astype(np.uint8)[:, None], shape[:2]),
        backend=np.broadcast_to((band > 0.8).astype(np.uint8)[:, None], shape[:2]),
        status=status,
        strategy=strategy,
        gpu_layers=np.where(runs, on_gpu, 0).astype(np.uint16),
        cpu_moe_layers=np.zeros(shape, dtype=np.uint16),
        offload_fraction=share.astype(np.float32),
        weights_bytes=device,
        kv_cache_bytes=np.broadcast_to(kv, shape),
        compute_bytes=np.broadcast_to(compute, shape),
        overhead_bytes=np.broadcast_to(overhead_of_gpu[:, None, None], shape),
        host_bytes=need - device,
        usable_bytes=np.broadcast_to(usable[:, None], shape[:2]),
        capacity_bytes=np.broadcast_to(capacity[:, None], shape[:2]),
        bits_per_weight=bits,
        task_nats=np.broadcast_to(np.exp(-bits)[:, None], shape[1:]),
        has_weights=np.ones(len(bits), dtype=np.bool_),
        decode_tok_s=decode,
        decode_low_tok_s=decode * low,
        decode_high_tok_s=decode * high,
        prefill_tok_s=prefill,
        prefill_low_tok_s=prefill * low,
        prefill_high_tok_s=prefill * high,
        decode_evidence=evidence,
        prefill_evidence=evidence,
        ttft_ms=np.divide(4096e3, prefill, out=np.zeros_like(prefill), where=prefill > 0),
        safe_context_tokens=np.where(runs, rng.integers(4, 512, shape) * 256, 0).astype(np.int32),
        score=score,
        recommended=best,
        file_size_bytes=weights,
        model_weights_bytes=weights,
    )
