"""One letter a layer for its token mixer and for its feed-forward part, from the keys that list or space them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.hub.class_defaults import ConfigValues
from db.imports.hub.families import Family
from db.imports.hub.own_parts import order_of_stacks
from db.imports.hub.unread_keys import is_harmless

MAX_LAYERS = 1_000
_WIDTH, _HEADS = 4_194_304, 65_536
_LETTERS = {
    "full_attention": "F",
    "attention": "F",
    "sliding_attention": "S",
    "chunked_attention": "C",
    "reference_sliding_attention": "F",
    "linear_attention": "L",
    "mamba": "M",
    "mamba2": "M",
    "conv": "V",
    "hybrid": "P",
    "hybrid_sliding": "S",
    "compressed_sparse_attention": "F",
    "heavily_compressed_attention": "F",
    "deepseek_sparse_attention": "F",
    "indexed_attention": "F",
    "minimax_m3_sparse": "F",
    "recurrent": "L",
    "minicpm4": "F",
    "lightning": "L",
    "lightning-attn": "L",
    "lightning_attn": "L",
}
#: A block of Nemotron-H has one part: letters of ``hybrid_override_pattern`` and words of ``layers_block_type``.
_BLOCKS = {
    "M": "MN", "*": "FN", "-": "ND", "E": "NE", "mamba": "MN", "attention": "FN", "mlp": "ND", "moe": "NE",
    "linear_attention": "MN", "full_attention": "FN", "hybrid": "PN",
}  # fmt: skip


def block_count(values: ConfigValues, family: Family) -> int:
    """Layers of the model, counted where only their list is given."""
    blocks = values.get("hybrid_override_pattern")
    if blocks is not None and (values.get("num_hidden_layers") is None or isinstance(blocks, list)):
        count = len(_list(values, "hybrid_override_pattern", None))
        if values.own.get("num_hidden_layers") not in (None, count):
            raise ImportFactsError(f"'num_hidden_layers' must be {count}, as many as are listed", "num_hidden_layers")
        return count
    stack = whole(values, "num_layers_per_stack", 1, MAX_LAYERS)
    count = needed(values, "num_hidden_layers", 1, MAX_LAYERS)
    if stack is not None and count != len(order_of_stacks(values, 2 * stack)):
        raise ImportFactsError(
            "'num_hidden_layers' must be 'num_layers_per_stack' times 'H_cycles' times one more than 'L_cycles'",
            "num_hidden_layers",
        )
    return family.sublayers * (stack or count)


def window_of(values: Mapping[str, Any], name: str) -> int | None:
    """Tokens of a sliding window."""
    if name == "ModernBertDecoderForCausalLM":
        # The class states both sides of a token, of which a decoder sees one; it derives the other key from this one.
        values.get("sliding_window")
        return (whole(values, "local_attention", 0, 1 << 31, 0) or 0) // 2 or None
    window = max(whole(values, "sliding_window", -1, 1 << 31, 0) or 0, 0) or whole(values, "window_size", 1, 1 << 31)
    return 512 if window is None and name == "Dots3NoteForCausalLM" else window


def mixers(values: Mapping[str, Any], family: Family, layers: int, window: int | None) -> str:
    """One letter a layer: as listed, else by the family's rule."""
    values.get("sliding_window_pattern")  # Beside a list it says the same.
    for key, read in _LISTS.items():
        if values.get(key) is not None:
            pattern = read(values, layers)
            if pattern is not None:
                # Newer releases of the library call a state space linear attention, too.
                pattern = pattern.replace("L", "M") if family.state_space else pattern.replace("P", "F")
                return _with_window(pattern, window, key)
    if family.layers is not None:
        first, _, repeated = family.layers.rpartition("|")
        return (first + repeated * layers)[:layers]
    if family.state_space:
        if family.layers is None and family.norms == 1:
            # Blocks of one part: without their list nobody knows which.
            raise ImportFactsError(
                "'hybrid_override_pattern' is missing; it lists the blocks", "hybrid_override_pattern"
            )
        return "M" * layers
    if family.linear is not None:
        every = whole(values, ("full_attention_interval", "layer_group_size"), 1, MAX_LAYERS, family.linear_every) or 1
        return _every(family, every, layers - family.full_rest * (layers % every), "L").ljust(layers, "F")
    if family.chunk_every and values.get("attention_chunk_size") is not None:
        every = whole(values, "no_rope_layer_interval", 1, MAX_LAYERS, family.chunk_every) or family.chunk_every
        return "".join("F" if (index + 1) % every == 0 else "C" for index in range(layers))
    return _windows(values, family, layers, window)


