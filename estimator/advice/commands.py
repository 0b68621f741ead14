"""Exact start commands for a plan: the flags say what the placement decided, and nothing else.

An engine that cannot run the plan gets no command. Every flag is one that the engine documents; the tests hold them
against recorded help texts.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from estimator.fit_facts import DraftFacts, FitFacts, cache_type
from estimator.placement.hardware import choose_engine
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import is_repository, vllm_source
from estimator.types import Backend, CacheType, Engine, Quant, QuantFormat, Strategy

#: vLLM's own default share of the device memory, which the memory model assumes too.
VLLM_MEMORY_FRACTION = 0.9
#: What `llama_max_devices` gives (src/llama.cpp).
LLAMA_MAX_DEVICES = 16
LLAMA_IMAGE = "ghcr.io/ggml-org/llama.cpp"
VLLM_IMAGE = "vllm/vllm-openai:latest"
#: Image tag and device flags of llama.cpp's containers, per backend; Metal cannot be reached from a container.
_CONTAINERS: dict[Backend, tuple[str, tuple[str, ...]]] = {
    Backend.CUDA: ("server-cuda", ("--gpus", "all")),
    Backend.ROCM: ("server-rocm", ("--device", "/dev/kfd", "--device", "/dev/dri")),
    Backend.VULKAN: ("server-vulkan", ("--device", "/dev/dri")),
    Backend.SYCL: ("server-intel", ("--device", "/dev/dri")),
    Backend.CPU: ("server", ()),
}
#: First device of each backend, as `llama-server --list-devices` names it.
_FIRST_DEVICE = {
    Backend.CUDA: "CUDA0",
    Backend.ROCM: "ROCm0",
    Backend.VULKAN: "Vulkan0",
    Backend.SYCL: "SYCL0",
}
_PORT = 8080
#: Where commands look for files that are not published.
_OWN_FOLDER = "./models"


class Tool(StrEnum):
    """What a command starts."""

    LLAMA_SERVER = "llama-server"
    LLAMA_DOCKER = "llama.cpp in Docker"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    VLLM = "vLLM"
    VLLM_DOCKER = "vLLM in Docker"
    MLX = "MLX"


#: Tools of each engine, the likeliest first.
_TOOLS: dict[Engine, tuple[Tool, ...]] = {
    Engine.LLAMA_CPP: (Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER, Tool.OLLAMA, Tool.LM_STUDIO),
    Engine.OLLAMA: (Tool.OLLAMA, Tool.LLAMA_SERVER, Tool.LLAMA_DOCKER, Tool.LM_STUDIO),
    Engine.VLLM: (Tool.VLLM, Tool.VLLM_DOCKER),
    Engine.MLX: (Tool.MLX,),
}


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


@dataclass(frozen=True, slots=True)
class MissingCommand:
    """A tool without a command for the plan; ``tool`` is None when it is so for every one."""

    tool: Tool | None
    gap: CommandGap
    message: str


class _NoCommandError(Exception):
    """The plan cannot be told to a tool."""

    def __init__(self, gap: CommandGap, message: str) -> None:
        super().__init__(message)
        self.gap = gap


def commands(facts: FitFacts) -> tuple[Command, ...]:
    """Start commands for the plan of ``facts``, the estimate's own engine first; empty when nothing runs."""
    return tuple(each for each in _made(facts) if isinstance(each, Command))


def missing_commands(facts: FitFacts) -> tuple[MissingCommand, ...]:
    """The tools of the plan's engine that ``commands`` leaves out, and why."""
    return tuple(each for each in _made(facts) if isinstance(each, MissingCommand))


def _made(facts: FitFacts) -> Iterator[Command | MissingCommand]:
    if not facts.runs or facts.estimate.engine is None:
        yield MissingCommand(None, CommandGap.NOTHING_RUNS, "No engine runs this plan.")
        return
    makers: dict[Tool, Callable[[FitFacts], Command]] = {
        Tool.LLAMA_SERVER: _llama_server,
        Tool.LLAMA_DOCKER: _llama_docker,
        Tool.OLLAMA: _ollama,
        Tool.LM_STUDIO: _lm_studio,
        Tool.VLLM: _vllm,
        Tool.VLLM_DOCKER: _vllm_docker,
        Tool.MLX: _mlx,
    }
    for tool in _TOOLS[facts.estimate.engine]:
        try:
            yield makers[tool](facts)
        except _NoCommandError as reason:
            yield MissingCommand(tool, reason.gap, str(reason))


