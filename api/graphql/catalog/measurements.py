"""Measured speeds of the catalog, each with its source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2s
from sys import intern
from typing import Annotated, Any, TypeAlias

import orjson
import strawberry

from api.catalog.view import CatalogView
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.measurement_inputs import (
    MeasurementFilter,
    MeasurementOrder,
    MeasurementPhase,
    select_measurements,
)
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.core.arguments import After, Before, First, Last, Paging
from api.graphql.core.connections import Connection, page_of, slice_page
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from api.graphql.core.orders import ordered, signature_of
from api.graphql.core.scalars import PartialDate
from db.entries.measurements import speed_rows

Key = tuple[str, str, str]
#: Which measurements, in which order.
Asked: TypeAlias = tuple[MeasurementFilter | None, Sequence[MeasurementOrder] | None]
_ID_BYTES = 8

Which = Annotated[MeasurementFilter | None, strawberry.argument(description="Which measurements; all when left out.")]
Orders = Annotated[
    list[MeasurementOrder] | None,
    strawberry.argument(description="Terms of the order, most important first; at most 3."),
]


@strawberry.type(description="A speed that somebody measured and published.")
class Measurement(Node):
    slug: strawberry.Private[str]
    model_slug: strawberry.Private[str]
    gpu_slug: strawberry.Private[str]
    quant_slug: strawberry.Private[str]
    phase: MeasurementPhase = strawberry.field(description="Kind of the speed.")
    tokens_per_second: float = strawberry.field(description="Measured speed, tokens per second.")
    engine_name: str | None = strawberry.field(description="Engine as its source names it.")
    backend_name: str | None = strawberry.field(description="Compute interface as its source names it.")
    build: str | None = strawberry.field(description="Build or version of the engine; null when not stated.")
    gpu_count: int = strawberry.field(description="Accelerators that ran together.")
    batch: int = strawberry.field(description="Sequences that ran together.")
    depth_tokens: int | None = strawberry.field(description="Tokens already in context; null when not stated.")
    prompt_tokens: int | None = strawberry.field(description="Tokens of the prompt; null when not stated.")
    exact: bool = strawberry.field(
        description="Whether the source states this very model, accelerator and quantization; else one of them was "
        "assumed, or is a variant, or a model of the same shapes."
    )
    date: PartialDate | None = strawberry.field(description="When it was measured or published, as its source says.")
    source_url: str = strawberry.field(description="Where it was published.")
    note: str | None = strawberry.field(description="Further remarks of the source.")

    @strawberry.field(description="The model.")
    def model(self, info: strawberry.Info) -> Model:
        model: Model = info.context.faces.by_slug("model", self.model_slug)
        return model

    @strawberry.field(description="The accelerator, or one of several equal ones.")
    def gpu(self, info: strawberry.Info) -> Gpu:
        gpu: Gpu = info.context.faces.by_slug("gpu", self.gpu_slug)
        return gpu

    @strawberry.field(description="The quantization.")
    def quant(self, info: strawberry.Info) -> Quant:
        quant: Quant = info.context.faces.by_slug("quant", self.quant_slug)
        return quant


@strawberry.type(description="One page of measurements.")
class MeasurementConnection(Connection[Measurement]):
    """Page of measurements."""


def page_measurements(context: Any, key: Key | None, asked: Asked, paging: Paging) -> MeasurementConnection:
    """One page of the measurements of a model, accelerator and quantization, or of all in the catalog.

    Without an order as the catalog's files have them.
    """
    wanted, order_by = asked
    view = context.view
    page = page_of(context.services.limits, *paging)
    every = measured_in(view) if key is None else measured().get(key, [])
    chosen = ordered(select_measurements(view, every, wanted), order_by)
    mark = "measurements" if key is None else "measurements:" + "/".join(key)
    return slice_page(MeasurementConnection, chosen, page, view.state, signature_of(mark, wanted, order_by))


def measurements_field(description: str, key_of: Callable[[Any], Key | None]) -> Any:
    """The field that lists measurements: those of the key that ``key_of`` reads from its object, or all for None."""

    async def measurements(
        self: Any,
        info: strawberry.Info,
        filter: Which = None,
        order_by: Orders = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> MeasurementConnection | None:
        asked, paging = (filter, order_by), (first, after, last, before)
        return await asyncio.to_thread(page_measurements, info.context, key_of(self), asked, paging)

    return strawberry.field(resolver=measurements, description=description)


def find_measurement(view: CatalogView, slug: str) -> Measurement | None:
    """A measurement by the key of its id; None when it, or what it is of, has left the catalog."""
    measurement = _by_slug().get(slug)
    return measurement if measurement is not None and _is_in(view, measurement) else None


def measured_in(view: CatalogView) -> list[Measurement]:
    """Measurements whose model, accelerator and quantization are in the catalog."""
    return [measurement for measurement in _by_slug().values() if _is_in(view, measurement)]


def _is_in(view: CatalogView, measurement: Measurement) -> bool:
    return (
        view.by_slug("model", measurement.model_slug) is not None
        and view.by_slug("gpu", measurement.gpu_slug) is not None
        and view.by_slug("quant", measurement.quant_slug) is not None
    )


@lru_cache(maxsize=1)
def measured() -> Mapping[Key, list[Measurement]]:
    """All rows whose model, accelerator and quantization have a name in the catalog, by their slugs."""
    by_key: dict[Key, list[Measurement]] = {}
    for measurement in _by_slug().values():
        by_key.setdefault((measurement.model_slug, measurement.gpu_slug, measurement.quant_slug), []).append(
            measurement
        )
    return by_key


@lru_cache(maxsize=1)
def _by_slug() -> Mapping[str, Measurement]:
    rows = (
        row for row in speed_rows() if None not in (row.get("model_slug"), row.get("gpu_slug"), row.get("quant_slug"))
    )
    by_slug: dict[str, Measurement] = {}
    for row in rows:
        measurement = _measurement(row)
        # Rows that say the same in every key are one measurement.
        by_slug.setdefault(measurement.slug, measurement)
    return by_slug


def _measurement(row: Mapping[str, Any]) -> Measurement:
    prompt, depth = row.get("n_prompt"), row.get("depth")
    # Rows come and go around it; its content is what stays.
    slug = blake2s(orjson.dumps(row, option=orjson.OPT_SORT_KEYS), digest_size=_ID_BYTES).hexdigest()
    return Measurement(
        id=strawberry.ID(encode_id("Measurement", slug)),
        slug=slug,
        model_slug=intern(row["model_slug"]),
        gpu_slug=intern(row["gpu_slug"]),
        quant_slug=intern(row["quant_slug"]),
        phase=MeasurementPhase(row["kind"]),
        tokens_per_second=float(row["tok_s"]),
        engine_name=row.get("engine"),
        backend_name=row.get("backend"),
        build=None if row.get("build") is None else str(row["build"]),
        gpu_count=int(row.get("gpu_count") or 1),
        batch=int(row.get("batch") or 1),
        depth_tokens=None if depth is None else int(depth),
        prompt_tokens=None if prompt is None else int(prompt),
        exact={row.get("model_match"), row.get("gpu_match"), row.get("quant_match")} == {"exact"},
        date=row.get("date") and PartialDate(row["date"]),
        # Most rows share their texts with others of the same source.
        source_url=intern(row["source_url"]),
        note=None if row.get("source_note") is None else intern(row["source_note"]),
    )
