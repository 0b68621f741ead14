"""Free estimates: any lengths, settings and counts, answered at once by the code behind the published fits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import strawberry
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from api.answers.questions import Answer
from api.answers.story import PlanAnswers
from api.errors import ApiError, ErrorCode, LimitExceededError, NotFoundError, QuestionError
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.choices.extras import (
    DraftInput,
    EstimateDevice,
    EstimateSpeculation,
    devices_from,
    draft_question,
    speculation_from,
)
from api.graphql.choices.fetches import Fetched, fetch
from api.graphql.core.enums import BackendKind, CacheType, EngineKind, FitStatus, OperatingMode, WorkloadKind
from api.graphql.core.errors import UserError
from api.graphql.core.scalars import Int64
from api.graphql.fits.changes import FitAdvice, advice_of
from api.graphql.fits.texts import (
    FitCommand,
    FitLimit,
    FitScorePart,
    FitServing,
    MissingCommand,
    commands_of,
    limits_of,
    missing_from,
    score_parts_of,
    serving_of,
)
from api.graphql.fits.types import FitMemory, FitPlacement, SpeedEstimate
from estimator.fit_facts import FitFacts

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView
    from api.graphql.context import RequestContext


T_ = TypeVar("T_")
#: What the estimator tells of one kind of accelerator with the model alone on it.
_PLAIN_ONLY = "; null for accelerators that differ, a draft model or a vision projector."
Mode = Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")]


@strawberry.input(description="One question. What is left out is chosen as an engine would choose it.")
class EstimateInput:
    """The keys of the command line's batch mode, in camel case."""

    quant: str | None = strawberry.field(
        default=None,
        description="Quantization, by slug or alias; may be left out for a GGUF file, which states its own.",
    )
    model: str | None = strawberry.field(
        default=None,
        description="Model, by slug or alias; or give one of `modelConfig`, `modelGguf` and `modelUrl` in its place.",
    )
    gpu: str | None = strawberry.field(
        default=None, description="Accelerator, by slug or alias; or give `gpuFacts` in its place."
    )
    model_config: JSON | None = strawberry.field(
        default=None, description="A model of one's own: the content of its `config.json`, as published with weights."
    )
    model_gguf: str | None = strawberry.field(
        default=None,
        description="A model of one's own: the header of a GGUF file in base64, at most 1,000,000 characters; the "
        "tokenizer may be left out of it, as `fitgraph gguf-header FILE` does. The weights are then the file's own, "
        "tensor by tensor, unless another quantization is asked for.",
    )
    model_url: str | None = strawberry.field(
        default=None,
        description="A model of one's own: https address of a GGUF file or a `config.json` on a host that this server's "
        "operator has listed. No more than the header is read.",
    )
    model_index: JSON | None = strawberry.field(
        default=None,
        description="Beside the model: its checkpoint's `model.safetensors.index.json`, or the header of its only "
        "safetensors file. The weights then have the bytes that it states, as AWQ, GPTQ or FP8 files really do.",
    )
    gpu_facts: JSON | None = strawberry.field(
        default=None,
        description="An accelerator of one's own: facts in the keys and units of a catalog file; at least `memory_gb`, "
        "`bandwidth_gbps` and `engines`.",
    )
    gpus: list[str] | None = strawberry.field(
        default=None,
        description="Several accelerators, equal or not, by slug or alias, in place of `gpu` and `gpuCount`; at most 64. "
        "Layers are spread over them in this order, by memory.",
    )
    draft: DraftInput | None = strawberry.field(
        default=None, description="A draft model for speculative decoding, held whole on the first accelerator."
    )
    vision: bool | None = strawberry.field(
        default=None, description="Whether the model's vision projector is loaded too; false when left out."
    )
    projector_bytes: Int64 | None = strawberry.field(
        default=None, description="Size of the vision projector's file, bytes; that of the catalog when left out."
    )
    workload: WorkloadKind | None = strawberry.field(
        default=None, description="Workload whose lengths and thresholds count where the question gives none."
    )
    host_memory_gb: float | None = strawberry.field(default=None, description="Memory of the host, GiB.")
    host_bandwidth_gbps: float | None = strawberry.field(
        default=None, description="Memory bandwidth of the host, 10^9 bytes per second."
    )
    gpu_count: int | None = strawberry.field(
        default=None, description="Equal accelerators; 1 when left out. Those that share the host's memory: 1 only."
    )
    host: str | None = strawberry.field(default=None, description="Host profile, by slug or alias.")
    engine: EngineKind | None = strawberry.field(default=None, description="Engine; the best one when left out.")
    backend: BackendKind | None = strawberry.field(default=None, description="Interface; the best one when left out.")
    prompt_tokens: int | None = strawberry.field(default=None, description="Tokens of the prompt; 512 when left out.")
    output_tokens: int | None = strawberry.field(default=None, description="Tokens of the answer; 128 when left out.")
    depth: int | None = strawberry.field(default=None, description="Tokens already in context; 0 when left out.")
    context_tokens: int | None = strawberry.field(
        default=None, description="Tokens that the KV cache is allocated for; depth, prompt and output when left out."
    )
    kv_cache_type: CacheType | None = strawberry.field(
        default=None, description="Element type of the KV cache; F16 when left out."
    )
    flash_attention: bool | None = strawberry.field(
        default=None, description="Whether flash attention is on; true when left out."
    )
    batch: int | None = strawberry.field(default=None, description="Sequences at once; 1 when left out.")
    micro_batch: int | None = strawberry.field(
        default=None,
        description="Prompt tokens per step. Left out, speeds are at the engine's own: 512 for llama.cpp, 2,048 for MLX, "
        "2,048 or 8,192 for vLLM by memory; buffers are those of 512.",
    )
    gpu_layers: int | None = strawberry.field(
        default=None, description="Layers on the device, as llama.cpp's `-ngl`; the best number when left out."
    )
    cpu_moe_layers: int | None = strawberry.field(
        default=None, description="Layers whose experts stay on the host; the best number when left out."
    )


