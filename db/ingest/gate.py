"""The gate: a structure enters the catalog when its tensors are those of the checkpoint, to 0.05 % of the count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

#: Largest relative difference between the inventory and the checkpoint.
COUNT_TOLERANCE = 0.0005


@dataclass(frozen=True, slots=True)
class Comparison:
    """The nearest count that the inventory explains. ``parts`` are what the checkpoint holds beside the text model."""

    explained: int
    checkpoint: int
    parts: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Relative difference, above 0 where the inventory has more."""
        return self.explained / self.checkpoint - 1

    @property
    def passes(self) -> bool:
        return abs(self.difference) <= COUNT_TOLERANCE

    def __str__(self) -> str:
        parts_text = " with " + " and ".join(self.parts) if self.parts else ""
        return f"the inventory{parts_text} has {self.explained:,} parameters, the checkpoint {self.checkpoint:,}"


def compare(facts: Mapping[str, Any], checkpoint: int) -> Comparison:
    """``facts`` of a model against the count of its checkpoint, which may also hold a vision tower, prediction heads, and
    a second copy of tied embeddings."""
    beside = {
        "the vision tower": int(facts.get("params_vision_and_other") or 0),
        "the prediction heads": int((facts.get("mtp") or {}).get("params") or 0),
        "a copy of the embeddings": facts["vocab_size"] * facts["hidden_size"] * bool(facts["tie_word_embeddings"]),
    }
    text = int(facts["params_computed"]["text_total"])
    candidates = (
        Comparison(text + sum(beside[part] for part in parts), checkpoint, parts)
        for parts in _subsets([part for part, size in beside.items() if size])
    )
    return min(candidates, key=lambda candidate: abs(candidate.difference))


def _subsets(parts: list[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(parts, size) for size in range(len(parts) + 1))
