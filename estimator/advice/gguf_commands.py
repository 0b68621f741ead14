"""Start commands of the tools that read GGUF files: llama.cpp, Ollama, LM Studio."""

from __future__ import annotations

import shlex
from dataclasses import replace

from estimator.advice.command import (
    PORT,
    Command,
    CommandGap,
    NoCommandError,
    Tool,
    check_cache,
    check_count,
    check_layers,
    check_options,
    check_plain,
    quant_tag,
    shell_line,
)
from estimator.fit_facts import DraftFacts, FitFacts, cache_type, value_cache_type
from estimator.placement.hardware import CACHE_TYPES, choose_engine
from estimator.server_options import SplitMode
from estimator.structure.checkpoints import is_repository
from estimator.types import Backend, CacheType, Engine, Quant, QuantFormat, Strategy

LLAMA_IMAGE = "ghcr.io/ggml-org/llama.cpp"
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
#: Where commands look for files that are not published.
_OWN_FOLDER = "./models"


def llama_flags(facts: FitFacts) -> list[str]:
    """llama-server's flags for the plan, without the model: layers, experts, context, attention, cache, slots."""
    request, placement = facts.request, facts.estimate.placement
    flags = ["-c", str(facts.estimate.context_tokens * request.batch)]
    flags += ["-ngl", str(placement.gpu_layers)]
    if placement.cpu_moe_layers > 0:
        flags += ["--n-cpu-moe", str(placement.cpu_moe_layers)]
    flags += ["-fa", "off" if request.flash_attention is False else "on"]
    for flag, cache in (("--cache-type-k", cache_type(request)), ("--cache-type-v", value_cache_type(request))):
        if cache is not CacheType.F16:
            flags += [flag, cache.value]
    # Left out, the server opens several slots, each with windows and states of its own.
    flags += ["-np", str(request.batch)]
    if request.micro_batch_tokens is not None:
        flags += ["-ub", str(request.micro_batch_tokens)]
        if request.micro_batch_tokens > 2048:
            flags += ["-b", str(request.micro_batch_tokens)]
    if request.gpu_count > 1:
        flags += ["-sm", request.split_mode or SplitMode.LAYER]
        if request.split_mode is SplitMode.TENSOR:
            # llama.cpp sizes a layer split by itself, and refuses to size this one.
            flags += ["-fit", "off"]
        if facts.devices and not facts.is_plain and request.split_mode is not SplitMode.TENSOR:
            # llama.cpp shares layers by free memory, before it loads what lies beside the model on the first device.
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
            raise NoCommandError(
                CommandGap.DRAFT_OR_PROJECTOR,
                f"No repository with the vision projector of {facts.model_name} is recorded here, and its file name "
                "cannot be guessed.",
            )
        source = ["-m", f"{folder}/{_own_file(facts.model.slug, facts.quant)}"]
    return source if facts.draft is None else [*source, *_gguf_draft(facts, facts.draft, folder)]


def _gguf_draft(facts: FitFacts, beside: DraftFacts, folder: str) -> list[str]:
    if beside.draft.own_heads:
        return ["--spec-type", "draft-mtp", "--spec-draft-n-max", str(beside.draft.tokens)]
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
    if facts.draft is not None and not facts.draft.draft.own_heads and not is_repository(facts.draft.gguf_repository):
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


def llama_server(facts: FitFacts) -> Command:
    _check_llama(facts)
    text = shell_line(["llama-server", *_gguf_source(facts, _OWN_FOLDER), *llama_flags(facts), "--port", str(PORT)])
    return Command(Engine.LLAMA_CPP, Tool.LLAMA_SERVER, _with_notes(facts, text))


def ik_llama_server(facts: FitFacts) -> Command:
    """The fork reads files of one's own: its help names no repository."""
    check_count("ik_llama.cpp", facts)
    check_cache("ik_llama.cpp", facts, *CACHE_TYPES[Engine.LLAMA_CPP])
    check_plain(Tool.IK_LLAMA_SERVER, facts)
    local = replace(facts, gguf_repository=None)
    text = shell_line(["llama-server", *_gguf_source(local, _OWN_FOLDER), *llama_flags(facts), "--port", str(PORT)])
    return Command(Engine.IK_LLAMA_CPP, Tool.IK_LLAMA_SERVER, _with_notes(local, text))


def llamafile(facts: FitFacts) -> Command:
    """A program of one file that serves a GGUF file; it documents context, layers and parallel streams."""
    placement, local, streams = facts.estimate.placement, replace(facts, gguf_repository=None), facts.request.batch
    check_count(Tool.LLAMAFILE.value, facts)
    check_plain(Tool.LLAMAFILE, facts)
    check_options(Tool.LLAMAFILE, facts)
    check_cache(Tool.LLAMAFILE.value, facts, CacheType.F16)
    if placement.strategy is Strategy.EXPERT_OFFLOAD:
        raise NoCommandError(CommandGap.PLACEMENT, "llamafile offloads whole layers, not experts alone.")
    flags = ["-c", str(facts.estimate.context_tokens * streams), "-ngl", str(placement.gpu_layers)]
    flags += ["--parallel", str(streams), *(["--cont-batching"] if streams > 1 else [])]
    text = shell_line(["llamafile", "--server", *_gguf_source(local, _OWN_FOLDER), *flags])
    return Command(Engine.LLAMAFILE, Tool.LLAMAFILE, _with_notes(local, text))


