"""The format of a checkpoint's weights, from ``quantization_config`` or from the type of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from db.imports.hub.class_defaults import TEXT_SECTIONS

_PLAIN = {"bfloat16": "BF16", "float16": "FP16", "half": "FP16", "float32": "F32"}
#: One module of each part, as the usual names and those of wrapped models write it: ignore lists are matched with them.
_MODULES = {
    "attention": ("self_attn.q_proj", "self_attn.o_proj", "self_attn", "self_attn.kv_b_proj", "linear_attn.out_proj"),
    "dense": ("mlp.up_proj", "mlp.gate_proj", "mlp", "shared_experts.up_proj"),
    "experts": ("mlp.experts.0.up_proj", "mlp.experts", "block_sparse_moe.experts.0.w1"),
}
#: A layer in the middle: recipes often leave the first and the last ones alone.
_PREFIXES = ("model.layers.11.", "model.language_model.layers.11.", "language_model.model.layers.11.")
#: Entries of an ignore list that are looked at; the largest published lists have some ten thousand.
_MAX_ENTRIES = 200_000


@dataclass(frozen=True, slots=True)
class CheckpointFormat:
    """How a checkpoint stores its weights.

    ``label`` as a catalog entry writes it; ``quant`` is the slug of the catalog's quantization that engines run it as,
    None where the catalog has none. ``bits``, ``group_size``, ``scale_bits`` and ``zero_bits`` are the file's own, None
    where they are those of that quantization; ``kept_parts`` stay in 16 bits.
    """

    label: str
    quant: str | None
    is_quantized: bool = True
    bits: float | None = None
    group_size: int | None = None
    scale_bits: float | None = None
    zero_bits: float | None = None
    kept_parts: frozenset[str] = frozenset()
    expert_bits: float | None = None


def checkpoint_format(config: Mapping[str, Any], values: Mapping[str, Any]) -> CheckpointFormat:
    """The format that the checkpoint of ``config`` has. ``values`` are those of its language model."""
    stated = _stated(config)
    if stated is None:
        kind = values.get("dtype") or values.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")
        label = _PLAIN.get(str(kind).removeprefix("torch."), "BF16")
        return CheckpointFormat(label, None if label == "F32" else "bf16-safetensors", is_quantized=False)
    found = _of_method(stated)
    if found.label == "FP8" and "fp4" in str(config.get("expert_dtype") or values.get("expert_dtype")).lower():
        # Experts in MXFP4: 4 bits and an 8-bit scale for each 32 weights.
        return replace(found, label="FP8 + FP4 experts", expert_bits=4.25)
    return replace(found, kept_parts=_kept(stated))


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
    if "mixed" in algorithm:
        return CheckpointFormat(f"mixed ({method or algorithm})", None)
    if "nvfp4" in algorithm or method == "nvfp4":
        return CheckpointFormat("NVFP4", "nvfp4")
    if method in ("mxfp4", "gpt-oss-mxfp4") or "mxfp4" in algorithm:
        return CheckpointFormat("MXFP4 (experts)", "mxfp4")
    if method in ("fp8", "fbgemm-fp8") or algorithm in ("fp8", "float-quantized", "fp8_pb_wo"):
        return CheckpointFormat("FP8", "fp8")
    if method == "bitsandbytes":
        kind = "NF4" if stated.get("load_in_4bit") is True else "INT8"
        return CheckpointFormat(f"{kind} (bitsandbytes)", None)
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


def _mlx(stated: Mapping[str, Any], bits: int, group: int | None) -> CheckpointFormat:
    own = [part for part in stated.values() if isinstance(part, Mapping) and part.get("bits") not in (None, bits)]
    if own:
        return CheckpointFormat(f"MLX mixed, {bits}-bit and others", None)
    slug = {4: "mlx-4bit", 6: "mlx-6bit", 8: "mlx-8bit"}.get(bits)
    if slug is None or group is None:
        return CheckpointFormat(f"MLX {bits}-bit", slug)
    return CheckpointFormat(
        f"MLX {bits}-bit", slug, bits=float(bits), group_size=group, scale_bits=16.0, zero_bits=16.0
    )


def _of_groups(stated: Mapping[str, Any], method: str) -> CheckpointFormat:
    """Bits and number type of the weights; groups of different ones are mixed."""
    groups = stated.get("config_groups")
    parts = [part for part in groups.values() if isinstance(part, Mapping)] if isinstance(groups, Mapping) else []
    weights = [part["weights"] for part in parts if isinstance(part.get("weights"), Mapping)]
    kinds = {
        (_number(part, "num_bits"), str(part.get("type") or "int"), _number(part, "group_size")) for part in weights
    }
    if len(kinds) != 1:
        return CheckpointFormat(f"mixed ({method})", None)
    bits, number, group = kinds.pop()
    if number == "float":
        kind = {8: "FP8", 4: "NVFP4" if group in (16, None) else "MXFP4"}.get(bits or 0)
        return CheckpointFormat(kind or f"FP{bits}", kind.lower() if kind else None)
    found = _integers(method, bits or 4, group, zero=weights[0].get("symmetric") is False)
    if bits == 8 and any(isinstance(part.get("input_activations"), Mapping) for part in parts):
        return replace(found, label=f"W8A8 ({method})")
    return found


def _kept(stated: Mapping[str, Any]) -> frozenset[str]:
    """Parts that the ignore list leaves in 16 bits in a layer in the middle."""
    listed: list[str] = []
    for key in ("ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules", "llm_int8_skip_modules"):
        value = stated.get(key)
        if isinstance(value, list):
            listed += [entry for entry in value[:_MAX_ENTRIES] if isinstance(entry, str) and len(entry) < 400]
    exact = set(listed)
    patterns = [_pattern(entry) for entry in listed if "*" in entry or entry.startswith("re:")][:2_000]
    kept = frozenset(part for part, modules in _MODULES.items() if _is_ignored(modules, exact, patterns))
    # Something is quantized: where even experts seem left alone, they lie outside of the dense part (Gemma 4).
    return kept - {"experts"} if kept == _MODULES.keys() else kept


def _is_ignored(modules: Iterable[str], exact: set[str], patterns: list[re.Pattern[str]]) -> bool:
    names = [prefix + module for prefix in _PREFIXES for module in modules]
    return any(name in exact or any(pattern.fullmatch(name) for pattern in patterns) for name in names)


def _pattern(entry: str) -> re.Pattern[str]:
    """An entry with wildcards as an expression. Expressions are taken apart: only ``.*``, dots and choices of words."""
    text = entry.removeprefix("re:").removesuffix("$").removeprefix("^")
    if not entry.startswith("re:"):
        return re.compile(".*".join(re.escape(piece) for piece in text.split("*")))
    pieces = [re.escape(piece.replace("\\.", ".")) for piece in re.split(r"\.\*|\\d\+|\*", text)]
    spelled = ".*".join(pieces)
    spelled = re.sub(r"\\\(([\w\\|]+)\\\)", lambda found: "(" + found.group(1).replace("\\|", "|") + ")", spelled)
    return re.compile(spelled)


def _number(stated: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = stated.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= 65_536:
            return value
    return None
