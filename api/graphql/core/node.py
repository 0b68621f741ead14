"""Relay's Node: every major thing has a global opaque id."""

from __future__ import annotations

import strawberry


@strawberry.interface(description="A thing with a global id, which `node(id:)` reads back.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque global id; stable for the same thing for ever.")
