"""The structure of a language model: typed layers, from the facts of its configuration.

Facts use the keys of a catalog model file (the fields of the model's ``config.json``, renamed once). The layer pattern
has one letter a layer: F full attention, S sliding window, C chunked, I indexed (sparse), L linear, M state space
(Mamba), P attention and state space in parallel, V short convolution, X cross attention, N no mixer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from estimator.structure.files import PublishedFile, published_files
from estimator.structure.mixers import (
    LatentAttention,
    LinearAttention,
    StateSpace,
    latent_attention,
    linear_attention,
    state_space,
)
from estimator.structure.training import Training, training_of
from estimator.types import EstimatorError, MissingFactError


class Mixer(StrEnum):
    """The way in which a layer mixes tokens; the value is its letter in the layer pattern."""

    FULL = "F"
    SLIDING = "S"
    CHUNKED = "C"
    INDEXED = "I"
    LINEAR = "L"
    STATE_SPACE = "M"
    PARALLEL = "P"
    SHORT_CONV = "V"
    CROSS = "X"
    NONE = "N"


class FeedForward(StrEnum):
    """Kind of a layer's feed-forward part; the value is its letter in the MLP pattern."""

    DENSE = "D"
    EXPERTS = "E"
    NONE = "N"


ATTENTION_MIXERS = frozenset({Mixer.FULL, Mixer.SLIDING, Mixer.CHUNKED, Mixer.INDEXED, Mixer.PARALLEL})
#: Architectures whose GGUF files carry the MTP layers, which llama.cpp skips at load (glm4-moe.cpp, glm5next.cpp; 340.98 GB
#: of unsloth/GLM-5.3-Flash-GGUF in Q8_0 are those of 320.8 B parameters, 7.4 B of them in the MTP layer).
MTP_STORED_ARCHITECTURES = frozenset({"Glm4MoeForCausalLM", "Glm5NextForConditionalGeneration"})
WINDOWED_MIXERS = frozenset({Mixer.SLIDING, Mixer.CHUNKED})
#: Architectures whose window llama.cpp ignores: it keeps every cell (src/models/llama.cpp, starcoder2.cpp, phi3.cpp).
WINDOW_NOT_READ = frozenset(f"{name}ForCausalLM" for name in ("Mistral", "Mixtral", "Phi3", "PhiMoE", "Starcoder2"))
#: Architectures with latent attention whose engines keep the keys and values of every head (src/models/minicpm3.cpp and
#: plm.cpp of llama.cpp, minicpm3.py of vLLM).
LATENT_NOT_CACHED = frozenset({"MiniCPM3ForCausalLM", "PLMForCausalLM"})
#: A layer with hyper-connections mixes its residual streams before and after each part: llama.cpp's graph of DeepSeek V4
#: has 8,000 nodes for 43 layers with the mixing fused (ggml-org/llama.cpp#25585), that of a Llama some 1,000 for 32.
HYPER_CONNECTED_LAUNCHES = 6.0


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture-of-experts feed-forward part; ``latent_dim`` is the routed experts' input width when projected. Each of the
    ``grouped_count`` narrow experts serves a group of the others (arXiv:2508.07785)."""

    count: int
    per_token: int
    width: int
    shared_width: int
    shared_gate: bool
    router_bias: bool
    latent_dim: int | None
    bias_elements: int
    dense_parallel_width: int
    grouped_count: int
    grouped_width: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer; heads and dimensions in elements, ``window`` in tokens (None: the whole context).

    ``latent`` is its latent attention, which may differ from layer to layer. ``weights_of``: number of the earlier layer
    whose weights it uses again (models that loop over their layers); None: it has its own.
    """

    mixer: Mixer
    feed_forward: FeedForward
    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int
    window: int | None
    shares_kv: bool
    has_key_projection: bool
    has_value_projection: bool
    ffn_width: int
    norms: int
    has_indexer: bool
    latent: LatentAttention | None
    weights_of: int | None

    @property
    def has_attention(self) -> bool:
        """Whether the layer attends to earlier tokens with keys and values."""
        return self.mixer in ATTENTION_MIXERS


