"""Where weights are to be had: the repository of a quantization of a model, and whether any is known."""

from __future__ import annotations

import re

from estimator.structure.architecture import ModelArchitecture
from estimator.types import GGUF_FORMATS, Quant, QuantFormat

#: Names on the Hugging Face Hub; anything else is never put into a command.
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

#: Types of own checkpoints with narrow experts, by the format that servers read them in.
_OF_EXPERTS = {QuantFormat.FP8_FP4: "FP8 + FP4 experts", QuantFormat.GPTQ: "INT4 (QAT experts)"}


def is_repository(name: str | None) -> bool:
    """Whether ``name`` is a well-formed ``owner/name`` that may go into a command."""
    return name is not None and REPOSITORY.fullmatch(name) is not None and ".." not in name


def has_weights(quant: Quant, model: ModelArchitecture) -> bool:
    """Whether weights in ``quant`` are known to be had: a published checkpoint, or a file that anybody can quantize."""
    made_at_home = quant.format in (*GGUF_FORMATS, QuantFormat.MLX)
    return made_at_home or quant.slug in model.checkpoints or (model.has_original and _serves_original(quant, model))


def is_listed(quant: Quant, model: ModelArchitecture) -> bool:
    """Whether lists of a model's quantizations have ``quant``; any other one is estimated when it is asked for."""
    return not quant.own_only or _is_native(quant, model)


def is_offered(quant: Quant, model: ModelArchitecture) -> bool:
    """Whether choices offer ``quant``: it is listed, and weights in it are known to be had."""
    return is_listed(quant, model) and has_weights(quant, model)


def vllm_source(
    quant: Quant, model: ModelArchitecture, checkpoint: str | None, original: str | None
) -> list[str] | None:
    """The repository of a checkpoint in this format, with the flag that makes the format of another; None for neither.

    ``checkpoint`` is the repository of this very quantization, ``original`` that of the model; None when unknown. A
    checkpoint in a format of its own has a repository of its own, which its publisher names and nobody can guess.
    """
    if is_repository(checkpoint):
        return [str(checkpoint)]
    if not is_repository(original) or not _serves_original(quant, model):
        return None
    return [str(original)] if _is_native(quant, model) else [str(original), "--quantization", "fp8"]


def _serves_original(quant: Quant, model: ModelArchitecture) -> bool:
    """Whether vLLM serves ``quant`` from the model's own checkpoint: as it is, or made FP8 at load from 16 bits."""
    return _is_native(quant, model) or (quant.format is QuantFormat.FP8 and _is_plain(model))


def _is_native(quant: Quant, model: ModelArchitecture) -> bool:
    if quant.format is QuantFormat.SAFETENSORS:
        return _is_plain(model)
    if quant.format in _OF_EXPERTS:
        return quant.own_only and model.native_dtype == _OF_EXPERTS[quant.format]
    # "MXFP4 (experts) + BF16" is what the format means; "FP8 + FP4 experts" is smaller than FP8.
    first, _, rest = model.native_dtype.lower().partition(" ")
    return first == quant.format.value and (quant.format is not QuantFormat.FP8 or not rest)


def _is_plain(model: ModelArchitecture) -> bool:
    """Whether the model's own checkpoint has 16 bits a weight throughout."""
    return model.native_dtype.lower() in ("bf16", "fp16")
