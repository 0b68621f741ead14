"""The schema as text."""

from __future__ import annotations

import httpx
import pytest
from graphql import build_schema

from api.graphql.schema import schema
from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_schema_is_served_as_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/schema.graphql")
    assert answer.text == schema.as_str() + "\n"
    assert build_schema(answer.text).query_type is not None
    again = await client.get("/schema.graphql", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")


async def test_it_is_hidden_with_introspection(settings: ApiSettings, catalog: Catalog) -> None:
    app = create_app(settings.model_copy(update={"introspection": False}), catalog)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/schema.graphql")).status_code == 404
    await app.state.services.close()
