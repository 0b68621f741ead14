"""Language models: facts of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strawberry

from api.catalog.records import BenchmarkResult, ModelRecord
from api.catalog.view import CatalogView
from api.graphql.catalog.quants import Quant
from api.graphql.core.connections import Connection
from api.graphql.core.enums import ReleaseDateKind
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64, PartialDate
from db.entries import specs
from estimator.structure.context import native_context_tokens


@strawberry.type(description="How a mixture-of-experts model routes tokens.")
class MixtureOfExperts:
    expert_count: int = strawberry.field(description="Routed experts per layer.")
    experts_per_token: int | None = strawberry.field(
        description="Routed experts that run for each token; null when unknown."
    )
    shared_expert_count: int = strawberry.field(description="Experts that run for every token.")
    layer_count: int = strawberry.field(description="Layers with routed experts.")


@strawberry.type(description="How a model attends.")
class Attention:
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


@strawberry.type(description="A longer context by scaled positions.")
class ContextExtension:
    tokens: int = strawberry.field(description="Context with it, tokens.")
    method: str = strawberry.field(description="Method, such as `yarn` or `llama3`.")
    factor: float | None = strawberry.field(description="Factor by which positions are scaled; null when unknown.")
    original_tokens: int | None = strawberry.field(description="Context before it, tokens; null when unknown.")
    is_applied: bool = strawberry.field(
        description="Whether the published configuration has it; where it has not, an engine must be told."
    )
    source: str = strawberry.field(description="Where it is stated.")


@strawberry.type(description="A published benchmark result of a model.")
class Benchmark:
    name: str = strawberry.field(description="Name of the benchmark.")
    value: float | None = strawberry.field(description="Result as published, mostly percent; null when not a number.")
    setting: str | None = strawberry.field(description="Conditions, such as the number of shots.")
    source: str | None = strawberry.field(description="Where it was published.")

    @classmethod
    def of(cls, result: BenchmarkResult) -> Benchmark:
        """The GraphQL object of a result."""
        return cls(name=result.name, value=result.value, setting=result.setting, source=result.source)


@strawberry.type(description="A benchmark that results of models in the catalog are known of.")
class BenchmarkSummary:
    name: str = strawberry.field(description="Name of the benchmark, as `rankedModels` takes it.")
    settings: list[str] = strawberry.field(
        description="Conditions that its results state; each compares with itself alone."
    )
    model_count: int = strawberry.field(description="Models with a result.")


def benchmarks_of(view: CatalogView) -> list[BenchmarkSummary]:
    """The benchmarks of a view's models, by name; made once by ``view.derived(benchmarks_of)``."""
    results = [(result, model.slug) for model in view.models for result in model.benchmarks]
    names = sorted({result.name for result, _ in results}, key=str.casefold)
    return [
        BenchmarkSummary(
            name=name,
            settings=sorted({result.setting for result, _ in results if result.name == name and result.setting}),
            model_count=len({slug for result, slug in results if result.name == name}),
        )
        for name in names
    ]


