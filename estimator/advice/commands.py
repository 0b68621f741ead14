"""Exact start commands for a fit: the flags state its placement and nothing else.

An engine that cannot run the plan gets no command. Every flag is one that the engine documents; the tests hold them
against recorded help texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from estimator.advice.checkpoint_commands import (
    mlx,
    sglang,
    tabby_api,
    tensorrt_llm,
    vllm,
    vllm_docker,
)
from estimator.advice.command import (
    Command,
    CommandGap,
    MissingCommand,
    NoCommandError,
    Tool,
    wired_limit_command,
)
from estimator.advice.gguf_commands import (
    ik_llama_server,
    llama_docker,
    llama_server,
    llamafile,
    lm_studio,
    ollama,
)
from estimator.fit_facts import FitFacts
from estimator.types import Engine

#: Tools of each engine, the likeliest first.
_TOOLS: dict[Engine, tuple[Tool, ...]] = {
    Engine.LLAMA_CPP: (Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER, Tool.OLLAMA, Tool.LM_STUDIO),
    Engine.OLLAMA: (Tool.OLLAMA, Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER, Tool.LM_STUDIO),
    Engine.VLLM: (Tool.VLLM, Tool.VLLM_DOCKER),
    Engine.SGLANG: (Tool.SGLANG,),
    Engine.IK_LLAMA_CPP: (Tool.IK_LLAMA_SERVER,),
    Engine.MLX: (Tool.MLX,),
    Engine.TENSORRT_LLM: (Tool.TENSORRT_LLM,),
    Engine.EXLLAMAV2: (Tool.TABBY_API,),
    Engine.EXLLAMAV3: (Tool.TABBY_API,),
    Engine.LM_STUDIO: (Tool.LM_STUDIO,),
    Engine.LLAMAFILE: (Tool.LLAMAFILE,),
}


def commands(facts: FitFacts) -> tuple[Command, ...]:
    """Start commands for the plan of ``facts``, the estimate's own engine first; empty when nothing runs."""
    return tuple(command for command in _made(facts) if isinstance(command, Command))


def missing_commands(facts: FitFacts) -> tuple[MissingCommand, ...]:
    """The tools of the plan's engine that ``commands`` leaves out, and why."""
    return tuple(missing for missing in _made(facts) if isinstance(missing, MissingCommand))


def _made(facts: FitFacts) -> Iterator[Command | MissingCommand]:
    if not facts.runs or facts.estimate.engine is None:
        yield MissingCommand(None, CommandGap.NOTHING_RUNS, "No engine runs this plan.")
        return
    makers: dict[Tool, Callable[[FitFacts], Command]] = {
        Tool.LLAMA_SERVER: llama_server,
        Tool.LLAMA_DOCKER: llama_docker,
        Tool.OLLAMA: ollama,
        Tool.LM_STUDIO: lm_studio,
        Tool.VLLM: vllm,
        Tool.VLLM_DOCKER: vllm_docker,
        Tool.MLX: mlx,
        Tool.SGLANG: sglang,
        Tool.TENSORRT_LLM: tensorrt_llm,
        Tool.TABBY_API: tabby_api,
        Tool.IK_LLAMA_SERVER: ik_llama_server,
        Tool.LLAMAFILE: llamafile,
    }
    for tool in _TOOLS[facts.estimate.engine]:
        try:
            yield _with_limit(facts, makers[tool](facts))
        except NoCommandError as reason:
            yield MissingCommand(tool, reason.gap, str(reason))


def _with_limit(facts: FitFacts, command: Command) -> Command:
    """The command after that which sets the memory limit of the plan."""
    limit = facts.request.wired_limit_bytes
    return command if limit is None else replace(command, text=f"{wired_limit_command(limit)}\n{command.text}")
