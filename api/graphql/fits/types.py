"""Fits: the outcome of one model on one accelerator in one quantization for one workload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.measurements import measurements_field
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.core.connections import Connection
from api.graphql.core.enums import BackendKind, Evidence, FitSource, FitStatus, OperatingMode, Strategy
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64
from api.graphql.execution.completion import never_changes, read_by
from api.graphql.fits.changes import FitAdvice, advice_of
from api.graphql.fits.texts import (
    FitCommand,
    FitEmbed,
    FitLimit,
    FitQuestion,
    FitScorePart,
    FitServing,
    MissingCommand,
    commands_of,
    embed_of,
    faq_of,
    limits_of,
    missing_from,
    score_parts_of,
    serving_of,
)
from db.fits.cells import AnyCell, SpeedFigures, figures_of
from estimator import types as domain
from estimator import verdict

if TYPE_CHECKING:
    from api.answers.story import Answers
    from api.graphql.catalog_view import CatalogView


@strawberry.type(description="Memory of a load, exact bytes. The device parts add up to the total.")
class FitMemory:
    """Parts of device memory, what there is, and host memory."""

    weights_bytes: Int64 = strawberry.field(description="Weights on the device, bytes.")
    kv_cache_bytes: Int64 = strawberry.field(description="KV cache and recurrent state on the device, bytes.")
    compute_bytes: Int64 = strawberry.field(description="Compute buffers on the device, bytes.")
    overhead_bytes: Int64 = strawberry.field(description="Runtime context of the engine and its backend, bytes.")
    total_bytes: Int64 = strawberry.field(description="Sum of the parts, bytes.")
    usable_bytes: Int64 = strawberry.field(description="What the platform lets a load use, bytes.")
    capacity_bytes: Int64 = strawberry.field(description="What the device has, bytes.")
    headroom_bytes: Int64 = strawberry.field(
        description="Usable less total, bytes; negative when the load is too large."
    )
    host_bytes: Int64 = strawberry.field(description="Host memory that the load needs, bytes.")
    draft_bytes: Int64 = strawberry.field(
        description="Weights, cache and buffers of a draft model, bytes; 0 without one."
    )
    projector_bytes: Int64 | None = strawberry.field(
        description="A vision projector, bytes; 0 when none is loaded, null when its size is not known: it is then not in the "
        "total."
    )

    figures: strawberry.Private[tuple[int | None, ...]]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A part is read from the figures of the load."""
            read = _MEMORY_READERS.get(name)
            if read is None:
                raise AttributeError(name)
            return read(self)

    @classmethod
    def of(cls, parts: domain.MemoryParts) -> FitMemory:
        """The GraphQL object of the parts of a load."""
        return cls.of_figures(astuple(parts))

    @classmethod
    def of_figures(cls, figures: tuple[int | None, ...]) -> FitMemory:
        """The GraphQL object of the fields of ``MemoryParts``, in their order."""
        made = cls.__new__(cls)
        made.figures = figures
        return made


def _figure(place: int) -> Callable[[FitMemory], Any]:
    return lambda memory: memory.figures[place]


_PARTS = [each.name for each in fields(domain.MemoryParts)]
_USABLE, _TOTAL = _PARTS.index("usable_bytes"), _PARTS.index("total_bytes")


def headroom_bytes(figures: Sequence[int | None]) -> int:
    """Usable less total memory of the fields of ``MemoryParts``, bytes."""
    return (figures[_USABLE] or 0) - (figures[_TOTAL] or 0)


_MEMORY_READERS: dict[str, Callable[[FitMemory], Any]] = {
    **{name: _figure(place) for place, name in enumerate(_PARTS)},
    "headroom_bytes": lambda memory: headroom_bytes(memory.figures),
}
read_by(FitMemory, _MEMORY_READERS)


@strawberry.type(description="What sits where.")
class FitPlacement:
    """Layers and experts on the device and on the host."""

    strategy: Strategy = strawberry.field(description="Kind of placement.")
    gpu_layers: int = strawberry.field(
        description="Layers on the device, counted as llama.cpp's `-ngl`: with the output layer."
    )
    cpu_moe_layers: int = strawberry.field(description="Layers whose routed experts lie in host memory.")
    offload_fraction: float = strawberry.field(description="Share of the weights in host memory, 0 to 1.")

    @classmethod
    def of(cls, placement: domain.Placement) -> FitPlacement:
        """The GraphQL object of a placement."""
        return cls(
            strategy=placement.strategy,
            gpu_layers=placement.gpu_layers,
            cpu_moe_layers=placement.cpu_moe_layers,
            offload_fraction=placement.offload_fraction,
        )


