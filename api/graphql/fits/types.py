"""Fits: the outcome of one model on one accelerator in one quantization for one workload."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.catalog.fits import FitRecord
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.measurements import measurements_field
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.connections import Connection
from api.graphql.core.enums import BackendKind, FitSource, FitStatus
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.execution.completion import never_changes, read_by
from api.graphql.fits.figures import FitMemory, FitPlacement, SpeedEstimate
from api.graphql.fits.plans import FitAdvice, advice_of
from api.graphql.fits.serving import FitServing, serving_of
from api.graphql.fits.texts import (
    FitCommand,
    FitEmbed,
    FitLimit,
    FitQuestion,
    FitScorePart,
    MissingCommand,
    commands_of,
    embed_of,
    faq_of,
    limits_of,
    missing_from,
    score_parts_of,
)
from db.fits.cells import AnyCell
from estimator import types as domain
from estimator import verdict
from estimator.types import OperatingMode
from estimator.usability import Usability


@strawberry.type(description="One model on one accelerator in one quantization for one workload.")
class Fit(Node):
    model: Model = strawberry.field(description="The model.")
    gpu: Gpu = strawberry.field(description="The accelerator.")
    quant: Quant = strawberry.field(description="The quantization.")
    workload: Workload = strawberry.field(description="The workload.")
    engine: Engine | None = strawberry.field(description="The engine that runs it; null when none does.")
    backend: BackendKind | None = strawberry.field(
        description="The interface that the engine uses; null when none runs it."
    )
    generation: int | None = strawberry.field(description="Published generation of the numbers; null for live ones.")
    source: FitSource = strawberry.field(
        description="Whether the numbers are published or were computed for this request."
    )
    status: FitStatus = strawberry.field(description="Outcome.")
    recommended: bool = strawberry.field(
        description="Whether this quantization is the best for the pairing and workload: the smallest loss that time allows, "
        "of those that are usable and in which weights are known to be had (`weightsKnown`), or of all that run where there "
        "are none of those. No quantization of a pairing is recommended where none is usable."
    )
    weights_known: bool = strawberry.field(
        description="Whether weights of the model in this quantization are known to be had: a published checkpoint, or a "
        "format that anybody can make from the published model."
    )
    memory: FitMemory | None = strawberry.field(description="Memory of the load; null when no engine runs it.")
    placement: FitPlacement = strawberry.field(description="Layers and experts on the device and on the host.")
    decode: SpeedEstimate | None = strawberry.field(description="Speed of answer tokens; null when it cannot run.")
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
    grade: str = strawberry.field(description="Letter of the score: S from 90, A 80, B 65, C 50, D 30, else F.")
    usability: Usability = strawberry.field(description="Whether the setup can be used for the workload.")
    cell: strawberry.Private[AnyCell]
    faces: strawberry.Private[Faces]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A figure is read from its cell at its first use: a query wants some of them, for hundreds of fits."""
            read = _READERS.get(name)
            if read is None:
                raise AttributeError(name)
            value = read(self)
            self.__dict__[name] = value
            return value

    @strawberry.field(description="The verdict in a few words.")
    async def headline(self, info: strawberry.Info) -> str:
        answers = info.context.answers(self.cell)
        return await asyncio.to_thread(lambda: answers.headline)

    @strawberry.field(description="The verdict in one or two sentences, with the numbers.")
    async def summary(self, info: strawberry.Info) -> str:
        answers = info.context.answers(self.cell)
        return await asyncio.to_thread(lambda: answers.summary)

    @strawberry.field(description="How much memory is missing or left, in words.")
    async def capacity_message(self, info: strawberry.Info) -> str:
        answers = info.context.answers(self.cell)
        return await asyncio.to_thread(lambda: answers.capacity_message)

    @strawberry.field(description="The terms that made the score; empty when nothing runs.")
    async def score_parts(
        self,
        info: strawberry.Info,
        mode: Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")] = (
            OperatingMode.BALANCED
        ),
    ) -> list[FitScorePart]:
        return await asyncio.to_thread(score_parts_of, info.context.answers(self.cell), mode)

    @strawberry.field(description="The score in an operating mode, 0 to 100. A mode never changes the fit itself.")
    async def mode_score(
        self,
        info: strawberry.Info,
        mode: Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")],
    ) -> float:
        return await asyncio.to_thread(info.context.answers(self.cell).mode_score, mode)

    @strawberry.field(description="Limits of this setup, each with its share of the memory or the time.")
    async def limits(self, info: strawberry.Info) -> list[FitLimit]:
        return await asyncio.to_thread(limits_of, info.context.answers(self.cell))

    @strawberry.field(
        description="Changes that help, each with its computed gain, in the order in which to try them. What is free comes "
        "first: flash attention, the best split, larger steps of prompt reading, an 8-bit KV cache, the GPU memory limit of "
        "macOS, every precomputed quantization in which weights are known to be had, contexts in steps of 1,000 tokens. Then "
        "the model that is worth most on this machine. Then hardware, where the use is not comfortable yet: more host memory, "
        "one more of the same accelerator, or another of the machine's class (cards for a card, computers for what is built "
        "into one). A free change gains at least 1 point of rating, another model or hardware 4, or makes usable what was not."
    )
    async def advice(
        self,
        info: strawberry.Info,
        budget_usd: Annotated[
            float | None, strawberry.argument(description="Most that a purchase may cost, US dollars.")
        ] = None,
        max_power_watts: Annotated[
            float | None, strawberry.argument(description="Most design power of the accelerators, watts.")
        ] = None,
    ) -> list[FitAdvice]:
        return await asyncio.to_thread(
            advice_of, info.context.answers(self.cell), self.faces, budget_usd, max_power_watts
        )

    @strawberry.field(
        description="The setup as a server for many people; null when not even one stream is whole on the accelerator."
    )
    async def serving(self, info: strawberry.Info) -> FitServing | None:
        return await asyncio.to_thread(serving_of, info.context.answers(self.cell), self.faces)

    @strawberry.field(description="Commands that start this very plan; empty when nothing runs.")
    async def commands(self, info: strawberry.Info) -> list[FitCommand]:
        return await asyncio.to_thread(commands_of, info.context.answers(self.cell))

    @strawberry.field(description="Tools of the engine that have no command for this plan, and why. At most 4.")
    async def missing_commands(self, info: strawberry.Info) -> list[MissingCommand]:
        return await asyncio.to_thread(lambda: missing_from(info.context.answers(self.cell).missing_commands))

    @strawberry.field(description="Questions that people ask about this pairing, answered from the numbers.")
    async def faq(self, info: strawberry.Info) -> list[FitQuestion]:
        context: RequestContext = info.context
        options = context.loaders.quant_options_of(self.cell)
        options = options if isinstance(options, list) else await options
        best = next((FitRecord(context.view, cell) for cell in options if cell.recommended), None)
        return await asyncio.to_thread(faq_of, context.answers(self.cell), best)

    @strawberry.field(description="A live card of this fit for another page.")
    def embed(self, info: strawberry.Info) -> FitEmbed:
        return embed_of(info.context.answers(self.cell), info.context.base_url)

    measurements = measurements_field(
        "Published measurements of this model, accelerator and quantization.",
        lambda fit: (fit.model.slug, fit.gpu.slug, fit.quant.slug),
    )

    @strawberry.field(description="The same pairing and quantization for every workload.")
    async def workloads(self, info: strawberry.Info) -> list[Fit]:
        return fits_of_cells(self.faces, await info.context.loaders.workloads_of(self.cell))

    @strawberry.field(
        description="The same pairing and workload in every quantization that an engine can load, fewest bits first; `status` says "
        "which of them fit."
    )
    def quant_options(self, info: strawberry.Info) -> list[Fit]:
        """One fit a quantization; a list, or what awaits one."""
        context: RequestContext = info.context
        options = context.loaders.quant_options_of(self.cell)
        if isinstance(options, list):
            return fits_of_cells(self.faces, options)
        return _later(self.faces, options)  # type: ignore[return-value]


