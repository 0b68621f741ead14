"""The format of a checkpoint, as each of the common quantizers writes it."""

from __future__ import annotations

from typing import Any

import pytest

from db.imports.checkpoints.quantization import checkpoint_format

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
        ({"quant_method": "mxfp4"}, "MXFP4 (experts)", "mxfp4-checkpoint"),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4"}}, "NVFP4", "nvfp4"),
        ({"quant_method": "modelopt_fp8"}, "FP8", "fp8"),
        ({"quant_method": "mxfp8"}, "MXFP8", "fp8"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 16, "data_type": "nv_fp"}, "NVFP4", "nvfp4"),
        ({"quant_method": "awq_marlin", "bits": 4, "group_size": 128}, "INT4 (awq)", "awq-int4"),
        (
            {"quant_method": "bitsandbytes", "_load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "NF4 (bitsandbytes)",
            "bnb-nf4",
        ),
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}},
            "INT4 (hqq)",
            "gptq-int4",
        ),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}},
            "INT4 (torchao)",
            "gptq-int4",
        ),
        ({"quant_method": "torchao", "quant_type": "float8_weight_only"}, "FP8", "fp8"),
        ({"quant_method": "torchao", "quant_type": "autoquant"}, "TORCHAO", None),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}}, "FP8", "fp8"),
        (
            {"quant_method": "quark", "global_quant_config": {"weight": [{"dtype": "int8"}]}},
            "INT8 (quark)",
            "gptq-int8",
        ),
        (
            {"quant_method": "quark", "global_quant_config": {"weight": [{"dtype": "fp8_e4m3"}, {"dtype": "int4"}]}},
            "INT4 (quark)",
            "gptq-int4",
        ),
        (
            {
                "quant_method": "torchao",
                "quant_type": {"default": {"_type": "Float8DynamicActivationInt4WeightConfig", "_data": {}}},
            },
            "INT4 (torchao)",
            "gptq-int4",
        ),
        (
            {"quant_method": "torchao", "quant_type": {"default": {"_type": "NVFP4InferenceConfig", "_data": {}}}},
            "NVFP4",
            "nvfp4",
        ),
        (
            {
                "quant_method": "torchao",
                "quant_type": {"default": {"_type": "MXConfig", "_data": {"weight_dtype": {"_data": "float4_e2m1fn"}}}},
            },
            "MXFP4",
            "mxfp4-checkpoint",
        ),
        ({"quant_method": "modelopt", "quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"}, "FP8", "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "INT8_SQ"}, "W8A8 (modelopt)", "int8-w8a8"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, "INT4 (modelopt)", "gptq-int4"),
        ({"quant_method": None, "bits": 4, "group_size": 128, "desc_act": False}, "INT4 (gptq)", "gptq-int4"),
        ({"w_bit": 4, "q_group_size": 128, "zero_point": True}, "INT4 (awq)", "awq-int4"),
        ({"quant_method": "gptq", "bits": "3", "group_size": 128}, "GPTQ", None),
        ({"quant_method": "metal", "bits": 4, "group_size": 64}, "MLX 4-bit", "mlx-4bit"),
        ({"quant_method": "quanto", "weights": "int8"}, "INT8 (quanto)", "gptq-int8"),
        ({"quant_method": "fp_quant", "forward_dtype": "nvfp4"}, "NVFP4", "nvfp4"),
        ({"quant_method": "w8a8_int8"}, "W8A8 (w8a8-int8)", "int8-w8a8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "INT4 (awq)", "awq-int4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32, "sym": True}, "INT8 (gptq)", "gptq-int8"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}, "INT4 (auto-round)", "gptq-int4"),
        ({"quant_method": "compressed-tensors", **_W4A16}, "INT4 (compressed-tensors)", "gptq-int4"),
        ({"quant_method": "compressed-tensors", **_W8A8}, "W8A8 (compressed-tensors)", "int8-w8a8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "FP4 (bitsandbytes)", "bnb-nf4"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "NF4 (bitsandbytes)",
            "bnb-nf4",
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "INT8 (bitsandbytes)", "bnb-int8"),
        ({"load_in_8bit": True}, "INT8 (bitsandbytes)", "bnb-int8"),
        ({"quant_method": "exl3", "bits": 3.5, "head_bits": 6}, "EXL3 3.5 bpw", "exl3-3-5bpw"),
        ({"quant_method": "exl2", "bits": 4.65}, "EXL2 4.65 bpw", "exl2-4-65bpw"),
        ({"quant_method": "exl2", "bits": 3.7}, "EXL2 3.7 bpw", "exl2-3-5bpw"),
        ({"quant_method": "exl2", "bits": "auto"}, "EXL2", None),
        ({"quant_method": "exl2", "bits": 4.0, "head_bits": "six"}, "EXL2", None),
        ({"quant_algo": "MIXED_PRECISION", "quant_method": "modelopt"}, "mixed (modelopt)", None),
        ({"bits": 3, "group_size": 64}, "MLX 3-bit", "mlx-3bit"),
        ({"bits": 4, "group_size": 32, "mode": "mxfp4"}, "MLX MXFP4", "mlx-mxfp4"),
        ({"bits": 4, "group_size": 64}, "MLX 4-bit", "mlx-4bit"),
        ({"bits": 4, "group_size": 64, "lm_head": {"bits": 6}}, "MLX mixed, 4-bit and others", "mlx-4bit"),
    ],
)
def test_a_format_is_known(stated: dict[str, Any], label: str, quant: str | None) -> None:
    for config in ({"quantization_config": stated}, {"text_config": {"quantization_config": stated}}):
        checkpoint = checkpoint_format(config, {})
        assert (checkpoint.label, checkpoint.quant) == (label, quant)
        assert checkpoint.is_quantized


