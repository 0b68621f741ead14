"""The tensor inventory of an architecture, as llama.cpp's GGUF files store it.

A tensor has a class (its role, which decides the type that a quantization recipe gives it), a layer (-1 for the whole
model), a row length ``row`` (ne0, the dimension that blocks run along) and a number of elements. Names follow
llama.cpp's ``gguf-py`` tensor map. One-dimensional tensors, routers and convolutions are never quantized.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from estimator.structure.architecture import ExtraParameters, FeedForward, Layer, Mixer, ModelArchitecture


class TensorClass(IntEnum):
    """Role of a tensor, as far as recipes tell roles apart."""

    KEPT = 0  # never quantized: norms, biases, routers, convolutions (F32)
    EMBEDDING = 1
    OUTPUT = 2
    ATTN_Q = 3
    ATTN_K = 4
    ATTN_V = 5  # also fused qkv and kv_b, which llama.cpp treats alike
    ATTN_OUTPUT = 6
    FFN_DOWN = 7
    FFN_UP = 8
    FFN_GATE = 9
    EXPERT_DOWN = 10
    EXPERT_UP = 11
    EXPERT_GATE = 12
    OTHER = 13
    PER_HEAD = 15  # one matrix a head (three dimensions): MLA's k_b and v_b
    HALF = 16  # never quantized, kept in 16 bits: projections of per-layer embeddings
    LOOKUP = 14  # per-layer embedding tables: read one row a token, kept in system memory


EXPERT_CLASSES = (TensorClass.EXPERT_DOWN, TensorClass.EXPERT_UP, TensorClass.EXPERT_GATE)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: class, layer, row length and elements."""

    cls: TensorClass
    layer: int
    row: int
    elements: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """All tensors of a model as aligned arrays of shape (tensors,)."""

    cls: NDArray[np.int64]
    layer: NDArray[np.int64]
    row: NDArray[np.int64]
    elements: NDArray[np.int64]

    @property
    def parameters(self) -> int:
        """Total elements."""
        return int(self.elements.sum())


def inventory(model: ModelArchitecture) -> Inventory:
    """The tensors of ``model`` in file order. Layers that are alike are laid out once."""
    hidden = model.hidden
    norm = hidden * (2 if model.norm_bias else 1)
    kinds: dict[Layer, NDArray[np.int64]] = {}
    parts = [_rows([Tensor(TensorClass.EMBEDDING, -1, model.embedding_dim, model.embedding_dim * model.vocab)])]
    for layer in model.layers:
        if layer not in kinds:
            kinds[layer] = _rows(_layer_tensors(model, layer, 0, norm) if layer.weights_of is None else ())
        parts.append(kinds[layer])
    layer_of = np.repeat(np.arange(-1, model.n_layers), [len(part) for part in parts])
    rest = _rows(_stored_mtp(model, norm)) if model.stored_mtp_layers else _rows([])
    last = [_kept(-1, norm)] if model.final_norms else []
    if not model.tied_embeddings:
        last.append(Tensor(TensorClass.OUTPUT, -1, model.embedding_dim, model.embedding_dim * model.vocab))
    for extra in model.extras:
        last += _extra_tensors(model, extra)
    if model.compress_ratios:
        last.append(_kept(-1, unstructured_parameters(model) % _attending(model)))
    table = np.concatenate([*parts, rest, _rows(last)])
    table[: len(layer_of), 1] = layer_of
    return Inventory(*np.ascontiguousarray(table.T))


