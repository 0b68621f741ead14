"""Names without an entity, counted in this process and written to the database now and then."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.ingest.review.missed import add_missed, countable

logger = logging.getLogger("fitgraph.api")
#: Different names counted between two writes; further ones are dropped.
MAX_WAITING = 1000


class MissedNames:
    """Counts by kind and name. ``interval_s`` is the time between two writes; 0 counts nothing."""

    def __init__(self, engine: AsyncEngine, interval_s: float) -> None:
        self._engine = engine
        self._interval_s = interval_s
        self._counts: dict[tuple[str, str], int] = {}
        self._of_tasks: WeakKeyDictionary[asyncio.Task[Any], set[tuple[str, str]]] = WeakKeyDictionary()

    def add(self, kind: str, text: str) -> None:
        """Count one name of one request; an address or a sentence is no name and is not counted."""
        name = countable(text) if self._interval_s else None
        if name is None or (len(self._counts) >= MAX_WAITING and (kind, name) not in self._counts):
            return
        if not self._is_first(kind, name):
            return
        self._counts[kind, name] = self._counts.get((kind, name), 0) + 1

    def _is_first(self, kind: str, name: str) -> bool:
        """Whether this request asks for it the first time: one that fails is executed twice."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return True
        if task is None:
            return True
        names = self._of_tasks.setdefault(task, set())
        is_first = (kind, name) not in names
        names.add((kind, name))
        return is_first

    async def write(self) -> None:
        """Add what was counted to the database; without one that takes it, the counts are dropped."""
        if not self._counts:
            return
        counts, self._counts = self._counts, {}
        day = datetime.now(UTC).date().isoformat()
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(add_missed, counts, day)
        except (SQLAlchemyError, OSError) as error:
            logger.warning("names that were not found are not counted: %s", type(error).__name__)

    async def write_regularly(self) -> None:
        """Write after each interval, until cancelled."""
        while self._interval_s:
            await asyncio.sleep(self._interval_s)
            await self.write()
