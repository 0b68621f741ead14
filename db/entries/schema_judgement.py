"""Strict shapes of the facts behind a choice: benchmarks, results, post-training, measured divergences, computers, prices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from db.entries.schema import Count, Date, Name, Positive, Shape, Slug, Sources, Text

Kind = Literal["general", "coding", "agentic", "reasoning", "long_context"]
Percent = Annotated[float, Field(ge=0, le=100)]


class BenchmarkFile(Shape):
    """A benchmark of one version and harness. ``chance`` and ``ceiling`` in percent; null on the Elo scale."""

    slug: Slug
    name: Name
    version: Name | None
    kind: Kind
    family: Slug
    scale: Literal["percent", "index", "elo"]
    chance: Percent | None
    ceiling: Percent | None
    questions: Count | None
    notes: Text | None
    source: Text

    @model_validator(mode="after")
    def _levels(self) -> BenchmarkFile:
        if (self.scale == "elo") != (self.chance is None) or (self.chance is None) != (self.ceiling is None):
            raise ValueError("chance and ceiling must both be set, or both null when the scale is elo")
        if self.chance is not None and self.ceiling is not None and self.chance >= self.ceiling:
            raise ValueError("ceiling must be above chance")
        return self


class ResultRow(Shape):
    """A published score. ``model_slug`` is null for models outside the catalog: they tie benchmarks together."""

    benchmark: Slug
    model_slug: Slug | None
    model_name: Name
    mode: Literal["plain", "thinking", "base", "unstated"]
    setting: Text | None
    value: Annotated[float, Field(ge=0, le=5000)]
    date: Date | None
    measured_by: Literal["vendor", "independent"]
    source: Text
    note: Text | None


class ThinkingLength(Shape):
    """Tokens that a model thinks for, relative to the middle of open models that think."""

    value: Positive
    source: Text


class PostTraining(Shape):
    """How a model was trained after its pretraining: whether it thinks, is a chat model, has a specialty, a parent.

    ``source`` is of all fields but those that ``recalled`` lists; it is null where nothing was read.
    """

    slug: Slug
    thinking: Literal["never", "hybrid", "always"]
    tuning: Literal["chat", "base"]
    specialty: Literal["coder", "mathematics"] | None
    parent: Slug | None
    thinking_length: ThinkingLength | None
    recalled: list[Literal["thinking", "tuning", "specialty", "parent"]]
    source: Text | None


class ResultSource(Shape):
    """Owner and terms of the results of one file."""

    slug: Slug
    name: Text
    url: Text
    licence: Name | None
    notes: Text | None


class MeasuredLoss(Shape):
    """Fields that measured losses of weights and of caches share."""

    model_slug: Slug | None
    model_name: Name
    publisher: Name | None
    total_b: Positive | None
    metric: Name
    value: float
    baseline_value: float | None
    dataset: Text | None
    context_tokens: Count | None
    date: Annotated[str, Field(pattern=r"^\d{4}(?:-\d{2})?(?:\.\.\d{4}-\d{2})?$")] | None
    engine: Text | None
    source: Text
    note: Text | None
    suspect: Text | None


class QuantLossRow(MeasuredLoss):
    """Loss of a quantization. ``family`` and ``type`` name its form; ``pure``: all tensors in one type."""

    active_b: Positive | None
    quant: Name
    family: Slug | None
    type: Name | None
    pure: bool
    bits_per_weight: Annotated[float, Field(gt=0.5, le=40)] | None
    imatrix: bool | None
    baseline_quant: Name | None

    @model_validator(mode="after")
    def _form(self) -> QuantLossRow:
        if (self.family is None) != (self.type is None):
            raise ValueError("family and type must both be set, or both null")
        if self.metric.startswith("kld") and self.value < 0 and self.suspect is None:
            raise ValueError("a divergence cannot be negative; set suspect to the reason")
        return self


class CacheLossRow(MeasuredLoss):
    """Loss of a KV-cache type."""

    weights_quant: Name | None
    k_type: Name
    v_type: Name
    bits_per_value: Positive | None
    baseline_kv: Name | None


KindOfPrice = Literal["msrp", "street_new", "street_used", "system", "cloud_hour"]


class ComputerFile(Shape):
    """A computer. ``gpu`` is its built-in accelerator; ``host`` the profile of one that takes cards."""

    slug: Slug
    name: Name
    aliases: list[Name]
    maker: Slug
    form: Literal["desktop", "workstation", "server", "mini", "laptop", "developer-kit", "module"] | None
    gpu: Slug | None
    memory_gb: Positive | None
    host: Slug | None
    card_places: Annotated[int, Field(ge=0, le=16)]
    expansion_slots: Count | None
    power_supply_w: Positive | None
    discontinued: Date | None
    notes: Text | None
    source: Sources


class BoardFacts(Shape):
    """The reference board of an accelerator."""

    form: Literal["card", "sxm", "oam", "mxm", "built-in"] | None
    slots: Annotated[int, Field(ge=1, le=4)] | None
    suggested_supply_w: Positive | None
    length_mm: Positive | None
    connectors: Name | None
    cooling: Literal["passive", "active"] | None
    source: Text


class PriceRow(Shape):
    """One price of one source; ``what`` is the exact configuration."""

    kind: KindOfPrice
    usd: Positive
    usd_low: Positive | None
    usd_high: Positive | None
    derived: Text | None
    region: Name
    what: Text
    spot: bool
    date: Date | None
    source: Text
    note: Text | None
    suspect: bool


class PriceFile(Shape):
    """Prices of one accelerator or one computer; its slug is theirs."""

    slug: Slug
    name: Name
    aliases: list[Name]
    gpu: Slug | None
    computer: Slug | None
    board: BoardFacts | None
    prices: list[PriceRow]
