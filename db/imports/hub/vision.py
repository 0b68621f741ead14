"""Parameters of the vision tower and its projector, and of the audio tower beside it, from a configuration.

Source of the shapes and of the defaults: the ``modeling_*`` and ``configuration_*`` modules of transformers 5.24. A tower of
another kind is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole
from db.imports.hub.projectors import shared_tower_parameters, siglip

_WIDTH, _SIDE, _LAYERS = 1_048_576, 65_536, 1_000


def vision_parameters(config: Mapping[str, Any], hidden: int) -> int | None:
    """Parameters of the tower and of the projector to the language model's width ``hidden``; None when the
    configuration has no tower, one of a kind that is not known, or another tower beside it.

    Raises:
        ImportFactsError: a size is missing or out of range.
    """
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return None
    for kind in (vision.get("model_type"), config.get("model_type")):
        if isinstance(kind, str) and kind in _TOWERS:
            defaults, count = _TOWERS[kind]
            stated = {key: value for key, value in vision.items() if value is not None}
            return count({**defaults, **stated}, config, hidden)
    return shared_tower_parameters(config, hidden)


def _size(values: Mapping[str, Any], key: str, high: int = _WIDTH) -> int:
    return needed(values, key, 1, high)


def _patch(values: Mapping[str, Any], frames: int = 1) -> int:
    """Weights of the convolution that makes a patch one vector."""
    channels = whole(values, "in_channels", 1, 64, 3) or 3
    return channels * frames * _size(values, "patch_size", _SIDE) ** 2 * _size(values, "hidden_size")


def _blocks(
    values: Mapping[str, Any], *, norm: int, gated: bool = False, biased: bool = True, depth: str = "depth"
) -> int:
    """Layers of attention and feed-forward; ``norm`` is 2 for norms with a bias, else 1."""
    width, inner = _size(values, "hidden_size"), _size(values, "intermediate_size")
    matrices = 4 * width * width + (3 if gated else 2) * width * inner
    biases = 4 * width + (2 if gated else 1) * inner + width if biased else 0
    return _size(values, depth, _LAYERS) * (matrices + biases + 2 * norm * width)


def _merger(width: int, merged: int, out: int, norm: int) -> int:
    """Norm, and two layers with biases from ``merged`` neighbouring patches to ``out``."""
    inner = merged * width
    return norm + inner * inner + inner + inner * out + out


def _merged(values: Mapping[str, Any]) -> int:
    return _size(values, "spatial_merge_size", 64) ** 2


def _qwen2(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "embed_dim")
    own = {**values, "hidden_size": width, "intermediate_size": width * _size(values, "mlp_ratio", 64)}
    return _patch(own, 2) + _blocks(own, norm=2) + _merger(width, _merged(values), hidden, 2 * width)


def _qwen25(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "hidden_size")
    return _patch(values, 2) + _blocks(values, norm=1, gated=True) + _merger(width, _merged(values), hidden, width)


def _qwen3(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width, merged = _size(values, "hidden_size"), _merged(values)
    listed = values.get("deepstack_visual_indexes")
    deep = len(listed) if isinstance(listed, list) else 0
    positions = width * (1 + _size(values, "num_position_embeddings", 1 << 24))
    mergers = _merger(width, merged, hidden, 2 * width) + deep * _merger(width, merged, hidden, 2 * merged * width)
    return _patch(values, 2) + positions + _blocks(values, norm=2) + mergers


def _gemma3(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "hidden_size")
    return siglip(values) + width + width * hidden


def _pixtral(values: Mapping[str, Any], config: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "hidden_size")
    blocks = _blocks(values, norm=1, gated=True, biased=False, depth="num_hidden_layers")
    merged = (whole(config, "spatial_merge_size", 1, 64, 2) or 2) ** 2
    biases = 2 * hidden if config.get("multimodal_projector_bias") is True else 0
    return _patch(values) + width + blocks + width + merged * width * width + width * hidden + hidden * hidden + biases


def _llama4(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "hidden_size")
    patches = (_size(values, "image_size", _SIDE) // _size(values, "patch_size", _SIDE)) ** 2
    tower = _patch(values) + width * (2 + patches) + _blocks(values, norm=2, depth="num_hidden_layers") + 4 * width
    out = _size(values, "projector_output_dim")
    adapter = _size(values, "intermediate_size") * _size(values, "projector_input_dim") + out * out
    return tower + adapter + _size(values, "vision_output_dim") * hidden


def _glm4(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width, out = _size(values, "hidden_size"), _size(values, "out_hidden_size")
    patches = (_size(values, "image_size", _SIDE) // _size(values, "patch_size", _SIDE)) ** 2
    blocks = _blocks({**values, "intermediate_size": out}, norm=1, gated=True, biased=False)
    merger = _merged(values) * width * out + out + out * out + 2 * out + 3 * out * _size(values, "intermediate_size")
    return _patch(values, 2) + width * (3 + patches) + blocks + merger


def _glm5(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    width, heads = _size(values, "hidden_size"), _size(values, "num_heads")
    inner = _size(values, "projection_intermediate_size")
    blocks = _blocks(values, norm=1, gated=True) + _size(values, "depth", _LAYERS) * 2 * (width // heads)
    merger = _merged(values) * width * hidden + hidden + hidden * hidden + 2 * hidden + 3 * hidden * inner
    return _patch(values, 2) + width + blocks + width + merger


def _gemma4(values: Mapping[str, Any], config: Mapping[str, Any], hidden: int) -> int:
    width, layers = _size(values, "hidden_size"), _size(values, "num_hidden_layers", _LAYERS)
    blocks = _blocks(values, norm=2, gated=True, biased=False, depth="num_hidden_layers")
    head_norms = layers * 2 * (width // _size(values, "num_attention_heads"))
    positions = 2 * _size(values, "position_embedding_size", 1 << 24) * width
    return _patch(values) + positions + blocks + head_norms + width * hidden + _gemma4_audio(config, hidden)


def _gemma4_unified(values: Mapping[str, Any], config: Mapping[str, Any], hidden: int) -> int:
    """No tower: projected patches, and projected frames of sound."""
    width, patch = _size(values, "mm_embed_dim"), 3 * _patch_side(values) ** 2
    embedder = 2 * patch + patch * width + width + 2 * 2 * width
    positions = 2 * _size(values, "mm_posemb_size", 1 << 24) * width
    sound = _audio(config, _GEMMA4_UNIFIED_AUDIO)
    return embedder + positions + width * hidden + (_size(sound, "audio_embed_dim") * hidden if sound else 0)


def _patch_side(values: Mapping[str, Any]) -> int:
    return _size(values, "patch_size", _SIDE) * _size(values, "pooling_kernel_size", 64)


def _gemma3n(values: Mapping[str, Any], config: Mapping[str, Any], hidden: int) -> int | None:
    if (tower := _TIMM_ENCODERS.get(str(values["architecture"]))) is None:
        return None
    return tower + _soft_tokens(values, hidden) + _gemma3n_audio(config, hidden)


def _audio(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """The section of the audio part with the defaults of its class; None when the configuration has none."""
    audio = config.get("audio_config")
    if not isinstance(audio, Mapping):
        return None
    return {**defaults, **{key: value for key, value in audio.items() if value is not None}}


def _gemma3n_audio(config: Mapping[str, Any], hidden: int) -> int:
    """Parameters of Gemma 3n's audio tower and projector to the width ``hidden``; 0 without one."""
    if (values := _audio(config, _GEMMA3N_AUDIO)) is None:
        return 0
    bands = needed(values, "input_feat_size", 4, 65_536)
    return _conformer(values, "sscp_conv_channel_size", bands, "conf_") + _soft_tokens(values, hidden)


