"""The newest catalog view of one server process, and its reads of the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.catalog.live import LiveFits
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode
from db.entries import store
from db.entries.files import Catalog, load_catalog
from db.fits import generations
from db.fits.generations import Generation
from db.reading import Listener, Parameters, PostgresReader, Row, reader_of
from estimator.calibration.coefficients import Calibration

logger = logging.getLogger("fitgraph.api")

#: Seconds for which a server trusts its last read of the published generation.
_FRESH_S = 0.1
#: The same after this server started a run, and for how long.
_EXPECTING_S = 0.01
_EXPECTED_S = 10.0
_ENTITY_KINDS = ("model", "gpu", "quant", "workload", "engine", "host", "computer", "price")


class CatalogState:
    """Views, live fits and the database, shared by concurrent requests on one event loop.

    It is the :class:`db.reading.Reader` of fits. A statement raises ``UNAVAILABLE`` when the database does not answer.
    """

    def __init__(self, engine: AsyncEngine, catalog: Catalog | None = None) -> None:
        self.engine = engine
        self.calibration = Calibration.load()
        self.live = LiveFits()
        #: Makers of objects that each new view holds before a request sees it.
        self.derived: list[Callable[[CatalogView], object]] = []
        self._reader = reader_of(engine)
        self._files = catalog
        self._view: CatalogView | None = None
        self._checked_at = self._expected_until = float("-inf")
        self._refreshing = asyncio.Lock()

    async def close(self) -> None:
        await self._reader.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A database connection. Raises :class:`ApiError` ``UNAVAILABLE`` when the database does not answer."""
        try:
            async with self.engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            logger.exception("database failed")
            raise ApiError(ErrorCode.UNAVAILABLE, "The database does not answer; try again later.") from error

    def watch_reads(self, listener: Listener) -> None:
        """Tell ``listener`` of each statement that goes around the engine, whose events tell of all others."""
        if isinstance(self._reader, PostgresReader):
            self._reader.listeners.append(listener)

    @property
    def dialect(self) -> str:
        """Name of the database."""
        return self._reader.dialect

    async def rows(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        try:
            return await self._reader.rows(statement, parameters)
        except (SQLAlchemyError, psycopg.Error, OSError, TimeoutError) as error:
            logger.exception("database failed")
            raise ApiError(ErrorCode.UNAVAILABLE, "The database does not answer; try again later.") from error

    @property
    def fresh_view(self) -> CatalogView | None:
        """The view of requests at this moment; None when the database must be asked first."""
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
                    self._reader.forget_plans()
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
            # One short statement, many times a second: the whole row is read only for a new generation.
            rows = await self.rows(generations.NEWEST, {})
            if rows[0][0] == known.generation.id:
                return known
        async with self.connection() as connection:
            generation = await generations.current_generation(connection)
            if generation is None:
                if known is not None and known.generation is None:
                    return known
                files = self._files if self._files is not None else await asyncio.to_thread(load_catalog)
                return await asyncio.to_thread(self._made, files, None, self.calibration)
            if known is not None and known.generation is not None and known.generation.id == generation.id:
                return known
            return await self._load(connection, generation, known)

    async def _load(
        self, connection: AsyncConnection, generation: Generation, known: CatalogView | None
    ) -> CatalogView:
        """The catalog of ``generation``; entries that ``known`` has already are neither read nor parsed again."""
        layout = generations.LAYOUT
        hashes = {kind: await store.shown_hashes(connection, kind, layout) for kind in _ENTITY_KINDS}
        before = {} if known is None else known.hashes
        entries: dict[str, dict[str, Any]] = {}
        for kind, rows in hashes.items():
            same = before.get(kind, {})
            changed = [number for number, slug, digest in rows if same.get(slug) != digest]
            wanted = None if len(changed) == len(rows) else changed
            fresh = await store.shown_entries(connection, kind, layout, wanted) if changed else {}
            kept = {} if known is None else known.catalog.entries(kind)
            entries[kind] = {slug: fresh[slug] if slug in fresh else kept[slug] for _, slug, _ in rows}
        catalog = Catalog(
            models=entries["model"],
            gpus=entries["gpu"],
            quants=entries["quant"],
            workloads=entries["workload"],
            engines=entries["engine"],
            hosts=entries["host"],
            computers=entries["computer"],
            prices=entries["price"],
            revision=generation.revision,
        )
        ids = {kind: {slug: number for number, slug, _ in rows} for kind, rows in hashes.items()}
        digests = {kind: {slug: digest for _, slug, digest in rows} for kind, rows in hashes.items()}
        return await asyncio.to_thread(self._made, catalog, generation, self.calibration, ids, digests, known)

    def _made(self, *arguments: Any) -> CatalogView:
        view = CatalogView(*arguments)
        for make in self.derived:
            view.derived(make)
        return view
