"""The format of a checkpoint's weights, from ``quantization_config`` or from the type of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from db.imports.checkpoints.module_widths import (
    SIXTEEN_BITS,
    kept_parts,
    widths_of_groups,
    widths_of_mlx,
    widths_of_modules,
)

#: Keys under which a configuration of several parts keeps that of its language model.
TEXT_SECTIONS = ("text_config", "language_config", "llm_config", "thinker_config")
_PLAIN = {"bfloat16": "BF16", "float16": "FP16", "half": "FP16", "float32": "F32"}
#: Slug of the quantization that engines run a width as, bits of a weight with its scales.
_SLUG_OF_WIDTH = {4.5: "nvfp4", 8.0: "fp8", 8.25: "fp8", 4.25: "mxfp4-checkpoint"}
_MLX_BITS = (2, 3, 4, 5, 6, 8)
#: Bits of a weight that the catalog has files of ExLlama in.
_EXL_BITS = {
    "exl2": (2.4, 3.0, 3.5, 4.0, 4.25, 4.65, 5.0, 6.0, 6.5, 8.0),
    "exl3": (2.0, 2.25, 2.5, 3.0, 3.5, 4.0, 4.25, 4.5, 5.0, 6.0, 8.0),
}


@dataclass(frozen=True, slots=True)
class CheckpointFormat:
    """How a checkpoint stores its weights.

    ``label`` as a catalog entry writes it; ``quant`` is the slug of the catalog's quantization that engines run it as,
    None where the catalog has none. ``bits``, ``group_size``, ``scale_bits`` and ``zero_bits`` are the file's own, None
    where they are those of that quantization; ``widths`` are bits with scales of parts that differ from the rest.
    """

    label: str
    quant: str | None
    is_quantized: bool = True
    bits: float | None = None
    group_size: int | None = None
    scale_bits: float | None = None
    zero_bits: float | None = None
    widths: tuple[tuple[str, float], ...] = ()


def checkpoint_format(config: Mapping[str, Any], values: Mapping[str, Any]) -> CheckpointFormat:
    """The format that the checkpoint of ``config`` has. ``values`` are those of its language model."""
    stated = _stated(config)
    if stated is None:
        kind = values.get("dtype") or values.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")
        label = _PLAIN.get(str(kind).removeprefix("torch."), "BF16")
        return CheckpointFormat(label, None if label == "F32" else "bf16-safetensors", is_quantized=False)
    checkpoint = _of_method(stated)
    if checkpoint.label == "FP8" and "fp4" in str(config.get("expert_dtype") or values.get("expert_dtype")).lower():
        return replace(checkpoint, label="FP8 + FP4 experts", quant="fp8-fp4-experts")
    kept = [(part, SIXTEEN_BITS) for part in sorted(kept_parts(stated))]
    return replace(checkpoint, widths=(*checkpoint.widths, *kept))


def _stated(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """``quantization_config``, also of an inner section; MLX writes ``quantization``."""
    for section in (config, *(config.get(key) for key in TEXT_SECTIONS)):
        for key in ("quantization_config", "compression_config", "quantization"):
            stated = section.get(key) if isinstance(section, Mapping) else None
            if isinstance(stated, Mapping) and stated:
                return stated
    return None


def _of_method(stated: Mapping[str, Any]) -> CheckpointFormat:
    method = str(stated.get("quant_method") or "").lower().replace("_", "-")[:32]
    algorithm = str(stated.get("quant_algo") or stated.get("format") or "").lower()[:32]
    bits = _number(stated, "bits", "w_bit")
    group = _number(stated, "group_size", "q_group_size")
    layers = stated.get("quantized_layers")
    if isinstance(layers, Mapping) and layers:
        return _mixed(method or algorithm, widths_of_modules(layers))
    if "nvfp4" in algorithm or method == "nvfp4":
        return CheckpointFormat("NVFP4", "nvfp4")
    if method in ("mxfp4", "gpt-oss-mxfp4") or "mxfp4" in algorithm:
        return CheckpointFormat("MXFP4 (experts)", "mxfp4-checkpoint")
    if method in ("fp8", "fbgemm-fp8") or algorithm in ("fp8", "float-quantized", "fp8_pb_wo"):
        return CheckpointFormat("FP8", "fp8")
    if method in _EXL_BITS:
        return _exllama(stated, method)
    if method == "bitsandbytes" or (not method and (stated.get("load_in_8bit") or stated.get("load_in_4bit")) is True):
        return _bitsandbytes(stated)
    if method == "awq":
        return _integers("awq", bits or 4, group or 128, zero=stated.get("zero_point") is not False)
    if method in ("gptq", "auto-round", "autoround", "intel/auto-round"):
        return _integers(method, bits or 4, group, zero=stated.get("sym") is False)
    if stated.get("config_groups") is not None or method in ("compressed-tensors", "modelopt"):
        return _of_groups(stated, method or "compressed-tensors")
    if not method and bits is not None:
        return _mlx(stated, bits, group)
    return CheckpointFormat((method or algorithm or "quantized").upper(), None)


def _integers(method: str, bits: int, group: int | None, *, zero: bool) -> CheckpointFormat:
    slug = {("awq", 4): "awq-int4"}.get((method, bits)) or {4: "gptq-int4", 8: "gptq-int8"}.get(bits)
    groups = group if group is not None and group > 0 else None
    return CheckpointFormat(
        f"INT{bits} ({method})", slug, bits=float(bits), group_size=groups, scale_bits=16.0 if groups else None,
        zero_bits=float(bits) if zero and groups else None,
    )  # fmt: skip


def _bitsandbytes(stated: Mapping[str, Any]) -> CheckpointFormat:
    if stated.get("load_in_4bit") is not True:
        return CheckpointFormat("INT8 (bitsandbytes)", "bnb-int8")
    kind = str(stated.get("bnb_4bit_quant_type") or "fp4").upper()[:8]
    # A 32-bit scale for 64 weights; quantized itself to 8 bits and a 32-bit one for 256 of them.
    scale = 8.125 if stated.get("bnb_4bit_use_double_quant") is True else 32.0
    return CheckpointFormat(f"{kind} (bitsandbytes)", "bnb-nf4", bits=4.0, group_size=64, scale_bits=scale)


def _exllama(stated: Mapping[str, Any], method: str) -> CheckpointFormat:
    bits = stated.get("bits")
    if bits not in _EXL_BITS[method]:
        return CheckpointFormat(method.upper(), None)
    return CheckpointFormat(f"{method.upper()} {bits:g} bpw", f"{method}-{bits:g}bpw".replace(".", "-"))


def _mixed(method: str, widths: Mapping[str, float]) -> CheckpointFormat:
    """Parts in formats of their own; engines run it as the narrowest of them."""
    quantized = sorted({width for width in widths.values() if width < SIXTEEN_BITS})
    if not quantized:
        return CheckpointFormat(f"mixed ({method})", None)
    slug = _SLUG_OF_WIDTH.get(quantized[0]) or ("gptq-int4" if quantized[0] < 5 else "gptq-int8")
    shown = " + ".join(f"{width:g}" for width in quantized)
    return CheckpointFormat(f"mixed {shown}-bit ({method})", slug, widths=tuple(sorted(widths.items())))


def _mlx(stated: Mapping[str, Any], bits: int, group: int | None) -> CheckpointFormat:
    mode = str(stated.get("mode") or "affine").lower()
    if mode in ("mxfp4", "nvfp4", "mxfp8"):
        return CheckpointFormat(f"MLX {mode.upper()}", f"mlx-{mode}")
    group = group if group is not None and group > 0 else 64
    widths = widths_of_mlx(stated, bits + 32.0 / group)
    return CheckpointFormat(
        f"MLX mixed, {bits}-bit and others" if widths else f"MLX {bits}-bit",
        f"mlx-{bits}bit" if bits in _MLX_BITS else None,
        bits=float(bits), group_size=group, scale_bits=16.0, zero_bits=16.0, widths=tuple(sorted(widths.items())),
    )  # fmt: skip


def _of_groups(stated: Mapping[str, Any], method: str) -> CheckpointFormat:
    """Bits and number type of the weights; groups of different ones are mixed."""
    groups = stated.get("config_groups")
    parts = [part for part in groups.values() if isinstance(part, Mapping)] if isinstance(groups, Mapping) else []
    weights = [part["weights"] for part in parts if isinstance(part.get("weights"), Mapping)]
    kinds = {
        (_number(part, "num_bits"), str(part.get("type") or "int"), _number(part, "group_size")) for part in weights
    }
    if len(kinds) != 1:
        return _mixed(method, widths_of_groups(parts))
    bits, number, group = kinds.pop()
    if number == "float":
        label, slug = {
            8: ("FP8", "fp8"), 4: ("NVFP4", "nvfp4") if group in (16, None) else ("MXFP4", "mxfp4-checkpoint"),
        }.get(bits or 0, (f"FP{bits}", None))  # fmt: skip
        return CheckpointFormat(label, slug)
    if bits == 8 and any(isinstance(part.get("input_activations"), Mapping) for part in parts):
        return CheckpointFormat(f"W8A8 ({method})", "int8-w8a8")
    return _integers(method, bits or 4, group, zero=weights[0].get("symmetric") is False)


def _number(stated: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = stated.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 65_536:
            return value
    return None
