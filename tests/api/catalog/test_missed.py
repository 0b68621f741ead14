"""The API counts names that it was asked for and has not, and nothing of who asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.catalog.missed import MissedNames
from api.settings import ApiSettings
from db.ingest.review.missed import missed_names
from db.session import async_engine, sync_engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_graphql_and_pages_count_alike(
    app: Starlette, client: httpx.AsyncClient, ask: Any, settings: ApiSettings
) -> None:
    before = counts(settings)
    for name in ("RTX 9999 Zeta", "rtx  9999 zeta"):
        # A server handles each request in a task of its own.
        await asyncio.create_task(ask(f'{{ gpu(slug: "{name}") {{ slug }} }}'))
    await ask('{ gpu(slug: "rtx 4090") { slug } }')
    await client.get("/model/no-such-model-of-anyone")
    await app.state.services.missed.write()
    after = counts(settings)
    assert after[("gpu", "rtx 9999 zeta")] - before.get(("gpu", "rtx 9999 zeta"), 0) == 2
    assert after[("model", "no-such-model-of-anyone")] - before.get(("model", "no-such-model-of-anyone"), 0) == 1
    assert ("gpu", "rtx 4090") not in after


def counts(settings: ApiSettings) -> dict[tuple[str, str], int]:
    with sync_engine(settings.resolved_database_url).connect() as connection:
        return {(name.kind, name.name): name.count for name in missed_names(connection)}


async def test_without_an_interval_nothing_is_counted(tmp_path: Path) -> None:
    engine = async_engine(f"sqlite:///{tmp_path / 'none.db'}")
    off, on = MissedNames(engine, 0), MissedNames(engine, 60)
    off.add("gpu", "rtx 9999")
    on.add("gpu", "rtx 9999")
    await off.write()
    # A database without tables takes no counts, and answers go on.
    await on.write()
    await engine.dispose()
