"""Start commands of the tools that read checkpoints: vLLM, MLX."""

from __future__ import annotations

import json

from estimator.advice.command import (
    PORT,
    Command,
    CommandGap,
    NoCommandError,
    Tool,
    check_cache,
    check_options,
    check_plain,
    no_weights,
    shell_line,
)
from estimator.fit_facts import FitFacts, cache_type, value_cache_type
from estimator.placement.hardware import server_step_tokens
from estimator.placement.memory import VLLM_MAX_SEQUENCES, VLLM_MEMORY_FRACTION
from estimator.server_pool import memory_flag
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import is_repository, vllm_source
from estimator.types import Backend, CacheType, Engine, EstimateRequest, QuantFormat

#: Bits of the cache types that TabbyAPI takes.
_CACHE_MODES = {CacheType.F16: 16, CacheType.Q8_0: 8, CacheType.Q4_0: 4}
VLLM_IMAGE = "vllm/vllm-openai:latest"


def _vllm_draft(facts: FitFacts) -> list[str]:
    """The draft model as vLLM is told of it."""
    if facts.draft is None:
        return []
    beside, draft = facts.draft, facts.draft.draft
    if draft.own_heads:
        return ["--speculative-config", json.dumps({"method": "mtp", "num_speculative_tokens": draft.tokens})]
    source = vllm_source(draft.quant, draft.model, beside.checkpoint_repository, beside.hf_repository)
    if source is None or len(source) > 1:
        # A format that vLLM makes itself would need a flag that its draft does not take.
        raise NoCommandError(
            CommandGap.DRAFT_OR_PROJECTOR, f"No {draft.quant.name} checkpoint of {draft.model.slug} is known to vLLM."
        )
    config = {"method": "draft_model", "model": source[0], "num_speculative_tokens": draft.tokens}
    return ["--speculative-config", json.dumps(config)]


def _memory(engine: Engine, facts: FitFacts) -> tuple[str, str]:
    fraction = facts.request.server.memory_fraction or VLLM_MEMORY_FRACTION
    return memory_flag(engine, facts.estimate.memory, fraction)


def _sequences(request: EstimateRequest) -> int:
    """Most sequences at once, for which the plan reserves logits."""
    return request.server.sequences or max(VLLM_MAX_SEQUENCES, request.batch)


def _heads_divide(model: ModelArchitecture, count: int) -> bool:
    """Whether vLLM starts with this tensor parallel size: it refuses heads that do not divide (vllm issue 2652)."""
    return all(layer.heads % count == 0 for layer in model.layers if layer.has_attention)


def _served(tool: Tool, facts: FitFacts) -> list[str]:
    """The repository to serve, with the flag that makes its format; checks what both servers cannot do."""
    source = vllm_source(facts.quant, facts.model, facts.checkpoint_repository, facts.hf_repository)
    if source is None:
        raise no_weights(facts)
    if facts.is_mixed:
        raise NoCommandError(
            CommandGap.MIXED_ACCELERATORS,
            f"{tool.value} splits a model evenly: accelerators that differ cannot share it.",
        )
    for model in [facts.model, *([facts.draft.draft.model] if facts.draft else [])]:
        ranks = facts.request.server.tensor_parallel(facts.request.gpu_count)
        if not _heads_divide(model, ranks):
            raise NoCommandError(
                CommandGap.HEADS,
                f"{tool.value} cannot split {model.slug} over {ranks} accelerators: its attention heads do not divide.",
            )
    if cache_type(facts.request) is not CacheType.FP8:
        check_cache(tool.value, facts, CacheType.F16, CacheType.BF16)
    return source


def _vllm_arguments(facts: FitFacts) -> list[str]:
    request, draft = facts.request, _vllm_draft(facts)
    source = _served(Tool.VLLM, facts)
    flags = ["--max-model-len", str(facts.estimate.context_tokens)]
    server = request.server
    steps = server.batched_tokens or server_step_tokens(request.accelerator)
    flags += [*_memory(Engine.VLLM, facts), "--max-num-seqs", str(_sequences(request))]
    flags += ["--max-num-batched-tokens", str(steps)]
    sizes = {
        "--tensor-parallel-size": server.tensor_parallel(request.gpu_count),
        "--pipeline-parallel-size": server.pipeline_parallel,
        "--data-parallel-size": server.data_parallel,
    }
    for flag, size in sizes.items():
        flags += [flag, str(size)] if size > 1 else []
    if server.expert_parallel:
        flags += ["--enable-expert-parallel"]
    if cache_type(request) is CacheType.FP8:
        flags += ["--kv-cache-dtype", "fp8"]
    return [*source, *flags, *draft]


