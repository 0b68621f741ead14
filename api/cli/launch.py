"""`fitgraph up` and `fitgraph serve`: start the processes and keep them."""

from __future__ import annotations

import gc
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette


def serve_api(*, host: str | None = None, port: int | None = None) -> None:
    """Serve the API in this process until it is told to stop."""
    from api.server.malloc import use_one_arena

    # Before anything is imported that starts threads.
    use_one_arena()
    import uvicorn
    from uvicorn.config import LOGGING_CONFIG

    from api.server.guard import guarded
    from api.settings import get_api_settings
    from workers.logs import log_as_json

    settings = get_api_settings()
    if settings.log_format == "json":
        log_as_json(settings.log_level)
    uvicorn.run(
        f"{__name__}:served_app",
        factory=True,
        host=host or settings.host,
        port=port or settings.port,
        log_level=settings.log_level,
        access_log=False,
        log_config=None if settings.log_format == "json" else LOGGING_CONFIG,
        server_header=False,
        # Typed as whole seconds, used as a number.
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=5,
        ws_max_size=settings.websocket_message_bytes,
        http=guarded(settings),
    )


def served_app() -> Starlette:
    """The application of a server process: the schema and the catalog stay, so the garbage collector passes them by.

    An answer makes and drops thousands of objects; with the usual threshold they alone would start it several times. Old
    objects are looked at more often than usual: documents that come once leave cycles that grow old while they are run.
    """
    from api.graphql.catalog.measurements import measured
    from api.server.app import create_app

    app = create_app()
    # Reading them takes the better part of a second, for which the first request that asks would hold up all others.
    measured()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 5)
    return app


def launch(*, port: int | None, workers: int | None) -> int:
    """Database, broker, workers, API and the first precompute; returns the exit code when stopped."""
    from api.cli.operate import follow_run, sound_catalog
    from api.settings import get_api_settings
    from db.session import upgrade_database
    from db.settings import Settings
    from workers import tracing
    from workers.local.supervisor import up
    from workers.runs import start_own_run

    settings = get_api_settings()
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    catalog = sound_catalog(settings)
    if catalog is None:
        return 1
    upgrade_database(settings.resolved_database_url)
    chosen_port = port or settings.port
    if (taken := why_not_free(settings.host, chosen_port)) is not None:
        print(f"fitgraph: {taken}; choose another with --port or FITGRAPH_PORT", file=sys.stderr)
        return 1
    address = f"http://{settings.host}:{chosen_port}"

    def ready(running: Settings) -> None:
        tracing.start_tracing(settings, "cli")
        print(f"the API answers at {address}/graphql (explorer: {address}/explorer)", flush=True)
        result = start_own_run(running, catalog, cause="start-up")
        if result.run is not None and result.already_running:
            print(f"run {result.run.id} of an earlier start goes on", flush=True)
            follow_run(running, result.run.id)
            result = start_own_run(running, catalog, cause="start-up")
        if result.run is None:
            print("every pairing that is to be precomputed is published; nothing to compute", flush=True)
        else:
            print(result.plan.describe(), flush=True)
            follow_run(running, result.run.id)
        print("ready; Ctrl-C stops everything", flush=True)

    argv = [sys.executable, "-m", __name__.rpartition(".")[0], "serve", "--port", str(chosen_port)]
    return up(settings, api_argv=argv, on_ready=ready, api_address=(settings.host, chosen_port))


def why_not_free(host: str, port: int) -> str | None:
    """A sentence that says why the API cannot listen on ``host`` and ``port``; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return f"port {port} on {host} is not free ({error.strerror})"
    return None
