"""Inference engines: what each loads and what it runs on."""

from __future__ import annotations

import strawberry

from api.catalog.records import EngineRecord, texts_of
from api.graphql.core.enums import BackendKind, EngineKind
from api.graphql.core.ids import encode_id
from api.graphql.core.node import Node
from estimator.types import QuantFormat


@strawberry.type(description="An inference engine.")
class Engine(Node):
    slug: str = strawberry.field(description="Name in URLs and arguments, such as `llama.cpp`.")
    name: str = strawberry.field(description="Display name.")
    aliases: list[str] = strawberry.field(description="Other names that arguments accept.")
    kind: EngineKind = strawberry.field(description="Name in arguments and filters.")
    front_of: EngineKind | None = strawberry.field(description="The engine behind it, when it is a front of one.")
    formats: list[QuantFormat] = strawberry.field(description="File formats that it loads.")
    backends: list[BackendKind] = strawberry.field(description="Interfaces that it drives hardware through.")
    homepage: str | None = strawberry.field(description="Address of its home page.")
    sources: list[str] = strawberry.field(description="Where the facts come from.")


def engine_of(record: EngineRecord) -> Engine:
    """The GraphQL object of an engine."""
    entry, rules = record.entry, record.rules
    front_of = entry.get("front_of")
    formats = {value for rule in rules for value in rule.get("formats") or ()}
    backends = {rule["backend"] for rule in rules}
    return Engine(
        id=strawberry.ID(encode_id("Engine", record.slug)),
        slug=record.slug,
        name=record.name,
        aliases=record.aliases,
        kind=record.kind,
        front_of=EngineKind(front_of) if front_of else None,
        formats=[value for value in QuantFormat if value.value in formats],
        backends=[value for value in BackendKind if value.value in backends],
        homepage=entry.get("homepage"),
        sources=list(dict.fromkeys(source for rule in rules for source in texts_of(rule.get("source")))),
    )
