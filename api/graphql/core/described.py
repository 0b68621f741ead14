"""Enums of Python made enums of GraphQL, with a description for every value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import strawberry


def describe(kind: type[Enum], name: str, description: str, values: Mapping[str, str]) -> None:
    """Make ``kind`` a GraphQL enum called ``name``; ``values`` describes each member by its name."""
    definition = strawberry.enum(kind, name=name, description=description).__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]
