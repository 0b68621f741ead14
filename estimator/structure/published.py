"""Sizes of files that publishers print, where no recipe tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """Least and most bytes of a published file of the quantization ``quant``: sizes are printed rounded."""

    quant: str
    low_bytes: int
    high_bytes: int

    def bytes_of(self, estimated_bytes: int) -> int:
        """The estimate where the printed size leaves it open, else the middle of what was printed."""
        is_open = self.low_bytes <= estimated_bytes <= self.high_bytes
        return estimated_bytes if is_open else (self.low_bytes + self.high_bytes) // 2


def published_files(facts: Mapping[str, Any]) -> tuple[PublishedFile, ...]:
    """Published sizes of a model, from its catalog entry's facts."""
    return tuple(
        PublishedFile(quant, size - published["rounding_bytes"], size + published["rounding_bytes"])
        for published in facts.get("published_files") or ()
        for quant, size in published["bytes"].items()
    )
