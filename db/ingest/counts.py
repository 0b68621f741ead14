"""Parameters of a structure by part, as a model file lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from estimator.structure.architecture import FeedForward, ModelArchitecture, architecture_from_facts
from estimator.structure.tensors import EXPERT_CLASSES, TensorClass, inventory

_FEED_FORWARD = (TensorClass.FFN_DOWN, TensorClass.FFN_UP, TensorClass.FFN_GATE)


def counts_by_part(facts: Mapping[str, Any]) -> dict[str, int]:
    """``params_computed`` of a model file from the tensor inventory of its facts; the parts add up to ``text_total``."""
    model = architecture_from_facts(facts)
    tensors = inventory(model)
    loaded = tensors.layer < model.n_layers

    def total(*classes: TensorClass, layers: set[int] | None = None) -> int:
        chosen = loaded & _is_in(tensors.cls, set(map(int, classes)))
        if layers is not None:
            chosen &= _is_in(tensors.layer, layers)
        return int(tensors.elements[chosen].sum())

    expert_layers = {i for i, layer in enumerate(model.layers) if layer.feed_forward is FeedForward.EXPERTS}
    text, active = (int(facts["params_computed"][key]) for key in ("text_total", "text_active"))
    embedding = total(TensorClass.EMBEDDING)
    parts = {
        "embedding": embedding,
        "lm_head": total(TensorClass.OUTPUT),
        "dense_mlp": total(*_FEED_FORWARD, layers=set(range(model.n_layers)) - expert_layers),
        "routed_experts": total(*EXPERT_CLASSES),
        "shared_experts": total(*_FEED_FORWARD, layers=expert_layers),
        "router": 0 if model.experts is None else model.hidden * model.experts.count * len(expert_layers),
        "norms": _norms(model),
        "other": sum(extra.elements for extra in model.extras),
    }
    parts["mixer"] = text - sum(parts.values())
    per_token = active if model.tied_embeddings else active - embedding
    return {"text_total": text, "text_active": active, "compute_per_token": per_token, **parts}


def _is_in(values: Any, wanted: set[int]) -> Any:
    return np.isin(values, sorted(wanted))


def _norms(model: ModelArchitecture) -> int:
    size = model.hidden * (2 if model.norm_bias else 1)
    return size * (sum(layer.norms for layer in model.layers) + model.final_norms)
