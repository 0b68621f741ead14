"""Keys of a configuration that would change sizes or speed and that nothing has read."""

from __future__ import annotations

import re
from typing import Any

from db.imports.errors import ImportFactsError
from db.imports.hub.class_defaults import ConfigValues

#: Words that a key about the structure has.
_STRUCTURE = re.compile(
    r"(^|_)(hidden|intermediate|inner|ffn|mlp|head|heads|dim|dims|rank|experts?|layers?|lora|state|latent|kv|conv|kernel"
    r"|mamba|ssm|embedding|width|blocks?|window|depth)(_|$)"
)
#: Words of keys that change neither sizes nor speed, or that describe parts that are not estimated.
_OTHER = re.compile(
    r"context_window|sliding_window_size|rope|rotary|token|dropout|_drop|init|_eps|epsilon|act($|_)|activation|loss|coef|scal|jitter|noise|clip|limit"
    r"|score|scoring|norm_topk|n_group$|topk_group|topk_method|group_limited|temperature|cache|dtype|type$|impl"
    r"|beam|return|output_|summary|vision|image|audio|video|speech|mm_|projector|tower|modal|pretraining|ep_size"
    r"|nextn|mtp|num_hash|original_max|max_window|min_|max_|_freq|chunk|factor|multiplier|partial|bias|gate|flash|fused"
    r"|kernels|proj_to|tokenizer|capacity|label|position|pos_|alibi|theta|logit|soft|interleave|offload|router|zero"
    r"|version|name|path|compress_rope|sinkhorn|hc_|index_|altup|sparsity|time_step|use_|enable_|is_|has_|no_|apply_"
    r"|add_|with_|skip_|share|attn_res|residual|padding|param_sink|chunk_size|lora_alpha|embd_layer|feature|mtp_|qk_head"
    r"|special_|sep_|boi|eoi|block_length|mask|causal|scoring_func|seq|groups?_size|quant|query_pre_attn"
)


def require_all_read(values: ConfigValues) -> None:
    """Raise when a structural key was not read and its value is not that of the class's default.

    Raises:
        ImportFactsError: names the key.
    """
    for key, value in values.own.items():
        if key in values.read or not _matters(value) or _OTHER.search(key) or not _STRUCTURE.search(key):
            continue
        if value == values.default(key) or key in _KNOWN:
            continue
        raise ImportFactsError(
            f"{key!r} is not read for this architecture and may change its sizes; leave it out to estimate without it",
            key[:80],
        )


#: Structural by name, but stated elsewhere or without an effect on sizes.
_KNOWN = frozenset({
    "head_dim", "intermediate_size", "hidden_size", "num_key_value_heads", "hidden_dim", "num_attention_heads",
    "first_k_dense_replace", "moe_intermediate_size", "num_shared_experts", "num_experts_per_tok", "num_experts",
    "shared_expert_intermediate_size", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "q_lora_rank",
    "num_logits_to_keep", "dim_model_base", "sliding_window", "conv_dim", "conv_dim_out", "block_dim", "block_ff_dim",
    "block_norm_eps", "hidden_size_per_layer_input", "num_kv_shared_layers", "moe_layer_end_index",
    "moe_layer_start_index", "expand", "mamba_head_dim", "n_embed_per_layer", "embedding_size", "ffn_inter_padding_size",
    "inter_padding_size", "pad_head_dim", "block_multiple_of", "index_head_dim", "index_n_heads",
    "embedding_fraction", "num_heads_kv", "mlp_only_layers", "moe_latent_size", "layer_types",
})  # fmt: skip


def _matters(value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return value > 1
    return isinstance(value, list) and bool(value)
