"""Files of weights: the bytes of one very file, and the sizes that publishers print where no recipe tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from estimator.types import Quant


@dataclass(frozen=True, slots=True)
class StoredLayers:
    """Bytes of the tensors of one very file, as :class:`estimator.structure.weights.WeightTable` tells them apart.

    ``layers`` and ``experts`` have one entry a layer; ``output`` is what lies outside of layers, without the embedding.
    """

    file: int
    layers: tuple[int, ...]
    experts: tuple[int, ...]
    embedding: int
    output: int
    lookup: int
    stored: int
    largest_tensor: int


@dataclass(frozen=True, slots=True)
class StoredQuant(Quant):
    """The quantization of one very file: bytes as stored instead of a recipe's.

    ``by_layer`` is known from a header; ``total_bytes`` alone from a checkpoint's index, and is then spread over the
    layers as the format's recipe spreads its own.
    """

    total_bytes: int | None = None
    by_layer: StoredLayers | None = None
    #: Bits of a weight with its scales of parts that differ from the rest: embedding, output, attention, dense, experts.
    widths: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """Least and most bytes of a published file of the quantization ``quant``: sizes are printed rounded. ``is_alike``: the
    file is one of another model with the same tensors."""

    quant: str
    low_bytes: int
    high_bytes: int
    is_alike: bool = False

    def bytes_of(self, estimated_bytes: int) -> int:
        """The estimate where the printed size leaves it open, else the middle of what was printed."""
        is_open = self.low_bytes <= estimated_bytes <= self.high_bytes
        return estimated_bytes if is_open else (self.low_bytes + self.high_bytes) // 2


def published_files(facts: Mapping[str, Any]) -> tuple[PublishedFile, ...]:
    """Published sizes of a model, from its catalog entry's facts; then those of a model with the same tensors."""
    own = tuple(_files(facts.get("published_files"), is_alike=False))
    known = {file.quant for file in own}
    return (*own, *(file for file in _files(facts.get("alike_files"), is_alike=True) if file.quant not in known))


def _files(lists: Any, *, is_alike: bool) -> Iterator[PublishedFile]:
    for published in lists or ():
        rounding = published["rounding_bytes"]
        for quant, size in published["bytes"].items():
            yield PublishedFile(quant, size - rounding, size + rounding, is_alike)
