"""What the measured rows tell about each engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimator.estimate import estimate
from estimator.types import Engine, Estimate, Evidence
from tests.support import answers


def answer(engine: Engine) -> Estimate:
    one = answers.facts_of("gpt-oss-20b", "h100-sxm5-80-gb", "mxfp4-checkpoint")
    request = replace(one.request, engine=engine, software=None)
    return estimate(one.model, request, answers.CALIBRATION, one.workload)


def test_rows_of_one_engine_do_not_calibrate_another() -> None:
    fitted, unfitted = answer(Engine.VLLM), answer(Engine.SGLANG)
    for kind in ("decode", "prefill"):
        known, unknown = getattr(fitted, kind), getattr(unfitted, kind)
        assert known.evidence is not Evidence.EXTRAPOLATED
        assert unknown.evidence is Evidence.EXTRAPOLATED
        assert unknown.high / unknown.low > known.high / known.low


#: Engines whose rows no fit has under their own name; rows of llamafile have that of its benchmark.
UNMEASURED = {Engine.SGLANG, Engine.TENSORRT_LLM, Engine.EXLLAMAV3, Engine.LM_STUDIO, Engine.LLAMAFILE}


@pytest.mark.parametrize("engine", list(Engine))
def test_every_other_engine_has_rows(engine: Engine) -> None:
    assert (list(Engine).index(engine) in answers.CALIBRATION._unfitted(None)) == (engine in UNMEASURED)
