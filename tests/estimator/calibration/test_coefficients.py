"""Coefficients of each engine from its measured rows."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

import pytest

from estimator.calibration.build_age import BEFORE_V1_AGE_YEARS
from estimator.calibration.effects import engine_factor
from estimator.estimate import estimate
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.quantization import index_tensors
from estimator.structure.tensors import inventory
from estimator.structure.weights import NATIVE_EXPERT_TYPES, file_types
from estimator.types import GGUF_FORMATS, Backend, Engine, Estimate, EstimateRequest, Evidence, Quant, UnsupportedError
from tests.estimator.entities import ENTITIES
from tests.support import answers


def answer(engine: Engine) -> Estimate:
    facts = answers.facts_of("gpt-oss-20b", "h100-sxm5-80-gb", "mxfp4-checkpoint")
    request = replace(facts.request, engine=engine, software=None)
    return estimate(facts.model, request, answers.CALIBRATION, facts.workload)


def test_rows_of_one_engine_do_not_calibrate_another() -> None:
    fitted, unfitted = answer(Engine.VLLM), answer(Engine.SGLANG)
    assert fitted.decode is not None
    assert unfitted.decode is not None
    assert fitted.decode.evidence is not Evidence.EXTRAPOLATED
    assert unfitted.decode.evidence is Evidence.EXTRAPOLATED
    widths = [speed.high / speed.low for speed in (fitted.decode, unfitted.decode)]
    assert widths[1] > max(widths[0], 1.8)


#: Engines whose rows no fit of one stream on one device has under their own name; rows of llamafile have that of its
#: benchmark.
UNMEASURED = {Engine.SGLANG, Engine.EXLLAMAV3, Engine.LLAMAFILE}


@pytest.mark.parametrize("engine", list(Engine))
def test_every_other_engine_has_rows(engine: Engine) -> None:
    name = engine_factor(engine.value) or Engine.LLAMA_CPP.value
    stacks = {known.split("|")[1] for known in answers.CALIBRATION.data["decode"]["seen"]["gpu"]}
    assert (name not in stacks) == (engine in UNMEASURED)


def test_a_device_is_known_only_with_an_engine_and_backend_that_were_measured_on_it() -> None:
    facts = answers.facts_of("qwen3-8b", "arc-pro-b70-32-gb", "q4-k-m")
    known = replace(facts.request, engine=Engine.LLAMA_CPP, backend=Backend.VULKAN, software=None)
    unknown = replace(known, quant=ENTITIES.quants["bf16-safetensors"], engine=Engine.VLLM, backend=Backend.SYCL)
    for request, evidence in ((known, Evidence.CALIBRATED), (unknown, Evidence.EXTRAPOLATED)):
        speed = estimate(facts.model, request, answers.CALIBRATION, facts.workload).decode
        assert speed is not None
        assert speed.evidence is evidence


def test_what_rows_show_of_a_chip_holds_with_more_memory_too() -> None:
    """The memory size alone leaves the correction of a thinly measured device, which is small."""
    speeds = []
    for gpu in ("strix-halo-8060s-64gb", "strix-halo-8060s-128gb"):
        facts = answers.facts_of("qwen3-30b-a3b", gpu, "q4-k-m")
        speeds.append(estimate(facts.model, facts.request, answers.CALIBRATION, facts.workload))
    for kind in ("decode", "prefill"):
        small, large = (getattr(speed, kind).value for speed in speeds)
        assert large == pytest.approx(small, rel=0.06)


def same_files(model: ModelArchitecture) -> list[list[Quant]]:
    """GGUF quantizations under different names whose files have the same types of tensors."""
    index, groups = index_tensors(model, inventory(model)), defaultdict(list)
    for quant in ENTITIES.quants.values():
        if quant.format in GGUF_FORMATS and quant.file_type and quant.part_bits is None and not quant.part_factors:
            types = file_types(model, index, quant.file_type, imatrix=quant.imatrix)
            groups[types.tobytes()].append(quant)
    return [group for group in groups.values() if len(group) > 1]


def whole_rows(model: ModelArchitecture) -> bool:
    """Whether rows hold whole blocks of every type: a K-quant of shorter ones is known by its name alone."""
    return model.architecture in NATIVE_EXPERT_TYPES or not (inventory(model).row % 256).any()


def test_the_same_bytes_are_read_at_the_same_speed_under_any_name() -> None:
    chance = random.Random(12)
    models = [model for model in ENTITIES.models.values() if model is not None and whole_rows(model)]
    native = [model for model in models if model.architecture in NATIVE_EXPERT_TYPES]
    compared = 0
    for model in [*native, *chance.sample(models, 2)]:
        gpus = [ENTITIES.accelerators[slug] for slug in chance.sample(answers.GPUS, 4)]
        for group in same_files(model):
            for gpu in gpus:
                speeds = defaultdict(set)
                for quant in group:
                    request = EstimateRequest(quant=quant, accelerator=gpu, host=ENTITIES.default_host)
                    try:
                        answer = estimate(model, request, answers.CALIBRATION)
                    except UnsupportedError:
                        continue
                    if answer.decode is None:
                        continue
                    run = answer.engine, answer.backend, answer.memory.weights_bytes
                    prefill = answer.prefill and answer.prefill.value
                    speeds[run].add((round(answer.decode.value, 3), prefill and round(prefill, 1)))
                    compared += 1
                assert all(len(values) == 1 for values in speeds.values()), (model.slug, gpu.slug, dict(speeds))
    assert compared > 100


def test_vllm_of_before_its_engine_v1_is_slower_alone_and_with_company() -> None:
    facts = answers.facts_of("llama-3.1-8b", "h100-sxm5-80-gb", "bf16-safetensors")

    def tok_s(engine: Engine, years: float, batch: int) -> float:
        request = replace(facts.request, engine=engine, build_age_years=years, batch=batch)
        speed = estimate(facts.model, request, answers.CALIBRATION, facts.workload).decode
        assert speed is not None
        return speed.value

    month_after = BEFORE_V1_AGE_YEARS - 0.1
    for batch in (1, 8):
        assert tok_s(Engine.VLLM, BEFORE_V1_AGE_YEARS, batch) < 0.95 * tok_s(Engine.VLLM, month_after, batch)
        other = tok_s(Engine.TENSORRT_LLM, BEFORE_V1_AGE_YEARS, batch)
        assert other == pytest.approx(tok_s(Engine.TENSORRT_LLM, month_after, batch), rel=0.01)
