"""What one model asks of any device: bytes by quant and situation, before any device is looked at.

A *situation* is what a workload or a question fixes: context, prompt, depth, cache type, batch. Arrays have the shapes
(quants, situations) or (situations, layers + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.memo import kept_within
from estimator.placement.layer_sums import last
from estimator.placement.memory import compute_bytes, vllm_activation_bytes
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import CACHE_BYTES, CacheShape, cache_shape, pad
from estimator.types import CacheType, Workload

Floats = NDArray[np.float64]

#: Contexts of active streams are spread evenly up to the whole one, so their standard deviation is this share of it. So
#: many deviations above the mean are held free: streams are put off one time in twenty.
_SPREAD = 1.0 / math.sqrt(12.0)
_DEVIATIONS = 1.645


@dataclass(frozen=True, slots=True)
class Situation:
    """Lengths in tokens and load options of one workload or question.

    Buffers are those of ``micro_batch_tokens``; ``prompt_step_tokens`` is the micro-batch that was asked for, 0 for the
    engine's own.
    """

    prompt_tokens: int
    output_tokens: int
    context_tokens: int
    depth_tokens: float
    depth_before_tokens: float = 0.0
    cache: CacheType = CacheType.F16
    flash_attention: bool = True
    batch: int = 1
    micro_batch_tokens: int = 512
    prompt_step_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that the situations of one model need; S situations, L layers.

    ``kv_last[s, k]`` allocated for the last k layers, ``largest_kv`` for one layer, ``kv_paged`` for all layers by an engine
    that gives memory page by page, ``read_last[s, k]`` read per token of all streams together. Compute buffers: ``compute``
    on the device, ``working`` the same without logits, ``compute_host`` in system memory with the outputs, ``inputs`` of
    the graph, ``hidden`` one micro-batch of
    activations. ``full_last`` and ``window_last`` are bytes per context token (all streams) of the last k layers, shape
    (S, L + 1); ``fixed_last`` their constant state.
    """

    situations: tuple[Situation, ...]
    kv_last: Floats
    kv_paged: Floats
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


def expected_context_tokens(context_tokens: Floats, depth_tokens: Floats, streams: int) -> Floats:
    """Tokens of KV cache to hold for each of ``streams`` on an engine that pages: the mean and a margin, at most all."""
    margin = _DEVIATIONS * _SPREAD * context_tokens / math.sqrt(streams)
    return np.minimum(context_tokens, np.ceil(depth_tokens + margin))


@kept_within(2 << 20)
def needs(model: ModelArchitecture, situations: tuple[Situation, ...]) -> Needs:
    """Bytes per situation; kept for the next call with the same arguments."""
    shape, count, sums = cache_shape(model), len(situations), (len(situations), model.n_layers + 1)
    out = Needs(
        situations=situations,
        kv_last=np.empty(sums),
        kv_paged=np.empty(count),
        read_last=np.empty(sums),
        compute=np.empty(count),
        compute_host=np.empty(count),
        working=np.empty(count),
        inputs=np.empty(count),
        hidden=np.empty(count),
        largest_kv=np.empty(count),
        mask_slope=np.empty(count),
        full_last=np.empty(sums),
        window_last=np.empty(sums),
        fixed_last=np.empty(sums),
        window_cells=np.empty(count),
        vllm_activation=float(np.ceil(vllm_activation_bytes(model))),
    )
    alike: dict[tuple[CacheType, bool, int, int], list[int]] = {}
    for index, one in enumerate(situations):
        alike.setdefault((one.cache, one.flash_attention, one.batch, one.micro_batch_tokens), []).append(index)
    for options, at in alike.items():
        _fill(out, model, shape, np.array(at), *options)
    return out


def _fill(
    out: Needs,
    model: ModelArchitecture,
    shape: CacheShape,
    at: NDArray[np.int64],
    cache: CacheType,
    flash_attention: bool,
    batch: int,
    micro_batch: int,
) -> None:
    """The situations ``at``, which share their load options, in one go."""
    context = np.array([float(out.situations[index].context_tokens) for index in at])
    depth = np.array([out.situations[index].depth_tokens for index in at])
    size = CACHE_BYTES[cache]
    kv = shape.bytes_per_layer(context, cache, sequences=batch, micro_batch=micro_batch)
    out.kv_last[at] = np.ceil(last(kv))
    out.kv_paged[at] = out.kv_last[at, -1]
    if batch > 1:
        expected = expected_context_tokens(context, depth, batch)
        out.kv_paged[at] = np.ceil(
            shape.bytes_per_layer(expected, cache, sequences=batch, micro_batch=micro_batch).sum(axis=1)
        )
    out.largest_kv[at] = kv.max(axis=1, initial=0.0)
    out.read_last[at] = last(shape.read_per_layer(depth, cache) * batch)
    # Logits of a whole micro-batch: llama-bench, the library and servers before April 2026 reserve them; a newer server
    # needs the second figure.
    (device, host), (working, _) = (
        compute_bytes(
            model,
            shape,
            context,
            cache=cache,
            flash_attention=flash_attention,
            micro_batch=micro_batch,
            sequences=batch,
            all_logits=all_logits,
        )
        for all_logits in (True, False)
    )
    out.compute[at], out.working[at], out.inputs[at] = np.ceil(device), np.ceil(working), np.ceil(host)
    out.compute_host[at] = np.ceil(host + 4.0 * batch * model.vocab)
    out.hidden[at] = 4.0 * np.minimum(micro_batch, pad(context * batch)) * model.hidden
    mask = (2.0 if flash_attention else 4.0) * micro_batch
    heads = 0 if flash_attention else max((layer.heads for layer in model.layers), default=0)
    out.mask_slope[at] = (mask + 4.0 * micro_batch * heads) * batch
    out.full_last[at] = last(shape.full_elements * size) * batch
    out.window_last[at] = last(shape.window_elements * size) * batch
    out.fixed_last[at] = last(shape.state_bytes) * batch
    out.window_cells[at] = float(shape.window_tokens.max(initial=0)) + micro_batch
