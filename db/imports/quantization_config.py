"""The format of a checkpoint's weights, from ``quantization_config`` or from the type of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.imports.class_defaults import TEXT_SECTIONS

_PLAIN = {"bfloat16": "BF16", "float16": "FP16", "half": "FP16", "float32": "F32"}
#: Label of a format -> slug of the catalog's quantization that has its bits and scales; others have none.
_SLUGS = {
    "FP8": "fp8", "NVFP4": "nvfp4", "MXFP4": "mxfp4", "AWQ": "awq-int4", "INT4": "gptq-int4", "INT8": "gptq-int8",
    "BF16": "bf16-safetensors", "FP16": "bf16-safetensors", "MLX4": "mlx-4bit", "MLX6": "mlx-6bit", "MLX8": "mlx-8bit",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckpointFormat:
    """``label`` as a catalog entry writes it, ``quant`` the slug of the catalog's quantization of equal size or None."""

    label: str
    quant: str | None


def checkpoint_format(config: Mapping[str, Any], values: Mapping[str, Any]) -> CheckpointFormat:
    """The format that the checkpoint of ``config`` has. ``values`` are those of its language model."""
    stated = _stated(config)
    if stated is None:
        kind = values.get("dtype") or values.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")
        name = str(kind).removeprefix("torch.")
        label = _PLAIN.get(name, "BF16")
        return CheckpointFormat(label, _SLUGS.get(label))
    kind, label = _kind(stated)
    if kind == "FP8" and values.get("compress_ratios") is not None and config.get("expert_dtype") == "fp4":
        return CheckpointFormat("FP8 + FP4 experts", None)
    return CheckpointFormat(label, _SLUGS.get(kind))


def _stated(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """``quantization_config``, also of an inner section; MLX writes ``quantization``."""
    for section in (config, *(config.get(key) for key in TEXT_SECTIONS)):
        for key in ("quantization_config", "compression_config", "quantization"):
            stated = section.get(key) if isinstance(section, Mapping) else None
            if isinstance(stated, Mapping) and stated:
                return stated
    return None


def _kind(stated: Mapping[str, Any]) -> tuple[str, str]:
    """The format, and how a catalog entry labels it."""
    method = str(stated.get("quant_method") or "").lower().replace("_", "-")
    algorithm = str(stated.get("quant_algo") or stated.get("format") or "").lower()
    bits = stated.get("bits") or stated.get("w_bit")
    if "nvfp4" in algorithm or method == "nvfp4":
        return "NVFP4", "NVFP4"
    if method in ("mxfp4", "gpt-oss-mxfp4") or "mxfp4" in algorithm:
        return "MXFP4", "MXFP4 (experts)"
    if method in ("fp8", "fbgemm-fp8") or algorithm.startswith("fp8"):
        return "FP8", "FP8"
    if method == "bitsandbytes":
        return ("BNB", "NF4 (bitsandbytes)") if stated.get("load_in_4bit") else ("BNB", "INT8 (bitsandbytes)")
    if method == "awq":
        return ("AWQ" if bits in (None, 4) else "AWQ?"), f"INT{bits or 4} (awq)"
    if method in ("gptq", "auto-round", "autoround", "intel/auto-round"):
        return f"INT{bits or 4}", f"INT{bits or 4} ({method})"
    if method in ("compressed-tensors", "modelopt") or stated.get("config_groups"):
        return _of_groups(stated, method or "compressed-tensors")
    if not method and bits is not None:
        return f"MLX{bits}", f"MLX {bits}-bit"
    label = (method or algorithm or "quantized").upper()[:32]
    return label, label


def _of_groups(stated: Mapping[str, Any], method: str) -> tuple[str, str]:
    """Bits and number type of the weights; groups of different ones are mixed."""
    groups = stated.get("config_groups")
    parts = groups.values() if isinstance(groups, Mapping) else ()
    weights = [
        part["weights"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("weights"), Mapping)
    ]
    kinds = {(part.get("num_bits"), str(part.get("type") or "int")) for part in weights}
    if len(kinds) != 1:
        return "MIXED", f"mixed ({method})"
    bits, number = kinds.pop()
    if number == "float":
        kind = {8: "FP8", 4: "NVFP4" if weights[0].get("group_size") in (16, None) else "MXFP4"}.get(bits)
        return (kind or "FLOAT"), (kind or f"FP{bits}")
    return f"INT{bits}", f"INT{bits} ({method})"
