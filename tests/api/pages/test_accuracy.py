"""The page of the accuracy shows the fitted errors and the whole report, escaped."""

from __future__ import annotations

import re

import httpx
import pytest

from api.pages.accuracy import REPORT, rendered
from tests.api.pages.test_pages import Outline, page


def test_a_report_is_rendered_and_escaped() -> None:
    text = rendered(
        "# Report\n\n## Speed <x>\n\n- *one*\n- **two** & `three`\n\n| a | b |\n|---|---:|\n| <i> | 2 |\n\nWords."
    )
    assert "<details open><summary><h3>Speed &lt;x&gt;</h3></summary>" in text
    assert "<li><b>two</b> &amp; <code>three</code></li>" in text
    assert '<th scope="row">&lt;i&gt;</th><td class="n">2</td>' in text
    assert "<p>Words.</p>" in text
    assert "<li><em>one</em></li>" in text


def test_strata_and_long_sections_are_folded_at_first() -> None:
    rows = "".join(f"\n| {place} | 2 |" for place in range(30))
    text = rendered(
        f"## Short\n\nIn brief.\n\n### By kind\n\nOf one.\n\n### By size\n\n## Long\n\n| a | b |\n|---|---|{rows}"
    )
    folds = re.findall(r"<details( open)?><summary><h(\d)>([\w ]+)<|(</details>)", text)
    assert [(fold[0].strip(), *fold[1:3]) if fold[1] else "end" for fold in folds] == [
        ("open", "3", "Short"), ("", "4", "By kind"), "end", ("", "4", "By size"), "end", "end", ("", "3", "Long"), "end",
    ]  # fmt: skip


@pytest.mark.asyncio(loop_scope="session")
async def test_every_table_of_the_report_is_on_the_page(client: httpx.AsyncClient) -> None:
    text = await page(client, "/accuracy")
    outline = Outline(text)
    tables = REPORT.read_text().count("|---")
    assert len(outline.all("table")) > REPORT.read_text().count("\n\n|") > 5 < tables
    for picture in outline.all("img"):
        assert (await client.get(picture["src"] or "")).headers["content-type"] == "image/png"
    assert (await client.get("/accuracy/nothing.png")).status_code == 404
