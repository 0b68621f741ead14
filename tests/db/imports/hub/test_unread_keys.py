"""Keys about the structure: read, or refused by name; never passed over."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from tests.api.answers.test_own_hardware import LLAMA
from tests.db.imports.hub.test_architectures import CONFIGS

#: Keys that a class writes beside those that say the same, and kinds of parts that a model does not have.
SAID_ELSEWHERE = {
    "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings", "intermediate_size", "n_layers",
    "num_hidden_layers", "first_k_dense_replace", "num_hash_layers", "index_topk", "indexer_budget",
    "indexer_compress_ratio", "expand",
    "mamba_expand", "eos_token_id",
    "moe_intermediate_size", "n_shared_experts", "num_shared_experts", "sliding_window", "conv_dim", "n_groups",
    "clip_qkv", "block_multiple_of", "swa_num_attention_heads", "block_ff_dim", "hidden_size_per_layer_input",
    "shared_intermediate_size",
    "num_experts_per_tok", "num_local_experts", "n_routed_experts",
}  # fmt: skip


def doubled(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each whole number of the language model's part, doubled in a copy."""
    text = config.get("text_config", config)
    for key, value in text.items():
        parts = value.items() if isinstance(value, dict) and key != "vision_config" else ((key, value),)
        for inner, number in parts:
            if type(number) is int and number > 1:
                changed = copy.deepcopy(config)
                place = changed.get("text_config", changed)
                (place[key] if isinstance(value, dict) else place)[inner] = 2 * number
                yield inner, changed


@pytest.mark.parametrize("slug", CONFIGS)
def test_a_number_that_doubles_changes_the_model_or_is_refused(slug: str) -> None:
    before = facts_from_config(CONFIGS[slug])
    for key, config in doubled(CONFIGS[slug]):
        try:
            after = facts_from_config(config)
        except ImportFactsError:
            continue
        assert after != before or key in SAID_ELSEWHERE, key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("routed_expert_hidden_size", 3584),
        ("router_hidden_size", 1024),
        ("num_shared_layers", 8),
        ("rope_head_dim", 64),
        ("position_embedding_dim", 256),
        ("attention_output_rank", 512),
        ("n_latent_heads", 4),
        ("token_mixer_dim", 128),
        ("max_expert_layers", 12),
        ("mlp_widths", [4096, 8192]),
        ("use_embedding_bias", True),
        ("add_full_attention_sink_bias", True),
        ("use_qk_norm_bias", True),
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("moe_config", {"num_experts": 8}),
        ("attention_config", {"head_dim": 256}),
        ("num_kv_shared_layers", 10),
        ("hc_mult", 4),
        ("num_recurrent_steps", 4),
        ("total_ut_steps", 4),
        ("n_layer", 16),
        ("n_embd", 8192),
    ],
)
def test_a_structural_key_that_is_not_read_is_named(key: str, value: Any) -> None:
    with pytest.raises(ImportFactsError) as caught:
        facts_from_config({**LLAMA, key: value})
    assert caught.value.field == key


#: Keys of published configurations with words of the structure in their names.
HARMLESS: dict[str, Any] = {
    "attn_pdrop": 0.1, "hidden_dropout": 1, "hidden_act": "silu", "max_window_layers": 28, "num_beam_groups": 4,
    "pretraining_tp": 2, "chunk_size_feed_forward": 2, "moe_capacity": [64, 64], "router_jitter_noise": 2,
    "query_pre_attn_scalar": 256, "rope_local_base_freq": 10_000, "rope_ratio": 500, "rotary_dim": 64,
    "original_max_position_embeddings": 4096, "initializer_range": 2, "mm_hidden_size": 1024, "vision_feature_layer": 24,
    "image_size": 448, "vit_hidden_size": 1024, "video_token_index": 7, "num_nextn_predict_layers": 2,
    "mtp_num_hidden_layers": 2, "moe_shared_expert_overlap": True, "norm_topk_prob": True, "n_group": 8, "topk_group": 4,
    "scoring_func": "sigmoid", "mamba_chunk_size": 256, "mlp_multipliers": [2, 3], "layer_norm_eps": 2, "ep_size": 8,
    "no_rope_layer_interval": 4, "dim_model_base": 256, "scale_depth": 2, "type_vocab_size": 16, "org_vocab_size": 128_167,
    "layer_switch": 4, "skip_bias_add": True, "bias_dropout_fusion": True, "kv_cache_dtype": "auto", "max_batch_size": 32,
    "need_fp32_gate": True, "use_head_wise_attn_gate": True, "mla_use_nope": True, "mamba_norm_before_gate": True,
    "tie_encoder_decoder": True, "rope_scaling": {"factor": 8, "original_max_position_embeddings": 8192},
    "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24}, "id2label": {"0": "a"}, "label2id": {"LABEL_1": 1},
    "sparse_config": {"kernel_size": 32, "window_size": 2048}, "task_specific_params": {"text": {"max_length": 50}},
    "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}, "use_cache": True,
}  # fmt: skip


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_without_an_effect_is_no_fault(key: str) -> None:
    assert facts_from_config({**LLAMA, key: HARMLESS[key]})["params_computed"]["text_total"] == 8_030_261_248