def test_bits_and_groups_are_the_files_own() -> None:
    checkpoint = checkpoint_format({"quantization_config": {"quant_method": "compressed-tensors", **_W4A16}}, {})
    assert (checkpoint.bits, checkpoint.group_size, checkpoint.scale_bits, checkpoint.zero_bits) == (
        4.0,
        32,
        16.0,
        None,
    )


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
    checkpoint = checkpoint_format(
        {"quantization_config": {"quant_method": "modelopt", "ignore": ignore, **_NVFP4}}, {}
    )
    assert dict(checkpoint.widths) == dict.fromkeys(kept, 16.0)


def test_experts_in_four_bits_beside_eight() -> None:
    checkpoint = checkpoint_format({"expert_dtype": "fp4", "quantization_config": {"quant_method": "fp8"}}, {})
    assert (checkpoint.label, checkpoint.quant) == ("FP8 + FP4 experts", "fp8-fp4-experts")


def test_a_plain_checkpoint_has_16_bits() -> None:
    checkpoint = checkpoint_format({"torch_dtype": "float16"}, {})
    assert (checkpoint.label, checkpoint.quant, checkpoint.is_quantized) == ("FP16", "bf16-safetensors", False)


def test_parts_of_a_mixed_checkpoint_have_their_own_bits() -> None:
    """ModelOpt lists modules, compressed-tensors the targets of groups; what neither names stays in 16 bits."""
    layers = {
        f"model.language_model.layers.{layer}.{module}": {"quant_algo": algorithm}
        for layer in range(20)
        for module, algorithm in (("self_attn.q_proj", "FP8"), ("mlp.up_proj", "NVFP4"))
    }
    listed = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    checkpoint = checkpoint_format({"quantization_config": listed}, {})
    assert (checkpoint.label, checkpoint.quant) == ("mixed 4.5 + 8-bit (modelopt)", "nvfp4")
    assert dict(checkpoint.widths) == {"attention": 8.0, "dense": 4.5, "experts": 16.0}
    groups = {
        "a": {"targets": ["re:.*mlp.experts.*"], "weights": {"num_bits": 4, "type": "int", "group_size": 128}},
        "b": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}},
    }
    checkpoint = checkpoint_format(
        {"compression_config": {"quant_method": "compressed-tensors", "config_groups": groups}}, {}
    )
    assert (checkpoint.label, checkpoint.quant) == ("mixed 4.125 + 8-bit (compressed-tensors)", "gptq-int4")
    assert dict(checkpoint.widths) == {"attention": 8.0, "dense": 8.0, "experts": 4.125}


def test_modules_of_an_mlx_model_are_averaged_by_part() -> None:
    """Half of the layers widen one of three dense modules to 6 bits; the head has 6 too."""
    own: dict[str, Any] = {
        f"model.layers.{layer}.mlp.down_proj": {"bits": 6, "group_size": 64} for layer in range(0, 12, 2)
    }
    own |= {"model.layers.11.mlp.down_proj": False, "lm_head": {"bits": 6}}
    checkpoint = checkpoint_format({"quantization": {"bits": 3, "group_size": 64, **own}}, {})
    assert checkpoint.quant == "mlx-3bit"
    assert dict(checkpoint.widths) == pytest.approx({"output": 6.5, "dense": (6 * 6.5 + 16.0 + 29 * 3.5) / 36})


