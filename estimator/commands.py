"""Exact start commands for a plan: the flags say what the placement decided, and nothing else.

An engine that cannot run the plan gets no command. Every flag is one that the engine documents; the tests hold them
against recorded help texts.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from estimator.architecture import ModelArchitecture
from estimator.fit_facts import DraftFacts, FitFacts, cache_type
from estimator.hardware import choose_engine
from estimator.types import Backend, CacheType, Engine, Quant, QuantFormat, Strategy

#: Names on the Hugging Face Hub; anything else is never put into a command.
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
#: vLLM's own default share of the device memory, which the memory model assumes too.
VLLM_MEMORY_FRACTION = 0.9
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


class Tool(StrEnum):
    """What a command starts."""

    LLAMA_SERVER = "llama-server"
    LLAMA_DOCKER = "llama.cpp in Docker"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    VLLM = "vLLM"
    VLLM_DOCKER = "vLLM in Docker"
    MLX = "MLX"


@dataclass(frozen=True, slots=True)
class Command:
    """One way to start the plan: ``text`` is what to paste into a POSIX shell."""

    engine: Engine
    tool: Tool
    text: str


def commands(facts: FitFacts) -> tuple[Command, ...]:
    """Start commands for the plan of ``facts``, the estimate's own engine first; empty when nothing runs."""
    if not facts.runs or facts.estimate.engine is None:
        return ()
    makers: dict[Engine, tuple[Callable[[FitFacts], Command | None], ...]] = {
        Engine.LLAMA_CPP: (_llama_server, _llama_docker, _ollama, _lm_studio),
        Engine.OLLAMA: (_ollama, _llama_server, _llama_docker, _lm_studio),
        Engine.VLLM: (_vllm, _vllm_docker),
        Engine.MLX: (_mlx,),
    }
    found = (make(facts) for make in makers[facts.estimate.engine])
    return tuple(each for each in found if each is not None)


def is_repository(name: str | None) -> bool:
    """Whether ``name`` is a well-formed ``owner/name`` that may go into a command."""
    return name is not None and REPOSITORY.fullmatch(name) is not None and ".." not in name


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


def _gguf_source(facts: FitFacts, folder: str = "") -> list[str]:
    """The model, and what is loaded beside it: the projector that a repository brings along, a draft model."""
    if is_repository(facts.gguf_repository):
        source = ["-hf", f"{facts.gguf_repository}:{quant_tag(facts.quant)}"]
        if facts.reads_images and not facts.vision:
            source += ["--no-mmproj"]
    else:
        source = ["-m", f"{folder}{facts.model.slug}-{quant_tag(facts.quant)}.gguf"]
        if facts.vision:
            source += ["--mmproj", f"{folder}mmproj-{facts.model.slug}.gguf"]
    return source if facts.draft is None else [*source, *_gguf_draft(facts, facts.draft, folder)]


def _gguf_draft(facts: FitFacts, beside: DraftFacts, folder: str) -> list[str]:
    draft, first = beside.draft, _FIRST_DEVICE.get(facts.estimate.backend or Backend.CPU)
    tag = quant_tag(draft.quant)
    flags = ["--spec-type", "draft-simple", "--spec-draft-n-max", str(draft.tokens), "-ngld", "all"]
    if facts.request.gpu_count > 1 and first is not None:
        flags += ["-devd", first]
    if is_repository(beside.gguf_repository):
        return ["-hfd", f"{beside.gguf_repository}:{tag}", *flags]
    return ["-md", f"{folder}{draft.model.slug}-{tag}.gguf", *flags]


def _llama_server(facts: FitFacts) -> Command | None:
    if not _llama_can(facts):
        return None
    text = _join(["llama-server", *_gguf_source(facts), *llama_flags(facts), "--port", str(_PORT)])
    return Command(Engine.LLAMA_CPP, Tool.LLAMA_SERVER, _with_order(facts, text))


def _with_order(facts: FitFacts, text: str) -> str:
    """Mixed accelerators are numbered by the driver, which may not be the order of the plan."""
    if not facts.is_mixed:
        return text
    names = ", ".join(f"{load.accelerator.name} {load.layers}" for load in facts.devices)
    return f"# layers by accelerator: {names}\n# bring -ts into the order of: llama-server --list-devices\n{text}"


def _llama_can(facts: FitFacts) -> bool:
    draft = facts.draft
    return _cache_is(facts, *_LLAMA_CACHES) and (draft is None or draft.draft.quant.format is QuantFormat.GGUF)


def _is_plain(facts: FitFacts) -> bool:
    """Whether nothing is asked for that only an engine's own command line can say."""
    return facts.draft is None and not facts.vision and not facts.is_mixed


def _llama_docker(facts: FitFacts) -> Command | None:
    backend = facts.estimate.backend
    if backend is None or backend not in _CONTAINERS or not _llama_can(facts):
        return None
    tag, devices = _CONTAINERS[backend]
    sources = [facts.gguf_repository, *([facts.draft.gguf_repository] if facts.draft else [])]
    mount = ["-v", "llama-models:/root/.cache"] if any(map(is_repository, sources)) else []
    if not all(map(is_repository, sources)):
        mount += ["-v", "./models:/models"]
    run = ["docker", "run", "--rm", *devices, *mount, "-p", f"{_PORT}:{_PORT}", f"{LLAMA_IMAGE}:{tag}"]
    source = _gguf_source(facts, "/models/")
    text = _join([*run, *source, *llama_flags(facts), "--host", "0.0.0.0", "--port", str(_PORT)])
    return Command(Engine.LLAMA_CPP, Tool.LLAMA_DOCKER, _with_order(facts, text))