def quant_tag(quant: Quant) -> str:
    """The tag of a GGUF quantization in a repository, for example ``Q4_K_M``."""
    return quant.file_type or quant.name


def llama_flags(facts: FitFacts) -> list[str]:
    """llama-server's flags for the plan, without the model: layers, experts, context, attention, cache, slots."""
    request, placement = facts.request, facts.estimate.placement
    flags = ["-c", str(facts.estimate.context_tokens * request.batch)]
    flags += ["-ngl", str(placement.gpu_layers)]
    if placement.cpu_moe_layers > 0:
        flags += ["--n-cpu-moe", str(placement.cpu_moe_layers)]
    flags += ["-fa", "off" if request.flash_attention is False else "on"]
    cache = cache_type(request)
    if cache is not CacheType.F16:
        flags += ["--cache-type-k", cache.value, "--cache-type-v", cache.value]
    if request.batch > 1:
        flags += ["-np", str(request.batch)]
    if request.micro_batch_tokens is not None:
        flags += ["-ub", str(request.micro_batch_tokens)]
        if request.micro_batch_tokens > 2048:
            flags += ["-b", str(request.micro_batch_tokens)]
    if request.gpu_count > 1:
        flags += ["-sm", "layer"]
        if facts.is_mixed:
            flags += ["-ts", ",".join(str(load.layers) for load in facts.devices)]
    return flags


def _gguf_source(facts: FitFacts, folder: str) -> list[str]:
    """The model, and what is loaded beside it: the projector that a repository brings along, a draft model."""
    if is_repository(facts.gguf_repository):
        source = ["-hf", f"{facts.gguf_repository}:{quant_tag(facts.quant)}"]
        if facts.reads_images and not facts.vision:
            source += ["--no-mmproj"]
    else:
        if facts.vision:
            # Publishers name projector files as they like: a made-up name would not start.
            raise _NoCommandError(
                CommandGap.DRAFT_OR_PROJECTOR,
                f"No repository with the vision projector of {facts.model_name} is recorded here, and its file name "
                "cannot be guessed.",
            )
        source = ["-m", f"{folder}/{_own_file(facts.model.slug, facts.quant)}"]
    return source if facts.draft is None else [*source, *_gguf_draft(facts, facts.draft, folder)]


def _gguf_draft(facts: FitFacts, beside: DraftFacts, folder: str) -> list[str]:
    draft, first = beside.draft, _FIRST_DEVICE.get(facts.estimate.backend or Backend.CPU)
    tag = quant_tag(draft.quant)
    flags = ["--spec-type", "draft-simple", "--spec-draft-n-max", str(draft.tokens), "-ngld", "all"]
    if facts.request.gpu_count > 1 and first is not None:
        flags += ["-devd", first]
    if is_repository(beside.gguf_repository):
        return ["-hfd", f"{beside.gguf_repository}:{tag}", *flags]
    return ["-md", f"{folder}/{_own_file(draft.model.slug, draft.quant)}", *flags]


def _own_file(slug: str, quant: Quant) -> str:
    """Stands for a file of the user's own: no repository with one is known."""
    return f"YOUR-FILE-{slug}-{quant_tag(quant)}.gguf"


def _with_notes(facts: FitFacts, text: str) -> str:
    """The command under what has to be known of it first, as comments of the shell."""
    own = [] if is_repository(facts.gguf_repository) else [_own_file(facts.model.slug, facts.quant)]
    if facts.draft is not None and not is_repository(facts.draft.gguf_repository):
        own.append(_own_file(facts.draft.draft.model.slug, facts.draft.draft.quant))
    notes = [
        f"# no published GGUF file is recorded here: {_OWN_FOLDER}/{name} stands for one of your own" for name in own
    ]
    if facts.is_mixed:
        # The driver numbers accelerators, perhaps not in the order of the plan.
        names = ", ".join(f"{load.accelerator.name} {load.layers}" for load in facts.devices)
        notes += [
            f"# layers by accelerator: {names}",
            "# bring -ts into the order of: llama-server --list-devices",
        ]
    return "\n".join([*notes, text])


