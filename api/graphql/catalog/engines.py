"""Inference engines: what each loads and what it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strawberry

from api.graphql.catalog.models import as_texts
from api.graphql.core.arguments import fits_field
from api.graphql.core.enums import BackendKind, EngineKind, QuantFormat
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node


@strawberry.type(description="An inference engine.")
class Engine(Node):
    """Facts of one engine."""

    slug: str = strawberry.field(description="Name in URLs and arguments, such as `llama.cpp`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    kind: EngineKind = strawberry.field(description="Name in arguments and filters.")
    front_of: EngineKind | None = strawberry.field(description="The engine behind it, when it is a front of one.")
    formats: list[QuantFormat] = strawberry.field(description="File formats that it loads.")
    backends: list[BackendKind] = strawberry.field(description="Interfaces that it drives hardware through.")
    homepage: str | None = strawberry.field(description="Address of its home page.")
    sources: list[str] = strawberry.field(description="Where the facts come from.")

    fits = fits_field(
        "Published fits whose numbers are of this engine, none for a front; default order: score, best first."
    )


def engine_from_entry(entry: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> Engine:
    """The engine of a catalog entry; a front has the rules of the engine behind it."""
    front_of = entry.get("front_of")
    rules = entry.get("rules") or (entries[front_of].get("rules") if front_of else None) or ()
    formats = {value for rule in rules for value in rule.get("formats") or ()}
    backends = {rule["backend"] for rule in rules}
    return Engine(
        id=strawberry.ID(encode_id("Engine", entry["slug"])),
        slug=entry["slug"],
        name=entry["name"],
        aliases=list(entry.get("aliases") or ()),
        kind=EngineKind(entry["slug"]),
        front_of=EngineKind(front_of) if front_of else None,
        formats=[value for value in QuantFormat if value.value in formats],
        backends=[value for value in BackendKind if value.value in backends],
        homepage=entry.get("homepage"),
        sources=list(dict.fromkeys(source for rule in rules for source in as_texts(rule.get("source")))),
    )