@dataclass(frozen=True, slots=True)
class ExtraParameters:
    """Parameters outside the common structure. A lookup table is read a row of ``lookup_row`` elements at a time and never
    multiplied; None: no such table."""

    name: str
    elements: int
    lookup_row: int | None


@dataclass(frozen=True, slots=True)
class ModelArchitecture:
    """Everything of a model that memory, speed and the choice of a quantization depend on.

    ``embedding_dim`` is the width of a token's embedding, which a projection widens to ``hidden`` where they differ.

    ``has_original`` says that the repository of the model itself is known, ``checkpoints`` are the slugs of the
    quantizations that have a known one of their own. ``cached_latent`` is None where latent attention is run as a plain
    one, whose cache holds the keys and values of every head. ``published_files`` have sizes that no recipe tells.
    ``shares_attention``: the weights of attention are few blocks that serve many layers, among ``extras``.
    ``routes_attention``: query and output projections are experts, of which a token visits as many as of the others.
    ``query_rank`` is the width between two projections of the queries of plain attention (arXiv:2507.19427), else 0.
    """

    slug: str
    architecture: str
    hidden: int
    embedding_dim: int
    vocab: int
    tied_embeddings: bool
    context_tokens: int | None
    layers: tuple[Layer, ...]
    latent: LatentAttention | None
    cached_latent: LatentAttention | None
    linear: LinearAttention | None
    state_space: StateSpace | None
    short_conv_kernel: int
    experts: Experts | None
    gated_mlp: bool
    mlp_bias: bool
    query_rank: int
    shares_attention: bool
    routes_attention: bool
    qkv_bias: bool
    output_bias: bool
    qk_norm: str
    output_gate: str | None
    sinks: bool | str
    norm_bias: bool
    final_norms: int
    indexer_heads: int
    indexer_dim: int
    indexer_topk: int
    compress_ratios: tuple[int, ...]
    compressed_rope_dim: int
    residual_streams: int
    extras: tuple[ExtraParameters, ...]
    mtp_parameters: int
    stored_mtp_layers: int
    native_dtype: str
    total_parameters: int
    active_parameters: int
    vision_parameters: int
    has_original: bool
    checkpoints: tuple[str, ...]
    training: Training
    published_files: tuple[PublishedFile, ...]

    @property
    def launches_per_layer(self) -> float:
        """Kernels of a layer over those of a plain layer, for the fixed cost per layer."""
        return HYPER_CONNECTED_LAUNCHES if self.residual_streams > 1 else 1.0

    def __hash__(self) -> int:
        # Caches look models up by value; a few telling fields spare hashing a hundred layers each time.
        return hash((self.slug, self.architecture, self.hidden, self.total_parameters, len(self.layers)))

    @property
    def n_layers(self) -> int:
        """Repeating layers, without MTP heads."""
        return len(self.layers)

    @property
    def is_moe(self) -> bool:
        """Whether any layer routes tokens to experts."""
        return self.experts is not None


