"""Parameters of the audio tower and its projector, from ``audio_config``: conformers of Gemma 3n and 4.

Source of the shapes and of the defaults: ``modeling_gemma3n``, ``modeling_gemma4`` and their configurations in transformers
5.24. Layers have two feed-forward parts of four times the width, attention with relative positions, and a convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.imports.errors import ImportFactsError, needed, whole

_WIDTH, _LAYERS, _KERNEL = 1_048_576, 1_000, 1_000
_GEMMA3N = {
    "hidden_size": 1536, "conf_num_hidden_layers": 12, "conf_num_attention_heads": 8, "conf_conv_kernel_size": 5,
    "input_feat_size": 128, "sscp_conv_channel_size": (128, 32), "vocab_size": 128,
}  # fmt: skip
_GEMMA4 = {
    "hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 8, "conv_kernel_size": 5,
    "subsampling_conv_channels": (128, 32), "output_proj_dims": 1536,
}  # fmt: skip
#: Bands of a spectrogram, which two convolutions of 3 x 3 quarter.
_BANDS = 128


def audio_section(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """The section of the audio part with the defaults of its class; None when the configuration has none."""
    audio = config.get("audio_config")
    if not isinstance(audio, Mapping):
        return None
    return {**defaults, **{key: value for key, value in audio.items() if value is not None}}


def gemma3n_audio(config: Mapping[str, Any], hidden: int) -> int:
    """Parameters of Gemma 3n's audio tower and projector to the width ``hidden``; 0 without one."""
    if (values := audio_section(config, _GEMMA3N)) is None:
        return 0
    bands = needed(values, "input_feat_size", 4, 65_536)
    return _conformer(values, "sscp_conv_channel_size", bands, "conf_") + soft_tokens(values, hidden)


def gemma4_audio(config: Mapping[str, Any], hidden: int) -> int:
    """Parameters of Gemma 4's audio tower and projector to the width ``hidden``; 0 without one."""
    if (values := audio_section(config, _GEMMA4)) is None:
        return 0
    width, out = needed(values, "hidden_size", 1, _WIDTH), needed(values, "output_proj_dims", 1, _WIDTH)
    return _conformer(values, "subsampling_conv_channels", _BANDS, "") + width * out + out + out * hidden


def soft_tokens(values: Mapping[str, Any], hidden: int) -> int:
    """Gemma 3n's embedder of a tower: a table of its tokens, two norms and a projection to the width ``hidden``."""
    width = needed(values, "hidden_size", 1, _WIDTH)
    return needed(values, "vocab_size", 1, _WIDTH) * width + 2 * width + width * hidden


def _conformer(values: Mapping[str, Any], channels_key: str, bands: int, prefix: str) -> int:
    width = needed(values, "hidden_size", 1, _WIDTH)
    layers = needed(values, f"{prefix}num_hidden_layers", 1, _LAYERS)
    heads = needed(values, f"{prefix}num_attention_heads", 1, 65_536)
    kernel = needed(values, f"{prefix}conv_kernel_size", 1, _KERNEL)
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