@pytest.mark.parametrize(("first", "second"), [("n_layer", "num_hidden_layers"), ("num_hidden_layers", "n_layer")])
def test_two_names_of_one_thing_must_agree(first: str, second: str) -> None:
    config = {key: value for key, value in LLAMA.items() if key != "num_hidden_layers"}
    assert facts_from_config({**config, first: 32, second: 32})["n_layers"] == 32
    with pytest.raises(ImportFactsError, match="another key for the same"):
        facts_from_config({**config, first: 32, second: 16})


@pytest.mark.parametrize("change", [{"intermediate_size": 128}, {"num_experts": 1}])
def test_a_hunyuan_of_two_widths_or_without_experts_is_refused(change: dict[str, Any]) -> None:
    config = {
        "model_type": "hunyuan_v1_moe", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100, "intermediate_size": 256, "num_experts": 4,
        "moe_intermediate_size": [256, 256], "moe_topk": 2,
    }  # fmt: skip
    assert facts_from_config(config)["moe"]["moe_intermediate_size"] == 256
    with pytest.raises(ImportFactsError, match=r"num_experts|moe_intermediate_size"):
        facts_from_config(config | change)


#: Variants of class defaults that the library counts otherwise than the common structure does (transformers 5.24).
CONTRADICTORY = {
    "num_shared_experts": {"model_type": "hy_v3", "num_shared_experts": 0},
    "attention_bias": {"model_type": "hrm_text", "attention_bias": True},
    "qk_head_dim": {"model_type": "deepseek_v3", "qk_head_dim": 96},
    "vocab_size": {"model_type": "inkling2_text", "vocab_size": 100_512},
}


@pytest.mark.parametrize("key", CONTRADICTORY)
def test_a_value_that_the_class_takes_otherwise_is_refused(key: str) -> None:
    with pytest.raises(ImportFactsError, match=f"'{key}'"):
        facts_from_config(CONTRADICTORY[key])


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({"model_type": "qwen2_moe", "num_hidden_layers": 6, "shared_expert_intermediate_size": 0}, 3_838_076_928),
        ({"model_type": "kimi_linear", "tie_word_embeddings": True}, 49_133_081_120),
        ({"model_type": "modernbert-decoder", "num_hidden_layers": 6, "norm_bias": True}, 69_425_344),
        ({"model_type": "modernbert-decoder", "num_hidden_layers": 6, "attention_bias": True}, 69_433_024),
        ({"model_type": "inkling2_text", "num_hidden_layers": 6, "swa_head_dim": 256}, 76_303_913_728),
    ],
)
def test_a_changed_key_has_the_effect_that_the_library_counts(config: dict[str, Any], parameters: int) -> None:
    assert facts_from_config(config)["params_computed"]["text_total"] == parameters


@pytest.mark.parametrize("key", ["share_kv_across_layers", "use_shared_layers", "kv_sharing"])
def test_a_switch_that_shares_parts_is_refused_where_it_is_on(key: str) -> None:
    facts_from_config(LLAMA | {key: False})
    with pytest.raises(ImportFactsError, match=f"'{key}' is not read"):
        facts_from_config(LLAMA | {key: True})
