"""Plain data, completed by compiled functions inside graphql-core's own execution.

Most of an answer is attributes of objects that are in memory already. For those, resolving field by field costs a
hundred times what reading them does. Here a selection is compiled, per operation, into nested functions that read the
attributes and check each value's exact type. A value that is not exactly what its type promises (null where there must
be one, an exception, an awaitable, an odd number) is left to graphql-core, for that field alone and at its place in the
order: so fragments, directives, aliases, nulls, errors and their paths come out as if this module were not there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from inspect import CORO_CREATED, getcoroutinestate
from types import CoroutineType
from typing import Any, TypeAlias, TypeVar

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.info import Info

from api.graphql.execution.calls import Call, call_of
from api.graphql.execution.completion import (
    Completer,
    Entry,
    of_constant,
    of_enum,
    of_list,
    of_nullable,
    of_object,
    of_scalar,
)
from api.graphql.execution.whole import Finish

Details: TypeAlias = list[FieldDetails]
Coroutine: TypeAlias = "CoroutineType[Any, Any, Any]"
#: Response name, attribute, function that completes its value (None: graphql-core does it), fields of the group.
Step: TypeAlias = tuple[str, str, Completer | None, Details]


@dataclass(slots=True)
class Plans:
    """What is compiled of one document, which keeps its nodes alive."""

    #: (type name, ids of the field's nodes) -> attribute and completion.
    fields: dict[tuple[Any, ...], tuple[str, Completer | None]] = field(default_factory=dict)
    #: (type name, id of the field's node) -> call of its resolver.
    calls: dict[tuple[str, int], Call | None] = field(default_factory=dict)
    #: id of an operation -> how often it was met and, later, its function (None: it has none).
    queries: dict[int, int | Finish | None] = field(default_factory=dict)


_TYPENAME = "__typename"
T_ = TypeVar("T_")


def close_unstarted(begun: list[Coroutine]) -> None:
    """Close what nobody awaited: when a field fails, graphql-core cancels its siblings, whose resolvers may not have begun.

    Left to the garbage collector, each would be told of in the log, by code that itself fails inside a named tuple.
    """
    for each in begun:
        if getcoroutinestate(each) == CORO_CREATED:
            each.close()
    begun.clear()


class PlainExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with compiled selections of plain data."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._steps_of: dict[int, tuple[Any, list[Step]]] = {}
        plans: Plans | None = getattr(self.context_value, "plans", None)
        self._plans: Plans = Plans() if plans is None else plans
        self._begun: list[Coroutine] = getattr(self.context_value, "begun", [])

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
            return self._noted(
                super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
            )
        results: dict[str, Any] = {}
        rest: dict[str, Details] = {}
        for name, attribute, complete, details in steps:
            results[name] = None
            if complete is not None:
                # Whatever goes wrong goes wrong again on the general path, which locates and reports it.
                with suppress(Exception):
                    results[name] = complete.call(getattr(source_value, attribute))
                    continue
            rest[name] = details
        if not rest:
            return results
        completed = self._noted(super().execute_fields(parent_type, source_value, path, rest, position_context))
        if self.is_awaitable(completed):
            return self._noted(_merged_later(results, rest, completed))
        return _merged(results, rest, completed)

    def complete_list_value(self, *args: Any, **kwargs: Any) -> AwaitableOrValue[list[Any]]:
        """Complete a list."""
        return self._noted(super().complete_list_value(*args, **kwargs))

    def complete_list_item_value(self, item: Any, complete_results: list[Any], *args: Any, **kwargs: Any) -> bool:
        """Complete an item of a list; true when it is to be awaited."""
        awaited = super().complete_list_item_value(item, complete_results, *args, **kwargs)
        if awaited:
            self._noted(complete_results[-1])
        return awaited

    def _noted(self, found: T_) -> T_:
        """``found``, remembered when it is a coroutine: nobody may come to await it."""
        if isinstance(found, CoroutineType):
            self._begun.append(found)
        return found

    def execute_field(
        self, parent_type: GraphQLObjectType, source: Any, details: Details, path: Path, position_context: Any
    ) -> AwaitableOrValue[Any]:
        """Call the resolver with arguments that were coerced once a document; what is not simple goes the general way."""
        call = self._call(parent_type, details)
        kwargs = None if call is None else call.keywords(self.variable_values.coerced)
        if call is None or kwargs is None:
            found = super().execute_field(parent_type, source, details, path, position_context)
            if type(found) is CoroutineType and found.cr_frame is not None:
                # What the resolver returned is in the hands of this one.
                self._begun += [each for each in found.cr_frame.f_locals.values() if type(each) is CoroutineType]
            return self._noted(found)
        kind = call.field.type
        info = self.build_resolve_info(call.field, [each.node for each in details], parent_type, path)
        try:
            if call.info_name is not None:
                kwargs[call.info_name] = Info(_raw_info=info, _field=call.definition)
            result = call.result(source, kwargs)
            if self.is_awaitable(result):
                self._noted(result)
                return self._noted(self.complete_awaitable_value(kind, details, info, path, result, position_context))
            completed = self.complete_value(kind, details, info, path, result, position_context)
            if self.is_awaitable(completed):
                return self._noted(self._settled(self._noted(completed), kind, details, path))
        except Exception as error:
            self.handle_field_error(error, kind, details, path)
            return None
        return completed

    async def _settled(self, completed: Any, kind: GraphQLOutputType, details: Details, path: Path) -> Any:
        try:
            return await completed
        except Exception as error:
            self.handle_field_error(error, kind, details, path)
            return None

    def _call(self, parent_type: GraphQLObjectType, details: Details) -> Call | None:
        node = details[0].node
        key = (parent_type.name, id(node))
        if key not in self._plans.calls:
            middled = self._has_middleware()
            self._plans.calls[key] = None if middled else call_of(self.schema, parent_type, node)
        return self._plans.calls[key]

    def _steps(self, parent_type: GraphQLObjectType, grouped: dict[str, Details]) -> list[Step]:
        known = self._steps_of.get(id(grouped))
        if known is None:
            # The group is kept with its steps, so that its id cannot be given to another one meanwhile.
            steps = [self._step(parent_type, name, details) for name, details in grouped.items()]
            known = self._steps_of[id(grouped)] = (grouped, steps)
        return known[1]

    def steps_of(self, parent_type: GraphQLObjectType, grouped: dict[str, Details]) -> list[Step]:
        """The steps of a selection: response name, attribute, completer and fields of each group."""
        return self._steps(parent_type, grouped)

    def completer_of(self, kind: GraphQLOutputType, details: Details) -> Completer | None:
        """Completer of the values of a field; None when graphql-core must complete them."""
        return self._completer(kind, details)

    def _step(self, parent_type: GraphQLObjectType, name: str, details: Details) -> Step:
        key = (parent_type.name, *(id(one.node) for one in details))
        plan = self._plans.fields.get(key)
        if plan is None:
            plan = self._plans.fields[key] = self._plan(parent_type, details)
        return name, *plan, details

    def _plan(self, parent_type: GraphQLObjectType, details: Details) -> tuple[str, Completer | None]:
        """Attribute and completion of a field; no completion when it is not plain."""
        node = details[0].node
        field_name = node.name.value
        if field_name == _TYPENAME:
            return "__class__", of_constant(parent_type.name)
        found = parent_type.fields.get(field_name)
        if found is None or found.args or node.arguments or self._has_middleware():
            return "", None
        definition = (found.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if definition is None or not definition.is_basic_field:
            return "", None
        return definition.python_name, self._completer(found.type, details)

    def _has_middleware(self) -> bool:
        manager = self.middleware_manager
        return manager is not None and bool(manager.middlewares)

    def _completer(self, kind: GraphQLOutputType, details: Details) -> Completer | None:
        """Completer of a value of ``kind``; None when there can be none."""
        if isinstance(kind, GraphQLNonNull):
            return self._of_present(kind.of_type, details)
        inner = self._of_present(kind, details)
        return None if inner is None else of_nullable(inner)

    def _of_present(self, kind: Any, details: Details) -> Completer | None:
        if isinstance(kind, GraphQLScalarType):
            return of_scalar(kind)
        if isinstance(kind, GraphQLEnumType):
            return of_enum(kind)
        if isinstance(kind, GraphQLList):
            item = self._completer(kind.of_type, details)
            return None if item is None else of_list(item)
        if isinstance(kind, GraphQLObjectType):
            return self._object(kind, details)
        return None

    def _object(self, kind: GraphQLObjectType, details: Details) -> Completer | None:
        definition = (kind.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
        collected = self.collect_subfields(kind, details)
        if definition is None or collected.new_defer_usages:
            return None
        entries = []
        for name, attribute, completer, _ in self._steps(kind, collected.grouped_field_set):
            if completer is None:
                return None
            entries.append(Entry(name, attribute, completer))
        # A generic type made concrete has a class of its own; its objects are of the generic one.
        return of_object((definition.concrete_of or definition).origin, entries)


def _merged(results: dict[str, Any], rest: dict[str, Details], completed: Any) -> dict[str, Any]:
    for name in rest:
        if name in completed:
            results[name] = completed[name]
        else:
            del results[name]
    return results


async def _merged_later(results: dict[str, Any], rest: dict[str, Details], completed: Any) -> dict[str, Any]:
    return _merged(results, rest, await completed)
