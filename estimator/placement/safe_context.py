"""The longest context that fits beside a placement."""

from __future__ import annotations

from typing import Any

import numpy as np

from estimator.placement.demand import UNKNOWN_CONTEXT_LIMIT, Needs
from estimator.placement.layer_split import Parts
from estimator.placement.pairs import Pairs
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.structure.kv_cache import pad


def safe_context(
    model: ModelArchitecture,
    need: Needs,
    s: Ints,
    kept: Any,
    room: Floats,
    vllm: Flags,
    offloads: Flags | None = None,
    copies: Floats | None = None,
) -> Floats:
    """The longest context that fits with everything on the GPU, tokens, in whole cache pages of 256; ``room`` is free bytes.

    Under an offload it is the context of the placement: a longer one would move more weights and be slower.
    """
    context = np.array([float(situation.context_tokens) for situation in need.situations])
    limit = float(model.context_tokens or UNKNOWN_CONTEXT_LIMIT)
    if offloads is not None and offloads.all():
        return np.asarray(np.minimum(context, limit)[s])
    full, window, fixed = need.full_last[s, kept], need.window_last[s, kept], need.fixed_last[s, kept]
    mask = need.mask_slope[s] * (full > 0)
    if vllm.any():
        mask = mask * ~vllm
    reserve = pad(need.window_cells[s])
    held_bytes = held_cache(need.kv_last[s, kept], fixed, copies)
    if copies is not None:
        full, window = full * copies, window * copies
    free = room + (held_bytes + mask * pad(context[s]) - fixed)
    beyond = (free - window * reserve) / np.maximum(full + mask, 1e-9)
    if (window > 0).any():
        within = free / np.maximum(full + window + mask, 1e-9)
        beyond = np.where(beyond >= reserve, beyond, np.minimum(within, reserve))
    tokens = np.floor(beyond / 256.0) * 256.0
    if offloads is not None:
        tokens = np.where(offloads, 0.0, tokens)
    return np.asarray(np.minimum(np.maximum(tokens, context[s]), limit))


def safe_context_on_cards(pairs: Pairs, p: Ints, s: Ints, pooled: Floats) -> Floats:
    """The longest context of cells that cards hold whole; ``pooled`` is the context with their memory in one pool."""
    parts = Parts.of(pairs.tables, pairs.need, pairs.q[p], s)
    return np.minimum(parts.longest_context(pairs.rig.free(pairs.need, p, s), pooled), pooled)


def held_cache(cache: Floats, fixed: Floats, copies: Floats | None) -> Floats:
    """Bytes that all devices hold of a cache of which each key and value is kept ``copies`` times, its state once."""
    return cache if copies is None else fixed + (cache - fixed) * copies
