"""Plain data, completed by compiled functions inside graphql-core's own execution.

Most of an answer is attributes of objects that are in memory already. For those, resolving field by field costs a
hundred times what reading them does. Here a selection is compiled, per operation, into nested functions that read the
attributes and check each value's exact type. A value that is not exactly what its type promises (null where there must
be one, an exception, an awaitable, an odd number) is left to graphql-core, for that field alone and at its place in the
order: so fragments, directives, aliases, nulls, errors and their paths come out as if this module were not there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter

Complete: TypeAlias = Callable[[Any], Any]
Details: TypeAlias = list[FieldDetails]
#: Response name, attribute, function that completes its value (None: graphql-core does it), fields of the group.
Step: TypeAlias = tuple[str, str, Complete | None, Details]
#: (type name, ids of the field's nodes) -> plan. Belongs to one document, which keeps its nodes alive.
Plans: TypeAlias = dict[tuple[Any, ...], tuple[str, Complete | None]]
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_TYPENAME = "__typename"


class NotPlainError(Exception):
    """A value that only the general path may complete."""


class PlainExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with compiled selections of plain data."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._steps_of: dict[int, tuple[Any, list[Step]]] = {}
        plans: Plans | None = getattr(self.context_value, "plans", None)
        self._plans: Plans = {} if plans is None else plans

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: dict[str, Details],
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Complete the plain fields here, and hand the others to graphql-core, all in the order of the selection."""
        steps = self._steps(parent_type, grouped_field_set)
        if not any(step[2] is not None for step in steps):
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        results: dict[str, Any] = {}
        rest: dict[str, Details] = {}
        for name, attribute, complete, details in steps:
            results[name] = None
            if complete is not None:
                try:
                    results[name] = complete(getattr(source_value, attribute))
                    continue
                except (NotPlainError, AttributeError):
                    pass
            rest[name] = details
        if not rest:
            return results
        completed = super().execute_fields(parent_type, source_value, path, rest, position_context)
        if self.is_awaitable(completed):
            return _merged_later(results, rest, completed)
        return _merged(results, rest, completed)

    def _steps(self, parent_type: GraphQLObjectType, grouped: dict[str, Details]) -> list[Step]:
        known = self._steps_of.get(id(grouped))
        if known is None:
            # The group is kept with its steps, so that its id cannot be given to another one meanwhile.
            steps = [self._step(parent_type, name, details) for name, details in grouped.items()]
            known = self._steps_of[id(grouped)] = (grouped, steps)
        return known[1]

    def _step(self, parent_type: GraphQLObjectType, name: str, details: Details) -> Step:
        key = (parent_type.name, *(id(one.node) for one in details))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._plan(parent_type, details)
        return name, *plan, details

    def _plan(self, parent_type: GraphQLObjectType, details: Details) -> tuple[str, Complete | None]:
        """Attribute and completion of a field; no completion when it is not plain."""
        node = details[0].node
        field_name = node.name.value
        if field_name == _TYPENAME:
            type_name = parent_type.name
            return "__class__", lambda _value: type_name
        field = parent_type.fields.get(field_name)
        if field is None or field.args or node.arguments or self._has_middleware():
            return "", None
        definition = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if definition is None or not definition.is_basic_field:
            return "", None
        return definition.python_name, self._completer(field.type, details)

    def _has_middleware(self) -> bool:
        manager = self.middleware_manager
        return manager is not None and bool(manager.middlewares)

    def _completer(self, kind: GraphQLOutputType, details: Details) -> Complete | None:
        """Function that completes a value of ``kind`` or raises :class:`NotPlainError`; None when there can be none."""
        if isinstance(kind, GraphQLNonNull):
            return self._of_present(kind.of_type, details)
        inner = self._of_present(kind, details)
        if inner is None:
            return None
        return lambda value: None if value is None else inner(value)

    def _of_present(self, kind: Any, details: Details) -> Complete | None:
        if isinstance(kind, GraphQLScalarType):
            return _scalar(kind)
        if isinstance(kind, GraphQLEnumType):
            return _enum(kind)
        if isinstance(kind, GraphQLList):
            item = self._completer(kind.of_type, details)
            return None if item is None else _list(item)
        if isinstance(kind, GraphQLObjectType):
            return self._object(kind, details)
        return None

    def _object(self, kind: GraphQLObjectType, details: Details) -> Complete | None:
        definition = (kind.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
        collected = self.collect_subfields(kind, details)
        if definition is None or collected.new_defer_usages:
            return None
        steps = self._steps(kind, collected.grouped_field_set)
        if any(complete is None for _, _, complete, _ in steps):
            return None
        # A generic type made concrete has a class of its own; its objects are of the generic one.
        origin = (definition.concrete_of or definition).origin
        plain = [(name, attribute, complete) for name, attribute, complete, _ in steps if complete is not None]

        def complete_object(value: Any) -> dict[str, Any]:
            if type(value) is not origin:
                raise NotPlainError
            return {name: complete(getattr(value, attribute)) for name, attribute, complete in plain}

        return complete_object


def _merged(results: dict[str, Any], rest: dict[str, Details], completed: Any) -> dict[str, Any]:
    for name in rest:
        if name in completed:
            results[name] = completed[name]
        else:
            del results[name]
    return results


async def _merged_later(results: dict[str, Any], rest: dict[str, Details], completed: Any) -> dict[str, Any]:
    return _merged(results, rest, await completed)


def _list(item: Complete) -> Complete:
    def complete_list(value: Any) -> list[Any]:
        if type(value) is not list:
            raise NotPlainError
        return [item(one) for one in value]

    return complete_list


def _scalar(kind: GraphQLScalarType) -> Complete:
    """Function for a scalar: exact types at once, everything else by the general path."""
    if kind is GraphQLInt:
        return _int
    if kind is GraphQLFloat:
        return _float
    expected = {GraphQLString.name: str, GraphQLID.name: str, GraphQLBoolean.name: bool, "Int64": int, "Date": str}
    exact = expected.get(kind.name)

    def complete_scalar(value: Any) -> Any:
        if type(value) is not exact:
            raise NotPlainError
        return value

    return complete_scalar


def _int(value: Any) -> int:
    if type(value) is int and _INT_MIN <= value <= _INT_MAX:
        return value
    raise NotPlainError


def _float(value: Any) -> float:
    if type(value) is float and isfinite(value):
        return value
    raise NotPlainError


def _enum(kind: GraphQLEnumType) -> Complete:
    names: dict[Any, str] = {}

    def complete_enum(value: Any) -> str:
        try:
            return names[value]
        except (KeyError, TypeError):
            pass
        try:
            name = kind.coerce_output_value(value)
        except Exception as error:
            raise NotPlainError from error
        if not isinstance(name, str):
            raise NotPlainError
        names[value] = name
        return name

    return complete_enum
