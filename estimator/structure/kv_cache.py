"""KV cache and recurrent state: bytes by layer kind, with the engine's padding.

Rules read from llama.cpp's cache code and checked against its own allocator: full attention stores every cell, sliding
and chunked layers a window, MLA one latent row (V is a view of K), linear and state-space layers a constant F32 state
per sequence, layers that share KV nothing. Cells are padded to 256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.structure.architecture import Layer, Mixer, ModelArchitecture
from estimator.types import CacheType

#: Bytes per element of the cache types: block bytes over block elements.
CACHE_BYTES: dict[CacheType, float] = {
    CacheType.F32: 4.0, CacheType.F16: 2.0, CacheType.BF16: 2.0, CacheType.Q8_0: 34 / 32, CacheType.Q5_1: 24 / 32,
    CacheType.Q5_0: 22 / 32, CacheType.Q4_1: 20 / 32, CacheType.Q4_0: 18 / 32, CacheType.IQ4_NL: 18 / 32,
    CacheType.FP8: 1.0,
}  # fmt: skip
CELL_PADDING = 256
#: Widest heads of FlashAttention 2 and FlashInfer; servers read wider ones in a general kernel.
MOST_HEAD_DIM = 256
#: Times that a processor reads or writes the state of a linear layer per token: decay, two products with it, its update,
#: and copies from and to the cache, each on its own. With this many, Qwen 3.5 and 3.6 decode alike however many of their
#: layers are in system memory. State-space layers have one fused operation.
PROCESSOR_STATE_PASSES = 12.0


def narrower(keys: CacheType, values: CacheType | None) -> CacheType:
    """The cache type of keys or values (None: the same) with fewer bytes."""
    return keys if values is None or CACHE_BYTES[keys] <= CACHE_BYTES[values] else values


@dataclass(frozen=True, slots=True)
class CacheShape:
    """Cache of each layer; arrays of shape (layers,).

    ``full_elements`` per cell of the whole context, ``window_elements`` per cell of ``window_tokens``, ``state_bytes``
    per sequence whatever the context, ``linear_bytes`` those of linear layers.
    ``value_share`` of the elements are values, the others keys: 0 where values are a
    view of the keys.
    """

    full_elements: NDArray[np.float64]
    window_elements: NDArray[np.float64]
    window_tokens: NDArray[np.int64]
    state_bytes: NDArray[np.float64]
    linear_bytes: NDArray[np.float64]
    value_share: NDArray[np.float64]

    def element_bytes(self, cache: CacheType, values: CacheType | None = None) -> NDArray[np.float64]:
        """Bytes of an element of each layer, keys and values averaged, shape (layers,)."""
        key, value = CACHE_BYTES[cache], CACHE_BYTES[cache if values is None else values]
        return np.asarray(key + (value - key) * self.value_share)

    def bytes_per_layer(
        self,
        context_tokens: Any,
        cache: CacheType,
        *,
        values: CacheType | None = None,
        sequences: int = 1,
        micro_batch: int = 512,
        unified: bool = False,
    ) -> NDArray[np.float64]:
        """Allocated bytes, shape (contexts, layers), for ``context_tokens`` (contexts,) per sequence.

        ``values``: cache type of the values (None: that of the keys). ``unified``: all sequences share one cache
        (llama-server's ``--kv-unified``, and its default where the number of slots is not given), instead of one each.
        """
        size, context = self.element_bytes(cache, values), np.atleast_1d(np.asarray(context_tokens, dtype=np.float64))
        shared, caches = (sequences, 1) if unified else (1, sequences)
        cells = pad(context * shared)[:, None]
        window = np.minimum(cells, pad(self.window_tokens * shared + micro_batch))
        kept = (self.full_elements * cells + self.window_elements * window) * size * caches
        return np.asarray(kept + self.state_bytes * sequences)

    def read_per_layer(
        self, depth_tokens: Any, cache: CacheType, values: CacheType | None = None
    ) -> NDArray[np.float64]:
        """Bytes that one decoded token reads at ``depth_tokens`` (depths,), shape (depths, layers)."""
        size = self.element_bytes(cache, values)
        depth = np.atleast_1d(np.asarray(depth_tokens, dtype=np.float64))[:, None]
        window = np.minimum(depth, self.window_tokens)
        return np.asarray((self.full_elements * depth + self.window_elements * window) * size + self.state_bytes)


def passed_again(linear_bytes: Any) -> Any:
    """Bytes that a processor reads and writes per token beside those that other devices read of a linear layer's state."""
    return linear_bytes * (PROCESSOR_STATE_PASSES - 1.0)


def pad(cells: Any, multiple: int = CELL_PADDING) -> NDArray[np.float64]:
    """``cells`` rounded up to a multiple."""
    return np.asarray(np.ceil(np.asarray(cells, dtype=np.float64) / multiple) * multiple)


def cache_shape(model: ModelArchitecture) -> CacheShape:
    """Cache and state of every layer of ``model``."""
    rows = np.array([_layer_shape(model, index, layer) for index, layer in enumerate(model.layers)])
    linear = np.array([layer.mixer is Mixer.LINEAR for layer in model.layers])
    return CacheShape(rows[:, 0], rows[:, 1], rows[:, 2].astype(np.int64), rows[:, 3], rows[:, 3] * linear, rows[:, 4])


def _layer_shape(model: ModelArchitecture, index: int, layer: Layer) -> tuple[float, float, float, float, float]:
    state = _state_bytes(model, layer)
    if not layer.has_attention or layer.shares_kv:
        return 0.0, 0.0, 0.0, state, 0.0
    if model.compress_ratios:
        ratio = model.compress_ratios[index] if index < len(model.compress_ratios) else 0
        indexed = model.indexer_dim if ratio and ratio < 16 else 0
        return (layer.key_dim + indexed) / ratio if ratio else 0.0, float(layer.key_dim), 128.0, state, 0.0
    if model.cached_latent is not None and layer.latent is not None:
        row = float(layer.latent.kv_rank + layer.latent.rope_dim)
        return (row, 0.0, 0.0, state, 0.0) if layer.window is None else (0.0, row, float(layer.window), state, 0.0)
    elements = float(layer.kv_heads * (layer.key_dim + layer.value_dim))
    values = layer.value_dim / (layer.key_dim + layer.value_dim)
    if layer.window is not None:
        return 0.0, elements, float(layer.window), state, values
    return elements, 0.0, 0.0, state, values


def _state_bytes(model: ModelArchitecture, layer: Layer) -> float:
    """F32 convolution and recurrent state of one sequence in one layer, bytes."""
    if layer.mixer is Mixer.LINEAR:
        linear = model.linear
        assert linear is not None
        key, value = linear.key_heads * linear.key_dim, linear.value_heads * linear.value_dim
        if linear.kind.startswith("RWKV"):
            # Shifted tokens, and a matrix a head; the first kinds keep three numbers a channel in its place.
            return 4.0 * (
                linear.shifted_tokens * model.hidden + value * (3 if linear.kind == "RWKV4" else linear.key_dim)
            )
        if linear.kind == "RG-LRU":
            return 4.0 * linear.conv_kernel * value
        if linear.kind == "KDA":
            conv = 3 * (linear.conv_kernel - 1) * value
        else:
            conv = max(linear.conv_kernel - 1, 0) * (2 * key + value)
        return 4.0 * (conv + value * linear.key_dim)
    if layer.mixer in (Mixer.STATE_SPACE, Mixer.PARALLEL):
        ssm = model.state_space
        assert ssm is not None
        conv = (ssm.conv_kernel - 1) * (ssm.inner_dim + 2 * ssm.groups * ssm.state_dim)
        return 4.0 * (conv + ssm.state_dim * ssm.inner_dim)
    if layer.mixer is Mixer.SHORT_CONV:
        return 4.0 * (model.short_conv_kernel - 1) * model.hidden
    return 0.0


def kv_heads(model: ModelArchitecture) -> int:
    """Heads over which a cache can be cut; latent attention keeps one row for all of them."""
    return 1 if model.cached_latent else max([1, *(layer.kv_heads for layer in model.layers)])


def wide_kv_heads(model: ModelArchitecture) -> int:
    """Heads that keep keys and values of the whole context wider than servers' kernels for long contexts take; 0 for none."""
    wide = (layer for layer in model.layers if layer.has_attention and layer.window is None and not layer.shares_kv)
    return max((layer.kv_heads for layer in wide if layer.key_dim > MOST_HEAD_DIM), default=0)