def _with_window(pattern: str, window: int | None, key: str) -> str:
    if "S" in pattern and window is None:
        raise ImportFactsError(f"'sliding_window' is missing, but {key!r} lists sliding layers", "sliding_window")
    return pattern


def _windows(values: Mapping[str, Any], family: Family, layers: int, window: int | None) -> str:
    if window is None or values.get("use_sliding_window") is False:
        return "F" * layers
    if values.get("use_sliding_window") is True and values.get("max_window_layers") is not None:
        first = whole(values, "max_window_layers", 0, MAX_LAYERS, layers) or 0
        return "".join("F" if index < first else "S" for index in range(layers))
    if family.window_every == -1:
        return "S" * layers
    spacing = values.get("sliding_window_pattern")
    if isinstance(spacing, str) and spacing and set(spacing) <= {"L", "G"}:
        return "".join("S" if spacing[index % len(spacing)] == "L" else "F" for index in range(layers))
    spaced = ("sliding_window_pattern", "global_attn_every_n_layers")
    every = whole(values, spaced, 1, MAX_LAYERS, family.window_every) or 0
    if every <= 0:
        return "F" * layers
    dense_every = whole(values, "prefix_dense_sliding_window_pattern", 1, MAX_LAYERS)
    dense = min(whole(values, "first_k_dense_replace", 0, MAX_LAYERS, 0) or 0, layers) if dense_every else 0
    return _every(family, dense_every or 1, dense, "S") + _every(family, every, layers - dense, "S")


def _every(family: Family, every: int, layers: int, others: str) -> str:
    """``F`` for one of ``every`` layers, ``others`` for the rest."""
    last = (layers - 1 if family.counted_back else family.full_at) % every
    full = {layer % max(layers, 1) for layer in family.full_layers}
    return "".join("F" if index % every == last or index in full else others for index in range(layers))


def _list(values: Mapping[str, Any], key: str, layers: int | None) -> list[Any]:
    """A list with one entry a layer; entries beyond the layers are those of prediction heads."""
    listed = values.get(key)
    listed = list(listed) if isinstance(listed, str) else listed
    if not isinstance(listed, list) or (layers is not None and len(listed) < layers) or len(listed) > MAX_LAYERS:
        raise ImportFactsError(f"{key!r} must list one kind for each of the {layers or ''} layers", key)
    return listed if layers is None else listed[:layers]


def _of_types(values: Mapping[str, Any], layers: int, key: str = "layer_types") -> str:
    listed = values[key]
    if not isinstance(listed, list) or len(listed) != layers:
        raise ImportFactsError(f"{key!r} must list one kind for each of the {layers} layers", key)
    letters = [_LETTERS.get(kind) if isinstance(kind, str) else None for kind in listed]
    if None in letters:
        allowed = ", ".join(_LETTERS)
        raise ImportFactsError(f"{key!r} may hold {allowed}; not {listed[letters.index(None)]!r:.60}", key)
    return "".join(letter for letter in letters if letter)


def _repeated(values: Mapping[str, Any], layers: int) -> str:
    """Kinds of the first layers, which the others repeat; those that attend have a window (RecurrentGemma)."""
    kinds = values["block_types"]
    if not isinstance(kinds, list) or not 1 <= len(kinds) <= MAX_LAYERS:
        raise ImportFactsError(f"'block_types' must list 1 to {layers} kinds of layers", "block_types")
    named = {"block_types": [kinds[index % len(kinds)] for index in range(layers)]}
    return _of_types(named, layers, "block_types").replace("F", "S")


