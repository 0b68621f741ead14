"""Which encodings an answer comes in, and the entity tag of each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.server.compression import Compression, accepts_gzip

TAG = '"one"'


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP, br", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
        ("gzip;q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("br, *;q=0.1", True),
        ("gzip;q=much", False),
        ("identity", False),
    ],
)
def test_a_quality_of_zero_refuses_gzip(accepted: str, expected: bool) -> None:
    assert accepts_gzip(accepted) is expected


async def answer(request: Request) -> Response:
    known = request.headers.get("if-none-match")
    return Response(b"" if known == TAG else b"x" * 4000, 304 if known == TAG else 200, {"ETag": TAG})


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Compression(Starlette(routes=[Route("/", answer)]), minimum_size=2048)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as opened:
        yield opened


@pytest.mark.parametrize(("accepted", "tag"), [("gzip", '"one-gzip"'), ("identity", TAG), ("gzip;q=0", TAG)])
async def test_each_encoding_has_a_tag_of_its_own_that_revalidates(
    client: httpx.AsyncClient, accepted: str, tag: str
) -> None:
    first = await client.get("/", headers={"accept-encoding": accepted})
    assert first.headers.get("content-encoding") == ("gzip" if accepted == "gzip" else None)
    assert first.headers["etag"] == tag
    assert len(first.content) == 4000
    again = await client.get("/", headers={"accept-encoding": accepted, "if-none-match": tag})
    assert (again.status_code, again.headers["etag"]) == (304, tag)


async def test_the_tag_of_the_compressed_answer_does_not_stand_for_the_plain_one(client: httpx.AsyncClient) -> None:
    response = await client.get("/", headers={"accept-encoding": "identity", "if-none-match": '"one-gzip"'})
    assert response.status_code == 200
