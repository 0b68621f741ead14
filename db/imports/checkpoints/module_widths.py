"""Bits of the parts of a checkpoint that its configuration sets apart: ignore lists, groups with targets, single modules."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

SIXTEEN_BITS = 16.0
#: One module of each part, as the usual names write it: lists are matched with them.
_MODULES = {
    "attention": ("self_attn.q_proj", "self_attn.o_proj", "self_attn", "self_attn.kv_b_proj", "linear_attn.out_proj"),
    "dense": ("mlp.up_proj", "mlp.gate_proj", "mlp", "shared_experts.up_proj"),
    "experts": ("mlp.experts.0.up_proj", "mlp.experts", "block_sparse_moe.experts.0.w1"),
}
#: The matrices of a part that are alike in size: a rule may name some of them.
_ALIKE = {
    "dense": ("mlp.up_proj", "mlp.gate_proj", "mlp.down_proj"),
    "experts": ("mlp.experts.0.up_proj", "mlp.experts.0.gate_proj", "mlp.experts.0.down_proj"),
}
#: A layer in the middle: recipes often leave the first and the last ones alone.
_LAYER = "layers.11."
_PREFIXES = ("model.layers.11.", "model.language_model.layers.11.", "language_model.model.layers.11.")
#: Entries of a list that are looked at; the largest published lists have some ten thousand.
_MAX_ENTRIES = 200_000
#: Rules by name that are looked at: a rule for each module of a large model would be some ten thousand.
_MAX_RULES = 20_000
_IGNORED = (
    "ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules", "exclude", "llm_int8_skip_modules",
    "skip_modules",
)  # fmt: skip
#: Bits of a weight with its scales by the algorithm that ModelOpt names.
_ALGORITHMS = {
    "FP8": 8.0, "FP8_PB_WO": 8.0, "FP8_PER_CHANNEL_PER_TOKEN": 8.0, "INT8_SQ": 8.0, "MXFP8": 8.25, "NVFP4": 4.5,
    "NVFP4_AWQ": 4.5, "W4A16_NVFP4": 4.5, "MXFP4": 4.25, "W4A16_AWQ": 4.125, "W4A8_AWQ": 4.125,
}  # fmt: skip
#: Names of the parts of an MLX model, and the modules of each that a layer has.
_MLX_PARTS = (
    ("embedding", re.compile(r"(?:^|\.)embed_tokens$"), 0),
    ("output", re.compile(r"(?:^|\.)lm_head$"), 0),
    ("experts", re.compile(r"\.(?:switch_mlp|experts)\."), 3),
    ("attention", re.compile(r"\.(?:self_attn|linear_attn|attention)\."), 4),
    ("dense", re.compile(r"\.(?:mlp|feed_forward|shared_experts?)\."), 3),
)  # fmt: skip
_LAYER_NUMBER = re.compile(r"\.layers\.(\d{1,4})\.")


def kept_parts(stated: Mapping[str, Any]) -> frozenset[str]:
    """Parts that the ignore list leaves in 16 bits in a layer in the middle."""
    listed: list[str] = []
    for key in _IGNORED:
        value = stated.get(key)
        if isinstance(value, list):
            listed += [entry for entry in value[:_MAX_ENTRIES] if isinstance(entry, str) and len(entry) < 400]
    listed += [f"re:{entry[2:]}.*" for entry in _rules(stated, "dynamic") if entry.startswith("-:")]
    kept = frozenset(part for part, modules in _MODULES.items() if _is_listed(modules, listed))
    # Something is quantized: where even experts seem left alone, they lie outside of the dense part (Gemma 4).
    return kept - {"experts"} if kept == _MODULES.keys() else kept


def widths_of_modules(layers: Mapping[str, Any]) -> dict[str, float]:
    """Bits by part from ModelOpt's ``quantized_layers``; a part that it does not list stays in 16 bits."""
    algorithms = {
        name.split(_LAYER, 1)[1]: str(layer.get("quant_algo") or "").upper()
        for name, layer in list(layers.items())[:_MAX_ENTRIES]
        if isinstance(name, str) and _LAYER in name and isinstance(layer, Mapping)
    }
    widths = {}
    for part, modules in _MODULES.items():
        named = [algorithms[module] for module in modules if module in algorithms]
        named += [algorithm for name, algorithm in algorithms.items() if name.startswith(f"{modules[2]}.")][:1]
        widths[part] = _ALGORITHMS.get(named[0], SIXTEEN_BITS) if named else SIXTEEN_BITS
    return widths