def _of_blocks(values: Mapping[str, Any], layers: int) -> str:
    return "".join(pair[0] for pair in _blocks(values, layers))


def _blocks(values: Mapping[str, Any], layers: int) -> list[str]:
    listed = _list(values, "hybrid_override_pattern", layers)
    pairs = [_BLOCKS.get(kind) if isinstance(kind, str) else None for kind in listed]
    if None in pairs:
        raise ImportFactsError(
            f"'hybrid_override_pattern' may hold {', '.join(_BLOCKS)}; not {listed[pairs.index(None)]!r:.60}",
            "hybrid_override_pattern",
        )
    return [pair for pair in pairs if pair]


def _flags(key: str, on: str, off: str) -> Callable[[Mapping[str, Any], int], str]:
    def read(values: Mapping[str, Any], layers: int) -> str:
        listed = _list(values, key, layers)
        if not all(isinstance(flag, int) and flag in (0, 1) for flag in listed):
            raise ImportFactsError(f"{key!r} must hold 0 or 1 for each of the {layers} layers", key)
        return "".join(on if flag else off for flag in listed)

    return read


def _at(key: str, inside: str, outside: str, first: int = 0) -> Callable[[Mapping[str, Any], int], str | None]:
    """Layers whose numbers ``key`` lists, counted from ``first``."""

    def read(values: Mapping[str, Any], layers: int) -> str | None:
        named = values[key]
        if not isinstance(named, list):
            raise ImportFactsError(f"{key!r} must list layers from {first} to {layers - 1 + first}", key)
        if not all(type(number) is int and first <= number < layers + first for number in named):
            raise ImportFactsError(f"{key!r} must list layers from {first} to {layers - 1 + first}", key)
        chosen = set(named)
        return "".join(inside if index + first in chosen else outside for index in range(layers))

    return read


def _of_linear(values: Mapping[str, Any], layers: int) -> str | None:
    linear = values["linear_attn_config"]
    if not isinstance(linear, Mapping):
        return None
    key = "linear_attn_config"
    full = linear.get("full_attn_layers")
    if full is None:
        return None
    others = linear.get("kda_layers")
    first = 0 if isinstance(full, list) and isinstance(others, list) and 0 in (*full, *others) else 1
    try:
        return _at("full_attn_layers", "F", "L", first=first)({"full_attn_layers": full}, layers)
    except ImportFactsError:
        raise ImportFactsError(f"'{key}.full_attn_layers' must list layers from 1 to {layers}", key) from None


def _spaced(values: Mapping[str, Any], layers: int) -> str:
    period = needed(values, "attn_layer_period", 1, MAX_LAYERS)
    offset = whole(values, "attn_layer_offset", 0, MAX_LAYERS, 0)
    return "".join("F" if index % period == offset else "M" for index in range(layers))


