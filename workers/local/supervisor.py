"""Everything on one machine under one command: broker, workers and API as children of a supervisor."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType, TracebackType

from db.settings import Settings, get_settings
from workers.local.broker import Broker, BrokerUnavailableError
from workers.local.processes import Child

logger = logging.getLogger("fitgraph.workers")
CHECK_EVERY_S = 0.25
READY_TIMEOUT_S = 60.0
#: Module of the Celery application, whatever package this one lies in.
APPLICATION = f"{__name__.removesuffix('.local.supervisor')}.app"


def worker_argv(concurrency: int, name: str = "fitgraph") -> list[str]:
    """Command of a Celery worker with ``concurrency`` pool processes."""
    return [sys.executable, "-m", "celery", *_worker_options(concurrency, name)]


def _worker_options(concurrency: int, name: str) -> list[str]:
    return [
        "-A", APPLICATION, "worker", "--pool", "prefork", "--concurrency", str(concurrency), "--queues", "fitgraph",
        "--hostname", f"{name}@%h", "--loglevel", "WARNING", "--without-gossip", "--without-mingle",
    ]  # fmt: skip


def environment(settings: Settings) -> dict[str, str]:
    """Variables that give a child the settings of this process."""
    listed = settings.precompute_list
    return {
        "FITGRAPH_STATE_DIR": str(settings.state_dir.resolve()),
        "FITGRAPH_DATABASE_URL": settings.resolved_database_url,
        "FITGRAPH_REDIS_URL": settings.resolved_redis_url,
        "FITGRAPH_WORKERS": str(settings.workers),
        "FITGRAPH_PRECOMPUTE": settings.precompute.value,
        "FITGRAPH_PRECOMPUTE_DOWNLOADS": str(settings.precompute_downloads),
        **({} if listed is None else {"FITGRAPH_PRECOMPUTE_LIST": str(listed.resolve())}),
        "FITGRAPH_BLOCK_CELLS": str(settings.block_cells),
        "FITGRAPH_BLOCK_ATTEMPTS": str(settings.block_attempts),
        "FITGRAPH_LEASE_S": str(settings.lease_s),
        "FITGRAPH_GENERATION_GRACE_S": str(settings.generation_grace_s),
        "FITGRAPH_LAYOUT_GRACE_S": str(settings.layout_grace_s),
        "FITGRAPH_SWEEP_INTERVAL_S": str(settings.sweep_interval_s),
        "FITGRAPH_REFRESH_INTERVAL_S": str(settings.refresh_interval_s),
        "FITGRAPH_LOG_FORMAT": settings.log_format,
        "FITGRAPH_OTLP_ENDPOINT": settings.otlp_endpoint,
        "FITGRAPH_TRACE_SAMPLE_RATIO": str(settings.trace_sample_ratio),
    }


class Supervisor:
    """Starts the broker (unless an outside one is set) and the workers; restarts what dies; ends all at the end.

    A context manager. Start it from a thread that lives as long as the process, best the main one.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.broker = None if settings.redis_url else Broker(settings)
        log = settings.state_dir.resolve() / "logs" / "worker.log"
        self.children = [Child("worker", worker_argv(settings.workers), environment(settings), log)]
        if settings.refresh_interval_s:
            schedule = settings.state_dir.resolve() / "beat"
            argv = [sys.executable, "-m", "celery", "-A", APPLICATION, "beat", "--schedule", str(schedule)]
            self.children.append(Child("beat", argv, environment(settings), log.with_name("beat.log")))

    def __enter__(self) -> Supervisor:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def add(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Child:
        """Supervise one more program, which shares the terminal."""
        child = Child(name, argv, {**environment(self.settings), **(env or {})})
        self.children.append(child)
        return child

    def start(self) -> None:
        """Start everything. Raises BrokerUnavailableError."""
        if self.broker is not None:
            self.broker.start()
        for child in self.children:
            child.start()

    def check(self) -> list[str]:
        """Start again what died. Returns the names of what was started."""
        everything = [*([self.broker.child] if self.broker else []), *self.children]
        return [child.name for child in everything if child.check()]

    def stop(self) -> None:
        """End all children, the broker last, so that workers can give back what they hold."""
        for child in self.children:
            child.ask_to_stop()
        for child in reversed(self.children):
            child.stop()
        if self.broker is not None:
            self.broker.stop()


@contextlib.contextmanager
def workers_at_hand(settings: Settings) -> Iterator[None]:
    """Workers for as long as the block lasts: those of a running `fitgraph up` or of an outside broker, else own ones."""
    if settings.redis_url or Broker(settings).answers():
        yield
    else:
        with Supervisor(settings):
            yield


def up(
    settings: Settings,
    *,
    api_argv: Sequence[str] | None = None,
    on_ready: Callable[[Settings], None] | None = None,
    api_address: tuple[str, int] | None = None,
) -> int:
    """Run everything until SIGINT or SIGTERM. ``on_ready`` is called, in its own thread, once the API listens.

    The settings that it gets name the broker that was started. Returns an exit code.
    """
    stopping = threading.Event()
    supervisor = Supervisor(settings)
    if api_argv is not None:
        # First in the list: the API answers while the workers still start.
        supervisor.children.insert(0, Child("api", api_argv, environment(settings)))
    with _stopping_on_signals(stopping):
        try:
            with supervisor:
                caretaker = threading.Thread(
                    target=_care, args=(settings, stopping, on_ready, api_address), name="caretaker", daemon=True
                )
                caretaker.start()
                while not stopping.wait(CHECK_EVERY_S):
                    for name in supervisor.check():
                        logger.warning("%s had died and was started again", name)
        except BrokerUnavailableError as error:
            print(f"fitgraph: {error}", file=sys.stderr)
            return 1
    return 0


def run_worker(concurrency: int | None = None) -> int:
    """Run one Celery worker in this process until it is stopped; the broker runs elsewhere. Returns an exit code."""
    from workers.app import app

    app.worker_main(_worker_options(concurrency or get_settings().workers, "fitgraph")[2:])
    return 0


@contextlib.contextmanager
def _stopping_on_signals(stopping: threading.Event) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _care(
    settings: Settings,
    stopping: threading.Event,
    on_ready: Callable[[Settings], None] | None,
    api_address: tuple[str, int] | None,
) -> None:
    """Run the caller's first steps beside the supervision, then a sweep every few seconds."""
    from workers.publish import drop_old
    from workers.queue import sweep

    try:
        if api_address is not None:
            _wait_for_port(*api_address, stopping)
        if on_ready is not None and not stopping.is_set():
            on_ready(settings)
    except Exception:
        logger.exception("the first steps failed; what is published stays served")
    while not stopping.wait(settings.sweep_interval_s):
        try:
            sweep(settings)
            drop_old(settings)
        except Exception:
            logger.exception("a sweep failed; the next one tries again")


def _wait_for_port(host: str, port: int, stopping: threading.Event) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and not stopping.is_set():
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        stopping.wait(0.05)
