"""A model's ``config.json`` (Hugging Face) as catalog facts: the same keys and nesting as a model file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from db.imports.checkpoints.quantization import checkpoint_format
from db.imports.context import extension_of_config
from db.imports.errors import MAX_PARAMETERS, ImportFactsError, json_object, needed, whole
from db.imports.hub.attention import attention, flag, head_dims, key_heads
from db.imports.hub.class_defaults import ConfigValues
from db.imports.hub.experts import experts
from db.imports.hub.extras import extra_parameters, layer_facts
from db.imports.hub.layers import block_count, feed_forwards, mixers, window_of
from db.imports.hub.own_parts import repeat_layers
from db.imports.hub.section import Section, language_model
from db.imports.hub.unread_keys import beside_the_point, require_all_read
from db.imports.hub.vision import vision_parameters
from estimator.structure.architecture import (
    MTP_STORED_ARCHITECTURES,
    FeedForward,
    ModelArchitecture,
    architecture_from_facts,
)
from estimator.structure.tensors import EXPERT_CLASSES, inventory, unstructured_parameters
from estimator.types import EstimatorError, MissingFactError

#: Configurations with lists of modules that are not quantized have some MB.
MAX_CONFIG_BYTES = 8 * 1024 * 1024
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")
_WIDTH, _HEADS = 4_194_304, 65_536


def config_of_text(text: bytes | str) -> dict[str, Any]:
    """The parsed text of a ``config.json``; Python's ``Infinity`` and ``NaN`` are read. Raises :class:`ImportFactsError`."""
    return json_object(text, "config.json", MAX_CONFIG_BYTES, constants=True)


def facts_from_config(config: Mapping[str, Any], slug: str = "custom") -> dict[str, Any]:
    """Facts from a parsed ``config.json``; parameter counts are those of the tensor inventory.

    Raises:
        ImportFactsError: the architecture is not one that can be read, or a value is missing or out of range.
    """
    if not _SLUG.fullmatch(slug):
        raise ImportFactsError("a slug has lower-case letters, digits, dots, dashes and underscores only", "slug")
    section = language_model(config)
    facts = _facts(section, slug)
    layer_facts(section.values, section.name, facts)
    facts["extra_params"] += extra_parameters(section.values, section.family, section.name, facts)
    repeat_layers(section.values, section.name, facts)
    facts["native_dtype"] = checkpoint_format(config, section.values).label
    require_all_read(section.values, facts)
    facts["contexts"] = section.values.contexts
    extend_context(facts, extension_of_config(section.values, facts["context_length"], "config.json"))
    facts["class_defaults"] = sorted(section.values.from_class - _NO_SIZE - beside_the_point(facts, section.values.own))
    facts = with_counts(facts)
    facts["mtp"] = _prediction_heads(section.values, facts)
    facts["params_vision_and_other"] = vision_parameters(config, facts["hidden_size"])
    return facts


def extend_context(facts: dict[str, Any], extension: dict[str, Any] | None) -> None:
    """Put an extension into ``facts``, whose context is then the extended one."""
    if extension is not None:
        facts |= {"context_extension": extension, "context_length": extension["tokens"]}


def _prediction_heads(values: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, int] | None:
    """Layers that predict further tokens, where a GGUF file stores them: each is like the last layer that attends, with
    norms of both inputs and of its output and their projection; those of GLM-4.5 have an embedding and a head of their own
    (``glm4-moe.cpp`` and ``glm5next.cpp`` of llama.cpp)."""
    count = whole(values, "num_nextn_predict_layers", 0, 8, 0) or 0
    if not count or facts["architecture"] not in MTP_STORED_ARCHITECTURES:
        return None
    model = architecture_from_facts(facts)
    hidden = model.hidden
    layer = _parameters(model, max(index for index, layer in enumerate(model.layers) if layer.has_attention))
    copies = 2 * hidden * model.vocab if facts["architecture"] == "Glm4MoeForCausalLM" else 0
    return {"n_layers": count, "params": count * (layer + 2 * hidden * hidden + 3 * hidden + copies)}


#: Classes whose output head is a table of its own whatever the configuration says.
_NEVER_TIED = frozenset({"BailingHybridForCausalLM", "CpmAntForCausalLM", "KimiLinearForCausalLM"})
#: Keys whose default says nothing about the size or the speed.
_NO_SIZE = frozenset({"tie_word_embeddings", "layer_types", "use_cache"})