def _of_steps(values: Mapping[str, Any], layers: int) -> str:
    """PLaMo 2: one layer of each step attends, in a window but where a list says otherwise."""
    step, full = needed(values, "mamba_step", 2, MAX_LAYERS), values.get("full_attention_idx") or []
    if values.get("mamba_enabled") is False:
        raise ImportFactsError("'mamba_enabled' is not read where it is off", "mamba_enabled")
    kinds = _at("full_attention_idx", "F", "S")({"full_attention_idx": full}, layers) or ""
    attends = {index for index in range(layers) if index % step == step // 2}
    if layers <= step // 2:
        attends = {layers - 1}
    return "".join(kinds[index] if index in attends else "M" for index in range(layers))


def _of_alternation(values: Mapping[str, Any], layers: int) -> str | None:
    """GPT-Neo's ``attention_types``: kinds, and how often they repeat."""
    kinds: list[str] = []
    for part in values["attention_types"] if isinstance(values["attention_types"], list) else ():
        if not (isinstance(part, list) and len(part) == 2 and isinstance(part[0], list) and type(part[1]) is int):
            return None
        kinds += [str(kind) for kind in part[0] * min(max(part[1], 0), MAX_LAYERS)]
    return _of_scopes(kinds, layers)


def _of_scopes(kinds: list[Any], layers: int) -> str:
    if len(kinds) != layers or not all(kind in ("global", "local") for kind in kinds):
        raise ImportFactsError(f"'attention_types' must make {layers} layers, each global or local", "attention_types")
    return "".join("S" if kind == "local" else "F" for kind in kinds)


#: Keys that list the layers, in the order of precedence.
_LISTS: dict[str, Callable[[Mapping[str, Any], int], str | None]] = {
    "hybrid_override_pattern": _of_blocks,
    "layer_types": _of_types,
    "mixer_types": lambda values, layers: _of_types(values, layers, "mixer_types"),
    "block_types": _repeated,
    "hybrid_layer_pattern": _flags("hybrid_layer_pattern", "S", "F"),
    "sliding_window_layout": _flags("sliding_window_layout", "S", "F"),
    "attn_type_list": _flags("attn_type_list", "F", "L"),
    "linear_attn_config": _of_linear,
    "local_layer_ids": _at("local_layer_ids", "S", "F"),
    "full_attn_idxs": _at("full_attn_idxs", "F", "V"),
    "attn_layer_indices": _at("attn_layer_indices", "F", "M"),
    "cross_attention_layers": _at("cross_attention_layers", "X", "F"),
    "no_rope_layers": lambda values, layers: (
        _flags("no_rope_layers", "C", "F")(values, layers)
        if values["no_rope_layers"] and values.get("attention_chunk_size") is not None
        else None
    ),
    "attn_layer_period": _spaced,
    "mamba_step": _of_steps,
    "attention_layers": lambda values, layers: _of_scopes(_list(values, "attention_layers", layers), layers),
    "attention_types": _of_alternation,
}


#: Sizes that ``per_layer_config`` may give a layer of its own -> the facts that they are.
_OF_LAYER = {
    "num_attention_heads": ("n_heads",), "num_key_value_heads": ("n_kv_heads",), "head_dim": ("head_dim_k", "head_dim_v"),
    "intermediate_size": ("intermediate_size",),
}  # fmt: skip
_OF_LATENT = frozenset({"q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"})


def own_layers(values: Mapping[str, Any], facts: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Sizes that the library, from its version 5 on, saves for layers that differ from the rest; None where none do.

    Raises:
        ImportFactsError: a layer differs in something else, or is none of the model's.
    """
    stated, layers = values.get("per_layer_config"), facts["n_layers"]
    if stated is None:
        return None
    own: list[dict[str, Any]] = [dict(layer) for layer in facts["attention"].get("per_layer") or [{}] * layers]
    for number, sizes in stated.items() if isinstance(stated, Mapping) else [("", None)]:
        if not (number.isdecimal() and len(number) < 5 and int(number) < layers and isinstance(sizes, Mapping)):
            raise ImportFactsError(
                f"'per_layer_config' must have sizes for layers from 0 to {layers - 1}", "per_layer_config"
            )
        own[int(number)] |= _of_layer(values, sizes, is_latent="mla" in facts["attention"])
    return own


def _of_layer(values: Mapping[str, Any], sizes: Mapping[str, Any], *, is_latent: bool) -> dict[str, Any]:
    layer, latent = dict[str, Any](), dict[str, Any]()
    for key, value in sizes.items():
        if is_latent and key in _OF_LATENT:
            read = whole if key == "q_lora_rank" else needed
            latent[key] = read(sizes, key, 0 if key == "qk_rope_head_dim" else 1, _WIDTH)
        elif is_latent and key == "head_dim":
            continue  # The sum of both parts of a key.
        elif key in _OF_LAYER:
            layer |= dict.fromkeys(_OF_LAYER[key], needed(sizes, key, 1, _WIDTH))
        elif value != values.get(key) and not is_harmless(key):
            raise ImportFactsError(f"{key[:80]!r} of a layer is not read", "per_layer_config")
    return layer | ({"mla": latent} if latent else {})


def scaled_layers(values: Mapping[str, Any], facts: dict[str, Any]) -> None:
    """Heads and feed-forward widths of OpenELM, which grow from layer to layer (``make_divisible`` of its modelling code)."""
    layers, divisor = facts["n_layers"], whole(values, "ffn_dim_divisor", 1, _WIDTH, 256) or 256
    listed = [values.get(key) for key in ("num_query_heads", "key_heads_of_layers", "ffn_multipliers")]
    if not all(isinstance(entries, list) and len(entries) == layers for entries in listed):
        raise ImportFactsError(
            f"'num_query_heads', 'num_kv_heads' and 'ffn_multipliers' must list one for each of the {layers} layers",
            "num_query_heads",
        )
    facts["attention"]["per_layer"] = [
        {
            "n_heads": needed({"num_query_heads": queries}, "num_query_heads", 1, _HEADS),
            "n_kv_heads": needed({"num_kv_heads": keys}, "num_kv_heads", 1, _HEADS),
            "intermediate_size": _divisible(factor, facts["hidden_size"], divisor),
        }
        for queries, keys, factor in zip(*listed, strict=True)
    ]


def _divisible(factor: Any, hidden: int, divisor: int) -> int:
    """``factor`` times ``hidden``, rounded to a multiple of ``divisor`` and not down by more than a tenth."""
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 64:
        raise ImportFactsError("'ffn_multipliers' must hold numbers from 0 to 64", "ffn_multipliers")
    width = max(divisor, int(factor * hidden + divisor / 2) // divisor * divisor)
    return width + divisor if width < 0.9 * factor * hidden else width


def feed_forwards(values: Mapping[str, Any], family: Family, layers: int, *, has_experts: bool) -> str:
    """One letter a layer: D dense, E experts, N none."""
    if values.get("hybrid_override_pattern") is not None:
        return "".join(pair[1] for pair in _blocks(values, layers))
    if not has_experts:
        return "D" * layers
    if family.sublayers > 1:
        return ("E" + "D" * (family.sublayers - 1)) * (layers // family.sublayers)
    if values.get("mlp_layer_types") is not None:
        listed = _list(values, "mlp_layer_types", layers)
        if not all(kind in ("dense", "sparse", "moe", "hash_moe") for kind in listed if isinstance(kind, str)):
            raise ImportFactsError("'mlp_layer_types' may hold dense, sparse, moe, hash_moe", "mlp_layer_types")
        return "".join("D" if kind == "dense" else "E" for kind in listed)
    for key in ("is_moe_layer", "moe_layer_freq", "moe_layer_layout"):
        if isinstance(values.get(key), list):
            return _flags(key, "E", "D")(values, layers)
    named = values.get("moe_layers_enum") or values.get("moe_layers")
    if isinstance(named, str):
        named = [int(number) for number in re.findall(r"\b[0-9]{1,5}\b", named)]
    if named:
        values.get("interleave_moe_layer_step")  # Beside a list it says the same.
        return _at("moe_layers", "E", "D")({"moe_layers": named}, layers) or ""
    return _by_rule(values, family, layers)


def _by_rule(values: Mapping[str, Any], family: Family, layers: int) -> str:
    only = values.get("mlp_only_layers")
    usual = 0 if isinstance(only, list) else family.dense_layers
    first = whole(values, ("first_k_dense_replace", "dense_mlp_idx"), 0, MAX_LAYERS, usual) or 0
    step = whole(values, ("decoder_sparse_step", "moe_layer_interval", "interleave_moe_layer_step"), 1, MAX_LAYERS, 1)
    start = whole(values, "moe_layer_start_index", 0, MAX_LAYERS, 0) or 0
    end = whole(values, "moe_layer_end_index", -1, MAX_LAYERS, -1)
    last = layers - 1 if end is None or end < 0 else end
    period = whole(values, ("expert_layer_period", "moe_layer_freq"), 1, MAX_LAYERS, 1) or 1
    offset = whole(values, "expert_layer_offset", 0, MAX_LAYERS, 0) or 0
    dense = {number for number in only if isinstance(number, int)} if isinstance(only, list) else set()
    return "".join(
        "E"
        if first <= index and start <= index <= last and index not in dense
        and (index + 1) % (step or 1) == 0 and index % period == offset % period
        else "D"
        for index in range(layers)
    )  # fmt: skip
