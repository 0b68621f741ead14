"""Minimal configurations: parameters, cache, state and windows are those of the class that the model type names.

The expected values of ``tests/data/class_models.jsonl`` were read from models that transformers 5.24 built without weights, and
from the cache of one of their runs: elements a token of keys and values (of latent attention that engines cache as it is: its
rank and its rotary part), elements of state, layers with a window.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from estimator.structure.architecture import architecture_from_facts
from estimator.structure.kv_cache import cache_shape

LLAMA_7B = {
    "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000,
}  # fmt: skip
MODELS = Path(__file__).parents[3] / "data" / "class_models.jsonl"


def read(config: dict[str, Any]) -> dict[str, Any]:
    """Facts that the reader makes of ``config``."""
    facts = facts_from_config(config)
    cache = cache_shape(architecture_from_facts(facts))
    windowed = sum(letter in "SC" for letter in facts["attention"]["layer_pattern"])
    return {
        "parameters": facts["params_computed"]["text_total"],
        "cache_elements": round(float((cache.full_elements + cache.window_elements).sum())),
        "state_elements": round(float(cache.state_bytes.sum()) / 4),
        "windowed_layers": windowed,
    }


def test_a_minimal_configuration_makes_the_model_that_its_class_makes() -> None:
    models = [json.loads(line) for line in MODELS.read_text(encoding="utf-8").splitlines()]
    wrong = []
    for model in models:
        config, expected = model.pop("config"), model
        values = read(config)
        wrong += [(config, key, values[key], value) for key, value in expected.items() if values[key] != value]
    assert len(models) > 300
    assert wrong == []


def vision_model(model_type: str, **tied: bool | None) -> dict[str, Any]:
    """A model of two parts with a stated or unstated tie of the whole and of its text part."""
    text = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "vocab_size": 100,
    }
    config = {"model_type": model_type, "text_config": {**text, "tie_word_embeddings": tied["text"]}}
    return {**config, "tie_word_embeddings": tied["whole"]}


@pytest.mark.parametrize(
    ("model_type", "part"), [("llava", "llama"), ("idefics2", "mistral"), ("glm_ocr", "glm_ocr_text")]
)
def test_a_section_without_a_type_takes_that_of_the_whole(model_type: str, part: str) -> None:
    text = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100}
    assert facts_from_config({"model_type": model_type, "text_config": text}) == facts_from_config(
        {"model_type": model_type, "text_config": {**text, "model_type": part}}
    )
    with pytest.raises(ImportFactsError, match="not known"):
        facts_from_config({"model_type": model_type, "text_config": {**text, "model_type": "of-nobody"}})


def test_the_head_is_tied_as_the_whole_model_says() -> None:
    assert facts_from_config(vision_model("idefics3", whole=False, text=True))["tie_word_embeddings"] is False
    assert facts_from_config(vision_model("idefics3", whole=True, text=False))["tie_word_embeddings"] is True
    assert facts_from_config(vision_model("llava", whole=False, text=True))["tie_word_embeddings"] is True
    assert facts_from_config(vision_model("idefics3", whole=None, text=True))["tie_word_embeddings"] is True


def test_the_layers_of_gpt_neo_may_be_listed_one_by_one() -> None:
    config = {"model_type": "gpt_neo", "hidden_size": 64, "num_layers": 4, "num_heads": 4, "vocab_size": 100}
    listed = facts_from_config({**config, "attention_layers": ["global", "local"] * 2})
    alternating = facts_from_config({**config, "attention_types": [[["global", "local"], 2]]})
    assert listed["attention"]["layer_pattern"] == alternating["attention"]["layer_pattern"] == "FSFS"


def test_biases_of_dense_parts_are_not_read_where_classes_with_experts_differ() -> None:
    config = {
        "model_type": "hy_v3", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "vocab_size": 100,
        "num_experts": 4, "num_experts_per_tok": 2,
    }  # fmt: skip
    with pytest.raises(ImportFactsError, match="mlp_bias"):
        facts_from_config({**config, "mlp_bias": True})


@pytest.mark.parametrize(
    ("model_type", "key"),
    [("gemma2", "mlp_bias"), ("qwen3", "mlp_bias"), ("qwen3", "qkv_bias"), ("ernie4_5", "attention_bias")],
)
def test_a_switch_that_the_class_does_not_have_is_ignored(model_type: str, key: str) -> None:
    config = {
        "model_type": model_type, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128,
    }  # fmt: skip
    assert facts_from_config({**config, key: True})["params_computed"] == facts_from_config(config)["params_computed"]


@pytest.mark.parametrize("keys", [{"model_type": "bitnet"}, {"model_type": "gemma4_text", "use_double_wide_mlp": True}])
def test_a_width_that_is_null_is_named(keys: dict[str, Any]) -> None:
    config = {"hidden_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4, "vocab_size": 100}
    with pytest.raises(ImportFactsError, match="intermediate_size"):
        facts_from_config({**config, "intermediate_size": None, **keys})


def test_blocks_of_one_part_need_their_list() -> None:
    config = {
        "architectures": ["NemotronHForCausalLM"], "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100,
    }  # fmt: skip
    with pytest.raises(ImportFactsError, match="hybrid_override_pattern"):
        facts_from_config(config)


def test_a_class_of_several_types_takes_the_defaults_of_the_type_of_its_name() -> None:
    config = {"architectures": ["LlamaForCausalLM"], **LLAMA_7B}
    for stated in (config, {**config, "architectures": ["XverseForCausalLM"], "model_type": "xverse"}):
        facts = facts_from_config(stated)
        assert (facts["n_kv_heads"], facts["params_computed"]["text_total"]) == (32, 6_738_415_616)