@strawberry.type(description="A speed with the range that holds for 80 % of measured cases.")
class SpeedEstimate:
    """Tokens per second."""

    tokens_per_second: float = strawberry.field(description="Best estimate, tokens per second.")
    low: float = strawberry.field(description="Lower end of the range, tokens per second.")
    high: float = strawberry.field(description="Upper end of the range, tokens per second.")
    evidence: Evidence = strawberry.field(description="Where the estimate comes from.")

    @classmethod
    def of(cls, speed: domain.Speed | None) -> SpeedEstimate | None:
        """The GraphQL object of a speed; None stays None."""
        return cls.of_figures(None if speed is None else figures_of(speed))

    @classmethod
    def of_figures(cls, figures: SpeedFigures | None) -> SpeedEstimate | None:
        """The GraphQL object of the fields of ``Speed``, in their order."""
        if figures is None:
            return None
        made = cls.__new__(cls)
        made.tokens_per_second, made.low, made.high, made.evidence = figures
        return made


@strawberry.type(description="One model on one accelerator in one quantization for one workload.")
class Fit(Node):
    """Numbers of a pairing; text about it is derived from them when asked for."""

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
        description="Whether this quantization scores best for the pairing and workload, of those that run and in which "
        "weights are known to be had (`weightsKnown`); of all that run where there are none of those."
    )
    weights_known: bool = strawberry.field(
        description="Whether weights of the model in this quantization are known to be had: a published checkpoint, or a "
        "format that anybody can make from the published model."
    )
    memory: FitMemory | None = strawberry.field(description="Memory of the load; null when no engine runs it.")
    placement: FitPlacement = strawberry.field(description="What sits where.")
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
    cell: strawberry.Private[AnyCell]
    view: strawberry.Private[Any]

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
        """Verdict."""
        answers = _answers(info, self)
        return await asyncio.to_thread(lambda: answers.headline)

    @strawberry.field(description="The verdict in one or two sentences, with the numbers.")
    async def summary(self, info: strawberry.Info) -> str:
        """Verdict with numbers."""
        answers = _answers(info, self)
        return await asyncio.to_thread(lambda: answers.summary)

    @strawberry.field(description="How much memory is missing or left, in words.")
    async def capacity_message(self, info: strawberry.Info) -> str:
        """Memory in words."""
        answers = _answers(info, self)
        return await asyncio.to_thread(lambda: answers.capacity_message)

    @strawberry.field(description="The terms that made the score; empty when nothing runs.")
    async def score_parts(
        self,
        info: strawberry.Info,
        mode: Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")] = (
            OperatingMode.BALANCED
        ),
    ) -> list[FitScorePart]:
        """Terms of the score."""
        return await asyncio.to_thread(score_parts_of, _answers(info, self), mode)

    @strawberry.field(description="The score in an operating mode, 0 to 100. A mode never changes the fit itself.")
    async def mode_score(
        self,
        info: strawberry.Info,
        mode: Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")],
    ) -> float:
        """Score in a mode."""
        return await asyncio.to_thread(_answers(info, self).mode_score, mode)

    @strawberry.field(description="What binds this setup, each with its share of the memory or the time.")
    async def limits(self, info: strawberry.Info) -> list[FitLimit]:
        """Limits."""
        return await asyncio.to_thread(limits_of, _answers(info, self))

    @strawberry.field(
        description="Changes that help, best first, each with its computed gain. Searched: every precomputed "
        "quantization in which weights are known to be had, the best split, an 8-bit KV cache, contexts in steps of 1,000 "
        "tokens, the catalog's hosts, one more of the same accelerator where a computer has room, and as upgrades one "
        "accelerator that can take the present one's place: consumer and workstation cards always, server parts only for a "
        "server part, processors only for a processor, laptops, boards and integrated ones only for such a computer, and where "
        "that gains 5 points or more."
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
        """Advice."""
        return await asyncio.to_thread(advice_of, _answers(info, self), budget_usd, max_power_watts)

    @strawberry.field(
        description="How many streams it serves at once at the workload's comfortable speed; null when not even one."
    )
    async def serving(self, info: strawberry.Info) -> FitServing | None:
        """Concurrency."""
        return await asyncio.to_thread(serving_of, _answers(info, self))

    @strawberry.field(description="Commands that start this very plan; empty when nothing runs.")
    async def commands(self, info: strawberry.Info) -> list[FitCommand]:
        """Commands."""
        return await asyncio.to_thread(commands_of, _answers(info, self))

    @strawberry.field(description="Tools of the engine that have no command for this plan, and why. At most 4.")
    async def missing_commands(self, info: strawberry.Info) -> list[MissingCommand]:
        """Reasons."""
        return await asyncio.to_thread(lambda: missing_from(_answers(info, self).missing_commands))

    @strawberry.field(description="Questions that people ask about this pairing, answered from the numbers.")
    async def faq(self, info: strawberry.Info) -> list[FitQuestion]:
        """Questions and answers."""
        options = info.context.loaders.quant_options_of(self)
        options = options if isinstance(options, list) else await options
        best = next((fit for fit in options if fit.recommended), None)
        return await asyncio.to_thread(faq_of, _answers(info, self), best)

    @strawberry.field(description="A live card of this fit for another page.")
    def embed(self, info: strawberry.Info) -> FitEmbed:
        """Card."""
        return embed_of(_answers(info, self), info.context.base_url)

    measurements = measurements_field(
        "Published measurements of this model, accelerator and quantization.",
        lambda fit: (fit.model.slug, fit.gpu.slug, fit.quant.slug),
    )

    @strawberry.field(description="The same pairing and quantization for every workload.")
    async def workloads(self, info: strawberry.Info) -> list[Annotated[Fit, strawberry.lazy("api.graphql.fits.types")]]:
        """One fit a workload."""
        fits: list[Fit] = await info.context.loaders.workloads_of(self)
        return fits

    @strawberry.field(description="The same pairing and workload in every quantization that runs, fewest bits first.")
    def quant_options(self, info: strawberry.Info) -> list[Annotated[Fit, strawberry.lazy("api.graphql.fits.types")]]:
        """One fit a quantization; a list, or what awaits one."""
        fits: list[Fit] = info.context.loaders.quant_options_of(self)
        return fits


def _answers(info: strawberry.Info, fit: Fit) -> Answers:
    found: Answers = info.context.answers(fit)
    return found


@strawberry.type(description="One page of fits.")
class FitConnection(Connection[Fit]):
    """Page of fits."""


def fit_from_cell(view: CatalogView, cell: AnyCell, source: FitSource = FitSource.PUBLISHED) -> Fit:
    """The fit of one stored or live cell."""
    fit = Fit.__new__(Fit)
    fit.cell, fit.view, fit.source = cell, view, source
    return fit


@lru_cache(maxsize=16_384)
def _sealed(model: str, gpu: str, quant: str, workload: str) -> strawberry.ID:
    return strawberry.ID(encode_id("Fit", model, gpu, quant, workload))


def _id_of(view: CatalogView, model_id: int, gpu_id: int, quant_id: int, slot: int) -> strawberry.ID:
    return _sealed(
        view.model_by_id[model_id].slug,
        view.gpu_by_id[gpu_id].slug,
        view.quant_by_id[quant_id].slug,
        view.workloads[slot].slug,
    )


#: Scores are stored in hundredths.
_grade = lru_cache(maxsize=10_001)(verdict.grade)


def _runs(fit: Fit) -> bool:
    return fit.cell.status is not domain.Status.UNSUPPORTED


#: What each figure of a fit is read from.
_READERS: dict[str, Callable[[Fit], Any]] = {
    "id": lambda fit: _id_of(fit.view, *fit.cell.key, fit.cell.workload_id),
    "model": lambda fit: fit.view.model_by_id[fit.cell.key.model_id],
    "gpu": lambda fit: fit.view.gpu_by_id[fit.cell.key.gpu_id],
    "quant": lambda fit: fit.view.quant_by_id[fit.cell.key.quant_id],
    "workload": lambda fit: fit.view.workload_of_slot(fit.cell.workload_id),
    "engine": lambda fit: fit.view.engine_by_kind.get(fit.cell.engine) if _runs(fit) else None,
    "backend": lambda fit: fit.cell.backend if _runs(fit) else None,
    "generation": lambda fit: fit.cell.generation if fit.source is FitSource.PUBLISHED else None,
    "status": lambda fit: fit.cell.status,
    "recommended": lambda fit: fit.cell.recommended,
    "weights_known": lambda fit: fit.view.weights_known(fit.model, fit.quant),
    "memory": lambda fit: FitMemory.of_figures(fit.cell.memory_bytes) if _runs(fit) else None,
    "placement": lambda fit: FitPlacement.of(fit.cell.placement),
    "decode": lambda fit: SpeedEstimate.of_figures(fit.cell.decode_figures),
    "prefill": lambda fit: SpeedEstimate.of_figures(fit.cell.prefill_figures),
    "ttft_ms": lambda fit: fit.cell.ttft_ms,
    "safe_context_tokens": lambda fit: fit.cell.safe_context_tokens,
    "context_tokens": lambda fit: fit.workload.context_tokens,
    "score": lambda fit: fit.cell.score,
    "grade": lambda fit: _grade(fit.cell.score),
}
read_by(Fit, _READERS)
never_changes(Model, Gpu, Quant, Workload, Engine)
