"""One answer: a model of the catalog is answered alike by its name and by its own file."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from api.answers.files.models import source_of_bytes, source_of_config
from api.answers.files.recognition import recognised
from api.answers.output import as_json
from api.answers.questions import Answerer
from api.errors import QuestionError
from db.entries import specs
from estimator.calibration.coefficients import Calibration
from tests.api.answers.test_own_hardware import LLAMA
from tests.db.imports.hub.test_architectures import CONFIGS
from tests.support.catalogs import CATALOG
from tests.support.gguf_files.files import llama

CALIBRATION = Calibration.load()
ANSWERER = Answerer(CATALOG, CALIBRATION)
#: What names the model or its repository, and what only a file has.
_NAMES = ("model", "commands", "missing_commands", "notes")
_SPEEDS = ("decode_tok_s", "prefill_tok_s", "ttft_ms", "score", "grade", "usability")


def config_of(entry: dict[str, Any]) -> dict[str, Any]:
    """The plain keys of a configuration, from the facts of the catalog."""
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
        "attention_bias": bool(entry["attention"].get("qkv_bias")),
        "mlp_bias": entry["mlp"].get("bias") or None,
        "num_experts": (entry["moe"] or {}).get("n_experts"),
        "num_experts_per_tok": (entry["moe"] or {}).get("experts_per_token"),
        "moe_intermediate_size": (entry["moe"] or {}).get("moe_intermediate_size"),
    }
    window = entry["attention"]["sliding_window"] if "S" in entry["attention"]["layer_pattern"] else None
    return {key: value for key, value in config.items() if value is not None} | {"sliding_window": window}


#: Classes whose structure these keys say whole.
PLAIN = frozenset({
    "ApertusForCausalLM", "ExaoneForCausalLM", "GemmaForCausalLM", "Glm4ForCausalLM", "GlmForCausalLM",
    "GraniteForCausalLM", "GraniteMoeForCausalLM", "HunYuanDenseV1ForCausalLM", "InternLM2ForCausalLM",
    "LlamaForCausalLM", "MiMoForCausalLM", "MiniCPMForCausalLM", "MiniMaxM2ForCausalLM", "MistralForCausalLM",
    "MixtralForCausalLM", "Olmo2ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM", "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration", "SmolLM3ForCausalLM", "Starcoder2ForCausalLM",
})  # fmt: skip
FILES = CONFIGS | {
    slug: config_of(entry)
    for slug, entry in CATALOG.models.items()
    if entry["architecture"] in PLAIN and not specs.missing_facts(entry) and slug not in CONFIGS
}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        return as_json(ANSWERER.answer(question))
    except QuestionError as error:
        return {"error": str(error)}


@pytest.mark.parametrize(("gpu", "quant"), [("rtx-3090", "q4-k-m"), ("h100-sxm5-80-gb", "fp8")])
def test_a_file_is_answered_as_its_model_or_says_what_differs(gpu: str, quant: str) -> None:
    carried = 0
    for slug, config in FILES.items():
        question = {"gpu": gpu, "quant": quant, "workload": "coding"}
        named, brought = (answer({**question, **model}) for model in ({"model": slug}, {"model_config": config}))
        if "error" in named:
            assert named == brought, slug
            continue
        notes = " ".join(brought.get("notes", ()))
        assert CATALOG.models[slug]["name"] in notes, slug
        left = set(_NAMES)
        if "none is carried over" in notes:
            left |= set(_SPEEDS)
        elif " and " in notes:
            # The format of training, and whether a model thinks, differ between models of one structure.
            left |= {"score", "grade", "usability"}
        if "tokens, the catalog" in notes:
            left.add("safe_context_tokens")
        carried += not left & {"decode_tok_s", "safe_context_tokens"}
        assert {key: value for key, value in named.items() if key not in left} == {
            key: value for key, value in brought.items() if key not in left
        }, slug
    assert len(FILES) > 170
    assert carried > 110


def carried(config: dict[str, Any]) -> tuple[str, str]:
    source = recognised(
        source_of_config(config), CATALOG, CALIBRATION, lambda slug: specs.architecture(CATALOG.models[slug])
    )
    return source.model.slug, " ".join(source.notes)


def test_the_repository_that_a_file_names_tells_models_of_one_structure_apart() -> None:
    slug, notes = carried(LLAMA)
    assert (slug, "Llama 3.1 8B and" in notes, "none is carried over" in notes) == ("custom", True, True)
    slug, notes = carried(LLAMA | {"_name_or_path": CATALOG.models["llama-3.1-8b"]["hf_repo"]})
    assert (slug, "the speeds carry what was measured" in notes) == ("llama-3.1-8b", True)


def test_published_sizes_are_carried_over_where_models_of_one_structure_share_them() -> None:
    question = {"gpu": "rtx-3090", "quant": "ud-q4-k-xl"}
    own, named = (answer({**question, **model}) for model in ({"model_config": LLAMA}, {"model": "llama-3.1-8b"}))
    assert own["file_size_bytes"] == named["file_size_bytes"]
    carries_sizes = {
        slug: "Sizes of published files" in carried(FILES[slug])[1] for slug in ("glm-5", "qwen3-4b-instruct-2507")
    }
    assert carries_sizes == {"glm-5": True, "qwen3-4b-instruct-2507": False}


def test_a_context_that_differs_is_said_and_used() -> None:
    config = config_of(CATALOG.models["qwen3-32b"])
    _, notes = carried(config | {"max_position_embeddings": 131_072})
    assert "a context of 131,072 tokens, the catalog 40,960" in notes
    question = {"gpu": "h100-sxm5-80-gb", "quant": "q4-k-m", "model_config": config | {"max_position_embeddings": 4096}}
    assert as_json(ANSWERER.answer(question))["safe_context_tokens"] == 4096
    del config["max_position_embeddings"]
    config["model_type"] = "qwen3"
    _, notes = carried(config)
    assert "max_position_embeddings" not in notes


def test_contexts_that_differ_within_a_file_are_said() -> None:
    config = config_of(CATALOG.models["qwen3-32b"])
    _, notes = carried(config | {"seq_length": 8192})
    assert "(max_position_embeddings 40,960, seq_length 8,192): 40,960 tokens are used" in notes
    assert "contexts that differ" not in carried(config | {"seq_length": 40_960})[1]


def test_a_model_that_differs_in_one_size_is_not_recognised() -> None:
    slug, notes = carried(config_of(CATALOG.models["qwen3-32b"]) | {"intermediate_size": 25_856})
    assert (slug, notes) == ("custom", "")


def test_a_gguf_file_keeps_its_own_tensors() -> None:
    data = llama(4)
    source = source_of_bytes(data)
    same = recognised(source, CATALOG, CALIBRATION, lambda slug: specs.architecture(CATALOG.models[slug]))
    assert (same.stored, same.model.layers) == (source.stored, source.model.layers)
    assert source.stored is not None
    assert answer({"gpu": "rtx-3090", "model_gguf": b64encode(data).decode()})["file_size_bytes"] == source.stored.file