def _llama_server(facts: FitFacts) -> Command:
    _check_llama(facts)
    text = _join(["llama-server", *_gguf_source(facts, _OWN_FOLDER), *llama_flags(facts), "--port", str(_PORT)])
    return Command(Engine.LLAMA_CPP, Tool.LLAMA_SERVER, _with_notes(facts, text))


def _check_llama(facts: FitFacts) -> None:
    _check_count("llama.cpp", facts)
    _check_cache("llama.cpp", facts, *_LLAMA_CACHES)
    if facts.draft is not None and facts.draft.draft.quant.format is not QuantFormat.GGUF:
        raise _NoCommandError(CommandGap.DRAFT_OR_PROJECTOR, "llama.cpp reads drafts from GGUF files only.")


def _check_plain(tool: Tool, facts: FitFacts) -> None:
    """Refuse what only an engine's own command line can say."""
    if facts.draft is not None or facts.vision:
        extra = "a vision projector" if facts.draft is None else "a draft model"
        raise _NoCommandError(CommandGap.DRAFT_OR_PROJECTOR, f"{tool.value} cannot be told of {extra}.")
    if facts.is_mixed:
        raise _NoCommandError(
            CommandGap.MIXED_ACCELERATORS, f"{tool.value} cannot be told how accelerators that differ share the layers."
        )


def _check_count(name: str, facts: FitFacts) -> None:
    if facts.request.gpu_count > LLAMA_MAX_DEVICES:
        raise _NoCommandError(
            CommandGap.ACCELERATORS,
            f"{name} splits a model over {LLAMA_MAX_DEVICES} accelerators at most, not {facts.request.gpu_count:,}.",
        )


def _check_layers(tool: Tool, facts: FitFacts) -> None:
    """Refuse what tools that count layers and serve one stream cannot do."""
    _check_count(tool.value, facts)
    if facts.estimate.placement.strategy is Strategy.EXPERT_OFFLOAD:
        raise _NoCommandError(CommandGap.PLACEMENT, f"{tool.value} offloads whole layers, not experts alone.")
    if facts.request.batch > 1:
        raise _NoCommandError(CommandGap.STREAMS, f"{tool.value} is started for one stream, not {facts.request.batch}.")
    _check_plain(tool, facts)
    if not is_repository(facts.gguf_repository):
        raise _no_weights(facts)


def _check_cache(name: str, facts: FitFacts, *allowed: CacheType) -> None:
    cache = cache_type(facts.request)
    if cache not in allowed:
        raise _NoCommandError(CommandGap.KV_CACHE_TYPE, f"{name} cannot be told to keep a {cache.value} KV cache.")


def _no_weights(facts: FitFacts) -> _NoCommandError:
    return _NoCommandError(
        CommandGap.NO_WEIGHTS,
        f"No published {facts.quant.name} weights of {facts.model_name} are recorded here: a command without them would "
        "not run.",
    )


def _llama_docker(facts: FitFacts) -> Command:
    backend = facts.estimate.backend
    if backend is None or backend not in _CONTAINERS:
        name = "this backend" if backend is None else backend.value
        raise _NoCommandError(CommandGap.PLATFORM, f"llama.cpp has no container that reaches {name}.")
    _check_llama(facts)
    tag, devices = _CONTAINERS[backend]
    sources = [facts.gguf_repository, *([facts.draft.gguf_repository] if facts.draft else [])]
    mount = ["-v", "llama-models:/root/.cache"] if any(map(is_repository, sources)) else []
    if not all(map(is_repository, sources)):
        mount += ["-v", f"{_OWN_FOLDER}:/models"]
    run = ["docker", "run", "--rm", *devices, *mount, "-p", f"{_PORT}:{_PORT}", f"{LLAMA_IMAGE}:{tag}"]
    source = _gguf_source(facts, "/models")
    text = _join([*run, *source, *llama_flags(facts), "--host", "0.0.0.0", "--port", str(_PORT)])
    return Command(Engine.LLAMA_CPP, Tool.LLAMA_DOCKER, _with_notes(facts, text))


