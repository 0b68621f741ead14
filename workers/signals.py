"""Headers of a message from the sender to the task: the id of the request, and the span that it belongs to."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import Any

from celery import signals

from db.settings import Settings
from workers import tracing
from workers.logs import log_as_json, request_id

_HEADER = "fitgraph_request_id"
logger = logging.getLogger("fitgraph.tasks")
_open: dict[str, ExitStack] = {}


def observe_tasks(settings: Settings) -> None:
    """Connect to Celery's signals when logs are structured or traces are on; do nothing else."""
    if settings.log_format == "json":
        # With a receiver, Celery leaves logging alone.
        signals.setup_logging.connect(_log, weak=False, dispatch_uid="fitgraph.log")
    if settings.log_format == "json" or settings.otlp_endpoint:
        connect()
    if settings.otlp_endpoint:
        # Exporters have threads, which do not survive a fork.
        signals.worker_process_init.connect(
            lambda **_: tracing.start_tracing(settings, "worker"), weak=False, dispatch_uid="fitgraph.trace"
        )
        signals.worker_process_shutdown.connect(lambda **_: tracing.flush(), weak=False, dispatch_uid="fitgraph.flush")


def connect() -> None:
    """Send the request's id and span with every message, and take them up in every task."""
    for signal, receiver in (
        (signals.before_task_publish, _publishing),
        (signals.task_prerun, _starting),
        (signals.task_failure, _failing),
        (signals.task_retry, _failing),
        (signals.task_postrun, _ended),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"fitgraph.{receiver.__name__}")


def _log(loglevel: int | str = logging.INFO, **_: Any) -> None:
    log_as_json(loglevel)
    logging.getLogger("fitgraph").setLevel(logging.INFO)


def _publishing(headers: dict[str, Any], **_: Any) -> None:
    known = request_id.get()
    if known is not None:
        headers[_HEADER] = known
    tracing.inject(headers)


def _starting(task_id: str, task: Any, args: Any = (), **_: Any) -> None:
    stack = ExitStack()
    token = request_id.set(task.request.get(_HEADER))
    stack.callback(request_id.reset, token)
    carrier = {name: task.request.get(name) for name in ("traceparent", "tracestate")}
    attributes = {
        "messaging.system": "celery",
        "messaging.message.id": task_id,
        "fitgraph.attempt": task.request.retries,
    }
    attributes |= dict(zip(("fitgraph.run_id", "fitgraph.block_id"), args or (), strict=False))
    if tracing.is_on():
        known = {name: value for name, value in carrier.items() if isinstance(value, str)}
        stack.enter_context(tracing.span(task.name, attributes, carrier=known, kind=tracing.kinds().CONSUMER))
    details = {"task": task.name, "task_id": task_id, "task_args": list(args or ())}
    started = time.perf_counter()
    stack.callback(
        lambda: logger.info("task", extra=details | {"duration_ms": round((time.perf_counter() - started) * 1000, 3)})
    )
    _open[task_id] = stack


def _failing(sender: Any = None, exception: Any = None, reason: Any = None, **_: Any) -> None:
    if tracing.is_on():
        from opentelemetry.trace import StatusCode, get_current_span

        get_current_span().set_status(StatusCode.ERROR, type(exception or reason).__name__)


def _ended(task_id: str, **_: Any) -> None:
    stack = _open.pop(task_id, None)
    if stack is not None:
        stack.close()
