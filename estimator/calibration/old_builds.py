"""What builds of before are slower by: their age, and what they had of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from estimator.calibration.build_age import is_before_v1, lacks_fused_state
from estimator.calibration.effects import (
    NO_GRAPH_FAMILIES,
    SCHEDULED_BETWEEN,
    THREAD_BYTES_S,
    effect_name,
    engine_factor,
    family_of,
)
from estimator.calibration.stream_constants import OTHER_ENGINES, before_v1, stream_fields
from estimator.placement.engines import EngineChoices
from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.roofline import LAYER_S
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags
from estimator.structure.kv_cache import cache_shape
from estimator.types import BACKENDS, ENGINES, LLAMA_ENGINES, Backend, Engine

#: Builds older than this lack CUDA graphs, years before the reference date: llama.cpp got them in May 2024, so that a
#: build of June has them and one that states only May counts as without.
GRAPHS_AGE_YEARS = 2.35


#: Passes over the state of a linear layer that builds without a fused operation make beside the current ones: products with
#: keys and queries, transposed copies for their sums, the update. Two sums are on one thread, a number in the four cycles of
#: an addition, and the repeated keys are written on one (``ggml_get_n_tasks`` of ggml-cpu: SUM_ROWS, REPEAT).
_MORE_PASSES = 7.0
_SUMS_ON_ONE_THREAD = 2.0
_CYCLES_PER_SUM, _STATE_NUMBER_BYTES = 4.0, 4.0
_USUAL_CORE_HZ = 4.5e9


def aged(
    table: SpeedCoefficients,
    model: ModelArchitecture,
    choices: EngineChoices,
    years: float,
    calibration: Mapping[str, Any],
) -> SpeedCoefficients:
    """The coefficients of a build of ``years`` ago: engines have become faster, by backend.

    ``calibration`` is the content of ``calibration.json``.
    """
    names = [backend.value for backend in BACKENDS]
    backend = choices.backend.ravel()
    decode = calibration["decode"]["effects"]
    changes: dict[str, Any] = {}
    if years > GRAPHS_AGE_YEARS:
        without = _without_graphs(choices)
        for term in ("layer", "expert_layer"):
            cost = decode.get(effect_name(term, "no-graphs", "yes"), 0.0)
            changes[term] = getattr(table, term) * np.exp(cost * without)
    if is_before_v1(years):
        changes |= _before_v1(table, choices, decode, calibration["streams"]["engines"])
    if model.linear is not None:
        changes["layer"] = changes.get("layer", table.layer) + _unfused(table, model, choices, years)
    for kind in ("decode", "prefill"):
        effects = calibration[kind]["effects"]
        rates = [effects.get(effect_name("whole", "age", name), 0.0) for name in names]
        known = np.array([*rates, *([0.0] * (256 - len(rates)))])
        changes[f"{kind}_overall"] = getattr(table, f"{kind}_overall") * np.exp(known[backend] * years)
    return replace(table, **changes)


def _before_v1(
    table: SpeedCoefficients, choices: EngineChoices, decode: Mapping[str, float], engines: Mapping[str, Any]
) -> dict[str, Any]:
    """What builds of vLLM before its engine V1 have of their own: time a token, and constants of several streams."""
    own = (choices.engine.ravel() == ENGINES.index(Engine.VLLM)) & (choices.software is None)
    cost = decode.get(effect_name("token", SCHEDULED_BETWEEN, "yes"), 0.0)
    changes: dict[str, Any] = {"token": table.token * np.exp(cost * own)}
    for backend in (Backend.CUDA, Backend.ROCM):
        constants = engines.get(before_v1(backend), engines[OTHER_ENGINES])
        pairs = own & (choices.backend.ravel() == BACKENDS.index(backend))
        for name, value in stream_fields(constants).items():
            now = changes.get(name, getattr(table, name))
            changes[name] = np.where(pairs[:, None] if np.ndim(value) else pairs, value, now)
    return changes


def _unfused(table: SpeedCoefficients, model: ModelArchitecture, choices: EngineChoices, years: float) -> Any:
    """What processors add to the cost of a layer where a build goes through the states of linear layers in many operations."""
    states = float(cache_shape(model).linear_bytes.sum())
    engines = choices.engine.ravel()
    lacking = [
        code
        for code, engine in enumerate(ENGINES)
        if engine in LLAMA_ENGINES
        and engine is not Engine.IK_LLAMA_CPP
        and lacks_fused_state(years, is_ollama=engine is Engine.OLLAMA)
    ]
    runs = np.isin(engines, lacking) & (choices.backend.ravel() == BACKENDS.index(Backend.CPU))
    clocks = np.repeat([gpu.boost_hz or _USUAL_CORE_HZ for gpu in choices.gpus], len(choices.quants))
    summed = _SUMS_ON_ONE_THREAD * _CYCLES_PER_SUM / _STATE_NUMBER_BYTES / clocks
    passed = _MORE_PASSES * table.cache / table.bandwidth_bytes_s + 1.0 / THREAD_BYTES_S
    return np.where(runs, states * (summed + passed) / (model.n_layers * LAYER_S), 0.0)


def _without_graphs(choices: EngineChoices) -> Flags:
    """Pairs that have lost CUDA graphs in a build from before llama.cpp had them, shape (pairs,)."""
    lost = np.array([family_of(gpu) not in NO_GRAPH_FAMILIES for gpu in choices.gpus])
    own = np.isin(choices.engine, [ENGINES.index(engine) for engine in Engine if engine_factor(engine.value) is None])
    runs = own & (choices.backend == BACKENDS.index(Backend.CUDA)) & (choices.software is None)
    return np.asarray((runs & lost[:, None]).ravel())