@strawberry.type(description="The answer to one question.")
class Estimate:
    """Same numbers as a fit's, for the lengths and settings of the question."""

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
    placement: FitPlacement = strawberry.field(description="What sits where.")
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
    devices: list[EstimateDevice] = strawberry.field(
        description="What each of several accelerators holds; empty for one, or when nothing runs."
    )
    speculation: EstimateSpeculation | None = strawberry.field(
        description="What the draft model does; null without one, or when nothing runs."
    )
    notes: list[str] = strawberry.field(description="What the numbers leave out, in words; empty for nothing.")
    workload: Workload | None = strawberry.field(description="The workload asked about; null for none.")
    answers: strawberry.Private[PlanAnswers]

    @strawberry.field(description="The verdict in a few words.")
    def headline(self) -> str:
        """Verdict."""
        return self.answers.headline

    @strawberry.field(description="The verdict in one or two sentences, with the numbers.")
    async def summary(self) -> str:
        """Verdict with numbers."""
        return await asyncio.to_thread(lambda: self.answers.summary)

    @strawberry.field(description=f"How much memory is missing or left, in words{_PLAIN_ONLY}")
    async def capacity_message(self) -> str | None:
        """Memory in words."""
        return await self._told(lambda answers: answers.capacity_message)

    @strawberry.field(description=f"What binds this setup, each with its share of the memory or the time{_PLAIN_ONLY}")
    async def limits(self) -> list[FitLimit] | None:
        """Limits."""
        return await self._told(limits_of)

    @strawberry.field(description="The terms that made the score; empty without a workload, or when nothing runs.")
    async def score_parts(self, mode: Mode = OperatingMode.BALANCED) -> list[FitScorePart]:
        """Terms of the score."""
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
        """Advice."""
        return await self._told(lambda answers: advice_of(answers, budget_usd, max_power_watts))

    @strawberry.field(
        description="How many streams it serves at once at the workload's comfortable speed; null when not even one and "
        f"without a workload{_PLAIN_ONLY}"
    )
    async def serving(self) -> FitServing | None:
        """Concurrency."""
        return await self._told(serving_of)

    @strawberry.field(
        description="Commands that start this very plan; empty when nothing runs or no engine can be told."
    )
    def commands(self) -> list[FitCommand]:
        """Commands."""
        return commands_of(self.answers)

    @strawberry.field(description="Tools of the engine that have no command for this plan, and why. At most 4.")
    def missing_commands(self) -> list[MissingCommand]:
        """Reasons."""
        return missing_from(self.answers.missing_commands)

    async def _told(self, read: Callable[[PlanAnswers], T_]) -> T_ | None:
        """What the terms of the plan tell, read in a thread; None where they are not told apart."""
        if not self.answers.facts.is_plain:
            return None
        return await asyncio.to_thread(read, self.answers)


@strawberry.type(description="Result of one input of a batch: an estimate or an error, never both.")
class EstimateResult:
    """Results come in the order of the inputs."""

    estimate: Estimate | None = strawberry.field(description="The estimate; null when there is an error.")
    error: UserError | None = strawberry.field(description="Why there is no estimate; null when there is one.")