def sglang(facts: FitFacts) -> Command:
    request = facts.request
    if facts.draft is not None:
        raise NoCommandError(CommandGap.DRAFT_OR_PROJECTOR, "No command of SGLang with a draft is recorded here.")
    source, *made = _served(Tool.SGLANG, facts)
    flags = ["--model-path", source, *made, "--context-length", str(facts.estimate.context_tokens)]
    flags += [*_memory(Engine.SGLANG, facts), "--max-running-requests", str(_sequences(request))]
    server = request.server
    # SGLang counts the devices of all replicas of the attention as tensor parallel.
    if (devices := request.gpu_count // server.pipeline_parallel) > 1:
        flags += ["--tp-size", str(devices)]
    if server.pipeline_parallel > 1:
        flags += ["--pp-size", str(server.pipeline_parallel)]
    if server.data_parallel > 1:
        flags += ["--dp-size", str(server.data_parallel), "--enable-dp-attention"]
    if server.expert_parallel:
        flags += ["--ep-size", str(devices)]
    if server.batched_tokens is not None:
        flags += ["--chunked-prefill-size", str(server.batched_tokens)]
    if cache_type(request) is CacheType.FP8:
        flags += ["--kv-cache-dtype", "fp8_e4m3"]
    start = ["python3", "-m", "sglang.launch_server", *flags, "--port", "30000"]
    return Command(Engine.SGLANG, Tool.SGLANG, shell_line(start))


def tensorrt_llm(facts: FitFacts) -> Command:
    request, server = facts.request, facts.request.server
    check_plain(Tool.TENSORRT_LLM, facts)
    source, *made = _served(Tool.TENSORRT_LLM, facts)
    check_cache(Tool.TENSORRT_LLM.value, facts, CacheType.F16, CacheType.BF16)
    if made:
        raise no_weights(facts)
    if server.data_parallel > 1:
        raise NoCommandError(CommandGap.PLACEMENT, "No flag of TensorRT-LLM for replicas is recorded here.")
    flags = ["--max_seq_len", str(facts.estimate.context_tokens), "--max_batch_size", str(_sequences(request))]
    flags += ["--max_num_tokens", str(server.batched_tokens or server_step_tokens(request.accelerator))]
    sizes = {"--tp_size": server.tensor_parallel(request.gpu_count), "--pp_size": server.pipeline_parallel}
    sizes["--ep_size"] = server.tensor_parallel(request.gpu_count) if server.expert_parallel else 1
    for flag, size in sizes.items():
        flags += [flag, str(size)] if size > 1 else []
    flags += [*_memory(Engine.TENSORRT_LLM, facts), "--port", "8000"]
    return Command(Engine.TENSORRT_LLM, Tool.TENSORRT_LLM, shell_line(["trtllm-serve", source, *flags]))


def tabby_api(facts: FitFacts) -> Command:
    """TabbyAPI serves a folder of one's own: repositories of EXL2 and EXL3 keep each width in a branch."""
    engine = facts.estimate.engine
    assert engine is not None
    check_plain(Tool.TABBY_API, facts)
    check_options(Tool.TABBY_API, facts)
    modes = [_CACHE_MODES.get(type_of(facts.request)) for type_of in (cache_type, value_cache_type)]
    if None in modes:
        check_cache(Tool.TABBY_API.value, facts, *_CACHE_MODES)
    keys, values = (str(mode) for mode in modes)
    if (keys == "16") != (values == "16"):
        raise NoCommandError(CommandGap.KV_CACHE_TYPE, f"{Tool.TABBY_API.value} keeps both in FP16, or neither.")
    mode = "FP16" if keys == "16" else f"{keys},{values}" if engine is Engine.EXLLAMAV3 else f"Q{keys}"
    folder = f"YOUR-FOLDER-{facts.model.slug}-{facts.quant.slug}"
    context = facts.estimate.context_tokens
    # The cache is a multiple of 256 tokens, and holds all sequences.
    cells = -(-context // 256) * 256 * facts.request.batch
    flags = ["--model-dir", "models", "--model-name", folder, "--max-seq-len", str(context), "--cache-size", str(cells)]
    flags += ["--cache-mode", mode, "--max-batch-size", str(facts.request.batch)]
    note = f"# in the folder of TabbyAPI; models/{folder} stands for a folder of your own"
    return Command(engine, Tool.TABBY_API, f"{note}\n{shell_line(['python', 'main.py', *flags])}")


def vllm(facts: FitFacts) -> Command:
    return Command(Engine.VLLM, Tool.VLLM, shell_line(["vllm", "serve", *_vllm_arguments(facts), "--port", "8000"]))


def vllm_docker(facts: FitFacts) -> Command:
    arguments = _vllm_arguments(facts)
    if facts.estimate.backend is not Backend.CUDA:
        raise NoCommandError(CommandGap.PLATFORM, "vLLM's published container is for CUDA.")
    run = ["docker", "run", "--rm", "--gpus", "all", "--ipc=host", "-v", "hf-cache:/root/.cache/huggingface"]
    return Command(Engine.VLLM, Tool.VLLM_DOCKER, shell_line([*run, "-p", "8000:8000", VLLM_IMAGE, *arguments]))


def mlx(facts: FitFacts) -> Command:
    """Serve the published copy of this quantization, or quantize the published checkpoint once and serve that.

    The cache grows with the prompt, so no length is set.
    """
    request, quant = facts.request, facts.quant
    check_plain(Tool.MLX, facts)
    check_options(Tool.MLX, facts)
    check_cache(Tool.MLX.value, facts, CacheType.F16, CacheType.BF16)
    served = facts.checkpoint_repository if quant.format is QuantFormat.MLX else None
    source = served or facts.hf_repository
    if source is None or not is_repository(source):
        raise NoCommandError(
            CommandGap.NO_WEIGHTS,
            f"No published checkpoint of {facts.model_name} to convert or serve is recorded here.",
        )
    lines = []
    if quant.format is QuantFormat.MLX and served is None:
        bits = int(quant.weight_bits or quant.nominal_bits)
        served = f"./{facts.model.slug}-mlx-{bits}bit"
        convert = [
            "mlx_lm.convert",
            "--hf-path",
            source,
            "--mlx-path",
            served,
            "-q",
            "--q-bits",
            str(bits),
        ]
        if quant.group_size:
            convert += ["--q-group-size", str(quant.group_size)]
        lines.append(shell_line(convert))
    serve = ["mlx_lm.server", "--model", served or source, "--port", str(PORT)]
    if request.batch > 1:
        serve += ["--decode-concurrency", str(request.batch)]
    lines.append(shell_line(serve))
    return Command(Engine.MLX, Tool.MLX, "\n".join(lines))
