"""The context that a model was trained for, and a longer one by scaled positions: two facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: How texts write the methods.
METHOD_NAMES = {
    "yarn": "YaRN", "llama3": "Llama 3 scaling", "longrope": "LongRoPE", "linear": "linear scaling",
    "dynamic": "dynamic scaling", "ntk": "NTK scaling",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContextExtension:
    """A context of ``tokens`` by scaled positions; ``original_tokens`` is the length before it, None when unknown.

    ``applied``: the published configuration has it; else an engine must be told.
    """

    tokens: int
    method: str
    factor: float | None
    original_tokens: int | None
    applied: bool

    def __str__(self) -> str:
        factor = "" if self.factor is None else f" of factor {self.factor:g}"
        condition = "" if self.applied else ", which the engine must be told"
        return f"{self.tokens:,} with {METHOD_NAMES.get(self.method, self.method)}{factor}{condition}"


def context_extension(facts: Mapping[str, Any]) -> ContextExtension | None:
    """The extension that a model's facts state; None for none."""
    stated = facts.get("context_extension")
    if stated is None:
        return None
    return ContextExtension(
        stated["tokens"], stated["method"], stated["factor"], stated["original_tokens"], stated["applied"]
    )


def native_context_tokens(facts: Mapping[str, Any]) -> int | None:
    """Tokens of context without scaled positions; None when unknown."""
    extension = context_extension(facts)
    if extension is not None and extension.original_tokens is not None:
        return extension.original_tokens
    return None if facts.get("context_length") is None else int(facts["context_length"])
