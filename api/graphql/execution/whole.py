"""Whole queries as one compiled function, for when nothing unusual happens.

A query whose fields are plain data and resolvers that are called simply needs no executor: it is compiled, from its
second run on, into nested functions that call the resolvers and complete what they return. At the first thing that is
not exactly as promised (an error, a null where there must be none, an odd value, an abstract type) the attempt is dropped
and the query is run the general way, which then says what is wrong. Only queries: to run one twice changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_argument_values,
)
from graphql.execution.collect_fields import FieldDetails, collect_fields
from graphql.execution.values import VariableValues
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments

from api.graphql.execution.calls import Call, call_of
from api.graphql.execution.completion import NotPlainError, reader_of

if TYPE_CHECKING:
    from api.graphql.execution.plain import PlainExecutor


class CallInfo:
    """What a resolver finds of an operation here: its context. Asking for more ends the attempt."""

    __slots__ = ("context",)

    def __init__(self, context: Any) -> None:
        self.context = context


@dataclass(slots=True)
class Attempt:
    """One run of a compiled query."""

    info: CallInfo
    variables: VariableValues


class Called:
    """What a resolver will return, to be completed. One that is not run is closed."""

    __slots__ = ("_attempt", "_finish", "_waiting")

    def __init__(self, waiting: CoroutineType[Any, Any, Any], finish: Finish, attempt: Attempt) -> None:
        self._waiting = waiting
        self._finish = finish
        self._attempt = attempt

    async def run(self) -> Any:
        """Await and complete."""
        found = self._finish(await self._waiting, self._attempt)
        return await found.run() if isinstance(found, _UNFINISHED) else found

    def close(self) -> None:
        """Close the resolver's coroutine."""
        self._waiting.close()


class Together:
    """An object or a list, some of whose entries await something; they wait side by side, so that reads go together."""

    __slots__ = ("_holder", "_keys")

    def __init__(self, holder: Any, keys: list[Any]) -> None:
        self._holder = holder
        self._keys = keys

    async def run(self) -> Any:
        """Await every entry, then raise the first failure or put all in place."""
        holder, keys = self._holder, self._keys
        if len(keys) == 1:
            holder[keys[0]] = await holder[keys[0]].run()
            return holder
        found = await asyncio.gather(*(holder[key].run() for key in keys), return_exceptions=True)
        for key, one in zip(keys, found, strict=True):
            if isinstance(one, BaseException):
                raise one
            holder[key] = one
        return holder

    def close(self) -> None:
        """Close every entry."""
        for key in self._keys:
            self._holder[key].close()


#: Answers that await something.
_UNFINISHED = (Called, Together)
#: Completes a value within an attempt: the answer, or an unfinished one.
Finish: TypeAlias = Callable[[Any, Attempt], Any]
Details: TypeAlias = list[FieldDetails]


def compile_query(executor: PlainExecutor) -> Finish | None:
    """The function of the executor's operation, which takes the root value; None when it needs the executor."""
    root = executor.schema.query_type
    if root is None:
        return None
    collected = collect_fields(executor.schema, executor.fragments, executor.variable_values, root, executor.operation)
    return None if collected.new_defer_usages else _selection(executor, root, collected.grouped_field_set)


async def run_query(query: Finish, root: Any, context: Any, variables: VariableValues) -> Any:
    """Data of a compiled query. Raises whatever went wrong: the general way then runs it anew."""
    found = query(root, Attempt(CallInfo(context), variables))
    return await found.run() if isinstance(found, _UNFINISHED) else found


def _selection(executor: PlainExecutor, kind: GraphQLObjectType, grouped: Mapping[str, Details]) -> Finish | None:
    entries: list[tuple[str, Finish]] = []
    for name, attribute, completer, details in executor.steps_of(kind, dict(grouped)):
        entry: Finish | None
        if completer is not None:
            entry = _plain(reader_of(_origin(kind), attribute), completer.call)
        elif attribute:
            finish = _finisher(executor, kind.fields[details[0].node.name.value].type, details)
            entry = None if finish is None else _read(reader_of(_origin(kind), attribute), finish)
        else:
            entry = _called(executor, kind, details)
        if entry is None:
            return None
        entries.append((name, entry))

    def run(value: Any, attempt: Attempt) -> Any:
        results: dict[str, Any] = {}
        waiting: list[str] = []
        try:
            for name, entry in entries:
                found = results[name] = entry(value, attempt)
                if isinstance(found, _UNFINISHED):
                    waiting.append(name)
        except BaseException:
            Together(results, waiting).close()
            raise
        return Together(results, waiting) if waiting else results

    return run


