"""Several streams at once: properties of the law that hold for every engine, device and kind of model."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.speed.streams import unpacks
from estimator.types import Engine, EstimateRequest
from tests.estimator.entities import ENTITIES

CALIBRATION = Calibration.load()
COUNTS = (1, 2, 3, 4, 6, 8, 9, 12, 16, 24, 32, 48, 64, 96, 128)
CASES = [
    ("llama-3.1-8b", "q4-k-m", "rtx-4090", Engine.LLAMA_CPP),
    ("gemma-3-4b", "q4-0", "apple-m2-ultra-76c-192gb", Engine.LLAMA_CPP),
    ("qwen3-30b-a3b", "q4-k-m", "rtx-5090", Engine.LLAMA_CPP),
    ("llama-3.1-8b", "bf16-safetensors", "h100-sxm5-80-gb", Engine.VLLM),
    ("llama-3.1-8b", "fp8", "h100-sxm5-80-gb", Engine.SGLANG),
    ("qwen3-30b-a3b", "fp8", "h200-sxm-141-gb", Engine.VLLM),
    ("qwen3-8b", "awq-int4", "rtx-3090", Engine.VLLM),
]


def request(quant: str, gpu: str, engine: Engine) -> EstimateRequest:
    return EstimateRequest(
        quant=ENTITIES.quants[quant],
        accelerator=ENTITIES.accelerators[gpu],
        host=ENTITIES.default_host,
        engine=engine,
        prompt_tokens=256,
        output_tokens=256,
    )


@pytest.mark.parametrize(("model", "quant", "gpu", "engine"), CASES)
def test_more_streams_are_each_slower_and_together_faster(model: str, quant: str, gpu: str, engine: Engine) -> None:
    architecture, asked = ENTITIES.models[model], request(quant, gpu, engine)
    assert architecture is not None
    answers = [estimate(architecture, replace(asked, batch=count), CALIBRATION) for count in COUNTS]
    speeds = [answer.decode.value for answer in answers if answer.decode is not None]
    assert len(speeds) == len(COUNTS)
    # Float32 of the answers, and a step of many streams that reads at one stream's pace.
    assert all(slower <= faster * 1.0001 for faster, slower in pairwise(speeds))
    # The second stream makes the processor sample one after the other; from then on more streams give more tokens.
    together = [count * speed for count, speed in zip(COUNTS[1:], speeds[1:], strict=True)]
    assert all(more >= less * 0.999 for less, more in pairwise(together))
    assert together[-1] > 2.0 * speeds[0]


def test_a_range_of_many_streams_is_no_narrower_than_that_of_one() -> None:
    architecture, asked = ENTITIES.models["llama-3.1-8b"], request("bf16-safetensors", "h100-sxm5-80-gb", Engine.VLLM)
    assert architecture is not None
    widths = []
    for count in (1, 8, 64):
        speed = estimate(architecture, replace(asked, batch=count), CALIBRATION).decode
        assert speed is not None
        assert speed.low < speed.value < speed.high
        widths.append(speed.high / speed.low)
    assert min(widths[1:]) >= widths[0]


def test_the_same_bytes_under_the_same_arithmetic_are_as_fast() -> None:
    """AWQ and GPTQ checkpoints store the same bits in one layout each, and one kernel reads both."""
    architecture = ENTITIES.models["llama-3.1-8b"]
    assert architecture is not None
    speeds = {}
    for quant in ("awq-int4", "gptq-int4"):
        asked = replace(request(quant, "rtx-3090", Engine.VLLM), batch=20)
        answer = estimate(architecture, asked, CALIBRATION)
        assert answer.decode is not None
        speeds[quant] = answer.decode.value * answer.memory.weights_bytes
    assert speeds["awq-int4"] == pytest.approx(speeds["gptq-int4"], rel=0.1)


def test_prompts_of_many_streams_are_read_in_full_steps() -> None:
    architecture, asked = ENTITIES.models["llama-3.1-8b"], request("bf16-safetensors", "h100-sxm5-80-gb", Engine.VLLM)
    assert architecture is not None
    single, many = (estimate(architecture, replace(asked, batch=count), CALIBRATION).prefill for count in (1, 32))
    assert single is not None
    assert many is not None
    assert many.value > single.value


@pytest.mark.parametrize(
    ("quant", "gpu", "unpacked"),
    [
        ("gptq-int4", "h100-sxm5-80-gb", True),
        ("awq-int4", "rtx-3090", True),
        ("gptq-int8", "h100-sxm5-80-gb", False),
        ("fp8", "h100-sxm5-80-gb", False),
        ("nvfp4", "h100-sxm5-80-gb", True),
        ("nvfp4", "b200", False),
        ("q4-k-m", "rtx-4090", False),
    ],
)
def test_servers_unpack_weights_of_4_bits_without_units_for_them(quant: str, gpu: str, unpacked: bool) -> None:
    assert unpacks(ENTITIES.quants[quant], bool(ENTITIES.accelerators[gpu].fp4_flops)) is unpacked


def test_unpacked_weights_lose_their_lead_in_a_crowd() -> None:
    """AccelMark: Llama 3.1 8B in 4 bits gives two thirds of the tokens of 8 bits at saturation, on seven devices."""
    architecture = ENTITIES.models["llama-3.1-8b"]
    assert architecture is not None

    def lead(count: int) -> float:
        speeds = [
            estimate(architecture, replace(request(quant, "h100-sxm5-80-gb", Engine.VLLM), batch=count), CALIBRATION)
            for quant in ("gptq-int4", "gptq-int8")
        ]
        small, large = (answer.decode.value for answer in speeds if answer.decode is not None)
        return small / large

    assert lead(1) > 1.1
    assert lead(256) < 1.0
