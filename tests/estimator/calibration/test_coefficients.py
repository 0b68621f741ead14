"""What the measured rows tell about each engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.calibration.effects import engine_factor
from estimator.estimate import estimate
from estimator.types import Backend, Engine, Estimate, Evidence
from tests.support import answers
from tests.support.entities import ENTITIES


def answer(engine: Engine) -> Estimate:
    one = answers.facts_of("gpt-oss-20b", "h100-sxm5-80-gb", "mxfp4-checkpoint")
    request = replace(one.request, engine=engine, software=None)
    return estimate(one.model, request, answers.CALIBRATION, one.workload)


def test_rows_of_one_engine_do_not_calibrate_another() -> None:
    fitted, unfitted = answer(Engine.VLLM), answer(Engine.SGLANG)
    assert fitted.decode is not None
    assert unfitted.decode is not None
    assert fitted.decode.evidence is not Evidence.EXTRAPOLATED
    assert unfitted.decode.evidence is Evidence.EXTRAPOLATED
    assert unfitted.decode.high / unfitted.decode.low > 1.8


#: Engines whose rows no fit of one stream on one device has under their own name; rows of llamafile have that of its
#: benchmark.
UNMEASURED = {Engine.SGLANG, Engine.EXLLAMAV3, Engine.LLAMAFILE}


@pytest.mark.parametrize("engine", list(Engine))
def test_every_other_engine_has_rows(engine: Engine) -> None:
    name = engine_factor(engine.value) or Engine.LLAMA_CPP.value
    stacks = {known.split("|")[1] for known in answers.CALIBRATION.data["decode"]["seen"]["gpu"]}
    assert (name not in stacks) == (engine in UNMEASURED)


def test_a_device_is_known_only_with_an_engine_and_backend_that_were_measured_on_it() -> None:
    one = answers.facts_of("qwen3-8b", "arc-pro-b70-32-gb", "q4-k-m")
    known = replace(one.request, engine=Engine.LLAMA_CPP, backend=Backend.VULKAN, software=None)
    unknown = replace(known, quant=ENTITIES.quants["bf16-safetensors"], engine=Engine.VLLM, backend=Backend.SYCL)
    for request, evidence in ((known, Evidence.CALIBRATED), (unknown, Evidence.EXTRAPOLATED)):
        speed = estimate(one.model, request, answers.CALIBRATION, one.workload).decode
        assert speed is not None
        assert speed.evidence is evidence
