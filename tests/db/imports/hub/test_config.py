"""Configurations: the catalog's own models come out again, and everything hostile is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.entries import specs
from db.imports.errors import ImportFactsError
from db.imports.hub.config import MAX_CONFIG_BYTES, config_of_text, facts_from_config
from db.imports.hub.families import FAMILIES
from estimator.structure.architecture import architecture_from_facts
from tests.support.catalogs import CATALOG

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def config_of(entry: dict[str, Any]) -> dict[str, Any]:
    """The ``config.json`` keys that say what a catalog entry says."""
    attention, moe = entry["attention"], entry["moe"]
    config = {
        "architectures": [entry["architecture"]],
        "hidden_size": entry["hidden_size"],
        "num_hidden_layers": entry["n_layers"],
        "num_attention_heads": entry["n_heads"],
        "num_key_value_heads": entry["n_kv_heads"],
        "head_dim": entry["head_dim_k"],
        "intermediate_size": entry["intermediate_size"],
        "vocab_size": entry["vocab_size"],
        "max_position_embeddings": entry["context_length"],
        "tie_word_embeddings": entry["tie_word_embeddings"],
        "sliding_window": attention["sliding_window"],
        "attention_bias": attention["qkv_bias"],
        "mlp_bias": (entry["model_type"] == "llama" and entry["mlp"]["bias"]) or None,
        "use_qk_norm": attention["qk_norm"] != "none" or None,
    }
    if entry["model_type"] == "stablelm":
        config["use_qkv_bias"] = config.pop("attention_bias")
    if entry["model_type"] == "qwen":
        # The key counts gate and up together.
        config["intermediate_size"] *= 2
    if entry["model_type"] == "falcon" and entry["n_kv_heads"] > 1:
        config |= {"new_decoder_architecture": True, "num_kv_heads": entry["n_kv_heads"]}
    if moe:
        config |= {
            "num_experts": moe["n_experts"],
            "num_experts_per_tok": moe["experts_per_token"],
            "moe_intermediate_size": moe["moe_intermediate_size"],
            "n_shared_experts": moe["n_shared_experts"],
            "first_k_dense_replace": moe["first_k_dense"],
            "residual_moe": moe.get("dense_parallel"),
        }
        if moe["n_shared_experts"]:
            config["shared_expert_intermediate_size"] = moe["shared_intermediate_size"]
    config |= attention.get("mla") or {}
    linear = attention.get("linear")
    if linear and linear["kind"] == "KDA":
        full = [index + 1 for index, letter in enumerate(attention["layer_pattern"]) if letter == "F"]
        config["linear_attn_config"] = {
            "num_heads": linear["n_heads"],
            "head_dim": linear["head_dim"],
            "short_conv_kernel_size": linear["conv_kernel"],
            "full_attn_layers": full,
        }
    elif linear:
        config |= {
            "linear_num_key_heads": linear["n_key_heads"],
            "linear_num_value_heads": linear["n_value_heads"],
            "linear_key_head_dim": linear["key_head_dim"],
            "linear_value_head_dim": linear["value_head_dim"],
            "linear_conv_kernel_dim": linear["conv_kernel"],
        }
    if attention.get("hc_mult"):
        config["hc_mult"] = attention["hc_mult"]
    null = ("sliding_window", "q_lora_rank")
    return {key: value for key, value in config.items() if value is not None or key in null}


def _is_plain(entry: dict[str, Any]) -> bool:
    """Whether the keys of every family describe the model: others are in ``test_architectures``."""
    own = ("ssm", "short_conv", "full", "swa", "per_layer", "compress_ratios", "sparse_index", "indexer")
    if any(entry["attention"].get(part) for part in own) or set(entry["attention"]["layer_pattern"]) & set("CX"):
        return False
    return not entry["architecture"].startswith(_OTHER_KEYS)


_OTHER_KEYS = (
    "Apertus", "BailingHybrid", "BitNet", "Dbrx", "Exaone4_5", "ExaoneMoE", "Gemma3n", "Gemma4", "GraniteMoeHybrid",
    "Inkling", "KimiK3", "MiniMaxM1", "MiniMaxText", "Jamba", "Lfm2", "PhiMoE", "Qwen4Exp",
)  # fmt: skip


def covered() -> list[str]:
    return [
        slug
        for slug, entry in CATALOG.models.items()
        if entry["architecture"] in FAMILIES and not specs.missing_facts(entry) and _is_plain(entry)
    ]


def test_many_models_are_covered() -> None:
    assert len(covered()) > 200


@pytest.mark.parametrize("slug", covered())
def test_a_catalog_model_comes_out_of_its_configuration(slug: str) -> None:
    entry = CATALOG.models[slug]
    facts = facts_from_config(config_of(entry), slug)
    assert facts["attention"]["layer_pattern"] == entry["attention"]["layer_pattern"]
    assert facts["mlp_pattern"] == entry["mlp_pattern"]
    for part in ("text_total", "text_active"):
        assert facts["params_computed"][part] == entry["params_computed"][part]


def test_llama_8b_has_its_published_count() -> None:
    assert facts_from_config(LLAMA)["params_computed"]["text_total"] == 8_030_261_248


def test_a_text_config_inside_is_found() -> None:
    inner = {key: value for key, value in LLAMA.items() if key != "architectures"}
    outer = {"architectures": ["Mistral3ForConditionalGeneration"], "text_config": inner}
    assert facts_from_config(outer)["params_computed"]["text_total"] == 8_030_261_248


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"architectures": None}, "architectures"),
        ({"routed_hidden_size": 3584}, "'routed_hidden_size' is not read"),
        ({"architectures": ["NoSuchModel"]}, "not known"),
        ({"architectures": ["LamaForCausalLM"]}, "near names are LlamaForCausalLM"),
        ({"architectures": [["x"]]}, "architectures"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"hidden_size": 4096.0}, "hidden_size"),
        ({"hidden_size": -1}, "hidden_size"),
        ({"hidden_size": 10**30}, "hidden_size"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"num_attention_heads": 31}, "head_dim"),
        ({"vocab_size": "many"}, "vocab_size"),
        ({"hidden_size": 4_194_304, "intermediate_size": 4_194_304, "num_hidden_layers": 1000}, "parameters"),
        ({"layer_types": ["full_attention"]}, "32 layers"),
        ({"layer_types": ["other"] * 32}, "may hold"),
        ({"layer_types": ["sliding_attention"] * 32}, "sliding_window"),
        ({"num_experts": 8}, "num_experts_per_tok"),
        ({"num_experts": 8, "num_experts_per_tok": 9}, "but there are 8"),
        ({"kv_lora_rank": 512}, "qk_nope_head_dim"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], match: str) -> None:
    config = {key: value for key, value in {**LLAMA, **change}.items() if value is not None}
    with pytest.raises(ImportFactsError, match=match):
        facts_from_config(config)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "not valid JSON"),
        (b"[]", "a JSON object"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "there twice"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b" " * (MAX_CONFIG_BYTES + 1), "at most"),
    ],
)
def test_texts_that_are_no_configuration(text: bytes, match: str) -> None:
    with pytest.raises(ImportFactsError, match=match):
        config_of_text(text)


@pytest.mark.parametrize("slug", ["", "../x", "A", "a b", "<script>", "a" * 200])
def test_a_slug_is_a_slug(slug: str) -> None:
    with pytest.raises(ImportFactsError, match="slug"):
        facts_from_config(LLAMA, slug)


_numbers = st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=3)), max_size=4)
_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    _numbers,
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
_KEYS = [
    *LLAMA, "head_dim", "layer_types", "num_experts", "kv_lora_rank", "num_experts_per_tok", "sliding_window",
    "text_config", "linear_attn_config", "mlp_only_layers",
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _values, max_size=5), st.sampled_from(sorted(FAMILIES)))
def test_any_mixture_is_facts_or_a_typed_error(changes: dict[str, Any], architecture: str) -> None:
    config = {**LLAMA, "architectures": [architecture], **changes}
    try:
        facts = facts_from_config(config)
    except ImportFactsError:
        return
    assert architecture_from_facts(facts).total_parameters > 0
    json.dumps(facts)


_SIZES = {"hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 1000}


@pytest.mark.parametrize("stated", ["false", "true", 2, [True]])
@pytest.mark.parametrize("key", ["tie_word_embeddings", "attention_bias"])
def test_a_switch_is_true_or_false(key: str, stated: Any) -> None:
    with pytest.raises(ImportFactsError, match=f"'{key}' must be true or false"):
        facts_from_config({"model_type": "llama", **_SIZES, key: stated})


def test_a_switch_may_be_a_number() -> None:
    for stated in (0, 1):
        facts = facts_from_config({"model_type": "llama", **_SIZES, "tie_word_embeddings": stated})
        assert facts["tie_word_embeddings"] is bool(stated)


@pytest.mark.parametrize("outer", ["llama", "gemma3"])
def test_sizes_under_a_name_that_is_not_read_are_not_replaced_by_those_of_the_class(outer: str) -> None:
    with pytest.raises(ImportFactsError, match="'decoder_config' has the sizes of a language model"):
        facts_from_config({"model_type": outer, "decoder_config": {"n_embd": 512, **_SIZES}})


def test_experts_without_a_width_do_not_take_that_of_dense_layers() -> None:
    config = {"model_type": "qwen3_moe", **_SIZES, "intermediate_size": 4096, "moe_intermediate_size": None}
    with pytest.raises(ImportFactsError, match="moe_intermediate_size"):
        facts_from_config(config)
