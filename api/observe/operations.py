"""Spans and counts of GraphQL operations and of the resolvers inside."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from api.graphql.core.errors import code_of
from api.observe.metrics import Metrics
from workers import tracing

_ROOTS = ("Query", "Mutation")


class ResolverWatch:
    """Times one resolver, and gives it a span when it is one of a root."""

    def __init__(self, metrics: Metrics | None, type_name: str, field_name: str) -> None:
        self._label = f"{type_name}.{field_name}"
        self._timer = None if metrics is None else metrics.resolver_seconds.labels(self._label)
        # A span for each nested resolver would be hundreds a request: the roots have theirs, and statements their own.
        self._traced = type_name in _ROOTS

    def span(self) -> AbstractContextManager[Any]:
        """Open while an asynchronous resolver is awaited."""
        return tracing.span(self._label) if self._traced else nullcontext()

    def took(self, seconds: float) -> None:
        """Count a call."""
        if self._timer is not None:
            self._timer.observe(seconds)


class OperationObserver:
    """Counts operations and gives each a span."""

    def __init__(self, metrics: Metrics | None) -> None:
        self._metrics = metrics

    def watch(self, type_name: str, field_name: str) -> ResolverWatch:
        """The watch of one resolver."""
        return ResolverWatch(self._metrics, type_name, field_name)

    async def execute(self, kind: str, name: str | None, context: Any, run: Callable[[], Awaitable[Any]]) -> Any:
        """Run an operation that has one answer."""
        attributes = {"graphql.operation.type": kind}
        if name:
            attributes["graphql.operation.name"] = str(name)[:100]
        with tracing.span(f"graphql {kind}", attributes):
            result = await run()
        self._count("http", result, context)
        return result

    async def stream(self, results: Any, context: Any) -> AsyncGenerator[Any, None]:
        """Pass on the answers of a stream; each is counted."""
        try:
            async for result in results:
                self._count("stream", result, context)
                yield result
        finally:
            await results.aclose()

    def _count(self, transport: str, result: Any, context: Any) -> None:
        if self._metrics is None:
            return
        errors = getattr(result, "errors", None) or []
        outcome = "ok" if not errors else "refused" if result.data is None else "partial"
        self._metrics.operations.labels(transport, outcome).inc()
        self._metrics.cost.observe(getattr(context, "cost", 0))
        for error in errors:
            self._metrics.errors.labels(code_of(error)).inc()
