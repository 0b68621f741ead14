"""A start command, the tools that have one, and the reasons for which a tool has none."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum

from estimator.fit_facts import FitFacts, cache_type, value_cache_type
from estimator.server_options import SplitMode
from estimator.structure.checkpoints import is_repository
from estimator.types import CacheType, Engine, Quant, Strategy

#: Result of `llama_max_devices` (src/llama.cpp).
LLAMA_MAX_DEVICES = 16
PORT = 8080


class Tool(StrEnum):
    """The program that a command starts."""

    LLAMA_SERVER = "llama-server"
    LLAMA_DOCKER = "llama.cpp in Docker"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    VLLM = "vLLM"
    VLLM_DOCKER = "vLLM in Docker"
    SGLANG = "SGLang"
    MLX = "MLX"
    TENSORRT_LLM = "TensorRT-LLM"
    TABBY_API = "TabbyAPI"
    IK_LLAMA_SERVER = "llama-server of ik_llama.cpp"
    LLAMAFILE = "llamafile"


@dataclass(frozen=True, slots=True)
class Command:
    """One way to start the plan: ``text`` is what to paste into a POSIX shell."""

    engine: Engine
    tool: Tool
    text: str


class CommandGap(StrEnum):
    """Why a tool has no command for a plan."""

    NOTHING_RUNS = "nothing_runs"
    NO_WEIGHTS = "no_weights"
    MODEL = "model"
    PLATFORM = "platform"
    PLACEMENT = "placement"
    KV_CACHE_TYPE = "kv_cache_type"
    STREAMS = "streams"
    DRAFT_OR_PROJECTOR = "draft_or_projector"
    MIXED_ACCELERATORS = "mixed_accelerators"
    HEADS = "heads"
    ACCELERATORS = "accelerators"
    OPTIONS = "options"


@dataclass(frozen=True, slots=True)
class MissingCommand:
    """A tool without a command for the plan; ``tool`` is None when it is so for every one."""

    tool: Tool | None
    gap: CommandGap
    message: str


class NoCommandError(Exception):
    """The plan cannot be told to a tool."""

    def __init__(self, gap: CommandGap, message: str) -> None:
        super().__init__(message)
        self.gap = gap


def wired_limit_command(limit_bytes: int) -> str:
    """The command that sets the memory limit of a Mac's GPU until the next start of macOS."""
    return f"sudo sysctl iogpu.wired_limit_mb={limit_bytes // 1024**2}"


def quant_tag(quant: Quant) -> str:
    """The tag of a GGUF quantization in a repository, for example ``Q4_K_M``."""
    return quant.file_type or quant.name


def check_plain(tool: Tool, facts: FitFacts) -> None:
    """Refuse what only an engine's own command line can say."""
    if facts.draft is not None or facts.vision:
        extra = "a vision projector" if facts.draft is None else "a draft model"
        raise NoCommandError(CommandGap.DRAFT_OR_PROJECTOR, f"{tool.value} cannot be told of {extra}.")
    if facts.request.gpu_count > 1 and facts.request.split_mode not in (None, SplitMode.LAYER):
        raise NoCommandError(CommandGap.PLACEMENT, f"{tool.value} cannot be told to cut the matrices of a model.")
    if facts.is_mixed:
        raise NoCommandError(
            CommandGap.MIXED_ACCELERATORS, f"{tool.value} cannot be told how accelerators that differ share the layers."
        )


def check_options(tool: Tool, facts: FitFacts, *, sets_attention: bool = False) -> None:
    """Refuse a micro-batch, and a plan without flash attention unless the tool ``sets_attention``."""
    if facts.request.micro_batch_tokens is not None:
        raise NoCommandError(CommandGap.OPTIONS, f"{tool.value} cannot be told of a micro-batch.")
    if facts.request.flash_attention is False and not sets_attention:
        raise NoCommandError(CommandGap.OPTIONS, f"{tool.value} cannot be told to do without flash attention.")


def check_count(name: str, facts: FitFacts) -> None:
    if facts.request.gpu_count > LLAMA_MAX_DEVICES:
        raise NoCommandError(
            CommandGap.ACCELERATORS,
            f"{name} splits a model over {LLAMA_MAX_DEVICES} accelerators at most, not {facts.request.gpu_count:,}.",
        )


def check_layers(tool: Tool, facts: FitFacts) -> None:
    """Refuse what tools that count layers and serve one stream cannot do."""
    check_count(tool.value, facts)
    if facts.estimate.placement.strategy is Strategy.EXPERT_OFFLOAD:
        raise NoCommandError(CommandGap.PLACEMENT, f"{tool.value} offloads whole layers, not experts alone.")
    if facts.request.batch > 1:
        raise NoCommandError(CommandGap.STREAMS, f"{tool.value} is started for one stream, not {facts.request.batch}.")
    check_plain(tool, facts)
    if not is_repository(facts.gguf_repository):
        raise no_weights(facts)


def check_cache(name: str, facts: FitFacts, *allowed: CacheType) -> None:
    for cache in (cache_type(facts.request), value_cache_type(facts.request)):
        if cache not in allowed:
            raise NoCommandError(CommandGap.KV_CACHE_TYPE, f"{name} cannot be told to keep a {cache.value} KV cache.")


def no_weights(facts: FitFacts) -> NoCommandError:
    return NoCommandError(
        CommandGap.NO_WEIGHTS,
        f"No published {facts.quant.name} weights of {facts.model_name} are recorded here: a command without them would "
        "not run.",
    )


def shell_line(words: list[str]) -> str:
    """Words as one shell line, broken before each flag where it grows long."""
    quoted = [shlex.quote(word) for word in words]
    line = " ".join(quoted)
    if len(line) <= 88:
        return line
    lines, current = [], quoted[0]
    for word in quoted[1:]:
        if word.startswith("-") and len(current) + len(word) > 72:
            lines.append(current)
            current = "  " + word
        else:
            current += " " + word
    lines.append(current)
    return " \\\n".join(lines)
