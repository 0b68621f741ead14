"""Prometheus metrics of one server process. Counts that others keep anyway are read when a scrape asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy import event

from api.errors import ApiError, ErrorCode
from api.graphql.services.redis_link import redis_client
from api.graphql.services.services import Services
from db.fits.generations import Generation
from db.runs.store import RunRow, page_runs

# The time at which each series began doubles the exposition, and nothing reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_COSTS = (10, 100, 500, 1000, 5000, 10_000, 50_000)
_STARTED = "fitgraph_started"


class Metrics:
    """Instruments, and what is asked of the broker and the database at a scrape."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.registry = CollectorRegistry()
        registered: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "fitgraph_http_requests", "HTTP requests answered.", ("endpoint", "method", "status"), **registered
        )
        self.request_seconds = Histogram(
            "fitgraph_http_request_seconds",
            "Time from request to answer.",
            ("endpoint",),
            buckets=_SECONDS,
            **registered,
        )
        self.operations = Counter(
            "fitgraph_graphql_operations",
            "Operations run, answers from a cache not among them.",
            ("transport", "outcome"),
            **registered,
        )
        self.cost = Histogram(
            "fitgraph_graphql_cost", "Cost of the operations that were run.", buckets=_COSTS, **registered
        )
        self.errors = Counter("fitgraph_graphql_errors", "Errors in answers, by code.", ("code",), **registered)
        for code in ErrorCode:
            # A series that appears with its first error has no increase.
            self.errors.labels(code.value)
        self.resolver_seconds = Histogram(
            "fitgraph_resolver_seconds",
            "Time of a field's resolver, waits included; fields that only read an attribute are not timed.",
            ("field",),
            buckets=_SECONDS,
            **registered,
        )
        self.sql_seconds = Histogram(
            "fitgraph_sql_seconds", "Time of SQL statements; the count is their number.", buckets=_SECONDS, **registered
        )
        self.queue = Gauge("fitgraph_queue_messages", "Messages that wait for a worker.", **registered)
        self.up = Gauge(
            "fitgraph_dependency_up", "1 when it answered this scrape, else 0.", ("dependency",), **registered
        )
        self.run: RunRow | None = None
        self.generation: Generation | None = None
        self._redis = redis_client(services.settings.resolved_redis_url)
        self.registry.register(_Kept(self, services))
        ProcessCollector(registry=self.registry)
        self._watch_sql()

    def _watch_sql(self) -> None:
        engine = self._services.state.engine.sync_engine

        def before(
            _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
        ) -> None:
            setattr(context, _STARTED, perf_counter())

        def after(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
            self.sql_seconds.observe(perf_counter() - getattr(context, _STARTED))

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        self._services.state.watch_reads(lambda _statement, seconds: self.sql_seconds.observe(seconds))

    async def render(self) -> bytes:
        """The exposition. A broker or database that does not answer is a value of 0, never an error."""
        await self._ask_broker()
        await self._ask_database()
        return generate_latest(self.registry)

    async def close(self) -> None:
        """Give the connection to the broker back."""
        await self._redis.aclose()

    async def _ask_broker(self) -> None:
        from workers.app import QUEUE

        try:
            waiting = await self._redis.llen(QUEUE)
        except (RedisError, OSError):
            self.up.labels("broker").set(0)
            self.queue.set(float("nan"))
            return
        self.up.labels("broker").set(1)
        self.queue.set(waiting)

    async def _ask_database(self) -> None:
        try:
            async with self._services.state.connection() as connection:
                runs = await page_runs(connection, limit=1)
            view = await self._services.state.view()
        except ApiError:
            self.up.labels("database").set(0)
            return
        self.up.labels("database").set(1)
        self.run, self.generation = (runs[0] if runs else None), view.generation


class _Kept(Collector):
    """Values that the services keep for themselves."""

    def __init__(self, metrics: Metrics, services: Services) -> None:
        self._metrics = metrics
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Caches, sockets, the newest run and the published generation, as of this scrape."""
        cache, generation, run = self._services.responses, self._metrics.generation, self._metrics.run
        family = CounterMetricFamily(
            "fitgraph_response_cache",
            "Look-ups of whole responses: hit (in process), shared_hit (in Redis), joined (computed for another "
            "request at the time), miss.",
            labels=["outcome"],
        )
        family.add_metric(["hit"], cache.hits)
        family.add_metric(["joined"], cache.joined)
        family.add_metric(["miss"], cache.misses - cache.shared_hits)
        family.add_metric(["shared_hit"], cache.shared_hits)
        yield family
        yield GaugeMetricFamily("fitgraph_response_cache_bytes", "Memory of kept responses.", cache.used_bytes)
        yield GaugeMetricFamily("fitgraph_streams", "Open websockets and event streams.", self._services.streams.count)
        if generation is not None:
            yield GaugeMetricFamily("fitgraph_generation", "Published generation.", generation.id)
            yield GaugeMetricFamily("fitgraph_published_cells", "Cells of it.", generation.cells)
        if run is not None:
            yield from _progress(run)


def _progress(run: RunRow) -> Iterator[Metric]:
    yield GaugeMetricFamily("fitgraph_run_active", "1 while the newest run is at work.", 0 if run.is_final else 1)
    for name, text, values in (
        ("blocks", "Blocks of the newest run.", (run.blocks_total, run.blocks_done, run.blocks_failed)),
        ("cells", "Cells of the newest run.", (run.cells_total, run.cells_done)),
    ):
        family = GaugeMetricFamily(f"fitgraph_run_{name}", text, labels=["state"])
        for state, value in zip(("total", "done", "failed"), values, strict=False):
            family.add_metric([state], value)
        yield family