def _rows(tensors: Iterable[Tensor]) -> NDArray[np.int64]:
    """Class, layer, row and elements of each tensor, shape (tensors, 4)."""
    rows = [(tensor.cls, tensor.layer, tensor.row, tensor.elements) for tensor in tensors]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _layer_tensors(model: ModelArchitecture, layer: Layer, index: int, norm: int) -> Iterator[Tensor]:
    for _ in range(layer.norms):
        yield _kept(index, norm)
    mixer = layer.mixer
    if mixer in (Mixer.STATE_SPACE, Mixer.PARALLEL):
        yield from _state_space(model, index)
    if mixer is Mixer.LINEAR:
        yield from _linear(model, layer, index)
    elif mixer is Mixer.SHORT_CONV:
        yield _matrix(TensorClass.OTHER, index, model.hidden, 3 * model.hidden)
        yield _kept(index, model.hidden * model.short_conv_kernel)
        yield _matrix(TensorClass.OTHER, index, model.hidden, model.hidden)
    elif (layer.has_attention or mixer is Mixer.CROSS) and not model.shares_attention:
        if model.compress_ratios:
            yield from _compressed(model, layer, index)
        elif model.latent is not None:
            yield from _latent(model, layer, index)
        else:
            yield from _grouped(model, layer, index)
    if layer.feed_forward is FeedForward.DENSE:
        yield from _dense(model, layer, index)
    elif layer.feed_forward is FeedForward.EXPERTS:
        yield from _experts(model, index)


