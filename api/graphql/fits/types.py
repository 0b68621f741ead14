"""Fits: the outcome of one model on one accelerator in one quantization for one workload."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from api.answers.searches import search
from api.answers.story import PlanAnswers
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
from api.graphql.core.enums import FitSource
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.execution.completion import never_changes, read_by
from api.graphql.fits.figures import FitMemory, FitPlacement, SpeedEstimate
from api.graphql.fits.predictions import Prediction, grade_of
from api.graphql.fits.texts import FitEmbed, FitQuestion, embed_of, faq_of
from db.fits.cells import AnyCell
from db.fits.packing import shown
from estimator import types as domain
from estimator import verdict
from estimator.types import OperatingMode


@strawberry.type(description="One model on one accelerator in one quantization for one workload.")
class Fit(Node, Prediction):
    model: Model = strawberry.field(description="The model.")
    gpu: Gpu = strawberry.field(description="The accelerator.")
    workload: Workload = strawberry.field(description="The workload.")
    generation: int | None = strawberry.field(description="Published generation of the numbers; null for live ones.")
    source: FitSource = strawberry.field(
        description="Whether the numbers are published or were computed for this request."
    )
    recommended: bool = strawberry.field(
        description="Whether this quantization is the best for the pairing and workload: the smallest loss that time allows, "
        "of those that are usable and in which weights are known to be had (`weightsKnown`), or of all that run where there "
        "are none of those. No quantization of a pairing is recommended where none is usable."
    )
    weights_known: bool = strawberry.field(
        description="Whether weights of the model in this quantization are known to be had: a published checkpoint, or a "
        "format that anybody can make from the published model."
    )
    cell: strawberry.Private[AnyCell]
    faces: strawberry.Private[Faces]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A figure is read from its cell at its first use: a query wants some of them, for hundreds of fits."""
            reader = _READERS.get(name)
            if reader is None:
                raise AttributeError(name)
            value = reader(self)
            self.__dict__[name] = value
            return value

    def texts(self, info: strawberry.Info) -> PlanAnswers:
        answers: PlanAnswers = info.context.answers(self.cell)
        return answers

    def named(self) -> Faces:
        return self.faces

    @strawberry.field(description="The score in an operating mode, 0 to 100. A mode never changes the fit itself.")
    async def mode_score(
        self,
        info: strawberry.Info,
        mode: Annotated[OperatingMode, strawberry.argument(description="How the terms are weighed.")],
    ) -> float:
        return await asyncio.to_thread(info.context.answers(self.cell).mode_score, mode)

    @strawberry.field(description="Questions that people ask about this pairing, answered from the numbers.")
    async def faq(self, info: strawberry.Info) -> list[FitQuestion]:
        context: RequestContext = info.context
        options = context.loaders.quant_options_of(self.cell)
        options = options if isinstance(options, list) else await options
        best = next((FitRecord(context.view, cell) for cell in options if cell.recommended), None)
        return await search(faq_of, context.answers(self.cell), best)

    @strawberry.field(description="A live card of this fit for another page.")
    def embed(self, info: strawberry.Info) -> FitEmbed:
        return embed_of(info.context.answers(self.cell), info.context.base_url)

    measurements = measurements_field(
        "Published measurements of this model, accelerator and quantization.",
        lambda fit: (fit.model.slug, fit.gpu.slug, fit.quant.slug),
    )

    @strawberry.field(description="The same pairing and quantization for every workload.")
    async def workload_options(self, info: strawberry.Info) -> list[Fit]:
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


def _runs(fit: Fit) -> bool:
    return fit.cell.status is not domain.Status.UNSUPPORTED


def _ttft_ms(wait: float | None) -> float | None:
    return None if wait is None else shown(wait)


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
    "memory": lambda fit: FitMemory.of(fit.cell.load),
    "placement": lambda fit: FitPlacement.of(fit.cell.placement),
    "decode": lambda fit: SpeedEstimate.of(fit.cell.decode_read),
    "prefill": lambda fit: SpeedEstimate.of(fit.cell.prefill_read),
    "ttft_ms": lambda fit: _ttft_ms(fit.cell.ttft_ms),
    "safe_context_tokens": lambda fit: fit.cell.safe_context_tokens,
    "context_tokens": lambda fit: fit.faces.workloads[fit.cell.workload_id].context_tokens,
    "score": lambda fit: fit.cell.score,
    "grade": lambda fit: grade_of(fit.cell.score),
    "usability": lambda fit: verdict.word_of(fit.cell.score),
}
read_by(Fit, _READERS)
never_changes(Model, Gpu, Quant, Workload, Engine)