def _facts(section: Section, slug: str) -> dict[str, Any]:
    values, family, name = section.values, section.family, section.name
    hidden = needed(values, "hidden_size", 8, _WIDTH)
    layers = block_count(values, family)
    window = window_of(values, name)
    pattern = mixers(values, family, layers, window)
    attends = any(letter in "FSCIPX" for letter in pattern)
    heads = needed(values, "num_attention_heads", 1, _HEADS) if attends else 0
    kv_heads = key_heads(values, name, heads) if attends else 0
    sizes = {"hidden_size": hidden, "n_heads": heads, "n_kv_heads": kv_heads}
    moe = experts(values, family, name)
    facts: dict[str, Any] = {
        "slug": slug,
        "name": slug,
        "architecture": name,
        "n_layers": layers,
        **sizes,
        "intermediate_size": _ffn_width(section, hidden),
        "embedding_size": whole(values, "word_embed_proj_dim", 1, _WIDTH),
        "vocab_size": whole(values, _head_rows(name), 1, _WIDTH) or needed(values, "vocab_size", 1, _WIDTH),
        "context_length": whole(values, "max_position_embeddings", 1, 1 << 31),
        "tie_word_embeddings": flag(values, "tie_word_embeddings", family.tied) and name not in _NEVER_TIED,
        "attention": attention(values, family, name, pattern, window, sizes),
        "mlp": {"gated": family.gated_mlp, "bias": _mlp_bias(section, has_experts=moe is not None)},
        "norms": {
            "type": family.norm_type, "per_layer": _norms(section, layers),
            "bias": flag(values, "norm_bias", family.norm_bias),
            "final": _final_norms(section),
        },
        "moe": moe,
        "mlp_pattern": _mlp_pattern(section, layers, has_experts=moe is not None),
        "mtp": None,
        "extra_params": [],
    }  # fmt: skip
    facts["head_dim_k"], facts["head_dim_v"] = head_dims(values, facts, attends)
    return facts


def _mlp_pattern(section: Section, layers: int, *, has_experts: bool) -> str:
    if section.family.layers == "M":
        return "N" * layers
    return feed_forwards(section.values, section.family, layers, has_experts=has_experts)


def _mlp_bias(section: Section, *, has_experts: bool) -> bool:
    """Whether the dense parts have biases. Classes with experts differ in what ``mlp_bias`` reaches: it is not read there."""
    values, family = section.values, section.family
    own = not has_experts and flag(values, "mlp_bias", family.mlp_bias) and values.get("enable_bias") is not False
    return own or any(values.get(key) is True for key in family.all_bias_keys)


def _head_rows(name: str) -> str:
    """Key of the rows of the output head, where they are fewer than those of the embedding."""
    return "unpadded_vocab_size" if name.startswith("Inkling2") else "output_vocab_size"


def _norms(section: Section, layers: int) -> int | str:
    """Norms of a layer; one where attention and feed-forward run side by side."""
    values, family = section.values, section.family
    if section.name == "ModernBertDecoderForCausalLM":
        return "1" + "2" * (layers - 1)
    if section.name == "FalconForCausalLM":
        if values.get("new_decoder_architecture") is True:
            return 1 if values.get("num_ln_in_parallel_attn") == 1 else 2
        return 1 if flag(values, "parallel_attn", True) else 2
    if section.name == "StableLmForCausalLM" and values.get("use_parallel_residual") is True:
        return 1
    if values.get("use_sandwich_norm") is not None:
        return 4 if flag(values, "use_sandwich_norm") else 2
    if values.get("layer_norm_elementwise_affine") is False:
        return 0
    return family.norms


def _final_norms(section: Section) -> int:
    values = section.values
    has_none = (
        values.get("layer_norm_elementwise_affine") is False
        or values.get("do_layer_norm_before") is False
        or values.get("_remove_final_layer_norm") is True
    )
    return 0 if has_none else section.family.final_norms