async def _later(faces: Faces, cells: Awaitable[list[AnyCell]]) -> list[Fit]:
    return fits_of_cells(faces, await cells)


@strawberry.type(description="One page of fits.")
class FitConnection(Connection[Fit]):
    """Page of fits."""


def fit_of(faces: Faces, cell: AnyCell) -> Fit:
    """The GraphQL object of one stored or live cell."""
    fit = Fit.__new__(Fit)
    fit.cell, fit.faces = cell, faces
    return fit


def fits_of_cells(faces: Faces, cells: Iterable[AnyCell]) -> list[Fit]:
    """The GraphQL objects of several cells."""
    return [fit_of(faces, cell) for cell in cells]


@lru_cache(maxsize=16_384)
def _sealed(model: str, gpu: str, quant: str, workload: str) -> strawberry.ID:
    return strawberry.ID(encode_id("Fit", model, gpu, quant, workload))


def _id_of(faces: Faces, cell: AnyCell) -> strawberry.ID:
    return _sealed(
        faces.model_by_id[cell.model_id].slug,
        faces.gpu_by_id[cell.gpu_id].slug,
        faces.quant_by_id[cell.quant_id].slug,
        faces.workloads[cell.workload_id].slug,
    )


#: Scores are stored in hundredths.
_grade = lru_cache(maxsize=10_001)(verdict.grade)


def _runs(fit: Fit) -> bool:
    return fit.cell.status is not domain.Status.UNSUPPORTED


#: Readers of the figures of a fit.
_READERS: dict[str, Callable[[Fit], Any]] = {
    "id": lambda fit: _id_of(fit.faces, fit.cell),
    "model": lambda fit: fit.faces.model_by_id[fit.cell.model_id],
    "gpu": lambda fit: fit.faces.gpu_by_id[fit.cell.gpu_id],
    "quant": lambda fit: fit.faces.quant_by_id[fit.cell.quant_id],
    "workload": lambda fit: fit.faces.workloads[fit.cell.workload_id],
    "engine": lambda fit: fit.faces.engine_by_kind.get(fit.cell.engine) if _runs(fit) else None,
    "backend": lambda fit: fit.cell.backend if _runs(fit) else None,
    "generation": lambda fit: fit.cell.generation or None,
    "source": lambda fit: FitSource.PUBLISHED if fit.cell.generation else FitSource.LIVE,
    "status": lambda fit: fit.cell.status,
    "recommended": lambda fit: fit.cell.recommended,
    "weights_known": lambda fit: FitRecord(fit.faces.view, fit.cell).weights_known,
    "memory": lambda fit: FitMemory.of_figures(fit.cell.memory_bytes) if _runs(fit) else None,
    "placement": lambda fit: FitPlacement.of(fit.cell.placement),
    "decode": lambda fit: SpeedEstimate.of_figures(fit.cell.decode_figures),
    "prefill": lambda fit: SpeedEstimate.of_figures(fit.cell.prefill_figures),
    "ttft_ms": lambda fit: fit.cell.ttft_ms,
    "safe_context_tokens": lambda fit: fit.cell.safe_context_tokens,
    "context_tokens": lambda fit: fit.workload.context_tokens,
    "score": lambda fit: fit.cell.score,
    "grade": lambda fit: _grade(fit.cell.score),
    "usability": lambda fit: verdict.word_of(fit.cell.score),
}
read_by(Fit, _READERS)
never_changes(Model, Gpu, Quant, Workload, Engine)
