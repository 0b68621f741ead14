"""The page of the accuracy shows the fitted errors and the whole report, escaped."""

from __future__ import annotations

import httpx
import pytest

from api.pages.accuracy import REPORT, rendered
from tests.api.pages.test_pages import Outline, page


def test_a_report_is_rendered_and_escaped() -> None:
    text = rendered(
        "# Report\n\n## Speed <x>\n\n- one\n- **two** & `three`\n\n| a | b |\n|---|---:|\n| <i> | 2 |\n\nWords."
    )
    assert "<h3>Speed &lt;x&gt;</h3>" in text
    assert "<li><b>two</b> &amp; <code>three</code></li>" in text
    assert '<th scope="row">&lt;i&gt;</th><td class="n">2</td>' in text
    assert "<p>Words.</p>" in text


@pytest.mark.asyncio(loop_scope="session")
async def test_every_table_of_the_report_is_on_the_page(client: httpx.AsyncClient) -> None:
    text = await page(client, "/accuracy")
    outline = Outline(text)
    tables = REPORT.read_text().count("|---")
    assert len(outline.all("table")) > REPORT.read_text().count("\n\n|") > 5 < tables
    for picture in outline.all("img"):
        assert (await client.get(picture["src"] or "")).headers["content-type"] == "image/png"
    assert (await client.get("/accuracy/nothing.png")).status_code == 404
