"""Architectures with keys of their own: from the few keys that a published file has to the catalog's structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from db.entries import specs
from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from estimator.structure.architecture import architecture_from_facts
from estimator.structure.kv_cache import cache_shape
from estimator.structure.weights import weight_table
from tests.support.catalogs import CATALOG


def _sizes(hidden: int, layers: int, heads: int, kv: int, vocab: int, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": vocab,
        **more,
    }


def _mla(query: int | None, key: int, nope: int, rope: int, value: int) -> dict[str, Any]:
    return {
        "q_lora_rank": query,
        "kv_lora_rank": key,
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": value,
    }


def _moe(count: int, per_token: int, width: int, shared: int, dense: int) -> dict[str, Any]:
    return {
        "n_routed_experts": count,
        "num_experts_per_tok": per_token,
        "moe_intermediate_size": width,
        "n_shared_experts": shared,
        "first_k_dense_replace": dense,
    }


_MAMBA2 = {"mamba_num_heads": 128, "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4}
_FULL = "full_attention"
_SLIDING = "sliding_attention"

#: Slug of the catalog -> keys of its configuration.
CONFIGS: dict[str, dict[str, Any]] = {
    "apertus-70b": _sizes(8192, 80, 64, 8, 131072, model_type="apertus", intermediate_size=43008),
    "bitnet-b1.58-2b-4t": _sizes(
        2560, 30, 20, 5, 128256, model_type="bitnet", intermediate_size=6912, tie_word_embeddings=True
    ),
    "dbrx-132b": {
        "architectures": ["DbrxForCausalLM"], "d_model": 6144, "n_heads": 48, "n_layers": 40, "vocab_size": 100352,
        "max_seq_len": 32768, "attn_config": {"kv_n_heads": 8, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4},
    },
    "deepseek-v3.2": _sizes(
        7168, 61, 128, 128, 129280, model_type="deepseek_v32", intermediate_size=18432, index_head_dim=128,
        index_n_heads=64, index_topk=2048, **_mla(1536, 512, 128, 64, 128), **_moe(256, 8, 2048, 1, 3),
    ),
    "deepseek-v4-flash": _sizes(
        4096, 43, 64, 1, 129280, model_type="deepseek_v4", head_dim=512, q_lora_rank=1024, o_lora_rank=1024, o_groups=8,
        index_n_heads=64, index_head_dim=128, index_topk=512, sliding_window=128, num_hash_layers=3, hc_mult=4,
        compress_ratios=[0, 0, *[4, 128] * 20, 4, 0], **_moe(256, 6, 2048, 1, 0),
    ),
    "deepseek-v4.1-flash": {
        "model_type": "deepseek_v41",
        "text_config": _sizes(
            5120, 40, 64, 1, 129280, model_type="deepseek_v41_text", head_dim=512, q_lora_rank=1280, o_lora_rank=1024,
            o_groups=8, index_n_heads=32, index_head_dim=128, index_topk=512, sliding_window=128, hc_mult=4,
            compress_ratios=[0, 0, *[2] * 18, *[1] * 20, 0, 0, 0], kv_source_layer_ids=[2, 8, 14, 20],
            index_source_layer_ids=[2, 8, 14, 20, 24, 28, 32, 36], engram_layer_ids=[1, 14], engram_head_dim=256,
            engram_num_embeddings=[384006168, 384016682], engram_n_heads=8, engram_max_ngram_size=4,
            **_moe(384, 6, 2304, 1, 0),
        ),
    },
    "exaone-3.5-2.4b": {
        "model_type": "exaone", "hidden_size": 2560, "num_layers": 30, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 7168, "vocab_size": 102400, "tie_word_embeddings": True,
    },
    "exaone-4.5-33b": {
        "model_type": "exaone4_5", "vision_config": {"depth": 28},
        "text_config": _sizes(
            5120, 64, 40, 8, 153600, model_type="exaone4_5_text", intermediate_size=27392, head_dim=128,
            sliding_window=4096, sliding_window_pattern="LLLG", tie_word_embeddings=False,
        ),
    },
    "k-exaone-236b-a23b": _sizes(
        6144, 48, 64, 8, 153600, model_type="exaone_moe", intermediate_size=18432, head_dim=128, sliding_window=128,
        sliding_window_pattern="LLLG", is_moe_layer=[False] + [True] * 47, num_experts=128, num_experts_per_tok=8,
        moe_intermediate_size=2048, num_shared_experts=1, first_k_dense_replace=1,
    ),
    "falcon3-mamba-7b": {
        "model_type": "falcon_mamba", "hidden_size": 4096, "num_hidden_layers": 64, "vocab_size": 65024,
        "intermediate_size": 8192, "state_size": 16, "conv_kernel": 4, "time_step_rank": 256, "expand": 16,
        "tie_word_embeddings": False, "mamba_inner_size": 8192,
    },
    "falcon-h1-0.5b": _sizes(
        1024, 36, 8, 2, 32784, model_type="falcon_h1", intermediate_size=2048, head_dim=64, mamba_d_ssm=1536,
        mamba_n_heads=24, mamba_d_head=64, mamba_d_state=128, mamba_n_groups=1, mamba_d_conv=4, mamba_rms_norm=False,
        tie_word_embeddings=False,
    ),
    "gemma-3n-e4b": {
        "architectures": ["Gemma3nForConditionalGeneration"], "model_type": "gemma3n",
        "text_config": {"model_type": "gemma3n_text", "intermediate_size": [16384] * 35, "num_hidden_layers": 35},
    },
    "gemma-4-26b-a4b": {
        "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4",
        "text_config": _sizes(
            2816, 30, 16, 8, 262144, model_type="gemma4_text", intermediate_size=2112, head_dim=256,
            global_head_dim=512, num_global_key_value_heads=2, attention_k_eq_v=True, enable_moe_block=True,
            num_experts=128, top_k_experts=8, moe_intermediate_size=704, hidden_size_per_layer_input=0,
            num_kv_shared_layers=0, sliding_window=1024, layer_types=[*[_SLIDING] * 5, _FULL] * 5,
        ),
    },
    "gemma-4-e2b": {
        "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4",
        "text_config": _sizes(
            1536, 35, 8, 1, 262144, model_type="gemma4_text", intermediate_size=6144, head_dim=256,
            global_head_dim=512, hidden_size_per_layer_input=256, num_kv_shared_layers=20, use_double_wide_mlp=True,
            sliding_window=512, layer_types=[*[_SLIDING] * 4, _FULL] * 7,
        ),
    },
    "glm-4.7-flash": _sizes(
        2048, 47, 20, 20, 154880, model_type="glm4_moe_lite", intermediate_size=10240, **_mla(768, 512, 192, 64, 256),
        **_moe(64, 4, 1536, 1, 1),
    ),
    "glm-5": _sizes(
        6144, 78, 64, 64, 154880, model_type="glm_moe_dsa", intermediate_size=12288, index_head_dim=128,
        index_n_heads=32, index_topk=2048, **_mla(2048, 512, 192, 64, 256), **_moe(256, 8, 2048, 1, 3),
    ),
    "granite-4.0-h-tiny": _sizes(
        1536, 40, 12, 4, 100352, model_type="granitemoehybrid", intermediate_size=512, shared_intermediate_size=1024,
        num_local_experts=64, num_experts_per_tok=6, mamba_n_heads=48, mamba_d_head=64, mamba_d_state=128,
        mamba_n_groups=1, mamba_d_conv=4, mamba_expand=2, tie_word_embeddings=True,
        layer_types=["attention" if layer in (5, 15, 25, 35) else "mamba" for layer in range(40)],
    ),
    "granite-4.0-micro": _sizes(
        2560, 40, 40, 8, 100352, model_type="granitemoehybrid", intermediate_size=8192, shared_intermediate_size=8192,
        num_local_experts=0, num_experts_per_tok=0, tie_word_embeddings=True, layer_types=["attention"] * 40,
    ),
    "hy3-295b": _sizes(
        4096, 80, 64, 8, 120832, model_type="hy_v3", intermediate_size=13312, head_dim=128, num_experts=192,
        num_experts_per_tok=8, moe_intermediate_size=1536, num_shared_experts=1, first_k_dense_replace=1,
    ),
    "jamba-large-1.6": _sizes(
        8192, 72, 64, 8, 65536, model_type="jamba", intermediate_size=24576, attn_layer_period=8, attn_layer_offset=4,
        expert_layer_period=2, expert_layer_offset=1, num_experts=16, num_experts_per_tok=2, mamba_d_state=16,
        mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=512, tie_word_embeddings=False,
    ),
    "kimi-k3": {
        "model_type": "kimi_k3", "architectures": ["KimiK3ForConditionalGeneration"],
        "text_config": _sizes(
            7168, 93, 96, 96, 163840, model_type="kimi_linear", intermediate_size=33792, num_experts=896,
            num_experts_per_token=16, num_shared_experts=2, moe_intermediate_size=3072, first_k_dense_replace=1,
            routed_expert_hidden_size=3584, latent_moe_use_norm=True, mla_use_output_gate=True,
            linear_attn_config={
                "num_heads": 96, "head_dim": 128, "short_conv_kernel_size": 4,
                "full_attn_layers": [*range(4, 93, 4), 93],
            }, **_mla(1536, 512, 128, 64, 128),
        ),
    },
    "kimi-vl-a3b": {
        "architectures": ["KimiVLForConditionalGeneration"], "model_type": "kimi_vl",
        "text_config": _sizes(
            2048, 27, 16, 16, 163840, model_type="deepseek_v3", intermediate_size=11264,
            **_mla(None, 512, 128, 64, 128), **_moe(64, 6, 1408, 2, 1),
        ),
    },
    "lfm2-1.2b": _sizes(
        2048, 16, 32, 8, 65536, model_type="lfm2", block_ff_dim=12288, block_multiple_of=256, conv_L_cache=3,
        block_ffn_dim_multiplier=1.0, block_auto_adjust_ff_dim=True, full_attn_idxs=[2, 5, 8, 10, 12, 14],
    ),
    "lfm2-24b-a2b": _sizes(
        2048, 40, 32, 8, 65536, model_type="lfm2_moe", intermediate_size=11776, conv_L_cache=3, num_dense_layers=2,
        num_experts=64, num_experts_per_tok=4, moe_intermediate_size=1536, use_expert_bias=True,
        layer_types=["conv" if letter == "V" else _FULL for letter in "VVFVVVFVVVFVVVFVVVFVVVFVVVFVVVFVVVFVVVFV"],
    ),
    "ling-3.0-flash": _sizes(
        2560, 42, 32, 32, 157184, model_type="bailing_hybrid", intermediate_size=6144, head_dim=128,
        layer_group_size=6, num_experts=512, num_experts_per_tok=8, moe_intermediate_size=768, num_shared_experts=1,
        first_k_dense_replace=2, **_mla(None, 512, 128, 64, 128),
    ),
    "llama-3.2-11b-vision": {
        "architectures": ["MllamaForConditionalGeneration"], "model_type": "mllama",
        "text_config": _sizes(
            4096, 40, 32, 8, 128256, model_type="mllama_text_model", intermediate_size=14336,
            cross_attention_layers=[3, 8, 13, 18, 23, 28, 33, 38],
        ),
    },
    "llama-4-maverick": {
        "architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4",
        "text_config": _sizes(
            5120, 48, 40, 8, 202048, model_type="llama4_text", intermediate_size=8192, intermediate_size_mlp=16384,
            head_dim=128, num_local_experts=128, num_experts_per_tok=1, interleave_moe_layer_step=2,
            attention_chunk_size=8192,
        ),
    },
    "glm-5.3-flash": {
        "architectures": ["Glm5NextForConditionalGeneration"], "model_type": "glm5_next",
        "text_config": _sizes(
            4096, 45, 64, 64, 154880, model_type="glm5_next_text", index_kpool=4, mlp_layer_types=None,
            linear_attn_config={"num_heads": 64, "head_dim": 128, "short_conv_kernel_size": 4, "kda_layers": [0, 1, 2]},
        ),
    },
    "mimo-v2-flash": _sizes(
        4096, 48, 64, 4, 152576, model_type="mimo_v2_flash", head_dim=192, v_head_dim=128, intermediate_size=16384,
        sliding_window=128, swa_num_attention_heads=64, swa_num_key_value_heads=8, swa_head_dim=192, swa_v_head_dim=128,
        hybrid_layer_pattern=[0, 1, 1, 1, 1, *[0, 1, 1, 1, 1, 1] * 7, 0], moe_layer_freq=[0, *[1] * 47],
        moe_intermediate_size=2048, n_routed_experts=256, num_experts_per_tok=8,
    ),
    "minicpm3-4b": _sizes(
        2560, 62, 40, 40, 73448, model_type="minicpm3", intermediate_size=6400, tie_word_embeddings=True,
        **_mla(768, 256, 64, 32, 64),
    ),
    "minimax-m1": _sizes(
        6144, 80, 64, 8, 200064, model_type="minimax_m1", intermediate_size=9216, head_dim=128, num_local_experts=32,
        num_experts_per_tok=2, attn_type_list=[*[0] * 7, 1] * 10,
    ),
    "minimax-m3": _sizes(
        6144, 60, 64, 4, 200064, model_type="minimax_m3", architectures=["MiniMaxM3ForCausalLM"], head_dim=128,
        dense_intermediate_size=12288, intermediate_size=3072, moe_intermediate_size=3072, n_shared_experts=1,
        num_local_experts=128, num_experts_per_tok=4, shared_intermediate_size=3072, use_qk_norm=True,
        moe_layer_freq=[0, 0, 0, *[1] * 57],
        sparse_attention_config={
            "sparse_attention_freq": [0, 0, 0, *[1] * 57], "sparse_index_dim": 128, "sparse_num_index_heads": 4,
        },
    ),
    "nemotron-3-super-120b-a12b": _sizes(
        4096, 88, 32, 2, 131072, model_type="nemotron_h", head_dim=128, moe_latent_size=1024,
        hybrid_override_pattern="MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*EMEMEMEME",
        moe_shared_expert_intermediate_size=5376, **_MAMBA2, **_moe(512, 22, 2688, 1, 0),
    ),
    "nemotron-h-8b": _sizes(
        4096, 52, 32, 8, 131072, model_type="nemotron_h", attention_head_dim=128, intermediate_size=21504,
        hybrid_override_pattern="M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-", n_routed_experts=0, **_MAMBA2,
    ),
    "nemotron-mini-4b": _sizes(
        3072, 32, 24, 8, 256000, model_type="nemotron", intermediate_size=9216, head_dim=128, tie_word_embeddings=False
    ),
    "phi-3.5-moe": _sizes(
        4096, 32, 32, 8, 32064, model_type="phimoe", intermediate_size=6400, attention_bias=True, lm_head_bias=True,
        num_local_experts=16, num_experts_per_tok=2, sliding_window=None,
    ),
    "qwen3.8-flash-next": {
        "model_type": "qwen4_exp",
        "text_config": _sizes(
            2560, 48, 24, 2, 248320, model_type="qwen4_exp_text", moe_intermediate_size=640,
            shared_expert_intermediate_size=640, linear_num_value_heads=48, indexer_n_heads=4, indexer_kv_heads=1,
            indexer_head_dim=128, indexer_budget=2048, indexer_compress_ratio=4, ple_layer_ids=[2], eos_token_id=248044,
            layer_types=["linear_attention", "linear_attention", "linear_attention", _FULL] * 12,
        ),
    },
    "solar-open-100b": _sizes(
        4096, 48, 64, 8, 196608, model_type="solar_open", head_dim=128, n_routed_experts=128, num_experts_per_tok=8,
        moe_intermediate_size=1280, n_shared_experts=1, first_k_dense_replace=0,
    ),
    "step-3.5-flash": _sizes(
        4096, 45, 64, 8, 128896, model_type="step3p5", intermediate_size=11264, head_dim=128, sliding_window=512,
        layer_types=[_FULL, *[_SLIDING, _SLIDING, _SLIDING, _FULL] * 11], moe_num_experts=288, moe_top_k=8,
        moe_intermediate_size=1280, share_expert_dim=1280,
        moe_layers_enum=",".join(str(layer) for layer in range(3, 45)),
        attention_other_setting={"num_attention_heads": 96, "num_attention_groups": 8},
    ),
    "trinity-mini": _sizes(
        2048, 32, 32, 4, 200192, model_type="afmoe", intermediate_size=6144, head_dim=128, sliding_window=2048,
        layer_types=[_SLIDING, _SLIDING, _SLIDING, _FULL] * 8, num_experts=128, num_experts_per_tok=8,
        num_dense_layers=2, moe_intermediate_size=1024, num_shared_experts=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("slug", CONFIGS)
def test_a_catalog_model_comes_out_of_its_own_keys(slug: str) -> None:
    entry = CATALOG.models[slug]
    facts = facts_from_config(CONFIGS[slug], "custom")
    assert facts["attention"]["layer_pattern"] == entry["attention"]["layer_pattern"]
    assert facts["mlp_pattern"] == entry["mlp_pattern"]
    assert facts["params_computed"]["text_total"] == entry["params_computed"]["text_total"]
    own, catalog = cache_shape(architecture_from_facts(facts)), cache_shape(specs.architecture(entry))
    for part in ("full_elements", "window_elements", "window_tokens", "state_bytes"):
        assert np.array_equal(getattr(own, part), getattr(catalog, part)), part


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "an encoder"),
        ({"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}, "an encoder-decoder"),
        ({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}, "a speech model"),
        ({"architectures": ["LlamaForSequenceClassification"], "model_type": "llama"}, "a classifier"),
        ({"architectures": ["Gemma4AssistantForCausalLM"]}, "a drafter"),
        ({"architectures": ["DiffusionGemmaForBlockDiffusion"], "model_type": "diffusion_gemma"}, "a diffusion model"),
        ({"architectures": ["LLaDA2MoeModelLM"], "model_type": "llada2_moe"}, "a diffusion model"),
        ({"model_type": "gemma4_unified_assistant"}, "a drafter"),
    ],
)
def test_what_generates_no_text_is_refused_as_what_it_is(config: dict[str, Any], match: str) -> None:
    with pytest.raises(ImportFactsError, match=match):
        facts_from_config(config)


def test_layers_of_experts_in_a_text_are_read_as_far_as_they_are_numbers() -> None:
    config = CONFIGS["step-3.5-flash"]
    facts = facts_from_config({**config, "moe_layers_enum": f" 3, 4,{'9' * 5000},\u00b2,5"})
    assert facts["mlp_pattern"] == "DDDEEE" + "D" * 39


def test_a_model_whose_layers_all_keep_a_state_has_a_file() -> None:
    config = {
        "model_type": "minimax_m1", "hidden_size": 6144, "num_hidden_layers": 1, "num_attention_heads": 64,
        "num_key_value_heads": 8, "vocab_size": 200064, "intermediate_size": 9216, "head_dim": 128, "num_local_experts": 32,
        "num_experts_per_tok": 2,
    }  # fmt: skip
    facts = facts_from_config(config)
    table = weight_table(architecture_from_facts(facts), [specs.quant(CATALOG.quants["q8-0"])])
    assert table.bits_per_weight[0] == pytest.approx(8.5, rel=0.01)


def test_prediction_heads_are_stored_and_not_counted() -> None:
    config = _sizes(
        5120, 92, 96, 8, 151552, model_type="glm4_moe", head_dim=128, intermediate_size=12288, attention_bias=True,
        use_qk_norm=True, num_nextn_predict_layers=1, **_moe(160, 8, 1536, 1, 3),
    )  # fmt: skip
    catalog = CATALOG.models["glm-4.5"]
    own = facts_from_config(config)
    assert own["mtp"] == {"n_layers": 1, "params": catalog["mtp"]["params"]}
    assert own["params_computed"]["text_total"] == catalog["params_computed"]["text_total"]
    quants = [specs.quant(CATALOG.quants["q4-k-m"])]
    tables = [weight_table(architecture_from_facts(facts), quants) for facts in (own, catalog)]
    assert tables[0].file[0] == tables[1].file[0] == 216_180_680_384


@pytest.mark.parametrize(
    ("config", "parameters", "state_bytes"),
    [
        # Counts of the library's own models (transformers 5.24), and of the published checkpoint of RWKV 7.
        ({"model_type": "rwkv", "hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 50277}, 169_342_464, 184_320),
        (
            {"model_type": "rwkv7", "hidden_size": 2048, "num_hidden_layers": 24, "vocab_size": 65536, "head_dim": 64,
             "decay_low_rank_dim": 96, "a_low_rank_dim": 96, "v_low_rank_dim": 64, "gate_low_rank_dim": 256},
            1_527_404_544, 24 * 4 * (2 * 2048 + 2048 * 64),
        ),
        (
            {"model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
             "ffn_dim": 4096, "word_embed_proj_dim": 512, "do_layer_norm_before": False},
            331_196_416, 0,
        ),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else None,
)  # fmt: skip
def test_older_kinds_of_models_have_their_parameters_and_state(
    config: dict[str, Any], parameters: int, state_bytes: int
) -> None:
    facts = facts_from_config(config)
    assert facts["params_computed"]["text_total"] == parameters
    assert cache_shape(architecture_from_facts(facts)).state_bytes.sum() == state_bytes


def test_yuan_filters_its_inputs_and_its_experts_are_not_read() -> None:
    config = _sizes(2048, 24, 32, 32, 135040, model_type="yuan", intermediate_size=8192)
    plain = facts_from_config({**config, "model_type": "llama", "tie_word_embeddings": True})
    filtering = 24 * (2 * 2048 * 2048 + 1024 + 2 * 2048)
    totals = [facts["params_computed"]["text_total"] for facts in (facts_from_config(config), plain)]
    assert totals[0] - totals[1] == filtering
    with pytest.raises(ImportFactsError, match="'use_moe'"):
        facts_from_config({**config, "use_moe": True})


def test_an_indexer_lists_a_kind_for_each_layer() -> None:
    config = CONFIGS["deepseek-v3.2"]
    kinds = ["full", "shared"] * 31
    assert facts_from_config({**config, "indexer_types": kinds})["attention"]["indexer"]["layers"] == ("fs" * 31)[:61]
    for wrong in (kinds[:40], ["full_attention"] * 61, "full", {}):
        with pytest.raises(ImportFactsError, match="indexer_types"):
            facts_from_config({**config, "indexer_types": wrong})


def test_compressed_layers_without_experts_are_refused() -> None:
    config = CONFIGS["deepseek-v4.1-flash"]
    dense = {key: value for key, value in config["text_config"].items() if key != "n_routed_experts"}
    with pytest.raises(ImportFactsError, match="'n_routed_experts' is missing"):
        facts_from_config({**config, "text_config": dense})


def test_lightning_attention_alone_has_its_own_heads() -> None:
    config = {**CONFIGS["minimax-m1"], "num_hidden_layers": 1, "attn_type_list": [0]}
    assert facts_from_config(config)["attention"]["linear"] == {
        "kind": "LightningAttention", "n_heads": 64, "head_dim": 128,
    }  # fmt: skip


_SMALL = {
    "hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
    "intermediate_size": 640, "vocab_size": 1000,
}  # fmt: skip
_EIGHT = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 96}


@pytest.mark.parametrize(
    ("model_type", "keys", "parameters"),
    [
        ("bamba", {"mamba_n_heads": 8, "mamba_d_head": 64, "mamba_n_groups": 1, "mamba_d_state": 256, "mamba_d_conv": 4,
                   "attn_layer_indices": None}, 8_704_448),
        ("cohere2_moe", {**_EIGHT, "moe_intermediate_size": 640}, 33_304_832),
        ("flex_olmo", {**_EIGHT, "moe_intermediate_size": None}, 33_565_952),
        ("gemma4_text", {"vocab_size_per_layer_input": 262144, "per_layer_config": {key: {"head_dim": 512} for key in ("5", "07")}},
         546_970_888),
        ("glm4v_text", {"tie_word_embeddings": True}, 5_773_568),
        ("granite_swa", {"sliding_window": 128, "layer_types": [_SLIDING, _FULL] * 4}, 5_765_408),
        ("helium", {}, 6_021_376),
        ("hyperclovax", {}, 6_025_472),
        ("jais2", {}, 4_728_320),
        ("laguna", {**_EIGHT, "shared_expert_intermediate_size": 128, "num_attention_heads_per_layer": [4] * 8,
                    "mlp_layer_types": ["dense", *["sparse"] * 7]}, 7_421_240),
        ("mamba", {"state_size": 16, "conv_kernel": 4, "time_step_rank": 16}, 4_635_904),
        ("mellum", _EIGHT, 6_825_216),
        ("mimo_v2_flash", {**_EIGHT, "v_head_dim": 32, "sliding_window": 128, "mlp_layer_types": ["dense", *["sparse"] * 7],
                           "layer_types": [_FULL, *[_SLIDING] * 4, _FULL, _SLIDING, _SLIDING]}, 6_625_616),
        ("nanochat", {}, 4_706_304),
        ("vaultgemma", {}, 5_765_376),
        ("youtu", {**_mla(64, 32, 32, 16, 32), "tie_word_embeddings": True}, 4_848_640),
    ],
)  # fmt: skip
def test_small_models_have_the_parameters_of_the_librarys_own(
    model_type: str, keys: dict[str, Any], parameters: int
) -> None:
    """Counts of meta-device models of transformers 5.24, with the router biases that it keeps as buffers."""
    facts = facts_from_config({"model_type": model_type, **_SMALL, **keys})
    assert facts["params_computed"]["text_total"] == parameters


def test_newer_names_of_state_space_layers_are_known() -> None:
    older = dict(CONFIGS["nemotron-h-8b"])
    words = {"M": "linear_attention", "-": "mlp", "*": "full_attention"}
    newer = {**older, "layers_block_type": [words[letter] for letter in older.pop("hybrid_override_pattern")]}
    del newer["hybrid_override_pattern"]
    assert facts_from_config(newer)["attention"] == facts_from_config(CONFIGS["nemotron-h-8b"])["attention"]
