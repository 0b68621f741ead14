"""The root of all queries: the roots of every domain, in the order of the schema."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import strawberry

from api.errors import ApiError, ErrorCode, LimitExceededError
from api.graphql.catalog.measurements import find_measurement, measurements_field
from api.graphql.catalog.queries import CatalogQueries
from api.graphql.choices.buying import BuyingQueries
from api.graphql.choices.queries import ChoiceQueries, PurchaseQueries
from api.graphql.core.ids import decode_id
from api.graphql.core.node import Node
from api.graphql.fits.queries import FitQueries, fit_by_key
from api.graphql.runs.pages import find_run
from api.graphql.runs.queries import RunQueries
from api.graphql.runs.types import run_number

MAX_NODES = 100


@strawberry.type(description="Things by their global ids.")
class NodeQueries:
    @strawberry.field(description="The thing with a global id; null when it has left the catalog.")
    async def node(
        self, info: strawberry.Info, id: Annotated[strawberry.ID, strawberry.argument(description="Global id.")]
    ) -> Node | None:
        node: Node | None = await _node(info, str(id))
        return node

    @strawberry.field(description="Things with global ids, in the order asked for; at most 100.")
    async def nodes(
        self, info: strawberry.Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Global ids.")]
    ) -> list[Node | None] | None:
        if len(ids) > MAX_NODES:
            raise LimitExceededError("ids", len(ids), MAX_NODES)
        # Side by side, so that what they read goes together; a wrong id is an error in its own place.
        nodes = await asyncio.gather(*(_node(info, str(text)) for text in ids), return_exceptions=True)
        return list(nodes)  # type: ignore[arg-type]


@strawberry.type(description="Measurements.")
class MeasurementQueries:
    measurements = measurements_field(
        "Published measurements of what is in the catalog; default order: that of the catalog's files.",
        lambda _: None,
    )


@strawberry.type(description="Everything that can be read.")
class Query(
    PurchaseQueries,
    BuyingQueries,
    NodeQueries,
    CatalogQueries,
    FitQueries,
    ChoiceQueries,
    MeasurementQueries,
    RunQueries,
):
    """Roots of the graph."""


async def _node(info: strawberry.Info, text: str) -> Any:
    node = decode_id(text)
    if node.kind == "Fit":
        return await fit_by_key(info.context, node.key)
    if node.kind == "Run":
        return await find_run(info.context, run_number(text))
    if node.kind == "Measurement":
        return find_measurement(info.context.view, node.key[0])
    if node.kind not in ("Model", "Gpu", "Quant", "Workload", "Engine", "Host", "Computer"):
        raise ApiError(ErrorCode.BAD_USER_INPUT, "This id is not one that this service gave out.")
    return info.context.faces.by_slug(node.kind.lower(), node.key[0])
