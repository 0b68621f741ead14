"""Python enums as GraphQL enums, and fields that another module adds to a type."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry

from api.graphql.core.strawberry_internals import declared


def describe(kind: type[Enum], name: str, description: str, values: Mapping[str, str]) -> None:
    """Make ``kind`` a GraphQL enum called ``name``; ``values`` describes each member by its name."""
    for value in declared(strawberry.enum(kind, name=name, description=description)).values:
        value.description = values[value.name]


def extend(owner: type, name: str, field: Any) -> None:
    """Add a field to a GraphQL type, as its last one. The resolver's types may be built on the owner."""
    field.python_name = name
    field.origin = owner
    declared(owner).fields.append(field)
