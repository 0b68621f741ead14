"""Events that the schema reports to an observer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from inspect import isawaitable
from time import perf_counter
from typing import Any, Protocol

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema

from api.graphql.core.strawberry_internals import definition_of

_WATCH = "fitgraph-watch"


class ResolverWatch(Protocol):
    def span(self) -> AbstractContextManager[Any]:
        """Open while an asynchronous resolver is awaited."""

    def took(self, seconds: float) -> None:
        """Report the duration of a call."""


class Observer(Protocol):
    """Watches the operations of a schema."""

    def watch(self, type_name: str, field_name: str) -> ResolverWatch:
        """The watch of one resolver."""

    async def execute(self, kind: str, name: str | None, context: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """Run an operation that has one answer. ``kind`` is its type, or ``refused``."""

    def stream(self, results: Any, context: Any) -> Any:
        """Pass on the answers of a stream."""


def watch_resolvers(schema: GraphQLSchema, observer: Observer) -> None:
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                definition = definition_of(field)
                if definition is not None and not definition.is_basic_field and field.resolve is not None:
                    watch = observer.watch(kind.name, name)
                    field.extensions = {**field.extensions, _WATCH: watch}
                    field.resolve = _watched(field.resolve, watch)


def watch_of(field: GraphQLField) -> ResolverWatch | None:
    """The watch of a resolver; None when nobody watches it."""
    watch: ResolverWatch | None = (field.extensions or {}).get(_WATCH)
    return watch


async def awaited(waiting: Awaitable[Any], watch: ResolverWatch) -> Any:
    """Await what a resolver returned, inside the span of its watch."""
    with watch.span():
        return await waiting


def _watched(resolve: Callable[..., Any], watch: ResolverWatch) -> Callable[..., Any]:
    async def later(waiting: Awaitable[Any], started: float) -> Any:
        try:
            return await awaited(waiting, watch)
        finally:
            watch.took(perf_counter() - started)

    def timed(source: Any, info: Any, **arguments: Any) -> Any:
        started = perf_counter()
        try:
            result = resolve(source, info, **arguments)
        except BaseException:
            watch.took(perf_counter() - started)
            raise
        if isawaitable(result):
            # The executor sees the outer coroutine only.
            getattr(info.context, "begun", []).append(result)
            return later(result, started)
        watch.took(perf_counter() - started)
        return result

    return timed