def _gemma4_audio(config: Mapping[str, Any], hidden: int) -> int:
    """Parameters of Gemma 4's audio tower and projector to the width ``hidden``; 0 without one."""
    if (values := _audio(config, _GEMMA4_AUDIO)) is None:
        return 0
    width, out = needed(values, "hidden_size", 1, _WIDTH), needed(values, "output_proj_dims", 1, _WIDTH)
    return _conformer(values, "subsampling_conv_channels", _BANDS, "") + width * out + out + out * hidden


def _soft_tokens(values: Mapping[str, Any], hidden: int) -> int:
    """Gemma 3n's embedder of a tower: a table of its tokens, two norms and a projection to the width ``hidden``."""
    width = needed(values, "hidden_size", 1, _WIDTH)
    return needed(values, "vocab_size", 1, _WIDTH) * width + 2 * width + width * hidden


def _conformer(values: Mapping[str, Any], channels_key: str, bands: int, prefix: str) -> int:
    width = needed(values, "hidden_size", 1, _WIDTH)
    layers = needed(values, f"{prefix}num_hidden_layers", 1, _LAYERS)
    heads = needed(values, f"{prefix}num_attention_heads", 1, 65_536)
    kernel = needed(values, f"{prefix}conv_kernel_size", 1, 1_000)
    first, second = _channels(values, channels_key)
    sampling = 9 * first + first + 9 * first * second + second + bands // 4 * second * width
    feed_forward = 2 * (8 * width * width + 2 * width)
    attention = 5 * width * width + width // heads + 2 * width
    convolution = 3 * width * width + kernel * width + 2 * width
    return sampling + layers * (feed_forward + attention + convolution + width)


