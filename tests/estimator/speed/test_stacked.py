"""Speeds of many models in one go are those of each model alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from estimator import verdict
from estimator.calibration.coefficients import Calibration
from estimator.fleet import Overrides, fleet_of
from estimator.grid import outline
from estimator.placement.demand import Situation
from estimator.placement.engines import named_architecture
from estimator.speed.stacked import StackedWork
from tests.estimator.entities import ENTITIES

CALIBRATION = Calibration.load()
MODELS = [
    model for model in ENTITIES.models.values() if model is not None and not named_architecture(model.architecture)
][::5]
QUANTS = tuple(ENTITIES.quants[slug] for slug in ("q4-k-m", "q8-0", "bf16-safetensors", "awq-int4", "fp8"))
SITUATION = Situation(prompt_tokens=4096, output_tokens=512, context_tokens=8192, depth_tokens=4352.0)


@pytest.mark.parametrize("is_moe", [False, True])
@pytest.mark.parametrize("gpu", ["rtx-4090", "h200-sxm-141-gb", "apple-m2-ultra-76c-192gb", "cpu-ddr5-6400-2ch"])
def test_each_model_is_as_fast_as_alone(gpu: str, is_moe: bool) -> None:
    models = [model for model in MODELS if model.is_moe == is_moe]
    machine, host, overrides = (ENTITIES.accelerators[gpu],), (ENTITIES.default_host,), Overrides(offloads=False)
    fleet = fleet_of("", is_moe, machine, QUANTS, host, overrides)
    coefficients = CALIBRATION.stacked(models, fleet.choices)
    work = StackedWork.of(models, QUANTS, SITUATION, fleet.rig)
    compared = 0
    for streams in (1, 2, 30):
        situation = replace(SITUATION, batch=streams, expected_occupancy=streams > 1)
        speeds = work.speeds(streams, coefficients, on_processor=gpu.startswith("cpu"))
        for model, decode_tok_s, ttft_ms in zip(models, *speeds, strict=True):
            block = outline(model, machine, QUANTS, (situation,), host, CALIBRATION, overrides)
            runs = block.available[0] & (block.status[0, :, 0] < verdict.DOES_NOT_FIT)
            np.testing.assert_allclose(decode_tok_s[runs], block.decode_tok_s[0, runs, 0], rtol=1e-6)
            np.testing.assert_allclose(ttft_ms[runs], block.ttft_ms[0, runs, 0], rtol=1e-6)
            compared += int(runs.sum())
    assert compared > 10
