"""Facts of a model that come from its training: size, date, and the bits per weight that it was trained in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

#: Dates are counted in years from here; a model without a date has this one.
REFERENCE_YEAR = 2025.0
#: Size below which the laws of capability and of loss hold their level, billions of parameters: no smaller model was
#: measured, and the laws go on without end.
SMALLEST_B = 0.1
#: Parts of a native type's name, and bits per weight with scales; a checkpoint with 4-bit experts is known by them.
_NATIVE_BITS = (("fp4", 4.2), ("int4", 4.5), ("fp8", 8.0), ("ternary", 2.0))


class TrainedModel(Protocol):
    """Facts that the loss of a quantization depends on. Sizes in billions; ``released`` in years, as 2025.25.

    ``native_bits``: bits per weight that most of the weights were trained in; a wider quantization loses nothing.
    """

    @property
    def slug(self) -> str: ...
    @property
    def publisher(self) -> str: ...
    @property
    def released(self) -> float: ...
    @property
    def total_b(self) -> float: ...
    @property
    def active_b(self) -> float: ...
    @property
    def native_bits(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Training:
    """A :class:`TrainedModel` of facts; ``is_dated``: its release has a date.

    ``least_thinking``: relative length of the thinking that the model cannot leave out, 0 where it can answer at once.
    """

    slug: str
    publisher: str
    released: float
    is_dated: bool
    total_b: float
    active_b: float
    native_bits: float
    least_thinking: float


def training_of(facts: Mapping[str, Any]) -> Training:
    """The training of a model's facts; an unknown publisher is empty."""
    total, active = sizes_b(facts)
    return Training(
        slug=str(facts["slug"]),
        publisher=str(facts.get("publisher") or ""),
        released=year_of(facts["release_date"]) if facts.get("release_date") else REFERENCE_YEAR,
        is_dated=bool(facts.get("release_date")),
        total_b=total,
        active_b=active,
        native_bits=native_bits(str(facts.get("native_dtype") or "")),
        least_thinking=float(facts.get("least_thinking") or 0.0),
    )


def native_bits(native_dtype: str) -> float:
    """Bits per weight of a type that a model was trained in."""
    return next((bits for part, bits in _NATIVE_BITS if part in native_dtype.lower()), 16.0)


def year_of(date: str) -> float:
    """A date of the form 2025-04 or 2025-04-28 in years; the middle of the year where it is all that is known."""
    year, *rest = date.split("-")
    return int(year) + ((int(rest[0]) - 1) / 12 if rest else 0.5)


def sizes_b(facts: Mapping[str, Any]) -> tuple[float, float]:
    """Billions of parameters of a model's facts: all, and those that a token uses."""
    computed = facts.get("params_computed") or {}
    text = computed.get("text_total") or facts.get("params_exact_checkpoint") or 0
    total = float(facts.get("params_total_b") or text / 1e9)
    if not facts.get("moe"):
        return total, float(facts.get("params_active_b") or total)
    active = facts.get("params_active_b") or (computed.get("text_active") or 0) / 1e9
    return total, float(active or _active_b(facts))


def _active_b(facts: Mapping[str, Any]) -> float:
    """Billions of active parameters from the shapes: routed and shared experts, attention, embedding."""
    experts, hidden = facts["moe"], facts["hidden_size"]
    used = experts["experts_per_token"] + experts["n_shared_experts"]
    per_layer = 3 * used * experts["moe_intermediate_size"] * hidden + 4 * hidden * hidden
    return float(facts["n_layers"] * per_layer + facts["vocab_size"] * hidden) / 1e9
