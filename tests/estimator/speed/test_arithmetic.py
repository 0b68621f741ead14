"""Peaks of the precision that engines multiply in, power limits, and the tokens that engines take at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.placement.layer_sums import model_tables
from estimator.speed.arithmetic import (
    INT8_PER_FP16,
    NOMINAL_FLOPS_PER_CORE,
    NOMINAL_MATRIX_LEAD,
    attention_peak,
    matrix_log,
    matrix_peak,
    power_log,
    shader_flops,
    step_tokens,
    weight_peak,
)
from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Backend, Engine, Estimate, EstimateRequest, Quant
from tests.support.catalogs import CATALOG

CALIBRATION = Calibration.load()


def gpu(slug: str) -> Accelerator:
    return specs.accelerator(CATALOG.gpus[slug])


def quant(slug: str) -> Quant:
    return specs.quant(CATALOG.quants[slug])


def model(slug: str) -> ModelArchitecture:
    return specs.architecture(CATALOG.models[slug])


def ask(name: str, device: str, weights: str, **changes: object) -> Estimate:
    host = specs.host(CATALOG.hosts[CATALOG.default_host])
    request = EstimateRequest(quant=quant(weights), accelerator=gpu(device), host=host, **changes)  # type: ignore[arg-type]
    return estimate(model(name), request, CALIBRATION)


def test_quantized_weights_are_multiplied_at_the_integer_rate_that_geforce_cards_have_in_full() -> None:
    geforce, workstation = gpu("rtx-4090"), gpu("rtx-6000-ada-generation")
    assert workstation.matrix_flops is not None
    assert geforce.matrix_flops is not None
    # A GeForce has half of the peak that is stated with FP32 accumulation.
    assert workstation.matrix_flops / geforce.matrix_flops > 2
    peaks = [weight_peak(device, Backend.CUDA, quant("q4-k-m")) for device in (geforce, workstation)]
    assert 0.9 < peaks[1] / peaks[0] < 1.2
    assert geforce.int8_ops is not None
    assert peaks[0] == geforce.int8_ops / INT8_PER_FP16


@pytest.mark.parametrize(
    ("card", "sibling", "least"),
    [
        ("rtx-5090-d", "rtx-5090", 0.7),
        ("rtx-5090-d-v2", "rtx-5090", 0.7),
        ("l20", "l40", 0.6),
        ("jetson-agx-xavier-32-gb", "jetson-orin-nano-8-gb", 0.9),
        ("jetson-thor-t4000", "jetson-thor-t5000", 0.5),
    ],
)
def test_matrix_units_are_not_mistaken_for_shaders(card: str, sibling: str, least: float) -> None:
    for weights in ("q4-k-m", "f16", "bf16"):
        peaks = [weight_peak(gpu(slug), Backend.CUDA, quant(weights)) for slug in (card, sibling)]
        assert least < peaks[0] / peaks[1] < 1.2


def test_a_laptop_is_as_near_to_its_peak_as_the_desktop_card_of_its_chip() -> None:
    shares = []
    for slug in ("gtx-1660-ti-laptop", "gtx-1660-ti"):
        prefill = ask("qwen3-0.6b", slug, "q4-k-m", prompt_tokens=512, output_tokens=32).prefill
        assert prefill is not None
        shares.append(prefill.value / weight_peak(gpu(slug), Backend.CUDA, quant("q4-k-m")))
    assert 0.85 < shares[0] / shares[1] < 1.1


def test_less_of_the_same_chip_is_no_faster() -> None:
    for slower, faster in (("b100", "b200"), ("jetson-thor-t4000", "jetson-thor-t5000"), ("rtx-5090-d", "rtx-5090")):
        speeds = [ask("qwen3-0.6b", slug, "q4-k-m") for slug in (slower, faster)]
        assert speeds[0].decode is not None
        assert speeds[1].decode is not None
        assert speeds[0].decode.value < speeds[1].decode.value
        assert speeds[0].prefill is not None
        assert speeds[1].prefill is not None
        assert speeds[0].prefill.value < speeds[1].prefill.value


@pytest.mark.parametrize(
    ("device", "backend", "weights", "fact"),
    [
        ("tesla-p40", Backend.CUDA, "q4-k-m", "int8_ops"),
        ("tesla-p40", Backend.VULKAN, "q4-k-m", "matrix_flops"),
        ("tesla-p100-pcie-16-gb", Backend.CUDA, "q4-k-m", "matrix_flops"),
        ("rtx-4090", Backend.CUDA, "f16", "half_flops"),
        ("rtx-4090", Backend.CUDA, "bf16", "matrix_flops"),
        ("rtx-4090", Backend.CUDA, "awq-int4", "matrix_flops"),
        ("h100-sxm5-80-gb", Backend.CUDA, "fp8", "matrix_flops"),
        ("b300", Backend.CUDA, "q4-k-m", "matrix_flops"),
        ("b200", Backend.CUDA, "q4-k-m", "int8_ops"),
    ],
)
def test_the_peak_is_that_of_the_precision_that_the_engine_multiplies_in(
    device: str, backend: Backend, weights: str, fact: str
) -> None:
    stated = getattr(gpu(device), fact)
    assert stated is not None
    assert weight_peak(gpu(device), backend, quant(weights)) == stated / (INT8_PER_FP16 if fact == "int8_ops" else 1.0)


def test_a_peak_that_no_fact_leads_to_is_unknown_and_apples_has_a_nominal_scale() -> None:
    apple = gpu("apple-m3-max-40c-64gb")
    bare = replace(apple, matrix_flops=None, fp32_flops=None, half_flops=None)
    assert matrix_peak(bare) == 40 * NOMINAL_FLOPS_PER_CORE
    assert np.isnan(matrix_peak(replace(bare, compute_units=None)))


def test_more_arithmetic_is_faster_whatever_the_power_limit() -> None:
    """A higher peak at the same watts is held down more, but never to less than before."""
    effects = CALIBRATION.data["prefill"]["effects"]
    assert min(effects["power"], effects["matrix"]) > 0
    assert effects["power"] + effects["matrix"] < 1
    plain = gpu("l4")
    assert plain.int8_ops is not None
    assert plain.matrix_flops is not None
    wider = replace(plain, slug="wider", int8_ops=2 * plain.int8_ops, matrix_flops=2 * plain.matrix_flops)
    host = specs.host(CATALOG.hosts[CATALOG.default_host])
    speeds = []
    for device in (replace(plain, slug="wide"), wider):
        request = EstimateRequest(quant=quant("q4-k-m"), accelerator=device, host=host, prompt_tokens=4096)
        prefill = estimate(model("llama-3.1-8b"), request, CALIBRATION).prefill
        assert prefill is not None
        speeds.append(prefill.value)
    assert 1.05 * speeds[0] < speeds[1] < 2 * speeds[0]


def test_attention_is_multiplied_in_matrix_units_on_cuda_and_metal_and_by_servers() -> None:
    amd = gpu("radeon-ai-pro-r9700")
    assert amd.fp32_flops is not None
    assert attention_peak(amd, Backend.ROCM, "llama.cpp") == 2 * amd.fp32_flops < matrix_peak(amd)
    assert attention_peak(amd, Backend.ROCM, "vllm") == matrix_peak(amd)
    for slug, backend in (("rtx-4090", Backend.CUDA), ("apple-m5-max-40c-128gb", Backend.METAL)):
        assert attention_peak(gpu(slug), backend, "llama.cpp") == matrix_peak(gpu(slug))
    plain = gpu("tesla-p40")
    assert attention_peak(plain, Backend.VULKAN, "llama.cpp") <= matrix_peak(plain)
    deep = [ask("llama-3.1-8b", "radeon-ai-pro-r9700", "q4-k-m", prompt_tokens=tokens) for tokens in (512, 65_536)]
    shallow, late = (answer.prefill for answer in deep)
    assert shallow is not None
    assert late is not None
    assert late.value < 0.4 * shallow.value


def test_matrix_units_far_ahead_of_shaders_are_fed_worse() -> None:
    leads = [matrix_log(gpu(slug), matrix_peak(gpu(slug))) for slug in ("tesla-p40", "rtx-4090", "a100-sxm4-80-gb")]
    assert leads == sorted(leads)
    assert leads[0] < leads[-1]
    unstated = gpu("arc-pro-b70-32-gb")
    assert unstated.fp32_flops is None
    assert unstated.compute_units is not None
    assert unstated.boost_hz is not None
    assert shader_flops(unstated) == 256 * unstated.compute_units * unstated.boost_hz
    assert matrix_log(unstated, matrix_peak(unstated)) > np.log(7.9 / NOMINAL_MATRIX_LEAD)
    assert matrix_log(replace(unstated, boost_hz=None), 1e14) == 0.0
    assert matrix_log(unstated, float("nan")) == 0.0


def test_a_power_limit_holds_a_wide_chip_down_and_an_unknown_one_says_nothing() -> None:
    held = [
        power_log(gpu(slug), weight_peak(gpu(slug), Backend.CUDA, quant("q4-k-m")))
        for slug in ("l4", "rtx-4090", "rtx-4060")
    ]
    assert held == sorted(held, reverse=True)
    assert power_log(replace(gpu("l4"), tdp_w=None), 1e14) == 0.0
    assert power_log(gpu("l4"), float("nan")) == 0.0
    assert power_log(gpu("dgx-spark"), 1e14) == 0.0
    freer = replace(gpu("l4"), tdp_w=300.0)
    slow, fast = (
        estimate(
            model("llama-3.1-8b"),
            EstimateRequest(
                quant=quant("q4-k-m"),
                accelerator=device,
                host=specs.host(CATALOG.hosts[CATALOG.default_host]),
                prompt_tokens=4096,
            ),
            CALIBRATION,
        ).prefill
        for device in (gpu("l4"), freer)
    )
    assert slow is not None
    assert fast is not None
    assert fast.value > 1.15 * slow.value


@pytest.mark.parametrize(
    ("device", "engine", "tokens"),
    [
        ("rtx-4090", "llama.cpp", 512),
        ("rtx-4090", "llamafile (LocalScore)", 512),
        ("rtx-4090", "vllm", 2048),
        ("h100-sxm5-80-gb", "vllm", 8192),
        ("a100-sxm4-80-gb", "vllm", 2048),
        ("apple-m3-max-40c-64gb", "mlx", 2048),
        ("apple-m3-max-40c-64gb", "vllm-mlx", 2048),
        ("rtx-4090", "exllamav3", 2048),
    ],
)
def test_each_engine_takes_its_own_number_of_prompt_tokens_at_a_time(device: str, engine: str, tokens: int) -> None:
    assert step_tokens(gpu(device), engine) == tokens


def test_the_micro_batch_that_is_asked_for_replaces_the_engines_own() -> None:
    def prefill(**changes: object) -> float:
        speed = ask("qwen3-30b-a3b", "dgx-spark", "q4-k-m", prompt_tokens=8192, **changes).prefill
        assert speed is not None
        return speed.value

    assert prefill() == pytest.approx(prefill(micro_batch_tokens=512), rel=1e-6)
    # Every step reads nearly all experts once.
    assert prefill(micro_batch_tokens=2048) > 1.2 * prefill()
    assert prefill(micro_batch_tokens=128) < 0.9 * prefill()


def test_vllm_reads_the_experts_once_for_many_more_tokens() -> None:
    own, small = (
        ask(
            "qwen3-30b-a3b",
            "h100-sxm5-80-gb",
            "fp8",
            engine=Engine.VLLM,
            prompt_tokens=8192,
            micro_batch_tokens=micro_batch,
        )
        for micro_batch in (None, 512)
    )
    assert own.prefill is not None
    assert small.prefill is not None
    assert own.prefill.value > 1.1 * small.prefill.value


def test_heads_that_share_keys_and_values_cost_arithmetic_at_depth() -> None:
    """Twice the query heads over the same cache: as many bytes to read, more to multiply."""
    plain = model("qwen3-32b")
    doubled = replace(
        plain, slug="doubled", layers=tuple(replace(layer, heads=2 * layer.heads) for layer in plain.layers)
    )
    pairs = [
        model_tables(structure, (quant("q4-k-m"),)).attention_flops_per_token_pair for structure in (plain, doubled)
    ]
    assert pairs[1] == 2 * pairs[0]
    host = specs.host(CATALOG.hosts[CATALOG.default_host])

    def seconds(which: ModelArchitecture, depth: int) -> float:
        request = EstimateRequest(
            quant=quant("q4-k-m"), accelerator=gpu("b200"), host=host, depth_tokens=depth, output_tokens=2
        )
        decode = estimate(which, request, CALIBRATION).decode
        assert decode is not None
        return 1.0 / decode.value

    grown = [seconds(structure, 32768) - seconds(structure, 0) for structure in (plain, doubled)]
    assert 1.02 * grown[0] < grown[1] < 2 * grown[0]


def test_latent_rows_are_multiplied_as_stored_and_compressed_contexts_once_an_entry() -> None:
    latent = model("deepseek-v3.2")
    assert latent.latent is not None
    expected = sum(2.0 * layer.heads * (2 * latent.latent.kv_rank + latent.latent.rope_dim) for layer in latent.layers)
    assert model_tables(latent, (quant("q4-k-m"),)).attention_flops_per_token_pair == expected
    compressed = model("deepseek-v4-flash")
    uncompressed = sum(2.0 * layer.heads * (layer.key_dim + layer.value_dim) for layer in compressed.layers)
    assert 0 < model_tables(compressed, (quant("q4-k-m"),)).attention_flops_per_token_pair < uncompressed / 4
