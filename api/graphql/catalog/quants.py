"""Quantizations."""

from __future__ import annotations

import strawberry

from api.catalog.records import QuantRecord
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from estimator.types import QuantFormat


@strawberry.type(description="One way to store weights: a llama.cpp file type or a pre-quantized checkpoint format.")
class Quant(Node):
    slug: str = strawberry.field(description="Name in URLs and arguments, such as `q4_k_m`.")
    name: str = strawberry.field(description="Display name, such as `Q4_K_M`.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    format: QuantFormat = strawberry.field(description="File format, which decides the engines that can load it.")
    nominal_bits: float = strawberry.field(
        description="Bits per weight that the name promises; real files differ by model."
    )
    group_size: int | None = strawberry.field(
        description="Weights that share a scale; null for block formats of llama.cpp."
    )
    quality_loss: float | None = strawberry.field(
        description="Relative rise of perplexity against 16 bits at 7 to 8 billion parameters; null when unknown."
    )
    importance_matrix: bool = strawberry.field(description="Whether it is made with an importance matrix.")
    sources: list[str] = strawberry.field(description="Where the facts come from.")


def quant_of(record: QuantRecord) -> Quant:
    """The GraphQL object of a quantization."""
    spec = record.spec
    return Quant(
        id=strawberry.ID(encode_id("Quant", spec.slug)),
        slug=spec.slug,
        name=spec.name,
        aliases=record.aliases,
        format=spec.format,
        nominal_bits=spec.nominal_bits,
        group_size=spec.group_size,
        quality_loss=spec.quality_loss,
        importance_matrix=spec.imatrix,
        sources=record.sources,
    )
