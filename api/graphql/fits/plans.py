"""Plans in any settings: the estimate of a plan, and the advised changes, each with the estimate after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.answers.files.models import CUSTOM
from api.answers.story import PlanAnswers
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.core.described import describe
from api.graphql.core.enums import BackendKind, FitStatus
from api.graphql.core.scalars import Int64
from api.graphql.fits.figures import EstimateDevice, EstimateSpeculation, FitMemory, FitPlacement, SpeedEstimate
from api.graphql.fits.serving import FitServing, serving_of
from api.graphql.fits.texts import (
    FitCommand,
    FitLimit,
    FitScorePart,
    MissingCommand,
    commands_of,
    limits_of,
    missing_from,
    score_parts_of,
)
from estimator.advice.search import Advice, AdviceCode
from estimator.fit_facts import FitFacts
from estimator.structure.stored import StoredQuant
from estimator.types import CacheType, EstimateRequest, OperatingMode
from estimator.usability import Usability
from estimator.verdict import word_of

T_ = TypeVar("T_")
#: The estimator states these only for the model alone on one kind of accelerator.
_PLAIN_ONLY = "; null for accelerators that differ, a draft model or a vision projector."
Mode = Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")]


@strawberry.type(description="The answer to one question.")
class Estimate:
    model: Model | None = strawberry.field(description="The model; null for one that the question brought along.")
    gpu: Gpu | None = strawberry.field(
        description="The accelerator, or the first of several; null for one that the question brought along."
    )
    quant: Quant = strawberry.field(description="The quantization.")
    engine: Engine | None = strawberry.field(description="The engine; null when none runs it.")
    backend: BackendKind | None = strawberry.field(description="The interface that the engine uses.")
    status: FitStatus = strawberry.field(description="Outcome.")
    file_size_bytes: Int64 = strawberry.field(description="Size of the weights file, bytes.")
    memory: FitMemory = strawberry.field(description="Memory of the load.")
    placement: FitPlacement = strawberry.field(description="Layers and experts on the device and on the host.")
    decode: SpeedEstimate | None = strawberry.field(
        description="Speed of answer tokens of one sequence; null when it cannot run."
    )
    prefill: SpeedEstimate | None = strawberry.field(
        description="Speed of reading the prompt; null when it cannot run, or the accelerator's arithmetic peak is unknown."
    )
    ttft_ms: float | None = strawberry.field(
        description="Time to the first token after the prompt, milliseconds; null where `prefill` is."
    )
    safe_context_tokens: int = strawberry.field(description="Longest context that fits without (more) offload, tokens.")
    context_tokens: int = strawberry.field(description="Context that was allocated, tokens.")
    score: float = strawberry.field(description="0 to 100.")
    grade: str = strawberry.field(description="Letter of the score.")
    usability: Usability = strawberry.field(description="Whether the setup can be used for the workload.")
    devices: list[EstimateDevice] = strawberry.field(
        description="Load of each of several accelerators; empty for one, or when nothing runs."
    )
    speculation: EstimateSpeculation | None = strawberry.field(
        description="Effect of the draft model; null without one, or when nothing runs."
    )
    notes: list[str] = strawberry.field(description="Parts that the numbers leave out, in words; empty for none.")
    workload: Workload | None = strawberry.field(description="The workload asked about; null for none.")
    answers: strawberry.Private[PlanAnswers]
    faces: strawberry.Private[Faces]

    @strawberry.field(description="The verdict in a few words.")
    def headline(self) -> str:
        return self.answers.headline

    @strawberry.field(description="The verdict in one or two sentences, with the numbers.")
    async def summary(self) -> str:
        return await asyncio.to_thread(lambda: self.answers.summary)

    @strawberry.field(description=f"How much memory is missing or left, in words{_PLAIN_ONLY}")
    async def capacity_message(self) -> str | None:
        return await self._told(lambda answers: answers.capacity_message)

    @strawberry.field(description=f"Limits of this setup, each with its share of the memory or the time{_PLAIN_ONLY}")
    async def limits(self) -> list[FitLimit] | None:
        return await self._told(limits_of)

    @strawberry.field(description="The terms that made the score; empty without a workload, or when nothing runs.")
    async def score_parts(self, mode: Mode = OperatingMode.BALANCED) -> list[FitScorePart]:
        return await asyncio.to_thread(score_parts_of, self.answers, mode)

    @strawberry.field(
        description="Changes that help, best first, each with its computed gain; searched is what `Fit.advice` says"
        f"{_PLAIN_ONLY}"
    )
    async def advice(
        self,
        budget_usd: Annotated[
            float | None, strawberry.argument(description="Most that a purchase may cost, US dollars.")
        ] = None,
        max_power_watts: Annotated[
            float | None, strawberry.argument(description="Most design power of the accelerators, watts.")
        ] = None,
    ) -> list[FitAdvice] | None:
        return await self._told(lambda answers: advice_of(answers, self.faces, budget_usd, max_power_watts))

    @strawberry.field(
        description="The setup as a server for many people; null without a workload, and when not even one stream is whole on "
        f"the accelerators{_PLAIN_ONLY}"
    )
    async def serving(self) -> FitServing | None:
        return await self._told(lambda answers: serving_of(answers, self.faces))

    @strawberry.field(
        description="Commands that start this very plan; empty when nothing runs or no engine can be told."
    )
    def commands(self) -> list[FitCommand]:
        return commands_of(self.answers)

    @strawberry.field(description="Tools of the engine that have no command for this plan, and why. At most 4.")
    def missing_commands(self) -> list[MissingCommand]:
        return missing_from(self.answers.missing_commands)

    async def _told(self, read: Callable[[PlanAnswers], T_]) -> T_ | None:
        """A text of the plan, made in a thread; None where the estimator does not separate the terms."""
        if not self.answers.facts.is_plain:
            return None
        return await asyncio.to_thread(read, self.answers)


describe(
    AdviceCode,
    "AdviceCode",
    "Kind of change.",
    {
        "FLASH_ATTENTION": "Flash attention on.",
        "PLANNED_OFFLOAD": "Another split between device and host.",
        "LARGER_MICRO_BATCH": "More prompt tokens a step, so that weights in host memory are copied over less often.",
        "QUANTIZED_KV_CACHE": "A quantized KV cache.",
        "WIRED_LIMIT": "A higher GPU memory limit of macOS.",
        "OTHER_QUANT": "Another quantization.",
        "LESS_CONTEXT": "A shorter context.",
        "OTHER_MODEL": "Another model, smaller or larger.",
        "MORE_HOST_MEMORY": "More host memory.",
        "SECOND_GPU": "A second accelerator of the same kind.",
        "GPU_UPGRADE": "Another accelerator.",
        "NOTHING_NEEDED": "The setup meets its use; no change helps.",
    },
)


@strawberry.type(description="Gain of a change: changed less present; null where one of the two does not run.")
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
    rating_points: float | None = strawberry.field(
        description="Difference in rating on the scale of capability: how good the answers are, less charges for time and "
        "for a full memory, as in recommendations of the balanced mode; null where the present setup does not run or the "
        "capability of its model is unknown."
    )


@strawberry.type(
    description="A change in the names of `EstimateInput`: the question of this setup with these values is the setup after "
    "the change. Unchanged fields are null."
)
class FitChange:
    model: Model | None = strawberry.field(description="The model.")
    quant: Quant | None = strawberry.field(description="The quantization.")
    gpu: Gpu | None = strawberry.field(description="The accelerator.")
    gpu_count: int | None = strawberry.field(description="How many of the accelerator.")
    host_memory_gb: float | None = strawberry.field(description="Memory of the host, GiB.")
    kv_cache_type: CacheType | None = strawberry.field(description="Element type of the KV cache.")
    context_tokens: int | None = strawberry.field(description="Context to allocate, tokens.")
    micro_batch: int | None = strawberry.field(description="Prompt tokens a step, as llama.cpp's `-ub`.")
    wired_limit_mb: int | None = strawberry.field(description="GPU memory limit of a Mac, MiB.")
    gpu_layers: int | None = strawberry.field(description="Layers on the device, as llama.cpp's `-ngl`.")
    cpu_moe_layers: int | None = strawberry.field(description="Layers whose experts stay on the host.")
    left_out: list[str] = strawberry.field(
        description="Fields of `EstimateInput` that the new question must not have; empty for a published fit."
    )


@strawberry.type(description="One change that helps.")
class FitAdvice:
    code: AdviceCode = strawberry.field(description="Kind of change.")
    message: str = strawberry.field(description="One sentence: what to change, and what it brings.")
    gain: FitGain = strawberry.field(description="Gain of the change.")
    change: FitChange | None = strawberry.field(description="The change; null for none.")
    made: strawberry.Private[Advice]
    answers: strawberry.Private[PlanAnswers]
    faces: strawberry.Private[Faces]

    @strawberry.field(description="The setup after the change: its numbers, commands and limits.")
    def estimate(self) -> Estimate:
        return estimate_of_plan(self.faces, self.answers.after(self.made))


def advice_of(
    answers: PlanAnswers, faces: Faces, budget_usd: float | None = None, max_power_watts: float | None = None
) -> list[FitAdvice]:
    """Changes that help, best first; purchases within the limits."""
    return [
        FitAdvice(
            code=advice.code,
            message=advice.message,
            gain=FitGain(
                status_after=advice.gain.status_after,
                decode_tokens_per_second=advice.gain.decode_tok_s,
                ttft_ms=advice.gain.ttft_ms,
                safe_context_tokens=advice.gain.safe_context_tokens,
                headroom_bytes=Int64(advice.gain.headroom_bytes),
                score=advice.gain.score,
                rating_points=advice.gain.rating_points,
            ),
            change=_change_of(faces, answers.facts, advice),
            made=advice,
            answers=answers,
            faces=faces,
        )
        for advice in answers.advice_within(budget_usd, max_power_watts)
    ]


def _change_of(faces: Faces, facts: FitFacts, advice: Advice) -> FitChange | None:
    if advice.code is AdviceCode.NOTHING_NEEDED:
        return None
    before, after, placement = facts.request, advice.request, advice.after.placement

    def changed(name: str) -> Any:
        value = getattr(after, name)
        return None if value == getattr(before, name) else value

    def named(kind: str, name: str) -> Any:
        thing = changed(name)
        return None if thing is None else faces.by_slug(kind, thing.slug)

    splits = advice.code is AdviceCode.PLANNED_OFFLOAD
    gpu, gpu_count = named("gpu", "accelerator"), changed("gpu_count")
    # A list of accelerators has no count to change: it is replaced by one accelerator and its count.
    unlisted = bool(facts.accelerators) and (gpu is not None or gpu_count is not None)
    if unlisted:
        gpu, gpu_count = faces.by_slug("gpu", after.accelerator.slug), after.gpu_count
    same_model = advice.model is facts.model
    limit, memory = changed("wired_limit_bytes"), None if after.host == before.host else after.host
    return FitChange(
        model=None if same_model else faces.by_slug("model", advice.model.slug),
        quant=named("quant", "quant"),
        gpu=gpu,
        gpu_count=gpu_count,
        host_memory_gb=None if memory is None else memory.memory_bytes / 1024**3,
        kv_cache_type=changed("kv_cache_type"),
        context_tokens=changed("context_tokens"),
        micro_batch=changed("micro_batch_tokens"),
        wired_limit_mb=None if limit is None else limit // 1024**2,
        gpu_layers=placement.gpu_layers if splits else None,
        cpu_moe_layers=placement.cpu_moe_layers if splits else None,
        left_out=[
            *([] if same_model else _model_files(facts)),
            *_left_out(before, after, splits=splits),
            *(["gpus"] if unlisted else []),
        ],
    )


def _model_files(facts: FitFacts) -> list[str]:
    """Fields that may stand for a model of one's own, or for its files."""
    named = ["modelConfig", "modelGguf", "modelUrl"] if facts.model.slug == CUSTOM else []
    return [*named, "modelIndex"] if isinstance(facts.quant, StoredQuant) else named


