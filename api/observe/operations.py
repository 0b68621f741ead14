"""Spans and counts of GraphQL operations and of the resolvers inside."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from inspect import isawaitable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graphql import GraphQLField, GraphQLObjectType
from strawberry.schema.schema_converter import GraphQLCoreConverter

from api.errors import ApiError
from api.graphql.core.errors import code_of
from api.graphql.execution.calls import WATCH
from api.observe.metrics import Metrics
from workers import tracing

if TYPE_CHECKING:
    from api.graphql.schema import FitSchema

_ROOTS = ("Query", "Mutation")


class Observer:
    """Watches the operations of one schema."""

    def __init__(self, schema: FitSchema, metrics: Metrics | None) -> None:
        self._schema = schema
        self._metrics = metrics
        for kind in schema._schema.type_map.values():
            if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
                for name, field in kind.fields.items():
                    self._watch(kind.name, name, field)

    async def execute(self, query: str | None, options: dict[str, Any], run: Callable[[], Awaitable[Any]]) -> Any:
        """Run an operation that has one answer."""
        kind = self._kind(query, options.get("operation_name"))
        attributes = {"graphql.operation.type": kind}
        if options.get("operation_name"):
            attributes["graphql.operation.name"] = str(options["operation_name"])[:100]
        with tracing.span(f"graphql {kind}", attributes):
            result = await run()
        self._count("http", result, options.get("context_value"))
        return result

    async def stream(self, results: Any, context: Any) -> AsyncGenerator[Any, None]:
        """Pass on the answers of a stream; each is counted."""
        try:
            async for result in results:
                self._count("stream", result, context)
                yield result
        finally:
            await results.aclose()

    def _kind(self, query: str | None, name: str | None) -> str:
        prepared = self._schema.documents.prepare(query or "")
        if prepared.errors:
            return "refused"
        try:
            return str(prepared.operation(name).operation.value)
        except ApiError:
            return "refused"

    def _count(self, transport: str, result: Any, context: Any) -> None:
        if self._metrics is None:
            return
        errors = getattr(result, "errors", None) or []
        outcome = "ok" if not errors else "refused" if result.data is None else "partial"
        self._metrics.operations.labels(transport, outcome).inc()
        self._metrics.cost.observe(getattr(context, "cost", 0))
        for error in errors:
            self._metrics.errors.labels(code_of(error)).inc()

    def _watch(self, type_name: str, name: str, field: GraphQLField) -> None:
        definition = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
        resolve = field.resolve
        if definition is None or definition.is_basic_field or resolve is None:
            return
        label = f"{type_name}.{name}"
        timer = None if self._metrics is None else self._metrics.resolver_seconds.labels(label)
        # A span for each nested resolver would be hundreds a request: the roots have theirs, and statements their own.
        traced = type_name in _ROOTS

        async def later(waiting: Awaitable[Any], started: float) -> Any:
            try:
                if not traced:
                    return await waiting
                with tracing.span(label):
                    return await waiting
            finally:
                if timer is not None:
                    timer.observe(perf_counter() - started)

        def watched(run: Callable[[], Any]) -> Any:
            started = perf_counter()
            try:
                found = run()
            except BaseException:
                if timer is not None:
                    timer.observe(perf_counter() - started)
                raise
            if isawaitable(found):
                return later(found, started)
            if timer is not None:
                timer.observe(perf_counter() - started)
            return found

        def timed(source: Any, info: Any, **arguments: Any) -> Any:
            return watched(lambda: resolve(source, info, **arguments))

        # The executor calls simple resolvers without going through `resolve`.
        field.extensions = {**(field.extensions or {}), WATCH: watched}
        field.resolve = timed
