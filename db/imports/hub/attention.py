"""Attention, linear attention and state spaces that a configuration describes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.hub.families import Family
from estimator.structure.architecture import LATENT_NOT_CACHED

_WIDTH, _HEADS, _LAYERS = 4_194_304, 65_536, 1_000


def attention(
    values: Mapping[str, Any], family: Family, name: str, pattern: str, window: int | None, sizes: Mapping[str, Any]
) -> dict[str, Any]:
    """The ``attention`` facts; ``sizes`` has hidden size, heads and key heads.

    Raises:
        ImportFactsError: a value is missing or out of range.
    """
    latent = _is_latent(values, family)
    if name in _BIASES_NOT_READ and values.get("attention_bias") is True:
        raise ImportFactsError("'attention_bias' is not read for this architecture", "attention_bias")
    has_biases = values.get("enable_bias") is not False
    bias = any(values.get(key) is True for key in (*family.bias_keys, *family.all_bias_keys))
    facts: dict[str, Any] = {
        "kind": "MLA" if latent else "GQA",
        "layer_pattern": pattern,
        "sliding_window": window if "S" in pattern else None,
        "chunk_size": whole(values, "attention_chunk_size", 1, 1 << 31) if "C" in pattern else None,
        "qk_norm": _qk_norm(values, family),
        "qkv_bias": bias or (has_biases and flag(values, "attention_bias", family.qkv_bias)),
        "o_bias": bias
        or family.own_o_bias
        or (family.o_bias and has_biases and values.get("attention_bias") is not False)
        or flag(values, "attention_out_bias")
        or (flag(values, "attention_bias") and name in _OUTPUT_BIASED),
        "output_gate": family.output_gate,
        "sinks": family.sinks,
    }
    if name == "JetMoeForCausalLM":
        facts["routed"] = True
    if name.startswith("Zamba"):
        facts["shares_weights"] = True
    if values.get("use_attention_gate") is False or values.get("attn_use_output_gate") is False:
        facts["output_gate"] = None
    if values.get("mla_use_output_gate") is True:
        facts["output_gate"] = "full"
    if latent:
        facts["mla"] = {
            "q_lora_rank": whole(values, "q_lora_rank", 1, _WIDTH),
            "kv_lora_rank": needed(values, "kv_lora_rank", 1, _WIDTH),
            "qk_nope_head_dim": needed(values, "qk_nope_head_dim", 1, _WIDTH),
            "qk_rope_head_dim": needed(values, "qk_rope_head_dim", 0, _WIDTH),
            "v_head_dim": _value_dim(values, sizes),
        }
        _require_sum(values, facts["mla"])
    if values.get("index_topk") is not None:
        facts["indexer"] = {
            "index_n_heads": needed(values, "index_n_heads", 1, _HEADS),
            "index_head_dim": needed(values, "index_head_dim", 1, _WIDTH),
            "index_topk": needed(values, "index_topk", 1, 1 << 31),
        }
    if "L" in pattern:
        facts["linear"] = _linear(values, family, sizes)
    if "M" in pattern or "P" in pattern:
        facts["ssm"] = _state_space(values, family, int(sizes["hidden_size"]))
    if "V" in pattern:
        facts["short_conv"] = {"kind": "gated short convolution", "kernel": needed(values, "conv_L_cache", 1, 64)}
    return facts


def _require_sum(values: Mapping[str, Any], mla: Mapping[str, Any]) -> None:
    """Refuse a width of a key that is not that of its two parts."""
    key = mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"]
    if values.get("qk_head_dim") not in (None, key):
        raise ImportFactsError(
            f"'qk_head_dim' must be {key}, the sum of 'qk_nope_head_dim' and 'qk_rope_head_dim'", "qk_head_dim"
        )


def _value_dim(values: Mapping[str, Any], sizes: Mapping[str, Any]) -> int:
    """Width of a value head of latent attention; where no key says it, its share of the hidden size."""
    stated = whole(values, "v_head_dim", 1, _WIDTH)
    return stated or max(int(sizes["hidden_size"]) // max(int(sizes["n_heads"]), 1), 1)


#: Classes whose ``attention_bias`` reaches more than the projections that are counted here.
_BIASES_NOT_READ = frozenset({
    "BailingHybridForCausalLM", "Dots3NoteForCausalLM", "DoryForCausalLM", "HrmTextForCausalLM", "ZayaForCausalLM",
})  # fmt: skip
#: Classes whose ``attention_bias`` is of the output projection too.
_OUTPUT_BIASED = frozenset({
    "LlamaForCausalLM", "PhiMoEForCausalLM", "GPTNeoXForCausalLM", "ApertusForCausalLM", "SmolLM3ForCausalLM",
    "GraniteForCausalLM", "GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", "GraniteMoeHybridForCausalLM",
    "OlmoForCausalLM", "Olmo2ForCausalLM", "Olmo3ForCausalLM", "OlmoeForCausalLM", "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM", "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration",
    "Qwen3NextForCausalLM", "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration",
    "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration",
    "CohereForCausalLM", "Cohere2ForCausalLM", "HunYuanDenseV1ForCausalLM", "HunYuanMoEV1ForCausalLM",
    "Llama4ForConditionalGeneration", "ArceeForCausalLM", "NemotronForCausalLM", "NemotronHForCausalLM",
    "Dots1ForCausalLM", "BitNetForCausalLM", "DeepseekV3ForCausalLM", "DeepseekV32ForCausalLM", "DeepseekV2ForCausalLM",
    "Glm4MoeLiteForCausalLM", "GlmMoeDsaForCausalLM", "Glm5NextForConditionalGeneration", "Step3p5ForCausalLM",
    "Step3p7FlashForCausalLM", "KimiK25ForConditionalGeneration", "KimiLinearForCausalLM", "MiniCPM3ForCausalLM",
    "HYV3ForCausalLM", "AfmoeForCausalLM", "Cohere2MoeForCausalLM", "FlexOlmoForCausalLM", "Mistral4ForCausalLM",
    "Gemma4ForConditionalGeneration", "Gemma4UnifiedForConditionalGeneration", "YoutuForCausalLM",
    "GraniteSWAForCausalLM", "GraniteMoeSWAForCausalLM", "HyperCLOVAXForCausalLM", "LagunaForCausalLM",
    "MellumForCausalLM", "MuseGlimmerForConditionalGeneration", "NanoChatForCausalLM", "VaultGemmaForCausalLM",
    "BambaForCausalLM", "FalconH1ForCausalLM", "DiffLlamaForCausalLM", "AriaForConditionalGeneration",
    "Apertus1p5ForConditionalGeneration", "BeamForCausalLM", "Cosmos3EdgeForConditionalGeneration", "DogeForCausalLM",
    "FlintForCausalLM", "Granite4VisionForConditionalGeneration", "GraniteDoclingForConditionalGeneration",
    "HunYuanVLForConditionalGeneration", "HYV4ForCausalLM", "LaraMiniForCausalLM", "Lfm3ForCausalLM",
    "LongcatFlashForCausalLM", "ModernBertDecoderForCausalLM", "Molmo2ForConditionalGeneration", "AXK1ForCausalLM",
    "AXK2ForCausalLM", "MistralLarge4ForConditionalGeneration", "MuseSparkForConditionalGeneration",
    "UnlimitedOcrForConditionalGeneration",
})  # fmt: skip


def head_dims(values: Mapping[str, Any], facts: Mapping[str, Any], has_attention: bool) -> tuple[int, int]:
    """Elements of a key and of a value head."""
    mla = facts["attention"].get("mla")
    if mla:
        return mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"], mla["v_head_dim"]
    key_dim = whole(values, "head_dim", 1, _WIDTH)
    if facts["attention"].get("shares_weights"):
        key_dim = 2 * facts["hidden_size"] // facts["n_heads"]
        if not key_dim:
            raise ImportFactsError("'num_attention_heads' is more than twice 'hidden_size'", "num_attention_heads")
    if key_dim is None:
        if not has_attention:
            return 0, 0
        if facts["hidden_size"] % facts["n_heads"]:
            raise ImportFactsError("'head_dim' is missing and 'hidden_size' is no multiple of the heads", "head_dim")
        key_dim = facts["hidden_size"] // facts["n_heads"]
    return key_dim, whole(values, "v_head_dim", 0, _WIDTH, key_dim) or key_dim


def key_heads(values: Mapping[str, Any], name: str, heads: int) -> int:
    """Key and value heads; families of multi-query attention state them in keys of their own."""
    if name in LATENT_NOT_CACHED:
        return heads
    attn = values.get("attn_config")
    if isinstance(attn, Mapping):
        return whole(attn, "kv_n_heads", 1, _HEADS, heads) or heads
    if shared := whole(values, "n_shared_head", 1, heads):
        return heads // shared
    stated = whole(values, "num_key_value_heads", 1, _HEADS, heads) or heads
    if name == "FalconForCausalLM" and values.get("new_decoder_architecture") is not True:
        return 1 if flag(values, "multi_query", True) else heads
    if name in ("GPTBigCodeForCausalLM", "GPTRefactForCausalLM"):
        return 1 if flag(values, "multi_query", True) else heads
    if values.get("multi_query_attention") is True:
        return needed(values, "multi_query_group_num", 1, _HEADS)
    return stated


def flag(values: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A switch; 0 and 1 are the booleans that the library takes them for, null is absent.

    Raises:
        ImportFactsError: it is something else, such as the text "false", which the library takes for true.
    """
    value = values.get(name)
    if value is None:
        return default
    if value not in (0, 1):
        raise ImportFactsError(f"{name!r} must be true or false, not {value!r:.40}", name)
    return bool(value)


