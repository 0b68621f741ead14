"""The meaning of a name as people type it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import strawberry

from api.catalog.view import CatalogView
from api.graphql.core.described import describe
from api.graphql.core.sentences import Sentence, sentences_of


class NameKind(Enum):
    MODEL = "model"
    GPU = "gpu"
    QUANT = "quant"


describe(
    NameKind,
    "NameKind",
    "Kinds of entities that are named.",
    {
        "MODEL": "A model, also by the name of a file, a repository or a registry's tag.",
        "GPU": "An accelerator, also by a computer, a processor or a driver's device string.",
        "QUANT": "A quantization.",
    },
)


@strawberry.type(description="The entity that a name means, and what else the name states.")
class NameMeaning:
    slug: str = strawberry.field(description="Slug of the entity.")
    notes: list[Sentence] = strawberry.field(
        description="Sentences on how the name is taken, where it leaves something open or has a typing error; empty for nothing."
    )
    choices: list[str] = strawberry.field(description="Slugs of the other entities that the name fits.")
    count: int | None = strawberry.field(description="How many accelerators the name states; null when it states none.")
    quant_slug: str | None = strawberry.field(
        description="Slug of the quantization that the name of a file or repository states; null when it states none."
    )


NamedKind = Annotated[NameKind, strawberry.argument(description="Kind of entity that is named.")]
TypedName = Annotated[
    str,
    strawberry.argument(
        description="The name as people type it: `2x 3090`, `qwen3:32b-q4_K_M`, `NVIDIA H100 80GB HBM3`. At most 200 characters."
    ),
]


def meaning_of(view: CatalogView, kind: NameKind, text: str) -> NameMeaning:
    """The meaning of a name. Raises :class:`NotFoundError` with the choices when the name is unknown or ambiguous."""
    meaning = view.meaning(kind.value, text)
    return NameMeaning(
        slug=meaning.slug,
        notes=sentences_of(meaning.notes),
        choices=list(meaning.choices),
        count=meaning.count,
        quant_slug=meaning.quant,
    )
