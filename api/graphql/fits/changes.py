"""Advice: a change, what it gains, and the setup after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.answers.model_files import CUSTOM
from api.answers.story import PlanAnswers
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.quants import Quant
from api.graphql.core.described import describe
from api.graphql.core.enums import CacheType, FitStatus
from api.graphql.core.scalars import Int64
from estimator.advice.changes import Advice, AdviceCode
from estimator.fit_facts import FitFacts
from estimator.types import EstimateRequest

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView
    from api.graphql.choices.estimates import Estimate

describe(
    AdviceCode,
    "AdviceCode",
    "Kind of change.",
    {
        "OTHER_QUANT": "Another quantization.",
        "PLANNED_OFFLOAD": "Another split between device and host.",
        "QUANTIZED_KV_CACHE": "A quantized KV cache.",
        "LESS_CONTEXT": "A shorter context.",
        "MORE_HOST_MEMORY": "More or faster host memory.",
        "SECOND_GPU": "A second accelerator of the same kind.",
        "GPU_UPGRADE": "Another accelerator.",
        "NOTHING_NEEDED": "The setup meets its use; no change helps.",
    },
)


@strawberry.type(description="What a change gains: changed less present; null where one of the two does not run.")
class FitGain:
    """Computed by the estimator on the changed setup."""

    status_after: FitStatus = strawberry.field(description="Outcome after the change.")
    decode_tokens_per_second: float | None = strawberry.field(
        description="Difference in decode speed, tokens per second.",
    )
    ttft_ms: float | None = strawberry.field(description="Difference in time to the first token, milliseconds.")
    safe_context_tokens: int | None = strawberry.field(description="Difference in safe context, tokens.")
    headroom_bytes: Int64 = strawberry.field(description="Difference in free device memory, bytes.")
    score: float = strawberry.field(description="Difference in score, points.")


@strawberry.type(
    description="What to change, in the names of `EstimateInput`: the question of this setup with these put in is the setup "
    "after the change. What stays as it is, is null."
)
class FitChange:
    """Only what differs from the present setup."""

    quant: Quant | None = strawberry.field(description="The quantization.")
    gpu: Gpu | None = strawberry.field(description="The accelerator.")
    gpu_count: int | None = strawberry.field(description="How many of the accelerator.")
    host: Host | None = strawberry.field(description="The host profile.")
    kv_cache_type: CacheType | None = strawberry.field(description="Element type of the KV cache.")
    context_tokens: int | None = strawberry.field(description="Context to allocate, tokens.")
    gpu_layers: int | None = strawberry.field(description="Layers on the device, as llama.cpp's `-ngl`.")
    cpu_moe_layers: int | None = strawberry.field(description="Layers whose experts stay on the host.")
    left_out: list[str] = strawberry.field(
        description="Fields of `EstimateInput` that the question had and no longer has; empty for a published fit."
    )


@strawberry.type(description="One change that helps.")
class FitAdvice:
    """Code, sentence, change, computed gain, and the setup after it."""

    code: AdviceCode = strawberry.field(description="Kind of change.")
    message: str = strawberry.field(description="One sentence: what to change, and what it brings.")
    gain: FitGain = strawberry.field(description="What it gains.")
    change: FitChange | None = strawberry.field(description="What to change; null when nothing is.")
    made: strawberry.Private[Advice]
    answers: strawberry.Private[PlanAnswers]

    @strawberry.field(description="The setup after the change: its numbers, commands and limits.")
    def estimate(self) -> Annotated[Estimate, strawberry.lazy("api.graphql.choices.estimates")]:
        """Setup after the change."""
        from api.graphql.choices.estimates import estimate_of_plan

        return estimate_of_plan(self.answers.view, self.answers.after(self.made))


def advice_of(
    answers: PlanAnswers, budget_usd: float | None = None, max_power_watts: float | None = None
) -> list[FitAdvice]:
    """Changes that help, best first; purchases within the limits."""
    return [
        FitAdvice(
            code=one.code,
            message=one.message,
            gain=FitGain(
                status_after=one.gain.status_after,
                decode_tokens_per_second=one.gain.decode_tok_s,
                ttft_ms=one.gain.ttft_ms,
                safe_context_tokens=one.gain.safe_context_tokens,
                headroom_bytes=Int64(one.gain.headroom_bytes),
                score=one.gain.score,
            ),
            change=_change_of(answers.view, answers.facts, one),
            made=one,
            answers=answers,
        )
        for one in answers.advice_within(budget_usd, max_power_watts)
    ]


def _change_of(view: CatalogView, facts: FitFacts, one: Advice) -> FitChange | None:
    if one.code is AdviceCode.NOTHING_NEEDED:
        return None
    before, after, placement = facts.request, one.request, one.after.placement

    def changed(name: str) -> Any:
        value = getattr(after, name)
        return None if value == getattr(before, name) else value

    def named(kind: str, name: str) -> Any:
        thing = changed(name)
        return None if thing is None else view.by_slug(kind, thing.slug)

    splits = one.code is AdviceCode.PLANNED_OFFLOAD
    gpu, gpu_count = named("gpu", "accelerator"), changed("gpu_count")
    # A list of accelerators has no count to change: it is replaced by one accelerator and its count.
    unlisted = bool(facts.accelerators) and (gpu is not None or gpu_count is not None)
    if unlisted:
        gpu, gpu_count = view.by_slug("gpu", after.accelerator.slug), after.gpu_count
    return FitChange(
        quant=named("quant", "quant"),
        gpu=gpu,
        gpu_count=gpu_count,
        host=named("host", "host"),
        kv_cache_type=changed("kv_cache_type"),
        context_tokens=changed("context_tokens"),
        gpu_layers=placement.gpu_layers if splits else None,
        cpu_moe_layers=placement.cpu_moe_layers if splits else None,
        left_out=[*_left_out(before, after, splits=splits), *(["gpus"] if unlisted else [])],
    )


def _left_out(before: EstimateRequest, after: EstimateRequest, *, splits: bool) -> list[str]:
    names = ["backend"] if splits else ["gpu_layers", "cpu_moe_layers", "backend"]
    found = [name for name in names if getattr(before, name) is not None and getattr(after, name) is None]
    if before.accelerator.slug == CUSTOM and after.accelerator.slug != CUSTOM:
        found.append("gpu_facts")
    if before.host is not None and before.host != after.host and before.host.slug == CUSTOM:
        found += ["host_memory_gb", "host_bandwidth_gbps"]
    return [to_camel_case(name) for name in found]
