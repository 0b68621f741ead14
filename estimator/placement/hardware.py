"""Formats that hardware can run, and the part of its memory that an engine gets: rules over datasheet facts.

The rules are data, in the order in which a user would choose: the vendor's own interface first, Vulkan last. The engine
files of the catalog state the same formats and devices with their sources; the catalog check compares both. Architectures
that an engine cannot run are stated here alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from estimator.structure.architecture import ModelArchitecture
from estimator.types import Accelerator, Backend, CacheType, Engine, EstimatorError, Quant, QuantFormat

#: AMD targets that llama.cpp's ROCm builds cover; others run through Vulkan.
LLAMA_CPP_ROCM_TARGETS = frozenset(
    {
        "gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1031", "gfx1032", "gfx1100", "gfx1101",
        "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1200", "gfx1201",
    }
)  # fmt: skip
VLLM_ROCM_TARGETS = frozenset(
    {"gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1101", "gfx1150", "gfx1151", "gfx1200", "gfx1201"}
)
#: AMD targets with FP8 matrix units: CDNA 3, CDNA 4, RDNA 4.
FP8_ROCM_TARGETS = frozenset({"gfx942", "gfx950", "gfx1200", "gfx1201"})
#: AMD parts that vLLM's recipe of gpt-oss names: MI300X, MI325X, MI355X and Radeon AI PRO R9700.
MXFP4_ROCM_TARGETS = frozenset({"gfx942", "gfx950", "gfx1201"})
#: AMD parts of SGLang's table: MI300X, MI325X, MI350X.
SGLANG_ROCM_TARGETS = frozenset({"gfx942", "gfx950"})
#: System memory that the operating system and programs keep, bytes.
HOST_RESERVE_BYTES = 4 * 1024**3
#: Architectures that neither llama.cpp nor its fronts can convert, by the source that says so.
NO_GGUF_BY_SOURCE: dict[str, tuple[str, ...]] = {
    "llama.cpp conversion/__init__.py (00bdaa1): TEXT_MODEL_MAP has no such class": (
        "BailingMoeLinearV2ForCausalLM", "ChatGLM1Model", "CohereCompassForCausalLM", "Ernie4_5_VLMoeForConditionalGeneration",
        "HunYuanForCausalLM", "HyperCLOVAXForCausalLM", "JetMoeForCausalLM", "MiniCPMSALAForCausalLM",
        "RecurrentGemmaForCausalLM", "Rwkv5ForCausalLM", "Step3TextForCausalLM", "TelechatForCausalLM", "Zamba2ForCausalLM",
        "ZambaForCausalLM",
    ),
    "converters of llama.cpp (code index, October 2026): SarvamMoEForCausalLM alone": ("SarvamMLAForCausalLM",),
}  # fmt: skip
NO_GGUF = frozenset(name for names in NO_GGUF_BY_SOURCE.values() for name in names)
#: Not in llama.cpp's list of architectures (LLM_ARCH_NAMES of src/llama-arch.cpp, 00395eb); Ollama runs both with code of
#: its own.
LLAMA_CPP_UNSUPPORTED = NO_GGUF | {"MllamaForConditionalGeneration", "SolarForCausalLM"}


@dataclass(frozen=True, slots=True)
class EngineRule:
    """An engine runs these formats through one backend, on devices from a compute capability or of listed targets.

    ``native_compute_capability`` is where the arithmetic is done in the format itself; below it the weights are stored
    in the format and multiplied in 16 bits. ``only_on_request`` engines are never chosen unasked.
    """

    engine: Engine
    backend: Backend
    formats: frozenset[QuantFormat]
    min_compute_capability: float | None = None
    native_compute_capability: float | None = None
    gfx_targets: frozenset[str] | None = None
    unsupported_architectures: frozenset[str] = frozenset()
    only_on_request: bool = False

    def covers(self, accelerator: Accelerator) -> bool:
        """Whether the device has this rule's backend and meets its minimum."""
        if self.backend not in accelerator.backends:
            return False
        if self.min_compute_capability is not None and (
            accelerator.compute_capability is None or accelerator.compute_capability < self.min_compute_capability
        ):
            return False
        return self.gfx_targets is None or accelerator.gfx_target in self.gfx_targets


