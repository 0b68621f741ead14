"""Small models of many architectures: their facts as the catalog states them, and the GGUF files that hold them.

Names and shapes of tensors are those that llama.cpp's loader asks for (its ``load_arch_tensors``), which refuses a file
with one too many, one too few or one of another shape; so the file is right when it loads, whatever the estimator says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from estimator.structure.architecture import ModelArchitecture, architecture_from_facts

#: A tensor: name and shape, row length first (ggml's order).
Shapes = dict[str, tuple[int, ...]]
HEAD_DIM, EXPERT_WIDTH = 64, 256
_MLA = {"q_lora_rank": None, "kv_lora_rank": 256, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64}
_FUSED_QKV = {"Phi3ForCausalLM"}
_NORMS = {
    "GptOssForCausalLM": ("attn_norm", "post_attention_norm"),
    "Qwen3NextForCausalLM": ("attn_norm", "post_attention_norm"),
    "Qwen3_5ForConditionalGeneration": ("attn_norm", "post_attention_norm"),
}


@dataclass(frozen=True)
class Size:
    """How large the small models are; attention is as wide as the model, in heads of 64, four to a key head."""

    hidden: int
    layers: int
    width: int
    vocabulary: int

    @property
    def heads(self) -> int:
        """Query heads."""
        return self.hidden // HEAD_DIM


#: Many thin layers, as recipes count layers; few wide ones under a large vocabulary, as buffers depend on widths.
FOR_RECIPES, FOR_BUFFERS = Size(256, 16, 512, 512), Size(768, 4, 2304, 65536)


@dataclass(frozen=True)
class EngineModel:
    """A model as its facts and as a GGUF file's metadata and tensors; ``arch`` is llama.cpp's name of its kind."""

    name: str
    facts: dict[str, Any]
    arch: str
    keys: dict[str, Any]
    tensors: Shapes

    @property
    def structure(self) -> ModelArchitecture:
        """What the estimator makes of the facts; the totals are those of the file."""
        total = sum(int(np.prod(shape)) for shape in self.tensors.values())
        counts = {"text_total": total, "text_active": total}
        return architecture_from_facts({**self.facts, "params_computed": counts})

    def write(self, path: Path, *, seed: int = 0) -> Path:
        """Write the file with random weights: matrices in F16, everything that is never quantized in F32."""
        noise = np.random.default_rng(seed).standard_normal(1 << 20, dtype=np.float32) * np.float32(0.02)
        half = noise.astype(np.float16)
        writer = gguf.GGUFWriter(path, self.arch)
        for key, value in {"context_length": 32768, "vocab_size": self.facts["vocab_size"], **self.keys}.items():
            name = f"{self.arch}.{key}"
            if isinstance(value, list):
                writer.add_array(name, value)
            elif isinstance(value, float):
                writer.add_float32(name, value)
            else:
                writer.add_uint32(name, value)
        writer.add_tokenizer_model("no_vocab")
        for name, shape in self.tensors.items():
            values = np.resize(noise if _is_kept(name, shape) else half, shape[::-1])
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


def _is_kept(name: str, shape: tuple[int, ...]) -> bool:
    small = ("_norm.", "ffn_gate_inp", "conv1d", "shortconv.conv", ".bias")
    return len(shape) < 2 or name.endswith(("ssm_a", "ssm_d")) or any(part in name for part in small)


def facts(
    size: Size, architecture: str, name: str, pattern: str = "F", mlp: str = "D", **others: Any
) -> dict[str, Any]:
    """Facts of a small model; ``pattern`` and ``mlp`` are repeated to the number of layers, ``attention`` is merged."""
    layers = others.pop("n_layers", size.layers)
    attention = {
        "layer_pattern": (pattern * layers)[:layers], "sliding_window": None, "qk_norm": "none",
        **others.pop("attention", {}),
    }  # fmt: skip
    moe = {
        "n_experts": 16, "experts_per_token": 4, "moe_intermediate_size": EXPERT_WIDTH, "n_shared_experts": 0,
        "shared_intermediate_size": None, "router_bias": False, **others.pop("moe", {}),
    }  # fmt: skip
    return {
        "slug": name, "name": name, "architecture": architecture, "context_length": 32768, "hidden_size": size.hidden,
        "n_layers": layers, "n_heads": size.heads, "n_kv_heads": size.heads // 4, "head_dim_k": HEAD_DIM,
        "head_dim_v": HEAD_DIM, "intermediate_size": size.width, "vocab_size": size.vocabulary, "tie_word_embeddings": False,
        "attention": attention,
        "mlp": {"gated": True, "bias": False}, "norms": {"per_layer": 2, "bias": False}, "moe": moe,
        "mlp_pattern": (mlp * layers)[:layers], **others,
    }  # fmt: skip


def engine_model(model: dict[str, Any], arch: str, **keys: Any) -> EngineModel:
    """The GGUF file of ``model``; ``keys`` are metadata beyond what its sizes give."""
    attention = model["attention"]
    pattern, mla = attention["layer_pattern"], attention.get("mla")
    sizes: dict[str, Any] = {
        "embedding_length": model["hidden_size"], "block_count": model["n_layers"], "feed_forward_length": model[
            "intermediate_size"], "attention.layer_norm_rms_epsilon": 1e-5,
    }  # fmt: skip
    if set(pattern) - set("M") or arch == "granitehybrid":
        kv_heads = 1 if mla else model["n_kv_heads"]
        sparse = arch in ("granitehybrid", "kimi-linear", "lfm2")
        heads = [kv_heads if letter == "F" else 0 for letter in pattern] if sparse else kv_heads
        key_dim = mla["kv_lora_rank"] + mla["qk_rope_head_dim"] if mla else model["head_dim_k"]
        sizes |= {
            "attention.head_count": model["n_heads"], "attention.head_count_kv": heads,
            "attention.key_length": key_dim, "attention.value_length": mla["kv_lora_rank"] if mla else model["head_dim_v"],
            "rope.dimension_count": mla["qk_rope_head_dim"] if mla else model["head_dim_k"],
        }  # fmt: skip
    if mla:
        sizes |= {
            "attention.kv_lora_rank": mla["kv_lora_rank"],
            "attention.key_length_mla": mla["qk_nope_head_dim"] + mla["qk_rope_head_dim"],
            "attention.value_length_mla": mla["v_head_dim"],
        }
        if mla["q_lora_rank"]:
            sizes["attention.q_lora_rank"] = mla["q_lora_rank"]
    if attention["sliding_window"]:
        sizes["attention.sliding_window"] = attention["sliding_window"]
        sizes["attention.sliding_window_pattern"] = [letter == "S" for letter in pattern]
    if "E" in model["mlp_pattern"]:
        moe = model["moe"]
        sizes |= {"expert_count": moe["n_experts"], "expert_used_count": moe["experts_per_token"]}
        if arch not in ("llama", "granitehybrid"):
            sizes["expert_feed_forward_length"] = moe["moe_intermediate_size"]
    if ssm := attention.get("ssm"):
        sizes |= {
            "ssm.conv_kernel": ssm["conv_kernel"], "ssm.inner_size": ssm["d_inner"], "ssm.state_size": ssm["d_state"],
            "ssm.time_step_rank": ssm.get("dt_rank") or ssm["n_heads"],
        }  # fmt: skip
        if "n_groups" in ssm:
            sizes["ssm.group_count"] = ssm["n_groups"]
    if linear := attention.get("linear"):
        sizes["ssm.conv_kernel"] = linear["conv_kernel"]
        if linear["kind"] == "KDA":
            sizes["kda.head_dim"] = linear["head_dim"]
        else:
            sizes |= {
                "ssm.inner_size": linear["n_value_heads"] * linear["value_head_dim"],
                "ssm.state_size": linear["key_head_dim"], "ssm.time_step_rank": linear["n_value_heads"],
                "ssm.group_count": linear["n_key_heads"], "attention.recurrent_layers": [each == "L" for each in pattern],
            }  # fmt: skip
    if conv := attention.get("short_conv"):
        sizes["shortconv.l_cache"] = conv["kernel"]
    return EngineModel(model["slug"], model, arch, {**sizes, **keys}, dict(_tensors(model, arch)))


def _tensors(model: dict[str, Any], arch: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden = model["hidden_size"]
    yield "token_embd.weight", (hidden, model["vocab_size"])
    for index in range(model["n_layers"]):
        for part, shape in _layer(model, arch, index):
            yield f"blk.{index}.{part}", shape
    yield ("token_embd_norm.weight" if arch == "lfm2" else "output_norm.weight"), (hidden,)
    if not model["tie_word_embeddings"]:
        yield "output.weight", (hidden, model["vocab_size"])


def _layer(model: dict[str, Any], arch: str, index: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, attention = model["hidden_size"], model["attention"]
    four = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
    count = model["norms"]["per_layer"]
    names = four if count == 4 else _NORMS.get(model["architecture"], ("attn_norm", "ffn_norm"))[:count]
    for name in names:
        yield (name if (arch, name) == ("falcon-h1", "ffn_norm") else f"{name}.weight"), (hidden,)
    letter = attention["layer_pattern"][index]
    if letter in "MP":
        yield from _state_space(hidden, attention["ssm"])
    if letter == "L":
        linear = attention["linear"]
        yield from (_kda(hidden, linear) if linear["kind"] == "KDA" else _delta_net(hidden, linear, arch))
    elif letter == "V":
        yield "shortconv.in_proj.weight", (hidden, 3 * hidden)
        yield "shortconv.conv.weight", (attention["short_conv"]["kernel"], hidden)
        yield "shortconv.out_proj.weight", (hidden, hidden)
    elif letter in "FSCP":
        yield from (_latent(model) if attention.get("mla") else _grouped(model))
    if model["mlp_pattern"][index] == "D":
        yield from _feed_forward(hidden, model["intermediate_size"], "", fused=arch == "phi3")
    elif model["mlp_pattern"][index] == "E":
        yield from _experts(hidden, model["moe"], arch)


def _grouped(model: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, attention, dim = model["hidden_size"], model["attention"], model["head_dim_k"]
    query, key = model["n_heads"] * dim, model["n_kv_heads"] * dim
    wide = query * (2 if attention.get("output_gate") == "q_doubled" else 1)
    if model["architecture"] in _FUSED_QKV:
        yield "attn_qkv.weight", (hidden, query + 2 * key)
    else:
        for name, width in (("q", wide), ("k", key), ("v", key)):
            yield f"attn_{name}.weight", (hidden, width)
            if attention.get("qkv_bias"):
                yield f"attn_{name}.bias", (width,)
    yield "attn_output.weight", (query, hidden)
    if attention.get("o_bias"):
        yield "attn_output.bias", (hidden,)
    if attention["qk_norm"] == "per_head":
        yield "attn_q_norm.weight", (dim,)
        yield "attn_k_norm.weight", (dim,)
    if attention.get("sinks"):
        yield "attn_sinks.weight", (model["n_heads"],)


def _latent(model: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, heads, mla = model["hidden_size"], model["n_heads"], model["attention"]["mla"]
    rank, nope, rope, value = (mla[k] for k in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    if mla["q_lora_rank"]:
        yield "attn_q_a.weight", (hidden, mla["q_lora_rank"])
        yield "attn_q_a_norm.weight", (mla["q_lora_rank"],)
        yield "attn_q_b.weight", (mla["q_lora_rank"], heads * (nope + rope))
    else:
        yield "attn_q.weight", (hidden, heads * (nope + rope))
    yield "attn_kv_a_mqa.weight", (hidden, rank + rope)
    yield "attn_kv_a_norm.weight", (rank,)
    yield "attn_k_b.weight", (nope, rank, heads)
    yield "attn_v_b.weight", (rank, value, heads)
    yield "attn_output.weight", (heads * value, hidden)


def _state_space(hidden: int, ssm: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    inner, state, kernel = ssm["d_inner"], ssm["d_state"], ssm["conv_kernel"]
    if ssm["kind"] == "Mamba1":
        rank = ssm["dt_rank"]
        yield "ssm_in.weight", (hidden, 2 * inner)
        yield "ssm_conv1d.weight", (kernel, inner)
        yield "ssm_conv1d.bias", (inner,)
        yield "ssm_x.weight", (inner, rank + 2 * state)
        yield "ssm_dt.weight", (rank, inner)
        yield "ssm_dt.bias", (inner,)
        yield "ssm_a", (state, inner)
        yield "ssm_d", (inner,)
    else:
        heads, groups = ssm["n_heads"], 2 * ssm["n_groups"] * state
        yield "ssm_in.weight", (hidden, 2 * inner + groups + heads)
        yield "ssm_conv1d.weight", (kernel, inner + groups)
        yield "ssm_conv1d.bias", (inner + groups,)
        yield "ssm_dt.bias", (heads,)
        yield "ssm_a", (1, heads)
        yield "ssm_d", (1, heads)
        yield "ssm_norm.weight", (inner // ssm["n_groups"], ssm["n_groups"])
    yield "ssm_out.weight", (inner, hidden)


def _delta_net(hidden: int, linear: dict[str, Any], arch: str) -> Iterator[tuple[str, tuple[int, ...]]]:
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


def _kda(hidden: int, linear: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    dim, heads, kernel = linear["head_dim"], linear["n_heads"], linear["conv_kernel"]
    wide = heads * dim
    for name in "qkv":
        yield f"attn_{name}.weight", (hidden, wide)
        yield f"ssm_conv1d_{name}.weight", (kernel, 1, wide)
    for name in "fg":
        yield f"ssm_{name}_a.weight", (hidden, dim)
        yield f"ssm_{name}_b.weight", (dim, wide)
    yield "ssm_beta.weight", (hidden, heads)
    yield "ssm_a", (1, heads)
    yield "ssm_dt.bias", (wide,)
    yield "ssm_norm.weight", (dim,)
    yield "attn_output.weight", (wide, hidden)


def _feed_forward(
    hidden: int, width: int, suffix: str, *, fused: bool = False
) -> Iterator[tuple[str, tuple[int, ...]]]:
    if not fused:
        yield f"ffn_gate{suffix}.weight", (hidden, width)
    yield f"ffn_up{suffix}.weight", (hidden, width * (2 if fused else 1))
    yield f"ffn_down{suffix}.weight", (width, hidden)


def _experts(hidden: int, moe: dict[str, Any], arch: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    count, width = moe["n_experts"], moe["moe_intermediate_size"]
    yield "ffn_gate_inp.weight", (hidden, count)
    for name, shape in _feed_forward(hidden, width, "_exps"):
        yield name, (*shape, count)
        if moe.get("expert_bias_params"):
            yield name.replace(".weight", ".bias"), (shape[1], count)
    if moe["router_bias"]:
        yield ("ffn_gate_inp.bias" if arch == "gpt-oss" else "exp_probs_b.bias"), (count,)
    if moe["shared_intermediate_size"]:
        yield from _feed_forward(hidden, moe["shared_intermediate_size"], "_shexp")
    if moe.get("shared_gate"):
        yield "ffn_gate_inp_shexp.weight", (hidden,)


def small_models(size: Size) -> tuple[EngineModel, ...]:
    """One small model of each architecture under test."""
    heads, hidden = size.heads, size.hidden
    mamba2 = {
        "kind": "Mamba2", "d_inner": 2 * hidden, "n_heads": 2 * heads, "d_state": 64, "n_groups": 1, "conv_kernel": 4,
    }  # fmt: skip
    delta = {
        "kind": "GatedDeltaNet", "n_key_heads": heads, "n_value_heads": 2 * heads, "key_head_dim": 64,
        "value_head_dim": 64, "conv_kernel": 4,
    }  # fmt: skip
    gated = {"linear": delta, "qk_norm": "per_head", "output_gate": "q_doubled"}
    shared = {"n_shared_experts": 2, "shared_intermediate_size": 2 * EXPERT_WIDTH}
    one_shared = {"n_shared_experts": 1, "shared_intermediate_size": EXPERT_WIDTH}
    per_head = {"qk_norm": "per_head"}

    def of(*args: Any, **others: Any) -> dict[str, Any]:
        return facts(size, *args, **others)

    return (
        engine_model(of("LlamaForCausalLM", "llama"), "llama"),
        engine_model(of("MixtralForCausalLM", "mixtral", mlp="E", intermediate_size=size.width // 4, moe={
            "n_experts": 8, "experts_per_token": 2, "moe_intermediate_size": size.width // 4}), "llama"),
        engine_model(of("Qwen2ForCausalLM", "qwen2", tie_word_embeddings=True, attention={"qkv_bias": True}), "qwen2"),
        engine_model(of("Qwen3ForCausalLM", "qwen3", n_kv_heads=heads // 2, head_dim_k=128, head_dim_v=128,
                        attention=per_head), "qwen3"),
        engine_model(of("Qwen3MoeForCausalLM", "qwen3moe", mlp="E", attention=per_head), "qwen3moe"),
        engine_model(of("Gemma2ForCausalLM", "gemma2", "SF", tie_word_embeddings=True, norms={"per_layer": 4},
                        attention={"sliding_window": 1024}), "gemma2"),
        engine_model(of("Gemma3ForCausalLM", "gemma3", "SSF", tie_word_embeddings=True, norms={"per_layer": 4},
                        attention={"sliding_window": 512, **per_head}), "gemma3"),
        engine_model(of("Phi3ForCausalLM", "phi3", n_kv_heads=heads // 2), "phi3"),
        engine_model(of("GptOssForCausalLM", "gpt-oss", "SF", "E", attention={
            "sliding_window": 128, "qkv_bias": True, "o_bias": True, "sinks": True},
            moe={"router_bias": True, "expert_bias_params": 2 * EXPERT_WIDTH + hidden}), "gpt-oss"),
        engine_model(of("DeepseekV2ForCausalLM", "deepseek2", mlp="D" + "E" * 31, attention={"mla": _MLA}, moe=shared,
                        n_kv_heads=heads, head_dim_k=96), "deepseek2", leading_dense_block_count=1,
                     expert_shared_count=2, **{"attention.q_lora_rank": 0}),
        engine_model(of("FalconMambaForCausalLM", "mamba", "M", "N", norms={"per_layer": 1}, attention={
            "ssm": {"kind": "Mamba1", "d_inner": 2 * hidden, "d_state": 16, "conv_kernel": 4, "dt_rank": 32}}), "mamba"),
        engine_model(of("GraniteMoeHybridForCausalLM", "granitehybrid", "MMMF", "E", tie_word_embeddings=True,
                        intermediate_size=EXPERT_WIDTH, attention={"ssm": mamba2}, moe=one_shared),
                     "granitehybrid", expert_shared_feed_forward_length=EXPERT_WIDTH),
        engine_model(of("FalconH1ForCausalLM", "falcon-h1", "P", attention={"ssm": mamba2}), "falcon-h1"),
        engine_model(of("Qwen3NextForCausalLM", "qwen3next", "LLLF", "E", attention=gated,
                        moe={**one_shared, "shared_gate": True}),
                     "qwen3next", expert_shared_feed_forward_length=EXPERT_WIDTH),
        engine_model(of("Qwen3_5ForConditionalGeneration", "qwen35", "LLLF", attention=gated), "qwen35",
                     **{"rope.dimension_sections": [11, 11, 10, 0]}),
        engine_model(of("KimiLinearForCausalLM", "kimi-linear", "LLLF", "D" + "E" * 31, n_kv_heads=heads, attention={
            "mla": _MLA, "linear": {"kind": "KDA", "n_heads": heads, "head_dim": 64, "conv_kernel": 4}},
            moe={**one_shared, "router_bias": True}), "kimi-linear",
            leading_dense_block_count=1, expert_shared_count=1, expert_gating_func=2),
        engine_model(of("Lfm2ForCausalLM", "lfm2", "VVF", tie_word_embeddings=True,
                        attention={**per_head, "short_conv": {"kernel": 3}}), "lfm2"),
    )  # fmt: skip


def odd_models() -> tuple[EngineModel, ...]:
    """Models at the edges of recipes: 80 layers, which the quantizer takes for a 70B, and rows that no block divides."""
    size = FOR_RECIPES
    return (
        engine_model(facts(size, "LlamaForCausalLM", "80 layers", n_layers=80), "llama"),
        engine_model(facts(size, "LlamaForCausalLM", "rows of 544", hidden_size=544, intermediate_size=1440, n_heads=16,
                           n_kv_heads=8, head_dim_k=34, head_dim_v=34), "llama"),
        engine_model(facts(size, "Qwen2ForCausalLM", "rows of 272", hidden_size=272, intermediate_size=720, n_heads=8,
                           n_kv_heads=2, head_dim_k=34, head_dim_v=34, attention={"qkv_bias": True},
                           tie_word_embeddings=True), "qwen2"),
    )  # fmt: skip