def _ffn_width(section: Section, hidden: int) -> int | None:
    """Width of the dense feed-forward part."""
    values, family = section.values, section.family
    keys = ("dense_intermediate_size", "prefix_dense_intermediate_size", "intermediate_size_mlp", "intermediate_size")
    width = whole(values, keys, 1, _WIDTH)
    if section.name.startswith("GraniteMoeHybrid") and not whole(values, "num_experts", 0, _HEADS):
        width = whole(values, "shared_expert_intermediate_size", 1, _WIDTH, width)
    if width is None and family.ffn_factor:
        return (whole(values, "expansion_ratio", 1, 64, family.ffn_factor) or family.ffn_factor) * hidden
    if section.name == "OLMoForCausalLM":
        width = whole(values, "intermediate_size", 1, _WIDTH, (whole(values, "mlp_ratio", 1, 64, 4) or 4) * hidden)
    if section.name == "ArcticForCausalLM":
        return hidden
    if section.name == "GPTRefactForCausalLM":
        # Two thirds of four times the width, in whole 256 (refact.py of llama.cpp's converter).
        return -(-(8 * hidden // 3) // 256) * 256
    if width is None and section.name in ("Rwkv5ForCausalLM", "Rwkv6ForCausalLM"):
        return hidden * 7 // 64 * 32
    if section.name == "Lfm2ForCausalLM":
        return _adjusted(values, whole(values, "block_ff_dim", 1, _WIDTH, width))
    return width // 2 if family.doubled_ffn and width else width


def _adjusted(values: ConfigValues, width: int | None) -> int | None:
    """LFM2's width: two thirds of the stated one, scaled and rounded up."""
    if width is None or values.get("block_auto_adjust_ff_dim") is False:
        return width
    width = 2 * width // 3
    factor = values.get("block_ffn_dim_multiplier")
    if isinstance(factor, int | float) and not isinstance(factor, bool) and 0 < factor <= 64:
        width = int(factor * width)
    multiple = whole(values, "block_multiple_of", 1, 65_536, 256) or 256
    return -(-width // multiple) * multiple


def with_counts(facts: dict[str, Any]) -> dict[str, Any]:
    """``facts`` with the parameter counts of their own tensor inventory.

    Raises:
        ImportFactsError: the sizes multiply to more than any real model has.
    """
    _require_possible(facts)
    facts["params_computed"] = {"text_total": 1, "text_active": 1}
    try:
        model = architecture_from_facts(facts)
        if "attention_parameters" in facts:
            total = 1 - unstructured_parameters(model) + facts.pop("attention_parameters")
            facts["params_computed"] = {"text_total": total, "text_active": total}
            model = architecture_from_facts(facts)
    except MissingFactError as error:
        raise ImportFactsError(
            f"{error.field_name!r} is missing or has no value that makes sense here", error.field_name
        ) from error
    except EstimatorError as error:
        raise ImportFactsError(str(error)) from error
    total = _parameters(model)
    facts["params_computed"] = {"text_total": total, "text_active": total - _idle_parameters(model)}
    facts["params_exact_checkpoint"] = total
    return facts


def _parameters(model: ModelArchitecture, layer: int | None = None) -> int:
    """Parameters of one layer, or of all that is loaded."""
    tensors = inventory(model)
    chosen = tensors.layer < model.n_layers if layer is None else tensors.layer == layer
    return int(tensors.elements[chosen].sum())


def _idle_parameters(model: ModelArchitecture) -> int:
    """Parameters that a token does not use: those of the routed experts that it does not visit, and tables of rows."""
    lookups = sum(extra.elements for extra in model.extras if extra.lookup_row)
    if model.experts is None:
        return lookups
    tensors = inventory(model)
    routed = sum(int(tensors.elements[tensors.cls == cls].sum()) for cls in EXPERT_CLASSES)
    idle = model.experts.count - model.experts.per_token
    layers = sum(layer.feed_forward is FeedForward.EXPERTS for layer in model.layers)
    return lookups + routed * idle // model.experts.count + model.experts.bias_elements * idle * layers


def _require_possible(facts: Mapping[str, Any]) -> None:
    """Refuse sizes whose product would not fit any machine's integers, before anything is multiplied in arrays."""
    moe = facts.get("moe") or {}
    width = max(int(facts.get("intermediate_size") or 0), int(facts["n_heads"]) * int(facts.get("head_dim_k") or 1))
    attention = facts["attention"]
    for part in ("linear", "mla", "indexer", "swa", "full"):
        sizes = [size for size in (attention.get(part) or {}).values() if type(size) is int]
        width = max(width, *(first * second for first in sizes for second in sizes), 0)
    ssm = attention.get("ssm") or {}
    width = max(width, ssm.get("d_inner", 0), ssm.get("d_state", 0) * ssm.get("n_groups", 1))
    width = max(width, *(int(own.get("intermediate_size") or 0) for own in attention.get("per_layer") or ()), 0)
    expert = int(moe.get("moe_intermediate_size") or 0) * int(moe.get("n_experts") or 0)
    expert += int(moe.get("shared_intermediate_size") or 0)
    expert += int(moe.get("grouped_intermediate_size") or 0) * int(moe.get("n_grouped_experts") or 0)
    layer = int(facts["hidden_size"]) * (3 * (width + expert) + 4 * width)
    total = int(facts["n_layers"]) * layer + 2 * int(facts["hidden_size"]) * int(facts["vocab_size"])
    total += sum(int(extra["params"]) for extra in facts.get("extra_params") or ())
    if total > MAX_PARAMETERS:
        raise ImportFactsError(f"the sizes make a model of more than {MAX_PARAMETERS:.0e} parameters", "hidden_size")
