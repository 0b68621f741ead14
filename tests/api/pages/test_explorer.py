"""The explorer: everything from this server, nothing from elsewhere, and only when it is switched on."""

from __future__ import annotations

import re

import httpx
import pytest
from starlette.applications import Starlette

from api.server.app import create_app
from api.settings import ApiSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_page_loads_only_files_that_are_served(client: httpx.AsyncClient) -> None:
    page = await client.get("/explorer")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 6
    for address in addresses:
        assert address.startswith("/static/")
        assert (await client.get(address)).status_code == 200
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_landing_page_links_to_it(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert "/explorer" in page.text


async def test_it_can_be_switched_off(settings: ApiSettings) -> None:
    app: Starlette = create_app(settings.model_copy(update={"explorer": False}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/explorer")).status_code == 404
    await app.state.services.close()