def architecture_from_facts(facts: Mapping[str, Any]) -> ModelArchitecture:
    """Build the typed structure from a catalog entry's facts.

    Raises:
        MissingFactError: a fact that the estimate needs is null.
        EstimatorError: facts contradict each other (for example a pattern of the wrong length).
    """
    slug = str(facts["slug"])
    attention = facts.get("attention") or {}
    pattern = _need(slug, "attention.layer_pattern", attention.get("layer_pattern"))
    mlp_pattern = _need(slug, "mlp_pattern", facts.get("mlp_pattern"))
    n_layers = int(_need(slug, "n_layers", facts.get("n_layers")))
    if len(pattern) != n_layers or len(mlp_pattern) != n_layers:
        raise EstimatorError(
            f"{slug}: n_layers is {n_layers}, but attention.layer_pattern has {len(pattern)} letters and mlp_pattern "
            f"has {len(mlp_pattern)}; each must have one letter a layer."
        )
    counts, mtp = facts.get("params_computed") or {}, facts.get("mtp") or {}
    layers = tuple(_layer(slug, facts, index) for index in range(n_layers))
    return ModelArchitecture(
        slug=slug,
        architecture=str(facts["architecture"]),
        hidden=int(_need(slug, "hidden_size", facts.get("hidden_size"))),
        embedding_dim=int(facts.get("embedding_size") or facts["hidden_size"]),
        vocab=int(_need(slug, "vocab_size", facts.get("vocab_size"))),
        tied_embeddings=bool(facts.get("tie_word_embeddings")),
        context_tokens=None if facts.get("context_length") is None else int(facts["context_length"]),
        layers=layers,
        **_mixers(slug, facts, attention),
        short_conv_kernel=int((attention.get("short_conv") or {}).get("kernel") or 0),
        experts=_experts(slug, facts) if "E" in mlp_pattern else None,
        gated_mlp=bool((facts.get("mlp") or {}).get("gated", True)),
        mlp_bias=bool((facts.get("mlp") or {}).get("bias", False)),
        qkv_bias=bool(attention.get("qkv_bias")),
        output_bias=bool(attention.get("o_bias")),
        qk_norm=str(attention.get("qk_norm") or "none"),
        output_gate=attention.get("output_gate"),
        sinks=attention.get("sinks") or False,
        norm_bias=bool((facts.get("norms") or {}).get("bias")),
        final_norms=int((facts.get("norms") or {}).get("final", 1)),
        indexer_heads=_of_indexer(attention, "index_n_heads"),
        indexer_dim=_of_indexer(attention, "index_head_dim"),
        indexer_topk=_of_indexer(attention, "index_topk"),
        compress_ratios=tuple(int(ratio) for ratio in attention.get("compress_ratios") or ()),
        compressed_rope_dim=int(attention.get("qk_rope_head_dim") or 0),
        residual_streams=int(attention.get("hc_mult") or 1),
        extras=_extras(facts),
        mtp_parameters=int(mtp.get("params") or 0),
        stored_mtp_layers=int(mtp.get("n_layers") or 0) * (facts["architecture"] in MTP_STORED_ARCHITECTURES),
        native_dtype=str(facts.get("native_dtype") or ""),
        total_parameters=int(_need(slug, "params_computed.text_total", counts.get("text_total"))),
        active_parameters=int(_need(slug, "params_computed.text_active", counts.get("text_active"))),
        vision_parameters=int(facts.get("params_vision_and_other") or 0),
        has_original=facts.get("hf_repo") is not None,
        checkpoints=tuple(sorted(facts.get("checkpoint_repos") or ())),
        training=training_of(facts),
        published_files=published_files(facts),
    )


def _mixers(slug: str, facts: Mapping[str, Any], attention: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "query_rank": int(attention.get("query_rank") or 0),
        "shares_attention": bool(attention.get("shares_weights")),
        "routes_attention": bool(attention.get("routed")),
        "latent": latent_attention(attention),
        "cached_latent": latent_attention(attention) if _caches_latent(facts) else None,
        "linear": linear_attention(slug, facts, attention),
        "state_space": state_space(attention.get("ssm")),
    }


def _caches_latent(facts: Mapping[str, Any]) -> bool:
    return facts["attention"].get("kv_b_split") is not False and facts["architecture"] not in LATENT_NOT_CACHED


def _need(slug: str, name: str, value: Any) -> Any:
    if value is None:
        raise MissingFactError(slug, name)
    return value


def _extras(facts: Mapping[str, Any]) -> tuple[ExtraParameters, ...]:
    return tuple(
        ExtraParameters(str(extra["name"]), int(extra["params"]), extra.get("lookup_row"))
        for extra in facts.get("extra_params") or ()
    )