def _ollama(facts: FitFacts) -> Command:
    """Ollama takes a layer count, not an expert count, and a model from a registry or the Hub."""
    placement, request = facts.estimate.placement, facts.request
    if not _runs_in_ollama(facts):
        raise _NoCommandError(
            CommandGap.MODEL, f"Ollama is not known to run {facts.model_name} in {facts.quant.name} on this hardware."
        )
    _check_layers(Tool.OLLAMA, facts)
    _check_cache(Tool.OLLAMA.value, facts, CacheType.F16, CacheType.Q8_0, CacheType.Q4_0)
    source = f"hf.co/{facts.gguf_repository}:{quant_tag(facts.quant)}"
    cache = cache_type(request)
    name = shlex.quote(f"{facts.model.slug}-{quant_tag(facts.quant)}".lower())
    recipe = f"FROM {source}\\nPARAMETER num_ctx {facts.estimate.context_tokens}\\n"
    if placement.strategy in (Strategy.LAYER_OFFLOAD, Strategy.CPU_ONLY):
        recipe += f"PARAMETER num_gpu {placement.gpu_layers}\\n"
    lines = [f"printf {shlex.quote(recipe)} > Modelfile", f"ollama create {name} -f Modelfile", f"ollama run {name}"]
    if cache is not CacheType.F16:
        # The cache type belongs to the server, not to the model file.
        server = f"OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE={cache.value} ollama serve"
        lines.insert(0, f"# the server must have been started with: {server}")
    return Command(Engine.OLLAMA, Tool.OLLAMA, "\n".join(lines))


def _runs_in_ollama(facts: FitFacts) -> bool:
    model = facts.model
    rule = choose_engine(
        model.architecture, facts.accelerator, facts.quant, Engine.OLLAMA, facts.estimate.backend, is_moe=model.is_moe
    )
    return rule is not None


def _lm_studio(facts: FitFacts) -> Command:
    """LM Studio's command line sets context and a share of layers, no expert offload and no cache type."""
    placement = facts.estimate.placement
    if facts.estimate.backend not in (Backend.CUDA, Backend.ROCM, Backend.VULKAN, Backend.METAL, Backend.CPU):
        raise _NoCommandError(CommandGap.PLATFORM, "LM Studio has no runtime for this hardware's backend.")
    _check_layers(Tool.LM_STUDIO, facts)
    _check_cache(Tool.LM_STUDIO.value, facts, CacheType.F16)
    if placement.strategy is Strategy.CPU_ONLY:
        share = "off"
    elif placement.strategy is Strategy.LAYER_OFFLOAD:
        # Rounded down: one layer too many on the device is out of memory, one too few is a little slower.
        share = f"{int(100 * placement.gpu_layers / (facts.model.n_layers + 1)) / 100:.2f}"
    else:
        share = "max"
    get = _join(["lms", "get", f"https://huggingface.co/{facts.gguf_repository}@{quant_tag(facts.quant)}"])
    load = _join(["lms", "load", "--gpu", share, "--context-length", str(facts.estimate.context_tokens)])
    return Command(Engine.LLAMA_CPP, Tool.LM_STUDIO, f"{get}\n{load}\nlms server start")


def _vllm_draft(facts: FitFacts) -> list[str]:
    """The draft model as vLLM is told of it."""
    if facts.draft is None:
        return []
    beside, draft = facts.draft, facts.draft.draft
    source = vllm_source(draft.quant, draft.model, beside.checkpoint_repository, beside.hf_repository)
    if source is None or len(source) > 1:
        # A format that vLLM makes itself would need a flag that its draft does not take.
        raise _NoCommandError(
            CommandGap.DRAFT_OR_PROJECTOR, f"No {draft.quant.name} checkpoint of {draft.model.slug} is known to vLLM."
        )
    config = {"method": "draft_model", "model": source[0], "num_speculative_tokens": draft.tokens}
    return ["--speculative-config", json.dumps(config)]


