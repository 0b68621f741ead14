"""Strict shape of a model file: the facts of its configuration, of its checkpoint, and what was computed from both.

Optional keys are absent where the architecture has no such part; present keys are typed and ranged.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from db.entries.schema import Count, Date, Name, NotNegative, Positive, Shape, Slug, Text

LAYER_LETTERS = "FSCILMPVXN"
Layers = Annotated[str, Field(pattern=rf"^[{LAYER_LETTERS}]+$", max_length=400)]
Parts = Annotated[int, Field(ge=0)]
Dimension = Annotated[int, Field(gt=0, le=10_000_000)]
Context = Annotated[int, Field(ge=256, le=100_000_000)]


class KindOverride(Shape):
    """Heads and dimensions of one layer kind, where they differ from the model's."""

    n_heads: Count | None = None
    n_kv_heads: Count | None = None
    head_dim_k: Dimension | None = None
    head_dim_v: Dimension | None = None
    k_eq_v: bool | None = None


class LayerOverride(Shape):
    intermediate_size: Parts | None = None
    n_heads: Parts | None = None
    n_kv_heads: Parts | None = None


class Latent(Shape):
    """Multi-head latent attention."""

    q_lora_rank: Dimension | None
    kv_lora_rank: Dimension
    qk_nope_head_dim: Dimension
    qk_rope_head_dim: Parts
    v_head_dim: Dimension


class Linear(Shape):
    """Linear attention with a constant state."""

    kind: Name
    n_heads: Count | None = None
    head_dim: Dimension | None = None
    n_key_heads: Count | None = None
    n_value_heads: Count | None = None
    key_head_dim: Dimension | None = None
    value_head_dim: Dimension | None = None
    conv_kernel: Count | None = None
    full_rank_gate: bool | None = None
    full_rank_decay: bool | None = None


class StateSpace(Shape):
    """A Mamba block."""

    kind: Literal["mamba1", "mamba2"] | Name
    d_inner: Dimension
    d_state: Dimension
    conv_kernel: Count
    n_groups: Count | None = None
    n_heads: Count | None = None
    head_dim: Dimension | None = None
    dt_rank: Count | None = None
    gated_norm: bool | None = None
    bcdt_norms: bool | None = None


class ShortConv(Shape):
    """A gated short convolution."""

    kind: Name
    kernel: Count


class Indexer(Shape):
    """The token selector of sparse attention. ``layers`` has an ``f`` for a layer with one of its own and an ``s`` for one
    that shares that of an earlier layer."""

    kind: Name
    index_n_heads: Count
    index_head_dim: Dimension
    index_topk: Count
    layers: Annotated[str, Field(pattern=r"^[fs]+$")] | None = None


class SparseIndex(Shape):
    """Block selection of sparse attention."""

    block: Count
    dim: Dimension
    layers: Text
    n_heads: Count
    topk_blocks: Count


class Attention(Shape):
    """How each layer mixes tokens."""

    kind: Text
    layer_pattern: Layers | None
    sliding_window: Count | None
    chunk_size: Count | None
    qk_norm: Name
    qkv_bias: bool
    o_bias: bool
    output_gate: Name | None
    sinks: bool | Name
    legend: Text
    mla: Latent | None = None
    linear: Linear | None = None
    ssm: StateSpace | None = None
    short_conv: ShortConv | None = None
    indexer: Indexer | None = None
    sparse_index: SparseIndex | None = None
    full: KindOverride | None = None
    swa: KindOverride | None = None
    per_layer: list[LayerOverride] | None = None
    kv_shared_layers: Parts | None = None
    kv_shared_keeps_weights: bool | None = None
    compress_ratios: list[Parts] | None = None
    hc_mult: Count | None = None
    index_head_dim: Dimension | None = None
    index_n_heads: Count | None = None
    index_topk: Count | None = None
    num_hash_moe_layers: Parts | None = None
    o_groups: Count | None = None
    o_lora_rank: Dimension | None = None
    q_lora_rank: Dimension | None = None
    qk_rope_head_dim: Dimension | None = None
    positions_verified: bool | None = None
    # Defaults of an unpublished configuration class, kept as found until its facts are known.


class Mlp(Shape):
    """The dense feed-forward part."""

    gated: bool
    bias: bool
    sub_norm: bool | None = None


class Norms(Shape):
    """Normalisation layers; ``per_layer`` is a count, or one digit a layer."""

    type: Name
    per_layer: Parts | Annotated[str, Field(pattern=r"^\d+$")]
    bias: bool
    final: Annotated[int, Field(ge=0, le=2)]


class Moe(Shape):
    """The mixture-of-experts part."""

    n_experts: Count
    experts_per_token: Count
    moe_intermediate_size: Dimension
    n_shared_experts: Parts
    shared_intermediate_size: Dimension | None
    router_bias: bool
    first_k_dense: Parts
    shared_gate: bool | None = None
    dense_parallel: bool | None = None
    expert_bias_params: Parts | None = None
    extra_norms: Parts | None = None
    latent_extra: Parts | None = None
    latent_size: Dimension | None = None


class Mtp(Shape):
    """Multi-token-prediction layers in the checkpoint."""

    n_layers: Parts
    params: Parts
    note: Text


