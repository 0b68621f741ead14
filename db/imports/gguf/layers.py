"""The kind of each layer of a GGUF file, from the tensors that it has and from lists in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError, whole
from db.imports.gguf.architectures import Architecture
from db.imports.gguf.tensors import Shapes, Tensors

WIDTH, HEADS, LAYERS = 4_194_304, 65_536, 1_000
_QUERY = ("attn_q.weight", "attn_qkv.weight", "attn_q_a.weight")
#: Gates and convolutions that only linear attention has.
_LINEAR = ("ssm_conv1d_q.weight", "ssm_beta.weight", "ssm_ba.weight", "ssm_alpha.weight", "time_mix_key.weight")
#: Parts that only a layer of lightning attention has together (``minimax-01.cpp`` of llama.cpp).
_LIGHTNING = frozenset({"attn_qkv.weight", "attn_gate.weight", "attn_norm_2.weight"})
#: Norms on the width of the model.
_NORMS = frozenset({
    "attn_norm", "attn_norm_2", "post_attention_norm", "ffn_norm", "post_ffw_norm", "pre_ffw_norm_2", "post_ffw_norm_1",
    "post_ffw_norm_2", "attn_output_norm", "layer_output_norm",
    "ffn_norm_exps",
})  # fmt: skip


def mixers(values: Mapping[str, Any], architecture: Architecture, tensors: Tensors) -> str:
    """One letter a layer for its token mixer."""
    windows = _windows(values, architecture, len(tensors.layers))
    return "".join(_mixer(shapes, window) for shapes, window in zip(tensors.layers, windows, strict=True))


def _mixer(shapes: Shapes, window: str) -> str:
    if is_lightning(shapes) or any(part in shapes for part in _LINEAR):
        return "L"
    attends = any(part in shapes for part in _QUERY)
    if "ssm_in.weight" in shapes:
        return "P" if attends else "M"
    if "shortconv.conv.weight" in shapes:
        return "V"
    return window if attends else "N"


def is_lightning(shapes: Shapes) -> bool:
    """Whether a layer has lightning attention, whose second norm is on its own width."""
    return shapes.keys() >= _LIGHTNING


def _windows(values: Mapping[str, Any], architecture: Architecture, layers: int) -> str:
    """F, or the letter of a window, for each layer as if it attended."""
    window = whole(values, "attention.sliding_window", 0, 1 << 31) or None
    letter = "C" if architecture.chunk else "S"
    if window is None and architecture.chunk is None:
        return "F" * layers
    stated = values.get("attention.sliding_window_pattern")
    letters = values.get("layer_pattern")
    if isinstance(letters, str):
        return "".join("S" if kind == "S" else "F" for kind in letters[:layers].ljust(layers))
    if isinstance(stated, list):
        if len(stated) < layers or not all(flag in (0, 1) for flag in stated):
            raise ImportFactsError(
                f"'attention.sliding_window_pattern' must hold 0 or 1 for each of the {layers} layers",
                "attention.sliding_window_pattern",
            )
        return "".join(letter if flag else "F" for flag in stated[:layers])
    every = whole(values, "attention.sliding_window_pattern", 0, LAYERS, architecture.full_every) or 0
    return "".join("F" if every == 0 or (index + 1) % every == 0 else letter for index in range(layers))


def width_of(shapes: Shapes) -> int:
    """Width of a layer's dense feed-forward part; 0 without one."""
    down = shapes.get("ffn_down.weight") or shapes.get("channel_mix_value.weight")
    return down[0] if down else 0


def feed_forwards(tensors: Tensors) -> str:
    """One letter a layer: E experts, D dense, N none."""
    return "".join(
        "E" if "ffn_gate_inp.weight" in shapes else "D" if width_of(shapes) else "N" for shapes in tensors.layers
    )


def norms(tensors: Tensors) -> int | str:
    """Norms of a layer; a digit for each layer where they differ."""
    counts = [
        sum(part.removesuffix(".weight") in _NORMS and not part.endswith(".bias") for part in shapes)
        - is_lightning(shapes)
        for shapes in tensors.layers
    ]
    return counts[0] if len(set(counts)) == 1 else "".join(str(min(count, 9)) for count in counts)


def numbers(values: Mapping[str, Any], name: str, layers: int, default: int, high: int = HEADS) -> list[int]:
    """A value that is one number or lists one a layer, for each layer.

    Raises:
        ImportFactsError: it is none of that.
    """
    value = values.get(name)
    if not isinstance(value, list):
        return [whole(values, name, 0, high, default) or 0] * layers
    if len(value) < layers:
        raise ImportFactsError(f"{name!r} lists {len(value)} numbers, but there are {layers} layers", name)
    return [whole({name: number}, name, 0, high) or 0 for number in value[:layers]]


def own_values(
    values: Mapping[str, Any], tensors: Tensors, pattern: str, common: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Heads, head sizes, projections and width of each layer, as far as they are not those of ``common``.

    Raises:
        ImportFactsError: the metadata and the tensors of a layer contradict each other.
    """
    layers = len(tensors.layers)
    heads = numbers(values, "attention.head_count", layers, common["n_heads"])
    key_heads = numbers(values, "attention.head_count_kv", layers, common["n_kv_heads"])
    usual = {**common, "k_eq_v": False}
    own: list[dict[str, Any]] = []
    for index, (shapes, letter) in enumerate(zip(tensors.layers, pattern, strict=True)):
        layer: dict[str, Any] = {}
        if width := width_of(shapes):
            layer["intermediate_size"] = width
        if letter in "FSCP":
            layer |= _attention(values, shapes, letter, common, heads[index], key_heads[index])
        own.append({key: value for key, value in layer.items() if usual.get(key) != value})
    return own


def _latent(shapes: Shapes, common: Mapping[str, Any]) -> dict[str, Any]:
    """Head sizes and latent row of a layer whose keys are not as wide as those of ``common`` (dots3-note)."""
    keys, values = shapes.get("attn_k_b.weight", ()), shapes.get("attn_v_b.weight", ())
    rows = shapes["attn_kv_a_mqa.weight"][-1]
    if len(keys) != 3 or len(values) != 3 or rows < keys[1]:
        return {}
    rope = rows - keys[1]
    if keys[0] + rope == common["head_dim_k"] and values[1] == common["head_dim_v"]:
        return {}
    own = {"kv_lora_rank": keys[1], "qk_nope_head_dim": keys[0], "qk_rope_head_dim": rope, "v_head_dim": values[1]}
    return {"head_dim_k": keys[0] + rope, "head_dim_v": values[1], "mla": own}


def _attention(
    values: Mapping[str, Any], shapes: Shapes, letter: str, common: Mapping[str, Any], heads: int, key_heads: int
) -> dict[str, Any]:
    if "attn_kv_a_mqa.weight" in shapes:
        return {"n_heads": heads, **_latent(shapes, common)}
    layer = {"n_heads": heads, "n_kv_heads": key_heads}
    suffix = "_swa" if letter == "S" else ""
    for key, name in (("head_dim_k", "key_length"), ("head_dim_v", "value_length")):
        layer[key] = whole(values, f"attention.{name}{suffix}", 1, WIDTH, common[key]) or common[key]
    rows = shapes.get("attn_k.weight", (0, 0))[-1]
    if rows and rows != key_heads * layer["head_dim_k"]:
        raise ImportFactsError(
            f"'attn_k.weight' has {rows:,} rows, but the metadata state {key_heads} key heads of {layer['head_dim_k']}",
            "attention.head_count_kv",
        )
    layer["k_eq_v"] = "attn_k.weight" in shapes and "attn_v.weight" not in shapes
    return layer
