"""Costs of introspection. A schema lists itself from memory, but a few aliases make that millions of values.

Lists are as long as this schema makes them: a field of a type is answered as often as types have fields on average. A
value of introspection counts a fraction of one that comes from the database.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
)

#: Values of introspection that cost one point.
VALUES_PER_POINT = 2


def introspection_lengths(schema: GraphQLSchema) -> Mapping[str, float]:
    """Mean length of each list of introspection, by ``Type.field``."""
    kinds = list(schema.type_map.values())
    with_fields = [kind for kind in kinds if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)]
    fields = [field for kind in with_fields for field in kind.fields.values()]
    inputs = sum(len(kind.fields) for kind in kinds if isinstance(kind, GraphQLInputObjectType))
    values = sum(len(kind.values) for kind in kinds if isinstance(kind, GraphQLEnumType))
    interfaces = sum(len(kind.interfaces) for kind in with_fields)
    count = len(kinds)
    return {
        "__Schema.types": count,
        "__Schema.directives": len(schema.directives),
        "__Type.fields": len(fields) / count,
        "__Type.inputFields": inputs / count,
        "__Type.enumValues": values / count,
        "__Type.interfaces": interfaces / count,
        "__Type.possibleTypes": interfaces / count,
        "__Field.args": sum(len(field.args) for field in fields) / max(1, len(fields)),
        "__Directive.args": 1,
    }