@pytest.mark.parametrize(
    "stated",
    [
        {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}}},
        {"quant_method": "auto-round", "bits": 4, "group_size": 32, "data_type": "mx_fp"},
        {
            "quant_method": "compressed-tensors",
            "config_groups": {
                "g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "float", "group_size": 32}}
            },
        },
    ],
)
def test_mxfp4_is_of_every_matrix_unless_a_file_says_of_experts_alone(stated: dict[str, Any]) -> None:
    assert checkpoint_format({"quantization_config": stated}, {}).widths == (("attention", 4.25), ("dense", 4.25))


def test_parts_that_no_target_names_stay_in_16_bits() -> None:
    group = {"targets": ["re:.*mlp.experts.*"], "weights": {"num_bits": 4, "type": "int", "group_size": 32}}
    stated = {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}
    widths = dict(checkpoint_format({"quantization_config": stated}, {}).widths)
    assert (widths["attention"], widths.get("experts")) == (16, None)


def test_the_type_of_experts_may_lie_beside_the_method() -> None:
    stated = {"quant_method": "fp8", "expert_dtype": "fp4"}
    assert checkpoint_format({"quantization_config": stated}, {}).quant == "fp8-fp4-experts"


@pytest.mark.parametrize("nested", [False, True])
def test_torchao_sorts_modules_by_name_and_has_one_class_for_the_rest(nested: bool) -> None:
    grain = {"_type": "PerGroup", "_data": {"group_size": 32}}
    number = {"_type": "torch.dtype", "_data": "int4"}
    rest: dict[str, Any] = {
        "_type": "Int8DynamicActivationIntxWeightConfig", "_data": {"weight_dtype": number, "weight_granularity": grain},
    }  # fmt: skip
    if nested:
        rest = {"_type": "ModuleFqnToConfig", "_data": {"module_fqn_to_config": {"_default": rest, "lm_head": None}}}
    stated = {"quant_method": "torchao", "quant_type": {"default": rest}}
    checkpoint = checkpoint_format({"quantization_config": stated}, {})
    assert (checkpoint.quant, checkpoint.bits, checkpoint.group_size) == ("gptq-int4", 4.0, 32)


_GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}
_AUTOROUND = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}
_QUARK = {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "int4", "group_size": 128}}}


@pytest.mark.parametrize(
    ("stated", "widths"),
    [
        ({**_GPTQ, "dynamic": {r"-:.*self_attn.*": {}}}, {"attention": 16.0}),
        (
            {**_GPTQ, "dynamic": {r"+:.*\.11\..*up": {"bits": 8, "group_size": 32}}},
            {"dense": 16.75 / 3, "experts": 16.75 / 3},
        ),
        ({**_GPTQ, "dynamic": {"+:.*mlp.down_proj": {"bits": 8, "group_size": 32}}}, {"dense": 16.75 / 3}),
        (
            {**_GPTQ, "dynamic": {"+:.*mlp.up": {"bits": 8, "group_size": 32}, "+:.*mlp.*": {"bits": 16}}},
            {"dense": (8.5 + 2 * 16) / 3, "experts": 16.0},
        ),
        ({**_GPTQ, "dynamic": {r"+:.*\.3\..*up": {"bits": 8}, "-:[": {}, "x": 1}}, {}),
        ({**_AUTOROUND, "extra_config": {".*self_attn.*": {"bits": 8}}}, {"attention": 8.125}),
        ({**_AUTOROUND, "extra_config": {"model.layers.11.self_attn.q_proj": {"bits": 16}}}, {"attention": 16.0}),
        ({**_AUTOROUND, "extra_config": {"model.layers.11.self_attn.q_proj": {"bits": "16"}}}, {}),
        ({**_QUARK, "layer_quant_config": {"*self_attn*": {"weight": {"dtype": "fp8_e4m3"}}}}, {"attention": 8.0}),
        ({**_QUARK, "layer_quant_config": {"*self_attn*": {"input_tensors": {"dtype": "fp4"}}}}, {}),
        ({"quant_method": "awq", "bits": 4, "modules_to_not_convert": ["self_attn", "mlp.gate"]}, {"attention": 16.0}),
        (
            {"quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4", "exclude_modules": ["*self_attn*"]}},
            {"attention": 16.0},
        ),
    ],
)
def test_modules_set_apart_by_name_have_bits_of_their_own(stated: dict[str, Any], widths: dict[str, float]) -> None:
    assert dict(checkpoint_format({"quantization_config": stated}, {}).widths) == widths
