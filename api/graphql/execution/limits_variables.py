"""How many values the variables of a request may hold: each is checked against its type, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLSchema,
    OperationDefinitionNode,
    get_nullable_type,
    is_leaf_type,
    type_from_ast,
)

from api.errors import LimitExceededError


def check_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None, maximum: int
) -> None:
    """Count objects, lists and plain values together; one where a scalar is declared, such as a model's configuration.

    Raises:
        LimitExceededError: there are more than ``maximum``.
    """
    values = variables or {}
    pending: list[tuple[Any, Any]] = []
    if any(isinstance(value, dict | list) for value in values.values()):
        declared = {
            definition.variable.name.value: type_from_ast(schema, definition.type)
            for definition in operation.variable_definitions or ()
        }
        pending = [(value, declared.get(name)) for name, value in values.items()]
    count = len(values)
    while pending and count <= maximum:
        members = _values_in(*pending.pop())
        pending.extend(members)
        count += len(members)
    if count > maximum:
        raise LimitExceededError("variable values", count, maximum)


def _values_in(value: Any, declared: Any) -> list[tuple[Any, Any]]:
    """The parts of ``value``, each with its declared type; nothing in a scalar, which is checked as a whole."""
    kind = get_nullable_type(declared)
    if is_leaf_type(kind):
        return []
    if isinstance(value, list):
        inner = kind.of_type if isinstance(kind, GraphQLList) else None
        return [(item, inner) for item in value]
    if not isinstance(value, dict):
        return []
    kind = get_nullable_type(kind.of_type) if isinstance(kind, GraphQLList) else kind
    if is_leaf_type(kind):
        return []
    fields = kind.fields if isinstance(kind, GraphQLInputObjectType) else {}
    return [(item, fields[key].type if key in fields else None) for key, item in value.items()]
