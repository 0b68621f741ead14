"""Predictions: what a stored fit and the estimate of a question share, and estimates with their advice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, TypeVar

import strawberry
from strawberry.scalars import JSON

from api.answers.searches import search
from api.answers.story import PlanAnswers
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.core.enums import BackendKind, FitStatus, Grade
from api.graphql.core.scalars import Int64
from api.graphql.core.sentences import Sentence, values_of
from api.graphql.fits.advice import FitChange, FitGain, change_of, gain_of
from api.graphql.fits.figures import (
    EstimateDevice,
    EstimateServerPool,
    EstimateSpeculation,
    FitMemory,
    FitPlacement,
    SpeedEstimate,
)
from api.graphql.fits.serving import FitServing, serving_of
from api.graphql.fits.texts import (
    FitCommand,
    FitLimit,
    FitLoss,
    FitScorePart,
    MissingCommand,
    commands_of,
    limits_of,
    loss_of,
    missing_from,
    score_parts_of,
)
from db.fits.packing import shown
from estimator import verdict
from estimator.advice.search import Advice, AdviceCode
from estimator.fit_facts import FitFacts
from estimator.server_pool import server_pool
from estimator.types import OperatingMode
from estimator.usability import Usability

T = TypeVar("T")
#: The estimator separates the terms only for the model alone on one kind of accelerator.
_PLAIN_ONLY = " for accelerators that differ, a draft model or a vision projector, whose terms are not separated."
Mode = Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")]
Budget = Annotated[float | None, strawberry.argument(description="Most that a purchase may cost, US dollars.")]
Power = Annotated[float | None, strawberry.argument(description="Most design power of the accelerators, watts.")]


@strawberry.interface(
    description="How a model runs: the fields that a published fit and the answer to a question share. Every field has the "
    "same type in both, but for `model`, `gpu` and `workload`, which a fit always has."
)
class Prediction:
    model: Model | None = strawberry.field(description="The model; null for one that the question brought along.")
    gpu: Gpu | None = strawberry.field(
        description="The accelerator, or the first of several; null for one that the question brought along."
    )
    quant: Quant = strawberry.field(description="The quantization.")
    workload: Workload | None = strawberry.field(description="The workload; null for none.")
    engine: Engine | None = strawberry.field(description="The engine that runs it; null when none does.")
    backend: BackendKind | None = strawberry.field(
        description="The interface that the engine uses; null when none runs it."
    )
    status: FitStatus = strawberry.field(description="Outcome.")
    memory: FitMemory | None = strawberry.field(description="Memory of the load; null when no engine runs it.")
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
    safe_context_tokens: int = strawberry.field(
        description="Longest context that fits without (more) offload, tokens; 0 for none."
    )
    context_tokens: int = strawberry.field(description="Context that was allocated for these numbers, tokens.")
    score: float = strawberry.field(description="0 to 100: what the workload needs, weighed as `scoreParts` says.")
    grade: Grade = strawberry.field(description="Letter of the score.")
    usability: Usability = strawberry.field(description="Whether the setup can be used for the workload.")

    def texts(self, info: strawberry.Info) -> PlanAnswers:
        """Texts, limits, advice and commands of the prediction."""
        raise NotImplementedError

    def named(self) -> Faces:
        """Objects of the catalog that the prediction is about."""
        raise NotImplementedError

    @strawberry.field(description="The verdict in a few words; `status` and `usability` are its codes.")
    async def headline(self, info: strawberry.Info) -> str:
        return await self._told(info, lambda answers: answers.headline)

    @strawberry.field(description="The verdict in one or two sentences, with the numbers.")
    async def summary(self, info: strawberry.Info) -> str:
        return await self._told(info, lambda answers: answers.summary)

    @strawberry.field(description=f"How much memory is missing or left, in words; null{_PLAIN_ONLY}")
    async def capacity_message(self, info: strawberry.Info) -> str | None:
        return await self._told(info, lambda answers: answers.capacity_message if answers.facts.is_plain else None)

    @strawberry.field(description="The terms that made the score; empty without a workload, or when nothing runs.")
    async def score_parts(self, info: strawberry.Info, mode: Mode = OperatingMode.BALANCED) -> list[FitScorePart]:
        return await self._told(info, lambda answers: score_parts_of(answers, mode))

    @strawberry.field(description="Loss by the quantization and the KV cache type, with an interval.")
    async def loss(self, info: strawberry.Info) -> FitLoss:
        return await self._told(info, loss_of)

    @strawberry.field(
        description=f"Limits of this setup, each with its share of the memory or the time; empty{_PLAIN_ONLY}"
    )
    async def limits(self, info: strawberry.Info) -> list[FitLimit]:
        return await self._told(info, lambda answers: limits_of(answers) if answers.facts.is_plain else [])

    @strawberry.field(
        description="Changes that help, each with its computed gain, in the order in which to try them. Free changes come "
        "first: flash attention, the best split, larger steps of prompt reading, an 8-bit KV cache, the GPU memory limit of "
        "macOS, every precomputed quantization in which weights are known to be had, contexts in steps of 1,000 tokens. Then "
        "the model that is worth most on this machine. Then hardware, where the use is not comfortable yet: more host memory, "
        "one more of the same accelerator, or another of the machine's class (cards for a card, computers for what is built "
        "into one). A free change gains at least 1 point of rating, another model or hardware 4, or makes usable what was not. "
        f"Empty{_PLAIN_ONLY}"
    )
    async def advice(
        self, info: strawberry.Info, budget_usd: Budget = None, max_power_watts: Power = None
    ) -> list[FitAdvice]:
        faces = self.named()
        return await self._searched(
            info,
            lambda answers: advice_of(answers, faces, budget_usd, max_power_watts) if answers.facts.is_plain else [],
        )

    @strawberry.field(
        description="The setup as a server for many people; null without a workload, when not even one stream is whole on the "
        f"accelerators, and{_PLAIN_ONLY}"
    )
    async def serving(self, info: strawberry.Info) -> FitServing | None:
        faces = self.named()
        return await self._searched(
            info, lambda answers: serving_of(answers, faces) if answers.facts.is_plain else None
        )

    @strawberry.field(
        description="Commands that start this very plan; empty when nothing runs or no engine can be told."
    )
    async def commands(self, info: strawberry.Info) -> list[FitCommand]:
        faces = self.named()
        return await self._told(info, lambda answers: commands_of(answers, faces))

    @strawberry.field(description="Tools of the engine that have no command for this plan, and why. At most 4.")
    async def missing_commands(self, info: strawberry.Info) -> list[MissingCommand]:
        return await self._told(info, lambda answers: missing_from(answers.missing_commands))

    async def _told(self, info: strawberry.Info, read: Callable[[PlanAnswers], T]) -> T:
        """A text of the prediction, made in a thread."""
        return await asyncio.to_thread(read, self.texts(info))

    async def _searched(self, info: strawberry.Info, read: Callable[[PlanAnswers], T]) -> T:
        """Answers that take longer than a text."""
        return await search(read, self.texts(info))


@strawberry.type(description="The answer to one question.")
class Estimate(Prediction):
    file_size_bytes: Int64 = strawberry.field(description="Size of the weights file, bytes.")
    devices: list[EstimateDevice] = strawberry.field(
        description="Load of each of several accelerators; empty for one, or when nothing runs."
    )
    speculation: EstimateSpeculation | None = strawberry.field(
        description="Effect of the draft model; null without one, or when nothing runs."
    )
    notes: list[Sentence] = strawberry.field(
        description="How names were taken, and what the numbers leave out; empty for nothing."
    )
    answers: strawberry.Private[PlanAnswers]
    faces: strawberry.Private[Faces]

    @strawberry.field(description="Cache of a server of checkpoints; null for other engines.")
    def server(self) -> EstimateServerPool | None:
        facts = self.answers.facts
        pool = server_pool(facts.model, facts.request, facts.estimate)
        return None if pool is None else EstimateServerPool.of(pool)

    def texts(self, info: strawberry.Info) -> PlanAnswers:
        return self.answers

    def named(self) -> Faces:
        return self.faces


@strawberry.type(description="One change that helps.")
class FitAdvice:
    code: AdviceCode = strawberry.field(description="Kind of change.")
    message: str = strawberry.field(description="One sentence: what to change, and what it brings.")
    values: JSON = strawberry.field(description="An object of the values in it, by the names that the code tells.")
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
            values=values_of(advice.values),
            gain=gain_of(advice.gain),
            change=change_of(faces, answers.facts, advice),
            made=advice,
            answers=answers,
            faces=faces,
        )
        for advice in answers.advice_within(budget_usd, max_power_watts)
    ]


@lru_cache(maxsize=10_001)
def grade_of(score: float) -> Grade:
    """Letter of a score. Scores are stored in hundredths."""
    return Grade(verdict.grade(score))


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
        ttft_ms=None if estimate.ttft_ms is None else shown(estimate.ttft_ms),
        safe_context_tokens=estimate.safe_context_tokens,
        context_tokens=estimate.context_tokens,
        score=estimate.score,
        grade=grade_of(estimate.score),
        usability=verdict.word_of(estimate.score),
        devices=[],
        speculation=None,
        notes=[],
        workload=None if workload is None else faces.by_slug("workload", workload.slug),
        answers=PlanAnswers(faces.view, facts),
        faces=faces,
    )