_GGUF = frozenset({QuantFormat.GGUF})


def _gguf(engine: Engine, backend: Backend, min_cc: float | None = None) -> EngineRule:
    return EngineRule(
        engine,
        backend,
        _GGUF,
        min_compute_capability=min_cc,
        gfx_targets=LLAMA_CPP_ROCM_TARGETS if backend is Backend.ROCM else None,
        unsupported_architectures=NO_GGUF if engine is Engine.OLLAMA else LLAMA_CPP_UNSUPPORTED,
        only_on_request=engine is not Engine.LLAMA_CPP,
    )


def _server(engine: Engine, *formats: QuantFormat, **devices: Any) -> EngineRule:
    return replace(_vllm(Backend.CUDA, *formats, **devices), engine=engine, only_on_request=True)


def _ik(backend: Backend) -> tuple[EngineRule, EngineRule]:
    """The fork reads plain files too, where it is asked for, and its own types as the only one."""
    plain = _gguf(Engine.IK_LLAMA_CPP, backend)
    return plain, replace(plain, formats=frozenset({QuantFormat.IK_GGUF}), only_on_request=False)


def _vllm(
    backend: Backend,
    *formats: QuantFormat,
    min_cc: float | None = None,
    native_cc: float | None = None,
    gfx: frozenset[str] | None = None,
) -> EngineRule:
    return EngineRule(Engine.VLLM, backend, frozenset(formats), min_cc, native_cc, gfx)


def _sglang(backend: Backend, *formats: QuantFormat, **devices: Any) -> EngineRule:
    return replace(_vllm(backend, *formats, **devices), engine=Engine.SGLANG, only_on_request=True)


