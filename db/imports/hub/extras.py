"""Parameters and layer facts that one architecture has beside the common structure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.hub.compressed import compressed, compressed_by_source
from db.imports.hub.families import Family
from db.imports.hub.layers import own_layers, scaled_layers
from db.imports.hub.own_parts import PARTS, shared_blocks, stream_parameters, with_cross_layers

_WIDTH, _LAYERS, _HEADS = 4_194_304, 1_000, 65_536


def extra_parameters(
    values: Mapping[str, Any], family: Family, name: str, facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Tensors outside the layers' common structure, as ``extra_params`` of a catalog entry."""
    extras: list[tuple[str, int]] = []
    hidden, layers, vocab = facts["hidden_size"], facts["n_layers"], facts["vocab_size"]
    if family.position_offset is not None:
        positions = needed(values, "max_position_embeddings", 1, 1 << 31)
        extras.append(("learned positions", (positions + family.position_offset) * hidden))
    if family.head_bias or values.get("lm_head_bias") is True or values.get("decoder_bias") is True:
        extras.append(("output bias", vocab))
    extras += _of_structure(name, facts)
    if name in PARTS:
        extras += PARTS[name](values, facts)
    elif name == "MistralLarge4ForConditionalGeneration":
        extras += _scaled_softmax(facts)
    elif name == "LongcatFlashForCausalLM":
        idle = whole(values, "zero_expert_num", 0, _HEADS, 0) or 0
        extras.append(("router rows of the idle experts", facts["mlp_pattern"].count("E") * idle * (hidden + 1)))
    elif name == "JetMoeForCausalLM" and values.get("bias") is not False:
        extras.append(("biases behind the experts of attention and feed-forward", 2 * layers * hidden))
    elif name.startswith("Zamba"):
        extras += shared_blocks(values, facts, has_adapters=name == "Zamba2ForCausalLM")
    elif name.startswith("Molmo"):
        extras.append(("added vocabulary", (whole(values, "additional_vocab_size", 0, _WIDTH, 128) or 0) * hidden))
    elif name == "YuanForCausalLM":
        if values.get("use_moe") is True:
            raise ImportFactsError("'use_moe' is not read for this architecture", "use_moe")
        extras.append(("localized filtering", layers * (2 * hidden * hidden + hidden // 2 + 2 * hidden)))
    elif family.linear == "lightning" and (family.qk_norm != "none" or values.get("qk_norm") is True):
        linear = facts["attention"]["linear"]["head_dim"] * facts["attention"]["layer_pattern"].count("L")
        extras.append(("norms of the queries and keys of linear attention", 2 * linear))
    elif family.linear is not None and family.linear.startswith("RWKV"):
        extras += _time_mix(values, family.linear, layers, hidden)
    if facts["moe"] and values.get("latent_moe_use_norm") is True:
        extras.append(
            ("norms of the latent experts", facts["mlp_pattern"].count("E") * facts["moe"].get("latent_size", 0))
        )
    extra: list[dict[str, Any]] = [{"name": label, "params": count} for label, count in extras]
    extra += _rows_beyond(values, vocab, hidden)
    if name in _STREAMS:
        extra += stream_parameters(values, name, facts)
    if name.startswith(("Gemma3n", "Gemma4")):
        extra = _per_layer_embeddings(values, layers, hidden) + extra
    return extra


def _rows_beyond(values: Mapping[str, Any], head_rows: int, hidden: int) -> list[dict[str, Any]]:
    """Rows of the embedding beyond those of the output head."""
    rows = needed(values, "vocab_size", 1, _WIDTH) - head_rows
    if rows < 0:
        raise ImportFactsError(
            f"'vocab_size' must be at least {head_rows:,}, the rows of the output head", "vocab_size"
        )
    name = "embedding rows that the output head lacks"
    return [{"name": name, "params": rows * hidden, "lookup_row": hidden}] if rows else []


def _of_structure(name: str, facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Tensors whose sizes follow from those of the common structure."""
    hidden, layers, width = facts["hidden_size"], facts["n_layers"], facts["head_dim_k"]
    experts = facts["mlp_pattern"].count("E")
    if name == "AXK1ForCausalLM":
        return [("norms behind the experts", experts * hidden)]
    if name.startswith("Apertus"):
        return [("two parameters of each layer's activation", 2 * layers)]
    if name == "BeamForCausalLM":
        return [("biases of the output gates", layers * facts["n_heads"])]
    if name == "BitNetForCausalLM":
        return [("norms inside attention and feed-forward", layers * (hidden + (facts["intermediate_size"] or 0)))]
    if name in ("BloomForCausalLM", "GitForCausalLM"):
        return [("norm of the embedding", 2 * hidden)]
    if name == "ChameleonForConditionalGeneration":
        return [("biases of the head norms", layers * width * (facts["n_heads"] + facts["n_kv_heads"]))]
    if name == "DiffLlamaForCausalLM":
        return [("weights of the differences", 4 * layers * width)]
    if name == "DogeForCausalLM":
        heads, bias = facts["n_kv_heads"], int(facts["attention"]["qkv_bias"])
        masks = layers * heads * (heads * width + 1 + bias)
        return [("dynamic masks", masks), ("weights of the residuals", 2 * layers * hidden)]
    if name.startswith("Gemma4"):
        scales = [("router scales", layers * (hidden + facts["moe"]["n_experts"]))] if facts["moe"] else []
        return [("layer scalars", layers), *scales]
    if name == "DoryForCausalLM":
        inner = 2 * facts["n_heads"] * width + 2 * (facts["intermediate_size"] or 0)
        return [("scales of the layers", layers * (2 * hidden + inner)), ("scales of the logits", facts["vocab_size"])]
    if name == "Dots3NoteForCausalLM":
        return [("norms of the rotated keys", layers * facts["attention"]["mla"]["qk_rope_head_dim"])]
    if name.startswith("Kosmos2"):
        # Kosmos 2 has a norm behind the heads, too; Kosmos 2.5 tells text from image by two rows.
        of_heads = 2 * hidden if name.startswith("Kosmos2_5") else layers * 2 * hidden
        return [("norms inside attention and feed-forward", layers * 2 * (facts["intermediate_size"] or 0) + of_heads)]
    if name == "HrmTextForCausalLM":
        return [("first state of the low stack", hidden)]
    if name == "ModernBertDecoderForCausalLM":
        norms = 4 * hidden if facts["norms"]["bias"] else 2 * hidden
        return [("norm of the embedding, and a layer before the output head", hidden * hidden + norms)]
    if name == "MotifForCausalLM":
        return [("weights and norms of the differences, and powers of the activation", layers * (6 * width + 4))]
    if name == "MuseSparkForConditionalGeneration":
        latent = (facts["moe"] or {}).get("latent_size", 0)
        return [("gates of the residuals", 2 * layers * hidden), ("norms around the experts", 2 * experts * latent)]
    if name == "OuroForCausalLM":
        return [("gate of an early exit", hidden + 1)]
    if name == "GPTNeoXJapaneseForCausalLM":
        return [("output bias of the last layer", hidden)]
    if name == "TelechatForCausalLM":
        return [("biases of the down projections", layers * hidden)]
    if name == "MllamaForConditionalGeneration":
        cross = facts["attention"]["layer_pattern"].count("X")
        return [
            ("8 rows of the embedding", 8 * hidden),
            ("norms and gates of cross attention", 2 * cross * (width + 1)),
        ]
    if name == "OPTForCausalLM" and facts["embedding_size"] not in (None, hidden):
        return [("projections of the embedding", 2 * hidden * facts["embedding_size"])]
    return []


def _scaled_softmax(facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Scales of Mistral Large 4 by head and position, the norm before its indexer, and the scales of its frequencies."""
    layers, indexer = facts["n_layers"], facts["attention"]["indexer"]
    own = indexer["layers"].count("f") * (2 * facts["hidden_size"] + 2 * indexer["index_n_heads"])
    rotated = facts["attention"]["mla"]["qk_rope_head_dim"] // 2
    return [("scales of the softmax", 2 * layers * facts["n_heads"] + own), ("scales of the frequencies", rotated)]


#: Classes with several residual streams, and the key of their number.
_STREAMS = {
    "Glm5NextForConditionalGeneration": "hc_mult", "HYV4ForCausalLM": "hc_mult",
    "Qwen4ExpForConditionalGeneration": "hc_count", "Xing4_0ForCausalLM": "hc_mult",
}  # fmt: skip


def _per_layer_embeddings(values: Mapping[str, Any], layers: int, hidden: int) -> list[dict[str, Any]]:
    width = whole(values, "hidden_size_per_layer_input", 0, _WIDTH, 0) or 0
    if not width:
        return []
    rows = needed(values, "vocab_size_per_layer_input", 1, _WIDTH)
    return [
        {"name": "per-layer embedding table (lookup)", "params": rows * layers * width, "lookup_row": layers * width},
        {"name": "projection of the embedding to every layer", "params": hidden * layers * width + width},
        {"name": "gate, projection and norm of each layer", "params": layers * (2 * hidden * width + hidden)},
    ]


def _time_mix(values: Mapping[str, Any], kind: str, layers: int, hidden: int) -> list[tuple[str, int]]:
    """Mixing, decay and low-rank matrices of RWKV (``modeling_rwkv`` of transformers; ``rwkv6.cpp`` and ``rwkv7.cpp`` of
    llama.cpp and their converter), and the norm behind the embedding."""
    norm = ("norm of the embedding", 2 * hidden)
    if kind == "RWKV4":
        width = whole(values, "attention_hidden_size", 1, _WIDTH, hidden) or hidden
        return [("time mix", layers * (2 * width + 5 * hidden)), norm]
    if kind == "RWKV5":
        return [("time mix", layers * 10 * hidden), norm]
    if kind == "RWKV6":
        is_wide = hidden == 4096
        mixed = whole(values, "lora_rank_tokenshift", 1, _WIDTH, 64 if is_wide else 32) or 0
        decay = whole(values, "lora_rank_decay", 1, _WIDTH, 128 if is_wide else 64) or 0
        return [("time mix", layers * hidden * (10 * mixed + 2 * decay + 16)), norm]
    if values.get("value_dim") not in (None, hidden, [hidden] * layers):
        raise ImportFactsError(f"'value_dim' must be {hidden} in every layer", "value_dim")
    ranks = [needed(values, f"{part}_low_rank_dim", 1, _WIDTH) for part in ("decay", "a", "gate")]
    first = needed(values, "v_low_rank_dim", 1, _WIDTH)
    rest = layers * hidden * (2 * sum(ranks) + 14) + (layers - 1) * hidden * (2 * first + 1)
    return [("time mix", rest), norm]


def layer_facts(values: Mapping[str, Any], name: str, facts: dict[str, Any]) -> None:
    """Add what differs from layer to layer to ``facts["attention"]``."""
    attention = facts["attention"]
    layers = facts["n_layers"]
    if name == "DeciLMForCausalLM":
        _blocks_of_search(values, facts)
    elif name == "OpenELMForCausalLM":
        scaled_layers(values, facts)
    elif name == "IdeficsForVisionText2Text":
        with_cross_layers(values, facts)
    elif name.startswith("Gemma4"):
        _gemma4(values, facts)
    elif name == "Step3TextForCausalLM":
        attention["query_rank"] = needed(values, "share_q_dim", 1, _WIDTH)
    elif name == "HunYuanForCausalLM" and values.get("use_cla") is True:
        every = needed(values, "cla_share_factor", 1, _LAYERS)
        attention |= {"per_layer": [{"shares_kv": index % every > 0} for index in range(layers)]}
        attention["kv_shared_keeps_weights"] = False
    elif name.startswith("Inkling"):
        attention["swa"] = _of_window(values, facts)
    elif name == "Dots3NoteForCausalLM":
        attention["swa"] = _latent_of_window(values, facts)
    elif name == "MistralLarge4ForConditionalGeneration":
        attention["per_layer"] = _without_positions(values, facts)
    elif name == "MiMoV2FlashForCausalLM":
        attention["swa"] = _of_window(values, facts, facts["head_dim_v"])
        attention["sinks"] = "swa_only_bias" if values.get("add_swa_attention_sink_bias") is not False else False
    elif name.startswith("Step3p"):
        other = values.get("attention_other_setting")
        other = other if isinstance(other, Mapping) else {}
        attention["swa"] = {
            "n_heads": whole(values, "num_sliding_attention_heads", 1, _HEADS)
            or whole(other, "num_attention_heads", 1, _HEADS, facts["n_heads"] * 3 // 2),
            "n_kv_heads": whole(other, "num_attention_groups", 1, _HEADS, facts["n_kv_heads"]),
        }
    elif name == "DeepseekV4ForCausalLM" and facts["moe"]:
        compressed(values, facts)
    elif name == "DeepseekV41ForCausalLM":
        compressed_by_source(values, facts)
    elif name in _STREAMS:
        attention["hc_mult"] = needed(values, _STREAMS[name], 1, 64)
    if name.startswith(("Gemma3n", "Gemma4")) and (shared := whole(values, "num_kv_shared_layers", 0, layers, 0)):
        attention["kv_shared_layers"] = shared
        attention["kv_shared_keeps_weights"] = True
    heads = values.get("num_attention_heads_per_layer")
    if isinstance(heads, list) and len(heads) == layers:
        attention["per_layer"] = [
            {"n_heads": needed({"num_attention_heads_per_layer": count}, "num_attention_heads_per_layer", 1, _HEADS)}
            for count in heads
        ]
    if (own := own_layers(values, facts)) is not None:
        # Beside them, the library takes no sizes of a kind of layers from other keys.
        attention.pop("swa", None)
        attention["per_layer"] = own
    if "indexer" in attention:
        attention["indexer"]["layers"] = _indexed(values, name, attention["layer_pattern"])


def _indexed(values: Mapping[str, Any], name: str, pattern: str) -> str:
    """``f`` for each layer with an indexer, ``s`` for each that takes the tokens of an earlier one or has a window."""
    layers, kinds = len(pattern), values.get("indexer_types")
    if kinds is None and name == "HYV4ForCausalLM":
        kinds = ["full" if index == 0 or index % 4 == 1 else "shared" for index in range(layers)]
    if kinds is None:
        chosen = values.get("index_topk_pattern")
        every = whole(values, "index_topk_freq", 1, _LAYERS, 1) or 1
        start = whole(values, "index_skip_topk_offset", 0, _LAYERS, 2) or 0
        of_letter = {"F": "full", "S": "shared"}
        kinds = [of_letter.get(letter, "") for letter in chosen] if isinstance(chosen, str) else chosen
        kinds = kinds or ["shared" if max(index - start + 1, 0) % every else "full" for index in range(layers)]
    if not isinstance(kinds, list) or len(kinds) < layers or not {"full", "shared"} >= {str(kind) for kind in kinds}:
        raise ImportFactsError(
            f"'indexer_types' must list full or shared for each of the {layers} layers", "indexer_types"
        )
    pairs = zip(kinds, pattern, strict=False)
    return "".join("s" if kind == "shared" or letter == "S" else "f" for kind, letter in pairs)


def _latent_of_window(values: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Heads and latent rows of the sliding layers of dots3-note, with the defaults of its class."""
    heads = whole(values, "swa_num_attention_heads", 1, _HEADS, 64) or 64
    nope = whole(values, "swa_qk_nope_head_dim", 1, _WIDTH, 192) or 192
    key = whole(values, "swa_head_dim", 1, _WIDTH, 256) or 256
    if values.get("swa_num_key_value_heads") not in (None, heads):
        raise ImportFactsError(f"'swa_num_key_value_heads' must be {heads}", "swa_num_key_value_heads")
    own = {
        "q_lora_rank": whole(values, "swa_q_lora_rank", 1, _WIDTH, 1024),
        "kv_lora_rank": whole(values, "swa_kv_lora_rank", 1, _WIDTH, 1024),
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": whole(values, "swa_qk_rope_head_dim", 0, _WIDTH, max(key - nope, 0)),
        "v_head_dim": whole(values, "swa_v_head_dim", 1, _WIDTH, 128),
    }
    return {"n_heads": heads, "n_kv_heads": heads, "head_dim_k": key, "head_dim_v": own["v_head_dim"], "mla": own}


def _without_positions(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Latent rows of Mistral Large 4: layers whose keys are not rotated keep no part for it (``modeling_mistral_large4``)."""
    layers, mla = facts["n_layers"], facts["attention"]["mla"]
    every = whole(values, "no_rope_layer_interval", 1, _LAYERS, 4) or 4
    rotates = values.get("no_rope_layers") or [int((index + 1) % every != 0) for index in range(layers)]
    if not isinstance(rotates, list) or len(rotates) < layers or not all(flag in (0, 1) for flag in rotates):
        raise ImportFactsError(f"'no_rope_layers' must hold 0 or 1 for each of the {layers} layers", "no_rope_layers")
    if values.get("kv_source_layers") not in (None, list(range(layers))):
        raise ImportFactsError(
            "'kv_source_layers' that share rows are not read for this architecture", "kv_source_layers"
        )
    key = mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"]
    plain = {"mla": {"qk_nope_head_dim": key, "qk_rope_head_dim": 0}}
    return [{} if flag else plain for flag in rotates[:layers]]


def _of_window(values: Mapping[str, Any], facts: Mapping[str, Any], value_dim: int | None = None) -> dict[str, Any]:
    """Heads of the sliding layers; their values are as wide as their keys where neither a key nor ``value_dim`` says it."""
    key_dim = whole(values, "swa_head_dim", 1, _WIDTH, facts["head_dim_k"])
    return {
        "n_heads": whole(values, "swa_num_attention_heads", 1, _HEADS, facts["n_heads"]),
        "n_kv_heads": whole(values, "swa_num_key_value_heads", 1, _HEADS, 2 * facts["n_kv_heads"]),
        "head_dim_k": key_dim,
        "head_dim_v": whole(values, "swa_v_head_dim", 1, _WIDTH, value_dim or key_dim),
    }


def _gemma4(values: Mapping[str, Any], facts: dict[str, Any]) -> None:
    equal = values.get("attention_k_eq_v") is True
    own = whole(values, "num_global_key_value_heads", 1, _HEADS)
    width = whole(values, "global_head_dim", 1, _WIDTH, 512) or 512
    if values.get("per_layer_config") is not None:
        own, width = None, facts["head_dim_k"]
    facts["attention"]["full"] = {
        "n_kv_heads": own if equal and own else facts["n_kv_heads"],
        "head_dim_k": width,
        "head_dim_v": width,
        "k_eq_v": equal,
    }
    if facts["moe"]:
        facts["norms"]["per_layer"] = 7
    shared = whole(values, "num_kv_shared_layers", 0, facts["n_layers"], 0) or 0
    if values.get("use_double_wide_mlp") is True and shared:
        wide = {"intermediate_size": 2 * (facts["intermediate_size"] or 0) or None}
        facts["attention"]["per_layer"] = [{}] * (facts["n_layers"] - shared) + [wide] * shared


def _blocks_of_search(values: Mapping[str, Any], facts: dict[str, Any]) -> None:
    """Layers of a model that architecture search made: parts left out, replaced or of another width."""
    blocks = values.get("block_configs")
    layers, hidden = facts["n_layers"], facts["hidden_size"]
    if not isinstance(blocks, list) or len(blocks) != layers:
        raise ImportFactsError(f"'block_configs' must describe each of the {layers} layers", "block_configs")
    mixers, parts, own, norms, replaced = "", "", [], "", 0
    for block in blocks:
        attention, ffn = (_part(block, key) for key in ("attention", "ffn"))
        has_attention = not attention.get("no_op") and not attention.get("replace_with_linear")
        has_ffn = not ffn.get("no_op") and not ffn.get("replace_with_linear")
        replaced += bool(attention.get("replace_with_linear")) + bool(ffn.get("replace_with_linear"))
        mixers += "F" if has_attention else "N"
        parts += "D" if has_ffn else "N"
        norms += str((not attention.get("no_op")) + (not ffn.get("no_op")))
        layer: dict[str, Any] = {}
        if has_attention:
            group = whole(attention, "n_heads_in_group", 1, _HEADS)
            own_heads = facts["n_heads"] // group if group else facts["n_kv_heads"]
            layer["n_kv_heads"] = whole(attention, "num_key_value_heads", 1, _HEADS, own_heads)
        if has_ffn:
            layer["intermediate_size"] = whole(ffn, "intermediate_size", 1, _WIDTH) or _of_multiple(ffn, hidden)
        own.append(layer)
    facts["mlp_pattern"], facts["norms"]["per_layer"] = parts, norms
    facts["attention"] |= {"layer_pattern": mixers, "per_layer": own}
    first = next((layer["n_kv_heads"] for layer in own if "n_kv_heads" in layer), facts["n_heads"])
    facts["n_kv_heads"] = first
    if replaced:
        facts["extra_params"].append({"name": "linear layers in place of parts", "params": replaced * hidden**2})


def _part(block: Any, key: str) -> Mapping[str, Any]:
    part = block.get(key) if isinstance(block, Mapping) else None
    if not isinstance(part, Mapping):
        raise ImportFactsError(f"every entry of 'block_configs' must have {key!r}", "block_configs")
    return part


def _of_multiple(ffn: Mapping[str, Any], hidden: int) -> int:
    """Intermediate size of a factor: two thirds of it, rounded up to a multiple of 256."""
    factor = ffn.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 64:
        raise ImportFactsError("'ffn_mult' must be a number from 0 to 64", "block_configs")
    return math.ceil(int(2 * factor * hidden / 3) / 256) * 256
