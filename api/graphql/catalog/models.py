"""Language models: facts of the catalog, filters, orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.catalog.search import relevance
from api.graphql.core.arguments import fits_field
from api.graphql.core.connections import Connection
from api.graphql.core.described import describe
from api.graphql.core.enums import OrderDirection
from api.graphql.core.ids import encode_id
from api.graphql.core.inputs import (
    DateRange,
    Int64Range,
    IntRange,
    StringSet,
    check_dates,
    check_range,
    folded,
    in_dates,
    in_range,
)
from api.graphql.core.node import Node
from api.graphql.core.scalars import Date, Int64

if TYPE_CHECKING:
    from api.graphql.catalog.quants import ModelQuant


@strawberry.type(description="How a mixture-of-experts model routes tokens.")
class MixtureOfExperts:
    """Counts of routed and shared experts."""

    expert_count: int = strawberry.field(description="Routed experts per layer.")
    experts_per_token: int | None = strawberry.field(
        description="Routed experts that run for each token; null when unknown."
    )
    shared_expert_count: int = strawberry.field(description="Experts that run for every token.")
    layer_count: int = strawberry.field(description="Layers with routed experts.")


@strawberry.type(description="How a model attends.")
class Attention:
    """Kinds of layers, as the catalog states them."""

    kind: str | None = strawberry.field(description="Kind of attention, in words.")
    layer_pattern: str | None = strawberry.field(
        description="One letter a layer: F full, S sliding window, C chunked, I indexed, L linear, M Mamba, "
        "P parallel attention and Mamba, V short convolution, X cross-attention, N none."
    )
    sliding_window_tokens: int | None = strawberry.field(
        description="Window of sliding layers in tokens; null for none."
    )
    head_count: int | None = strawberry.field(description="Query heads per layer; null when unknown.")
    key_value_head_count: int | None = strawberry.field(description="Key and value heads per layer; null when unknown.")


@strawberry.type(description="A published benchmark result of a model.")
class Benchmark:
    """A number with its source."""

    name: str = strawberry.field(description="Name of the benchmark.")
    value: float | None = strawberry.field(description="Result as published, mostly percent; null when not a number.")
    setting: str | None = strawberry.field(description="Conditions, such as the number of shots.")
    source: str | None = strawberry.field(description="Where it was published.")


@strawberry.type(description="An open-weight language model.")
class Model(Node):
    """Facts of one model; unknown ones are null."""

    slug: str = strawberry.field(description="Name in URLs and arguments, such as `kimi-linear-48b-a3b`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    family: str | None = strawberry.field(description="Family, such as `Kimi Linear`.")
    publisher: str | None = strawberry.field(description="Who published the weights.")
    license: str | None = strawberry.field(description="Licence identifier; null when unknown.")
    release_date: Date | None = strawberry.field(description="Date of first release, as precisely as known.")
    hugging_face_repository: str | None = strawberry.field(description="Repository of the original weights.")
    gguf_repository: str | None = strawberry.field(description="Repository of GGUF files, where one is known.")
    ollama_tag: str | None = strawberry.field(description="Tag in Ollama's library, where one is known.")
    modalities: list[str] = strawberry.field(description="What the model reads, such as `text` and `image`.")
    parameter_count: Int64 | None = strawberry.field(
        description="Parameters of the checkpoint, exact where it is known."
    )
    active_parameter_count: Int64 | None = strawberry.field(
        description="Parameters that take part in one token; equal to all of them for a dense model."
    )
    context_tokens: int | None = strawberry.field(description="Longest context the model was made for, in tokens.")
    layer_count: int | None = strawberry.field(description="Number of layers.")
    hidden_size: int | None = strawberry.field(description="Width of the residual stream, in elements.")
    vocabulary_size: int | None = strawberry.field(description="Tokens in the vocabulary.")
    architecture: str | None = strawberry.field(description="Architecture class of its configuration.")
    native_type: str | None = strawberry.field(description="Element type of the published weights, such as `BF16`.")
    attention: Attention = strawberry.field(description="Attention layers.")
    mixture_of_experts: MixtureOfExperts | None = strawberry.field(
        description="Routing of experts; null for a dense model."
    )
    benchmarks: list[Benchmark] = strawberry.field(description="Published benchmark results, each with its source.")
    verified: bool = strawberry.field(
        description="Whether every architecture fact came from a copy of the model's configuration."
    )
    verification: str | None = strawberry.field(description="How the facts were checked, in words.")
    unverified_facts: list[str] = strawberry.field(
        description="Facts from general knowledge, solved from others, or contradicted by sources: check "
        "before relying."
    )
    sources: list[str] = strawberry.field(description="Where the facts come from.")
    note: str | None = strawberry.field(description="What else one should know; null for nothing.")
    missing_facts: list[str] = strawberry.field(
        description="Facts that an estimate needs and that nobody has published; empty when estimates can be made."
    )
    entry: strawberry.Private[Mapping[str, Any]]

    @strawberry.field(description="Quantizations that the model's weights can be had in, with exact sizes.")
    async def quants(
        self, info: strawberry.Info
    ) -> list[Annotated[ModelQuant, strawberry.lazy("api.graphql.catalog.quants")]]:
        """Sizes from the tensor inventory."""
        from api.graphql.catalog.quants import quants_of_model

        return await quants_of_model(info.context, self)

    fits = fits_field("Fits of this model on all hardware; default order: score, best first.")


@strawberry.type(description="One page of models.")
class ModelConnection(Connection[Model]):
    """Page of models."""


@strawberry.input(description="Which models. All given parts must hold.")
class ModelFilter:
    """Typed conditions on models."""

    search: str | None = strawberry.field(
        default=None,
        description="Words of a name or alias; forgives typing errors; blank: any. At most 200 characters.",
    )
    slug: StringSet | None = strawberry.field(default=None, description="Slugs.")
    family: StringSet | None = strawberry.field(default=None, description="Families.")
    publisher: StringSet | None = strawberry.field(default=None, description="Publishers.")
    license: StringSet | None = strawberry.field(default=None, description="Licence identifiers.")
    modality: StringSet | None = strawberry.field(default=None, description="Modalities; any of them must be read.")
    parameter_count: Int64Range | None = strawberry.field(default=None, description="All parameters.")
    active_parameter_count: Int64Range | None = strawberry.field(default=None, description="Parameters per token.")
    context_tokens: IntRange | None = strawberry.field(default=None, description="Longest context, tokens.")
    release_date: DateRange | None = strawberry.field(default=None, description="Date of first release.")
    mixture_of_experts: bool | None = strawberry.field(
        default=None, description="Only mixtures of experts, or only dense ones."
    )
    verified: bool | None = strawberry.field(
        default=None, description="Only models whose facts are verified, or only others."
    )
    estimable: bool | None = strawberry.field(
        default=None, description="Only models with all facts for an estimate, or only others."
    )


class ModelOrderField(Enum):
    """Sort keys of models."""

    NAME = "name"
    SLUG = "slug"
    RELEASE_DATE = "release_date"
    PARAMETER_COUNT = "parameter_count"
    ACTIVE_PARAMETER_COUNT = "active_parameter_count"
    CONTEXT_TOKENS = "context_tokens"


describe(
    ModelOrderField,
    "ModelOrderField",
    "What models can be ordered by.",
    {
        "NAME": "Display name.",
        "SLUG": "Slug.",
        "RELEASE_DATE": "Date of first release.",
        "PARAMETER_COUNT": "All parameters.",
        "ACTIVE_PARAMETER_COUNT": "Parameters per token.",
        "CONTEXT_TOKENS": "Longest context.",
    },
)


@strawberry.input(description="One term of an order of models.")
class ModelOrder:
    """Field and direction."""

    field: ModelOrderField = strawberry.field(description="What to order by.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Direction; ascending when left out."
    )


def model_from_entry(entry: Mapping[str, Any], missing_facts: Sequence[str], unverified: Sequence[str]) -> Model:
    """The model of a catalog entry."""
    parameters = _parameters(entry)
    return Model(
        id=strawberry.ID(encode_id("Model", entry["slug"])),
        slug=entry["slug"],
        name=entry["name"],
        aliases=list(entry.get("aliases") or ()),
        family=entry.get("family"),
        publisher=entry.get("publisher"),
        license=entry.get("license"),
        release_date=entry.get("release_date"),
        hugging_face_repository=entry.get("hf_repo"),
        gguf_repository=entry.get("gguf_repo"),
        ollama_tag=entry.get("ollama_tag"),
        modalities=list(entry.get("modalities") or ()),
        parameter_count=parameters,
        active_parameter_count=_active_parameters(entry, parameters),
        context_tokens=entry.get("context_length"),
        layer_count=entry.get("n_layers"),
        hidden_size=entry.get("hidden_size"),
        vocabulary_size=entry.get("vocab_size"),
        architecture=entry.get("architecture"),
        native_type=entry.get("native_dtype"),
        attention=_attention(entry),
        mixture_of_experts=_experts(entry),
        benchmarks=_benchmarks(entry.get("benchmarks") or {}),
        verified=bool(entry.get("verified")),
        verification=entry.get("verification"),
        unverified_facts=list(unverified),
        sources=as_texts(entry.get("source")),
        note=entry.get("note"),
        missing_facts=list(missing_facts),
        entry=entry,
    )


def _slug_of(model: Model) -> list[str]:
    return [model.slug]


def _family_of(model: Model) -> list[str]:
    return [model.family] if model.family else []


def _publisher_of(model: Model) -> list[str]:
    return [model.publisher] if model.publisher else []


def _license_of(model: Model) -> list[str]:
    return [model.license] if model.license else []


def _modalities_of(model: Model) -> list[str]:
    return model.modalities


def select_models(models: Sequence[Model], wanted: ModelFilter | None) -> list[Model]:
    """Models that pass a filter, in the given order; with ``search``, best match first."""
    if wanted is None:
        return list(models)
    check_range("parameter_count", wanted.parameter_count)
    check_range("active_parameter_count", wanted.active_parameter_count)
    check_range("context_tokens", wanted.context_tokens)
    check_dates("release_date", wanted.release_date)
    active = [
        (members, read)
        for read, wanted_set in (
            (_slug_of, wanted.slug),
            (_family_of, wanted.family),
            (_publisher_of, wanted.publisher),
            (_license_of, wanted.license),
            (_modalities_of, wanted.modality),
        )
        if (members := folded(wanted_set)) is not None
    ]
    chosen = [
        model
        for model in models
        if all(any(value.casefold() in members for value in read(model)) for members, read in active)
        and in_range(model.parameter_count, wanted.parameter_count)
        and in_range(model.active_parameter_count, wanted.active_parameter_count)
        and in_range(model.context_tokens, wanted.context_tokens)
        and in_dates(model.release_date, wanted.release_date)
        and wanted.mixture_of_experts in (None, model.mixture_of_experts is not None)
        and wanted.verified in (None, model.verified)
        and wanted.estimable in (None, not model.missing_facts)
    ]
    return by_relevance(chosen, wanted.search)


def by_relevance(items: Sequence[Any], text: str | None) -> list[Any]:
    """Items whose name, slug or alias matches a text, best first; all of them for none, or one of spaces alone."""
    from api.graphql.core.inputs import MAX_TEXT, check_set

    if text is None:
        return list(items)
    check_set("search", text, MAX_TEXT)
    if not text.strip():
        return list(items)
    scored = [(relevance(text, (item.name, item.slug, *item.aliases)), item) for item in items]
    return [item for score, item in sorted(scored, key=lambda pair: -pair[0]) if score > 0]


def as_texts(value: Any) -> list[str]:
    """A text or a list of texts, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]