class ExtraParameters(Shape):
    """Parameters outside the common structure; ``lookup_row`` is the row length of a table that is only looked up."""

    name: Name
    params: Parts
    lookup_row: Dimension | None = None


class ParametersComputed(Shape):
    """Parameter counts that follow from the structure; they add up to ``text_total``."""

    text_total: Count
    text_active: Count
    compute_per_token: Count
    embedding: Parts
    lm_head: Parts
    mixer: Parts
    dense_mlp: Parts
    routed_experts: Parts
    shared_experts: Parts
    router: Parts
    norms: Parts
    other: Parts


class UnreliableCount(Shape):
    """A checkpoint total that is not to be compared with the structure."""

    value: Count
    why: Text


class Benchmark(Shape):
    """A published quality score."""

    value: float
    source: Text
    entry: Text | None = None
    setting: Text | None = None


class CheckpointRepo(Shape):
    """Where a pre-quantized checkpoint is published."""

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    source: Text


class PublishedFiles(Shape):
    """Sizes of a publisher's GGUF files, bytes by slug of the quantization, where no recipe tells them.

    A size is printed to ``rounding_bytes`` up or down; the parts of a split file are added up.
    """

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    as_of: Date
    rounding_bytes: Annotated[int, Field(ge=0)]
    bytes: dict[Slug, Count]
    source: Text


#: How a field of an imported model is known.
KnownBy = Literal[
    "config", "class default", "gguf header", "checkpoint", "card", "repository name", "inventory", "source list"
]  # fmt: skip


class RepositoryState(Shape):
    """The repository of an imported model by its own statement on the day of the import.

    ``created`` is the day on which the repository was created, which is no release.
    """

    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    read_on: Date
    created: Date | None
    base_models: list[Name]


class Downloads(Shape):
    """Downloads of the repository in 30 days, by the hub's own count, which was read on ``as_of`` at the latest."""

    count: Annotated[int, Field(ge=0)]
    as_of: Date
    source: Text


class ContextExtension(Shape):
    """A context beyond that of the training, by scaled positions.

    ``original_tokens`` is the length before it. ``applied``: the published configuration has it, and ``context_length`` is
    ``tokens``; else an engine must be told, and ``context_length`` is that without it.
    """

    tokens: Context
    method: Literal["yarn", "llama3", "longrope", "linear", "dynamic", "ntk"]
    factor: Positive | None
    original_tokens: Context | None
    applied: bool
    source: Text


class ModelFile(Shape):
    slug: Slug
    name: Name
    aliases: list[Name]
    family: Name
    publisher: Name
    hf_repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None
    release_date: Date | None
    license: Text | None
    modalities: Annotated[list[Literal["text", "image", "video", "audio"]], Field(min_length=1)]
    params_total_b: Positive | None
    params_active_b: Positive | None
    params_exact_checkpoint: Count | None
    context_length: Context | None
    architecture: Name
    model_type: Name | None
    hidden_size: Dimension
    n_layers: Annotated[int, Field(gt=0, le=400)]
    n_heads: Parts | None
    n_kv_heads: Parts | None
    head_dim_k: Parts | None
    head_dim_v: Parts | None
    intermediate_size: Parts | None
    vocab_size: Dimension
    tie_word_embeddings: bool
    attention: Attention
    mlp: Mlp
    norms: Norms
    moe: Moe | None
    mlp_pattern: Annotated[str, Field(pattern=r"^[DEN]+$")]
    mtp: Mtp | None
    extra_params: list[ExtraParameters]
    native_dtype: Name
    benchmarks: dict[str, Benchmark] | None
    gguf_repo: Text | None
    ollama_tag: Text | None
    source: Text
    source_kind: Text
    note: Text | None
    params_exact_source: Text | None
    params_computed: ParametersComputed | None
    param_check: Text
    verified: bool
    gguf_repos_all: list[Text]
    release_date_source: Text | None
    release_date_kind: Literal["released", "repository created", "recalled"] | None
    count_exact: bool
    verification: Text
    params_vision_and_other: NotNegative | None = None
    param_check_class: Text | None = None
    checkpoint_count_unreliable: UnreliableCount | None = None
    derived_fields: list[Text] | None = None
    resolved_by_total: list[Text] | None = None
    gguf_sizes_gib_reported: dict[str, Positive] | None = None
    ollama_default_size_text: Text | None = None
    lm_head_bias: bool | None = None
    downloads: Downloads | None = None
    # By slug of the quantization that the checkpoint is in.
    checkpoint_repos: dict[Slug, CheckpointRepo] | None = None
    # Relative length of the thinking that cannot be left out; loading fills it from capability/post-training.json.
    least_thinking: Positive | None = None
    published_files: list[PublishedFiles] | None = None
    # Sizes of files of the newest model with the same tensors; loading fills them where the model has none of its own.
    alike_files: list[PublishedFiles] | None = None
    embedding_size: Dimension | None = None
    context_extension: ContextExtension | None = None
    # How a field is known where the file says so; of imported models every field, and what the repository stated.
    known_by: dict[Name, KnownBy] | None = None
    repository_state: RepositoryState | None = None
