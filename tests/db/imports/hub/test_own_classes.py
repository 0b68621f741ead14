"""Classes whose modelling code lies in their repositories and not in the transformers library."""

from __future__ import annotations

from typing import Any

import pytest

from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from estimator.structure.architecture import architecture_from_facts
from estimator.structure.kv_cache import cache_shape

_LAYERS, _WIDTH, _HEAD = 28, 2048, 64


def _divisible(value: float, divisor: int) -> int:
    width = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return width + divisor if width < 0.9 * value else width


def _spread(first: float, last: float) -> list[float]:
    """One number a layer, as the configuration class of OpenELM rounds them."""
    return [round(first + (last - first) * layer / (_LAYERS - 1), 2) for layer in range(_LAYERS)]


_QUERIES = [_divisible(_WIDTH * factor, 4 * _HEAD) // _HEAD for factor in _spread(0.5, 1.0)]
#: The 1.1B model: its checkpoint has 1,079,891,456 parameters (list in PyPI llmfit 1.1.17).
OPENELM: dict[str, Any] = {
    "architectures": ["OpenELMForCausalLM"], "model_type": "openelm", "model_dim": _WIDTH, "head_dim": _HEAD,
    "num_transformer_layers": _LAYERS, "num_query_heads": _QUERIES, "num_kv_heads": [count // 4 for count in _QUERIES],
    "ffn_multipliers": _spread(0.5, 4.0), "ffn_dim_divisor": 256, "normalize_qk_projections": True,
    "share_input_output_layers": True, "vocab_size": 32000, "max_context_length": 2048,
}  # fmt: skip


def test_heads_and_widths_that_grow_with_depth_are_read() -> None:
    facts = facts_from_config(OPENELM)
    assert facts["params_computed"]["text_total"] == 1_079_891_456
    cache = cache_shape(architecture_from_facts(facts))
    assert cache.full_elements.sum() == sum(count // 4 for count in _QUERIES) * 2 * _HEAD


@pytest.mark.parametrize("key", ["num_query_heads", "ffn_multipliers"])
def test_a_list_shorter_than_the_layers_is_refused(key: str) -> None:
    with pytest.raises(ImportFactsError, match="one for each of the 28 layers"):
        facts_from_config(OPENELM | {key: OPENELM[key][:3]})


def test_phi_3_small_has_biases_and_a_doubled_gate() -> None:
    config = {
        "architectures": ["Phi3SmallForCausalLM"], "model_type": "phi3small", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "ff_intermediate_size": 14336, "vocab_size": 100352,
        "blocksparse_block_size": 64, "dense_attention_every_n_layers": 2, "max_position_embeddings": 8192,
    }  # fmt: skip
    # The count of microsoft/Phi-3-small-128k-instruct in PyPI llmfit 1.1.17.
    assert facts_from_config(config)["params_computed"]["text_total"] == 7_392_272_384


def test_small_thinker_names_its_experts_and_windows_by_layer() -> None:
    config = {
        "model_type": "smallthinker", "head_dim": 128, "hidden_size": 2560, "num_hidden_layers": 8,
        "num_attention_heads": 28, "num_key_value_heads": 4, "moe_ffn_hidden_size": 768, "moe_num_primary_experts": 64,
        "moe_num_active_primary_experts": 6, "moe_layer_layout": [1] * 8, "sliding_window_layout": [0, 1, 1, 1] * 2,
        "sliding_window_size": 4096, "vocab_size": 151936, "max_position_embeddings": 16384,
    }  # fmt: skip
    facts = facts_from_config(config)
    assert facts["attention"]["layer_pattern"] == "FSSSFSSS"
    assert (facts["moe"]["n_experts"], facts["moe"]["experts_per_token"], facts["mlp_pattern"]) == (64, 6, "E" * 8)


_LLAMA = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 128, "vocab_size": 500, "max_position_embeddings": 2048,
}  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ({"architectures": ["YiForCausalLM"], "model_type": "Yi"}, "LlamaForCausalLM"),
        ({"architectures": ["AquilaModel"], "model_type": "aquila"}, "LlamaForCausalLM"),
        ({"model_type": "xverse"}, "LlamaForCausalLM"),
        ({"architectures": ["StableLMEpochForCausalLM"], "model_type": "stablelm_epoch"}, "StableLmForCausalLM"),
        ({"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": 2.6}, "Qwen2ForCausalLM"),
        ({"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": "4.5"}, "Qwen3ForCausalLM"),
        ({"architectures": ["MiniCPMO"], "model_type": "minicpmo", "version": "2.6"}, "Qwen2ForCausalLM"),
    ],
)
def test_a_class_of_a_known_structure_is_read_as_it(stated: dict[str, Any], name: str) -> None:
    facts = facts_from_config(_LLAMA | stated)
    assert facts["architecture"] == name
    assert facts["attention"]["qkv_bias"] is (name == "Qwen2ForCausalLM")


def test_a_version_that_is_not_known_is_refused() -> None:
    with pytest.raises(ImportFactsError, match="'MiniCPMV' is not known"):
        facts_from_config(_LLAMA | {"architectures": ["MiniCPMV"], "model_type": "minicpmv", "version": 9.9})


def test_axk2_has_gated_norms_and_an_output_gate() -> None:
    config = {
        "model_type": "axk2", "vocab_size": 163840, "hidden_size": 2048, "intermediate_size": 5120,
        "moe_intermediate_size": 512, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 32,
        "n_shared_experts": 1, "n_routed_experts": 128, "num_experts_per_tok": 8, "kv_lora_rank": 128, "q_lora_rank": 384,
        "qk_rope_head_dim": 32, "v_head_dim": 64, "qk_nope_head_dim": 64, "index_topk": 2048, "index_head_dim": 128,
        "index_n_heads": 16, "gated_norm_rank": 16, "first_k_dense_replace": 1, "max_position_embeddings": 131072,
    }  # fmt: skip
    # The class on a device without memory has 20,314,494,976 parameters, beside the biases of 47 routers.
    assert facts_from_config(config)["params_computed"]["text_total"] == 20_314_494_976 + 47 * 128
