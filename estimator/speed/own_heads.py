"""Drafting with the model's own heads for multi-token prediction (MTP)."""

from __future__ import annotations

import numpy as np

from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables
from estimator.speed.speculative import Draft, DraftLoad
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import CacheShape, cache_shape
from estimator.types import CacheType


def own_heads_load(model: ModelArchitecture, tables: ModelTables, need: Needs, draft: Draft) -> DraftLoad:
    """Memory and pace of the heads of ``model``: weights, the cache of one layer, buffers, and states to return to.

    llama.cpp gives the heads a context of their own with an F16 cache of their layer, and keeps ``tokens`` snapshots of
    each recurrent state (load logs: 128 MiB at 32,768 tokens of Qwen3.6 27B, and states four times with three drafted).
    The heads read their layer and the output head of the model for each token that they draft.
    """
    situation = need.situations[0]
    shape = cache_shape(model)
    last = int(np.flatnonzero(shape.full_elements + shape.window_elements)[-1])
    layer = CacheShape(*(getattr(shape, name)[last : last + 1] for name in CacheShape.__slots__))
    kept = float(
        layer.bytes_per_layer(
            situation.context_tokens,
            CacheType.F16,
            sequences=situation.batch,
            micro_batch=situation.micro_batch_tokens,
        ).sum()
    )
    weights = model.mtp_parameters * float(tables.bits_per_weight[0]) / 8.0
    snapshots = draft.tokens * float(shape.state_bytes.sum()) * situation.batch
    # A token reads only the experts of a layer that it visits.
    visited = float(tables.active_layers[0, 1] / max(tables.device_layers[0, 1], 1.0))
    output = float(tables.active[0] - tables.active_layers[0, -1])
    return DraftLoad(
        bytes=int(np.ceil(weights + kept + float(need.working[0]) + snapshots)),
        bytes_per_token=float(layer.full_elements.sum()) * 2.0,
        token_s=None,
        prefill_s=0.0,
        token_share=(weights * visited + output) / float(tables.active[0]),
    )