def _channels(values: Mapping[str, Any], key: str) -> tuple[int, int]:
    channels = values[key]
    if not isinstance(channels, list | tuple) or len(channels) != 2:
        raise ImportFactsError(f"{key!r} must list the channels of two convolutions", key)
    first, second = (whole({key: number}, key, 1, 65_536) for number in channels)
    if first is None or second is None:
        raise ImportFactsError(f"{key!r} must list the channels of two convolutions", key)
    return first, second


def _mllama(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    """Llama 3.2 Vision: a tower without biases of its attention, a second one of gated layers, tables for tiles."""
    width, inner = _size(values, "hidden_size"), _size(values, "intermediate_size")
    layers, gated = _size(values, "num_hidden_layers", _LAYERS), _size(values, "num_global_layers", _LAYERS)
    patches = (_size(values, "image_size", _SIDE) // _size(values, "patch_size", _SIDE)) ** 2 + 1
    tiles = _size(values, "max_num_tiles", 64)
    listed = values.get("supported_aspect_ratios")
    ratios = 1 + (len(listed) if isinstance(listed, list) else 8)
    block = 4 * width * width + 2 * width * inner + inner + width + 4 * width
    tables = patches * width + 1 + ratios * tiles * (patches + 2) * width + 2
    tower = _patch(values) + width + tables + (layers + gated) * block + 2 * gated + 4 * width
    return tower + _size(values, "vision_output_dim") * hidden + hidden


def _moonvit(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    """Kimi K2.5 and Kimi VL, whose keys have ``vt_`` before them or not."""
    own = {key.removeprefix("vt_"): value for key, value in values.items()}
    width = _size(own, "hidden_size")
    kernel = values.get("merge_kernel_size")
    sides = dict(zip("hw", kernel, strict=False)) if isinstance(kernel, list) else {}
    merged = width * (whole(sides, "h", 1, 64, 2) or 2) * (whole(sides, "w", 1, 64, 2) or 2)
    positions = _size(own, "init_pos_emb_height", _SIDE) * _size(own, "init_pos_emb_width", _SIDE) * width
    tower = _patch(own) + width + positions + _blocks(own, norm=2, depth="num_hidden_layers") + 2 * width
    return tower + 2 * width + merged * merged + merged + merged * hidden + hidden


def _minimax(values: Mapping[str, Any], config: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "hidden_size")
    inner = whole(config, "projector_hidden_size", 1, _WIDTH, hidden) or hidden
    merged = _merged(values) * hidden
    tower = _patch(values, 2) + 2 * width + _blocks(values, norm=2, depth="num_hidden_layers")
    return tower + width * inner + inner + inner * hidden + hidden + merged * inner + inner + inner * hidden + hidden


def _step(values: Mapping[str, Any], _: Mapping[str, Any], hidden: int) -> int:
    """Step 3.7: scaled residuals, and two convolutions that halve the grid and double the width."""
    width, layers = _size(values, "hidden_size"), _size(values, "num_hidden_layers", _LAYERS)
    patches = (_size(values, "image_size", _SIDE) // _size(values, "patch_size", _SIDE)) ** 2
    halved = sum(9 * step * 2 * step + 2 * step for step in (width, 2 * width))
    blocks = _blocks(values, norm=2, depth="num_hidden_layers") + layers * 2 * width
    return _patch(values) + patches * width + 2 * width + blocks + halved + 4 * width * hidden


def _muse(values: Mapping[str, Any], config: Mapping[str, Any], hidden: int) -> int:
    width = _size(values, "hidden_size")
    frames, merged = _size(values, "patch_temporal", 64), _size(values, "merge_size", 64) ** 2
    out = whole(config, "out_hidden_size", 1, _WIDTH, merged * width) or merged * width
    inner = whole(config, "projector_hidden_size", 1, _WIDTH, 4096) or 4096
    positions = _size(values, "pos_emb_height", _SIDE) * _size(values, "pos_emb_width", _SIDE) * width
    tower = _patch(values, frames) + positions + _blocks(values, norm=2, depth="num_hidden_layers") + 4 * width
    return tower + out * inner + inner * inner + inner * hidden


_Count = Callable[[Mapping[str, Any], Mapping[str, Any], int], int | None]
_QWEN2 = {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "patch_size": 14, "spatial_merge_size": 2}
_QWEN25 = {"depth": 32, "hidden_size": 3584, "intermediate_size": 3420, "patch_size": 14, "spatial_merge_size": 2}
_QWEN3 = {
    "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "patch_size": 16, "spatial_merge_size": 2,
    "num_position_embeddings": 2304,
}  # fmt: skip
_QWEN3_VL = {**_QWEN3, "deepstack_visual_indexes": [8, 16, 24]}
_SIGLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "image_size": 224, "patch_size": 16}
_PIXTRAL = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "patch_size": 14}
_LLAMA4 = {
    "hidden_size": 768, "intermediate_size": 5632, "num_hidden_layers": 34, "image_size": 448, "patch_size": 14,
    "vision_output_dim": 7680, "projector_input_dim": 4096, "projector_output_dim": 4096,
}  # fmt: skip
_GEMMA4 = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 16, "num_attention_heads": 12, "patch_size": 16,
    "position_embedding_size": 10240,
}  # fmt: skip
_GEMMA3N_AUDIO = {
    "hidden_size": 1536, "conf_num_hidden_layers": 12, "conf_num_attention_heads": 8, "conf_conv_kernel_size": 5,
    "input_feat_size": 128, "sscp_conv_channel_size": (128, 32), "vocab_size": 128,
}  # fmt: skip
_GEMMA4_AUDIO = {
    "hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 8, "conv_kernel_size": 5,
    "subsampling_conv_channels": (128, 32), "output_proj_dims": 1536,
}  # fmt: skip
#: Bands of a spectrogram, which two convolutions of 3 x 3 quarter.
_BANDS = 128
_GEMMA4_UNIFIED = {"patch_size": 16, "pooling_kernel_size": 3, "mm_embed_dim": 3840, "mm_posemb_size": 1120}
_GEMMA4_UNIFIED_AUDIO = {"audio_embed_dim": 640}
_GEMMA3N = {"architecture": "mobilenetv5_300m_enc", "hidden_size": 2048, "vocab_size": 128}
#: Encoders that a name alone describes: what both checkpoints of Gemma 3n hold beside text, audio and embedders.
_TIMM_ENCODERS = {"mobilenetv5_300m_enc": 294_126_912}
_GLM4 = {
    "depth": 24, "hidden_size": 1536, "intermediate_size": 13696, "out_hidden_size": 4096, "image_size": 336,
    "patch_size": 14, "spatial_merge_size": 2,
}  # fmt: skip
_GLM5 = {
    "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "patch_size": 14,
    "spatial_merge_size": 2, "projection_intermediate_size": 10240,
}  # fmt: skip
_MLLAMA = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_global_layers": 8, "image_size": 448,
    "patch_size": 14, "max_num_tiles": 4, "vision_output_dim": 7680,
}  # fmt: skip
_MOONVIT = {"patch_size": 14, "init_pos_emb_height": 64, "init_pos_emb_width": 64}
_MINIMAX = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "patch_size": 14, "spatial_merge_size": 2,
}  # fmt: skip
_STEP = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 47, "image_size": 728, "patch_size": 14}
_MUSE = {
    "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 50, "patch_size": 14, "patch_temporal": 2,
    "merge_size": 2, "pos_emb_height": 32, "pos_emb_width": 32,
}  # fmt: skip
#: Model type of the tower, or of the whole model, -> defaults of its configuration, and its count.
_TOWERS: dict[str, tuple[dict[str, Any], _Count]] = {
    **dict.fromkeys(("qwen2_vl", "qwen2_vl_vision"), (_QWEN2, _qwen2)),
    **dict.fromkeys(("qwen2_5_vl", "qwen2_5_vl_vision"), (_QWEN25, _qwen25)),
    **dict.fromkeys(("qwen3_vl", "qwen3_vl_vision", "qwen3_vl_moe", "qwen3_vl_moe_vision"), (_QWEN3_VL, _qwen3)),
    **dict.fromkeys(
        ("qwen3_5", "qwen3_5_vision", "qwen3_5_moe", "qwen3_5_moe_vision", "qwen4_exp", "qwen4_exp_vision"),
        (_QWEN3, _qwen3),
    ),
    "gemma3": (_SIGLIP, _gemma3),
    "gemma3n_vision": (_GEMMA3N, _gemma3n),
    "gemma4_vision": (_GEMMA4, _gemma4),
    "gemma4_unified_vision": (_GEMMA4_UNIFIED, _gemma4_unified),
    "mistral3": (_PIXTRAL, _pixtral),
    **dict.fromkeys(("glm4v", "glm4v_vision", "glm46v", "glm4v_moe", "glm4v_moe_vision"), (_GLM4, _glm4)),
    **dict.fromkeys(("llama4", "llama4_vision_model"), (_LLAMA4, _llama4)),
    **dict.fromkeys(("glm5_next", "glm5_next_vision"), (_GLM5, _glm5)),
    **dict.fromkeys(("mllama", "mllama_vision_model"), (_MLLAMA, _mllama)),
    **dict.fromkeys(("kimi_k25", "kimi_k25_vision", "kimi_vl", "moonvit"), (_MOONVIT, _moonvit)),
    **dict.fromkeys(("minimax_m3_vl", "minimax_m3_vl_vision"), (_MINIMAX, _minimax)),
    **dict.fromkeys(("step3p7", "step3p5_vision"), (_STEP, _step)),
    **dict.fromkeys(("muse_glimmer", "muse_glimmer_vision"), (_MUSE, _muse)),
}
