"""The arithmetic bound of a prompt: the peak of the precision that an engine multiplies in, how far the power
limit lets a device reach it, and how many tokens an engine takes at a time.

llama.cpp multiplies quantized weights as INT8 on CUDA and ROCm (`ggml-cuda/mmq.cu`: activations are quantized to Q8_1,
products run on INT8 matrix units or `dp4a`), F16 weights by cuBLAS with FP16 accumulation, and in FP16 elsewhere; BF16
weights accumulate in FP32. GeForce cards do that at half their rate; cards for workstations and servers do both at the
full one. vLLM and MLX accumulate in FP32. FP8 and NVFP4 checkpoints count at the FP16 peak too: the rows of them, all of a
GB10, are no faster than those of 16 bits.
"""

from __future__ import annotations

import math

from estimator.placement.hardware import server_step_tokens
from estimator.types import GGUF_FORMATS, SERVERS, Accelerator, Backend, Quant

#: Scale of the arithmetic peak of Apple GPUs whose vendor states none: FLOPS per core. The family's effect corrects it.
NOMINAL_FLOPS_PER_CORE = 2.5e11
#: Operations of INT8 that count as one of FP16: the usual ratio of the peaks, so that one coefficient serves both.
INT8_PER_FP16 = 2.0
_INTEGER_BACKENDS = frozenset({Backend.CUDA, Backend.ROCM})
_FLOAT_FILES = frozenset({"F32", "F16", "BF16"})
#: FP16 peak per watt of the power limit at which its slope is 0, FLOPS/W: about that of a GeForce RTX 4070.
NOMINAL_FLOPS_PER_W = 0.6e12
#: FP32 operations of a unit and clock where no peak is stated: 128 lanes that multiply and add.
USUAL_FLOPS_PER_UNIT_CLOCK = 256.0
#: Peak of matrix units over that of shaders at which its slope is 0.
NOMINAL_MATRIX_LEAD = 4.0
_MATRIX_ATTENTION_BACKENDS = frozenset({Backend.CUDA, Backend.METAL})

#: Prompt tokens that an engine takes at a time by default, by what its name holds; llama.cpp's `-ub` elsewhere.
LLAMA_CPP_STEP_TOKENS = 512
_STEP_TOKENS = (("mlx", 2048), ("exllama", 2048))


def matrix_peak(accelerator: Accelerator) -> float:
    """Dense FP16 peak, with FP16 accumulation where that is faster, FLOPS, or what comes nearest of what is stated; NaN
    when no fact leads to one, as then for products with weights too."""
    peaks = [peak for peak in (accelerator.half_flops, accelerator.matrix_flops) if peak is not None]
    if peaks:
        return max(peaks)
    if accelerator.fp32_flops is not None:
        return accelerator.fp32_flops
    if accelerator.vendor == "apple" and accelerator.compute_units:
        return accelerator.compute_units * NOMINAL_FLOPS_PER_CORE
    return math.nan if accelerator.int8_ops is None else accelerator.int8_ops / INT8_PER_FP16


def weight_peak(accelerator: Accelerator, backend: Backend, quant: Quant) -> float:
    """Peak of the products with weights, FP16 FLOPS or what counts as such; NaN when no fact leads to one."""
    single = accelerator.matrix_flops
    if single is not None and (quant.format not in GGUF_FORMATS or quant.file_type == "BF16"):
        return single
    if (
        quant.format not in GGUF_FORMATS
        or quant.file_type in _FLOAT_FILES
        or backend not in _INTEGER_BACKENDS
        or accelerator.int8_ops is None
        # Blackwell Ultra and Rubin have little INT8 left: taken to be multiplied in FP16, of which no row tells.
        or accelerator.int8_ops < matrix_peak(accelerator)
    ):
        return matrix_peak(accelerator)
    return accelerator.int8_ops / INT8_PER_FP16


def shader_flops(accelerator: Accelerator) -> float | None:
    """FP32 peak of the shaders, as stated, else at the usual operations of a unit and clock; None when neither is known."""
    if accelerator.fp32_flops or not (accelerator.compute_units and accelerator.boost_hz):
        return accelerator.fp32_flops
    return accelerator.compute_units * accelerator.boost_hz * USUAL_FLOPS_PER_UNIT_CLOCK


def attention_peak(accelerator: Accelerator, backend: Backend, engine: str) -> float:
    """Peak of attention over a prompt, FP16 FLOPS; NaN when no fact leads to one.

    llama.cpp and its forks multiply attention in matrix units on CUDA and Metal; elsewhere on shaders, which do FP16 at
    twice the rate of FP32.
    """
    peak, single = matrix_peak(accelerator), shader_flops(accelerator)
    if backend in _MATRIX_ATTENTION_BACKENDS or engine in SERVERS or single is None:
        return peak
    return min(peak, 2.0 * single)


def matrix_log(accelerator: Accelerator, peak: float) -> float:
    """Log of the ``peak`` that is multiplied at, over that of shaders, at which its slope is 0 for a GeForce RTX 3090: how
    far matrix units are ahead of what feeds them. 0 where either is unknown."""
    single = shader_flops(accelerator)
    return 0.0 if single is None or math.isnan(peak) else math.log(peak / single / NOMINAL_MATRIX_LEAD)


def power_log(accelerator: Accelerator, peak: float) -> float:
    """Log of the ``peak`` that is multiplied at, per watt, over the nominal one: how much a power limit holds it down.

    0 where the peak or the limit is unknown, or the limit is shared with a processor.
    """
    if not accelerator.tdp_w or accelerator.unified_memory or math.isnan(peak):
        return 0.0
    return math.log(peak / accelerator.tdp_w / NOMINAL_FLOPS_PER_W)


def step_tokens(accelerator: Accelerator, engine: str) -> int:
    """Prompt tokens that an engine, by name, takes at a time when nobody says otherwise."""
    for part, tokens in _STEP_TOKENS:
        if part in engine:
            return tokens
    if engine not in SERVERS:
        return LLAMA_CPP_STEP_TOKENS
    return server_step_tokens(accelerator)
