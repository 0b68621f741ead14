"""Parts of a free estimate beyond one model on one kind of accelerator: mixed cards, a draft model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry

from api.graphql.catalog.gpus import Gpu
from api.graphql.core.scalars import Int64
from estimator.speed.mixed_gpus import DeviceLoad
from estimator.speed.speculative import Speculation

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView


@strawberry.input(
    description="Speculative decoding: a small model of the same vocabulary drafts tokens, the model checks them at once."
)
class DraftInput:
    """All four are needed: acceptance depends on both models and the text, and nobody can know it for you."""

    model: str = strawberry.field(description="Draft model, by slug or alias.")
    quant: str = strawberry.field(description="Quantization of the draft model, by slug or alias.")
    tokens: int = strawberry.field(description="Tokens that are drafted before each check, 1 to 64.")
    acceptance_rate: float = strawberry.field(
        description="Share of drafted tokens that the model accepts, 0 to 1: measure it, engines print it."
    )


@strawberry.type(description="What one of several accelerators holds. The parts of all add up to those of the load.")
class EstimateDevice:
    """Bytes of one device, in the order of the question."""

    gpu: Gpu | None = strawberry.field(description="The accelerator; null for one that the question brought along.")
    layers: int = strawberry.field(description="Layers on it, the output layer among them: a part of `--tensor-split`.")
    weights_bytes: Int64 = strawberry.field(description="Weights, bytes.")
    kv_cache_bytes: Int64 = strawberry.field(description="KV cache and recurrent state, bytes.")
    compute_bytes: Int64 = strawberry.field(description="Compute buffers, bytes.")
    overhead_bytes: Int64 = strawberry.field(
        description="Runtime context, bytes; on the first device a draft model and a vision projector too."
    )
    total_bytes: Int64 = strawberry.field(description="Sum of the four parts, bytes.")
    usable_bytes: Int64 = strawberry.field(description="What the platform lets a load use, bytes.")


@strawberry.type(description="What a draft model does to the decode speed.")
class EstimateSpeculation:
    """Formula: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023."""

    tokens_per_step: float = strawberry.field(
        description="Tokens that one check is expected to yield: (1 - a^(g+1)) / (1 - a) for a share a of g drafted ones."
    )
    speedup: float = strawberry.field(
        description="Decode speed with the draft over that without; below 1 it slows down."
    )
    plain_tokens_per_second: float = strawberry.field(description="Decode speed without the draft, tokens per second.")
    draft_tokens_per_second: float = strawberry.field(description="Speed of the draft model alone, tokens per second.")
    check_ms: float = strawberry.field(description="Time of one check of all drafted tokens, milliseconds.")


def devices_from(view: CatalogView, loads: tuple[DeviceLoad, ...]) -> list[EstimateDevice]:
    """The GraphQL objects of what each device holds."""
    return [
        EstimateDevice(
            gpu=view.by_slug("gpu", load.accelerator.slug),
            layers=load.layers,
            weights_bytes=Int64(load.weights_bytes),
            kv_cache_bytes=Int64(load.kv_cache_bytes),
            compute_bytes=Int64(load.compute_bytes),
            overhead_bytes=Int64(load.overhead_bytes),
            total_bytes=Int64(load.total_bytes),
            usable_bytes=Int64(load.usable_bytes),
        )
        for load in loads
    ]


def speculation_from(done: Speculation | None) -> EstimateSpeculation | None:
    """The GraphQL object of what a draft does."""
    if done is None:
        return None
    return EstimateSpeculation(
        tokens_per_step=done.tokens_per_step,
        speedup=done.speedup,
        plain_tokens_per_second=1.0 / done.plain_token_s,
        draft_tokens_per_second=1.0 / done.draft_token_s,
        check_ms=done.check_s * 1000.0,
    )


def draft_question(draft: DraftInput) -> dict[str, Any]:
    """The question's form of a draft."""
    return dict(vars(draft))
