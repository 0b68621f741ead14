"""The law of a quantization's divergence: the terms whose sum is the log of mean KL(original || quantized), nats a token.

Measured on text of the kind of Wikipedia. Bits are those of the whole file per weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from estimator.structure.training import REFERENCE_YEAR, SMALLEST_B, TrainedModel
from estimator.types import CacheType, Quant, QuantFormat

#: Bits per weight that the law is centred on.
REFERENCE_BITS = 4.0
#: Effective size of the centre, billions, and the power of the total size in it: a mixture of experts loses like a dense
#: model a little above its active size.
REFERENCE_SIZE_B, TOTAL_POWER = 8.0, 0.2
#: Bits per weight between which rows were measured; the law is not followed beyond.
LEAST_BITS, MOST_BITS = 1.5, 8.6
#: Zones of bits per weight with intervals of their own: ends of the first two.
ZONES = (3.0, 5.3)
_LEGACY = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q6_0", "Q8_0", "Q8_KV")
_LOSSLESS = ("F32", "F16", "BF16")
_FAMILY_OF_FORMAT: Mapping[QuantFormat, tuple[str, str]] = {
    QuantFormat.AWQ: ("int4-group", "W4G128"),
    QuantFormat.GPTQ: ("int4-group", "W4G128"),
    QuantFormat.FP8: ("fp8", "FP8"),
    QuantFormat.NVFP4: ("nvfp4", "NVFP4"),
    QuantFormat.MXFP4: ("mxfp4", "MXFP4"),
    QuantFormat.FP8_FP4: ("mxfp4", "MXFP4"),
    QuantFormat.INT8: ("int8", "INT8"),
    QuantFormat.BITSANDBYTES: ("int4-group", "W4G128"),
    QuantFormat.EXL2: ("exl2", "EXL2"),
    QuantFormat.EXL3: ("exl3", "EXL3"),
}
_INTERLEAVED = re.compile(r"_R(?:4|8|16)$")
_OF_FORK = re.compile(r"_K(?:S|SS|L)?$")
#: Bits of one cached element with its scales.
CACHE_BITS: Mapping[CacheType, float] = {
    CacheType.Q8_0: 8.5, CacheType.FP8: 8.0, CacheType.Q5_1: 6.0, CacheType.Q5_0: 5.5, CacheType.Q4_1: 5.0,
    CacheType.Q4_0: 4.5, CacheType.IQ4_NL: 4.5,
}  # fmt: skip
#: The cache law is centred on q8_0.
REFERENCE_CACHE_BITS = 8.5


@dataclass(frozen=True, slots=True)
class QuantForm:
    """How a quantization rounds: its family and its type within it, as the rows of measured loss name them."""

    family: str
    type: str


def form_of(quant: Quant) -> QuantForm | None:
    """Form of a catalog quantization; None for 16 bits and more, which lose nothing."""
    if quant.format in (QuantFormat.AWQ, QuantFormat.GPTQ, QuantFormat.BITSANDBYTES) and (quant.weight_bits or 4) > 6:
        return QuantForm("int8", "INT8")
    if quant.format in _FAMILY_OF_FORMAT:
        return QuantForm(*_FAMILY_OF_FORMAT[quant.format])
    if quant.format is QuantFormat.MLX:
        kind = "OQ" if quant.part_bits is not None else f"MLX{round(quant.nominal_bits)}"
        return QuantForm("mlx-mixed" if quant.part_bits is not None else "mlx", kind)
    name = (quant.file_type or "").upper()
    if quant.format is QuantFormat.SAFETENSORS or name in _LOSSLESS:
        return None
    name = _INTERLEAVED.sub("", name)
    if name.startswith("MXFP4"):
        return QuantForm("mxfp4", "MXFP4")
    return QuantForm(family_of_type(name), name)


def family_of_type(name: str) -> str:
    """Family of a type of llama.cpp, its forks or MLX, by its name."""
    if name.startswith("MLX"):
        return "mlx"
    if name in _LEGACY:
        return "legacy"
    if name.startswith("UD-"):
        return "unsloth-dynamic"
    if name.endswith("_KT"):
        return "trellis"
    if name.startswith("IQ"):
        return "ik-quant" if _OF_FORK.search(name) else "i-quant"
    return "k-quant"


def divergence_terms(model: TrainedModel, form: QuantForm, bits: float) -> dict[str, float]:
    """Values by the name of their coefficient; the log of the divergence is the sum of the products."""
    b = min(max(bits, LEAST_BITS), MOST_BITS) - REFERENCE_BITS
    effective = max(model.total_b, SMALLEST_B) ** TOTAL_POWER * max(model.active_b, SMALLEST_B) ** (1.0 - TOTAL_POWER)
    size = math.log(effective / REFERENCE_SIZE_B)
    return {
        "level": 1.0,
        "bits": b,
        "bits squared": b * b,
        "size": size,
        "size bits": size * b,
        "experts": float(model.active_b < 0.7 * model.total_b),
        "date": model.released - REFERENCE_YEAR,
        f"family:{form.family}": 1.0,
        f"bits|family:{form.family}": b,
        f"type:{form.type}": 1.0,
        f"publisher:{model.publisher}": 1.0,
        f"bits|publisher:{model.publisher}": b,
        f"model:{model.slug}": 1.0,
        f"bits|model:{model.slug}": b,
    }


def zone_of(bits: float) -> int:
    """Index of the zone of bits per weight."""
    return sum(bits >= end for end in ZONES)


def cache_terms(model: TrainedModel, bits: float, *, floating: bool = False) -> dict[str, float]:
    """Terms of the log divergence of a cache that holds keys and values in ``bits`` each."""
    return {
        "level": 1.0,
        "bits": bits - REFERENCE_CACHE_BITS,
        "size": math.log(max(model.total_b, SMALLEST_B) / REFERENCE_SIZE_B),
        "floating": float(floating),
        f"publisher:{model.publisher}": 1.0,
        f"model:{model.slug}": 1.0,
    }


def log_divergence(terms: Mapping[str, float], coefficients: Mapping[str, float]) -> float:
    """Sum of the terms; a model, publisher or type that was never measured adds 0."""
    return sum(value * coefficients.get(name, 0.0) for name, value in terms.items())
