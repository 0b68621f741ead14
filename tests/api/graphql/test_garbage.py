"""Rows go with their answer at once, and do not wait for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from graphql import Token

from api.graphql.execution.documents import Documents
from api.graphql.execution.field_costs import FIELD_COSTS, VOLATILE_TYPES
from api.graphql.fits.types import Fit
from api.graphql.schema import build_schema
from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog
from db.fits.cells import StoredCell
from tests.api.conftest import client_of
from tests.api.graphql.test_statements import FIT, QUERIES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("few_objects")]

#: Abstract types are completed by graphql-core's executor, which refers to itself.
COMPILED = [name for name in QUERIES if name != "nodes"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def uncached(settings: ApiSettings, catalog: Catalog) -> AsyncIterator[httpx.AsyncClient]:
    """Client of an application that answers every request anew."""
    made = create_app(settings.model_copy(update={"response_cache_bytes": 0}), catalog)
    async with client_of(made) as client:
        yield client
    await made.state.services.close()


@pytest.mark.parametrize("name", COMPILED)
async def test_a_repeated_query_leaves_no_rows(uncached: httpx.AsyncClient, name: str) -> None:
    query, _, much = QUERIES[name]

    async def run() -> None:
        answer = await uncached.post("/graphql", json={"query": f"{query} {FIT}", "variables": much})
        assert "errors" not in answer.json()

    for _ in range(3):
        await run()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await run()
        gc.collect()
        left = [item for item in gc.garbage if isinstance(item, StoredCell | Fit)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


@pytest.mark.parametrize("text", ["{ nothing }", "{ models { nodes { slug }", "{ " + "a: " * 3 + "quants { slug } }"])
async def test_a_refused_document_is_kept_without_the_stack_it_was_refused_in(text: str) -> None:
    schema = build_schema()
    documents = Documents(schema._schema, schema.documents.limits, FIELD_COSTS, VOLATILE_TYPES)
    errors = documents.prepare(text).errors
    assert errors
    assert errors is documents.prepare(text).errors
    assert all(error.__traceback__ is None and error.__context__ is None and error.nodes is None for error in errors)
    assert all(error.locations for error in errors)


@pytest.mark.parametrize("text", ["{ gpus { totalCount } }", "{ nothing }", "{ models { nodes { slug }"])
async def test_a_prepared_document_keeps_no_tokens_and_leaves_none_to_the_collector(text: str) -> None:
    schema = build_schema()
    documents = Documents(schema._schema, schema.documents.limits, FIELD_COSTS, VOLATILE_TYPES)
    gc.collect()
    before = {id(item) for item in gc.get_objects() if isinstance(item, Token)}
    gc.disable()
    try:
        documents.prepare(text)
        made = [item for item in gc.get_objects() if isinstance(item, Token) and id(item) not in before]
    finally:
        gc.enable()
    assert not made
