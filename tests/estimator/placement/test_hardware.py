"""Which engine runs a format where, and how much memory it gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.placement.hardware import (
    ENGINE_RULES,
    backends_of,
    can_replace,
    choose_engine,
    largest_wired_limit_bytes,
    usable_bytes,
    with_wired_limit,
)
from estimator.types import Accelerator, Backend, Engine, EstimatorError, Quant, QuantFormat

GIB = 1024**3


def device(**facts: object) -> Accelerator:
    """A bare device with CUDA; ``facts`` replace its fields."""
    plain = Accelerator(
        slug="card", name="Card", vendor="nvidia", architecture="Any", kind="consumer", memory_bytes=24 * GIB,
        usable_fraction=None, unified_memory=False, bandwidth_bytes_s=1e12, matrix_flops=1e14, int8_ops=None,
        fp8_flops=None, fp4_flops=None, fp32_flops=None, compute_units=100, compute_capability=8.6, gfx_target=None,
        pcie_bytes_s=None, link_bytes_s=None, tdp_w=None, msrp_usd=None, backends=(Backend.CUDA, Backend.VULKAN),
        engines=(),
    )  # fmt: skip
    return replace(plain, **facts)  # type: ignore[arg-type]


def quant(format_: QuantFormat, *, moe_only: bool = False) -> Quant:
    """A quant of a format; only the format decides what runs it."""
    return Quant("q", "Q", format_, None, 4.0, 4.0, None, None, None, None, moe_only=moe_only)


AMD = (Backend.ROCM, Backend.VULKAN)


@pytest.mark.parametrize(
    ("card", "format_", "expected"),
    [
        (device(), QuantFormat.GGUF, (Engine.LLAMA_CPP, Backend.CUDA)),
        (device(), QuantFormat.AWQ, (Engine.VLLM, Backend.CUDA)),
        (device(compute_capability=7.0), QuantFormat.AWQ, None),
        (device(compute_capability=7.5), QuantFormat.FP8, (Engine.VLLM, Backend.CUDA)),
        (device(compute_capability=7.5), QuantFormat.NVFP4, None),
        (device(compute_capability=None), QuantFormat.NVFP4, None),
        (device(), QuantFormat.MLX, None),
        (device(backends=AMD, gfx_target="gfx1100"), QuantFormat.GGUF, (Engine.LLAMA_CPP, Backend.ROCM)),
        (device(backends=AMD, gfx_target="gfx1010"), QuantFormat.GGUF, (Engine.LLAMA_CPP, Backend.VULKAN)),
        (device(backends=AMD, gfx_target="gfx1100"), QuantFormat.FP8, None),
        (device(backends=AMD, gfx_target="gfx942"), QuantFormat.FP8, (Engine.VLLM, Backend.ROCM)),
        (device(backends=(Backend.SYCL, Backend.VULKAN)), QuantFormat.GGUF, (Engine.LLAMA_CPP, Backend.SYCL)),
        (device(backends=(Backend.METAL,)), QuantFormat.MLX, (Engine.MLX, Backend.METAL)),
        (device(backends=(Backend.METAL,)), QuantFormat.GGUF, (Engine.LLAMA_CPP, Backend.METAL)),
        (device(backends=(Backend.CPU,)), QuantFormat.GGUF, (Engine.LLAMA_CPP, Backend.CPU)),
        (device(backends=(Backend.HPU,)), QuantFormat.FP8, (Engine.VLLM, Backend.HPU)),
        (device(backends=(Backend.TPU,)), QuantFormat.INT8, (Engine.VLLM, Backend.TPU)),
        (device(backends=(Backend.CANN,)), QuantFormat.SAFETENSORS, (Engine.VLLM, Backend.CANN)),
        (device(backends=(Backend.NEURON,)), QuantFormat.INT8, None),
        (device(backends=()), QuantFormat.GGUF, None),
    ],
)
def test_the_first_rule_that_covers_a_device_wins(
    card: Accelerator, format_: QuantFormat, expected: tuple[Engine, Backend] | None
) -> None:
    assert choose_engine("LlamaForCausalLM", card, quant(format_)) == expected


def test_a_request_narrows_the_choice() -> None:
    gguf = quant(QuantFormat.GGUF)
    assert choose_engine("X", device(), gguf, backend=Backend.VULKAN) == (Engine.LLAMA_CPP, Backend.VULKAN)
    assert choose_engine("X", device(), gguf, Engine.OLLAMA) == (Engine.OLLAMA, Backend.CUDA)
    assert choose_engine("X", device(), gguf, Engine.VLLM) is None
    assert choose_engine("X", device(), gguf, backend=Backend.METAL) is None


def test_an_unsupported_architecture_runs_elsewhere_only() -> None:
    assert choose_engine("Step3TextForCausalLM", device(), quant(QuantFormat.GGUF)) is None
    assert choose_engine("Step3TextForCausalLM", device(), quant(QuantFormat.AWQ)) == (Engine.VLLM, Backend.CUDA)


def test_a_front_may_run_what_its_engine_does_not() -> None:
    gguf, vision = quant(QuantFormat.GGUF), "MllamaForConditionalGeneration"
    assert choose_engine(vision, device(), gguf) is None
    assert choose_engine(vision, device(), gguf, Engine.OLLAMA) == (Engine.OLLAMA, Backend.CUDA)


def test_expert_formats_need_experts() -> None:
    mxfp4 = quant(QuantFormat.GGUF, moe_only=True)
    assert choose_engine("X", device(), mxfp4, is_moe=True) is not None
    assert choose_engine("X", device(), mxfp4, is_moe=False) is None


def test_backends_are_listed_best_first() -> None:
    assert backends_of(device(backends=AMD, gfx_target="gfx1100")) == (Backend.ROCM, Backend.VULKAN)
    assert backends_of(device(), Engine.MLX) == ()


def test_usable_memory_is_the_measured_limit_then_the_default_share_then_all() -> None:
    assert usable_bytes(device()) == 24 * GIB
    shared = device(unified_memory=True, usable_fraction=0.75)
    assert usable_bytes(shared) == 18 * GIB
    assert usable_bytes(replace(shared, usable_bytes=20 * GIB)) == 20 * GIB
    assert usable_bytes(device(memory_bytes=None)) is None
    assert usable_bytes(replace(shared, memory_bytes=None), 64 * GIB) == 48 * GIB


def test_a_processor_leaves_the_operating_system_its_memory() -> None:
    processor = device(kind="cpu", unified_memory=True, memory_bytes=None, backends=(Backend.CPU,))
    assert usable_bytes(processor, 64 * GIB) == 60 * GIB
    assert usable_bytes(processor, 2 * GIB) == 0
    assert usable_bytes(processor) is None


def test_a_wired_limit_is_a_setting_of_macs_within_their_memory() -> None:
    card = device()
    mac = device(
        memory_bytes=16 * GIB, usable_fraction=0.75, unified_memory=True, backends=(Backend.METAL,), kind="soc"
    )
    mac = replace(mac, usable_bytes=11 * GIB)
    limit = largest_wired_limit_bytes(mac)
    assert limit == 12 * GIB
    assert usable_bytes(with_wired_limit(mac, limit)) == limit
    assert largest_wired_limit_bytes(card) is None
    assert with_wired_limit(card, None) is card
    with pytest.raises(EstimatorError, match="setting of macOS"):
        with_wired_limit(card, limit)
    with pytest.raises(EstimatorError, match="at most the memory of the Mac"):
        with_wired_limit(mac, 17 * GIB)


def test_no_card_takes_the_place_of_what_is_built_into_a_computer() -> None:
    card = device(pcie_bytes_s=32e9)
    built_in = {kind: device(kind=kind) for kind in ("laptop", "soc", "integrated")}
    assert can_replace(device(), card)
    assert can_replace(device(kind="cpu"), card)
    assert not any(can_replace(present, card) for present in built_in.values())
    assert not any(can_replace(device(), other) for other in built_in.values())
    assert can_replace(built_in["laptop"], built_in["soc"])
    assert not can_replace(built_in["soc"], built_in["laptop"])


@pytest.mark.parametrize("engine", [Engine.VLLM, Engine.SGLANG])
@pytest.mark.parametrize("format_", [QuantFormat.MXFP4, QuantFormat.FP8_FP4])
def test_servers_run_native_four_bit_experts_from_hopper_on(engine: Engine, format_: QuantFormat) -> None:
    hopper, turing = device(compute_capability=9.0), device(compute_capability=7.5)
    assert choose_engine("any", hopper, quant(format_), engine) == (engine, Backend.CUDA)
    assert choose_engine("any", turing, quant(format_), engine) is None


def test_only_the_fork_reads_its_own_types() -> None:
    ada = device(compute_capability=8.9)
    assert choose_engine("any", ada, quant(QuantFormat.IK_GGUF)) == (Engine.IK_LLAMA_CPP, Backend.CUDA)
    assert choose_engine("any", ada, quant(QuantFormat.IK_GGUF), Engine.LLAMA_CPP) is None
    assert choose_engine("any", ada, quant(QuantFormat.GGUF)) == (Engine.LLAMA_CPP, Backend.CUDA)
    assert choose_engine("any", ada, quant(QuantFormat.GGUF), Engine.IK_LLAMA_CPP) is not None


def test_every_format_has_an_engine() -> None:
    assert {format_ for rule in ENGINE_RULES for format_ in rule.formats} == set(QuantFormat)
