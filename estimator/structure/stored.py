"""The quantization of one very file: its own bytes instead of a recipe's."""

from __future__ import annotations

from dataclasses import dataclass

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