def _of_indexer(attention: Mapping[str, Any], name: str) -> int:
    return int((attention.get("indexer") or {}).get(name) or attention.get(name) or 0)


def _layer(slug: str, facts: Mapping[str, Any], index: int) -> Layer:
    attention = facts["attention"]
    mixer = Mixer(attention["layer_pattern"][index])
    feed_forward = FeedForward(facts["mlp_pattern"][index])
    overrides = dict(own[index]) if (own := attention.get("per_layer")) and index < len(own) else {}
    kind = attention.get("swa") if mixer in WINDOWED_MIXERS else attention.get("full")
    values = {**facts, **(kind or {}), **overrides}
    attends = mixer in ATTENTION_MIXERS or mixer is Mixer.CROSS
    heads = int(_need(slug, "n_heads", values.get("n_heads"))) if attends else int(values.get("n_heads") or 0)
    key_dim = int(_need(slug, "head_dim_k", values.get("head_dim_k"))) if attends else 0
    shared_layers = int(attention.get("kv_shared_layers") or 0)
    shares = attends and (index >= int(facts["n_layers"]) - shared_layers or bool(values.get("shares_kv")))
    keeps = bool(attention.get("kv_shared_keeps_weights", True))
    own_latent = attention.get("mla") and {**attention["mla"], **(values.get("mla") or {})}
    window = attention.get("sliding_window") if mixer is Mixer.SLIDING else None
    if mixer is Mixer.CHUNKED:
        window = attention.get("chunk_size")
    if mixer in WINDOWED_MIXERS:
        window = int(_need(slug, "attention.sliding_window", window))
        window = None if facts["architecture"] in WINDOW_NOT_READ else window
    norms = (facts.get("norms") or {}).get("per_layer", 2)
    width = 0
    if feed_forward is FeedForward.DENSE:
        width = int(_need(slug, "intermediate_size", values.get("intermediate_size")))
    return Layer(
        mixer=mixer,
        feed_forward=feed_forward,
        heads=heads,
        kv_heads=int(values.get("n_kv_heads") or heads) if attends else 0,
        key_dim=key_dim,
        value_dim=int(values.get("head_dim_v") or key_dim) if attends else 0,
        window=window,
        shares_kv=shares,
        has_key_projection=attends and (keeps or not shares),
        has_value_projection=attends and (keeps or not shares) and not values.get("k_eq_v"),
        ffn_width=width,
        norms=int(norms[index]) if isinstance(norms, str) else int(norms),
        has_indexer=(attention.get("indexer") or {}).get("layers", "f" * (index + 1))[index] == "f",
        latent=latent_attention({"mla": own_latent}) if attends else None,
        weights_of=values.get("weights_of"),
    )


def _experts(slug: str, facts: Mapping[str, Any]) -> Experts:
    moe = _need(slug, "moe", facts.get("moe"))
    return Experts(
        count=int(_need(slug, "moe.n_experts", moe.get("n_experts"))),
        per_token=int(_need(slug, "moe.experts_per_token", moe.get("experts_per_token"))),
        width=int(_need(slug, "moe.moe_intermediate_size", moe.get("moe_intermediate_size"))),
        shared_width=int(moe.get("shared_intermediate_size") or 0) if moe.get("n_shared_experts") else 0,
        shared_gate=bool(moe.get("shared_gate")),
        router_bias=bool(moe.get("router_bias")),
        latent_dim=moe.get("latent_size"),
        bias_elements=int(moe.get("expert_bias_params") or 0),
        dense_parallel_width=int(facts.get("intermediate_size") or 0) if moe.get("dense_parallel") else 0,
        grouped_count=int(moe.get("n_grouped_experts") or 0),
        grouped_width=int(moe.get("grouped_intermediate_size") or 0),
    )
