"""Calls of resolvers whose arguments are coerced and converted once a document instead of once a request.

A filter written into a document is the same input object each time; only what variables fill differs. A field whose
arguments are constants, or variables of a scalar or enum type, is called with them at once. Every other one, and every
missing or null variable, is left to graphql-core and Strawberry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    VariableNode,
    get_argument_values,
    get_nullable_type,
    is_leaf_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

Watch: TypeAlias = Callable[[Callable[[], Any]], Any]
#: Extension of a field that holds its watch.
WATCH = "fitgraph-watch"
_CONVERTER = GraphQLCoreConverter.__module__


@dataclass(frozen=True, slots=True)
class Call:
    """A resolver with its constant arguments and the variables (argument, variable) that fill the others."""

    field: GraphQLField
    definition: StrawberryField
    constant: Mapping[str, Any]
    variables: tuple[tuple[str, str], ...]
    info_name: str | None
    #: Whether arguments hold variables in a way that only graphql-core and Strawberry fill in.
    dynamic: bool = False
    #: What runs the resolver and sees how it goes; None when nobody looks.
    watch: Watch | None = None

    def result(self, source: Any, keywords: dict[str, Any]) -> Any:
        """What the resolver returns for one object."""
        if self.watch is None:
            return self.definition.get_result(source, info=None, args=[source], kwargs=keywords)
        return self.watch(lambda: self.definition.get_result(source, info=None, args=[source], kwargs=keywords))

    def keywords(self, coerced: Mapping[str, Any]) -> dict[str, Any] | None:
        """All arguments; None when a variable is missing or null, which has rules of its own."""
        found = dict(self.constant)
        for name, variable in self.variables:
            value = coerced.get(variable)
            if value is None:
                return None
            found[name] = value
        return found


def call_of(
    schema: GraphQLSchema, parent_type: GraphQLObjectType, node: FieldNode, *, dynamic: bool = False
) -> Call | None:
    """How to call the resolver of a field; None when only graphql-core and Strawberry know.

    With ``dynamic``, a resolver whose arguments they must fill in each time is a call too, and says so.
    """
    field = schema.get_field(parent_type, node.name.value)
    definition = ((field.extensions if field else None) or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if field is None or field.subscribe is not None or getattr(field.resolve, "__module__", "") != _CONVERTER:
        # Streams, and resolvers that somebody watches or wraps, are called as they are.
        return None
    if not isinstance(definition, StrawberryField) or definition.extensions:
        return None
    resolver = definition.base_resolver
    if resolver is None or not resolver.self_parameter or resolver.parent_parameter or resolver.root_parameter:
        return None
    watch = (field.extensions or {}).get(WATCH)
    variables: dict[str, str] = {}
    constant: list[ArgumentNode] = []
    for argument in node.arguments or ():
        given = field.args.get(argument.name.value)
        if given is None:
            return None
        if isinstance(argument.value, VariableNode) and is_leaf_type(get_nullable_type(given.type)):
            variables[argument.name.value] = argument.value.name.value
        elif _has_variables(argument.value):
            info = resolver.info_parameter
            if not dynamic:
                return None
            return Call(field, definition, {}, (), info.name if info else None, dynamic=True, watch=watch)
        else:
            constant.append(argument)
    own: Any = schema._strawberry_schema  # type: ignore[attr-defined]
    names = {own.config.name_converter.from_argument(each): each.python_name for each in definition.arguments}
    probe = GraphQLField(field.type, args={name: each for name, each in field.args.items() if name not in variables})
    try:
        values = get_argument_values(probe, FieldNode(name=node.name, arguments=tuple(constant)))
        converted = convert_arguments(values, definition.arguments, own.schema_converter.scalar_registry, own.config)
        filled = tuple((names[name], variable) for name, variable in variables.items())
    except Exception:
        # Whatever is wrong with the arguments is said by the general path, at its place in the answer.
        return None
    info = resolver.info_parameter
    return Call(field, definition, converted, filled, None if info is None else info.name, watch=watch)


def _has_variables(value: Any) -> bool:
    if isinstance(value, ListValueNode):
        return any(_has_variables(each) for each in value.values)
    if isinstance(value, ObjectValueNode):
        return any(_has_variables(each.value) for each in value.fields)
    return isinstance(value, VariableNode)
