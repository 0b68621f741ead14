"""Constants of several streams in ``calibration.json``: whose they are, and the fields of coefficients that they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from estimator.speed.coefficients import REGIMES
from estimator.speed.streams import CONSTANTS
from estimator.types import Backend, Engine

#: Constants of several streams of an engine without rows of its own: those of all servers together.
OTHER_ENGINES = "others"
#: vLLM before its engine V1, which scheduled each step on one processor core, between the steps of the device.
OLD_VLLM = "vllm before 0.8"


def stream_engine(name: str) -> str:
    """The engine whose constants of several streams hold for software of this ``name``: forks and fronts share them."""
    own = (Engine.LLAMA_CPP, Engine.OLLAMA, Engine.IK_LLAMA_CPP, Engine.LM_STUDIO, Engine.LLAMAFILE)
    return Engine.LLAMA_CPP.value if name in {engine.value for engine in own} else name


def before_v1(backend: Backend) -> str:
    """The name of the constants of vLLM before its engine V1; its kernels of ROCm read contexts otherwise."""
    return f"{OLD_VLLM} on {backend.value}" if backend is Backend.ROCM else OLD_VLLM


def stream_fields(constants: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of :class:`~estimator.speed.coefficients.SpeedCoefficients` that the constants of an engine give."""
    values = {f"stream_{name}": np.asarray(constants[name]) for name in CONSTANTS}
    for end, field in enumerate(("stream_low", "stream_high")):
        values[field] = np.log([constants["ranges"][regime][end] for regime in REGIMES])
    return values
