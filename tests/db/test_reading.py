"""Reads over the pool of PostgreSQL connections."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
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


async def test_connections_that_the_server_ended_are_not_kept(
    postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    # A kept line of the pool's log holds the connection that it names.
    caplog.set_level(logging.ERROR, "psycopg.pool")
    reader = PostgresReader(postgres.url(), size=1)
    others = {id(held) for held in _connections()}
    try:
        for _ in range(3):
            with suppress(psycopg.OperationalError):
                await reader.rows("SELECT pg_terminate_backend(pg_backend_pid())", {})
        assert await reader.rows("SELECT 1", {}) == [(1,)]
        gc.collect()
        kept = [held for held in _connections() if id(held) not in others]
    finally:
        await reader.close()
    assert len(kept) <= 2


async def test_plans_of_a_replaced_generation_are_freed(postgres: EmbeddedPostgres) -> None:
    reader = PostgresReader(postgres.url(), size=1)
    try:
        for number in range(8):
            await reader.rows("SELECT CAST(:n AS int)", {"n": number})
        kept = (await reader.rows("SELECT count(*) FROM pg_prepared_statements", {}))[0][0]
        reader.forget_plans()
        freed = (await reader.rows("SELECT count(*) FROM pg_prepared_statements", {}))[0][0]
        again = [(await reader.rows("SELECT CAST(:n AS int)", {"n": number}))[0][0] for number in range(8)]
    finally:
        await reader.close()
    assert (kept, freed) == (1, 0)
    assert again == list(range(8))


def _connections() -> list[psycopg.AsyncConnection[Any]]:
    return [held for held in gc.get_objects() if isinstance(held, psycopg.AsyncConnection)]