#: In order of preference. Sources are in the catalog's engine files.
ENGINE_RULES: tuple[EngineRule, ...] = (
    _gguf(Engine.LLAMA_CPP, Backend.CUDA),
    _gguf(Engine.LLAMA_CPP, Backend.ROCM),
    _gguf(Engine.LLAMA_CPP, Backend.METAL),
    _gguf(Engine.LLAMA_CPP, Backend.SYCL),
    _gguf(Engine.LLAMA_CPP, Backend.VULKAN),
    _gguf(Engine.LLAMA_CPP, Backend.CPU),
    _vllm(Backend.CUDA, QuantFormat.SAFETENSORS, min_cc=7.5),
    _vllm(Backend.CUDA, QuantFormat.AWQ, QuantFormat.GPTQ, QuantFormat.INT8, QuantFormat.BITSANDBYTES, min_cc=7.5),
    _vllm(Backend.CUDA, QuantFormat.FP8, min_cc=7.5, native_cc=8.9),
    _vllm(Backend.CUDA, QuantFormat.NVFP4, QuantFormat.MXFP4, min_cc=8.0, native_cc=10.0),
    _vllm(Backend.CUDA, QuantFormat.FP8_FP4, min_cc=9.0, native_cc=10.0),
    _vllm(Backend.ROCM, QuantFormat.SAFETENSORS, gfx=VLLM_ROCM_TARGETS),
    _vllm(Backend.ROCM, QuantFormat.FP8, gfx=FP8_ROCM_TARGETS),
    _vllm(Backend.ROCM, QuantFormat.MXFP4, gfx=MXFP4_ROCM_TARGETS),
    _vllm(Backend.SYCL, QuantFormat.SAFETENSORS, QuantFormat.AWQ, QuantFormat.GPTQ),
    _vllm(Backend.HPU, QuantFormat.SAFETENSORS, QuantFormat.FP8),
    _vllm(Backend.TPU, QuantFormat.SAFETENSORS, QuantFormat.INT8),
    _vllm(Backend.CANN, QuantFormat.SAFETENSORS, QuantFormat.INT8),
    _vllm(Backend.NEURON, QuantFormat.SAFETENSORS),
    EngineRule(Engine.MLX, Backend.METAL, frozenset({QuantFormat.MLX, QuantFormat.SAFETENSORS})),
    _gguf(Engine.OLLAMA, Backend.CUDA, 5.0),
    _gguf(Engine.OLLAMA, Backend.ROCM),
    _gguf(Engine.OLLAMA, Backend.METAL),
    _gguf(Engine.OLLAMA, Backend.VULKAN),
    _gguf(Engine.OLLAMA, Backend.CPU),
    *_ik(Backend.CUDA),
    *_ik(Backend.CPU),
    _sglang(Backend.CUDA, QuantFormat.SAFETENSORS, QuantFormat.AWQ, QuantFormat.GPTQ, QuantFormat.INT8, min_cc=7.5),
    _sglang(Backend.CUDA, QuantFormat.FP8, min_cc=8.0, native_cc=8.9),
    _sglang(Backend.CUDA, QuantFormat.MXFP4, QuantFormat.FP8_FP4, min_cc=9.0, native_cc=10.0),
    _sglang(Backend.CUDA, QuantFormat.NVFP4, min_cc=10.0, native_cc=10.0),
    _sglang(Backend.ROCM, QuantFormat.SAFETENSORS, QuantFormat.FP8, QuantFormat.MXFP4, gfx=SGLANG_ROCM_TARGETS),
    _server(Engine.TENSORRT_LLM, QuantFormat.SAFETENSORS, QuantFormat.AWQ, QuantFormat.GPTQ, min_cc=8.0),
    _server(Engine.TENSORRT_LLM, QuantFormat.FP8, min_cc=8.9, native_cc=8.9),
    _server(Engine.TENSORRT_LLM, QuantFormat.NVFP4, min_cc=10.0, native_cc=10.0),
    EngineRule(Engine.EXLLAMAV2, Backend.CUDA, frozenset({QuantFormat.EXL2})),
    EngineRule(Engine.EXLLAMAV3, Backend.CUDA, frozenset({QuantFormat.EXL3}), min_compute_capability=8.0),
    _gguf(Engine.LM_STUDIO, Backend.CUDA),
    _gguf(Engine.LM_STUDIO, Backend.METAL),
    _gguf(Engine.LM_STUDIO, Backend.VULKAN),
    _gguf(Engine.LM_STUDIO, Backend.CPU),
    _gguf(Engine.LLAMAFILE, Backend.CUDA),
    _gguf(Engine.LLAMAFILE, Backend.METAL),
    _gguf(Engine.LLAMAFILE, Backend.CPU),
)
_LLAMA_CACHES = tuple(cache for cache in CacheType if cache is not CacheType.FP8)
_SERVER_CACHES = (CacheType.F16, CacheType.BF16, CacheType.FP8)
#: Types of the KV cache that each engine keeps: llama-server's `--cache-type-k` and `--cache-type-v`, Ollama's
#: `OLLAMA_KV_CACHE_TYPE`, `--kv-cache-dtype` of the servers; mlx_lm.server has no such setting.
CACHE_TYPES: dict[Engine, tuple[CacheType, ...]] = {
    Engine.LLAMA_CPP: _LLAMA_CACHES,
    Engine.IK_LLAMA_CPP: _LLAMA_CACHES,
    Engine.OLLAMA: (CacheType.F16, CacheType.Q8_0, CacheType.Q4_0),
    Engine.VLLM: _SERVER_CACHES,
    Engine.SGLANG: _SERVER_CACHES,
    Engine.TENSORRT_LLM: _SERVER_CACHES,
    Engine.MLX: (CacheType.F16, CacheType.BF16),
    # `cache_mode` of TabbyAPI: 8 and 4 bits with a 16-bit scale for 32 elements, as in llama.cpp's types.
    Engine.EXLLAMAV2: (CacheType.F16, CacheType.Q8_0, CacheType.Q4_0),
    Engine.EXLLAMAV3: (CacheType.F16, CacheType.Q8_0, CacheType.Q4_0),
    Engine.LM_STUDIO: _LLAMA_CACHES,
    Engine.LLAMAFILE: _LLAMA_CACHES,
}
#: Engines that take a type for the values apart from that of the keys.
SPLIT_CACHE_ENGINES = frozenset({Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.EXLLAMAV3})
#: Backends on which llama.cpp cuts matrices over several devices (docs/multi-gpu.md).
CUT_BACKENDS = (Backend.CUDA, Backend.ROCM)
#: Architectures whose matrices it cannot cut though they have none of the parts that stand in the way
#: (src/llama-arch.cpp, llm_arch_supports_sm_tensor).
_UNCUT_ARCHITECTURES = frozenset(
    {
        "BitNetForCausalLM", "Gemma3nForConditionalGeneration", "MiniMaxM2ForCausalLM", "Olmo2ForCausalLM",
        "Olmo3ForCausalLM", "OlmoeForCausalLM",
    }
)  # fmt: skip


