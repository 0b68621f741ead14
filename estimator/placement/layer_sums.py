"""Facts of one model for placement: running sums over its layers, so that any split is one look-up.

Layers leave the GPU from the first one on (llama.cpp's ``-ngl k`` keeps the last k - 1 layers and the output head), and
experts leave it from the first layer on (``--n-cpu-moe m``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.memo import kept_within
from estimator.structure.architecture import FeedForward, ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.structure.kv_cache import CacheShape, cache_shape
from estimator.structure.tensors import EXPERT_CLASSES, inventory
from estimator.structure.weights import WeightTable, weight_table
from estimator.types import Quant, QuantFormat

#: Inputs of an expert that MXFP4 kernels of servers work on together.
_MXFP4_PART = 256


def last(values: NDArray[Any]) -> Floats:
    """Sums over the last k entries of the last axis, k = 0..n, shape (..., n + 1)."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values[..., ::-1], axis=-1, out=sums[..., 1:])
    return sums


def first(values: NDArray[Any]) -> Floats:
    """Sums over the first m entries of the last axis, m = 0..n, shape (..., n + 1)."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return sums


@dataclass(frozen=True, slots=True)
class ModelTables:
    """Weight sums of one model for a list of quants; Q quants, L layers, all bytes.

    ``device_layers[q, k]``: weights of the last k layers. ``host_experts[q, m]``: experts of the first m layers.
    ``active_*``: the same, of what one decoded token reads; weights that several layers use count with the first of them,
    as often as they are read. ``device``: everything that full offload puts on the GPU, ``served_padding`` what a server
    of checkpoints adds to it. ``passes``: bytes
    of all layers as they are read over those that are stored.
    """

    weights: WeightTable
    shape: CacheShape
    device: Floats
    table: Floats
    device_layers: Floats
    active_layers: Floats
    host_experts: Floats
    active_experts: Floats
    active: Floats
    routed_active: Floats
    last_routed_active: Floats
    served_padding: Floats
    largest_tensor: Floats
    bits_per_weight: Floats
    expert_layers_first: Floats
    passes: Floats
    attention_flops_per_token_pair: float
    flops_per_token: float


def model_tables(model: ModelArchitecture, quants: Sequence[Quant]) -> ModelTables:
    """Running sums of ``model`` for ``quants``; kept for the next call with the same arguments."""
    return _model_tables(model, tuple(quants))


def forget_models() -> None:
    """Drop the sums that are kept for a next call: for whoever evaluates each model once, and many of them."""
    _model_tables.clear()


@kept_within(48 << 20)
def _model_tables(model: ModelArchitecture, quants: tuple[Quant, ...]) -> ModelTables:
    weights = weight_table(model, quants)
    layers, experts = weights.layers.astype(np.float64), weights.experts.astype(np.float64)
    share, source = weights.expert_share, weight_sources(model)
    stored, times = layers + experts, np.bincount(source, minlength=model.n_layers)
    read, routed = layers * times, experts * times * share
    output = weights.output.astype(np.float64)
    is_expert = np.array([layer.feed_forward is FeedForward.EXPERTS for layer in model.layers], dtype=np.float64)
    return ModelTables(
        weights=weights,
        shape=cache_shape(model),
        device=layers.sum(1) + experts.sum(1) + output,
        table=(weights.embedding + weights.lookup).astype(np.float64),
        device_layers=last(stored),
        active_layers=last(read + routed),
        host_experts=first(experts),
        active_experts=first(routed),
        active=read.sum(1) + routed.sum(1) + output,
        routed_active=routed.sum(1),
        last_routed_active=last(routed),
        served_padding=experts.sum(1) * np.array([_padding(model, quant) for quant in quants]),
        largest_tensor=weights.largest_tensor.astype(np.float64),
        bits_per_weight=weights.bits_per_weight,
        expert_layers_first=first(is_expert),
        passes=(stored * times).sum(1) / np.maximum(stored.sum(1), 1.0),
        attention_flops_per_token_pair=_attention_flops(model),
        flops_per_token=2.0 * _multiplied_parameters(model),
    )


def weight_sources(model: ModelArchitecture) -> NDArray[np.intp]:
    """Number of the layer whose weights each layer uses, shape (layers,)."""
    own = ((index, layer.weights_of) for index, layer in enumerate(model.layers))
    return np.array([index if source is None else source for index, source in own], dtype=np.intp)


def _padding(model: ModelArchitecture, quant: Quant) -> float:
    """Share by which a server's kernels pad MXFP4 experts: inputs in whole parts of 256 (vLLM, quantization/mxfp4.py).

    gpt-oss 120B takes 64.38 GiB on an H100 for a checkpoint of 60.8 (vllm-project/vllm#33155); Marlin, for older devices,
    pads outputs too.
    """
    if quant.format not in (QuantFormat.MXFP4, QuantFormat.FP8_FP4):
        return 0.0
    return -model.hidden % _MXFP4_PART / model.hidden


def _attention_flops(model: ModelArchitecture) -> float:
    """FLOPs per (query token, earlier token) pair over all layers that attend to the whole context: QK and PV.

    Latent rows are multiplied as they are stored (llama.cpp folds the up-projections into query and output); of a
    compressed context each layer sees one entry for so many tokens, and none but its window where it keeps none.
    """
    total, ratios = 0.0, model.compress_ratios
    for index, layer in enumerate(model.layers):
        if not layer.has_attention or layer.window is not None:
            continue
        width = float(layer.key_dim + layer.value_dim)
        if ratios:
            ratio = ratios[index] if index < len(ratios) else 0
            width = width / ratio if ratio else 0.0
        elif model.cached_latent is not None and layer.latent is not None:
            width = 2 * layer.latent.kv_rank + layer.latent.rope_dim
        total += 2.0 * layer.heads * width
    return total


def _multiplied_parameters(model: ModelArchitecture) -> float:
    """Parameters in a matrix product for one token: the active ones, as often as they are used, without an input table of
    its own."""
    table = 0 if model.tied_embeddings else model.hidden * model.vocab
    return float(max(model.active_parameters + _used_again(model) - table, 1))


def _used_again(model: ModelArchitecture) -> float:
    """Active parameters of the layers that use the weights of earlier ones."""
    again = [layer.weights_of for layer in model.layers if layer.weights_of is not None]
    if not again:
        return 0.0
    tensors, experts = inventory(model), model.experts
    share = experts.per_token / experts.count if experts else 1.0
    active = tensors.elements * np.where(np.isin(tensors.cls, EXPERT_CLASSES), share, 1.0)
    by_layer = np.bincount(tensors.layer + 1, weights=active, minlength=model.n_layers + 1)[1:]
    return float(by_layer[again].sum())
