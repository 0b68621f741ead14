"""Questions as the schema has them, from those that all faces share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PARTS = {
    "model": ("model", "slug"), "modelConfig": ("model", "config"), "modelGguf": ("model", "gguf"),
    "modelUrl": ("model", "url"), "gpu": ("machine", "gpu"), "gpus": ("machine", "gpus"), "gpuFacts": ("machine", "facts"),
}  # fmt: skip


def nested(question: Mapping[str, Any]) -> dict[str, Any]:
    """The question as ``EstimateInput``: model and machine are references."""
    asked = {key: value for key, value in question.items() if key not in _PARTS}
    for key, (whole, part) in _PARTS.items():
        if question.get(key) is not None:
            asked.setdefault(whole, {})[part] = question[key]
    return asked