def _plain(read: Callable[[Any], Any], complete: Callable[[Any], Any]) -> Finish:
    return lambda value, _attempt: complete(read(value))


def _read(read: Callable[[Any], Any], finish: Finish) -> Finish:
    return lambda value, attempt: finish(read(value), attempt)


def _called(executor: PlainExecutor, kind: GraphQLObjectType, details: Details) -> Finish | None:
    node = details[0].node
    call = call_of(executor.schema, kind, node, dynamic=True)
    if call is None or call.watch is not None:
        # Who watches resolvers sees them through the executor.
        return None
    finish = _finisher(executor, call.field.type, details)
    if finish is None:
        return None
    arguments = _arguments(executor.schema, call, node)
    resolve, info_name = call.definition.base_resolver, call.info_name
    assert resolve is not None
    function = cast(Callable[..., Any], resolve.wrapped_func)

    def run(value: Any, attempt: Attempt) -> Any:
        kwargs = arguments(attempt.variables)
        if info_name is not None:
            kwargs[info_name] = attempt.info
        found = function(value, **kwargs)
        return Called(found, finish, attempt) if type(found) is CoroutineType else finish(found, attempt)

    return run


def _arguments(schema: GraphQLSchema, call: Call, node: FieldNode) -> Callable[[VariableValues], dict[str, Any]]:
    """Function that gives the keywords of a call for the variables of a request."""
    if not call.dynamic:

        def simple(variables: VariableValues) -> dict[str, Any]:
            kwargs = call.keywords(variables.coerced)
            if kwargs is None:
                raise NotPlainError
            return kwargs

        return simple
    own: Any = schema._strawberry_schema  # type: ignore[attr-defined]
    field: GraphQLField = call.field
    registry, config, wanted = own.schema_converter.scalar_registry, own.config, call.definition.arguments

    def anew(variables: VariableValues) -> dict[str, Any]:
        return convert_arguments(get_argument_values(field, node, variables), wanted, registry, config)

    return anew


def _finisher(executor: PlainExecutor, kind: Any, details: Details) -> Finish | None:
    plain = executor.completer_of(kind, details)
    if plain is not None:
        complete = plain.call
        return lambda value, _attempt: complete(value)
    if isinstance(kind, GraphQLNonNull):
        return _present(executor, kind.of_type, details)
    finish = _present(executor, kind, details)
    return None if finish is None else lambda value, attempt: None if value is None else finish(value, attempt)


def _present(executor: PlainExecutor, kind: Any, details: Details) -> Finish | None:
    if isinstance(kind, GraphQLList):
        item = _finisher(executor, kind.of_type, details)
        return None if item is None else _list(item)
    if not isinstance(kind, GraphQLObjectType):
        return None
    collected = executor.collect_subfields(kind, details)
    inner = None if collected.new_defer_usages else _selection(executor, kind, collected.grouped_field_set)
    if inner is None:
        return None
    origin = _origin(kind)

    def finish(value: Any, attempt: Attempt) -> Any:
        if type(value) is not origin:
            raise NotPlainError
        return inner(value, attempt)

    return finish


def _list(item: Finish) -> Finish:
    def finish(value: Any, attempt: Attempt) -> Any:
        if type(value) is not list:
            raise NotPlainError
        found: list[Any] = []
        waiting: list[int] = []
        try:
            for place, one in enumerate(value):
                found.append(item(one, attempt))
                if isinstance(found[-1], _UNFINISHED):
                    waiting.append(place)
        except BaseException:
            Together(found, waiting).close()
            raise
        return Together(found, waiting) if waiting else found

    return finish


def _origin(kind: GraphQLObjectType) -> type:
    """Class of the objects of a type; a generic type made concrete has one of its own, its objects the generic one."""
    definition = kind.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    origin: type = (definition.concrete_of or definition).origin
    return origin
