"""The linear terms that predict a model's capability before any of its results: size, date and post-training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from estimator.structure.training import REFERENCE_YEAR, SMALLEST_B

Thinking = Literal["never", "hybrid", "always"]
#: Size of a model of middle size, billions of parameters; logarithms are taken relative to it.
REFERENCE_B = 14.0
#: Context of a model whose own is unknown, tokens.
DEFAULT_CONTEXT = 32_768
#: Terms of the trait that all kinds share, in the order of :func:`shared_terms`.
SHARED_TERMS: tuple[str, ...] = (
    "level", "total", "active", "total squared", "date", "date squared", "date total", "thinks", "thinks date",
    "thinks total", "coder", "mathematics", "vision", "base",
)  # fmt: skip
#: Terms of one kind's deviation from the shared trait, in the order of :func:`kind_terms`.
KIND_TERMS: tuple[str, ...] = ("level", "active", "date", "thinks", "coder", "mathematics", "vision", "base", "context")


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """Facts of a model that its expected capability depends on. Sizes in billions; ``released`` in years, as 2025.25.

    ``thinking``: whether the model writes its reasoning never, on request (``hybrid``) or always.
    ``native_bits``: bits per weight that most of the weights were trained in; a wider quantization loses nothing.
    ``thinking_length``: tokens that it thinks for, relative to the middle of models that think.
    """

    slug: str
    total_b: float
    active_b: float
    released: float
    family: str = ""
    publisher: str = ""
    context_tokens: int = DEFAULT_CONTEXT
    thinking: Thinking = "never"
    specialty: str = ""
    vision: bool = False
    base: bool = False
    parent: str = ""
    native_bits: float = 16.0
    #: No fit reads it, so that it is no part of the hash of what the fits read.
    thinking_length: float = field(default=1.0, repr=False)

    @property
    def is_mixture(self) -> bool:
        """Whether a token reads some experts of many."""
        return self.active_b < self.total_b


def shared_terms(model: ModelTraits) -> tuple[float, ...]:
    """Values of ``SHARED_TERMS``."""
    total, active, date = _sizes_and_date(model)
    thinks = float(model.thinking != "never")
    return (
        1.0, total, active, total * total, date, date * date, date * total, thinks, thinks * date, thinks * total,
        float(model.specialty == "coder"), float(model.specialty == "mathematics"), float(model.vision),
        float(model.base),
    )  # fmt: skip


def kind_terms(model: ModelTraits) -> tuple[float, ...]:
    """Values of ``KIND_TERMS``."""
    _, active, date = _sizes_and_date(model)
    return (
        1.0, active, date, float(model.thinking != "never"), float(model.specialty == "coder"),
        float(model.specialty == "mathematics"), float(model.vision), float(model.base),
        math.log2(model.context_tokens / DEFAULT_CONTEXT),
    )  # fmt: skip


def shared_prior(model: ModelTraits, terms: Mapping[str, float]) -> float:
    """Expected trait that all kinds share, with fitted coefficients by name; an unknown family or publisher adds 0."""
    date = model.released - REFERENCE_YEAR
    return (
        sum(value * terms[name] for name, value in zip(SHARED_TERMS, shared_terms(model), strict=True))
        + _of_groups(model, terms)
        + date * terms.get(f"date|publisher:{model.publisher}", 0.0)
    )


def kind_prior(model: ModelTraits, terms: Mapping[str, float]) -> float:
    """Expected deviation of one kind."""
    return sum(value * terms[name] for name, value in zip(KIND_TERMS, kind_terms(model), strict=True)) + _of_groups(
        model, terms
    )


def _of_groups(model: ModelTraits, terms: Mapping[str, float]) -> float:
    return terms.get(f"family:{model.family}", 0.0) + terms.get(f"publisher:{model.publisher}", 0.0)


def _sizes_and_date(model: ModelTraits) -> tuple[float, float, float]:
    return (
        math.log(max(model.total_b, SMALLEST_B) / REFERENCE_B),
        math.log(max(model.active_b, SMALLEST_B) / REFERENCE_B),
        model.released - REFERENCE_YEAR,
    )
