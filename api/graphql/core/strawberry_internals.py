"""All that this project takes from Strawberry's inside; read from the version below, whose next minor is not allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    VariableValues,
    get_argument_values,
)
from strawberry import Schema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext, validate_document
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage
from strawberry.types import ExecutionContext
from strawberry.types.arguments import convert_arguments
from strawberry.types.execution import PreExecutionError
from strawberry.types.field import StrawberryField

__all__ = ["READ_FROM", "Message", "StrawberryExecutor", "SubscribeMessage", "validate_document"]

READ_FROM = "0.341.2"
#: The executor of graphql-core as Strawberry sets it up.
StrawberryExecutor: TypeAlias = StrawberryGraphQLCoreExecutionContext
C = TypeVar("C")
_DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF


class PreparedSchema(Schema):
    """Strawberry's schema, whose documents a subclass prepares instead of a parse and a validation per request."""

    @property
    def core(self) -> GraphQLSchema:
        return self._schema

    def prepare_operation(self, context: ExecutionContext) -> list[GraphQLError]:
        """Set ``graphql_document`` of ``context``, or return the errors that refuse it."""
        raise NotImplementedError

    async def _prepare_operation_async(
        self, context: ExecutionContext, extensions_runner: Any
    ) -> PreExecutionError | None:
        errors = self.prepare_operation(context)
        if not errors:
            return None
        context.pre_execution_errors = errors
        return PreExecutionError(data=None, errors=errors)


class OpenSocketHandler(BaseGraphQLTransportWSHandler[C, None]):
    """Strawberry's handler of a websocket, which no error of a document closes: it is sent as every other one."""

    @staticmethod
    def _get_pre_execution_close_reason(error: object) -> None:
        del error


def declared(kind: type) -> Any:
    """Strawberry's definition of a decorated class: its ``fields``, or the ``values`` of an enum."""
    return kind.__strawberry_definition__  # type: ignore[attr-defined]


def definition_of(field: GraphQLField) -> StrawberryField | None:
    """Strawberry's definition of a field; None for a field of introspection."""
    definition = (field.extensions or {}).get(_DEFINITION)
    return definition if isinstance(definition, StrawberryField) else None


def resolves_by_definition(field: GraphQLField) -> bool:
    """Whether the resolver of a field is the one that Strawberry made of its definition, not wrapped."""
    return getattr(field.resolve, "__module__", "") == GraphQLCoreConverter.__module__


def class_of(kind: GraphQLObjectType) -> type:
    """Class of the objects of a type. The objects of a concrete generic type are of the generic class."""
    definition = kind.extensions[_DEFINITION]
    origin: type = (definition.concrete_of or definition).origin
    return origin


def argument_reader(
    schema: GraphQLSchema, field: GraphQLField, definition: StrawberryField, node: FieldNode
) -> Callable[[VariableValues], dict[str, Any]]:
    """Function from the variables of a request to the arguments of a resolver."""
    own: Schema = schema._strawberry_schema  # type: ignore[attr-defined]
    registry, config, arguments = own.schema_converter.scalar_registry, own.config, definition.arguments
    return lambda variables: convert_arguments(get_argument_values(field, node, variables), arguments, registry, config)
