"""What is expected of a model's capability beside its own results: linear terms of size, date and post-training, and the
order of the models of its line."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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

#: Facts that place a model in its line.
SIBLING_FACTS: tuple[str, ...] = (
    "total_b", "active_b", "released", "family", "thinking", "specialty", "vision", "base",
)  # fmt: skip
#: Of one line, a model is better by its size from this factor on, and by its date from these years on.
_LARGER, _NEWER = 1.2, 0.2
#: What is as large or as new as another one, but for such a factor or years.
_AS_LARGE, _AS_NEW = 0.97, 0.1
_ORDER_ROUNDS, _ORDER_TOLERANCE = 20, 1e-6
#: Standard deviations in the wrong order beyond which the share of the right one is no number.
_FARTHEST = -30.0


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
    """Expected trait that all kinds share, with fitted coefficients by name; an unknown family, publisher or
    release adds 0."""
    date = model.released - REFERENCE_YEAR
    return (
        sum(value * terms[name] for name, value in zip(SHARED_TERMS, shared_terms(model), strict=True))
        + _of_groups(model, terms)
        + terms.get(f"release:{release_of(model)}", 0.0)
        + date * terms.get(f"date|publisher:{model.publisher}", 0.0)
    )


def kind_prior(model: ModelTraits, terms: Mapping[str, float]) -> float:
    """Expected deviation of one kind."""
    return sum(value * terms[name] for name, value in zip(KIND_TERMS, kind_terms(model), strict=True)) + _of_groups(
        model, terms
    )


def release_of(model: ModelTraits) -> str:
    """Key of the models of one line that came in one quarter: one recipe in several sizes."""
    return "|".join(map(str, (*line_of(model), math.floor(4.0 * model.released))))


def _of_groups(model: ModelTraits, terms: Mapping[str, float]) -> float:
    return terms.get(f"family:{model.family}", 0.0) + terms.get(f"publisher:{model.publisher}", 0.0)


def _sizes_and_date(model: ModelTraits) -> tuple[float, float, float]:
    return (
        math.log(max(model.total_b, SMALLEST_B) / REFERENCE_B),
        math.log(max(model.active_b, SMALLEST_B) / REFERENCE_B),
        model.released - REFERENCE_YEAR,
    )


def line_of(model: ModelTraits) -> tuple[str, str, str, bool, bool]:
    """Key of the models that were made alike: one family and one kind of post-training."""
    return model.family, model.thinking, model.specialty, model.vision, model.base


def is_better(model: ModelTraits, other: ModelTraits) -> bool:
    """Whether a model of the line of another one is larger and as new, or newer and as large."""
    size = min(model.total_b / other.total_b, model.active_b / other.active_b)
    years = model.released - other.released
    return (size >= _LARGER and years >= -_AS_NEW) or (years >= _NEWER and size >= _AS_LARGE)


def order_of(models: Iterable[ModelTraits]) -> list[tuple[str, str]]:
    """Slugs (better, lesser) of the neighbours in each line; the order of others follows from theirs."""
    lines: dict[tuple[str, str, str, bool, bool], list[ModelTraits]] = defaultdict(list)
    for model in models:
        lines[line_of(model)].append(model)
    return sorted(
        (better.slug, model.slug) for line in lines.values() for model in line for better in _above(model, line)
    )


def trait_beside(
    model: ModelTraits,
    expected: tuple[float, float],
    line: Sequence[ModelTraits],
    traits: Mapping[str, tuple[float, float]],
) -> tuple[float, float]:
    """Mean and variance of a model's trait, given those of its neighbours in ``line``, by slug."""
    below = [other for other in line if is_better(model, other)]
    pairs = [(better.slug, model.slug) for better in _above(model, line)]
    pairs += [(model.slug, lesser.slug) for lesser in below if not any(is_better(other, lesser) for other in below)]
    known = {slug: traits[slug] for pair in pairs for slug in pair if slug != model.slug}
    return in_order({**known, model.slug: expected}, pairs)[model.slug]


def _above(model: ModelTraits, line: Sequence[ModelTraits]) -> list[ModelTraits]:
    """The better models of a line without those that are better than one of these."""
    better = [other for other in line if is_better(other, model)]
    return [other for other in better if not any(is_better(other, least) for least in better)]


def in_order(
    traits: Mapping[str, tuple[float, float]], pairs: Sequence[tuple[str, str]]
) -> dict[str, tuple[float, float]]:
    """Means and variances by slug, given that the better model of each of ``pairs`` is no worse.

    Expectation propagation: each pair in turn is conditioned on its order, with what it said before taken out.
    """
    precision = {slug: 1.0 / variance for slug, (_, variance) in traits.items()}
    pull = {slug: mean / variance for slug, (mean, variance) in traits.items()}
    said = {(pair, slug): (0.0, 0.0) for pair in pairs for slug in pair}
    for _ in range(_ORDER_ROUNDS):
        change = 0.0
        for pair in pairs:
            without = [(precision[slug] - said[pair, slug][0], pull[slug] - said[pair, slug][1]) for slug in pair]
            for slug, (own, own_pull), (mean, variance) in zip(pair, without, _conditioned(*without), strict=True):
                change = max(change, abs(mean - pull[slug] / precision[slug]))
                precision[slug], pull[slug] = 1.0 / variance, mean / variance
                said[pair, slug] = precision[slug] - own, pull[slug] - own_pull
        if change < _ORDER_TOLERANCE:
            break
    return {slug: (pull[slug] / precision[slug], 1.0 / precision[slug]) for slug in traits}


def _conditioned(better: tuple[float, float], lesser: tuple[float, float]) -> list[tuple[float, float]]:
    """Means and variances of two Gaussians (precision, precision times mean), given that the first is the higher."""
    (mean, variance), (other_mean, other_variance) = ((pull / own, 1.0 / own) for own, pull in (better, lesser))
    spread = math.sqrt(variance + other_variance)
    distance = (mean - other_mean) / spread
    density = math.exp(-0.5 * distance * distance) / math.sqrt(2.0 * math.pi)
    shift = density / (0.5 * math.erfc(-distance / math.sqrt(2.0))) if distance > _FARTHEST else -distance
    narrowing = shift * (shift + distance) / spread**2
    return [
        (mean + variance / spread * shift, variance * (1.0 - variance * narrowing)),
        (other_mean - other_variance / spread * shift, other_variance * (1.0 - other_variance * narrowing)),
    ]
