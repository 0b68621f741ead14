"""Classes with parts of their own, most of them of code that lies in their repositories."""

from __future__ import annotations

from typing import Any

import numpy as np
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


_WIDE = {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32}
#: Minimal configurations, parameters, elements of cache a token, bytes of state. The counts are those of the checkpoints in
#: PyPI llmfit 1.1.17, without the image encoder of Step 3; that of ChatGLM is what its layers make.
CHECKPOINTS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "RWKV-5 World 1.5B": (
        {
            "architectures": ["RwkvForCausalLM"], "model_type": "rwkv5", "hidden_size": 2048, "num_hidden_layers": 24,
            "attention_hidden_size": 2048, "head_size": 64, "head_size_divisor": 8, "vocab_size": 65536,
        },
        1_577_754_624, 0, 24 * 4 * (2 * 2048 + 32 * 64 * 64),
    ),
    "MiniCPM-SALA": (
        {
            **_WIDE, "model_type": "minicpm_sala", "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 16384,
            "vocab_size": 73448, "qk_norm": True, "tie_word_embeddings": False, "lightning_nh": 32, "lightning_head_dim": 128,
            "mixer_types": [*["minicpm4"] * 8, *["lightning-attn"] * 24],
        },
        9_477_203_968, 8 * 2 * 2 * 128, 24 * 4 * 32 * 128 * 128,
    ),
    "Snowflake Arctic": (
        {
            "model_type": "arctic", "hidden_size": 7168, "num_attention_heads": 56, "num_hidden_layers": 35,
            "num_key_value_heads": 8, "intermediate_size": 4864, "num_local_experts": 128, "num_experts_per_tok": 2,
            "vocab_size": 32000, "parallel_attn_mlp_res": True,
        },
        478_584_608_768, 35 * 2 * 8 * 128, 0,
    ),
    "RecurrentGemma 2B": (
        {
            "model_type": "recurrent_gemma", "hidden_size": 2560, "num_hidden_layers": 26, "num_attention_heads": 10,
            "num_key_value_heads": 1, "intermediate_size": 15360, "vocab_size": 256000, "lru_width": 2560,
            "block_types": ["recurrent", "recurrent", "attention"],
        },
        2_682_862_080, 8 * 2 * 256, 18 * 4 * 4 * 2560,
    ),
    "ChatGLM-6B": (
        {**_WIDE, "architectures": ["ChatGLMModel"], "model_type": "chatglm", "num_layers": 28, "num_hidden_layers": 28,
         "inner_hidden_size": 16384, "position_encoding_2d": True, "vocab_size": 150528},
        28 * (12 * 4096**2 + 13 * 4096) + 2 * 150528 * 4096 + 2 * 4096, 28 * 2 * 4096, 0,
    ),
    "pico-decoder-tiny": (
        {
            "architectures": ["PicoDecoderHF"], "model_type": "pico_decoder", "d_model": 96, "n_layers": 12,
            "vocab_size": 50304, "attention_n_heads": 12, "attention_n_kv_heads": 4, "activation_hidden_dim": 384,
            "attention_hidden_dim": 96, "max_seq_len": 2048,
        },
        11_282_784, 12 * 2 * 32, 0,
    ),
    "OLMo 1B": (
        {
            "architectures": ["OLMoForCausalLM"], "model_type": "hf_olmo", "d_model": 2048, "n_heads": 16, "n_layers": 16,
            "mlp_ratio": 8, "mlp_hidden_size": None, "vocab_size": 50280, "embedding_size": 50304, "weight_tying": True,
        },
        1_176_764_416, 16 * 2 * 2048, 0,
    ),
    "OLMo 7B": (
        {
            "architectures": ["OLMoForCausalLM"], "model_type": "hf_olmo", "d_model": 4096, "n_heads": 32, "n_layers": 32,
            "mlp_ratio": 4, "mlp_hidden_size": 22016, "vocab_size": 50280, "embedding_size": 50304, "weight_tying": False,
        },
        6_888_095_744, 32 * 2 * 4096, 0,
    ),
    # 29,423,616 of the 7,043,090,432 parameters encode images.
    "Chameleon 7B": (
        {**_WIDE, "model_type": "chameleon", "intermediate_size": 11008, "num_key_value_heads": 32, "vocab_size": 65536},
        7_013_666_816, 32 * 2 * 4096, 0,
    ),
    "JetMoE 8B": (
        {
            "architectures": ["JetMoEForCausalLM"], "model_type": "jetmoe", "hidden_size": 2048, "n_layer": 24, "n_head": 32,
            "num_key_value_heads": 16, "kv_channels": 128, "ffn_hidden_size": 5632, "moe_num_experts": 8, "moe_top_k": 2,
            "vocab_size": 32000, "bias": True, "glu": True,
        },
        8_522_237_952, 24 * 2 * 16 * 128, 0,
    ),
    "Zamba2 2.7B": (
        {
            "model_type": "zamba2", "hidden_size": 2560, "num_hidden_layers": 54, "num_attention_heads": 32,
            "num_key_value_heads": 32, "attention_head_dim": 160, "kv_channels": 80, "intermediate_size": 10240,
            "vocab_size": 32000, "n_mamba_heads": 80, "mamba_headdim": 64, "mamba_d_state": 64, "mamba_ngroups": 1,
            "num_mem_blocks": 2, "adapter_rank": 128,
            "layers_block_type": ["hybrid" if layer in (6, 12, 18, 24, 30, 36, 42, 47, 51) else "mamba" for layer in range(54)],
        },
        2_662_214_560, 9 * 2 * 32 * 160, 54 * 4 * (3 * (5120 + 2 * 64) + 64 * 5120),
    ),
    # Its file lists no blocks: the class has a hybrid one third, then one in six.
    "Zamba 7B": (
        {
            "architectures": ["ZambaForCausalLM"], "model_type": "zamba", "hidden_size": 3712, "intermediate_size": 14848,
            "num_hidden_layers": 76, "num_attention_heads": 16, "attention_head_dim": 464, "num_key_value_heads": 16,
            "attn_layer_period": 6, "attn_layer_offset": 4, "n_mamba_heads": 2, "mamba_dt_rank": 232, "vocab_size": 32000,
        },
        7_232_490_496, 13 * 2 * 16 * 464, 76 * 4 * 7424 * (3 + 16),
    ),
    # The library's counts, without the towers of vision.
    "GIT base": (
        {"architectures": ["GitForCausalLM"], "model_type": "git", "hidden_size": 768, "num_hidden_layers": 6,
         "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 30522, "tie_word_embeddings": False},
        90_227_514, 6 * 2 * 768, 0,
    ),
    "CPM-Ant 10B": (
        {"architectures": ["CpmAntForCausalLM"], "model_type": "cpmant", "hidden_size": 4096, "dim_head": 128,
         "num_hidden_layers": 48, "num_attention_heads": 32, "dim_ff": 10240, "vocab_size": 30720},
        9_517_453_312, 48 * 2 * 4096, 0,
    ),
    "Kosmos 2": (
        {
            "architectures": ["Kosmos2ForConditionalGeneration"], "model_type": "kosmos-2", "vision_config": {},
            "text_config": {"model_type": "kosmos_2_text_model", "embed_dim": 2048, "layers": 24, "attention_heads": 32,
                            "ffn_dim": 8192, "vocab_size": 65037, "max_position_embeddings": 2048},
        },
        1_342_289_920, 24 * 2 * 2048, 0,
    ),
    "Kosmos 2.5": (
        {
            "architectures": ["Kosmos2_5ForConditionalGeneration"], "model_type": "kosmos-2.5",
            "text_config": {"model_type": "kosmos_2_5_text_model", "embed_dim": 1536, "layers": 24, "attention_heads": 16,
                            "ffn_dim": 6144, "vocab_size": 108481, "max_position_embeddings": 4096},
        },
        846_884_352, 24 * 2 * 1536, 0,
    ),
    "Apriel 5B": (
        {"architectures": ["AprielForCausalLM"], "model_type": "apriel", "hidden_size": 4096, "num_hidden_layers": 28,
         "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 8192,
         "vocab_size": 131072},
        28 * (2 * 4096 * 4096 + 3 * 4096 * 8192 + 2 * 4096) + (2 * 131072 + 1) * 4096, 28 * 2 * 8 * 128, 0,
    ),
    "Step 3": (
        {
            "architectures": ["Step3VLForConditionalGeneration"], "model_type": "step3_vl", "vision_config": {},
            "text_config": {
                "model_type": "step3_text", "hidden_size": 7168, "intermediate_size": 18432, "num_attention_heads": 64,
                "num_attention_groups": 1, "num_hidden_layers": 61, "vocab_size": 128815, "head_dim": 256,
                "share_q_dim": 2048, "moe_num_experts": 48, "moe_top_k": 3, "moe_intermediate_size": 5120,
                "share_expert_dim": 5120, "moe_layers_enum": ",".join(str(layer) for layer in range(4, 60)),
            },
        },
        316_294_538_240, 61 * 2 * 256, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_class_of_its_own_has_the_parameters_of_its_checkpoint(name: str) -> None:
    config, parameters, cache_elements, state_bytes = CHECKPOINTS[name]
    facts = facts_from_config(config)
    cache = cache_shape(architecture_from_facts(facts))
    assert facts["params_computed"]["text_total"] == parameters
    assert (cache.full_elements + cache.window_elements).sum() == cache_elements
    assert cache.state_bytes.sum() == state_bytes


def test_experts_for_images_are_no_part_of_the_language_model() -> None:
    config = {
        "model_type": "ernie4_5_moe_vl", "hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 28,
        "num_attention_heads": 20, "num_key_value_heads": 4, "vocab_size": 103424, "moe_num_experts": [64, 64],
        "moe_num_shared_experts": 2, "moe_layer_start_index": [1, 1], "moe_layer_end_index": [29, 28], "moe_k": 6,
        "moe_intermediate_size": [1536, 512],
    }  # fmt: skip
    text = {**config, "model_type": "ernie4_5_moe", "tie_word_embeddings": True}
    text |= {key: value[0] for key, value in config.items() if isinstance(value, list)}
    assert facts_from_config(config)["params_computed"] == facts_from_config(text)["params_computed"]


def test_layers_may_share_the_keys_of_the_one_before() -> None:
    config = {
        **_WIDE, "model_type": "hunyuan", "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 1000,
        "use_qk_norm": True, "num_experts": 1, "use_cla": False, "cla_share_factor": 2,
    }  # fmt: skip
    alone, shared = (facts_from_config({**config, "use_cla": shares}) for shares in (False, True))
    caches = [cache_shape(architecture_from_facts(facts)).full_elements for facts in (alone, shared)]
    assert caches[0].sum() == 2 * caches[1].sum() == 32 * 2 * 8 * 128
    saved = alone["params_exact_checkpoint"] - shared["params_exact_checkpoint"]
    assert saved == 16 * (2 * 4096 * 8 * 128 + 128)


def test_a_gated_norm_without_a_query_rank_is_refused() -> None:
    config = {"model_type": "axk2", "hidden_size": 256, "num_hidden_layers": 2, "vocab_size": 1000, "q_lora_rank": None}
    with pytest.raises(ImportFactsError, match="q_lora_rank"):
        facts_from_config(config)


def test_a_token_visits_as_many_experts_of_attention_as_of_the_feed_forward_part() -> None:
    facts = facts_from_config(CHECKPOINTS["JetMoE 8B"][0])
    idle_expert = 2 * 2048 * 2048 + 3 * 2048 * 5632
    counts = facts["params_computed"]
    assert counts["text_total"] - counts["text_active"] == 24 * 6 * idle_expert


@pytest.mark.parametrize(
    ("own", "parameters"),
    [
        ({}, 1_772_163_080), ({"cross_layer_interval": 2}, 1_421_922_308), ({"alpha_type": "vector"}, 1_772_195_840),
        ({"additional_vocab_size": 2}, 1_772_179_464), ({"qk_layer_norms": True}, 1_772_164_104),
        ({"vision_config": {"embed_dim": 1280}}, 1_788_940_296),
    ],
)  # fmt: skip
def test_layers_that_attend_to_an_image_come_between_the_others(own: dict[str, Any], parameters: int) -> None:
    # Counts of the library's class without its tower and resampler (transformers 5.24, no memory).
    facts = facts_from_config({"model_type": "idefics", "num_hidden_layers": 4} | own)
    assert facts["params_computed"]["text_total"] == parameters
    assert facts["attention"]["layer_pattern"] == ("XFFXFF" if "cross_layer_interval" in own else "XF" * 4)
    assert np.count_nonzero(cache_shape(architecture_from_facts(facts)).full_elements) == 4


def test_an_interval_that_leaves_layers_over_is_refused() -> None:
    with pytest.raises(ImportFactsError, match="cross_layer_interval"):
        facts_from_config({"model_type": "idefics", "cross_layer_interval": 3})


#: Keys of pfnet/plamo-2-1b.
PLAMO2: dict[str, Any] = {
    "architectures": ["Plamo2ForCausalLM"], "model_type": "plamo2", "hidden_size": 2048, "hidden_size_per_head": 128,
    "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 1, "intermediate_size": 8192,
    "attention_window_size": 2048, "full_attention_idx": [], "mamba_d_conv": 4, "mamba_d_state": 64, "mamba_enabled": True,
    "mamba_num_heads": 32, "mamba_step": 2, "max_position_embeddings": 10_485_760, "vocab_size": 100_000,
    "tie_word_embeddings": True,
}  # fmt: skip


def test_channels_of_a_head_share_their_steps() -> None:
    # Shapes of Plamo2AttentionMixer and Plamo2MambaMixer in vLLM's plamo2.py.
    inner, rank, state = 32 * 128, 128, 64
    mamba = 3 * inner * 2048 + 4 * inner + inner * (2 * state + rank) + 32 * (rank + 3) + rank + 2 * state
    attention = 2048 * (2 * 16 + 2) * 128 + 17 * 128
    total = 8 * (mamba + attention) + 16 * (3 * 2048 * 8192 + 4 * 2048) + 100_000 * 2048 + 2048
    facts = facts_from_config(PLAMO2)
    assert facts["params_computed"]["text_total"] == total
    assert facts["attention"]["layer_pattern"] == "MS" * 8
    cache = cache_shape(architecture_from_facts(facts))
    assert set(cache.window_tokens[1::2].tolist()) == {2048}
    assert set(cache.state_bytes[::2].tolist()) == {4.0 * (3 * inner + state * inner)}
    listed = facts_from_config(PLAMO2 | {"full_attention_idx": [1, 15]})
    assert listed["attention"]["layer_pattern"] == "MF" + "MS" * 6 + "MF"
    assert facts_from_config(PLAMO2 | {"mamba_step": 4})["attention"]["layer_pattern"] == "MMSM" * 4
    with pytest.raises(ImportFactsError, match="mamba_enabled"):
        facts_from_config(PLAMO2 | {"mamba_enabled": False})


MOTIF: dict[str, Any] = {
    "architectures": ["MotifForCausalLM"], "model_type": "Motif", "hidden_size": 2048, "num_hidden_layers": 32,
    "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 8192, "vocab_size": 219_520,
    "max_position_embeddings": 16384, "tie_word_embeddings": True, "use_bias": False, "hidden_act": "poly_norm",
}  # fmt: skip


def test_differences_of_attention_have_weights_and_a_norm() -> None:
    # Shapes of MotifAttention and PolyNorm in vLLM's motif.py.
    layer = 4 * 2048**2 + 3 * 2048 * 8192 + 2 * 2048 + 6 * 128 + 4
    total = facts_from_config(MOTIF)["params_computed"]["text_total"]
    assert total == 32 * layer + 219_520 * 2048 + 2048


@pytest.mark.parametrize("key", ["num_noise_heads", "n_dense_first_layers", "use_bias"])
def test_later_models_of_the_class_are_refused_by_their_own_keys(key: str) -> None:
    with pytest.raises(ImportFactsError, match=f"'{key}' is not read"):
        facts_from_config(MOTIF | {key: True if key == "use_bias" else 8})


@pytest.mark.parametrize("kind", ["jetmoe", "muse_spark_text", "zaya"])
def test_a_class_that_is_never_dense_needs_its_experts(kind: str) -> None:
    with pytest.raises(ImportFactsError, match="'num_experts' is missing"):
        facts_from_config({"model_type": kind, "num_attention_heads": 16, "num_experts": None})


#: Keys of openPangu-Ultra-MoE-718B, of whose parameters 39 B are active, tables of rows aside.
PANGU: dict[str, Any] = {
    "architectures": ["PanguUltraMoEForCausalLM"], "model_type": "pangu_ultra_moe", "hidden_size": 7680,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_mtp_layers": 1,
    "num_attention_heads": 128, "num_key_value_heads": 128, "num_shared_experts": 1, "num_routed_experts": 256,
    "attention_kv_lora_dim": 512, "attention_q_lora_dim": 1536, "attention_qk_rope_dim": 64, "attention_v_dim": 128,
    "attention_qk_dim": 128, "num_experts_per_tok": 8, "num_dense_layers": 3, "sandwich_norm": True, "vocab_size": 153_600,
    "max_position_embeddings": 131_072, "tie_word_embeddings": False, "attention_bias": False,
}  # fmt: skip


def test_pangu_has_latent_attention_under_keys_of_its_own() -> None:
    model = architecture_from_facts(facts_from_config(PANGU))
    embedding = 153_600 * 7680
    assert round((model.total_parameters - embedding) / 1e9) == 718
    assert round((model.active_parameters - embedding) / 1e9) == 39
    assert cache_shape(model).full_elements.sum() == 61 * (512 + 64)
    plain = facts_from_config(PANGU | {"sandwich_norm": False})["params_computed"]["text_total"]
    assert model.total_parameters - plain == 61 * 2 * 7680
    biased = facts_from_config(PANGU | {"router_enable_expert_bias": True})["params_computed"]["text_total"]
    assert biased - model.total_parameters == 58 * 256


def test_param_2_is_a_mixture_behind_a_dense_layer() -> None:
    sizes = {
        "hidden_size": 512, "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64,
        "intermediate_size": 1024, "moe_intermediate_size": 128, "num_experts": 8, "num_experts_per_tok": 2,
        "num_shared_experts": 2, "moe_shared_expert_intermediate_size": 256, "use_qk_norm": True, "use_bias": False,
        "use_qkv_bias": False, "vocab_size": 1000, "score_function": "sigmoid", "tie_word_embeddings": False,
    }  # fmt: skip
    facts = facts_from_config({"architectures": ["Param2MoEForCausalLM"], "model_type": "param2moe", **sizes})
    attention = 512 * 64 * (2 * 8 + 2 * 2) + 2 * 64
    sparse = 3 * 512 * (8 * 128 + 256) + 512 * 8 + 8
    total = 3 * (attention + 2 * 512) + 3 * 512 * 1024 + 2 * sparse + 2 * 1000 * 512 + 512
    assert facts["params_computed"]["text_total"] == total


def test_xcomposer_has_low_rank_parts_for_images_in_every_projection() -> None:
    sizes = {
        "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "bias": False,
        "intermediate_size": 14336, "vocab_size": 92544, "max_position_embeddings": 32768, "tie_word_embeddings": False,
    }  # fmt: skip
    kinds = {"InternLM2ForCausalLM": "internlm2", "InternLMXComposer2ForCausalLM": "internlmxcomposer2"}
    plain, adapted = (
        facts_from_config({"architectures": [name], "model_type": kind, **sizes})["params_computed"]["text_total"]
        for name, kind in kinds.items()
    )
    widths = (4096 + 6144) + (4096 + 4096) + 3 * (4096 + 14336)
    assert (plain, adapted) == (7_737_708_544, 7_737_708_544 + 32 * 256 * widths)


def test_a_width_of_keys_that_layers_share_is_in_the_checkpoint() -> None:
    """Both sizes of Gemma 3n have the same towers, so that their checkpoints differ by their language models alone; layers
    that take the cache of an earlier one have keys and values there, too (transformers 5.24 leaves them out)."""
    checkpoints, sizes = (7_849_978_192, 5_439_438_272), ((35, 15, 16384), (30, 10, 8192))
    texts = [
        facts_from_config({
            "model_type": "gemma3n_text", "num_hidden_layers": layers, "num_kv_shared_layers": shared,
            "intermediate_size": width, "vocab_size": 262_400,
        })["params_computed"]["text_total"]
        for layers, shared, width in sizes
    ]  # fmt: skip
    assert checkpoints[0] - texts[0] == checkpoints[1] - texts[1]
