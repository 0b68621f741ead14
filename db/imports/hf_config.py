"""A model's ``config.json`` (Hugging Face) as catalog facts: the same keys and nesting as a model file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from db.imports.errors import MAX_PARAMETERS, ImportFactsError, json_object, needed, whole
from db.imports.families import FAMILIES, Family
from estimator.structure.architecture import FeedForward, ModelArchitecture, architecture_from_facts
from estimator.structure.tensors import EXPERT_CLASSES, inventory
from estimator.types import MissingFactError

MAX_CONFIG_BYTES = 1024 * 1024
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")
_LAYER_LETTERS = {
    "full_attention": "F",
    "attention": "F",
    "sliding_attention": "S",
    "chunked_attention": "C",
    "linear_attention": "L",
}
_WIDTH, _HEADS, _LAYERS, _EXPERTS = 4_194_304, 65_536, 1_000, 65_536


def facts_from_config_text(text: bytes | str, slug: str = "custom") -> dict[str, Any]:
    """Facts from the text of a ``config.json``.

    Raises:
        ImportFactsError: the text is no configuration that can be read.
    """
    return facts_from_config(json_object(text, "config.json", MAX_CONFIG_BYTES), slug)


def facts_from_config(config: Mapping[str, Any], slug: str = "custom") -> dict[str, Any]:
    """Facts from a parsed ``config.json``; parameter counts are those of the tensor inventory.

    Raises:
        ImportFactsError: the architecture is not one that can be read, or a value is missing or out of range.
    """
    if not _SLUG.fullmatch(slug):
        raise ImportFactsError("a slug has lower-case letters, digits, dots, dashes and underscores only", "slug")
    name, family = _family(config)
    text = config.get("text_config")
    values: Mapping[str, Any] = {**config, **text} if isinstance(text, Mapping) else config
    hidden = needed(values, "hidden_size", 8, _WIDTH)
    layers = needed(values, "num_hidden_layers", 1, _LAYERS)
    heads = needed(values, "num_attention_heads", 1, _HEADS)
    moe, mlp_pattern = _experts(values, family, layers)
    facts: dict[str, Any] = {
        "slug": slug,
        "name": slug,
        "architecture": name,
        "hidden_size": hidden,
        "n_layers": layers,
        "n_heads": heads,
        "n_kv_heads": whole(values, "num_key_value_heads", 1, _HEADS, heads),
        "intermediate_size": whole(values, "intermediate_size", 1, _WIDTH),
        "vocab_size": needed(values, "vocab_size", 1, _WIDTH),
        "context_length": whole(values, ("max_position_embeddings", "model_max_length"), 1, 1 << 31),
        "tie_word_embeddings": _tied(config, values, family),
        "attention": _attention(values, family, layers, hidden, heads),
        "mlp": {"gated": family.gated_mlp, "bias": family.mlp_bias or _flag(values, "mlp_bias")},
        "norms": {"type": family.norm_type, "per_layer": family.norms, "bias": family.norm_bias, "final": 1},
        "moe": moe,
        "mlp_pattern": mlp_pattern,
        "mtp": None,
        "extra_params": [],
        "native_dtype": _native_type(config, values),
    }
    facts["head_dim_k"], facts["head_dim_v"] = _head_dims(values, facts, family)
    return with_counts(facts)


def with_counts(facts: dict[str, Any]) -> dict[str, Any]:
    """``facts`` with the parameter counts of their own tensor inventory.

    Raises:
        ImportFactsError: the sizes multiply to more than any real model has.
    """
    _require_possible(facts)
    facts["params_computed"] = {"text_total": 1, "text_active": 1}
    try:
        model = architecture_from_facts(facts)
    except MissingFactError as error:
        raise ImportFactsError(
            f"{error.field_name!r} is missing or has no value that makes sense here", error.field_name
        ) from error
    total = inventory(model).parameters
    facts["params_computed"] = {"text_total": total, "text_active": total - _idle_parameters(model)}
    facts["params_exact_checkpoint"] = total
    return facts


def _idle_parameters(model: ModelArchitecture) -> int:
    """Parameters of the routed experts that a token does not visit."""
    if model.experts is None:
        return 0
    tensors = inventory(model)
    routed = sum(int(tensors.elements[tensors.cls == cls].sum()) for cls in EXPERT_CLASSES)
    idle = model.experts.count - model.experts.per_token
    layers = sum(layer.feed_forward is FeedForward.EXPERTS for layer in model.layers)
    return routed * idle // model.experts.count + model.experts.bias_elements * idle * layers


def _require_possible(facts: Mapping[str, Any]) -> None:
    """Refuse sizes whose product would not fit any machine's integers, before anything is multiplied in arrays."""
    moe = facts.get("moe") or {}
    width = max(int(facts.get("intermediate_size") or 0), int(facts["n_heads"]) * int(facts.get("head_dim_k") or 1))
    expert = int(moe.get("moe_intermediate_size") or 0) * int(moe.get("n_experts") or 0)
    layer = int(facts["hidden_size"]) * (3 * (width + expert) + 4 * width)
    total = int(facts["n_layers"]) * layer + 2 * int(facts["hidden_size"]) * int(facts["vocab_size"])
    if total > MAX_PARAMETERS:
        raise ImportFactsError(f"the sizes make a model of more than {MAX_PARAMETERS:.0e} parameters", "hidden_size")