def widths_of_groups(groups: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Bits by part from groups of compressed-tensors: each part takes those of the first group whose targets name it.

    Groups whose targets name a class of modules hold what no other group does.
    """
    widths: dict[str, float] = {}
    rest = SIXTEEN_BITS
    for group in groups:
        weights = group.get("weights")
        targets = [target for target in group.get("targets") or () if isinstance(target, str) and len(target) < 400]
        if not isinstance(weights, Mapping):
            continue
        bits = width_of_weights(weights)
        if "Linear" in targets:
            rest = bits
        for part, modules in _MODULES.items():
            if part not in widths and _is_listed(modules, targets):
                widths[part] = bits
    return {part: widths.get(part, rest) for part in _MODULES}


def widths_of_overrides(stated: Mapping[str, Any]) -> dict[str, float]:
    """Bits by part of modules that a file sets apart by name: ``dynamic`` of GPTQ, ``extra_config`` of AutoRound and
    ``layer_quant_config`` of Quark. The first rule that names a part counts, or each of its matrices that are alike."""
    rules = [(f"re:{name.removeprefix('+:')}.*", module) for name, module in _rules(stated, "dynamic").items()]
    rules += [
        (f"re:{name}" if set(name) & set("*\\^$") else name, module)
        for name, module in _rules(stated, "extra_config").items()
    ]
    rules += [(name, _quark_weights(module)) for name, module in _rules(stated, "layer_quant_config").items()]
    base = stated.get("group_size")
    rest = _with_scale(stated.get("bits"), base)
    widths, alike = dict[str, float](), dict[str, float]()
    for pattern, module in rules:
        width = _with_scale(module.get("bits"), module.get("group_size", base))
        if width is None:
            continue
        for part, modules in _MODULES.items():
            matrices = _ALIKE.get(part, ())
            if part in widths and alike.keys() >= set(matrices):
                continue
            if _is_listed((*modules, *matrices), [pattern]):
                widths.setdefault(part, width)
                own = {matrix: width for matrix in matrices if _is_listed([matrix], [pattern])}
                alike = own | alike
    for part, matrices in _ALIKE.items():
        if rest is not None and not alike.keys().isdisjoint(matrices):
            widths[part] = sum(alike.get(matrix, rest) for matrix in matrices) / len(matrices)
    return widths


def _with_scale(bits: Any, group: Any) -> float | None:
    """Bits of a weight with its share of a scale of 16 bits; None where no bits are stated."""
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= SIXTEEN_BITS:
        return None
    return bits + 16.0 / group if bits < SIXTEEN_BITS and isinstance(group, int) and group > 0 else float(bits)


def _rules(stated: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    listed = stated.get(key)
    named = list(listed.items())[:_MAX_RULES] if isinstance(listed, Mapping) else []
    return {
        name: rule for name, rule in named if isinstance(name, str) and len(name) < 400 and isinstance(rule, Mapping)
    }


def _quark_weights(module: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of a rule of Quark as bits and group; a group of 32 has a scale of 8 bits."""
    weights = module.get("weight")
    weights = weights[-1] if isinstance(weights, list) and weights else weights
    named = (
        re.match(r"(?:u?int|fp|mx_fp)(\d{1,2})", str(weights.get("dtype"))) if isinstance(weights, Mapping) else None
    )
    if named is None or not isinstance(weights, Mapping):
        return {}
    group = weights.get("group_size")
    return {"bits": int(named[1]), "group_size": 2 * group if "fp" in named[0] and isinstance(group, int) else group}


def width_of_weights(weights: Mapping[str, Any]) -> float:
    """Bits of a weight with its scale, from the arguments of a group of compressed-tensors or ModelOpt."""
    bits, group = weights.get("num_bits"), weights.get("group_size")
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= 16:
        return SIXTEEN_BITS
    if not isinstance(group, int) or group <= 0:
        return bits + (0.5 if bits == 4 and weights.get("type") == "float" else 0.0)
    scale = 8.0 if weights.get("type") == "float" else 16.0
    return bits + scale / group


def widths_of_mlx(stated: Mapping[str, Any], default: float) -> dict[str, float]:
    """Bits by part of an MLX model with modules of their own: the average over the layers."""
    own: dict[str, list[float]] = defaultdict(list)
    last_layer = 0
    for name, module in list(stated.items())[:_MAX_ENTRIES]:
        width = _width_of_mlx(module)
        part = next((part for part, pattern, _ in _MLX_PARTS if isinstance(name, str) and pattern.search(name)), None)
        if width is not None and part is not None:
            own[part].append(width)
            layer = _LAYER_NUMBER.search(name)
            last_layer = max(last_layer, int(layer.group(1)) if layer else 0)
    widths = {}
    for part, _, modules in _MLX_PARTS:
        if own[part]:
            count = max(modules * (last_layer + 1), len(own[part]))
            widths[part] = (sum(own[part]) + default * (count - len(own[part]))) / count
    return widths


def _width_of_mlx(module: Any) -> float | None:
    if module is False:
        return SIXTEEN_BITS
    if not isinstance(module, Mapping) or not isinstance(module.get("bits"), int):
        return None
    group = module.get("group_size")
    return float(module["bits"]) + 32.0 / (group if isinstance(group, int) and group > 0 else 64)


def _is_listed(modules: Iterable[str], listed: Iterable[str]) -> bool:
    """Whether an entry names one of ``modules``: as a whole, by a run of its names, or by wildcards."""
    exact = set(listed)
    patterns = [_pattern(entry) for entry in exact if "*" in entry or entry.startswith("re:")][:2_000]
    names = [prefix + module for prefix in _PREFIXES for module in modules]
    return any(
        not exact.isdisjoint(_runs(name)) or any(pattern.fullmatch(name) for pattern in patterns) for name in names
    )


@cache
def _runs(name: str) -> frozenset[str]:
    pieces = name.split(".")
    return frozenset(
        ".".join(pieces[start:end]) for start in range(len(pieces)) for end in range(start + 1, len(pieces) + 1)
    )


def _pattern(entry: str) -> re.Pattern[str]:
    """An entry with wildcards as an expression. Expressions are taken apart: only ``.*``, dots and choices of words."""
    text = entry.removeprefix("re:").removesuffix("$").removeprefix("^")
    if not entry.startswith("re:"):
        return re.compile(".*".join(re.escape(piece) for piece in text.split("*")))
    pieces = [re.escape(piece.replace("\\.", ".")) for piece in re.split(r"\.\*|\\d\+|\*", text)]
    spelled = ".*".join(pieces)
    spelled = re.sub(r"\\\(([\w\\|]+)\\\)", lambda match: "(" + match.group(1).replace("\\|", "|") + ")", spelled)
    return re.compile(spelled)
