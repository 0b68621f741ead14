"""Compute buffers, runtime overhead and usable memory, per engine and backend.

The compute-buffer formulas are the peak of ggml's graph allocator over the worst prompt graph of a micro-batch, read
from llama.cpp's graphs and checked against its allocator; overheads come from load logs. All bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import CacheShape, pad
from estimator.structure.tensors import FUSED_GATE_UP
from estimator.types import SERVERS, Accelerator, Backend, CacheType, Engine

MIB = 1024**2
#: A bare CUDA context takes about 3 MiB per streaming multiprocessor; cuBLAS workspace, kernels and graphs the rest.
CUDA_BYTES_PER_SM = 3 * MIB
CUDA_RUNTIME_BYTES = 200 * MIB
#: Seen on ROCm: 253 MiB (MI50) to 313 MiB (RDNA 4).
ROCM_RUNTIME_BYTES = 283 * MIB
#: Vulkan and SYCL were not logged; they take the ROCm figure. Metal logs show 0 to 495 MiB.
OTHER_RUNTIME_BYTES = 283 * MIB
METAL_RUNTIME_BYTES = 128 * MIB
#: vLLM: memory outside PyTorch's allocator on discrete GPUs, 0.05 to 0.35 GiB.
VLLM_RUNTIME_BYTES = 256 * MIB
VLLM_MEMORY_FRACTION = 0.9
VLLM_BATCHED_TOKENS = 2048
VLLM_MAX_SEQUENCES = 256
_DEFAULT_MULTIPROCESSORS = 60
#: Copies of the graph inputs that llama.cpp keeps per device when layers are split over several.
PIPELINE_COPIES = 4


def compute_bytes(
    model: ModelArchitecture,
    shape: CacheShape,
    context_tokens: Any,
    *,
    cache: CacheType = CacheType.F16,
    flash_attention: bool = True,
    micro_batch: int = 512,
    sequences: int = 1,
    all_logits: bool = False,
    converts_cache: bool = True,
    unified: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Device and host compute buffer of llama.cpp for ``context_tokens`` (contexts,), each of shape (contexts,).

    ``all_logits`` reserves logits for the whole micro-batch (llama-bench, and servers before April 2026).
    ``converts_cache``: flash attention on a GPU turns a quantized cache into F16 first; a CPU reads it as it is.
    ``unified``: sequences share one cache, and every token has a mask over all of it.
    """
    shared = sequences if unified else 1
    cells = pad(np.atleast_1d(np.asarray(context_tokens, dtype=np.float64)) * shared)
    tokens = np.minimum(float(micro_batch), cells)
    quad = 4.0 * tokens
    hidden, attending = float(model.hidden), [layer for layer in model.layers if layer.has_attention]
    mask = (2.0 if flash_attention else 4.0) * tokens * cells
    window = float(shape.window_tokens.max(initial=0))
    windowed = np.minimum(cells, pad(window * shared + tokens)) if window else np.zeros_like(cells)
    window_mask = (2.0 if flash_attention else 4.0) * tokens * windowed
    masks = (mask if (shape.full_elements > 0).any() else 0.0) + window_mask
    outputs = quad if all_logits else np.full_like(quad, 4.0 * sequences)
    peak = np.maximum(outputs * (model.vocab + hidden), _ffn_bytes(model, quad) + masks)
    peak = np.maximum(peak, _recurrent_bytes(model, shape, quad, sequences) + masks)
    for layer in {
        (layer.heads, layer.kv_heads, layer.key_dim, layer.value_dim, layer.window): layer for layer in attending
    }.values():
        own = windowed if layer.window is not None else cells
        if model.cached_latent is not None and layer.latent is not None and not model.compress_ratios:
            mla = layer.latent
            part = quad * (
                layer.heads * (2 * mla.kv_rank + mla.rope_dim)
                + layer.heads * (mla.nope_dim + mla.rope_dim)
                + 4 * hidden
                + 2 * mla.kv_rank
            )
        else:
            width = float(layer.heads * layer.key_dim)
            kv_width = float(layer.kv_heads * layer.key_dim)
            part = quad * (3 * width + 2 * kv_width + 2 * hidden)
        if not flash_attention:
            part = 4.0 * tokens * own * layer.heads + (
                part if model.cached_latent is not None else quad * (2 * hidden + 2 * width + 2 * kv_width)
            )
        elif converts_cache and model.cached_latent is None and cache is not CacheType.F16:
            # Kernels read F16, so one layer's keys and values are converted; MLA rows are read as they are.
            queries = 3 if cache is CacheType.BF16 else 2
            part = quad * (queries * width + 2 * hidden) + 2.0 * own * kv_width * 2.0
        peak = np.maximum(peak, part + masks)
    host = 8.0 * tokens * hidden + masks
    return peak, host


