"""What the server keeps between requests: database engine, catalog views, documents, live fits, caches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2s
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.answers.remote import RemoteFiles
from api.errors import ApiError, ErrorCode
from api.graphql.catalog_view import CatalogView
from api.graphql.live import LiveFits
from api.graphql.transport.auth import Operators
from api.graphql.transport.cache import CountCache, ResponseCache
from api.graphql.transport.open_streams import OpenStreams
from api.graphql.transport.rate_limit import RateLimiter
from api.graphql.transport.redis_link import redis_client
from api.graphql.transport.shared_cache import SharedResponses
from api.settings import ApiSettings
from db.entries import store
from db.entries.files import Catalog, load_catalog
from db.fits import generations
from db.fits.generations import Generation
from db.reading import Listener, Parameters, PostgresReader, Reader, Row, reader_of
from estimator.calibration.coefficients import Calibration

logger = logging.getLogger("fitgraph.api")

#: Seconds for which a server trusts what it last read of the published generation.
_FRESH_S = 0.1
#: The same after this server started a run, and for how long.
_EXPECTING_S = 0.01
_EXPECTED_S = 10.0
_ENTITY_KINDS = ("model", "gpu", "quant", "workload", "engine", "host")


class Services:
    """Shared state of one server process. Everything here is safe for concurrent requests on one event loop."""

    def __init__(self, settings: ApiSettings, engine: AsyncEngine, catalog: Catalog | None = None) -> None:
        self.settings = settings
        self.limits = settings.query_limits()
        self.engine = engine
        self.calibration = Calibration.load()
        self.live = LiveFits()
        self._shared = shared_responses(settings)
        self.responses = ResponseCache(settings.response_cache_bytes, self._shared)
        self.counts = CountCache()
        self._reader = reader_of(engine)
        self.operators = Operators(settings.tokens)
        self._redis = redis_client(settings.resolved_redis_url) if settings.rate_limit_points else None
        self.rates = RateLimiter(self._redis, settings.rate_limit_points)
        self.remote = RemoteFiles(settings.remote_hosts, settings.remote_max_bytes, settings.remote_timeout_s)
        self.streams = OpenStreams(settings.websocket_connections, settings.websocket_connections_per_client)
        self._files: Catalog | None = catalog
        self._view: CatalogView | None = None
        self._checked_at = self._expected_until = float("-inf")
        self._refreshing = asyncio.Lock()

    async def close(self) -> None:
        """Give connections back."""
        await self._reader.close()
        await self.engine.dispose()
        if self._redis is not None:
            await self._redis.aclose()
        if self._shared is not None:
            await self._shared.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A database connection. Raises :class:`ApiError` ``UNAVAILABLE`` when the database does not answer."""
        try:
            async with self.engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            logger.exception("database failed")
            raise ApiError(ErrorCode.UNAVAILABLE, "The database does not answer; try again later.") from error

    @property
    def reads(self) -> Reader:
        """Reads of fits. A statement raises :class:`ApiError` ``UNAVAILABLE`` when the database does not answer."""
        return self

    def watch_reads(self, listener: Listener) -> None:
        """Tell ``listener`` of each statement that goes around the engine, whose events tell of all others."""
        if isinstance(self._reader, PostgresReader):
            self._reader.listeners.append(listener)

    @property
    def dialect(self) -> str:
        """Name of the database."""
        return self._reader.dialect

    async def rows(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        """All rows of a SELECT."""
        try:
            return await self._reader.rows(statement, parameters)
        except (SQLAlchemyError, psycopg.Error, OSError, TimeoutError) as error:
            logger.exception("database failed")
            raise ApiError(ErrorCode.UNAVAILABLE, "The database does not answer; try again later.") from error

    @property
    def fresh_view(self) -> CatalogView | None:
        """The view that this moment's requests see; None when the database must be asked first."""
        return None if self._is_stale() else self._view

    async def view(self) -> CatalogView:
        """The newest published catalog, at most a tenth of a second old; the files' before the first publication."""
        view = self.fresh_view
        if view is not None:
            return view
        async with self._refreshing:
            if self._view is None or self._is_stale():
                before, self._view = self._view, await self._newest(self._view)
                self._checked_at = time.monotonic()
                if self._view is not before:
                    self._expected_until = float("-inf")
            return self._view

    def expect_publication(self) -> None:
        """Look more often for a new generation, for as long as a small update takes at most."""
        self._expected_until = time.monotonic() + _EXPECTED_S

    def _is_stale(self) -> bool:
        moment = time.monotonic()
        return moment - self._checked_at >= (_EXPECTING_S if moment < self._expected_until else _FRESH_S)

    async def _newest(self, known: CatalogView | None) -> CatalogView:
        """The newest view; while the database does not answer, the known one keeps serving the catalog."""
        try:
            return await self._refreshed(known)
        except ApiError:
            if known is None:
                raise
            return known

    async def _refreshed(self, known: CatalogView | None) -> CatalogView:
        if known is not None and known.generation is not None:
            # One short look, many times a second: the whole row is read only when there is something new.
            found = await self.rows(generations.NEWEST, {})
            if found[0][0] == known.generation.id:
                return known
        async with self.connection() as connection:
            generation = await generations.current_generation(connection)
            if generation is None:
                if known is not None and known.generation is None:
                    return known
                files = self._files if self._files is not None else await asyncio.to_thread(load_catalog)
                return await asyncio.to_thread(CatalogView, files, None, self.calibration)
            if known is not None and known.generation is not None and known.generation.id == generation.id:
                return known
            return await self._load(connection, generation, known)

    async def _load(
        self, connection: AsyncConnection, generation: Generation, known: CatalogView | None
    ) -> CatalogView:
        """The catalog of ``generation``; entries that ``known`` has already are neither read nor parsed again."""
        hashes = {kind: await store.live_hashes(connection, kind) for kind in _ENTITY_KINDS}
        before = {} if known is None else known.hashes
        entries: dict[str, dict[str, Any]] = {}
        for kind, found in hashes.items():
            same = before.get(kind, {})
            changed = [number for number, slug, digest in found if same.get(slug) != digest]
            fresh = await self._fresh(connection, kind, changed, len(found))
            kept = {} if known is None else known.catalog.entries(kind)
            entries[kind] = {slug: fresh[slug] if slug in fresh else kept[slug] for _, slug, _ in found}
        catalog = Catalog(
            models=entries["model"],
            gpus=entries["gpu"],
            quants=entries["quant"],
            workloads=entries["workload"],
            engines=entries["engine"],
            hosts=entries["host"],
            revision=generation.revision,
        )
        ids = {kind: {slug: number for number, slug, _ in found} for kind, found in hashes.items()}
        digests = {kind: {slug: digest for _, slug, digest in found} for kind, found in hashes.items()}
        return await asyncio.to_thread(CatalogView, catalog, generation, self.calibration, ids, digests, known)

    async def _fresh(
        self, connection: AsyncConnection, kind: str, changed: list[int], count: int
    ) -> dict[str, dict[str, Any]]:
        if not changed:
            return {}
        if len(changed) == count:
            rows = await store.all_rows(connection, kind)
        else:
            rows = list((await store.rows_by_ids(connection, kind, changed)).values())
        return {row.slug: row.entry for row in rows}


def shared_responses(settings: ApiSettings) -> SharedResponses | None:
    """Responses shared with other servers, when there is a Redis for them.

    Servers of other code or with other limits answer otherwise, so that they share nothing with this one.
    """
    if not settings.response_cache_url:
        return None
    namespace = f"{code_digest()} {settings.query_limits()} {settings.max_estimates} {settings.max_comparison}"
    return SharedResponses(
        redis_client(settings.response_cache_url),
        namespace,
        ttl_s=settings.response_cache_ttl_s,
        value_bytes=settings.response_cache_value_bytes,
        lease_s=settings.request_timeout_s + 1,
    )


def code_digest() -> str:
    """Hash of the code and constants that answers come from."""
    digest = blake2s(digest_size=16)
    root = Path(__file__).parents[2]
    for room in ("api", "db", "estimator"):
        for path in sorted((root / room).rglob("*")):
            if path.suffix == ".py" or path.name == "calibration.json":
                digest.update(path.read_bytes())
    return digest.hexdigest()
