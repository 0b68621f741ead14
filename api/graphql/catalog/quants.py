"""Quantizations, and the sizes of a model in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.graphql.catalog.models import as_texts
from api.graphql.core.arguments import fits_field
from api.graphql.core.enums import QuantFormat
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64
from estimator import types as domain

if TYPE_CHECKING:
    from api.graphql.catalog.models import Model
    from api.graphql.context import RequestContext


@strawberry.type(description="One way to store weights: a llama.cpp file type or a pre-quantized checkpoint format.")
class Quant(Node):
    """Facts of one quantization."""

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
    spec: strawberry.Private[domain.Quant]

    fits = fits_field(
        "Published fits in this quantization, none for those that runs do not cover; default order: score, best "
        "first. Of more than 5 quantizations at once only with a filter that leaves at most 24 models or accelerators."
    )


@strawberry.type(description="A model in one quantization.")
class ModelQuant:
    """Sizes, from the model's tensors and the quantization's recipe."""

    quant: Quant = strawberry.field(description="The quantization.")
    model: Annotated[Model, strawberry.lazy("api.graphql.catalog.models")] = strawberry.field(description="The model.")
    file_size_bytes: Int64 = strawberry.field(description="Size of the file or files to download, bytes.")
    weights_bytes: Int64 = strawberry.field(description="Bytes of weights that a load reads, metadata left out.")
    bits_per_weight: float | None = strawberry.field(
        description="File bits per parameter; null when parameters are unknown."
    )


def quant_from_entry(entry: Mapping[str, Any], spec: domain.Quant) -> Quant:
    """The quantization of a catalog entry."""
    return Quant(
        id=strawberry.ID(encode_id("Quant", spec.slug)),
        slug=spec.slug,
        name=spec.name,
        aliases=list(entry.get("aliases") or ()),
        format=spec.format,
        nominal_bits=spec.nominal_bits,
        group_size=spec.group_size,
        quality_loss=spec.quality_loss,
        importance_matrix=spec.imatrix,
        sources=as_texts(entry.get("source")),
        spec=spec,
    )


async def quants_of_model(context: RequestContext, model: Model) -> list[ModelQuant]:
    """Sizes of a model in every quantization: published ones, else computed."""
    if model.missing_facts:
        return []
    sizes: Sequence[tuple[Quant, int, int]] = await context.loaders.model_sizes(model)
    parameters = model.parameter_count
    return [
        ModelQuant(
            quant=quant,
            model=model,
            file_size_bytes=Int64(file_size),
            weights_bytes=Int64(weights),
            bits_per_weight=None if not parameters else round(weights * 8 / parameters, 3),
        )
        for quant, file_size, weights in sizes
    ]
