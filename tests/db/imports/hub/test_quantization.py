"""The format of a checkpoint, as each of the common quantizers writes it."""

from __future__ import annotations

from typing import Any

import pytest

from db.imports.hub.quantization import checkpoint_format

_NVFP4 = {"config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}}}}
_W4A16 = {
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32, "symmetric": True}}}
}
_W8A8 = {"config_groups": {"g": {"weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8}}}}


@pytest.mark.parametrize(
    ("stated", "label", "quant"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "FP8", "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", **_NVFP4}, "NVFP4", "nvfp4"),
        ({"quant_method": "compressed-tensors", **_NVFP4}, "NVFP4", "nvfp4"),
        ({"quant_method": "mxfp4"}, "MXFP4 (experts)", "mxfp4"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "INT4 (awq)", "awq-int4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32, "sym": True}, "INT8 (gptq)", "gptq-int8"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}, "INT4 (auto-round)", "gptq-int4"),
        ({"quant_method": "compressed-tensors", **_W4A16}, "INT4 (compressed-tensors)", "gptq-int4"),
        ({"quant_method": "compressed-tensors", **_W8A8}, "W8A8 (compressed-tensors)", "gptq-int8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "NF4 (bitsandbytes)", None),
        ({"quant_algo": "MIXED_PRECISION", "quant_method": "modelopt"}, "mixed (modelopt)", None),
        ({"bits": 4, "group_size": 64}, "MLX 4-bit", "mlx-4bit"),
        ({"bits": 4, "group_size": 64, "lm_head": {"bits": 6}}, "MLX mixed, 4-bit and others", None),
    ],
)
def test_a_format_is_known(stated: dict[str, Any], label: str, quant: str | None) -> None:
    for config in ({"quantization_config": stated}, {"text_config": {"quantization_config": stated}}):
        found = checkpoint_format(config, {})
        assert (found.label, found.quant) == (label, quant)
        assert found.is_quantized


def test_bits_and_groups_are_the_files_own() -> None:
    found = checkpoint_format({"quantization_config": {"quant_method": "compressed-tensors", **_W4A16}}, {})
    assert (found.bits, found.group_size, found.scale_bits, found.zero_bits) == (4.0, 32, 16.0, None)


@pytest.mark.parametrize(
    ("ignore", "kept"),
    [
        (["lm_head"], set()),
        (["lm_head", *(f"model.layers.{layer}.self_attn*" for layer in range(30))], {"attention"}),
        (
            ["re:.*self_attn.*", "re:.*shared_experts.*", r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"],
            {"attention", "dense"},
        ),
        (["model.layers.0.self_attn*"], set()),
        (["model.language_model.layers.11.self_attn*", "model.language_model.layers.11.mlp*"], {"attention", "dense"}),
        (["re:(a+)+$", "re:["], set()),
    ],
)
def test_parts_that_stay_in_16_bits(ignore: list[str], kept: set[str]) -> None:
    found = checkpoint_format({"quantization_config": {"quant_method": "modelopt", "ignore": ignore, **_NVFP4}}, {})
    assert found.kept_parts == kept


def test_experts_in_four_bits_beside_eight() -> None:
    found = checkpoint_format({"expert_dtype": "fp4", "quantization_config": {"quant_method": "fp8"}}, {})
    assert (found.label, found.quant, found.expert_bits) == ("FP8 + FP4 experts", "fp8", 4.25)


def test_a_plain_checkpoint_has_16_bits() -> None:
    found = checkpoint_format({"torch_dtype": "float16"}, {})
    assert (found.label, found.quant, found.is_quantized) == ("FP16", "bf16-safetensors", False)
