"""Reads over the pool of PostgreSQL connections."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from psycopg_pool import PoolTimeout

from db import reading
from db.reading import PostgresReader
from tests.support.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio]


async def test_statements_beyond_the_pool_wait_for_their_turn(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ACQUIRE_TIMEOUT_S", 0.2)
    reader = PostgresReader(postgres.url(), size=1)
    try:
        results = await asyncio.gather(
            *(reader.rows("SELECT CAST(:n AS int), pg_sleep(0.3)", {"n": number}) for number in range(3))
        )
    finally:
        await reader.close()
    assert [rows[0][0] for rows in results] == [0, 1, 2]


async def test_a_database_that_is_away_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ACQUIRE_TIMEOUT_S", 1.0)
    reader = PostgresReader(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}", size=1)
    try:
        # Who waits behind the one that finds out does not try it again, one after the other.
        async with asyncio.timeout(10):
            results = await asyncio.gather(*(reader.rows("SELECT 1", {}) for _ in range(50)), return_exceptions=True)
    finally:
        await reader.close()
    assert {type(result) for result in results} == {PoolTimeout}
