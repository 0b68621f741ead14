"""Robots find every page, and no link of a page, of the map or of a form's address is broken."""

from __future__ import annotations

import re
import struct
import zlib
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from api.pages import routes
from api.pages.site.preview import HEIGHT, WIDTH
from api.pages.site.robots import PAGES
from tests.api.pages.test_pages import Outline, page

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Pages of one kind that are opened; the others of the kind differ in names alone.
MOST_OF_A_KIND = 4


def located(text: str) -> list[str]:
    """Addresses of a map, without the host."""
    return [urlsplit(unescape(address)).path for address in re.findall(r"<loc>([^<]+)</loc>", text)]


async def test_every_page_for_people_has_a_place_on_the_map() -> None:
    unmapped = {"/search", "/oembed"}
    named = {path for path in routes.PAGES if "{" not in path and "." not in path}
    assert named - unmapped == set(PAGES)


async def test_the_map_has_every_page_and_none_is_broken(client: httpx.AsyncClient) -> None:
    robots = (await client.get("/robots.txt")).text
    assert "Sitemap: http://test/sitemap.xml" in robots
    index = await client.get("/sitemap.xml")
    assert index.headers["content-type"] == "application/xml"
    addresses = [address for file in located(index.text) for address in located((await client.get(file)).text)]
    assert len(addresses) == len(set(addresses)) == len(PAGES) + 4 + 5 + 4 * 5
    assert index.text.count("<lastmod>") == 2
    for address in addresses:
        assert (await client.get(address)).status_code == 200, address
    assert (await client.get("/sitemap-pairings-2.xml")).status_code == 404


async def test_no_link_of_any_page_is_broken(client: httpx.AsyncClient) -> None:
    starts = [
        *PAGES,
        "/here?gpu=rtx-3090",
        "/compare?model=llama-3.1-8b&gpu=rtx-4090&gpu=rtx-3090",
        "/buy?budget=3000&model=llama-3.1-8b",
        "/serve?model=llama-3.1-8b&people=4",
        "/search?q=llama",
    ]
    pending, visited, kinds = [("", start) for start in starts], set[str](), dict[str, int]()
    while pending:
        source, address = pending.pop()
        if address in visited:
            continue
        visited.add(address)
        kind = re.sub(r"=[^&]*", "", address) if "?" in address else address.rsplit("/", 1)[0]
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] > MOST_OF_A_KIND:
            continue
        response = await client.get(address)
        assert response.status_code in (200, 303), (source, address)
        if response.status_code == 303:
            pending.append((address, response.headers["location"]))
        elif response.headers["content-type"].startswith("text/html") and not address.startswith("/explorer"):
            pending += [(address, link) for link in links_of(response.text, address)]
    assert len(visited) > 60


def links_of(text: str, address: str) -> list[str]:
    """Addresses on this server that a page refers to; one in the page itself must name a part of it."""
    outline = Outline(text)
    ids = {attributes.get("id") for _, attributes in outline.tags}
    references = [attributes.get("href") for tag in ("a", "link") for attributes in outline.all(tag)]
    references += [attributes.get("src") for tag in ("script", "img", "iframe") for attributes in outline.all(tag)]
    links = []
    for link in filter(None, references):
        parts = urlsplit(urljoin(f"http://test{address}", link))
        if parts.netloc != "test" or parts.path == "/graphql":
            continue
        if link.startswith("#"):
            assert parts.fragment in ids, (address, link)
        links.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return links


async def test_every_page_has_an_icon_a_title_a_description_and_a_canonical_address(client: httpx.AsyncClient) -> None:
    titles = []
    for address in [*PAGES, "/model/llama-3.1-8b", "/gpu/rtx-4090", "/can/llama-3.1-8b-on-rtx-4090"]:
        text = await page(client, address)
        outline = Outline(text)
        links = {attributes["rel"]: attributes["href"] for attributes in outline.all("link")}
        assert links["icon"] == "/favicon.svg"
        assert links["apple-touch-icon"] == "/apple-touch-icon.png"
        assert links["canonical"] == f"http://test{address}"
        metas = {
            attributes.get("name") or attributes.get("property"): attributes.get("content")
            for attributes in outline.all("meta")
        }
        assert metas["description"] == metas["og:description"]
        assert metas["og:title"]
        titles.append(metas["og:title"])
        assert len(text.encode()) < 120_000
    assert len(titles) == len(set(titles))


async def test_the_preview_is_a_picture_with_the_verdict(client: httpx.AsyncClient) -> None:
    text = await page(client, "/can/llama-3.1-8b-on-rtx-4090")
    address = re.findall(r'og:image" content="http://test([^"]+)"', text)[0]
    response = await client.get(address)
    assert response.headers["content-type"] == "image/png"
    data = response.content
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (WIDTH, HEIGHT)
    body = b"".join(chunk for kind, chunk in chunks(data) if kind == b"IDAT")
    assert len(zlib.decompress(body)) == HEIGHT * (1 + 3 * WIDTH)
    other = await client.get(address.replace("rtx-4090", "rtx-3090"))
    assert other.content != data


async def test_every_page_has_a_picture_and_every_icon_is_one(client: httpx.AsyncClient) -> None:
    pictures = set()
    for address in ["/", "/buy?budget=2500", "/model/llama-3.1-8b", "/gpu/rtx-4090", "/can/llama-3.1-8b-on-rtx-4090"]:
        (picture,) = re.findall(r'og:image" content="http://test([^"]+)"', await page(client, address))
        response = await client.get(picture)
        assert struct.unpack(">II", response.content[16:24]) == (WIDTH, HEIGHT)
        pictures.add(response.content)
    assert len(pictures) == 4
    touch = await client.get("/apple-touch-icon.png")
    assert (touch.headers["content-type"], struct.unpack(">II", touch.content[16:24])) == ("image/png", (180, 180))
    old = (await client.get("/favicon.ico")).content
    size, start = struct.unpack("<II", old[14:22])
    assert len(old) == start + size
    assert chunks(old[start:])


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a PNG, whose checksums hold."""
    parts, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        parts.append((kind, body))
        at += 12 + size
    return parts
