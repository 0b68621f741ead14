"""The Celery application. Its settings are the ones that lost nothing under kill -9 of workers and broker."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_process_init
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from db.settings import Settings, get_settings
from workers.signals import observe_tasks

logger = logging.getLogger("fitgraph.workers")
QUEUE = "fitgraph"
TASK_TIME_LIMIT_S = 120
BROKER_PATIENCE_S = 2.0
#: A message that a worker took and did not finish is given out again after this: longer than any block may take.
VISIBILITY_TIMEOUT_S = 300


def make_app() -> Celery:
    """A Celery application for the broker of this process's settings."""
    settings = get_settings()
    observe_tasks(settings)
    app = Celery("fitgraph", broker=settings.resolved_redis_url, include=[f"{__name__.rpartition('.')[0]}.tasks"])
    app.conf.update(
        task_default_queue=QUEUE,
        # State lives in the rows of run and run_block: no result is kept.
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=True,
        # Give a block whose process died to another, a bounded number of times (a reject would loop for ever).
        task_reject_on_worker_lost=False,
        task_retry_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=1000,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=20,
        worker_enable_soft_shutdown_on_idle=True,
        task_time_limit=TASK_TIME_LIMIT_S,
        task_soft_time_limit=TASK_TIME_LIMIT_S - 20,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            # The default sweep of unacknowledged messages takes 100 s.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        task_publish_retry_policy={"max_retries": 5, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0},
        task_serializer="json",
        accept_content=["json"],
        timezone="UTC",
        beat_schedule=beat_schedule(settings),
    )
    app.steps["consumer"].add(Sweeping)
    return app


def beat_schedule(settings: Settings) -> dict[str, Any]:
    """Tasks that Celery beat starts; none by default."""
    intervals_s = {"refresh": settings.refresh_interval_s, "watch": settings.watch_interval_s}
    return {
        name: {"task": f"fitgraph.{name}_catalog", "schedule": seconds}
        for name, seconds in intervals_s.items()
        if seconds
    }


class Sweeping(bootsteps.StartStopStep):  # type: ignore[misc]
    """Every worker wakes runs that nobody works on: after a death of whoever started them, or a loss of messages.

    A step of the consumer, because its timer is emptied whenever the broker was away.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Send a sweep to the queue every few seconds; one that waited for longer is not done."""
        interval_s = get_settings().sweep_interval_s

        def send() -> None:
            with contextlib.suppress(OSError, OperationalError, RedisError):
                parent.app.send_task("fitgraph.sweep_runs", expires=interval_s, retry=False)

        parent.timer.call_repeatedly(interval_s, send)


app = make_app()


def queue_length() -> int | None:
    """Messages that wait in the queue; None when the broker does not answer at once."""
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.0, timeout=BROKER_PATIENCE_S)
            return int(connection.default_channel.client.llen(QUEUE))
    except (OSError, OperationalError, RedisError):
        return None


@worker_process_init.connect
def _quieten(**_: Any) -> None:
    """A pool process makes its own database engine (see ``db.session``); here only its log level is set."""
    logging.getLogger("fitgraph").setLevel(logging.INFO)