def _check_llama(facts: FitFacts) -> None:
    check_count("llama.cpp", facts)
    check_cache("llama.cpp", facts, *CACHE_TYPES[Engine.LLAMA_CPP])
    if facts.draft is not None and facts.draft.draft.quant.format is not QuantFormat.GGUF:
        raise NoCommandError(CommandGap.DRAFT_OR_PROJECTOR, "llama.cpp reads drafts from GGUF files only.")


def llama_docker(facts: FitFacts) -> Command:
    backend = facts.estimate.backend
    if backend is None or backend not in _CONTAINERS:
        name = "this backend" if backend is None else backend.value
        raise NoCommandError(CommandGap.PLATFORM, f"llama.cpp has no container that reaches {name}.")
    _check_llama(facts)
    tag, devices = _CONTAINERS[backend]
    drafted = facts.draft is not None and not facts.draft.draft.own_heads
    sources = [facts.gguf_repository, *([facts.draft.gguf_repository] if facts.draft and drafted else [])]
    mount = ["-v", "llama-models:/root/.cache"] if any(map(is_repository, sources)) else []
    if not all(map(is_repository, sources)):
        mount += ["-v", f"{_OWN_FOLDER}:/models"]
    run = ["docker", "run", "--rm", *devices, *mount, "-p", f"{PORT}:{PORT}", f"{LLAMA_IMAGE}:{tag}"]
    source = _gguf_source(facts, "/models")
    text = shell_line([*run, *source, *llama_flags(facts), "--host", "0.0.0.0", "--port", str(PORT)])
    return Command(Engine.LLAMA_CPP, Tool.LLAMA_DOCKER, _with_notes(facts, text))


def ollama(facts: FitFacts) -> Command:
    """Ollama takes a layer count, not an expert count, and a model from a registry or the Hub."""
    placement, request = facts.estimate.placement, facts.request
    if not _runs_in_ollama(facts):
        raise NoCommandError(
            CommandGap.MODEL, f"Ollama is not known to run {facts.model_name} in {facts.quant.name} on this hardware."
        )
    check_layers(Tool.OLLAMA, facts)
    check_options(Tool.OLLAMA, facts, sets_attention=True)
    check_cache(Tool.OLLAMA.value, facts, CacheType.F16, CacheType.Q8_0, CacheType.Q4_0)
    source = f"hf.co/{facts.gguf_repository}:{quant_tag(facts.quant)}"
    cache = cache_type(request)
    name = shlex.quote(f"{facts.model.slug}-{quant_tag(facts.quant)}".lower())
    recipe = f"FROM {source}\\nPARAMETER num_ctx {facts.estimate.context_tokens}\\n"
    if placement.strategy in (Strategy.LAYER_OFFLOAD, Strategy.CPU_ONLY):
        recipe += f"PARAMETER num_gpu {placement.gpu_layers}\\n"
    lines = [f"printf {shlex.quote(recipe)} > Modelfile", f"ollama create {name} -f Modelfile", f"ollama run {name}"]
    # Attention and the cache type belong to the server, not to the model file.
    server = ["OLLAMA_FLASH_ATTENTION=0"] if request.flash_attention is False else []
    if cache is not CacheType.F16:
        server = ["OLLAMA_FLASH_ATTENTION=1", f"OLLAMA_KV_CACHE_TYPE={cache.value}"]
    if server:
        lines.insert(0, f"# the server must have been started with: {' '.join(server)} ollama serve")
    return Command(Engine.OLLAMA, Tool.OLLAMA, "\n".join(lines))


def _runs_in_ollama(facts: FitFacts) -> bool:
    model = facts.model
    rule = choose_engine(
        model.architecture, facts.accelerator, facts.quant, Engine.OLLAMA, facts.estimate.backend, is_moe=model.is_moe
    )
    return rule is not None


def lm_studio(facts: FitFacts) -> Command:
    """LM Studio's command line sets context and a share of layers, no expert offload and no cache type."""
    placement = facts.estimate.placement
    if facts.estimate.backend not in (Backend.CUDA, Backend.ROCM, Backend.VULKAN, Backend.METAL, Backend.CPU):
        raise NoCommandError(CommandGap.PLATFORM, "LM Studio has no runtime for this hardware's backend.")
    check_layers(Tool.LM_STUDIO, facts)
    check_options(Tool.LM_STUDIO, facts)
    check_cache(Tool.LM_STUDIO.value, facts, CacheType.F16)
    if placement.strategy is Strategy.CPU_ONLY:
        share = "off"
    elif placement.strategy is Strategy.LAYER_OFFLOAD:
        # Rounded down: one layer too many on the device is out of memory, one too few is a little slower.
        share = f"{int(100 * placement.gpu_layers / (facts.model.n_layers + 1)) / 100:.2f}"
    else:
        share = "max"
    get = shell_line(["lms", "get", f"https://huggingface.co/{facts.gguf_repository}@{quant_tag(facts.quant)}"])
    load = shell_line(["lms", "load", "--gpu", share, "--context-length", str(facts.estimate.context_tokens)])
    engine = Engine.LM_STUDIO if facts.estimate.engine is Engine.LM_STUDIO else Engine.LLAMA_CPP
    # Its default is four slots (lmstudio.ai/docs/app/advanced/parallel-requests), which no flag of `lms load` sets.
    note = "# in the settings of the model: Max Concurrent Predictions 1"
    return Command(engine, Tool.LM_STUDIO, f"{get}\n{note}\n{load}\nlms server start")
