"""What one model asks of any device: bytes by quant and situation, before any device is looked at.

A *situation* is what a workload or a question fixes: context, prompt, depth, cache type, batch. Arrays have the shapes
(quants, situations) or (situations, layers + 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from estimator.architecture import ModelArchitecture
from estimator.cache import CACHE_BYTES, cache_shape, pad
from estimator.memory import compute_bytes, vllm_activation_bytes
from estimator.tables import last
from estimator.types import CacheType, Workload

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Situation:
    """Lengths in tokens and load options of one workload or question."""

    prompt_tokens: int
    output_tokens: int
    context_tokens: int
    depth_tokens: float
    depth_before_tokens: float = 0.0
    cache: CacheType = CacheType.F16
    flash_attention: bool = True
    batch: int = 1
    micro_batch_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that the situations of one model need; S situations, L layers.

    ``kv_last[s, k]`` allocated for the last k layers, ``largest_kv`` for one layer, ``read_last[s, k]`` read per token of
    all streams together. Compute buffers: ``compute`` on the device, ``working`` the same without logits,
    ``compute_host`` in system memory with the outputs, ``inputs`` of the graph, ``hidden`` one micro-batch of
    activations. ``full_last`` and ``window_last`` are bytes per context token (all streams) of the last k layers, shape
    (S, L + 1); ``fixed_last`` their constant state.
    """

    situations: tuple[Situation, ...]
    kv_last: Floats
    read_last: Floats
    compute: Floats
    compute_host: Floats
    working: Floats
    inputs: Floats
    hidden: Floats
    largest_kv: Floats
    mask_slope: Floats
    full_last: Floats
    window_last: Floats
    fixed_last: Floats
    window_cells: Floats
    vllm_activation: float


def situation_of(workload: Workload) -> Situation:
    """The situation in which a catalog workload is computed."""
    return Situation(
        prompt_tokens=workload.prompt_tokens,
        output_tokens=workload.output_tokens,
        context_tokens=workload.context_tokens,
        depth_tokens=workload.decode_depth_tokens,
    )


@lru_cache(maxsize=4096)
def needs(model: ModelArchitecture, situations: tuple[Situation, ...]) -> Needs:
    """Bytes per situation; kept for the next call with the same arguments."""
    shape = cache_shape(model)
    rows: list[tuple[Floats, ...]] = []
    for one in situations:
        size = CACHE_BYTES[one.cache]
        kv = shape.bytes_per_layer(
            one.context_tokens, one.cache, sequences=one.batch, micro_batch=one.micro_batch_tokens
        )[0]
        read = shape.read_per_layer(one.depth_tokens, one.cache)[0] * one.batch
        # Logits of a whole micro-batch: llama-bench, the library and servers before April 2026 reserve them; a newer
        # server needs the second figure.
        (device, host), (working, _) = (
            compute_bytes(
                model,
                shape,
                one.context_tokens,
                cache=one.cache,
                flash_attention=one.flash_attention,
                micro_batch=one.micro_batch_tokens,
                sequences=one.batch,
                all_logits=all_logits,
            )
            for all_logits in (True, False)
        )
        tokens = min(one.micro_batch_tokens, float(pad(one.context_tokens * one.batch)))
        mask = (2.0 if one.flash_attention else 4.0) * one.micro_batch_tokens
        heads = 0 if one.flash_attention else max((layer.heads for layer in model.layers), default=0)
        rows.append(
            (
                last(kv),
                last(read),
                device,
                host + 4.0 * one.batch * model.vocab,
                np.array([(mask + 4.0 * one.micro_batch_tokens * heads) * one.batch]),
                last(shape.full_elements * size) * one.batch,
                last(shape.window_elements * size) * one.batch,
                last(shape.state_bytes) * one.batch,
                np.array([float(shape.window_tokens.max(initial=0)) + one.micro_batch_tokens]),
                np.array([working[0], host[0], 4.0 * tokens * model.hidden, kv.max(initial=0.0)]),
            )
        )
    stacked = [np.stack(column) for column in zip(*rows, strict=True)]
    return Needs(
        situations=situations,
        kv_last=np.ceil(stacked[0]),
        read_last=stacked[1],
        compute=np.ceil(stacked[2][:, 0]),
        compute_host=np.ceil(stacked[3][:, 0]),
        mask_slope=stacked[4][:, 0],
        full_last=stacked[5],
        window_last=stacked[6],
        fixed_last=stacked[7],
        window_cells=stacked[8][:, 0],
        working=np.ceil(stacked[9][:, 0]),
        inputs=np.ceil(stacked[9][:, 1]),
        hidden=stacked[9][:, 2],
        largest_kv=stacked[9][:, 3],
        vllm_activation=float(np.ceil(vllm_activation_bytes(model))),
    )