def _family(config: Mapping[str, Any]) -> tuple[str, Family]:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ImportFactsError(
            "'architectures' must be a list with one name, such as [\"LlamaForCausalLM\"]", "architectures"
        )
    family = FAMILIES.get(names[0])
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ImportFactsError(f"the architecture {names[0][:80]!r} is not known; known are {known}", "architectures")
    return names[0], family


def _attention(values: Mapping[str, Any], family: Family, layers: int, hidden: int, heads: int) -> dict[str, Any]:
    window = whole(values, "sliding_window", 1, 1 << 31)
    pattern = _pattern(values, family, layers, window)
    latent = family.mla or values.get("kv_lora_rank") is not None
    attention: dict[str, Any] = {
        "kind": "MLA" if latent else "GQA",
        "layer_pattern": pattern,
        "sliding_window": window if "S" in pattern else None,
        "chunk_size": whole(values, "attention_chunk_size", 1, 1 << 31) if "C" in pattern else None,
        "qk_norm": family.optional_qk_norm
        if family.qk_norm == "none" and _flag(values, "use_qk_norm")
        else family.qk_norm,
        "qkv_bias": _flag(values, "attention_bias", family.qkv_bias),
        "o_bias": family.o_bias,
        "output_gate": family.output_gate,
        "sinks": family.sinks,
    }
    if latent:
        attention["mla"] = {
            "q_lora_rank": whole(values, "q_lora_rank", 1, _WIDTH),
            "kv_lora_rank": needed(values, "kv_lora_rank", 1, _WIDTH),
            "qk_nope_head_dim": needed(values, "qk_nope_head_dim", 1, _WIDTH),
            "qk_rope_head_dim": needed(values, "qk_rope_head_dim", 1, _WIDTH),
            "v_head_dim": needed(values, "v_head_dim", 1, _WIDTH),
        }
    if family.linear == "KDA":
        linear = values.get("linear_attn_config")
        if not isinstance(linear, Mapping):
            raise ImportFactsError(
                "'linear_attn_config' is missing; it lists heads and full layers", "linear_attn_config"
            )
        attention["linear"] = {
            "kind": "KDA",
            "n_heads": needed(linear, "num_heads", 1, _HEADS),
            "head_dim": needed(linear, "head_dim", 1, _WIDTH),
            "conv_kernel": needed(linear, "short_conv_kernel_size", 1, 64),
        }
    elif family.linear is not None:
        attention["linear"] = {
            "kind": family.linear,
            "n_key_heads": needed(values, "linear_num_key_heads", 1, _HEADS),
            "n_value_heads": needed(values, "linear_num_value_heads", 1, _HEADS),
            "key_head_dim": needed(values, "linear_key_head_dim", 1, _WIDTH),
            "value_head_dim": needed(values, "linear_value_head_dim", 1, _WIDTH),
            "conv_kernel": needed(values, "linear_conv_kernel_dim", 1, 64),
        }
    return attention


