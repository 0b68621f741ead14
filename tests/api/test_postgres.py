"""PostgreSQL answers what SQLite answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from api.app import create_app
from api.settings import ApiSettings
from db.catalog_files import Catalog
from db.session import sync_engine, upgrade_database
from workers.embedded_postgres import EmbeddedPostgres
from workers.runs import run_in_process

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.postgres]

FIT = "status score recommended ttftMs safeContextTokens decode { tokensPerSecond low high evidence } memory { totalBytes } "
NAMES = "model { slug } gpu { slug } quant { slug } workload { kind }"
QUERIES = (
    f'{{ fit(model: "Kimi Linear 48B A3B", gpu: "V100 32GB", quant: "Q4_K_M") {{ {FIT} {NAMES} workloads {{ {FIT} }} '
    f"quantOptions {{ {FIT} {NAMES} }} headline summary }} }}",
    f"{{ fits(first: 100) {{ totalCount edges {{ cursor node {{ {FIT} {NAMES} }} }} pageInfo {{ hasNextPage }} }} }}",
    f"{{ fits(first: 50, orderBy: [{{field: DECODE}}], filter: {{recommended: true, workload: {{in: [RAG, CHAT]}}}}) "
    f"{{ totalCount nodes {{ {FIT} {NAMES} }} }} }}",
    f"{{ fits(first: 50, orderBy: [{{field: TTFT, direction: ASC}}], filter: {{status: {{in: [FITS]}}, "
    f"decodeTokensPerSecond: {{min: 20, max: 200}}, safeContextTokens: {{min: 1000}}}}) "
    f"{{ totalCount nodes {{ {FIT} {NAMES} }} }} }}",
    f"{{ models {{ nodes {{ slug quants {{ fileSizeBytes weightsBytes quant {{ slug }} }} fits(first: 5) {{ nodes {{ {FIT} {NAMES} "
    f"gpu {{ fits(first: 2) {{ nodes {{ {NAMES} }} }} }} }} }} }} }} }}",
    '{ compareGpus(model: "qwen3-30b-a3b", gpus: ["rtx-4090", "rtx-3090"]) { winner rows { measure values deltas } } }',
    '{ recommendations(for: {gpu: "rtx-3090"}) { score fit { model { slug } quant { slug } } } }',
    "{ catalog { revision generation fitCount unsupportedCount lastRun { state cellCount } } runs { totalCount } }",
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, catalog: Catalog
) -> AsyncIterator[httpx.AsyncClient]:
    """Client of an application on PostgreSQL with the same published catalog."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE fitgraph_api")
    settings = ApiSettings(state_dir=tmp_path_factory.mktemp("pg"), database_url=postgres.url("fitgraph_api"))
    upgrade_database(settings.resolved_database_url)
    assert run_in_process(settings, catalog) is not None
    app = create_app(settings, catalog)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client
    await app.state.services.close()
    sync_engine(settings.resolved_database_url).dispose()


@pytest.mark.parametrize("query", QUERIES)
async def test_both_databases_answer_the_same(data: Any, other: httpx.AsyncClient, query: str) -> None:
    found = (await other.post("/graphql", json={"query": query})).json()
    assert "errors" not in found
    assert found["data"] == await data(query)