def _stored_mtp(model: ModelArchitecture, norm: int) -> Iterator[Tensor]:
    """The multi-token-prediction layers that the file carries and the engine does not load (layer >= n_layers)."""
    left = model.mtp_parameters
    for extra in range(model.stored_mtp_layers):
        for tensor in _layer_tensors(model, model.layers[-1], model.n_layers + extra, norm):
            left -= tensor.elements
            yield tensor
    if left > 0:
        yield _matrix(TensorClass.OTHER, model.n_layers, model.hidden, left // model.hidden)


#: Architectures whose GGUF files fuse query, key and value into one tensor.
FUSED_QKV = frozenset({
    "BailingMoeV2ForCausalLM", "BloomForCausalLM", "ChatGLMModel", "CodeShellForCausalLM", "DbrxForCausalLM",
    "FalconForCausalLM", "GPT2LMHeadModel", "GPTBigCodeForCausalLM", "GPTNeoXForCausalLM", "JAISLMHeadModel",
    "MptForCausalLM", "OpenELMForCausalLM", "Phi3ForCausalLM", "Plamo2ForCausalLM", "Plamo3ForCausalLM",
    "QWenLMHeadModel", "SarvamMoEForCausalLM",
})  # fmt: skip
#: Architectures whose GGUF files fuse the two gates of a delta net into ``ssm_ba``.
FUSED_ALPHA_BETA = frozenset({"Qwen3NextForCausalLM"})
#: Architectures whose GGUF files fuse the gate and the up projection into ``ffn_up``.
FUSED_GATE_UP = frozenset({
    "ChatGLMModel", "Glm4ForCausalLM", "Glm4vForConditionalGeneration", "GlmForCausalLM", "Phi3ForCausalLM",
    "Plamo2ForCausalLM", "Plamo3ForCausalLM",
})  # fmt: skip


def _grouped(model: ModelArchitecture, layer: Layer, index: int) -> Iterator[Tensor]:
    """Grouped-query attention: q, k, v, output, with biases, head norms, gates and sinks as the model has them."""
    hidden = model.hidden
    query = layer.heads * layer.key_dim
    key = layer.kv_heads * layer.key_dim
    value = layer.kv_heads * layer.value_dim
    doubled = 2 if model.output_gate == "q_doubled" else 1
    if model.architecture in FUSED_QKV:
        yield _matrix(TensorClass.ATTN_V, index, hidden, query + key + value)
    else:
        if model.routes_attention:
            yield from _routed_projections(model, key, index)
        elif model.query_rank:
            yield _matrix(TensorClass.OTHER, index, hidden, model.query_rank)
            yield _kept(index, model.query_rank)
        if not model.routes_attention:
            yield _matrix(TensorClass.ATTN_Q, index, model.query_rank or hidden, query * doubled)
        if layer.has_key_projection:
            yield _matrix(TensorClass.ATTN_K, index, hidden, key)
        if layer.has_value_projection:
            yield _matrix(TensorClass.ATTN_V, index, hidden, value)
    output = layer.heads * layer.value_dim
    if not model.routes_attention:
        yield _matrix(TensorClass.ATTN_OUTPUT, index, output, hidden)
    if model.output_gate == "full":
        yield _matrix(TensorClass.OTHER, index, hidden, output)
    elif model.output_gate == "per_head":
        yield _matrix(TensorClass.OTHER, index, hidden, layer.heads)
    if model.qkv_bias:
        yield _kept(index, query * doubled + key + value)
    if model.output_bias:
        yield _kept(index, hidden)
    if model.qk_norm == "per_head":
        norms = (2 if layer.has_key_projection else 1) * (2 if model.norm_bias else 1)
        yield _kept(index, norms * layer.key_dim)
    elif model.qk_norm == "full":
        yield _kept(index, query + key)
    if model.sinks and (model.sinks != "swa_only_bias" or layer.window is not None):
        yield _kept(index, layer.heads)


def _routed_projections(model: ModelArchitecture, key: int, index: int) -> Iterator[Tensor]:
    """Query and output projections of each expert, and the router (mixture of attention heads, arXiv:2210.05144)."""
    experts = model.experts
    assert experts is not None
    size = experts.count * model.hidden * key
    yield Tensor(TensorClass.EXPERT_UP, index, model.hidden, size)
    yield Tensor(TensorClass.EXPERT_DOWN, index, key, size)
    yield _kept(index, model.hidden * experts.count)


def _latent(model: ModelArchitecture, layer: Layer, index: int) -> Iterator[Tensor]:
    """Multi-head latent attention; llama.cpp splits kv_b into per-head k_b and v_b (DeepSeek-V2, arXiv:2405.04434)."""
    mla = layer.latent
    assert mla is not None
    hidden, heads = model.hidden, layer.heads
    query = heads * (mla.nope_dim + mla.rope_dim)
    if mla.q_rank:
        yield _matrix(TensorClass.OTHER, index, hidden, mla.q_rank)
        yield _kept(index, mla.q_rank)
        yield _matrix(TensorClass.OTHER, index, mla.q_rank, query)
    else:
        yield _matrix(TensorClass.ATTN_Q, index, hidden, query)
    yield _matrix(TensorClass.OTHER, index, hidden, mla.kv_rank + mla.rope_dim)
    yield _kept(index, mla.kv_rank)
    if model.architecture == "MiniCPM3ForCausalLM":
        yield _matrix(TensorClass.ATTN_V, index, mla.kv_rank, heads * (mla.nope_dim + mla.value_dim))
    else:
        yield _matrix(TensorClass.PER_HEAD, index, mla.nope_dim, mla.kv_rank * heads)
        yield _matrix(TensorClass.PER_HEAD, index, mla.kv_rank, mla.value_dim * heads)
    yield _matrix(TensorClass.ATTN_OUTPUT, index, heads * mla.value_dim, hidden)
    if model.qkv_bias:
        yield _kept(index, (mla.q_rank or 0) + mla.kv_rank + mla.rope_dim)
    if model.output_bias:
        yield _kept(index, hidden)
    if model.output_gate == "full":
        yield _matrix(TensorClass.OTHER, index, hidden, heads * mla.value_dim)
    elif model.output_gate == "per_head":
        yield _matrix(TensorClass.OTHER, index, hidden, heads)
    if model.indexer_heads and layer.has_indexer:
        yield _matrix(TensorClass.OTHER, index, mla.q_rank or hidden, model.indexer_heads * model.indexer_dim)
        yield _matrix(TensorClass.OTHER, index, hidden, model.indexer_dim)
        yield _matrix(TensorClass.OTHER, index, hidden, model.indexer_heads)
        yield _kept(index, 2 * model.indexer_dim)


def _compressed(model: ModelArchitecture, layer: Layer, index: int) -> Iterator[Tensor]:
    """Compressed shared-KV attention: structure known by its totals only, so it is one tensor of the right size."""
    share = unstructured_parameters(model) // _attending(model)
    yield _matrix(TensorClass.OTHER, index, model.hidden, share // model.hidden)
    yield _kept(index, share % model.hidden)


def _attending(model: ModelArchitecture) -> int:
    return sum(1 for layer in model.layers if layer.has_attention)


@lru_cache(maxsize=64)
def unstructured_parameters(model: ModelArchitecture) -> int:
    """Parameters that the rest of the structure does not account for."""
    experts = model.experts
    known = model.hidden * model.vocab * (1 if model.tied_embeddings else 2) + model.hidden
    for layer in model.layers:
        known += layer.norms * model.hidden
        if layer.feed_forward is FeedForward.EXPERTS and experts is not None:
            known += sum(t.elements for t in _experts(model, 0))
        elif layer.feed_forward is FeedForward.DENSE:
            known += sum(t.elements for t in _dense(model, layer, 0))
    return model.total_parameters - known - sum(extra.elements for extra in model.extras)


def _linear(model: ModelArchitecture, layer: Layer, index: int) -> Iterator[Tensor]:
    linear = model.linear
    assert linear is not None
    hidden = model.hidden
    key = linear.key_heads * linear.key_dim
    value = linear.value_heads * linear.value_dim
    if linear.kind == "GatedDeltaNet":
        fused = 2 if model.architecture in FUSED_ALPHA_BETA else 1
        yield _matrix(TensorClass.ATTN_V, index, hidden, 2 * key + value)
        yield _matrix(TensorClass.OTHER, index, hidden, value)  # gate
        for _ in range(2 // fused):
            yield _matrix(TensorClass.OTHER, index, hidden, linear.value_heads * fused)  # alpha, beta
        yield _kept(index, (2 * key + value) * linear.conv_kernel)
        yield _kept(index, 2 * linear.value_heads + linear.value_dim)  # a, dt, norm
        yield _matrix(TensorClass.OTHER, index, value, hidden)
    elif linear.kind == "KDA":
        for cls in (TensorClass.ATTN_Q, TensorClass.ATTN_K, TensorClass.ATTN_V):
            yield _matrix(cls, index, hidden, value)
        yield _kept(index, 3 * value * linear.conv_kernel)
        for full_rank in (linear.full_rank_decay, linear.full_rank_gate):
            if full_rank:
                yield _matrix(TensorClass.OTHER, index, hidden, value)
            else:
                yield _matrix(TensorClass.OTHER, index, hidden, linear.value_dim)
                yield _matrix(TensorClass.OTHER, index, linear.value_dim, value)
        yield _matrix(TensorClass.OTHER, index, hidden, linear.value_heads)  # beta
        yield _kept(index, linear.value_heads + value + linear.value_dim)  # a, dt, norm
        yield _matrix(TensorClass.ATTN_OUTPUT, index, value, hidden)
    elif (
        linear.kind == "RG-LRU"
    ):  # two inputs, convolution, recurrence, gates a head, output (Griffin, arXiv:2402.19427)
        yield _matrix(TensorClass.OTHER, index, hidden, 2 * value)
        yield _kept(index, (linear.conv_kernel + 6) * value + hidden)
        yield _matrix(TensorClass.PER_HEAD, index, linear.value_dim, 2 * value)
        yield _matrix(TensorClass.OTHER, index, value, hidden)
    elif linear.kind.startswith("RWKV"):  # receptance, key, value, gate, output; receptance of the channel mix
        yield _matrix(TensorClass.ATTN_Q, index, hidden, value)
        for cls in (TensorClass.ATTN_K, TensorClass.ATTN_V):
            yield _matrix(cls, index, hidden, key)
        if linear.kind in ("RWKV5", "RWKV6"):
            yield _matrix(TensorClass.OTHER, index, hidden, value)
        yield _matrix(TensorClass.ATTN_OUTPUT, index, value, hidden)
        if linear.kind != "RWKV7" and not model.gated_mlp:
            yield _matrix(TensorClass.OTHER, index, hidden, hidden)
    else:  # lightning attention: fused qkv, output gate, norm (MiniMax-01, arXiv:2501.08313)
        yield _matrix(TensorClass.ATTN_V, index, hidden, 3 * value)
        yield _matrix(TensorClass.OTHER, index, hidden, value)
        yield _kept(index, value)
        yield _matrix(TensorClass.ATTN_OUTPUT, index, value, hidden)


def _state_space(model: ModelArchitecture, index: int) -> Iterator[Tensor]:
    ssm = model.state_space
    assert ssm is not None
    hidden, inner = model.hidden, ssm.inner_dim
    if ssm.version == 1:
        yield _matrix(TensorClass.OTHER, index, hidden, 2 * inner)
        yield _kept(index, inner * ssm.conv_kernel + (0 if ssm.heads else inner))
        yield _matrix(TensorClass.OTHER, index, inner, ssm.dt_rank + 2 * ssm.state_dim)
        yield _matrix(TensorClass.OTHER, index, ssm.dt_rank, ssm.heads or inner)
        yield _kept(index, 3 * ssm.heads or inner * ssm.state_dim + 2 * inner)  # a, d, dt bias
        if ssm.heads or model.architecture == "JambaForCausalLM":
            yield _kept(index, ssm.dt_rank + 2 * ssm.state_dim)
    else:
        groups = 2 * ssm.groups * ssm.state_dim
        yield _matrix(TensorClass.OTHER, index, hidden, 2 * inner + groups + ssm.heads)
        yield _kept(index, (inner + groups) * (ssm.conv_kernel + 1))
        yield _kept(index, 3 * ssm.heads + (inner if ssm.gated_norm else 0))  # a, d, dt bias, norm
    yield _matrix(TensorClass.OTHER, index, inner, hidden)


def _dense(model: ModelArchitecture, layer: Layer, index: int) -> Iterator[Tensor]:
    hidden, width = model.hidden, layer.ffn_width
    if model.gated_mlp and model.architecture in FUSED_GATE_UP:
        yield _matrix(TensorClass.FFN_UP, index, hidden, 2 * width)
    else:
        if model.gated_mlp:
            yield _matrix(TensorClass.FFN_GATE, index, hidden, width)
        yield _matrix(TensorClass.FFN_UP, index, hidden, width)
    yield _matrix(TensorClass.FFN_DOWN, index, width, hidden)
    if model.mlp_bias:
        yield _kept(index, (2 if model.gated_mlp else 1) * width + hidden)


def _experts(model: ModelArchitecture, index: int) -> Iterator[Tensor]:
    experts = model.experts
    assert experts is not None
    hidden = model.hidden
    routed = experts.latent_dim or hidden
    yield _kept(index, hidden * experts.count + (experts.count if experts.router_bias else 0))
    if experts.latent_dim:
        yield _matrix(TensorClass.OTHER, index, hidden, experts.latent_dim)
        yield _matrix(TensorClass.OTHER, index, experts.latent_dim, hidden)
    for count, width in ((experts.count, experts.width), (experts.grouped_count, experts.grouped_width)):
        if size := count * routed * width:
            if model.gated_mlp:
                yield Tensor(TensorClass.EXPERT_GATE, index, routed, size)
            yield Tensor(TensorClass.EXPERT_UP, index, routed, size)
            yield Tensor(TensorClass.EXPERT_DOWN, index, width, size)
    if experts.bias_elements:
        yield _kept(index, experts.bias_elements * experts.count)
    for width in (experts.shared_width, experts.dense_parallel_width):
        if width:
            if model.gated_mlp:
                yield _matrix(TensorClass.FFN_GATE, index, hidden, width)
            yield _matrix(TensorClass.FFN_UP, index, hidden, width)
            yield _matrix(TensorClass.FFN_DOWN, index, width, hidden)
    if experts.shared_gate:
        yield _kept(index, hidden)


def _extra_tensors(model: ModelArchitecture, extra: ExtraParameters) -> Iterator[Tensor]:
    if extra.lookup_row:
        yield Tensor(TensorClass.LOOKUP, -1, extra.lookup_row, extra.elements)
    elif extra.elements >= model.hidden * 1024:
        yield Tensor(TensorClass.HALF, -1, model.hidden, extra.elements)
    else:
        yield _kept(-1, extra.elements)


def _matrix(cls: TensorClass, layer: int, row: int, rows: int) -> Tensor:
    return Tensor(cls, layer, row, row * rows)


def _kept(layer: int, elements: int) -> Tensor:
    return Tensor(TensorClass.KEPT, layer, max(elements, 1), elements)
