"""Configurations of small models that nobody published, and their parameter counts worked out by hand."""

from __future__ import annotations

from typing import Any

#: A model of two layers.
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "num_hidden_layers": 2, "vocab_size": 500,
    "max_position_embeddings": 4096, "tie_word_embeddings": False, "hidden_act": "silu", "rms_norm_eps": 1e-5,
    "attention_bias": False, "mlp_bias": False, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
}  # fmt: skip
#: Two embeddings, and a layer of q and o (64 x 64), k and v (64 x 32), three matrices of 64 x 96, two norms; a last norm.
LLAMA_PARAMETERS = 2 * 500 * 64 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96 + 2 * 64) + 64
