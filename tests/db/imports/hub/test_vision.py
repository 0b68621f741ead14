"""Vision towers: the parameters that a configuration describes are those of the published checkpoints."""

from __future__ import annotations

from typing import Any

import pytest

from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from db.imports.hub.vision import vision_parameters
from estimator.structure.architecture import architecture_from_facts
from tests.support.catalogs import CATALOG

_SIGLIP = {
    "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "image_size": 896, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
_QWEN3_VL = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096}
_MOONVIT = {
    "vt_hidden_size": 1152, "vt_intermediate_size": 4304, "vt_num_hidden_layers": 27, "patch_size": 14,
    "merge_kernel_size": [2, 2],
}  # fmt: skip
_LLAMA4 = {
    "model_type": "llama4_vision_model", "hidden_size": 1408, "image_size": 336, "intermediate_size": 5632,
    "num_hidden_layers": 34, "patch_size": 14, "vision_output_dim": 4096,
}  # fmt: skip


_LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
#: Models that transformers 5.24 built without weights: type, configuration, width of the language model, parameters.
_SHARED: list[tuple[str, dict[str, Any], int, int]] = [
    ("llava", {"vision_config": {"model_type": "clip_vision_model", **_LARGE, "image_size": 336, "patch_size": 14}}, 4096,
     324_487_168),
    ("llava", {"vision_config": {}}, 4096, 324_487_168),
    ("llava", {"vision_config": {"model_type": "pixtral"}}, 5120, 434_957_312),
    ("llava_next", {"vision_config": {}}, 4096, 324_491_264),
    ("llava_onevision", {"vision_config": {**_SIGLIP, "num_hidden_layers": 26, "image_size": 384}}, 896, 399_585_440),
    ("paligemma", {"vision_config": {**_SIGLIP, "image_size": 224}}, 2048, 414_803_696),
    ("paligemma", {"vision_config": {**_SIGLIP, "image_size": 224, "vision_use_head": True}}, 2304, 430_337_216),
    ("idefics3", {"vision_config": {**_SIGLIP, "model_type": "idefics3", "image_size": 364}}, 4096, 431_800_560),
    ("smolvlm", {"scale_factor": 3, "vision_config": {**_SIGLIP, "model_type": "smolvlm_vision", "image_size": 384}}, 2048,
     434_220_912),
    ("internvl", {"vision_config": {"image_size": [448, 448], "attention_bias": True}}, 3584, 331_552_768),
    ("internvl", {"vision_config": {}}, 4096, 337_509_376),
    ("glm4v", {"vision_config": {}}, 4096, 892_498_432),
]  # fmt: skip


@pytest.mark.parametrize(("model_type", "config", "hidden", "parameters"), _SHARED)
def test_a_tower_and_its_projector_are_those_of_their_classes(
    model_type: str, config: dict[str, Any], hidden: int, parameters: int
) -> None:
    assert vision_parameters({"model_type": model_type, **config}, hidden) == parameters


@pytest.mark.parametrize(
    ("slug", "model_type", "vision"),
    [
        ("gemma-3-4b", "gemma3", _SIGLIP),
        ("gemma-3-27b", "gemma3", _SIGLIP),
        ("glm-5.3-flash", "glm5_next", {}),
        ("kimi-k2.5", "kimi_k25", _MOONVIT),
        ("llama-3.2-11b-vision", "mllama", {"image_size": 560}),
        ("llama-3.2-90b-vision", "mllama", {"image_size": 560}),
        ("llama-4-scout", "llama4", _LLAMA4),
        ("minimax-m3", "minimax_m3_vl", {}),
        ("mistral-small-3.1-24b", "mistral3", {"model_type": "pixtral", "patch_size": 14}),
        ("muse-glimmer-30b", "muse_glimmer", {}),
        ("qwen2.5-vl-7b", "qwen2_5_vl", {"hidden_size": 1280}),
        ("qwen2.5-vl-72b", "qwen2_5_vl", {"hidden_size": 1280, "intermediate_size": 3456}),
        ("qwen3-vl-2b", "qwen3_vl", _QWEN3_VL),
        ("qwen3-vl-30b-a3b", "qwen3_vl_moe", {}),
        ("qwen3.5-0.8b", "qwen3_5", {"depth": 12, "hidden_size": 768, "intermediate_size": 3072}),
        ("qwen3.5-397b-a17b", "qwen3_5_moe", {}),
        ("qwen3.8-flash-next", "qwen4_exp", {"model_type": "qwen4_exp"}),
        ("step-3.7-flash", "step3p7", {}),
    ],
)
def test_the_tower_of_a_catalog_model_is_that_of_its_checkpoint(
    slug: str, model_type: str, vision: dict[str, Any]
) -> None:
    entry = CATALOG.models[slug]
    config = {"model_type": model_type, "vision_config": vision}
    assert vision_parameters(config, entry["hidden_size"]) == entry["params_vision_and_other"]


def test_gemma_4_has_its_scalars_in_the_text_part() -> None:
    vision = {
        "model_type": "gemma4_vision", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
        "num_attention_heads": 16,
    }  # fmt: skip
    entry = CATALOG.models["gemma-4-31b"]
    config = {"model_type": "gemma4", "vision_config": vision}
    scalars = entry["n_layers"]
    assert vision_parameters(config, 5376) == entry["params_vision_and_other"] + scalars


@pytest.mark.parametrize(
    ("slug", "kind"),
    [
        ("gemma-3n-e2b", "gemma3n"),
        ("gemma-3n-e4b", "gemma3n"),
        ("gemma-4-e4b", "gemma4"),
        ("gemma-4-12b", "gemma4_unified"),
    ],
)
def test_the_audio_tower_is_counted_beside_the_other(slug: str, kind: str) -> None:
    entry = CATALOG.models[slug]
    config = {"vision_config": {"model_type": f"{kind}_vision"}, "audio_config": {"model_type": f"{kind}_audio"}}
    assert vision_parameters(config, entry["hidden_size"]) == entry["params_vision_and_other"]
    alone = vision_parameters({"vision_config": config["vision_config"]}, entry["hidden_size"])
    assert alone is not None
    assert alone < entry["params_vision_and_other"]


def test_an_audio_tower_of_wrong_sizes_is_refused() -> None:
    config = {"vision_config": {"model_type": "gemma4_vision"}, "audio_config": {"subsampling_conv_channels": [128]}}
    with pytest.raises(ImportFactsError, match="channels of two convolutions"):
        vision_parameters(config, 2560)
    timm = {"vision_config": {"model_type": "gemma3n_vision", "architecture": "resnet50"}}
    assert vision_parameters(timm, 2048) is None


def test_a_configuration_brings_its_projector_along() -> None:
    config = {
        "model_type": "qwen2_5_vl", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 152064, "vision_config": {"hidden_size": 1280},
    }  # fmt: skip
    facts = facts_from_config(config)
    assert facts["params_computed"]["text_total"] == 7_615_616_512
    assert architecture_from_facts(facts).vision_parameters == 676_550_144


def test_other_towers_are_not_known_and_broken_ones_are_refused() -> None:
    assert vision_parameters({"model_type": "internvl_chat", "vision_config": {"hidden_size": 1024}}, 4096) is None
    assert vision_parameters({"model_type": "llama"}, 4096) is None
    with pytest.raises(ImportFactsError, match="'depth' must be an integer"):
        vision_parameters({"model_type": "qwen3_vl", "vision_config": {"depth": 10**9}}, 4096)
