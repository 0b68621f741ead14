"""One question, one answer: the grid's kernel at size one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from estimator import verdict
from estimator.calibration.build_age import reserves_all_logits
from estimator.calibration.coefficients import Calibration
from estimator.fleet import Overrides, require_engine
from estimator.grid import FitBlock, evaluate
from estimator.placement.demand import Situation
from estimator.placement.hardware import (
    CACHE_TYPES,
    CUT_BACKENDS,
    SPLIT_CACHE_ENGINES,
    choose_engine,
    cuts_matrices,
    with_wired_limit,
)
from estimator.server_options import DEFAULT_SERVER, SplitMode
from estimator.speed.arithmetic import LLAMA_CPP_STEP_TOKENS
from estimator.structure.architecture import ModelArchitecture
from estimator.types import (
    BACKENDS,
    ENGINE_NAMES,
    ENGINES,
    EVIDENCES,
    SERVERS,
    STATUSES,
    STRATEGIES,
    Accelerator,
    CacheType,
    Engine,
    Estimate,
    EstimateRequest,
    EstimatorError,
    Host,
    MemoryParts,
    MissingFactError,
    Placement,
    Quant,
    Speed,
    Status,
    UnsupportedError,
    Workload,
)
from estimator.usability import FREE_USE, Thresholds

#: Lengths of a question that states none: llama-bench's own.
DEFAULT_PROMPT_TOKENS = 512
DEFAULT_OUTPUT_TOKENS = 128
DEFAULT_MICRO_BATCH_TOKENS = LLAMA_CPP_STEP_TOKENS


def require_facts(accelerator: Accelerator) -> None:
    """Raise :class:`MissingFactError` when the fact that every estimate needs, the bandwidth, is unknown."""
    if accelerator.bandwidth_bytes_s is None:
        raise MissingFactError(accelerator.slug, "bandwidth_gbps")


def require_sound(request: EstimateRequest) -> None:
    """Raise :class:`EstimatorError` when settings of a request exclude each other."""
    plain = (None, CacheType.F16, CacheType.F32, CacheType.BF16)
    values = request.kv_cache_type if request.v_cache_type is None else request.v_cache_type
    if values not in plain and request.flash_attention is False:
        raise EstimatorError(
            "quantized values in the KV cache need flash attention; leave flash_attention out or set it to true"
        )


def require_options(model: ModelArchitecture, request: EstimateRequest, engine: Engine) -> None:
    """Raise an :class:`EstimatorError` when the engine does not have the options of a request."""
    require_cache(model, request, engine)
    require_server(request, engine)
    require_split(model, request, engine)


def require_cache(model: ModelArchitecture, request: EstimateRequest, engine: Engine) -> None:
    """Raise :class:`UnsupportedError` when the engine cannot keep the cache types that a request names."""
    keys, values, allowed = request.kv_cache_type, request.v_cache_type, CACHE_TYPES[engine]
    name = ENGINE_NAMES[engine]
    refused = next((cache for cache in (keys, values) if cache is not None and cache not in allowed), None)
    if refused is not None:
        listed = ", ".join(cache.value for cache in allowed)
        raise UnsupportedError(f"{name} cannot keep a {refused.value} KV cache; it can keep {listed}")
    if values in (None, keys or CacheType.F16):
        return
    if engine not in SPLIT_CACHE_ENGINES:
        raise UnsupportedError(f"{name} keeps keys and values in one type; leave v_cache_type out")
    if model.cached_latent is not None or any(model.compress_ratios):
        raise UnsupportedError(f"the values of {model.slug} are a part of its keys: both need one cache type")


def require_server(request: EstimateRequest, engine: Engine) -> None:
    """Raise :class:`EstimatorError` when options of a server are given to another engine, or do not divide the devices."""
    server = request.server
    if server == DEFAULT_SERVER:
        return
    if engine not in SERVERS:
        names = ", ".join(ENGINE_NAMES[server] for server in SERVERS)
        raise EstimatorError(
            f"memory shares, steps and parallel sizes are options of {names}, not of {ENGINE_NAMES[engine]}"
        )
    parts = server.data_parallel * server.pipeline_parallel
    if request.gpu_count % parts:
        raise EstimatorError(
            f"{server.data_parallel} replicas of {server.pipeline_parallel} stages need a multiple of {parts} accelerators, "
            f"not {request.gpu_count}"
        )


def require_split(model: ModelArchitecture, request: EstimateRequest, engine: Engine) -> None:
    """Raise :class:`UnsupportedError` when llama.cpp cannot share the model over several devices as a request asks."""
    mode = request.split_mode
    if mode in (None, SplitMode.LAYER) or request.gpu_count == 1:
        return
    if engine is not Engine.LLAMA_CPP:
        raise UnsupportedError(f"split_mode is an option of llama.cpp, not of {ENGINE_NAMES[engine]}")
    if mode is SplitMode.ROW:
        raise UnsupportedError(
            "llama.cpp has no row split since June 2026 (its pull request 24216); 'tensor' has taken its place"
        )
    if not cuts_matrices(model):
        raise UnsupportedError(f"llama.cpp cannot cut the matrices of {model.slug}; 'layer' runs it on several")
    architecture = model.architecture, request.accelerator, request.quant
    choice = choose_engine(*architecture, engine, request.backend, is_moe=model.is_moe)
    if choice is None or choice[1] not in CUT_BACKENDS:
        names = " and ".join(backend.value for backend in CUT_BACKENDS)
        raise UnsupportedError(f"llama.cpp cuts matrices over several accelerators on {names} only")
    if request.flash_attention is False or request.gpu_layers is not None or request.cpu_moe_layers is not None:
        raise EstimatorError(
            "a tensor split needs flash attention and the whole model on the accelerators; leave flash_attention, gpu_layers "
            "and cpu_moe_layers out"
        )


def require_company(devices: Sequence[Accelerator]) -> None:
    """Raise :class:`UnsupportedError` when there is no computer with these several devices."""
    alone = next((device for device in devices if not device.has_own_memory), None)
    if alone is not None:
        raise UnsupportedError(
            f"several accelerators need memory of their own; {alone.name} shares that of its computer, and computers that a "
            "network joins are not estimated, so 1 is allowed"
        )
    built_in = [device for device in devices if device.kind == "laptop"]
    if len(built_in) > 1:
        raise UnsupportedError(
            f"{built_in[0].name} is built into a laptop, and no laptop has room for a second one: 1 is allowed, beside cards "
            "of other kinds in an enclosure"
        )


def situation_of_request(request: EstimateRequest, workload: Workload | None = None) -> Situation:
    """Lengths and load options of a request. Decode is stated after the prompt unless a depth is given.

    With a ``workload``, lengths that the request leaves open are the workload's, so that a request which says nothing
    else is the precomputed cell; decode is then stated at the workload's depth, or at the end of a shorter context.
    """
    if workload is not None:
        request = replace(
            request,
            prompt_tokens=workload.prompt_tokens if request.prompt_tokens is None else request.prompt_tokens,
            output_tokens=workload.output_tokens if request.output_tokens is None else request.output_tokens,
            context_tokens=workload.context_tokens if request.context_tokens is None else request.context_tokens,
        )
    prompt = DEFAULT_PROMPT_TOKENS if request.prompt_tokens is None else request.prompt_tokens
    output = DEFAULT_OUTPUT_TOKENS if request.output_tokens is None else request.output_tokens
    before = float(request.depth_tokens or 0)
    depth = before if request.depth_tokens is not None else float(request.prompt_tokens or 0)
    context = request.context_tokens
    if context is None:
        context = int(max(before + prompt + output, depth + output))
    decode_depth = depth + output / 2.0
    if workload is not None and request.depth_tokens is None:
        decode_depth = float(min(workload.decode_depth_tokens, context))
    return Situation(
        prompt_tokens=max(prompt, 1),
        output_tokens=output,
        context_tokens=context,
        depth_tokens=decode_depth,
        depth_before_tokens=before,
        cache=request.kv_cache_type or CacheType.F16,
        values=None if request.v_cache_type is request.kv_cache_type else request.v_cache_type,
        all_logits=reserves_all_logits(request.build_age_years),
        flash_attention=True if request.flash_attention is None else request.flash_attention,
        batch=request.batch,
        micro_batch_tokens=request.micro_batch_tokens or DEFAULT_MICRO_BATCH_TOKENS,
        prompt_step_tokens=request.micro_batch_tokens or 0,
        expected_occupancy=request.expected_occupancy,
    )


def estimate(
    model: ModelArchitecture, request: EstimateRequest, calibration: Calibration, workload: Workload | None = None
) -> Estimate:
    """Answer one request.

    Raises:
        MissingFactError: a fact that the estimate needs is unknown.
        UnsupportedError: no engine runs this quant on this hardware as asked.
        EstimatorError: the request contradicts itself.
    """
    require_facts(request.accelerator)
    require_sound(request)
    if request.gpu_count > 1:
        require_company((request.accelerator,) * 2)
    situation = situation_of_request(request, workload)
    overrides = overrides_of(request)
    require_options(model, request, require_engine(model, request.accelerator, request.quant, overrides))
    block = sweep(model, request, (request.accelerator,), (request.quant,), calibration, workload)
    return cell_of(block, 0, 0, 0, situation.context_tokens)


def overrides_of(request: EstimateRequest) -> Overrides:
    """Choices of plan and engine that a request fixes."""
    return Overrides(
        gpu_count=request.gpu_count,
        gpu_layers=request.gpu_layers,
        cpu_moe_layers=request.cpu_moe_layers,
        engine=request.engine,
        backend=request.backend,
        software=request.software,
        build_age_years=request.build_age_years,
        server=request.server,
        split_mode=request.split_mode,
    )


def sweep(
    model: ModelArchitecture,
    request: EstimateRequest,
    gpus: tuple[Accelerator, ...],
    quants: tuple[Quant, ...],
    calibration: Calibration,
    workload: Workload | None = None,
    hosts: Sequence[Host] | None = None,
    *,
    offloads: bool = True,
) -> FitBlock:
    """One request on many devices and quants at once, shape (devices, quants, 1); its own device and quant are ignored.

    ``hosts`` has the computer around each device; None: all sit in that of the request. Without ``offloads`` a model fits
    on the devices or not at all.

    Raises:
        EstimatorError: the request names no host, or a memory limit that an accelerator does not have.
    """
    if request.host is None:
        raise EstimatorError("an estimate needs a host: the memory and bandwidth that offloaded weights would use")
    situation = situation_of_request(request, workload)
    overrides = replace(overrides_of(request), offloads=offloads)
    thresholds = thresholds_of(workload, situation)
    if request.wired_limit_bytes is not None:
        gpus = tuple(with_wired_limit(gpu, request.wired_limit_bytes) for gpu in gpus)
    around = (request.host,) * len(gpus) if hosts is None else tuple(hosts)
    return evaluate(model, gpus, quants, (situation,), thresholds, around, calibration, overrides)


def thresholds_of(workload: Workload | None, situation: Situation) -> Thresholds:
    """Thresholds of one question: those of its workload, or those of a free question with its own lengths."""
    free = replace(FREE_USE, context_tokens=situation.context_tokens, output_tokens=situation.output_tokens)
    return Thresholds.of((workload or replace(free, answer_tokens=situation.output_tokens),))


def cell_of(block: FitBlock, g: int, q: int, s: int, context_tokens: int) -> Estimate:
    """One cell of a block as an :class:`Estimate`."""
    at = (g, q, s)
    status = STATUSES[int(block.status[at])]
    runs = status in (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)
    weights, kv_cache = int(block.weights_bytes[at]), int(block.kv_cache_bytes[at])
    compute, overhead = int(block.compute_bytes[at]), int(block.overhead_bytes[at])
    # A hundredth of a point, as it is published, and not the nearest float32.
    score = round(float(block.score[at]), 2)
    return Estimate(
        status=status,
        engine=ENGINES[int(block.engine[g, q])],
        backend=BACKENDS[int(block.backend[g, q])],
        file_size_bytes=int(block.file_size_bytes[q]),
        memory=MemoryParts(
            weights_bytes=weights,
            kv_cache_bytes=kv_cache,
            compute_bytes=compute,
            overhead_bytes=overhead,
            total_bytes=weights + kv_cache + compute + overhead,
            usable_bytes=int(block.usable_bytes[g, q]),
            capacity_bytes=int(block.capacity_bytes[g, q]),
            host_bytes=int(block.host_bytes[at]),
        ),
        placement=Placement(
            STRATEGIES[int(block.strategy[at])],
            int(block.gpu_layers[at]),
            int(block.cpu_moe_layers[at]),
            float(block.offload_fraction[at]),
        ),
        decode=_speed(block, "decode", at) if runs else None,
        prefill=_speed(block, "prefill", at) if runs and block.prefill_tok_s[at] > 0 else None,
        ttft_ms=float(block.ttft_ms[at]) if runs and block.ttft_ms[at] > 0 else None,
        safe_context_tokens=int(block.safe_context_tokens[at]),
        context_tokens=context_tokens,
        score=score,
        grade=verdict.grade(score),
    )


def _speed(block: FitBlock, kind: str, at: tuple[int, int, int]) -> Speed:
    return Speed(
        float(getattr(block, f"{kind}_tok_s")[at]),
        float(getattr(block, f"{kind}_low_tok_s")[at]),
        float(getattr(block, f"{kind}_high_tok_s")[at]),
        EVIDENCES[int(getattr(block, f"{kind}_evidence")[at])],
    )