def offload_compute_bytes(compute: Any, working: Any, moved: Any) -> NDArray[np.float64]:
    """Device compute buffer when weights stay in system memory, bytes; broadcasts.

    Prompt work copies the weight that it multiplies with (the largest one is ``moved`` bytes) next to the ``working``
    activations, which share the buffer with the logits of ``compute``: the larger of both is reserved.
    """
    return np.asarray(np.maximum(compute, np.asarray(working) + np.asarray(moved)), dtype=np.float64)


def split_compute_bytes(
    compute: NDArray[np.float64],
    working: NDArray[np.float64],
    inputs: NDArray[np.float64],
    hidden: NDArray[np.float64],
    devices: int,
) -> NDArray[np.float64]:
    """Compute buffers of each of ``devices`` under a layer split, bytes: shape (devices, ...) over that of the inputs.

    Pipeline parallelism keeps four copies of the graph's ``inputs`` (the host buffer of one device) on every device;
    ``hidden`` is one micro-batch of activations, of which the last device holds one more. Only it computes logits.
    """
    if devices == 1:
        return compute[None]
    first = working + PIPELINE_COPIES * (inputs - hidden)
    return np.stack([first] * (devices - 1) + [compute + PIPELINE_COPIES * inputs])


def unpipelined_compute_bytes(
    compute: NDArray[np.float64], working: NDArray[np.float64], devices: int
) -> NDArray[np.float64]:
    """The same without pipeline parallelism: llama.cpp asks for it only with every layer on the devices, and does without
    it where the copies have no room ("retrying without pipeline parallelism", src/llama-context.cpp)."""
    return np.stack([working] * (devices - 1) + [compute])


def _ffn_bytes(model: ModelArchitecture, quad: NDArray[np.float64]) -> NDArray[np.float64]:
    hidden = float(model.hidden)
    widest = float(max((layer.ffn_width for layer in model.layers), default=0))
    # Gate and up projection in one tensor leave the input free before the product is formed.
    rows = 2 if model.architecture in FUSED_GATE_UP else 3
    dense = (
        quad * (3 * widest + rows * hidden) if any(layer.feed_forward == "D" for layer in model.layers) else 0.0 * quad
    )
    if model.experts is None:
        return np.asarray(dense)
    width, used = float(model.experts.width), float(model.experts.per_token)
    if hidden * used > 2 * width * used:
        routed = quad * (3 * width * used + hidden * used + 4 * hidden)
    else:
        routed = quad * (3 * width * used + 3 * hidden)
    return np.maximum(dense, routed)


def _recurrent_bytes(
    model: ModelArchitecture, shape: CacheShape, quad: NDArray[np.float64], sequences: int
) -> NDArray[np.float64]:
    """Activations of a layer that keeps a state, and the states that it reads and writes; 0 without such layers.

    Multiples of each width, as the engine's allocator reports them for small models with one width changed at a time.
    """
    if not (shape.state_bytes > 0).any():
        return 0.0 * quad
    hidden, width, states = float(model.hidden), 0.0, 1.0
    if (ssm := model.state_space) is not None:
        width, states = 6.0 * ssm.inner_dim, 1.0 if ssm.version == 1 else 3.0
    if (linear := model.linear) is not None:
        key, value = linear.key_heads * linear.key_dim, linear.value_heads * linear.value_dim
        width = max(width, 6.0 * key + 3.0 * value + 2.0 * hidden)
    if model.short_conv_kernel:
        width = max(width, 6.0 * hidden)
    return np.asarray(quad * width + states * sequences * float(shape.state_bytes.max()))


def server_activation_bytes(
    model: ModelArchitecture, batched_tokens: Any, ranks: int = 1, sequences: int | None = None
) -> Any:
    """Peak activations of vLLM's profiling run on a device, bytes: feed-forward of a step, or logits of all sequences.

    ``ranks`` devices share the width of each layer; ``sequences`` None: the engine's own.
    """
    widest = max(
        [layer.ffn_width for layer in model.layers]
        + [model.experts.width * model.experts.per_token if model.experts else 0]
    )
    forward = np.asarray(batched_tokens) * (3.0 * widest / ranks + 4.0 * model.hidden) * 2.0
    logits = (sequences or VLLM_MAX_SEQUENCES) * float(model.vocab) * 4.0 * 3.0
    return np.ceil(np.maximum(forward, logits) + 128 * MIB)


def overhead_bytes(accelerator: Accelerator, engine: Engine, backend: Backend) -> int:
    """Runtime overhead outside the engine's buffers on one device."""
    if engine in SERVERS:
        return VLLM_RUNTIME_BYTES
    if backend is Backend.CUDA:
        units = accelerator.compute_units or _DEFAULT_MULTIPROCESSORS
        return CUDA_BYTES_PER_SM * units + CUDA_RUNTIME_BYTES
    if backend is Backend.METAL:
        return METAL_RUNTIME_BYTES
    if backend is Backend.ROCM:
        return ROCM_RUNTIME_BYTES
    return 0 if backend is Backend.CPU else OTHER_RUNTIME_BYTES