def _left_out(before: EstimateRequest, after: EstimateRequest, *, splits: bool) -> list[str]:
    names = ["flash_attention", "backend", "wired_limit_bytes"]
    if not splits:
        names = ["gpu_layers", "cpu_moe_layers", *names]
    if after.kv_cache_type is not before.kv_cache_type:
        # One type of both replaces one of each.
        names = ["v_cache_type", *names]
    found = [name for name in names if getattr(before, name) is not None and getattr(after, name) is None]
    if before.accelerator.slug == CUSTOM and after.accelerator.slug != CUSTOM:
        found.append("gpu_facts")
    return [to_camel_case("wired_limit_mb" if name == "wired_limit_bytes" else name) for name in found]


def estimate_of_plan(faces: Faces, facts: FitFacts) -> Estimate:
    """The GraphQL object of a plan."""
    estimate, workload = facts.estimate, facts.workload
    return Estimate(
        model=faces.by_slug("model", facts.model.slug),
        gpu=faces.by_slug("gpu", facts.accelerator.slug),
        quant=faces.by_slug("quant", facts.quant.slug),
        engine=faces.engine_by_kind.get(estimate.engine) if estimate.engine is not None else None,
        backend=estimate.backend,
        status=estimate.status,
        file_size_bytes=Int64(estimate.file_size_bytes),
        memory=FitMemory.of(estimate.memory),
        placement=FitPlacement.of(estimate.placement),
        decode=SpeedEstimate.of(estimate.decode),
        prefill=SpeedEstimate.of(estimate.prefill),
        ttft_ms=estimate.ttft_ms,
        safe_context_tokens=estimate.safe_context_tokens,
        context_tokens=estimate.context_tokens,
        score=estimate.score,
        grade=estimate.grade,
        usability=word_of(estimate.score),
        devices=[],
        speculation=None,
        notes=[],
        workload=None if workload is None else faces.by_slug("workload", workload.slug),
        answers=PlanAnswers(faces.view, facts),
        faces=faces,
    )
