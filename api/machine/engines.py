"""Engines and front ends that are installed: programs on PATH, applications, modules that Python can import."""

from __future__ import annotations

from api.machine.probe import Probe
from estimator.advice.command import Tool

#: Programs and modules by which a tool is known.
_PROGRAMS: dict[Tool, tuple[str, ...]] = {
    Tool.LLAMA_SERVER: ("llama-server", "llama-cli", "llama-bench"),
    Tool.OLLAMA: ("ollama",),
    Tool.LM_STUDIO: ("lms",),
    Tool.VLLM: ("vllm",),
    Tool.SGLANG: ("sglang",),
    Tool.MLX: ("mlx_lm.server", "mlx_lm.generate"),
}
_MODULES: dict[Tool, str] = {Tool.VLLM: "vllm", Tool.SGLANG: "sglang", Tool.MLX: "mlx_lm"}


def tools(probe: Probe) -> tuple[Tool, ...]:
    """Installed engines, the likeliest first."""
    return tuple(
        tool
        for tool, names in _PROGRAMS.items()
        if any(probe.program(name) for name in names) or (tool in _MODULES and probe.module(_MODULES[tool]))
    )
