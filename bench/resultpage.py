"""The result page against the GraphQL query of its link, and the weight of the page: `python -m bench.resultpage`.

The page and the query answer in turn for the same pairings of a small published catalog, each pairing and quantization once,
so that the server reuses no whole response. The bench measures CPU time until the first byte of the body. The weight is that
of page, style and script, without the font.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
import time
from html import unescape
from pathlib import Path

import httpx

from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import load_catalog
from db.session import upgrade_database
from tests.api.conftest import GPUS, MODELS, part_of
from workers.runs import run_in_process

QUANTS = ("q4-k-m", "q8-0", "q6-k", "q3-k-m")
LIMIT = 3.0


async def first_byte(client: httpx.AsyncClient, method: str, path: str, **options: object) -> tuple[float, str]:
    """CPU seconds until the body begins, and the body."""
    began = time.process_time()
    async with client.stream(method, path, **options) as response:  # type: ignore[arg-type]
        parts = response.aiter_bytes()
        first = await anext(parts)
        seconds = time.process_time() - began
        body = first + b"".join([part async for part in parts])
        if response.status_code != 200:
            raise SystemExit(f"{path}: {response.status_code} {body[:200]!r}")
    return seconds, body.decode()


async def measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = ApiSettings(state_dir=Path(folder))
        catalog = part_of(load_catalog(), MODELS, GPUS)
        upgrade_database(settings.resolved_database_url)
        if run_in_process(settings, catalog) is None:
            raise SystemExit("nothing was published")
        app = create_app(settings, catalog)
        pages, queries, weights = [], [], []
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:
            assets = [await first_byte(client, "GET", f"/static/{name}") for name in ("page.css", "page.js")]
            own = sum(len(text.encode()) for _, text in assets)
            for quant in QUANTS:
                for model in MODELS:
                    for gpu in GPUS:
                        spent, page = await first_byte(client, "GET", f"/can/{model}-on-{gpu}?quant={quant}")
                        query = _query_of(page)
                        asked, answer = await first_byte(client, "POST", "/graphql", json={"query": query})
                        if '"errors"' in answer:
                            raise SystemExit(f"the query of the page fails: {answer[:300]}")
                        pages.append(spent)
                        queries.append(asked)
                        weights.append(own + len(page.encode()))
        await app.state.services.close()
    ratio = statistics.median(pages) / statistics.median(queries)
    print(
        f"page over its query, {len(pages)} pairings: {ratio:.2f} times the CPU time to the first byte (limit {LIMIT:g})"
    )
    print(f"page, style and script: {max(weights) / 1000:.1f} kB at most (limit 100)")


def _query_of(page: str) -> str:
    query = re.search(r"(\{\s*fit\(model:.*?)</", page, re.S)
    if query is None:
        raise SystemExit("the page shows no query")
    return unescape(query[1])


if __name__ == "__main__":
    asyncio.run(measure())