def _pattern(values: Mapping[str, Any], family: Family, layers: int, window: int | None) -> str:
    """One letter a layer: as listed, else by the family's rule."""
    listed = values.get("layer_types")
    if listed is not None:
        if not isinstance(listed, list) or len(listed) != layers:
            raise ImportFactsError(f"'layer_types' must list one kind for each of the {layers} layers", "layer_types")
        letters = [_LAYER_LETTERS.get(kind) if isinstance(kind, str) else None for kind in listed]
        if None in letters:
            allowed = ", ".join(_LAYER_LETTERS)
            raise ImportFactsError(
                f"'layer_types' may hold {allowed}; not {listed[letters.index(None)]!r:.60}", "layer_types"
            )
        pattern = "".join(letter for letter in letters if letter)
        if "S" in pattern and window is None:
            raise ImportFactsError(
                "'sliding_window' is missing, but 'layer_types' lists sliding layers", "sliding_window"
            )
        return pattern
    if family.linear == "KDA":
        return _listed_full(values, layers)
    if family.linear is not None:
        every = whole(values, "full_attention_interval", 1, _LAYERS, 4) or 4
        return "".join("F" if (index + 1) % every == 0 else "L" for index in range(layers))
    if window is None or values.get("use_sliding_window") is False:
        return "F" * layers
    if family.window_every == -1:
        return "S" * layers
    every = whole(values, "sliding_window_pattern", 1, _LAYERS, family.window_every) or 0
    if every <= 0:
        return "F" * layers
    return "".join("F" if (index + 1) % every == 0 else "S" for index in range(layers))


def _listed_full(values: Mapping[str, Any], layers: int) -> str:
    linear = values.get("linear_attn_config")
    full = linear.get("full_attn_layers") if isinstance(linear, Mapping) else None
    if not isinstance(full, list) or not all(isinstance(each, int) and 1 <= each <= layers for each in full):
        raise ImportFactsError(
            f"'linear_attn_config.full_attn_layers' must list layers from 1 to {layers}", "linear_attn_config"
        )
    return "".join("F" if index + 1 in set(full) else "L" for index in range(layers))


def _head_dims(values: Mapping[str, Any], facts: Mapping[str, Any], family: Family) -> tuple[int, int]:
    mla = facts["attention"].get("mla")
    if mla:
        return mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"], mla["v_head_dim"]
    given = whole(values, "head_dim", 1, _WIDTH)
    if given is None:
        if facts["hidden_size"] % facts["n_heads"]:
            raise ImportFactsError("'head_dim' is missing and 'hidden_size' is no multiple of the heads", "head_dim")
        given = facts["hidden_size"] // facts["n_heads"]
    return given, given


def _experts(values: Mapping[str, Any], family: Family, layers: int) -> tuple[dict[str, Any] | None, str]:
    count = whole(values, ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts"), 0, _EXPERTS)
    if not count or count < 2:
        return None, "D" * layers
    width = needed(values, ("moe_intermediate_size", "intermediate_size"), 1, _WIDTH)
    shared = whole(values, ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"), 0, 1024, 0) or 0
    shared_width = whole(values, ("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"), 0, _WIDTH)
    if shared_width:
        shared = max(shared, 1)
    per_token = needed(
        values, ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_k"), 1, _EXPERTS
    )
    if per_token > count:
        raise ImportFactsError(
            f"'num_experts_per_tok' is {per_token}, but there are {count} experts", "num_experts_per_tok"
        )
    moe = {
        "n_experts": count,
        "experts_per_token": per_token,
        "n_shared_experts": shared,
        "moe_intermediate_size": width,
        "shared_intermediate_size": (shared_width or shared * width) if shared else None,
        "first_k_dense": whole(values, "first_k_dense_replace", 0, _LAYERS, 0),
        "router_bias": family.router_bias,
        "shared_gate": family.shared_gate and shared > 0,
    }
    if family.expert_bias:
        # Biases of gate, up and down of one expert.
        moe["expert_bias_params"] = 2 * width + needed(values, "hidden_size", 8, _WIDTH)
    return moe, _mlp_pattern(values, layers, int(moe["first_k_dense"] or 0))


def _mlp_pattern(values: Mapping[str, Any], layers: int, dense_first: int) -> str:
    step = whole(values, "decoder_sparse_step", 1, _LAYERS, 1) or 1
    only = values.get("mlp_only_layers")
    dense = {each for each in only if isinstance(each, int)} if isinstance(only, list) else set()
    return "".join(
        "D" if index < dense_first or index in dense or (index + 1) % step else "E" for index in range(layers)
    )


def _tied(config: Mapping[str, Any], values: Mapping[str, Any], family: Family) -> bool:
    for source in (values, config):
        if isinstance(source.get("tie_word_embeddings"), bool):
            return bool(source["tie_word_embeddings"])
    return family.tied


def _flag(values: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = values.get(name)
    return value if isinstance(value, bool) else default


def _native_type(config: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    quantized = config.get("quantization_config")
    if isinstance(quantized, Mapping) and isinstance(quantized.get("quant_method"), str):
        return str(quantized["quant_method"])[:32].upper()
    named = values.get("dtype") or values.get("torch_dtype") or config.get("torch_dtype")
    return {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}.get(str(named), "BF16")