def _ollama(facts: FitFacts) -> Command | None:
    """Ollama takes a layer count, not an expert count, and a model from a registry or the Hub."""
    placement, request = facts.estimate.placement, facts.request
    runs = _runs_in_ollama(facts)
    if not runs or placement.strategy is Strategy.EXPERT_OFFLOAD or request.batch > 1 or not _is_plain(facts):
        return None
    if not is_repository(facts.gguf_repository) or not _cache_is(facts, CacheType.F16, CacheType.Q8_0, CacheType.Q4_0):
        return None
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


def _lm_studio(facts: FitFacts) -> Command | None:
    """LM Studio's command line sets context and a share of layers, no expert offload and no cache type."""
    placement, request = facts.estimate.placement, facts.request
    desktop = facts.estimate.backend in (Backend.CUDA, Backend.ROCM, Backend.VULKAN, Backend.METAL, Backend.CPU)
    if not desktop or placement.strategy is Strategy.EXPERT_OFFLOAD or request.batch > 1 or not _is_plain(facts):
        return None
    if not is_repository(facts.gguf_repository) or not _cache_is(facts, CacheType.F16):
        return None
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


def _vllm_source(
    quant: Quant, model: ModelArchitecture, checkpoint: str | None, original: str | None
) -> list[str] | None:
    """The repository of a checkpoint in this format, with the flag that makes the format of another; None for neither.

    A checkpoint in a format of its own has a repository of its own, which its publisher names and nobody can guess.
    """
    native = model.native_dtype.lower()
    if is_repository(checkpoint):
        return [str(checkpoint)]
    if not is_repository(original):
        return None
    unquantized = quant.format is QuantFormat.SAFETENSORS and "16" in native
    if unquantized or quant.format.value in native:
        return [str(original)]
    return [str(original), "--quantization", "fp8"] if quant.format is QuantFormat.FP8 else None


def _vllm_draft(facts: FitFacts) -> list[str] | None:
    """The draft model as vLLM is told of it; None when it would need a flag of its own or has no repository."""
    if facts.draft is None:
        return []
    beside, draft = facts.draft, facts.draft.draft
    source = _vllm_source(draft.quant, draft.model, beside.checkpoint_repository, beside.hf_repository)
    if source is None or len(source) > 1:
        return None
    config = {"method": "draft_model", "model": source[0], "num_speculative_tokens": draft.tokens}
    return ["--speculative-config", json.dumps(config)]


def _heads_divide(model: ModelArchitecture, count: int) -> bool:
    """Whether vLLM starts with this tensor parallel size: it refuses heads that do not divide (vllm issue 2652)."""
    return all(layer.heads % count == 0 for layer in model.layers if layer.has_attention)


def _vllm_arguments(facts: FitFacts) -> list[str] | None:
    request, quant, draft = facts.request, facts.quant, _vllm_draft(facts)
    source = _vllm_source(quant, facts.model, facts.checkpoint_repository, facts.hf_repository)
    # Tensor parallelism wants equal accelerators.
    if source is None or draft is None or facts.is_mixed:
        return None
    models = [facts.model, *([facts.draft.draft.model] if facts.draft else [])]
    if not all(_heads_divide(model, request.gpu_count) for model in models):
        return None
    flags = []
    flags += ["--max-model-len", str(facts.estimate.context_tokens)]
    flags += ["--gpu-memory-utilization", f"{VLLM_MEMORY_FRACTION:.2f}", "--max-num-seqs", str(request.batch)]
    if request.gpu_count > 1:
        flags += ["--tensor-parallel-size", str(request.gpu_count)]
    cache = cache_type(request)
    if cache is CacheType.FP8:
        flags += ["--kv-cache-dtype", "fp8"]
    elif cache not in (CacheType.F16, CacheType.BF16):
        return None
    return [*source, *flags, *draft]


def _vllm(facts: FitFacts) -> Command | None:
    arguments = _vllm_arguments(facts)
    if arguments is None:
        return None
    return Command(Engine.VLLM, Tool.VLLM, _join(["vllm", "serve", *arguments, "--port", "8000"]))


def _vllm_docker(facts: FitFacts) -> Command | None:
    arguments = _vllm_arguments(facts)
    if arguments is None or facts.estimate.backend is not Backend.CUDA:
        return None
    run = ["docker", "run", "--rm", "--gpus", "all", "--ipc=host", "-v", "hf-cache:/root/.cache/huggingface"]
    return Command(Engine.VLLM, Tool.VLLM_DOCKER, _join([*run, "-p", "8000:8000", VLLM_IMAGE, *arguments]))


def _mlx(facts: FitFacts) -> Command | None:
    """Quantize the published checkpoint once, then serve it; the cache grows with the prompt, so no length is set."""
    request, quant = facts.request, facts.quant
    cache = cache_type(request)
    if not is_repository(facts.hf_repository) or not _cache_is(facts, CacheType.F16, CacheType.BF16):
        return None
    if not _is_plain(facts):
        return None
    assert facts.hf_repository is not None
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
    assert cache in (CacheType.F16, CacheType.BF16)
    return Command(Engine.MLX, Tool.MLX, "\n".join(lines))


_LLAMA_CACHES = tuple(each for each in CacheType if each is not CacheType.FP8)


def _cache_is(facts: FitFacts, *allowed: CacheType) -> bool:
    return cache_type(facts.request) in allowed


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
