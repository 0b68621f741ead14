"""Documents that clients name by id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.graphql.services.trusted import read_trusted
from api.server.app import create_app
from api.settings import ApiSettings

NAMED = "query Model($slug: String!) { model(slug: $slug) { name } }"
OTHER = "{ engines { slug } }"
ASKED = {"documentId": "sha256:a1", "variables": {"slug": "llama-2-7b"}}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "persisted-documents.json"
    path.write_text(json.dumps({"a1": NAMED}))
    return path


@asynccontextmanager
async def client_of(settings: ApiSettings, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings.model_copy(update=changes))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client
    await app.state.services.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_document_is_named_by_its_id(settings: ApiSettings, manifest: Path) -> None:
    async with client_of(settings, trusted_documents=manifest) as client:
        for asked in (ASKED, {**ASKED, "documentId": "a1"}):
            answer = await client.post("/graphql", json=asked)
            assert answer.json()["data"] == {"model": {"name": "Llama 2 7B"}}
        parameters = {"documentId": "a1", "variables": json.dumps(ASKED["variables"])}
        got = await client.get("/graphql", params=parameters)
        assert got.json()["data"] == {"model": {"name": "Llama 2 7B"}}
        assert got.headers["etag"]
        assert "errors" not in (await client.post("/graphql", json={"query": OTHER})).json()


@pytest.mark.asyncio(loop_scope="session")
async def test_an_unknown_id_is_a_typed_error(settings: ApiSettings, manifest: Path) -> None:
    async with client_of(settings, trusted_documents=manifest) as client:
        for asked, code in (
            ({"documentId": "b2"}, "PERSISTED_QUERY_NOT_FOUND"),
            ({"documentId": ""}, "BAD_USER_INPUT"),
            ({"documentId": 1}, "BAD_USER_INPUT"),
            ({**ASKED, "query": OTHER}, "BAD_USER_INPUT"),
        ):
            answer = await client.post("/graphql", json=asked)
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["extensions"]["code"] == code


@pytest.mark.asyncio(loop_scope="session")
async def test_a_server_of_trusted_documents_runs_no_other(settings: ApiSettings, manifest: Path) -> None:
    async with client_of(settings, trusted_documents=manifest, trusted_only=True) as client:
        assert (await client.post("/graphql", json=ASKED)).json()["data"]["model"]
        assert (await client.post("/graphql", json={**ASKED, "documentId": None, "query": NAMED})).json()["data"][
            "model"
        ]
        refused = await client.post("/graphql", json={"query": OTHER})
        assert refused.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        events = await client.post("/graphql", json={"query": OTHER}, headers={"accept": "text/event-stream"})
        assert "FORBIDDEN" in events.text


@pytest.mark.parametrize("content", ["[]", '{"a": 1}'])
def test_a_manifest_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="must be a JSON object"):
        read_trusted(path, only=False)


def test_trusting_nothing_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="FITGRAPH_TRUSTED_DOCUMENTS"):
        read_trusted(None, only=True)
