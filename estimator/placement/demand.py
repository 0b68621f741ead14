"""Demand of one model on any device: bytes by quant and situation, before any device is looked at.

A *situation* is what a workload or a question fixes: context, prompt, depth, cache type, batch. Arrays have the shapes
(quants, situations) or (situations, layers + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from estimator.memo import kept_within
from estimator.placement.layer_sums import last
from estimator.placement.memory import compute_bytes
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats, Ints
from estimator.structure.kv_cache import CacheShape, cache_shape, pad, passed_again
from estimator.types import CacheType, Workload

#: Longest context reported for a model whose own limit is unknown, tokens.
UNKNOWN_CONTEXT_LIMIT = 1 << 24
#: Contexts of streams at work are spread evenly up to the whole one, so their standard deviation is this share of it. So
#: many deviations above the mean are held free: streams are put off one time in twenty.
_SPREAD = 1.0 / math.sqrt(12.0)
_DEVIATIONS = 1.645


@dataclass(frozen=True, slots=True)
class Situation:
    """Lengths in tokens and load options of one workload or question.

    Buffers are those of ``micro_batch_tokens``; ``prompt_step_tokens`` is the micro-batch that was asked for, 0 for the
    engine's own. ``values``: cache type of the values, None for that of the keys. ``all_logits``: the build of the engine
    reserves logits of every token of a micro-batch. ``expected_occupancy``: the streams are at all depths at once, so an
    engine that pages need not hold the whole context of each.
    """

    prompt_tokens: int
    output_tokens: int
    context_tokens: int
    depth_tokens: float
    depth_before_tokens: float = 0.0
    cache: CacheType = CacheType.F16
    values: CacheType | None = None
    flash_attention: bool = True
    all_logits: bool = False
    batch: int = 1
    micro_batch_tokens: int = 512
    prompt_step_tokens: int = 0
    expected_occupancy: bool = False

    def __hash__(self) -> int:
        # Caches look situations up; a few telling fields spare hashing thirteen each time.
        return hash((self.context_tokens, self.depth_tokens, self.prompt_tokens, self.batch))

    @property
    def held_tokens(self) -> int:
        """Tokens of cache of each stream on an engine that pages: all, or the mean and a margin; one stream may grow whole."""
        if not self.expected_occupancy:
            return self.context_tokens
        margin = _DEVIATIONS * _SPREAD * self.context_tokens / math.sqrt(self.batch)
        expected = min(self.context_tokens, math.ceil(self.depth_tokens + margin))
        return max(expected, math.ceil(self.context_tokens / self.batch))


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that the situations of one model need; S situations, L layers.

    ``kv_last[s, k]`` allocated for the last k layers, ``largest_kv`` for one layer, ``read_last[s, k]`` read per token of
    all streams together, and ``passed_last`` beside them on a processor.
    Compute buffers: ``compute`` on the device, ``working`` the same without logits,
    ``compute_host`` in system memory with the outputs, ``inputs`` of the graph, ``hidden`` one micro-batch of
    activations. ``full_last`` and ``window_last`` are bytes per context token (all streams) of the last k layers, shape
    (S, L + 1); ``fixed_last`` their constant state.
    """

    situations: tuple[Situation, ...]
    kv_last: Floats
    read_last: Floats
    passed_last: Floats
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


def situation_of(workload: Workload) -> Situation:
    """The situation in which a catalog workload is computed."""
    return Situation(
        prompt_tokens=workload.prompt_tokens,
        output_tokens=workload.output_tokens,
        context_tokens=workload.context_tokens,
        depth_tokens=workload.decode_depth_tokens,
    )


@kept_within(8 << 20)
def needs(model: ModelArchitecture, situations: tuple[Situation, ...]) -> Needs:
    """Bytes per situation; kept for the next call with the same arguments."""
    shape, count, sums = cache_shape(model), len(situations), (len(situations), model.n_layers + 1)
    out = Needs(
        situations=situations,
        kv_last=np.empty(sums),
        read_last=np.empty(sums),
        passed_last=np.empty(sums),
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
    )
    alike: dict[Situation, list[int]] = {}
    for index, situation in enumerate(situations):
        alike.setdefault(_options(situation), []).append(index)
    for options, at in alike.items():
        _fill(out, model, shape, np.array(at), options)
    return out


def _options(situation: Situation) -> Situation:
    """A situation without its lengths: what those that are filled in one go share."""
    unasked = replace(situation, prompt_tokens=0, output_tokens=0, context_tokens=0, prompt_step_tokens=0)
    return replace(unasked, depth_tokens=0.0, depth_before_tokens=0.0)


def _fill(out: Needs, model: ModelArchitecture, shape: CacheShape, at: Ints, options: Situation) -> None:
    """The situations ``at``, which share their load ``options``, in one go."""
    cache, flash_attention, batch = options.cache, options.flash_attention, options.batch
    micro_batch = options.micro_batch_tokens
    context = np.array([float(out.situations[index].context_tokens) for index in at])
    depth = np.array([out.situations[index].depth_tokens for index in at])
    size = shape.element_bytes(cache, options.values)
    kv = shape.bytes_per_layer(context, cache, values=options.values, sequences=batch, micro_batch=micro_batch)
    out.kv_last[at] = np.ceil(last(kv))
    out.largest_kv[at] = kv.max(axis=1, initial=0.0)
    out.read_last[at] = last(shape.read_per_layer(depth, cache, options.values) * batch)
    out.passed_last[at] = last(passed_again(shape.linear_bytes)) * batch
    # A cache of which one half is quantized is converted as a quantized one is.
    widest = options.values if cache is CacheType.F16 and options.values is not None else cache
    (device, host), (working, _) = (
        compute_bytes(
            model,
            shape,
            context,
            cache=widest,
            flash_attention=flash_attention,
            micro_batch=micro_batch,
            sequences=batch,
            all_logits=all_logits,
        )
        for all_logits in (options.all_logits, False)
    )
    out.compute[at], out.working[at], out.inputs[at] = np.ceil(device), np.ceil(working), np.ceil(host)
    out.compute_host[at] = np.ceil(host + 4.0 * batch * model.vocab)
    out.hidden[at] = 4.0 * np.minimum(micro_batch, pad(context)) * model.hidden
    mask = (2.0 if flash_attention else 4.0) * micro_batch
    heads = 0 if flash_attention else max((layer.heads for layer in model.layers), default=0)
    out.mask_slope[at] = mask + 4.0 * micro_batch * heads
    out.full_last[at] = last(shape.full_elements * size) * batch
    out.window_last[at] = last(shape.window_elements * size) * batch
    out.fixed_last[at] = last(shape.state_bytes) * batch
    out.window_cells[at] = float(shape.window_tokens.max(initial=0)) + micro_batch