def _is_latent(values: Mapping[str, Any], family: Family) -> bool:
    if values.get("use_mla") is False or (values.get("qk_nope_head_dim") == 0 and values.get("kv_lora_rank") is None):
        return False
    return family.mla or values.get("kv_lora_rank") is not None


def _qk_norm(values: Mapping[str, Any], family: Family) -> str:
    if values.get("qk_norm_type") == "olmo":
        return "full"
    if family.qk_norm == "none":
        return family.optional_qk_norm if flag(values, "use_qk_norm") or flag(values, "qk_layernorm") else "none"
    return "none" if values.get("use_qk_norm") is False else family.qk_norm


def _linear(values: Mapping[str, Any], family: Family, sizes: Mapping[str, Any]) -> dict[str, Any]:
    linear = values.get("linear_attn_config")
    if family.linear == "lightning":
        heads = whole(values, "linear_num_heads", 1, _HEADS) or needed(values, "num_attention_heads", 1, _HEADS)
        head = whole(values, ("linear_head_dim", "head_dim"), 1, _WIDTH, int(sizes["hidden_size"]) // heads)
        return {"kind": "LightningAttention", "n_heads": heads, "head_dim": head}
    if family.linear == "RG-LRU":
        heads = needed(values, "num_attention_heads", 1, _HEADS)
        width = whole(values, "lru_width", 1, _WIDTH, int(sizes["hidden_size"])) or 1
        kernel = needed(values, "conv1d_width", 1, 64)
        return {"kind": "RG-LRU", "n_heads": heads, "head_dim": width // heads, "conv_kernel": kernel}
    if str(family.linear).startswith("RWKV"):
        width = whole(values, "attention_hidden_size", 1, _WIDTH, int(sizes["hidden_size"])) or 1
        head = whole(values, ("head_size", "head_dim"), 1, width, 64 if family.linear != "RWKV4" else 1) or 1
        return {"kind": family.linear, "n_heads": width // head, "head_dim": head}
    if family.linear == "KDA":
        if isinstance(linear, Mapping):
            heads, head = needed(linear, "num_heads", 1, _HEADS), needed(linear, "head_dim", 1, _WIDTH)
            kernel = needed(linear, "short_conv_kernel_size", 1, 64)
        elif values.get("linear_num_heads") is not None:
            heads, head = needed(values, "linear_num_heads", 1, _HEADS), needed(values, "linear_head_dim", 1, _WIDTH)
            kernel = needed(values, "linear_conv_kernel_dim", 1, 64)
        elif values.get("layer_group_size") is not None:
            heads, head = needed(values, "num_attention_heads", 1, _HEADS), needed(values, "head_dim", 1, _WIDTH)
            kernel = whole(values, "short_conv_kernel_size", 1, 64, 4) or 4
        else:
            raise ImportFactsError(
                "'linear_attn_config' is missing; it lists heads and full layers", "linear_attn_config"
            )
        full = {"full_rank_gate": family.full_rank_gate or _full_rank(values, linear)}
        full["full_rank_decay"] = family.full_rank_decay
        return {"kind": "KDA", "n_heads": heads, "head_dim": head, "conv_kernel": kernel, **full}
    return {
        "kind": family.linear or "GatedDeltaNet",
        "n_key_heads": needed(values, "linear_num_key_heads", 1, _HEADS),
        "n_value_heads": needed(values, "linear_num_value_heads", 1, _HEADS),
        "key_head_dim": needed(values, "linear_key_head_dim", 1, _WIDTH),
        "value_head_dim": needed(values, "linear_value_head_dim", 1, _WIDTH),
        "conv_kernel": needed(values, "linear_conv_kernel_dim", 1, 64),
    }


def _full_rank(values: Mapping[str, Any], linear: Any) -> bool:
    """Whether the gate of the linear layers is one full matrix: a model with a gated latent attention has that."""
    own = isinstance(linear, Mapping) and linear.get("use_full_rank_gate") is True
    return own or values.get("mla_use_output_gate") is True


def _state_space(values: Mapping[str, Any], family: Family, hidden: int) -> dict[str, Any]:
    expand = whole(values, "expand", 1, 64, 2) or 2
    facts: dict[str, Any] = {
        "kind": f"Mamba{family.state_space or 2}",
        "d_state": needed(values, "ssm_state_size", 1, _WIDTH),
        "conv_kernel": needed(values, "conv_kernel", 1, 64),
    }
    if values.get("mamba_step") is not None:
        # PLaMo 2 (plamo2.py of vLLM): heads as wide as those of attention, and a rank that no key states.
        groups = needed(values, "mamba_num_heads", 1, _HEADS)
        inner_size = groups * needed(values, "head_dim", 1, _WIDTH)
        return {**facts, "d_inner": inner_size, "n_heads": groups, "dt_rank": max(64, hidden // 16)}
    if family.state_space == 1:
        rank = values.get("time_step_rank")
        own = ("mamba_inner_size", "intermediate_size") if family.layers == "M" else "mamba_inner_size"
        inner = whole(values, own, 1, _WIDTH, expand * hidden)
        rank = math.ceil(hidden / 16) if rank in (None, "auto") else needed(values, "time_step_rank", 1, _WIDTH)
        return {**facts, "d_inner": inner, "dt_rank": rank}
    heads = needed(values, ("mamba_num_heads", "num_attention_heads"), 1, _HEADS)
    head = values.get("mamba_head_dim") if "mamba_head_dim" in values else values.get("head_dim")
    inner = whole(values, "mamba_d_ssm", 1, _WIDTH)
    if isinstance(head, int) and not isinstance(head, bool):
        head = needed({"mamba_head_dim": head}, "mamba_head_dim", 1, _WIDTH)
        if inner not in (None, heads * head):
            raise ImportFactsError(f"'mamba_d_ssm' must be {heads} heads of {head}, not {inner:,}", "mamba_d_ssm")
        inner = heads * head
    inner = inner or expand * hidden
    return {
        **facts,
        "d_inner": inner,
        "n_heads": heads,
        "head_dim": inner // heads,
        "n_groups": needed(values, "n_groups", 1, _HEADS),
        "gated_norm": flag(values, "mamba_rms_norm", True),
    }