def _parameters(entry: Mapping[str, Any]) -> Int64 | None:
    exact = entry.get("params_exact_checkpoint") or (entry.get("params_computed") or {}).get("text_total")
    if exact is None and entry.get("params_total_b") is not None:
        exact = round(entry["params_total_b"] * 1e9)
    return None if exact is None else Int64(int(exact))


def _active_parameters(entry: Mapping[str, Any], total: Int64 | None) -> Int64 | None:
    computed = (entry.get("params_computed") or {}).get("text_active")
    if computed is not None:
        return Int64(int(computed))
    if entry.get("params_active_b") is not None:
        return Int64(round(entry["params_active_b"] * 1e9))
    return total if entry.get("moe") is None else None


def _attention(entry: Mapping[str, Any]) -> Attention:
    attention = entry.get("attention") or {}
    return Attention(
        kind=attention.get("kind"),
        layer_pattern=attention.get("layer_pattern"),
        sliding_window_tokens=attention.get("sliding_window"),
        head_count=entry.get("n_heads"),
        key_value_head_count=entry.get("n_kv_heads"),
    )


def _experts(entry: Mapping[str, Any]) -> MixtureOfExperts | None:
    moe = entry.get("moe")
    if not moe or not moe.get("n_experts"):
        return None
    return MixtureOfExperts(
        expert_count=moe["n_experts"],
        experts_per_token=moe.get("experts_per_token"),
        shared_expert_count=moe.get("n_shared_experts") or 0,
        layer_count=(entry.get("mlp_pattern") or "").count("E"),
    )


def _benchmarks(found: Mapping[str, Any]) -> list[Benchmark]:
    return [
        Benchmark(
            name=name,
            value=float(result["value"]) if isinstance(result.get("value"), int | float) else None,
            setting=result.get("setting"),
            source=result.get("source"),
        )
        for name, result in sorted(found.items())
        if isinstance(result, Mapping)
    ]
