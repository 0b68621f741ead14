"""Queries compiled to functions that call their resolvers and complete the results.

A query runs so as long as every value is exactly as its type promises. At the first that is not (an error, a null where
there must be none, an odd value) the attempt is dropped and graphql-core runs the query from its start: errors, paths and
partial data are its own. Only queries are compiled: to run one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import CoroutineType
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    VariableValues,
    get_named_type,
)
from strawberry.types.nodes import SelectedField

from api.graphql.core.strawberry_internals import (
    argument_reader,
    class_of,
    definition_of,
    resolves_by_definition,
)
from api.graphql.execution.completion import (
    Attempt,
    CallInfo,
    Complete,
    Completer,
    Entry,
    NotPlainError,
    of_any,
    of_call,
    of_enum,
    of_list,
    of_nullable,
    of_object,
    of_scalar,
    of_text,
)
from api.graphql.execution.core_internals import Details, Selections, close_unstarted
from api.graphql.execution.observer import ResolverWatch, awaited, watch_of

#: Compiled queries that one document keeps: its directives may depend on many variables.
_KEPT = 32


class CompiledDocument:
    """The queries of a document, compiled for each combination of the variables in its directives."""

    __slots__ = ("_conditions", "_document", "_queries", "_schema")

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, conditions: frozenset[str]) -> None:
        """``conditions`` are the names of the variables in directives."""
        self._schema, self._document, self._conditions = schema, document, sorted(conditions)
        self._queries: dict[tuple[Any, ...], Complete | None] = {}

    @property
    def queries(self) -> list[Complete]:
        """The functions that were made."""
        return [query for query in self._queries.values() if query is not None]

    def query(self, operation: OperationDefinitionNode, variables: VariableValues) -> Complete | None:
        """The function of an operation, which takes the root value; None when only graphql-core can run it."""
        key = (id(operation), *(variables.coerced.get(name) for name in self._conditions))
        if key not in self._queries:
            if len(self._queries) >= _KEPT:
                self._queries.clear()
            self._queries[key] = self._compiled(operation, variables)
        return self._queries[key]

    def _compiled(self, operation: OperationDefinitionNode, variables: VariableValues) -> Complete | None:
        root = self._schema.query_type
        if root is None or operation.operation is not OperationType.QUERY:
            return None
        compiler = _Compiler(self._schema, Selections(self._schema, self._document, operation, variables))
        try:
            return compiler.root(root).call
        except Exception:
            # A fault of an argument is told by graphql-core, at its place in the answer.
            return None


async def run_query(query: Complete, root: Any, context: Any, variables: VariableValues) -> Any:
    """Data of a compiled query. Raises whatever went wrong: graphql-core then runs the query."""
    attempt = Attempt(context, variables)
    try:
        data = query(root, attempt)
        if type(data) is CoroutineType:
            data = await data
    finally:
        close_unstarted(attempt.begun)
    for report in attempt.reports:
        report()
    return data


class _Compiler:
    """Compiles the selections of one operation. Raises NotPlainError for what only graphql-core can run."""

    def __init__(self, schema: GraphQLSchema, selections: Selections) -> None:
        self._schema, self._selections = schema, selections

    def root(self, kind: GraphQLObjectType) -> Completer:
        return of_object(None, self._entries(kind, self._selections.of_root(kind)))

    def _entries(self, kind: GraphQLObjectType, fields: dict[str, Details]) -> list[Entry]:
        return [self._entry(kind, name, details) for name, details in fields.items()]

    def _entry(self, kind: GraphQLObjectType, name: str, details: Details) -> Entry:
        node = details[0].node
        if node.name.value == "__typename":
            return Entry(name, None, of_text(kind.name))
        field = kind.fields.get(node.name.value)
        definition = None if field is None else definition_of(field)
        if field is None or definition is None:
            raise NotPlainError
        completer = self._completer(field.type, details)
        if definition.is_basic_field:
            return Entry(name, definition.python_name, completer)
        selected = self._selected(field.type, details)
        return Entry(name, None, of_call(self._call(kind, node, completer.call, selected), calls=True))

    def _selected(self, kind: Any, details: Details) -> list[SelectedField] | None:
        """What ``info.selected_fields`` says of the fields below a field, without their arguments; None for no object."""
        owner = get_named_type(kind)
        if not isinstance(owner, GraphQLObjectType):
            return None
        below = [parts[0].node.name.value for parts in self._selections.of_field(owner, details).values()]
        return [SelectedField(details[0].node.name.value, {}, {}, [SelectedField(name, {}, {}, []) for name in below])]

    def _call(
        self, kind: GraphQLObjectType, node: FieldNode, complete: Complete, selected: list[SelectedField] | None
    ) -> Complete:
        """Function that calls the resolver of a field and completes its result."""
        field = kind.fields[node.name.value]
        definition, watch = definition_of(field), watch_of(field)
        resolver = None if definition is None else definition.base_resolver
        if definition is None or resolver is None or field.subscribe is not None or definition.extensions:
            raise NotPlainError
        if not resolver.self_parameter or resolver.parent_parameter or resolver.root_parameter:
            raise NotPlainError
        if watch is None and not resolves_by_definition(field):
            raise NotPlainError
        function = cast(Callable[..., Any], resolver.wrapped_func)
        info_name = resolver.info_parameter.name if resolver.info_parameter is not None else None
        reader = argument_reader(self._schema, field, definition, node)
        constant = (
            None if any(_has_variables(argument.value) for argument in node.arguments or ()) else reader(NO_VARIABLES)
        )

        def call(value: Any, attempt: Attempt) -> Any:
            arguments = reader(attempt.variables) if constant is None else dict(constant)
            if info_name is not None:
                arguments[info_name] = CallInfo(attempt.context, selected)
            started = perf_counter()
            answer = function(value, **arguments)
            if type(answer) is CoroutineType:
                attempt.begun.append(answer)
                return attempt.noted(_finished(answer, complete, attempt, watch, started))
            if watch is not None:
                attempt.reports.append(partial(watch.took, perf_counter() - started))
            return complete(answer, attempt)

        return call

    def _completer(self, kind: Any, details: Details) -> Completer:
        if isinstance(kind, GraphQLNonNull):
            return self._present(kind.of_type, details)
        return of_nullable(self._present(kind, details))

    def _present(self, kind: Any, details: Details) -> Completer:
        if isinstance(kind, GraphQLScalarType):
            return of_scalar(kind.name)
        if isinstance(kind, GraphQLEnumType):
            return of_enum(kind)
        if isinstance(kind, GraphQLList):
            return of_list(self._completer(kind.of_type, details))
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            return of_any(
                {
                    class_of(possible): self._object(possible, details)
                    for possible in self._schema.get_possible_types(kind)
                }
            )
        return self._object(kind, details)

    def _object(self, kind: GraphQLObjectType, details: Details) -> Completer:
        return of_object(class_of(kind), self._entries(kind, self._selections.of_field(kind, details)))


NO_VARIABLES = VariableValues({}, {})


async def _finished(
    waiting: Any, complete: Complete, attempt: Attempt, watch: ResolverWatch | None, started: float
) -> Any:
    if watch is None:
        value = await waiting
    else:
        value = await awaited(waiting, watch)
        attempt.reports.append(partial(watch.took, perf_counter() - started))
    answer = complete(value, attempt)
    return await answer if type(answer) is CoroutineType else answer


def _has_variables(value: Any) -> bool:
    if isinstance(value, VariableNode):
        return True
    parts = getattr(value, "values", None) or [field.value for field in getattr(value, "fields", None) or ()]
    return any(_has_variables(part) for part in parts)
