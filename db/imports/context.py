"""Scaled positions of a configuration or of a GGUF header: what extends the context, and from which length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.imports.errors import whole

_POSITIONS = 1 << 31
_METHODS = {"yarn": "yarn", "llama3": "llama3", "longrope": "longrope", "su": "longrope", "linear": "linear",
            "dynamic": "dynamic", "ntk": "ntk"}  # fmt: skip


def extension_of_config(values: Mapping[str, Any], length: int | None, source: str) -> dict[str, Any] | None:
    """``context_extension`` of a catalog entry from ``rope_scaling`` or ``rope_parameters``; None where there is none.

    ``length`` is the stated number of positions. YaRN's is the product of the original length and the factor where
    that is more (vLLM's ``_get_and_verify_max_len``); other methods state their positions in full.

    Raises:
        ImportFactsError: a length is out of range.
    """
    stated = values.get("rope_scaling") or values.get("rope_parameters")
    if not isinstance(stated, Mapping):
        return None
    key = "original_max_position_embeddings"
    original = whole(stated, key, 1, _POSITIONS) or whole(values, key, 1, _POSITIONS)
    return _extension(stated.get("rope_type") or stated.get("type"), stated.get("factor"), original, length, source)


def extension_of_gguf(values: Mapping[str, Any], length: int | None) -> dict[str, Any] | None:
    """As :func:`extension_of_config`, from the keys of a GGUF header below its architecture."""
    original = whole(values, "rope.scaling.original_context_length", 1, _POSITIONS)
    kind, factor = values.get("rope.scaling.type"), values.get("rope.scaling.factor")
    return _extension(kind, factor, original, length, "GGUF header")


def _extension(kind: Any, factor: Any, original: int | None, length: int | None, source: str) -> dict[str, Any] | None:
    method = _METHODS.get(str(kind))
    is_number = isinstance(factor, int | float) and not isinstance(factor, bool) and 0 < factor <= 65_536
    if method is None or length is None or (is_number and factor == 1):
        return None
    scaled = round(original * factor) if method == "yarn" and original and is_number else 0
    return {
        "tokens": max(length, scaled),
        "method": method,
        "factor": float(factor) if is_number else None,
        "original_tokens": original,
        "applied": True,
        "source": source,
    }
