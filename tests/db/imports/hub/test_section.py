"""Which part and which class of a configuration is the language model."""

from __future__ import annotations

from typing import Any

import pytest

from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config


def test_a_type_of_another_model_gives_no_defaults() -> None:
    """Grok 2 states the model type of GIT, whose classes have nothing in common with it."""
    config = {
        "architectures": ["Grok1ForCausalLM"], "hidden_size": 8192, "intermediate_size": 32768, "num_hidden_layers": 64,
        "moe_intermediate_size": 16384, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128,
        "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 131072, "residual_moe": True,
    }  # fmt: skip
    facts = [facts_from_config({**config, "model_type": kind}) for kind in ("git", "grok-2")]
    assert facts[0]["params_computed"] == facts[1]["params_computed"]
    assert facts[0]["context_length"] is facts[1]["context_length"] is None


def test_a_spacing_beside_the_list_of_layers_with_experts_is_read() -> None:
    config = {"model_type": "llama4_text", "num_hidden_layers": 4}
    facts = facts_from_config({**config, "moe_layers": [1, 3], "interleave_moe_layer_step": 2})
    assert facts["mlp_pattern"] == "DEDE"


@pytest.mark.parametrize("name", ["EagleForCausalLM", "LlamaForCausalLMEagle3", "MedusaForCausalLM"])
def test_drafters_are_refused_as_what_they_are(name: str) -> None:
    with pytest.raises(ImportFactsError, match="is a drafter of another model"):
        facts_from_config({"architectures": [name], "model_type": "llama"})


def test_sizes_of_the_vision_tower_are_not_those_of_the_language_model() -> None:
    vision = {"embed_dim": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16}
    facts = facts_from_config({"model_type": "idefics", "vision_config": vision})
    assert facts["intermediate_size"] == 11008


def test_a_file_that_states_its_vocabulary_alone_keeps_the_sizes_elsewhere() -> None:
    """MLC's own file has the model's keys in a part, and the vocabulary beside it."""
    sizes = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 128256}
    with pytest.raises(ImportFactsError, match="'model_config' has the sizes of a language model"):
        facts_from_config({"model_type": "llama", "vocab_size": 128256, "model_config": sizes})


def test_norms_of_all_heads_together_are_what_molmo_calls_attention_layer_norm() -> None:
    config = {
        "architectures": ["MolmoForCausalLM"], "model_type": "molmo", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 22016, "vocab_size": 100278,
        "qkv_bias": False,
    }  # fmt: skip
    plain, normed = (
        facts_from_config({**config, "attention_layer_norm": switch})["params_exact_checkpoint"]
        for switch in (False, True)
    )
    assert normed - plain == 32 * (4096 + 8 * 128)


#: state-spaces/mamba-130m and mamba2-130m: their checkpoints have 129,135,360 and 128,989,632 parameters.
_OF_PACKAGE: dict[str, Any] = {
    "d_model": 768, "n_layer": 24, "vocab_size": 50277, "ssm_cfg": {}, "rms_norm": True, "residual_in_fp32": True,
    "fused_add_norm": True, "pad_vocab_size_multiple": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("own", "parameters"),
    [
        ({}, 129_135_360),
        ({"ssm_cfg": {"layer": "Mamba2"}, "attn_layer_idx": [], "pad_vocab_size_multiple": 16}, 128_989_632),
    ],
)
def test_a_configuration_of_mamba_ssm_names_no_class(own: dict[str, Any], parameters: int) -> None:
    assert facts_from_config(_OF_PACKAGE | own)["params_computed"]["text_total"] == parameters


@pytest.mark.parametrize(
    "own",
    [
        {"ssm_cfg": 5},
        {"ssm_cfg": {"layer": "S4"}},
        {"ssm_cfg": {"bias": True}},
        {"attn_layer_idx": [1]},
        {"rms_norm": False},
    ],
)
def test_a_part_of_mamba_ssm_that_is_not_read_is_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ImportFactsError):
        facts_from_config(_OF_PACKAGE | own)


_TEXT: dict[str, Any] = {
    "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 16, "vocab_size": 1000,
    "head_dim": 32,
}  # fmt: skip
_ROWS = 1000 * 512


def _parameters(config: dict[str, Any]) -> int:
    return int(facts_from_config(config)["params_computed"]["text_total"])


def test_a_section_has_the_defaults_of_its_own_type() -> None:
    """A class of several parts may have other traits than the type of its language model (Mistral 3)."""
    text = {"model_type": "mistral", "sliding_window": None, **_TEXT}
    facts = facts_from_config({"architectures": ["Mistral3ForConditionalGeneration"], "text_config": text})
    assert facts["n_kv_heads"] == 8


@pytest.mark.parametrize(
    ("kind", "outer", "inner", "is_tied"),
    [
        ("mistral3", None, None, True),
        ("mistral3", None, False, False),
        ("mistral3", False, None, False),
        ("internvl", None, None, True),
        ("llava", None, None, False),
        ("llava", False, True, True),
        ("shieldgemma2", False, None, True),
        ("glm46v", False, True, False),
    ],
)
def test_the_head_is_tied_as_the_whole_model_says(kind: str, outer: Any, inner: Any, is_tied: bool) -> None:
    """Counts of the classes of transformers 5.24. Where neither part says it, the default of the whole model's class holds."""
    types = {"internvl": "qwen2", "llava": "llama", "shieldgemma2": "gemma3_text", "glm46v": "glm4v_text"}
    text = {"model_type": types.get(kind, "mistral"), "sliding_window": 64, "num_key_value_heads": 4, **_TEXT}
    config: dict[str, Any] = {"model_type": kind, "text_config": text}
    if inner is not None:
        text["tie_word_embeddings"] = inner
    if outer is not None:
        config["tie_word_embeddings"] = outer
    tied = _parameters({"model_type": text["model_type"], **text, "tie_word_embeddings": True})
    assert _parameters(config) - tied == (0 if is_tied else _ROWS)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("ernie4_5_vl_moe", "moe_intermediate_size", [1536, 512]),
        ("ernie4_5_vl_moe", "mlp_layer_types", ["dense", "sparse"]),
        ("unlimited_ocr", "mlp_layer_types", ["dense", "sparse"]),
        ("step3p7", "num_key_value_heads", 8),
        ("step3p7", "moe_intermediate_size", 1280),
        ("step3p7", "share_expert_dim", 1280),
    ],
)
def test_a_key_that_is_absent_has_the_value_of_its_class(kind: str, key: str, value: Any) -> None:
    config = {"model_type": kind, "text_config": {"num_hidden_layers": 2}}
    assert _parameters(config) == _parameters(config | {"text_config": {"num_hidden_layers": 2, key: value}})


@pytest.mark.parametrize("kind", ["unlimited_ocr_text", "mistral_large4_text", "muse_spark_text"])
def test_biases_of_attention_reach_its_output(kind: str) -> None:
    config = {"model_type": kind, "num_hidden_layers": 2}
    plain, biased = facts_from_config(config), facts_from_config(config | {"attention_bias": True})
    assert (plain["attention"]["o_bias"], biased["attention"]["o_bias"]) == (False, True)
