"""Vision towers that many wrappers share, and the projectors of those wrappers.

Source of the shapes and of the defaults: as in :mod:`db.imports.hub.vision`, whose other towers have one wrapper each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from db.imports.errors import needed, whole

_WIDTH, _SIDE, _LAYERS = 1_048_576, 65_536, 1_000


def shared_tower_parameters(config: Mapping[str, Any], hidden: int) -> int | None:
    """Parameters of a shared tower and of its projector to the width ``hidden``; None where either is of another kind.

    Raises:
        ImportFactsError: a size is missing or out of range.
    """
    stated = config.get("vision_config")
    wrapper = _WRAPPERS.get(str(config.get("model_type")))
    if not isinstance(stated, Mapping) or wrapper is None:
        return None
    usual, project = wrapper
    kind = str(stated.get("model_type") or usual)
    if kind not in _TOWERS:
        return None
    defaults, count = _TOWERS[kind]
    tower = {**defaults, **{key: _one(value) for key, value in stated.items() if value is not None}}
    return count(tower) + project(config, _size(tower, "hidden_size"), hidden)


def _one(value: Any) -> Any:
    """A side of a square that is stated as two equal ones."""
    return value[0] if isinstance(value, list) and len(value) == 2 and value[0] == value[1] else value


def _size(values: Mapping[str, Any], key: str, high: int = _WIDTH) -> int:
    return needed(values, key, 1, high)


def _patch(values: Mapping[str, Any]) -> int:
    channels = whole(values, "num_channels", 1, 64, 3) or 3
    return channels * _size(values, "patch_size", _SIDE) ** 2 * _size(values, "hidden_size")


def _patches(values: Mapping[str, Any]) -> int:
    return (_size(values, "image_size", _SIDE) // _size(values, "patch_size", _SIDE)) ** 2


def _layers(values: Mapping[str, Any]) -> int:
    """Layers with biases and two norms of weight and bias."""
    width, inner = _size(values, "hidden_size"), _size(values, "intermediate_size")
    return _size(values, "num_hidden_layers", _LAYERS) * (4 * width * width + 2 * width * inner + 9 * width + inner)


def _clip(values: Mapping[str, Any]) -> int:
    """A class token, and norms before and after the layers."""
    width = _size(values, "hidden_size")
    return _patch(values) + width * (2 + _patches(values)) + _layers(values) + 4 * width


def siglip(values: Mapping[str, Any]) -> int:
    """The tower, with the head that pools its patches unless the configuration switches that off."""
    width, inner = _size(values, "hidden_size"), _size(values, "intermediate_size")
    head = 4 * width * width + 2 * width * inner + 8 * width + inner
    return _unpooled(values) + (0 if values.get("vision_use_head") is False else head)


def _unpooled(values: Mapping[str, Any]) -> int:
    width = _size(values, "hidden_size")
    return _patch(values) + width * (1 + _patches(values)) + _layers(values) + 2 * width


def _internvl(values: Mapping[str, Any]) -> int:
    """Scales of both parts of a layer; biases of query, key and value only where they are stated."""
    width, layers = _size(values, "hidden_size"), _size(values, "num_hidden_layers", _LAYERS)
    biases = 0 if values.get("attention_bias") is True else 3 * width
    return _patch(values) + width * (3 + _patches(values)) + _layers(values) + layers * (2 * width - biases)


def _pixtral(values: Mapping[str, Any]) -> int:
    width, inner = _size(values, "hidden_size"), _size(values, "intermediate_size")
    layers = _size(values, "num_hidden_layers", _LAYERS)
    return _patch(values) + width + layers * (4 * width * width + 3 * width * inner + 2 * width)


def _linear(_: Mapping[str, Any], width: int, hidden: int) -> int:
    return width * hidden + hidden


def _two_layers(config: Mapping[str, Any], width: int, hidden: int) -> int:
    biases = 0 if config.get("multimodal_projector_bias") is False else 2 * hidden
    return width * hidden + hidden * hidden + biases


def _two_layers_and_line_end(config: Mapping[str, Any], width: int, hidden: int) -> int:
    return _two_layers(config, width, hidden) + hidden


def _shuffled(config: Mapping[str, Any], width: int, hidden: int) -> int:
    """Neighbouring patches side by side, in one matrix."""
    return width * (whole(config, "scale_factor", 1, 64, 2) or 2) ** 2 * hidden


def _quarter(_: Mapping[str, Any], width: int, hidden: int) -> int:
    """A norm of four patches side by side, and two layers."""
    return 8 * width + 4 * width * hidden + hidden * hidden + 2 * hidden


_SIGLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "image_size": 224, "patch_size": 16}
_IDEFICS = {
    "hidden_size": 1152,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "image_size": 224,
    "patch_size": 32,
}
_LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
#: Model type of a tower -> defaults of its configuration, and its count.
_TOWERS: dict[str, tuple[dict[str, int], Callable[[Mapping[str, Any]], int]]] = {
    "clip_vision_model": ({**_SIGLIP, "patch_size": 32}, _clip),
    "llava clip": ({**_LARGE, "image_size": 336, "patch_size": 14}, _clip),
    "siglip_vision_model": (_SIGLIP, siglip),
    **dict.fromkeys(("idefics3", "idefics3_vision", "smolvlm_vision"), (_IDEFICS, _unpooled)),
    "internvl_vision": ({**_LARGE, "image_size": 448, "patch_size": 14}, _internvl),
    "pixtral": ({**_LARGE, "patch_size": 16}, _pixtral),
}
_Project = Callable[[Mapping[str, Any], int, int], int]
#: Model type of a wrapper -> its tower where it names none, and its projector.
_WRAPPERS: dict[str, tuple[str, _Project]] = {
    "llava": ("llava clip", _two_layers),
    "llava_next": ("llava clip", _two_layers_and_line_end),
    "llava_next_video": ("llava clip", _two_layers_and_line_end),
    "llava_onevision": ("siglip_vision_model", _two_layers_and_line_end),
    "paligemma": ("siglip_vision_model", _linear),
    "idefics3": ("idefics3_vision", _shuffled),
    "smolvlm": ("smolvlm_vision", _shuffled),
    "internvl": ("internvl_vision", _quarter),
}
