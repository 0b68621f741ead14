"""Small models of many architectures: their facts as the catalog states them, and the GGUF files that hold them.

llama.cpp's loader refuses a file with a tensor too many, too few or of another shape; so the names and shapes of
``shapes.py`` are right when a file loads, whatever the estimator says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from tests.support.gguf_files.shapes import metadata, tensors

Shapes = dict[str, tuple[int, ...]]
HEAD_DIM, EXPERT_WIDTH = 64, 256
_MLA = {"q_lora_rank": None, "kv_lora_rank": 256, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64}


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
        """The estimator's view of the facts; the totals are those of the file."""
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
    shapes = dict(tensors(model, arch))
    return EngineModel(model["slug"], model, arch, {**metadata(model, arch), **keys}, shapes)


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