#: Batches above this size run in a thread, so that other requests are served meanwhile.
_INLINE = 8


async def estimate_one(context: RequestContext, question: EstimateInput) -> Estimate:
    """Answer one question. Raises :class:`ApiError` for one that has no answer."""
    fetched = await fetch(context, [question.model_url])
    try:
        return _answer(context.view, question, fetched)
    except QuestionError as error:
        if error.code is ErrorCode.NOT_FOUND and error.field:
            raise NotFoundError(error.field, _name_in(error, question), error.suggestions) from error
        details: dict[str, Any] = {"field": to_camel_case(error.field)} if error.field else {}
        raise ApiError(error.code, _spelled(str(error)), **details) from error


#: Keys of a question that the schema spells in another way.
_KEYS = re.compile(
    r"\b("
    + "|".join(each.name for kind in (EstimateInput, DraftInput) for each in fields(kind) if "_" in each.name)
    + r")\b"
)


def _spelled(message: str) -> str:
    """What is wrong with a question, with its keys as the schema spells them."""
    return _KEYS.sub(lambda found: to_camel_case(found[0]), message)


def _name_in(error: QuestionError, question: EstimateInput) -> str:
    """The unknown name itself where the question has it in one field, else what the error says of it."""
    named = getattr(question, str(error.field), None)
    return named if named is not None else str(error).partition("'")[2].partition("'")[0]


async def estimate_many(context: RequestContext, questions: Sequence[EstimateInput]) -> list[EstimateResult]:
    """Answer questions in order, each by an estimate or its own error."""
    maximum = context.services.settings.max_estimates
    if len(questions) > maximum:
        raise LimitExceededError("inputs", len(questions), maximum)
    view = context.view
    fetched = await fetch(context, [question.model_url for question in questions])
    if len(questions) <= _INLINE:
        return [_result(view, question, fetched) for question in questions]
    return await asyncio.to_thread(lambda: [_result(view, question, fetched) for question in questions])


def _result(view: CatalogView, question: EstimateInput, fetched: dict[str, Fetched]) -> EstimateResult:
    try:
        return EstimateResult(estimate=_answer(view, question, fetched), error=None)
    except QuestionError as error:
        return EstimateResult(
            estimate=None,
            error=UserError(
                code=error.code,
                message=_spelled(str(error)),
                field=to_camel_case(error.field) if error.field else None,
                suggestions=list(error.suggestions),
            ),
        )


def _answer(view: CatalogView, question: EstimateInput, fetched: dict[str, Fetched]) -> Estimate:
    asked = {key: value for key, value in vars(question).items() if value is not None}
    if question.draft is not None:
        asked["draft"] = draft_question(question.draft)
    source = fetched.get(question.model_url or "")
    if isinstance(source, QuestionError):
        raise source
    return estimate_from_answer(view, view.answerer.answer(asked, source))


def estimate_from_answer(view: CatalogView, answer: Answer) -> Estimate:
    """The GraphQL object of an answer."""
    found = estimate_of_plan(view, answer.facts)
    found.model = view.by_slug("model", answer.model_slug)
    found.gpu = view.by_slug("gpu", answer.gpu_slug)
    found.devices = devices_from(view, answer.devices)
    found.speculation = speculation_from(answer.speculation)
    found.notes = list(answer.notes)
    return found


def estimate_of_plan(view: CatalogView, facts: FitFacts) -> Estimate:
    """The GraphQL object of an answered request."""
    found, workload = facts.estimate, facts.workload
    return Estimate(
        model=view.by_slug("model", facts.model.slug),
        gpu=view.by_slug("gpu", facts.accelerator.slug),
        quant=view.by_slug("quant", facts.quant.slug),
        engine=view.engine_by_kind.get(found.engine) if found.engine is not None else None,
        backend=found.backend,
        status=found.status,
        file_size_bytes=Int64(found.file_size_bytes),
        memory=FitMemory.of(found.memory),
        placement=FitPlacement.of(found.placement),
        decode=SpeedEstimate.of(found.decode),
        prefill=SpeedEstimate.of(found.prefill),
        ttft_ms=found.ttft_ms,
        safe_context_tokens=found.safe_context_tokens,
        context_tokens=found.context_tokens,
        score=found.score,
        grade=found.grade,
        devices=[],
        speculation=None,
        notes=[],
        workload=None if workload is None else view.by_slug("workload", workload.slug),
        answers=PlanAnswers(view, facts),
    )
