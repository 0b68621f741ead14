"""Roots of runs and of the catalog's state."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.graphql.core.arguments import After, Before, First, Last
from api.graphql.runs.catalog_state import Catalog, catalog_state
from api.graphql.runs.differences import FitDifferenceConnection, FitDifferenceFilter, page_differences
from api.graphql.runs.inputs import RunFilter, RunOrder
from api.graphql.runs.pages import find_run, page_runs
from api.graphql.runs.types import Run, RunConnection, run_number
from db.fits.query import NARROW_IDS


@strawberry.type(description="Runs and the catalog's state.")
class RunQueries:
    @strawberry.field(description="State of the catalog: revision, generation, counts.")
    def catalog(self, info: strawberry.Info) -> Catalog:
        return catalog_state(info.context)

    @strawberry.field(description="One run; null when there is none of this id.")
    async def run(
        self,
        info: strawberry.Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the run.")],
    ) -> Run | None:
        return await find_run(info.context, run_number(str(id)))

    @strawberry.field(description="Runs; default order: newest first.")
    async def runs(
        self,
        info: strawberry.Info,
        filter: Annotated[RunFilter | None, strawberry.argument(description="Which runs; all when left out.")] = None,
        order_by: Annotated[
            list[RunOrder] | None, strawberry.argument(description="Terms of the order, most important first.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> RunConnection | None:
        return await page_runs(info.context, filter, order_by, (first, after, last, before))

    @strawberry.field(
        description="Differences between two held generations (`catalog { heldGenerations }`): fits that came, went or moved, "
        "by model, accelerator, quantization and workload. Where everything was computed anew between them, only with a "
        f"filter that leaves at most {NARROW_IDS} models or accelerators."
    )
    async def fit_differences(
        self,
        info: strawberry.Info,
        from_: Annotated[int, strawberry.argument(name="from", description="The earlier generation.")],
        to: Annotated[
            int | None, strawberry.argument(description="The later generation; the newest one when left out.")
        ] = None,
        filter: Annotated[
            FitDifferenceFilter | None, strawberry.argument(description="Which differences; all when left out.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> FitDifferenceConnection | None:
        return await page_differences(info.context, from_, to, filter, (first, after, last, before))