def cuts_matrices(model: ModelArchitecture) -> bool:
    """Whether llama.cpp can cut the matrices of a model: not with latent attention, whose rows all heads share, compressed
    contexts, state-space layers or short convolutions."""
    whole = model.latent, model.state_space, model.short_conv_kernel or None
    return (
        all(part is None for part in whole)
        and not any(model.compress_ratios)
        and model.architecture not in _UNCUT_ARCHITECTURES
    )


def choose_engine(
    architecture: str,
    accelerator: Accelerator,
    quant: Quant,
    engine: Engine | None = None,
    backend: Backend | None = None,
    *,
    is_moe: bool = True,
) -> tuple[Engine, Backend] | None:
    """The engine and backend that run ``quant`` of an architecture on a device, or None when none does.

    ``engine`` and ``backend`` narrow the choice to what a user asked for. ``is_moe`` False rules out formats that exist
    only for mixture-of-experts models.
    """
    if quant.moe_only and not is_moe:
        return None
    for rule in ENGINE_RULES:
        if quant.format not in rule.formats or architecture in rule.unsupported_architectures:
            continue
        if (engine is not None and rule.engine is not engine) or (engine is None and rule.only_on_request):
            continue
        if (backend is None or rule.backend is backend) and rule.covers(accelerator):
            return rule.engine, rule.backend
    return None


def backends_of(accelerator: Accelerator, engine: Engine = Engine.LLAMA_CPP) -> tuple[Backend, ...]:
    """Backends that ``engine`` can drive the device through, best first."""
    backends = [rule.backend for rule in ENGINE_RULES if rule.engine is engine and rule.covers(accelerator)]
    return tuple(dict.fromkeys(backends))


#: vLLM's `max_num_batched_tokens` of a server: more from 70 GiB on, the A100 excepted (vllm/engine/arg_utils.py).
_SERVER_STEP_TOKENS, _LARGE_SERVER_STEP_TOKENS, _LARGE_BYTES = 2048, 8192, 70 << 30
#: Its `max_num_seqs`, by the same rule.
_SERVER_SEQUENCES, _LARGE_SERVER_SEQUENCES = 256, 1024


def server_step_tokens(accelerator: Accelerator) -> int:
    """Prompt tokens that a server takes at a time where nobody says otherwise."""
    return _LARGE_SERVER_STEP_TOKENS if _is_large_server(accelerator) else _SERVER_STEP_TOKENS


