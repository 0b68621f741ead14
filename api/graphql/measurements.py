"""Measured speeds of the catalog, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import strawberry

from api.graphql.connections import Connection, page_of, slice_page
from api.graphql.ids import encode_id
from api.graphql.limits import QueryLimits
from api.graphql.node import Node
from db.measurements import speed_rows

Key = tuple[str, str, str]


@strawberry.type(description="A speed that somebody measured and published.")
class Measurement(Node):
    """One row of the measured tables, with its conditions as far as they were stated."""

    slug: strawberry.Private[str]
    phase: str = strawberry.field(description="What was measured: `decode` or `prefill`.")
    tokens_per_second: float = strawberry.field(description="Measured speed, tokens per second.")
    engine: str | None = strawberry.field(description="Engine as its source names it.")
    backend: str | None = strawberry.field(description="Compute interface as its source names it.")
    build: str | None = strawberry.field(description="Build or version of the engine; null when not stated.")
    gpu_count: int = strawberry.field(description="Accelerators that ran together.")
    batch: int = strawberry.field(description="Sequences that ran together.")
    depth_tokens: int | None = strawberry.field(description="Tokens already in context; null when not stated.")
    prompt_tokens: int | None = strawberry.field(description="Tokens of the prompt; null when not stated.")
    date: str | None = strawberry.field(description="When it was measured or published, as its source says.")
    source_url: str = strawberry.field(description="Where it was published.")
    note: str | None = strawberry.field(description="What else the source says.")


@strawberry.type(description="One page of measurements.")
class MeasurementConnection(Connection[Measurement]):
    """Page of measurements."""


def page_measurements(
    limits: QueryLimits, key: Key, state: str, first: int | None, after: str | None
) -> MeasurementConnection:
    """Measurements of one model, accelerator and quantization, in the order of the catalog's files."""
    found = measured().get(key, [])
    return slice_page(
        MeasurementConnection, found, page_of(limits, first, after), state, "measurements:" + "/".join(key)
    )


@lru_cache(maxsize=1)
def measured() -> Mapping[Key, list[Measurement]]:
    """All rows whose model, accelerator and quantization are in the catalog, by their slugs."""
    found: dict[Key, list[Measurement]] = {}
    for number, row in enumerate(speed_rows()):
        key = (row.get("model_slug"), row.get("gpu_slug"), row.get("quant_slug"))
        if None not in key:
            found.setdefault(key, []).append(_measurement(number, row))  # type: ignore[arg-type]
    return found


def _measurement(number: int, row: Mapping[str, Any]) -> Measurement:
    prompt, depth = row.get("n_prompt"), row.get("depth")
    return Measurement(
        id=strawberry.ID(encode_id("Measurement", str(number))),
        slug=str(number),
        phase=row["kind"],
        tokens_per_second=float(row["tok_s"]),
        engine=row.get("engine"),
        backend=row.get("backend"),
        build=None if row.get("build") is None else str(row["build"]),
        gpu_count=int(row.get("gpu_count") or 1),
        batch=int(row.get("batch") or 1),
        depth_tokens=None if depth is None else int(depth),
        prompt_tokens=None if prompt is None else int(prompt),
        date=row.get("date"),
        source_url=row["source_url"],
        note=row.get("source_note"),
    )
