"""Turns on what the settings ask for: traces, metrics, structured logs."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import Route

from api.graphql.schema import FitSchema
from api.graphql.services.services import Services
from api.observe.endpoint import metrics_view
from api.observe.metrics import Metrics
from api.observe.middleware import ObserveMiddleware
from api.observe.operations import OperationObserver
from api.settings import ApiSettings
from workers import tracing
from workers.signals import observe_tasks


class Observation:
    """Metrics and traces of one application, with their routes and middleware."""

    def __init__(self, settings: ApiSettings, services: Services, schema: FitSchema) -> None:
        tracing.start_tracing(settings, "api")
        observe_tasks(settings)
        if tracing.is_on():
            services.state.watch_reads(lambda statement, seconds: tracing.record("postgresql", statement, seconds))
        self.metrics = Metrics(services) if settings.metrics else None
        if self.metrics is not None or tracing.is_on():
            schema.observe(OperationObserver(self.metrics))
        self.middleware = [Middleware(ObserveMiddleware, self.metrics, log=settings.log_format == "json")]
        self.routes: list[Route] = []
        if self.metrics is not None:
            self.routes.append(Route("/metrics", metrics_view(self.metrics, services.operators), methods=["GET"]))

    async def close(self) -> None:
        """Give connections back and send what is waiting."""
        if self.metrics is not None:
            await self.metrics.close()
        tracing.flush()
