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
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import wide_kv_heads
from estimator.types import Engine
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
    require_equal([model for model in MODELS if model.is_moe == is_moe], gpu, Overrides(offloads=False), (1, 2, 30))


def test_wide_heads_are_read_once_for_each_stream() -> None:
    # SGLang reads them by a general kernel, whose units are too few for a stream or two.
    models = [model for model in ENTITIES.models.values() if model is not None and model.slug.startswith("gemma-4-")]
    dense = [model for model in models if wide_kv_heads(model) and not model.is_moe]
    assert dense
    require_equal(dense, "h200-sxm-141-gb", Overrides(offloads=False, engine=Engine.SGLANG), (1, 2, 4))


def require_equal(models: list[ModelArchitecture], gpu: str, overrides: Overrides, batches: tuple[int, ...]) -> None:
    """Assert that each model has the speeds in the stack that it has in an outline of its own."""
    machine, host = (ENTITIES.accelerators[gpu],), (ENTITIES.default_host,)
    fleet = fleet_of("", models[0].is_moe, machine, QUANTS, host, overrides)
    coefficients = CALIBRATION.stacked(models, fleet.choices)
    work = StackedWork.of(models, QUANTS, SITUATION, fleet.rig)
    compared = 0
    for streams in batches:
        situation = replace(SITUATION, batch=streams, expected_occupancy=streams > 1)
        speeds = work.speeds(streams, coefficients, on_processor=gpu.startswith("cpu"))
        for model, decode_tok_s, ttft_ms in zip(models, *speeds, strict=True):
            block = outline(model, machine, QUANTS, (situation,), host, CALIBRATION, overrides)
            runs = block.available[0] & (block.status[0, :, 0] < verdict.DOES_NOT_FIT)
            np.testing.assert_allclose(decode_tok_s[runs], block.decode_tok_s[0, runs, 0], rtol=1e-6)
            np.testing.assert_allclose(ttft_ms[runs], block.ttft_ms[0, runs, 0], rtol=1e-6)
            compared += int(runs.sum())
    assert compared > 10
