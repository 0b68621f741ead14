"""Databases and catalogs that tests of several rooms share."""

from __future__ import annotations

import dataclasses
import gc
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from db.entries.files import DIRECTORIES, Catalog, revision_of
from db.session import sync_engine, upgrade_database
from db.settings import Settings
from tests.support.catalogs import CATALOG
from tests.support.postgres import EmbeddedPostgres

#: Files that take longest, longest first: begun last, one of them would leave all cores but one idle at the end.
_LONGEST = (
    "workers/test_faults.py", "workers/test_runs.py", "workers/test_processes.py", "api/graphql/test_injection.py",
    "db/fits/test_reads.py", "db/fits/test_by_unpacking.py", "api/graphql/test_garbage.py", "test_observed.py",
    "api/graphql/execution/test_compiled.py", "clients/test_clients.py", "estimator/advice/test_changes.py",
    "api/graphql/runs/test_mutations.py", "api/graphql/fits/test_advice.py", "estimator/test_whole_catalog.py",
    "estimator/accuracy/test_fit_multi_gpu.py", "estimator/test_grid.py", "estimator/advice/test_upgrades.py",
    "api/graphql/test_fuzz.py", "api/graphql/execution/test_core_internals.py", "test_packaging.py",
    "estimator/advice/test_explain.py", "api/answers/choices/test_models.py", "api/pages/site/test_links.py",
    "api/cli/choices/test_recommend.py", "api/observe/test_observe.py", "estimator/advice/test_commands.py",
)  # fmt: skip
_number = itertools.count(1)
MODELS = ("llama-3-8b", "qwen3-30b-a3b", "gemma-3-27b", "deepseek-v3")
GPUS = (
    "rtx-4090", "tesla-v100-pcie-32-gb", "rtx-3060-12-gb", "instinct-mi300x-192-gb", "h100-sxm5-80-gb",
    "apple-m3-max-40c-64gb", "arc-a770-16-gb",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others in their order."""
    root = Path(__file__).parent
    places = {root / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """The collector never looks at what the collection made."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def few_objects() -> None:
    """The collector looks at the objects of this module and of later ones alone: an application's take it a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server for the whole test run."""
    with EmbeddedPostgres() as server:
        yield server


_KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=_KINDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own without tables, once on either kind of server."""
    yield from new_database(request, tmp_path)


@pytest.fixture(params=_KINDS, scope="session")
def session_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database without tables that the tests of a session share, once on either kind of server."""
    yield from new_database(request, tmp_path_factory.mktemp("shared"))


def new_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database without tables of the kind that the request names."""
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'fitgraph.db'}"
    else:
        server: EmbeddedPostgres = request.getfixturevalue("postgres")
        name = f"fitgraph_{next(_number)}"
        with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = server.url(name)
    yield url
    sync_engine(url).dispose()


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """A database of its own with empty tables."""
    upgrade_database(empty_database_url)
    return empty_database_url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings on that database, with small blocks and no grace."""
    return Settings(
        state_dir=tmp_path / "state", database_url=database_url, block_cells=1, block_attempts=2, generation_grace_s=0
    )


@pytest.fixture(scope="session")
def bundled_catalog() -> Catalog:
    """The catalog of the repository."""
    return CATALOG


@pytest.fixture(scope="session")
def small_catalog(bundled_catalog: Catalog) -> Catalog:
    """A few models and accelerators of every kind, with all quants and workloads."""
    models = {slug: entry for slug, entry in bundled_catalog.models.items() if slug in MODELS}
    gpus = {slug: entry for slug, entry in bundled_catalog.gpus.items() if slug in GPUS}
    assert (len(models), len(gpus)) == (len(MODELS), len(GPUS))
    return rebuilt(dataclasses.replace(bundled_catalog, models=models, gpus=gpus))


def rebuilt(catalog: Catalog) -> Catalog:
    """``catalog`` with the revision of its content."""
    entries = {directory: getattr(catalog, directory) for directory in DIRECTORIES.values()}
    return Catalog(**entries, revision=revision_of(entries))


@pytest.fixture
def edited() -> Callable[..., Catalog]:
    """A copy of a catalog with one entry changed: ``edited(catalog, "gpus", "rtx-4090", bandwidth_gbps=2000)``."""

    def edit(catalog: Catalog, directory: str, slug: str, **facts: object) -> Catalog:
        entries = dict(getattr(catalog, directory))
        entries[slug] = {**entries[slug], **facts}
        return rebuilt(dataclasses.replace(catalog, **{directory: entries}))

    return edit


@pytest.fixture
def without() -> Callable[..., Catalog]:
    """A copy of a catalog without one entry: ``without(catalog, "models", "llama-3-8b")``."""

    def drop(catalog: Catalog, directory: str, slug: str) -> Catalog:
        entries = {key: entry for key, entry in getattr(catalog, directory).items() if key != slug}
        return rebuilt(dataclasses.replace(catalog, **{directory: entries}))

    return drop