@strawberry.type(description="An open-weight language model.")
class Model(Node):
    slug: str = strawberry.field(description="Name in URLs and arguments, such as `kimi-linear-48b-a3b`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    family: str | None = strawberry.field(description="Family, such as `Kimi Linear`.")
    publisher: str | None = strawberry.field(description="Who published the weights.")
    license: str | None = strawberry.field(description="Licence identifier; null when unknown.")
    release_date: PartialDate | None = strawberry.field(
        description="Date of first release, as precisely as known; `releaseDateKind` says of what it is the date."
    )
    release_date_kind: ReleaseDateKind | None = strawberry.field(
        description="The event that `releaseDate` is the date of; null without a date."
    )
    hugging_face_repository: str | None = strawberry.field(description="Repository of the original weights.")
    gguf_repository: str | None = strawberry.field(description="Repository of GGUF files, where one is known.")
    ollama_tag: str | None = strawberry.field(description="Tag in Ollama's library, where one is known.")
    modalities: list[str] = strawberry.field(description="Inputs that the model reads, such as `text` and `image`.")
    parameter_count: Int64 | None = strawberry.field(
        description="Parameters of the checkpoint, exact where it is known."
    )
    active_parameter_count: Int64 | None = strawberry.field(
        description="Parameters that take part in one token; equal to all of them for a dense model."
    )
    context_tokens: int | None = strawberry.field(
        description="Longest context of the model as it is published, in tokens."
    )
    native_context_tokens: int | None = strawberry.field(
        description="Context without scaled positions, in tokens; null when unknown."
    )
    context_extension: ContextExtension | None = strawberry.field(
        description="Method that extends the native context, applied or not; null where none is known."
    )
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
    note: str | None = strawberry.field(description="Further remarks; null for none.")
    missing_facts: list[str] = strawberry.field(
        description="Facts that an estimate needs and that nobody has published; empty when estimates can be made."
    )

    @strawberry.field(description="Quantizations that the model's weights can be had in, with exact sizes.")
    async def quants(self, info: strawberry.Info) -> list[ModelQuant]:
        if self.missing_facts:
            return []
        context = info.context
        return [
            ModelQuant(
                quant=context.faces.of(quant),
                model=self,
                file_size_bytes=Int64(file_size),
                weights_bytes=Int64(weights),
                bits_per_weight=None if not self.parameter_count else round(weights * 8 / self.parameter_count, 3),
            )
            for quant, file_size, weights in await context.loaders.sizes_of(self.slug)
        ]


@strawberry.type(description="A model in one quantization.")
class ModelQuant:
    quant: Quant = strawberry.field(description="The quantization.")
    model: Model = strawberry.field(description="The model.")
    file_size_bytes: Int64 = strawberry.field(description="Size of the file or files to download, bytes.")
    weights_bytes: Int64 = strawberry.field(description="Bytes of weights that a load reads, metadata left out.")
    bits_per_weight: float | None = strawberry.field(
        description="File bits per parameter; null when parameters are unknown."
    )


@strawberry.type(description="One page of models.")
class ModelConnection(Connection[Model]):
    """Page of models."""


def model_of(record: ModelRecord) -> Model:
    """The GraphQL object of a model."""
    entry = record.entry
    parameters = _parameters(entry)
    return Model(
        id=strawberry.ID(encode_id("Model", record.slug)),
        slug=record.slug,
        name=record.name,
        aliases=record.aliases,
        family=entry.get("family"),
        publisher=entry.get("publisher"),
        license=entry.get("license"),
        release_date=entry.get("release_date"),
        release_date_kind=ReleaseDateKind(kind) if (kind := entry.get("release_date_kind")) else None,
        hugging_face_repository=entry.get("hf_repo"),
        gguf_repository=entry.get("gguf_repo"),
        ollama_tag=entry.get("ollama_tag"),
        modalities=list(entry.get("modalities") or ()),
        parameter_count=parameters,
        active_parameter_count=_active_parameters(entry, parameters),
        context_tokens=entry.get("context_length"),
        native_context_tokens=native_context_tokens(entry),
        context_extension=_extension(entry),
        layer_count=entry.get("n_layers"),
        hidden_size=entry.get("hidden_size"),
        vocabulary_size=entry.get("vocab_size"),
        architecture=entry.get("architecture"),
        native_type=entry.get("native_dtype"),
        attention=_attention(entry),
        mixture_of_experts=_experts(entry),
        benchmarks=[Benchmark.of(result) for result in record.benchmarks],
        verified=bool(entry.get("verified")),
        verification=entry.get("verification"),
        unverified_facts=list(specs.unverified_fields(entry)),
        sources=record.sources,
        note=entry.get("note"),
        missing_facts=list(record.missing_facts),
    )


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


def _extension(entry: Mapping[str, Any]) -> ContextExtension | None:
    stated = entry.get("context_extension")
    return (
        None
        if stated is None
        else ContextExtension(
            is_applied=stated["applied"], **{key: value for key, value in stated.items() if key != "applied"}
        )
    )


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
