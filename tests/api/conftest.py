"""A published database over a small part of the real catalog, and clients of an application that serves it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import event
from starlette.applications import Starlette

from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog, revision_of
from db.fits.generations import NEWEST
from db.session import sync_engine, upgrade_database
from tests.support.catalogs import CATALOG
from tests.support.postgres import EmbeddedPostgres
from tests.support.runs import run_in_process

MODELS = ("kimi-linear-48b-a3b", "llama-3.1-8b", "qwen3-30b-a3b", "llama-2-7b")
GPUS = ("rtx-4090", "rtx-3090", "tesla-v100-sxm2-32-gb", "apple-m3-max-30c-36gb", "rx-7900-xtx")

Ask = Callable[..., Awaitable[dict[str, Any]]]


def part_of(catalog: Catalog, models: tuple[str, ...], gpus: tuple[str, ...]) -> Catalog:
    """The catalog with only the named models and accelerators."""
    kept_models = {slug: catalog.models[slug] for slug in models}
    kept_gpus = {slug: catalog.gpus[slug] for slug in gpus}
    return dataclasses.replace(
        catalog,
        models=kept_models,
        gpus=kept_gpus,
        revision=revision_of({"models": kept_models, "gpus": kept_gpus}),
    )


_REFERENCES = {
    "model": ("model", "slug"), "modelConfig": ("model", "config"), "modelGguf": ("model", "gguf"),
    "modelUrl": ("model", "url"), "gpu": ("machine", "gpu"), "gpus": ("machine", "gpus"), "gpuFacts": ("machine", "facts"),
}  # fmt: skip


def nested(question: Mapping[str, Any]) -> dict[str, Any]:
    """The question as ``EstimateInput``: model and machine are references."""
    asked = {key: value for key, value in question.items() if key not in _REFERENCES}
    for key, (reference, part) in _REFERENCES.items():
        if question.get(key) is not None:
            asked.setdefault(reference, {})[part] = question[key]
    return asked


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Four models and five accelerators of the bundled catalog."""
    return part_of(CATALOG, MODELS, GPUS)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> ApiSettings:
    """Settings of a database in which every pairing of the small catalog is published."""
    made = ApiSettings(state_dir=tmp_path_factory.mktemp("state"))
    upgrade_database(made.resolved_database_url)
    run = run_in_process(made, catalog)
    assert run is not None
    assert run.generation is not None
    return made


@pytest.fixture(scope="session")
def empty_settings(tmp_path_factory: pytest.TempPathFactory) -> ApiSettings:
    """Settings of a database in which nothing is published."""
    made = ApiSettings(state_dir=tmp_path_factory.mktemp("empty"))
    upgrade_database(made.resolved_database_url)
    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def app(settings: ApiSettings, catalog: Catalog) -> AsyncIterator[Starlette]:
    """The application over the published database."""
    made = create_app(settings, catalog)
    yield made
    await made.state.services.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def live_app(empty_settings: ApiSettings, catalog: Catalog) -> AsyncIterator[Starlette]:
    """The application before anything is published."""
    made = create_app(empty_settings, catalog)
    yield made
    await made.state.services.close()


def client_of(app: Starlette) -> httpx.AsyncClient:
    """An HTTP client that calls the application in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest_asyncio.fixture(loop_scope="session")
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Client of the published application."""
    async with client_of(app) as made:
        yield made


@pytest.fixture(scope="session")
def postgres_settings(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, catalog: Catalog
) -> Iterator[ApiSettings]:
    """Settings of a database on PostgreSQL with the same published catalog."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE DATABASE fitgraph_api")
    made = ApiSettings(state_dir=tmp_path_factory.mktemp("pg"), database_url=postgres.url("fitgraph_api"))
    upgrade_database(made.resolved_database_url)
    assert run_in_process(made, catalog) is not None
    yield made
    sync_engine(made.resolved_database_url).dispose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other(postgres_settings: ApiSettings, catalog: Catalog) -> AsyncIterator[httpx.AsyncClient]:
    """Client of an application on PostgreSQL."""
    made = create_app(postgres_settings, catalog)
    async with client_of(made) as client:
        yield client
    await made.state.services.close()


def asker(client: httpx.AsyncClient) -> Ask:
    """A function that runs a query and returns the whole JSON answer."""

    async def ask(query: str, **variables: Any) -> dict[str, Any]:
        response = await client.post("/graphql", json={"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    return ask


@pytest_asyncio.fixture(loop_scope="session")
async def ask(client: httpx.AsyncClient) -> Ask:
    """Runs a query against the published application."""
    return asker(client)


@pytest_asyncio.fixture(loop_scope="session")
async def data(ask: Ask) -> Ask:
    """Runs a query that must succeed, and returns its data."""

    async def run(query: str, **variables: Any) -> dict[str, Any]:
        answer = await ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        fields: dict[str, Any] = answer["data"]
        return fields

    return run


@pytest_asyncio.fixture(loop_scope="session")
async def live(live_app: Starlette) -> AsyncIterator[Ask]:
    """Runs a query against the application before anything is published."""
    async with client_of(live_app) as made:
        yield asker(made)


@pytest.fixture(autouse=True)
def _state_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def counted_statements(app: Starlette) -> Iterator[list[str]]:
    """Reads that the application's engine runs inside the block.

    The look for a newer generation is left out: a process runs at most ten a second, however many requests it serves.
    """
    executed: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement != "BEGIN" and "generation.fit_table" not in statement and statement != NEWEST:
            executed.append(statement)

    engine = app.state.services.state.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def statements(app: Starlette) -> Callable[[], Any]:
    """Counts the SQL statements of the published application."""
    return lambda: counted_statements(app)
