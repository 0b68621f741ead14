"""Models for an accelerator by a published benchmark: what is known first, and what is not known said to be so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from api.errors import LimitExceededError, NotFoundError, bad_input
from api.graphql.catalog.models import Benchmark, Model
from api.graphql.core.enums import WorkloadKind
from api.graphql.fits.types import Fit, fit_from_cell
from db.entries.aliases import near_names
from db.fits import reads
from db.fits.layout import SLOTS
from db.fits.query import FitField, FitOrder, FitQuery
from estimator.judgement import recommend

if TYPE_CHECKING:
    from api.graphql.catalog_view import CatalogView
    from api.graphql.context import RequestContext

_DEFAULT_ITEMS = 10


@strawberry.type(description="A model that runs on the accelerator, with what was published of its quality.")
class RankedModel:
    """Place by quality where it is known; models without a figure follow those with one, by score."""

    rank: int = strawberry.field(description="Place, from 1.")
    fit: Fit = strawberry.field(description="The model's recommended quantization there.")
    quality: Benchmark | None = strawberry.field(
        description="The published result, with its setting and source; null when none is known. Results of different "
        "settings, and of base and tuned models, do not compare well."
    )


@strawberry.type(description="Rankings by published quality.")
class RankingQueries:
    """Fields of the root of all queries."""

    @strawberry.field(
        description="Models that run on an accelerator, by a published benchmark: best result first, then models without "
        "one, by score. At most 100."
    )
    async def ranked_models(
        self,
        info: strawberry.Info,
        gpu: Annotated[str, strawberry.argument(description="Accelerator, by slug or alias.")],
        benchmark: Annotated[
            str, strawberry.argument(description="Name of a benchmark in the catalog, such as `MMLU-Pro`.")
        ],
        setting: Annotated[
            str | None,
            strawberry.argument(description="Only results of this setting, such as `5-shot`; others count as unknown."),
        ] = None,
        workload: Annotated[
            WorkloadKind | None, strawberry.argument(description="The workload.")
        ] = WorkloadKind.CODING,
        first: Annotated[int | None, strawberry.argument(description="Most items, 0 to 100; 10 when left out.")] = None,
    ) -> list[RankedModel]:
        """Ranked models."""
        return await _ranked(info.context, gpu, benchmark, setting, workload or WorkloadKind.CODING, first)


async def _ranked(
    context: RequestContext, gpu: str, benchmark: str, setting: str | None, workload: WorkloadKind, first: int | None
) -> list[RankedModel]:
    size = _DEFAULT_ITEMS if first is None else first
    if size < 0:
        raise bad_input(f"first must be 0 or more, not {size}.", field="first")
    if size > context.services.limits.page_size:
        raise LimitExceededError("first", size, context.services.limits.page_size)
    view = context.view
    name = _benchmark_named(view, benchmark)
    query = FitQuery(
        gpu_ids=(view.gpu_ids[view.gpu(gpu).slug],),
        workload_ids=(SLOTS.index(workload),),
        recommended=True,
    )
    page = await reads.page_fits(
        context.services.reads, context.generation, query, (FitOrder(FitField.SCORE),), limit=len(view.models)
    )
    fits = [fit_from_cell(view, cell) for cell in page.cells]
    known = [_result(fit.model, name, setting) for fit in fits]
    order = recommend.rank_models(
        [fit.score for fit in fits],
        [None if each is None else each.value for each in known],
        [0.0 if fit.decode is None else fit.decode.tokens_per_second for fit in fits],
        [fit.model.slug for fit in fits],
    )
    return [RankedModel(rank=place, fit=fits[at], quality=known[at]) for place, at in enumerate(order[:size], 1)]


def _benchmark_named(view: CatalogView, text: str) -> str:
    """A benchmark's name as the catalog has it. Raises :class:`NotFoundError`."""
    names = sorted({each.name for model in view.models for each in model.benchmarks})
    found = next((name for name in names if name.casefold() == text.strip().casefold()), None)
    if found is None:
        raise NotFoundError("benchmark", text, near_names("benchmark", text, names))
    return found


def _result(model: Model, name: str, setting: str | None) -> Benchmark | None:
    """A model's result with a number and a source, None when it has none (in this setting)."""
    for each in model.benchmarks:
        if each.name == name and each.value is not None and each.source and setting in (None, each.setting):
            return each
    return None