def _heads_divide(model: ModelArchitecture, count: int) -> bool:
    """Whether vLLM starts with this tensor parallel size: it refuses heads that do not divide (vllm issue 2652)."""
    return all(layer.heads % count == 0 for layer in model.layers if layer.has_attention)


def _vllm_arguments(facts: FitFacts) -> list[str]:
    request, draft = facts.request, _vllm_draft(facts)
    source = vllm_source(facts.quant, facts.model, facts.checkpoint_repository, facts.hf_repository)
    if source is None:
        raise _no_weights(facts)
    if facts.is_mixed:
        raise _NoCommandError(
            CommandGap.MIXED_ACCELERATORS, "vLLM splits a model evenly: accelerators that differ cannot share it."
        )
    for model in [facts.model, *([facts.draft.draft.model] if facts.draft else [])]:
        if not _heads_divide(model, request.gpu_count):
            raise _NoCommandError(
                CommandGap.HEADS,
                f"vLLM cannot split {model.slug} over {request.gpu_count} accelerators: its attention heads do not divide.",
            )
    flags = []
    flags += ["--max-model-len", str(facts.estimate.context_tokens)]
    flags += ["--gpu-memory-utilization", f"{VLLM_MEMORY_FRACTION:.2f}", "--max-num-seqs", str(request.batch)]
    if request.gpu_count > 1:
        flags += ["--tensor-parallel-size", str(request.gpu_count)]
    cache = cache_type(request)
    if cache is CacheType.FP8:
        flags += ["--kv-cache-dtype", "fp8"]
    else:
        _check_cache("vLLM", facts, CacheType.F16, CacheType.BF16)
    return [*source, *flags, *draft]


def _vllm(facts: FitFacts) -> Command:
    return Command(Engine.VLLM, Tool.VLLM, _join(["vllm", "serve", *_vllm_arguments(facts), "--port", "8000"]))


def _vllm_docker(facts: FitFacts) -> Command:
    arguments = _vllm_arguments(facts)
    if facts.estimate.backend is not Backend.CUDA:
        raise _NoCommandError(CommandGap.PLATFORM, "vLLM's published container is for CUDA.")
    run = ["docker", "run", "--rm", "--gpus", "all", "--ipc=host", "-v", "hf-cache:/root/.cache/huggingface"]
    return Command(Engine.VLLM, Tool.VLLM_DOCKER, _join([*run, "-p", "8000:8000", VLLM_IMAGE, *arguments]))


def _mlx(facts: FitFacts) -> Command:
    """Quantize the published checkpoint once, then serve it; the cache grows with the prompt, so no length is set."""
    request, quant = facts.request, facts.quant
    _check_plain(Tool.MLX, facts)
    _check_cache(Tool.MLX.value, facts, CacheType.F16, CacheType.BF16)
    if facts.hf_repository is None or not is_repository(facts.hf_repository):
        raise _NoCommandError(
            CommandGap.NO_WEIGHTS,
            f"No published checkpoint of {facts.model_name} to convert or serve is recorded here.",
        )
    served = facts.hf_repository
    lines = []
    if quant.format is QuantFormat.MLX:
        bits = int(quant.weight_bits or quant.nominal_bits)
        served = f"./{facts.model.slug}-mlx-{bits}bit"
        convert = [
            "mlx_lm.convert",
            "--hf-path",
            facts.hf_repository,
            "--mlx-path",
            served,
            "-q",
            "--q-bits",
            str(bits),
        ]
        if quant.group_size:
            convert += ["--q-group-size", str(quant.group_size)]
        lines.append(_join(convert))
    serve = ["mlx_lm.server", "--model", served, "--port", str(_PORT)]
    if request.batch > 1:
        serve += ["--decode-concurrency", str(request.batch)]
    lines.append(_join(serve))
    return Command(Engine.MLX, Tool.MLX, "\n".join(lines))


_LLAMA_CACHES = tuple(each for each in CacheType if each is not CacheType.FP8)


def _join(words: list[str]) -> str:
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