def server_sequences(accelerator: Accelerator) -> int:
    """Requests that vLLM answers at once where nobody says otherwise, since its engine V1."""
    return _LARGE_SERVER_SEQUENCES if _is_large_server(accelerator) else _SERVER_SEQUENCES


def _is_large_server(accelerator: Accelerator) -> bool:
    return (accelerator.memory_bytes or 0) >= _LARGE_BYTES and "a100" not in accelerator.slug


def is_card(accelerator: Accelerator) -> bool:
    """Whether it is a card for a slot of a desktop computer, as its kind and its PCIe link state.

    A server part may be a card or a module, which the catalog does not say, so none counts.
    """
    return accelerator.kind in ("consumer", "workstation") and accelerator.pcie_bytes_s is not None


def can_replace(present: Accelerator, other: Accelerator) -> bool:
    """Whether ``other`` can take the place of ``present`` in a machine of the same class.

    A card takes the place of a card, or joins a processor or a server. A server part only takes the place of a server
    part, a processor that of a processor. A part of a computer (laptop, board, integrated) is replaced with the whole
    computer: a Mac or another board by a board, a laptop by either.
    """
    if is_card(other):
        return present.kind not in _BUILT_IN
    if other.kind == "soc":
        return present.kind in _BUILT_IN
    if other.kind in _BUILT_IN:
        return present.kind in ("laptop", "integrated")
    return other.kind in ("datacenter", "cpu") and other.kind == present.kind


_BUILT_IN = ("laptop", "soc", "integrated")


def usable_bytes(accelerator: Accelerator, host_memory_bytes: int | None = None) -> int | None:
    """Device memory that an engine may fill, bytes; None when the device's memory size is unknown.

    Unified memory: the platform's measured limit, else its default fraction. Discrete cards: what the driver reports,
    else the nominal size. ``host_memory_bytes`` stands in for devices that use the computer's own memory, of which they
    leave the operating system its part.
    """
    if accelerator.usable_bytes is not None:
        return accelerator.usable_bytes
    memory = accelerator.memory_bytes
    fraction = accelerator.usable_fraction if accelerator.unified_memory else None
    if memory is None and accelerator.unified_memory and host_memory_bytes is not None:
        memory = host_memory_bytes if fraction is not None else max(host_memory_bytes - HOST_RESERVE_BYTES, 0)
    if memory is None:
        return None
    return memory if fraction is None else int(memory * fraction)


def largest_wired_limit_bytes(accelerator: Accelerator) -> int | None:
    """The GPU memory limit of a Mac that leaves macOS its part; None where it is no more than the default.

    macOS 14 and later take it as ``iogpu.wired_limit_mb``, in whole MiB.
    """
    if not _has_wired_limit(accelerator) or accelerator.memory_bytes is None:
        return None
    limit = accelerator.memory_bytes - HOST_RESERVE_BYTES
    return limit if limit > (usable_bytes(accelerator) or 0) else None


def with_wired_limit(accelerator: Accelerator, limit_bytes: int | None) -> Accelerator:
    """The accelerator with a GPU memory limit that was set by hand; None leaves the default.

    Raises:
        EstimatorError: the accelerator has no such limit, or less memory.
    """
    if limit_bytes is None:
        return accelerator
    if not _has_wired_limit(accelerator):
        raise EstimatorError(f"a wired limit is a setting of macOS; {accelerator.name} is no GPU of a Mac")
    if accelerator.memory_bytes is not None and not 0 < limit_bytes <= accelerator.memory_bytes:
        raise EstimatorError(
            f"a wired limit is above 0 and at most the memory of the Mac, {accelerator.memory_bytes // 1024**2:,} MiB, "
            f"not {limit_bytes // 1024**2:,} MiB"
        )
    return replace(accelerator, usable_bytes=limit_bytes)


def _has_wired_limit(accelerator: Accelerator) -> bool:
    return accelerator.unified_memory and Backend.METAL in accelerator.backends
