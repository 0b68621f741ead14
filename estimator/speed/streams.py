"""Several streams at once: what they add to the time of one.

All streams share a read of the weights; each adds reads of its own context, products, and work on its token. *Products* of
a server run at the peak of the precision that the checkpoint is stored in where the device has one; weights of 4 bits that
are unpacked for them cost more. llama.cpp multiplies few columns by unpacking weights once per column (``mul_mat_vec``),
and more of them in tiles, which cost the same half empty; it takes what is quicker. *Sampling* of llama.cpp runs on the
processor, one stream after the other, over the whole vocabulary; servers sample on the device and spend time on scheduling
a step. Kernels for the contexts of many streams reach another share of the bandwidth than those for one: that constant
grows in with the number of streams. Servers fill the steps that read prompts up with tokens of several streams, so that a
prompt pays its products alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.work import DecodeWork, PrefillWork
from estimator.structure.arrays import Floats
from estimator.types import GGUF_FORMATS, Accelerator, Quant, QuantFormat

#: Columns of a tile of llama.cpp's matrix products.
GGUF_TILE = 32.0
#: Columns up to which llama.cpp multiplies quantized weights with vectors, column by column, and not in tiles
#: (``MMVQ_MAX_BATCH_SIZE`` of ggml-cuda, ``mul_mat_vec_max_cols`` of ggml-vulkan, ``ne11_mm_min`` of ggml-metal).
VECTOR_COLUMNS = 8.0
#: Fitted constants of an engine, as ``calibration.json`` names them.
CONSTANTS: tuple[str, ...] = ("cache", "arithmetic", "unpack", "four_bits", "sample_s", "s", "step_s", "prompt")


def stream_peak(accelerator: Accelerator, quant: Quant, peak_flops: float) -> float:
    """Peak of the products of many streams, FLOPS; ``peak_flops`` is that of one."""
    stored = {
        QuantFormat.FP8: accelerator.fp8_flops,
        QuantFormat.NVFP4: accelerator.fp4_flops,
        QuantFormat.INT8: accelerator.int8_ops,
    }.get(quant.format)
    return max(peak_flops, stored) if stored else peak_flops


def stream_tile(quant: Quant) -> float:
    """The fewest columns that a product costs as much as."""
    return GGUF_TILE if quant.format in GGUF_FORMATS else 1.0


def unpacks(quant: Quant, has_fp4_units: bool) -> bool:
    """Whether a server unpacks 4-bit weights to 16 bits in every tile of a product, for want of units for them."""
    if quant.format in (QuantFormat.AWQ, QuantFormat.GPTQ):
        return quant.nominal_bits <= 4
    return quant.format in (QuantFormat.NVFP4, QuantFormat.MXFP4) and not has_fp4_units


def step_seconds(work: DecodeWork, coef: SpeedCoefficients, weights: Floats, context: Floats, fixed: Floats) -> Floats:
    """Seconds of a step of all streams on the device before exchanges, from those of its reads and fixed costs."""
    batch, more = work.batch, work.batch - 1.0
    grown = more / batch
    read_bytes = weights + context * coef.stream_cache**grown + fixed
    scheduled = more * (coef.stream_s + work.vocab * coef.stream_sample_s) + grown * coef.stream_step_s
    return np.asarray(read_bytes * coef.decode_overall + scheduled)


def product_seconds(work: DecodeWork, coef: SpeedCoefficients, unpack: Floats, share: Any) -> Floats:
    """Seconds of the products of a step on one of the devices; NaN without a known peak."""
    batch = work.batch
    tiled = np.maximum(batch, coef.stream_tile) * work.flops * unpacking(coef) / coef.stream_peak_flops
    attending = batch * work.attention_flops / coef.attention_peak_flops
    products = (tiled + attending) * coef.stream_arithmetic
    by_column = unpack * coef.stream_unpack * (batch - 1.0)
    return np.asarray(np.where(coef.stream_tile > 1.0, np.minimum(products, by_column), products) * share)


def tiled_seconds(work: DecodeWork, coef: SpeedCoefficients, share: Any) -> Floats:
    """Least seconds of a step that llama.cpp multiplies in tiles: those of a prompt of so many tokens; 0 for a step of few
    columns, and without a known peak."""
    tokens = np.maximum(work.batch, coef.stream_tile)
    seconds = tokens * work.flops / coef.peak_flops * coef.linear * coef.prefill_overall * share
    in_tiles = (coef.stream_tile > 1.0) & (work.batch > VECTOR_COLUMNS) & np.isfinite(seconds)
    return np.asarray(np.where(in_tiles, seconds, 0.0))


def unpacking(coef: SpeedCoefficients) -> Any:
    """How many times longer products take for unpacking weights of 4 bits."""
    return np.where(coef.stream_unpacks, coef.stream_four_bits, 1.0)


def packed_prompt_seconds(work: PrefillWork, coef: SpeedCoefficients) -> Floats:
    """Seconds of a prompt on one device whose steps are filled up with tokens of other streams."""
    pairs = work.prompt_tokens * (work.depth_tokens + work.prompt_tokens / 2.0)
    products = work.prompt_tokens * work.flops_per_token * unpacking(coef) / coef.stream_peak_flops
    return np.asarray(
        (products + pairs * work.attention_flops_per_pair / coef.attention_peak_flops) * coef.stream_prompt
    )


def request_seconds(decode_s: Any, prompt_s: Any, output_tokens: Any, prompts: Any) -> Floats:
    """Seconds from the first token to the last of one request, in which ``prompts`` prompts are read in between."""
    return np.asarray(output_tokens * decode_s + prompts * prompt_s)
