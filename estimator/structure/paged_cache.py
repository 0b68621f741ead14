"""vLLM's paged KV cache: bytes that one request of a length reserves on a device.

Rules read from vLLM's cache specifications and grouping (vllm/v1/kv_cache_interface.py, vllm/v1/core/kv_cache_utils.py):
a layer's cache is whole blocks; a sliding window keeps ``window - 1`` tokens, those of one step (``max_num_batched_tokens``)
and one block more, as it may begin inside a block; blocks of all layers take the same bytes, so that layers with less per
token get longer blocks; a layer with a constant state takes one block; layers are put into groups of one size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from estimator.memo import kept_within
from estimator.structure.architecture import Layer, Mixer, ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.structure.kv_cache import CACHE_BYTES, cache_shape
from estimator.types import CacheType

BLOCK_TOKENS = 16
#: Groups take the size of the largest kind of layers below this multiple of the smallest, else that of the smallest.
_NEARLY_EQUAL = 1.5
#: Caches of compressed context (DeepSeek V4): tokens in a block of it, of its windows and of the compressors' states, by
#: whether neighbouring parts overlap; and the alignment of a block, bytes.
_COMPRESSED_BLOCK_TOKENS, _WINDOW_BLOCK_TOKENS, _PAGE_ALIGNMENT = 256, 64, 576
_STATE_BLOCK_TOKENS = {True: 4, False: 8}
#: Compression up to which parts overlap, and have an indexer.
_OVERLAPPING_RATIO = 16
#: Bytes of an FP32 scale beside the FP8 keys of an indexer, and of the scales of an FP8 latent row, one for 128 elements.
_SCALE_BYTES, _LATENT_SCALED_ELEMENTS = 4, 128


@dataclass(frozen=True, slots=True)
class PagedLayers:
    """Cache of layers of one kind: ``token_bytes`` of each token, of all of them (``window`` None) or of the last ones,
    with ``spare`` blocks more; or a ``state_bytes`` of constant size."""

    token_bytes: float = 0.0
    window: int | None = None
    spare: int = 0
    state_bytes: float = 0.0

    def blocks(self, context: Floats, batched_tokens: int, block_tokens: float) -> Floats:
        kept = context if self.window is None else np.minimum(context, self.window + batched_tokens)
        return np.asarray(np.ceil(kept / block_tokens) + self.spare)


#: Bytes that requests of (contexts,) tokens reserve in steps of so many tokens, (contexts,).
Reserved: TypeAlias = Callable[[Floats, int], Floats]


@kept_within(1 << 20)
def request_bytes(model: ModelArchitecture, cache: CacheType, ranks: int) -> Reserved:
    """The bytes on one of ``ranks`` tensor-parallel devices that requests reserve."""
    if any(model.compress_ratios):
        return _compressed_bytes(model)
    kinds = _kinds(model, cache, ranks)
    return lambda context, batched_tokens: _grouped_bytes(kinds, np.asarray(context, dtype=np.float64), batched_tokens)


def _kinds(model: ModelArchitecture, cache: CacheType, ranks: int) -> Counter[PagedLayers]:
    states = cache_shape(model).state_bytes
    kinds: Counter[PagedLayers] = Counter()
    for layer, state in zip(model.layers, states, strict=True):
        if layer.has_attention and not layer.shares_kv:
            token_bytes = _token_bytes(model, layer, cache, ranks)
            if layer.window is None:
                kinds[PagedLayers(token_bytes)] += 1
            elif layer.mixer is Mixer.CHUNKED:
                kinds[PagedLayers(token_bytes, layer.window)] += 1
            else:
                kinds[PagedLayers(token_bytes, layer.window - 1, spare=1)] += 1
        if state:
            kinds[PagedLayers(state_bytes=float(state) / ranks)] += 1
    return kinds


def _token_bytes(model: ModelArchitecture, layer: Layer, cache: CacheType, ranks: int) -> float:
    size = CACHE_BYTES[cache]
    if layer.latent is None:
        return float(np.ceil(layer.kv_heads / ranks)) * (layer.key_dim + layer.value_dim) * size
    rank, rope = layer.latent.kv_rank, layer.latent.rope_dim
    if not model.indexer_dim or layer.window is not None:
        return (rank + rope) * size
    # Sparse attention reads latent rows with scales, positions in 16 bits; the indexer's keys are FP8 in any case.
    indexer = (model.indexer_dim + _SCALE_BYTES) * layer.has_indexer
    if cache is not CacheType.FP8:
        return (rank + rope) * size + indexer
    return rank + rank / _LATENT_SCALED_ELEMENTS * _SCALE_BYTES + rope * 2.0 + indexer


def _grouped_bytes(kinds: Counter[PagedLayers], context: Floats, batched_tokens: int) -> Floats:
    if not kinds:
        return np.zeros_like(context)
    if all(kind.window is None and not kind.state_bytes for kind in kinds):
        # Layers that all keep the whole context share one table of blocks, whatever each takes.
        blocks = np.ceil(context / BLOCK_TOKENS)
        return np.asarray(blocks * BLOCK_TOKENS * sum(kind.token_bytes * count for kind, count in kinds.items()))
    attention = [kind.token_bytes for kind in kinds if kind.token_bytes]
    page = BLOCK_TOKENS * max(attention, default=0.0)
    state = max(kind.state_bytes for kind in kinds)
    if state > page and attention:
        page = np.ceil(state / max(attention) / BLOCK_TOKENS) * BLOCK_TOKENS * max(attention)
    page = max(page, state)
    size = _group_size(list(kinds.values()))
    total = np.zeros_like(context)
    for kind, count in kinds.items():
        blocks = (
            kind.blocks(context, batched_tokens, np.floor(page / kind.token_bytes))
            if kind.token_bytes
            else np.ones_like(context)
        )
        total += blocks * np.ceil(count / size) * size * page
    return np.asarray(total)


def _group_size(counts: list[int]) -> int:
    return max(counts) if max(counts) < _NEARLY_EQUAL * min(counts) else min(counts)


def _compressed_bytes(model: ModelArchitecture) -> Reserved:
    """A context that is compressed by a ratio a layer, the windows beside it, and the compressors' states."""
    layers = model.layers
    ratios = Counter(ratio for ratio in model.compress_ratios[: len(layers)] if ratio)
    pages = sum(_compressed_pages(model, ratio) for ratio in ratios)
    groups = [(len(layers), PagedLayers(1.0, int(_window(model)) - 1, 1), _WINDOW_BLOCK_TOKENS)]
    for ratio, count in ratios.items():
        overlaps = ratio < _OVERLAPPING_RATIO
        window = ratio * (2 if overlaps else 1)
        groups.append((count, PagedLayers(1.0, window - 1, 1), _STATE_BLOCK_TOKENS[overlaps]))
    most_layers = max(ratios.values())
    size = _least_padding([most_layers, *(count for count, _, _ in groups)])

    def reserved(context: Floats, batched_tokens: int) -> Floats:
        context = np.asarray(context, dtype=np.float64)
        blocks = np.ceil(context / _COMPRESSED_BLOCK_TOKENS)
        for count, kind, block_tokens in groups:
            blocks = blocks + np.ceil(count / size) * kind.blocks(context, batched_tokens, block_tokens)
        return np.asarray(blocks * pages * size)

    return reserved


def _window(model: ModelArchitecture) -> float:
    return float(cache_shape(model).window_tokens.max(initial=1))


def _compressed_pages(model: ModelArchitecture, ratio: int) -> float:
    """Bytes of the blocks of a layer: entries in FP8 with positions in 16 bits and a scale for 64, and the indexer's."""
    entries = _COMPRESSED_BLOCK_TOKENS // ratio
    key, rope = model.layers[0].key_dim, model.compressed_rope_dim
    entry = key - rope + 2 * rope + np.ceil((key - rope) / 64 / 8) * 8
    out = _aligned(entries * entry)
    return out + _aligned(entries * (model.indexer_dim + _SCALE_BYTES)) if ratio < _OVERLAPPING_RATIO else out


def _aligned(size: float) -> float:
    return float(np.ceil(size / _PAGE_ALIGNMENT) * _PAGE_ALIGNMENT)


def _least_padding(counts: list[int]) -> int:
    """The size of groups, from the first count on, to which ``counts`` are padded least; the larger one of equals."""
    return min(range(counts[0], max(counts) + 1), key=lambda size: (sum(-count % size for count in counts), -size))
