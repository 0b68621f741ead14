"""The GGUF header that llama.cpp's converter would write for a model: metadata, and names and shapes of its tensors.

Names and shapes are those that llama.cpp's loader asks for (``load_arch_tensors`` of each file in ``src/models``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from db.imports.gguf.architectures import ARCHITECTURES
from tests.support.gguf_files.files import header, tensor

#: A tensor: name and shape, row length first (ggml's order).
Named = Iterator[tuple[str, tuple[int, ...]]]
_FUSED_QKV = {
    "openelm",
    "phi3",
    "dbrx",
    "bailingmoe2",
    "gpt2",
    "gptneox",
    "bloom",
    "falcon",
    "mpt",
    "starcoder",
    "phi2",
    "qwen",
    "codeshell",
    "jais",
    "plamo2",
    "plamo3",
}
_FUSED_GATE = {"phi3", "glm4", "chatglm", "plamo2", "plamo3"}
#: Norms of a layer where they are not the input norm and that of the feed-forward part.
_NORMS = {
    "gpt-oss": ("attn_norm", "post_attention_norm"),
    "qwen3next": ("attn_norm", "post_attention_norm"),
    "qwen35": ("attn_norm", "post_attention_norm"),
    "qwen35moe": ("attn_norm", "post_attention_norm"),
    "olmo2": ("post_attention_norm", "post_ffw_norm"),
    "exaone4": ("post_attention_norm", "post_ffw_norm"),
    "arctic": ("attn_norm", "ffn_norm", "ffn_norm_exps"),
    "dbrx": ("attn_norm", "attn_output_norm"),
    "falcon": ("attn_norm", "attn_norm_2"),
    "rwkv6": ("attn_norm", "attn_norm_2"),
    "rwkv7": ("attn_norm", "attn_norm_2"),
}
_FOUR = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_SEVEN = (*_FOUR, "pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2")
_LISTED_HEADS = {
    "deci", "granitehybrid", "jamba", "kimi-k3", "kimi-linear", "bailingmoe3", "lfm2", "lfm2moe", "nemotron_h",
    "nemotron_h_moe", "mimo2", "laguna", "step35", "gemma4", "glm5next", "openelm", "plamo2",
}  # fmt: skip


#: Classes that llama.cpp's converter writes as the architecture of another class.
_CONVERTED = {
    "BaichuanForCausalLM": "baichuan", "ChatGLMModel": "chatglm", "DeepseekV3ForCausalLM": "deepseek2",
    "Exaone4_5_ForConditionalGeneration": "exaone4", "FalconMambaForCausalLM": "mamba",
    "Gemma3ForConditionalGeneration": "gemma3", "Gemma4UnifiedForConditionalGeneration": "gemma4",
    "Glm4MoeLiteForCausalLM": "deepseek2", "InternLM3ForCausalLM": "llama", "KimiK25ForConditionalGeneration": "deepseek2",
    "KimiVLForConditionalGeneration": "deepseek2", "MiMoForCausalLM": "qwen2", "Ministral3ForCausalLM": "mistral3",
    "MiniMaxM1ForCausalLM": "minimax-01", "MistralForCausalLM": "llama",
    "MistralLarge3ForCausalLM": "deepseek2", "MixtralForCausalLM": "llama", "Olmo3ForCausalLM": "olmo2",
    "Qwen2_5_VLForConditionalGeneration": "qwen2vl", "SarvamMoEForCausalLM": "bailingmoe2",
    "SolarOpenForCausalLM": "glm4moe", "Step3p7FlashForCausalLM": "step35",
}  # fmt: skip
_OF_CLASS = {kind.name: arch for arch, kind in reversed(ARCHITECTURES.items())}


def converted_to(name: str) -> str:
    """``general.architecture`` of the file that the class ``name`` is converted to."""
    return _CONVERTED.get(name) or _OF_CLASS[name]


def header_of(model: dict[str, Any]) -> bytes:
    """The header of a file of ``model`` with all tensors in F32."""
    arch = converted_to(model["architecture"])
    keys = {"context_length": model["context_length"] or 1, **metadata(model, arch)}
    pairs = {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in keys.items()}}
    return header(pairs, [tensor(name, list(shape), 0) for name, shape in tensors(model, arch)])


def metadata(model: dict[str, Any], arch: str) -> dict[str, Any]:
    """The keys of ``model`` without the name of the architecture before them."""
    attention = model["attention"]
    pattern, mla, layers = attention["layer_pattern"], attention.get("mla"), range(model["n_layers"])
    own = [_of_layer(model, index) for index in layers]
    widths = [
        values["intermediate_size"] or 0 if letter == "D" else 0
        for values, letter in zip(own, model["mlp_pattern"], strict=True)
    ]
    keys: dict[str, Any] = {
        "embedding_length": model["hidden_size"], "block_count": model["n_layers"], "attention.layer_norm_rms_epsilon": 1e-5,
        "feed_forward_length": _one_or_all(widths) if any(widths) else model["intermediate_size"] or 0,
    }  # fmt: skip
    if set(pattern) - set("MN") or arch in _LISTED_HEADS:
        keys |= _heads(model, arch, own)
    if mla:
        keys["attention.kv_lora_rank"] = mla["kv_lora_rank"]
        keys["attention.key_length_mla"] = mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"]
        keys["attention.value_length_mla"] = mla["v_head_dim"]
        if mla["q_lora_rank"]:
            keys["attention.q_lora_rank"] = mla["q_lora_rank"]
    if attention.get("sliding_window"):
        keys["attention.sliding_window"] = attention["sliding_window"]
        if arch not in ("llama", "starcoder2", "olmo2"):
            keys["attention.sliding_window_pattern"] = [int(letter == "S") for letter in pattern]
    if "E" in model["mlp_pattern"]:
        moe = model["moe"]
        keys |= {"expert_count": moe["n_experts"], "expert_used_count": moe["experts_per_token"]}
        if arch not in ("llama", "granitehybrid"):
            keys["expert_feed_forward_length"] = moe["moe_intermediate_size"]
    return {**keys, **_of_mixers(model)}


def _heads(model: dict[str, Any], arch: str, own: list[dict[str, Any]]) -> dict[str, Any]:
    attention = model["attention"]
    pattern, mla = attention["layer_pattern"], attention.get("mla")
    heads, key_heads = model["n_heads"], 1 if mla else model["n_kv_heads"]
    key_dim = mla["kv_lora_rank"] + mla["qk_rope_head_dim"] if mla else own[pattern.find("F")]["head_dim_k"]
    value_dim = mla["kv_lora_rank"] if mla else own[pattern.find("F")]["head_dim_v"]
    keys = {
        "attention.head_count": heads, "attention.head_count_kv": key_heads, "attention.key_length": key_dim,
        "attention.value_length": value_dim, "rope.dimension_count": mla["qk_rope_head_dim"] if mla else key_dim,
    }  # fmt: skip
    if arch in _LISTED_HEADS:
        attends = [letter in "FSCP" for letter in pattern]
        keys["attention.head_count"] = [
            values["n_heads"] if arch != "deci" or on else 0 for values, on in zip(own, attends, strict=True)
        ]
        keys["attention.head_count_kv"] = [
            (1 if mla else values["n_kv_heads"]) if on else 0 for values, on in zip(own, attends, strict=True)
        ]
    if "S" in pattern and (width := own[pattern.find("S")]["head_dim_k"]) != key_dim:
        keys |= {"attention.key_length_swa": width, "attention.value_length_swa": own[pattern.find("S")]["head_dim_v"]}
    return keys


def _of_mixers(model: dict[str, Any]) -> dict[str, Any]:
    attention = model["attention"]
    keys: dict[str, Any] = {}
    if ssm := attention.get("ssm"):
        keys |= {
            "ssm.conv_kernel": ssm["conv_kernel"], "ssm.inner_size": ssm["d_inner"], "ssm.state_size": ssm["d_state"],
            "ssm.time_step_rank": ssm.get("n_heads") or ssm["dt_rank"],
        }  # fmt: skip
        if "n_groups" in ssm:
            keys["ssm.group_count"] = ssm["n_groups"]
    if linear := attention.get("linear"):
        if linear["kind"].startswith("RWKV"):
            keys["wkv.head_size"] = linear["head_dim"]
        elif linear["kind"] == "LightningAttention":
            keys["attention.recurrent_layers"] = [letter == "L" for letter in attention["layer_pattern"]]
        elif linear["kind"] == "KDA":
            keys |= {"ssm.conv_kernel": linear["conv_kernel"], "kda.head_dim": linear["head_dim"]}
        else:
            keys |= {
                "ssm.conv_kernel": linear["conv_kernel"],
                "ssm.inner_size": linear["n_value_heads"] * linear["value_head_dim"],
                "ssm.state_size": linear["key_head_dim"], "ssm.time_step_rank": linear["n_value_heads"],
                "ssm.group_count": linear["n_key_heads"],
                "attention.recurrent_layers": [letter == "L" for letter in attention["layer_pattern"]],
            }  # fmt: skip
    if conv := attention.get("short_conv"):
        keys["shortconv.l_cache"] = conv["kernel"]
    if shared := attention.get("kv_shared_layers"):
        keys["attention.shared_kv_layers"] = shared
    index = {**attention, **(attention.get("indexer") or {})}
    if index.get("index_topk"):
        keys |= {
            "attention.indexer.head_count": index["index_n_heads"],
            "attention.indexer.key_length": index["index_head_dim"], "attention.indexer.top_k": index["index_topk"],
        }  # fmt: skip
    if ratios := attention.get("compress_ratios"):
        keys["attention.compress_ratios"] = ratios
    if streams := attention.get("hc_mult"):
        keys["hyper_connection.count"] = streams
    return keys


def _one_or_all(values: list[int]) -> int | list[int]:
    return values[0] if len(set(values)) == 1 else values


def _of_layer(model: dict[str, Any], index: int) -> dict[str, Any]:
    """Sizes of one layer: those of its kind and its own over those of the model."""
    attention = model["attention"]
    kind = attention.get("swa" if attention["layer_pattern"][index] in "SC" else "full") or {}
    own = (attention.get("per_layer") or [{}] * model["n_layers"])[index]
    return {**model, **kind, **own}


def tensors(model: dict[str, Any], arch: str) -> Named:
    """Names and shapes of the tensors of ``model``."""
    hidden, vocabulary = model["hidden_size"], model["vocab_size"]
    yield "token_embd.weight", (hidden, vocabulary)
    for index in range(model["n_layers"]):
        for part, shape in _layer(_of_layer(model, index), arch, index):
            yield f"blk.{index}.{part}", shape
    if model["norms"].get("final", 1):
        name = "token_embd_norm" if arch in ("lfm2", "lfm2moe") else "output_norm"
        yield from _norm(model, name)
    if not model["tie_word_embeddings"]:
        yield "output.weight", (hidden, vocabulary)
    streams = model["attention"].get("hc_mult")
    if streams and (model["attention"].get("compress_ratios") or arch == "hy_v4"):
        yield "output_hc_fn.weight", (streams * hidden, streams)
        yield "output_hc_base.weight", (streams,)
        yield "output_hc_scale.weight", (1,)
    for extra in (model.get("extra_params") or ()) if arch != "hy_v4" else ():
        if row := extra.get("lookup_row"):
            yield "per_layer_token_embd.weight", (row, extra["params"] // row)
        elif extra["name"] == "time mix" and arch == "rwkv7":
            # The first decay of each layer tells RWKV 7 apart and is among the layers.
            yield "extra.time mix", (extra["params"] - model["n_layers"] * hidden,)
        else:
            yield f"extra.{extra['name']}"[:60], (extra["params"],)


def _norm(model: dict[str, Any], name: str) -> Named:
    yield f"{name}.weight", (model["hidden_size"],)
    if model["norms"].get("bias"):
        yield f"{name}.bias", (model["hidden_size"],)


def _layer(model: dict[str, Any], arch: str, index: int) -> Named:
    hidden, attention = model["hidden_size"], model["attention"]
    counts = model["norms"].get("per_layer", 2)
    count = int(counts[index] if isinstance(counts, str) else counts)
    letter, part = attention["layer_pattern"][index], model["mlp_pattern"][index]
    names = {4: _FOUR, 7: _SEVEN}.get(count, _NORMS.get(arch, ("attn_norm", "ffn_norm"))[:count])
    if arch == "deci" and letter == "N":
        names = ("ffn_norm",)[:count]
    for name in names:
        # The converter of Falcon-H1 leaves the suffix out.
        yield from ([(name, (hidden,))] if (arch, name) == ("falcon-h1", "ffn_norm") else _norm(model, name))
    if letter in "MP":
        yield from _state_space(hidden, attention["ssm"], arch)
    if letter == "L":
        linear = attention["linear"]
        if linear["kind"].startswith("RWKV"):
            yield from _rwkv(hidden, linear, model["intermediate_size"])
            return
        if linear["kind"] == "LightningAttention":
            yield from _lightning(hidden, linear)
        else:
            yield from (_kda(hidden, linear) if linear["kind"] == "KDA" else _delta_net(hidden, linear, arch))
    elif letter == "V":
        yield "shortconv.in_proj.weight", (hidden, 3 * hidden)
        yield "shortconv.conv.weight", (attention["short_conv"]["kernel"], hidden)
        yield "shortconv.out_proj.weight", (hidden, hidden)
    elif letter in "FSCP":
        if attention.get("compress_ratios"):
            yield from _compressed(model, attention["compress_ratios"][index])
        else:
            yield from (_latent(model, arch, index) if attention.get("mla") else _grouped(model, arch, letter))
    if part == "D":
        yield from _feed_forward(model, model["intermediate_size"], "", fused=arch in _FUSED_GATE)
    elif part == "E":
        yield from _experts(model, arch, index)


def _grouped(model: dict[str, Any], arch: str, letter: str) -> Named:
    hidden, attention = model["hidden_size"], model["attention"]
    dim, value_dim, heads = model["head_dim_k"], model["head_dim_v"], model["n_heads"]
    query, key, value = heads * dim, model["n_kv_heads"] * dim, model["n_kv_heads"] * value_dim
    wide = query * (2 if attention.get("output_gate") == "q_doubled" else 1)
    parts = [("q", wide), ("k", key)] + ([] if model.get("k_eq_v") else [("v", value)])
    for name, width in [("qkv", query + key + value)] if arch in _FUSED_QKV else parts:
        yield f"attn_{name}.weight", (hidden, width)
        if attention.get("qkv_bias"):
            yield f"attn_{name}.bias", (width,)
    yield "attn_output.weight", (heads * value_dim, hidden)
    if attention.get("o_bias"):
        yield "attn_output.bias", (hidden,)
    if gate := {"full": heads * value_dim, "per_head": heads}.get(attention.get("output_gate") or ""):
        yield "attn_gate.weight", (hidden, gate)
    norms = {"per_head": (dim, dim), "full": (query, key)}.get(attention["qk_norm"])
    if norms:
        yield "attn_q_norm.weight", (norms[0],)
        yield "attn_k_norm.weight", (norms[1],)
    sinks = attention.get("sinks")
    if sinks and (sinks != "swa_only_bias" or letter == "S"):
        yield "attn_sinks.weight", (heads,)


def _latent(model: dict[str, Any], arch: str, layer: int) -> Named:
    hidden, heads, attention = model["hidden_size"], model["n_heads"], model["attention"]
    mla = attention["mla"]
    rank, nope, rope, value = (mla[k] for k in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    if mla["q_lora_rank"]:
        yield "attn_q_a.weight", (hidden, mla["q_lora_rank"])
        yield "attn_q_a_norm.weight", (mla["q_lora_rank"],)
        yield "attn_q_b.weight", (mla["q_lora_rank"], heads * (nope + rope))
    else:
        yield "attn_q.weight", (hidden, heads * (nope + rope))
    yield "attn_kv_a_mqa.weight", (hidden, rank + rope)
    yield "attn_kv_a_norm.weight", (rank,)
    if arch in ("minicpm3", "plm"):
        yield "attn_kv_b.weight", (rank, heads * (nope + value))
    else:
        yield "attn_k_b.weight", (nope, rank, heads)
        yield "attn_v_b.weight", (rank, value, heads)
    yield "attn_output.weight", (heads * value, hidden)
    if gate := {"full": heads * value, "per_head": heads}.get(attention.get("output_gate") or ""):
        yield "attn_gate.weight", (hidden, gate)
    if arch == "hy_v4":
        yield "attn_sinks.weight", (heads,)
        yield from _streams(hidden, attention["hc_mult"], 2)
    index = attention.get("indexer")
    if index and index.get("layers", "f" * (layer + 1))[layer] == "f":
        yield "indexer.attn_q_b.weight", (mla["q_lora_rank"], index["index_n_heads"] * index["index_head_dim"])
        yield "indexer.attn_k.weight", (hidden, index["index_head_dim"])
        yield "indexer.k_norm.weight", (index["index_head_dim"],)
        yield "indexer.k_norm.bias", (index["index_head_dim"],)
        yield "indexer.proj.weight", (hidden, index["index_n_heads"])


def _streams(hidden: int, streams: int, scales: int) -> Named:
    """What mixes several residual streams before and behind both parts of a layer; a third scale mixes them among each other."""
    mixed = 2 * streams if scales == 2 else (2 + streams) * streams
    for part in ("attn", "ffn"):
        yield f"hc_{part}_fn.weight", (streams * hidden, mixed)
        yield f"hc_{part}_base.weight", (mixed,)
        yield f"hc_{part}_scale.weight", (scales,)


def _compressed(model: dict[str, Any], ratio: int) -> Named:
    hidden, heads, dim, attention = model["hidden_size"], model["n_heads"], model["head_dim_k"], model["attention"]
    query, streams = attention["q_lora_rank"], attention["hc_mult"]
    output = attention["o_groups"] * attention["o_lora_rank"]
    yield "attn_sinks.weight", (heads,)
    yield "attn_q_a.weight", (hidden, query)
    yield "attn_q_a_norm.weight", (query,)
    yield "attn_q_b.weight", (query, heads * dim)
    yield "attn_kv.weight", (hidden, dim)
    yield "attn_kv_a_norm.weight", (dim,)
    yield "attn_output_a.weight", (heads * dim // attention["o_groups"], output)
    yield "attn_output_b.weight", (output, hidden)
    yield from _streams(hidden, streams, 3)
    if ratio:
        doubled = 2 if ratio == 4 else 1
        for name in ("kv", "gate"):
            yield f"attn_compressor_{name}.weight", (hidden, doubled * dim)
        yield "attn_compressor_ape.weight", (doubled * dim, ratio)
        yield "attn_compressor_norm.weight", (dim,)
    if ratio == 4:
        inner, rows = attention["index_head_dim"], attention["index_n_heads"]
        yield "indexer.proj.weight", (hidden, rows)
        yield "indexer.attn_q_b.weight", (query, rows * inner)
        for name in ("kv", "gate"):
            yield f"indexer.compressor_{name}.weight", (hidden, 2 * inner)
        yield "indexer.compressor_ape.weight", (2 * inner, ratio)
        yield "indexer.compressor_norm.weight", (inner,)


def _state_space(hidden: int, ssm: dict[str, Any], arch: str) -> Named:
    inner, state, kernel = ssm["d_inner"], ssm["d_state"], ssm["conv_kernel"]
    if ssm["kind"] == "Mamba1":
        rank, heads = ssm["dt_rank"], ssm.get("n_heads")
        yield "ssm_in.weight", (hidden, 2 * inner)
        yield "ssm_conv1d.weight", (kernel, inner)
        if not heads:
            yield "ssm_conv1d.bias", (inner,)
        yield "ssm_x.weight", (inner, rank + 2 * state)
        yield "ssm_dt.weight", (rank, heads or inner)
        yield "ssm_dt.bias", (heads or inner,)
        yield "ssm_a", ((heads,) if heads else (state, inner))
        yield "ssm_d", (heads or inner,)
        if arch in ("jamba", "plamo2"):
            yield "ssm_dt_norm.weight", (rank,)
            yield "ssm_b_norm.weight", (state,)
            yield "ssm_c_norm.weight", (state,)
    else:
        heads, groups = ssm["n_heads"], 2 * ssm["n_groups"] * state
        yield "ssm_in.weight", (hidden, 2 * inner + groups + heads)
        yield "ssm_conv1d.weight", (kernel, inner + groups)
        yield "ssm_conv1d.bias", (inner + groups,)
        yield "ssm_dt.bias", (heads,)
        yield "ssm_a", (1, heads)
        yield "ssm_d", (1, heads)
        if ssm.get("gated_norm", True):
            yield "ssm_norm.weight", (inner // ssm["n_groups"], ssm["n_groups"])
    yield "ssm_out.weight", (inner, hidden)


def _delta_net(hidden: int, linear: dict[str, Any], arch: str) -> Named:
    key, heads = linear["n_key_heads"] * linear["key_head_dim"], linear["n_value_heads"]
    value = heads * linear["value_head_dim"]
    yield "attn_qkv.weight", (hidden, 2 * key + value)
    yield "attn_gate.weight", (hidden, value)
    yield "ssm_conv1d.weight", (linear["conv_kernel"], 2 * key + value)
    yield "ssm_dt.bias", (heads,)
    yield "ssm_a", (heads,)
    if arch == "qwen3next":
        yield "ssm_ba.weight", (hidden, 2 * heads)
    else:
        yield "ssm_alpha.weight", (hidden, heads)
        yield "ssm_beta.weight", (hidden, heads)
    yield "ssm_norm.weight", (linear["value_head_dim"],)
    yield "ssm_out.weight", (value, hidden)


def _lightning(hidden: int, linear: dict[str, Any]) -> Named:
    width = linear["n_heads"] * linear["head_dim"]
    yield "attn_norm_2.weight", (width,)
    yield "attn_qkv.weight", (hidden, 3 * width)
    yield "attn_gate.weight", (hidden, width)
    yield "attn_output.weight", (width, hidden)


def _kda(hidden: int, linear: dict[str, Any]) -> Named:
    dim, heads, kernel = linear["head_dim"], linear["n_heads"], linear["conv_kernel"]
    wide = heads * dim
    for name in "qkv":
        yield f"attn_{name}.weight", (hidden, wide)
        yield f"ssm_conv1d_{name}.weight", (kernel, 1, wide)
    for name, is_full in (("f", linear.get("full_rank_decay")), ("g", linear.get("full_rank_gate"))):
        if is_full:
            yield f"ssm_{name}_a.weight", (hidden, wide)
        else:
            yield f"ssm_{name}_a.weight", (hidden, dim)
            yield f"ssm_{name}_b.weight", (dim, wide)
    yield "ssm_beta.weight", (hidden, heads)
    yield "ssm_a", (1, heads)
    yield "ssm_dt.bias", (wide,)
    yield "ssm_norm.weight", (dim,)
    yield "attn_output.weight", (wide, hidden)


def _rwkv(hidden: int, linear: dict[str, Any], width: int) -> Named:
    """The large matrices of RWKV; the rest is among the extra parameters."""
    value = linear["n_heads"] * linear["head_dim"]
    for name in ("receptance", "key", "value", *(("gate",) if linear["kind"] == "RWKV6" else ())):
        yield f"time_mix_{name}.weight", (hidden, value)
    yield "time_mix_output.weight", (value, hidden)
    if linear["kind"] == "RWKV7":
        yield "time_mix_w0.weight", (hidden,)
    yield "channel_mix_key.weight", (hidden, width)
    yield "channel_mix_value.weight", (width, hidden)
    if linear["kind"] == "RWKV6":
        yield "channel_mix_receptance.weight", (hidden, hidden)


def _feed_forward(model: dict[str, Any], width: int, suffix: str, *, row: int = 0, fused: bool = False) -> Named:
    row, mlp = row or model["hidden_size"], model["mlp"]
    names = ["up", "down"] if fused or not mlp["gated"] else ["gate", "up", "down"]
    for name in names:
        shape = (width, row) if name == "down" else (row, width * (2 if fused else 1))
        yield f"ffn_{name}{suffix}.weight", shape
        if mlp.get("bias") and not suffix:
            yield f"ffn_{name}.bias", (shape[1],)


def _experts(model: dict[str, Any], arch: str, index: int) -> Named:
    hidden, moe = model["hidden_size"], model["moe"]
    count, width, inner = moe["n_experts"], moe["moe_intermediate_size"], moe.get("latent_size")
    yield "ffn_gate_inp.weight", (hidden, count)
    for name, shape in _feed_forward(model, width, "_exps", row=inner or hidden):
        yield name, (*shape, count)
        if moe.get("expert_bias_params"):
            yield name.replace(".weight", ".bias"), (shape[1], count)
    if groups := moe.get("n_grouped_experts"):
        for name, shape in _feed_forward(model, moe["grouped_intermediate_size"], "_chexps"):
            yield name, (*shape, groups)
    if inner:
        yield "ffn_latent_down.weight", (hidden, inner)
        yield "ffn_latent_up.weight", (inner, hidden)
    if moe["router_bias"] and index >= (model["attention"].get("num_hash_moe_layers") or 0):
        yield ("ffn_gate_inp.bias" if arch == "gpt-oss" else "exp_probs_b.bias"), (count,)
    if moe["n_shared_experts"]:
        yield from _feed_forward(model, moe["shared_intermediate_size"], "_shexp")
    if moe.get("dense_parallel"):
        yield from _feed_forward(model, model["intermediate_size"], "")
    if moe.get("shared_gate"):
        yield "ffn_gate_inp_shexp.weight", (hidden,)
