"""Keys of a configuration that would change sizes or speed and that nothing has read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError
from db.imports.hub.class_defaults import ConfigValues

#: Words of keys that hold a size, a count or a choice of layers.
_STRUCTURE = re.compile(
    r"(^|_)(hidden|intermediate|inner|ffn|ff|mlp|heads?|dims?|ranks?|experts?|layers?|lora|states?|latents?|kv|conv|kernels?"
    r"|mamba|ssm|moe|embeddings?|embed|embd|widths?|sizes?|blocks?|window|depth|channels?|streams|period|interval|pattern"
    r"|ratios?|freq|hc|recurrent|recurrence|loops?|ut)(_|$)"
)
#: Switches that add, drop or share parameters.
_SWITCH = re.compile(
    r"(^|_)(bias|sinks?|cross|shared?|sharing|learned|encoder|mqa|multi_query|(attn|attention)_output_gate|attention_layer_norm)(_|$)"
)
_HEAD_NORM = re.compile(r"(use_)?qk_(norm|layernorm|ln)")
#: Nested objects that hold a part of the structure.
_PART = re.compile(r"(attn|attention|ffn|mlp|moe|ssm|mamba|linear|conv|experts?|layers?|blocks?|router|hybrid)_.*")
#: Keys with such words that change neither sizes nor speed, or that are of parts beside the language model.
_HARMLESS = re.compile(
    "|".join((
        r".*_tokens?|.*tokens?_(id|index|idx|type|list|per).*|tokenizer.*",
        r"(bos|eos|pad|unk|sep|cls|boi|eoi|mask)_.*", r".*(dropout|pdrop|_drop)(_.*)?", r".*(^|_)init.*",
        r"(.*_)?(eps|epsilon)(_.*)?", r".*(_act|_act_fn|activation.*)", r".*(loss|coef|jitter|noise(?!_heads)|aux|grad).*",
        r".*(scales?|scaling|scalar|multipliers?|temperature|softcap|logits?|clip|clamp|limit)(_.*)?", r".*rotary.*",
        r".*rope_(theta|interleaved?|scaling|parameters|type|base|freq|local|pct|partial|dim|ratio)(_.*)?", r"no_rope_.*",
        r".*(vision|visual|image|img|audio|video|speech|sound|projector(?!s_bias)|tower|talker|perceiver|resampler).*", r"mm_.*",
        r"vit_.*|original_max.*|num_beam.*|num_return.*|return_.*|.*_length",
        r"output_(attentions|hidden_states|router_logits|scores)",
        r".*(chunk|batch|patch|merge|cache)_size.*", r"(pretraining|tensor_parallel|ep|tp|pp|sequence_parallel)_.*",
        r".*parallel_size", r".*capacity.*", r"n_group|topk_group|group_(limited.*|norm_size)", r".*mtp.*|num_nextn.*",
        r"(num|n)_(expert|limited)_groups?|moe_router_(group_topk|num_groups|topk_limited.*)", r".*label.*",
        r"(summary|task|problem)_.*", r"dim_model_base|num_hash_layers|max_window_layers|.*_iters|mlp_expansion_factor",
        r"(type|org|old|original|unpadded)_vocab_size|(embd_layer|sparse)(_config)?|skip_bias_add.*|alibi_.*",
        r".*(dtype|impl|implementation|version|name|path|type|offload|fusion|overlap|fused|checkpointing)",
        r".*(sharded|lora_alpha)|quant.*|kda_layers|(ffn_)?inter_padding_size|full_attn_mod|pad_head_dim",
        r"sparse_(block_size|topk_blocks|init_block|local_block)|tie_encoder_decoder|attn_res_block_size|indexer_compress_ratio",
        r"block_(size|multiple_of|norm_eps)|number_of_conv_states|shared_expert_sink",
        r"blocksparse_.*|dense_attention_every_n_layers|rope_embedding_base",
        r"head_size_divisor|fuse_.*|_block_types|attention_hidden_dim|hybrid_layer_ids|candidate_.*|dspark_.*|engram_(vocab|compressed).*|engram_layer_ids|freq_allocation|compression_ratio|(spatial|temporal)_conv_size|pixel_hidden_size|lightning_nkv|moe_2layer_gate|global_attn_every_n|n_shared_head|n_layers_per_attn_res_block|ff_factor|head_dim_factor",
    ))
)  # fmt: skip
#: Switches that nothing reads because every model of their class has this value.
_USUAL = {
    "attn_output_gate": True, "use_routing_bias": True, "use_moe_router_bias": True, "no_bias": True,
    "use_sparse_attention": True, "enable_bias": True, "layer_norm_elementwise_affine": True,
    "use_post_norm": True, "gating": True, "norm_bias": True,
    "learned_embeddings": True, "use_shared_mlp_adapter": True,
}  # fmt: skip
#: Keys that say nothing in a model without the part that they describe.
_OF_EXPERTS = frozenset({
    "moe_intermediate_size", "num_experts_per_tok", "num_shared_experts", "shared_expert_intermediate_size",
    "first_k_dense_replace", "mlp_only_layers", "moe_layer_end_index", "moe_layer_start_index", "moe_latent_size",
    "num_experts", "moe_layer_freq",
})  # fmt: skip
_OF_WINDOW = frozenset({"sliding_window", "sliding_window_pattern", "sliding_window_size", "window_size"})
_OF_DENSE = frozenset({"intermediate_size"})
_OF_MAMBA = frozenset({
    "expand", "mamba_head_dim", "mamba_num_heads", "ssm_state_size", "conv_kernel", "mamba_inner_size",
    "time_step_rank",
})  # fmt: skip
_OF_ATTENTION = frozenset({"num_attention_heads", "num_key_value_heads", "head_dim"})
_OF_LISTED_LAYERS = frozenset({
    "full_attention_interval", "layer_types", "first_k_dense_replace", "moe_layer_freq", "sliding_window_pattern",
})  # fmt: skip
#: Keys of MLA that its heads replace, of an indexer, and of other spellings that a class writes beside its own.
_OF_LATENT = frozenset({"head_dim", "num_key_value_heads", "qk_head_dim", "qk_rope_head_dim"})
_BESIDE = frozenset({
    "attention_chunk_size", "conv_dim", "layer_switch", "conv_dim_out", "block_dim", "block_ff_dim", "hidden_dim",
    "num_heads_kv", "index_head_dim", "index_n_heads", "hidden_size_per_layer_input",
    "n_embed_per_layer",
})  # fmt: skip


def is_harmless(key: str) -> bool:
    """Whether a key, by its words, changes neither sizes nor speed."""
    return _HARMLESS.fullmatch(key) is not None


def require_all_read(values: ConfigValues, facts: Mapping[str, Any]) -> None:
    """Raise when a structural key was not read and its value is not that of the class's default.

    Raises:
        ImportFactsError: names the key.
    """
    without = beside_the_point(facts, values.own)
    for key, value in values.unread():
        name = key.rpartition(".")[2]
        of_vision = key.startswith("vision_config.")
        if value == values.default(key) or name in without or of_vision or is_harmless(name):
            continue
        if _HEAD_NORM.fullmatch(name) and value is (facts["attention"]["qk_norm"] != "none"):
            continue
        if _matters(key, name, value, values.default(key)):
            raise ImportFactsError(
                f"{key[:80]!r} is not read for this architecture and may change its sizes; leave it out to estimate without it",
                key[:80],
            )


def beside_the_point(facts: Mapping[str, Any], own: Mapping[str, Any]) -> frozenset[str]:
    """Keys about parts that the model of ``facts`` does not have, or that other keys of ``own`` say whole."""
    attention = facts["attention"]
    pattern, parts = attention["layer_pattern"], facts["mlp_pattern"]
    keys = _BESIDE | _OF_LISTED_LAYERS
    keys |= _OF_EXPERTS if "E" not in parts else frozenset()
    keys |= _OF_DENSE if "D" not in parts or "dense_intermediate_size" in own else frozenset()
    keys |= _OF_WINDOW if "S" not in pattern else frozenset()
    keys |= _OF_MAMBA if set(pattern) & set("MP") else frozenset()
    keys |= frozenset() if set(pattern) & set("FSCIPX") else _OF_ATTENTION
    keys |= frozenset({"index_topk_freq"}) if "indexer_types" in own else frozenset()
    return keys | (_OF_LATENT if attention.get("mla") or attention.get("compress_ratios") else frozenset())


def _matters(key: str, name: str, value: Any, default: Any) -> bool:
    if isinstance(value, bool):
        if name in _USUAL:
            return value is not _USUAL[name]
        return bool(_SWITCH.search(name) or _HEAD_NORM.fullmatch(name)) and value is not (default is True)
    if isinstance(value, Mapping):
        return bool(_PART.fullmatch(key)) and any(
            _matters(inner_key, inner_key, inner, None) for inner_key, inner in value.items()
        )
    if isinstance(value, int):
        return value > 1 and bool(_STRUCTURE.search(name))
    return isinstance(value, list) and bool(value) and bool(_STRUCTURE.search(name))
