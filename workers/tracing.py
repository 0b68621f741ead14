"""OpenTelemetry traces: one tracer a process, with a span for every SQL statement inside a span.

Off unless ``FITGRAPH_OTLP_ENDPOINT`` is set: then nothing of OpenTelemetry is imported, and no hook is connected.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from db.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

#: Longest statement that a span keeps, characters. Parameters are never kept.
MAX_STATEMENT = 2000
_EXPORT_EVERY_MS = 1000
_SPAN = "fitgraph_span"

_provider: TracerProvider | None = None
_tracer: Tracer | None = None
_owner = 0


def start_tracing(settings: Settings, service: str) -> None:
    """Send spans of this process as ``fitgraph-<service>`` when a collector is set; call it after a fork, not before."""
    if not settings.otlp_endpoint or (_tracer is not None and _owner == os.getpid()):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased

    ratio = TraceIdRatioBased(settings.trace_sample_ratio)
    # A client may say which trace its request belongs to, but not that it is recorded; workers follow the API.
    sampler = ParentBased(ratio, remote_parent_sampled=ratio if service == "api" else ALWAYS_ON)
    resource = Resource.create({"service.name": f"fitgraph-{service}", "service.version": version("fitgraph")})
    provider = TracerProvider(sampler=sampler, resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_EXPORT_EVERY_MS))
    use(provider)


def use(provider: TracerProvider | None) -> None:
    """Trace with a provider from now on; with None no more."""
    global _provider, _tracer, _owner
    for name, hook in (("before_cursor_execute", _before), ("after_cursor_execute", _after), ("handle_error", _failed)):
        if event.contains(Engine, name, hook):
            event.remove(Engine, name, hook)
        if provider is not None:
            event.listen(Engine, name, hook)
    _provider = provider
    _tracer, _owner = (None, 0) if provider is None else (provider.get_tracer("fitgraph"), os.getpid())


def is_on() -> bool:
    """Whether spans are made in this process."""
    return _tracer is not None


def kinds() -> type[SpanKind]:
    """OpenTelemetry's kinds of spans."""
    from opentelemetry.trace import SpanKind

    return SpanKind


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    carrier: Mapping[str, str] | None = None,
    kind: Any = None,
) -> Iterator[Span | None]:
    """A span around a block, the child of the one in ``carrier`` (W3C headers) or of the present one; None when off."""
    if _tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    context = None if carrier is None else extract(carrier)
    with _tracer.start_as_current_span(
        name, context, kind or SpanKind.INTERNAL, attributes=dict(attributes or {})
    ) as made:
        yield made


def inject(headers: dict[str, Any]) -> None:
    """Write the present span into headers, as W3C Trace Context has it."""
    if _tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)


def extract(carrier: Mapping[str, str]) -> Any:
    """The context that headers name."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carrier)


def current_ids() -> dict[str, str]:
    """Hexadecimal ``trace_id`` and ``span_id`` of the present span; empty when there is none."""
    if _tracer is None:
        return {}
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def flush() -> None:
    """Send what is waiting."""
    if _provider is not None:
        _provider.force_flush(5000)


def record(system: str, statement: str, seconds: float) -> None:
    """A span for a statement that was run just now, for drivers that SQLAlchemy knows nothing of."""
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    if _tracer is None or not trace.get_current_span().is_recording():
        return
    end = time.time_ns()
    begin = end - int(seconds * 1e9)
    _tracer.start_span(_verb(statement), None, SpanKind.CLIENT, _described(system, statement), start_time=begin).end(
        end
    )


def _described(system: str, statement: str) -> dict[str, str]:
    return {"db.system.name": system, "db.query.text": statement[:MAX_STATEMENT]}


def _verb(statement: str) -> str:
    words = statement.split(None, 1)
    return words[0].upper() if words else "SQL"


def _before(connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind

    if _tracer is None or context is None or not trace.get_current_span().is_recording():
        return
    attributes = _described(connection.dialect.name, statement)
    setattr(context, _SPAN, _tracer.start_span(_verb(statement), None, SpanKind.CLIENT, attributes))


def _after(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    span = getattr(context, _SPAN, None)
    if span is not None:
        span.end()
        setattr(context, _SPAN, None)


def _failed(failure: Any) -> None:
    span = getattr(failure.execution_context, _SPAN, None)
    if span is not None:
        from opentelemetry.trace import StatusCode

        # The driver's text may hold values: the kind of the error is enough.
        span.set_status(StatusCode.ERROR, type(failure.original_exception).__name__)
        span.end()
        setattr(failure.execution_context, _SPAN, None)
