"""The format of a checkpoint's weights, from ``quantization_config`` or from the type of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from db.imports.checkpoints.module_widths import (
    SIXTEEN_BITS,
    kept_parts,
    widths_of_groups,
    widths_of_mlx,
    widths_of_modules,
    widths_of_overrides,
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


#: Methods that name a kernel or a tool for weights in the format of another.
_SAME_METHOD = {
    "awq-marlin": "awq", "cpu-awq": "awq", "finegrained-fp8": "fp8", "gptq-marlin": "gptq", "inc": "gptq", "marlin": "gptq",
    "metal": "", "mlx": "", "modelopt-fp4": "nvfp4", "modelopt-fp8": "fp8", "moe-wna16": "gptq", "petit-nvfp4": "nvfp4",
    "ptpc-fp8": "fp8", "qqq": "gptq", "rtn": "gptq", "w8a8-fp8": "fp8",
}  # fmt: skip


#: Keys that only one method writes, where the method itself is not named.
_OWN_KEYS = {
    "gptq": frozenset({"checkpoint_format", "desc_act"}),
    "awq": frozenset({"q_group_size", "w_bit", "zero_point"}),
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
    of_experts = next((part["expert_dtype"] for part in (stated, config, values) if part.get("expert_dtype")), None)
    if checkpoint.label == "FP8" and "fp4" in str(of_experts).lower():
        return replace(checkpoint, label="FP8 + FP4 experts", quant="fp8-fp4-experts")
    if checkpoint.quant is None:
        return checkpoint
    kept = dict.fromkeys(kept_parts(stated), SIXTEEN_BITS)
    own = {**dict(checkpoint.widths), **widths_of_overrides(stated), **kept}
    return replace(checkpoint, widths=tuple(sorted(own.items())))


def _stated(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """``quantization_config``, also of an inner section; MLX writes ``quantization``."""
    for section in (config, *(config.get(key) for key in TEXT_SECTIONS)):
        for key in ("quantization_config", "compression_config", "quantization"):
            stated = section.get(key) if isinstance(section, Mapping) else None
            if isinstance(stated, Mapping) and stated:
                nested = stated.get("quantization")
                return {**nested, **stated} if isinstance(nested, Mapping) else stated
    return None


def _of_method(stated: Mapping[str, Any]) -> CheckpointFormat:
    method = str(stated.get("quant_method") or "").lower().replace("_", "-")[:32]
    method = _SAME_METHOD.get(method, method)
    if not method:
        method = next((name for name, keys in _OWN_KEYS.items() if keys & stated.keys()), "")
    algorithm = str(stated.get("quant_algo") or stated.get("format") or "").lower()[:32]
    bits = _number(stated, "bits", "w_bit")
    group = _number(stated, "group_size", "q_group_size")
    layers = stated.get("quantized_layers")
    if isinstance(layers, Mapping) and layers:
        return _mixed(method or algorithm, widths_of_modules(layers))
    if method in ("awq", "gptq") and bits is None and ({"bits", "w_bit"} & stated.keys()):
        return CheckpointFormat(method.upper(), None)
    if "nvfp4" in algorithm or method == "nvfp4":
        return CheckpointFormat("NVFP4", "nvfp4")
    if method in ("mxfp4", "gpt-oss-mxfp4"):
        return CheckpointFormat("MXFP4 (experts)", "mxfp4-checkpoint")
    if "mxfp4" in algorithm and method == "modelopt":
        return MXFP4
    if "mxfp8" in (method, algorithm):
        return CheckpointFormat("MXFP8", "fp8", bits=8.0, group_size=32, scale_bits=8.0)
    if method in ("fp8", "fbgemm-fp8") or algorithm == "float-quantized" or algorithm.startswith("fp8"):
        return CheckpointFormat("FP8", "fp8")
    if method in _EXL_BITS:
        return _exllama(stated, method)
    if method == "bitsandbytes" or (not method and (stated.get("load_in_8bit") or stated.get("load_in_4bit")) is True):
        return _bitsandbytes(stated)
    if algorithm in ("int8_sq", "w8a8_sq_per_channel"):
        return CheckpointFormat(f"W8A8 ({method})", "int8-w8a8")
    if algorithm in ("w4a16", "w4a16_awq", "w4a8_awq"):
        return _integers(method, 4, group or 128, zero=False)
    if method == "awq":
        return _integers("awq", bits or 4, group or 128, zero=stated.get("zero_point") is not False)
    if str(stated.get("data_type")).startswith(("mx_fp", "nv_fp")):
        return _of_floats(bits, group)
    if method in ("gptq", "auto-round", "autoround", "intel/auto-round"):
        return _integers(method, bits or 4, group, zero=stated.get("sym") is False)
    if stated.get("config_groups") is not None or method in ("compressed-tensors", "modelopt"):
        return _of_groups(stated, method or "compressed-tensors")
    if not method and bits is not None:
        return _mlx(stated, bits, group)
    if (nested := _of_tools(stated, method)) is not None:
        return nested
    if method in ("w8a8-int8", "eetq"):
        return CheckpointFormat(f"W8A8 ({method})" if method == "w8a8-int8" else "INT8 (eetq)", "int8-w8a8")
    return CheckpointFormat((method or algorithm or "quantized").upper(), None)


def _integers(method: str, bits: int, group: int | None, *, zero: bool) -> CheckpointFormat:
    slug = {("awq", 4): "awq-int4"}.get((method, bits)) or {4: "gptq-int4", 8: "gptq-int8"}.get(bits)
    groups = group if group is not None and group > 0 else None
    return CheckpointFormat(
        f"INT{bits} ({method})", slug, bits=float(bits), group_size=groups, scale_bits=16.0 if groups else None,
        zero_bits=float(bits) if zero and groups else None,
    )  # fmt: skip


def _bitsandbytes(stated: Mapping[str, Any]) -> CheckpointFormat:
    if True not in (stated.get("load_in_4bit"), stated.get("_load_in_4bit")):
        return CheckpointFormat("INT8 (bitsandbytes)", "bnb-int8")
    kind = str(stated.get("bnb_4bit_quant_type") or "fp4").upper()[:8]
    # A 32-bit scale for 64 weights; quantized itself to 8 bits and a 32-bit one for 256 of them.
    scale = 8.125 if stated.get("bnb_4bit_use_double_quant") is True else 32.0
    return CheckpointFormat(f"{kind} (bitsandbytes)", "bnb-nf4", bits=4.0, group_size=64, scale_bits=scale)


def _exllama(stated: Mapping[str, Any], method: str) -> CheckpointFormat:
    """The catalog's nearest bits; those between them are the file's own, and so are those of the output head."""
    bits, of_head = stated.get("bits"), stated.get("head_bits")
    if not _is_number(bits, 1, 8) or not (of_head is None or _is_number(of_head, 1, 16)):
        return CheckpointFormat(method.upper(), None)
    nearest = min(_EXL_BITS[method], key=lambda known: abs(known - bits))
    slug = f"{method}-{nearest:g}bpw".replace(".", "-")
    own = None if nearest == bits else float(bits)
    widths = () if of_head is None else (("output", float(of_head)),)
    return CheckpointFormat(f"{method.upper()} {bits:g} bpw", slug, bits=own, widths=widths)


def _is_number(value: Any, low: float, high: float) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _mixed(method: str, widths: Mapping[str, float]) -> CheckpointFormat:
    """Parts in formats of their own; engines run it as the narrowest of them."""
    quantized = sorted({width for width in widths.values() if width < SIXTEEN_BITS})
    if not quantized:
        return CheckpointFormat(f"mixed ({method})", None)
    slug = _SLUG_OF_WIDTH.get(quantized[0]) or ("gptq-int4" if quantized[0] < 5 else "gptq-int8")
    widths_text = " + ".join(f"{width:g}" for width in quantized)
    return CheckpointFormat(f"mixed {widths_text}-bit ({method})", slug, widths=tuple(sorted(widths.items())))


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
    targets = {str(target) for part in parts for target in _listed(part.get("targets"))}
    # Targets by name leave every other part in 16 bits.
    widths = () if not targets or "Linear" in targets else tuple(widths_of_groups(parts).items())
    left = tuple((part, width) for part, width in widths if width == SIXTEEN_BITS)
    return (
        replace(_of_kind(bits, number, group, parts, method), widths=left)
        if left
        else _of_kind(bits, number, group, parts, method)
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _of_kind(bits: int | None, number: str, group: int | None, parts: list[Any], method: str) -> CheckpointFormat:
    """A format of one width and number type throughout."""
    if number == "float":
        return _of_floats(bits, group)
    if bits == 8 and any(isinstance(part.get("input_activations"), Mapping) for part in parts):
        return CheckpointFormat(f"W8A8 ({method})", "int8-w8a8")
    return _integers(method, bits or 4, group, zero=parts[0]["weights"].get("symmetric") is False)


#: Every matrix in MXFP4; the catalog's own quantization has experts alone in it.
MXFP4 = CheckpointFormat("MXFP4", "mxfp4-checkpoint", widths=(("attention", 4.25), ("dense", 4.25)))


def _of_floats(bits: int | None, group: int | None) -> CheckpointFormat:
    if bits == 8:
        return CheckpointFormat("FP8", "fp8")
    if bits == 4:
        return CheckpointFormat("NVFP4", "nvfp4") if group in (16, None) else MXFP4
    return CheckpointFormat(f"FP{bits}", None)


def _of_tools(stated: Mapping[str, Any], method: str) -> CheckpointFormat | None:
    """Formats of HQQ, TorchAO, Quark, Quanto and FP-Quant, which nest what they say; None for another tool."""
    if method == "hqq":
        weights = _within(stated, "quant_config", "weight_quant_params")
        bits, group = _number(weights, "nbits"), _number(weights, "group_size")
        return _integers(method, bits, group, zero=True) if bits else None
    if method == "torchao":
        return _of_torchao(stated)
    if method == "quark":
        kind = _within(stated, "global_quant_config").get("weight")
        # Of several steps, the last is how the weights are stored (INT4 of what was FP8).
        kind = kind[-1] if isinstance(kind, list) and kind else kind
        return _of_named_type(kind, method) if isinstance(kind, Mapping) else None
    if method == "quanto" and (named := re.fullmatch(r"q?(int|float)([248])", str(stated.get("weights")))):
        return (
            _integers(method, int(named[2]), None, zero=False) if named[1] == "int" else _of_floats(int(named[2]), None)
        )
    if method == "fp-quant":
        return MXFP4 if stated.get("forward_dtype") == "mxfp4" else CheckpointFormat("NVFP4", "nvfp4")
    return None


def _within(stated: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        inner = stated.get(key)
        stated = inner if isinstance(inner, Mapping) else {}
    return stated


def _of_torchao(stated: Mapping[str, Any]) -> CheckpointFormat | None:
    """TorchAO names its scheme: ``int4_weight_only`` with arguments, or a configuration class with its fields.

    A class that sorts modules by name has one class for the rest of them.
    """
    named = _within(stated, "quant_type", "default")
    fields = _within(named, "_data")
    rest = _within(fields, "module_fqn_to_config", "_default") or _within(fields, "fqn_to_config", "_default")
    named, fields = (rest, _within(rest, "_data")) if rest else (named, fields)
    fields = fields or _within(stated, "quant_type_kwargs")
    scheme = str(named.get("_type") or stated.get("quant_type")).lower().replace("_", "")
    grain = _within(fields, "granularity", "_data") or _within(fields, "weight_granularity", "_data")
    group = _number(fields, "group_size") or _number(grain, "group_size")
    kind = str(_within(fields, "weight_dtype").get("_data") or _within(fields, "dtype").get("_data"))
    if "nvfp4" in scheme:
        return CheckpointFormat("NVFP4", "nvfp4")
    if scheme.startswith("mx"):
        return MXFP4 if "float4" in kind else None
    if number := re.fullmatch(r"u?int(\d)", kind):
        return _integers("torchao", int(number[1]), group, zero=True)
    if "int4weight" in scheme or scheme.startswith("uint4"):
        return _integers("torchao", 4, group or 128, zero=True)
    if scheme.startswith("float8"):
        return CheckpointFormat("FP8", "fp8")
    if "int8weight" in scheme:
        return CheckpointFormat("INT8 (torchao)", "int8-w8a8")
    return None


def _of_named_type(weights: Mapping[str, Any], method: str) -> CheckpointFormat | None:
    """Quark's type of weights: ``fp8_e4m3``, ``fp4``, ``int8``, ``uint4``."""
    named = re.match(r"(u?int|fp|mx_fp)([248])", str(weights.get("dtype")))
    group = _number(weights, "group_size")
    if named is None:
        return None
    bits = int(named[2])
    return (
        _integers(method, bits, group, zero=named[1] == "uint") if "int" in named[1] else _of_floats(bits, group or 32)
    )


def _number(stated: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = stated.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 65_536:
            return value
    return None
