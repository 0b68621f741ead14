"""Files on other servers: only listed hosts, only https, no private networks, bounded bytes and time."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette

from api.answers.files.models import source_of_address
from api.answers.files.remote import RemoteFiles, is_public
from api.errors import ErrorCode, QuestionError
from db.imports.errors import ImportFactsError
from tests.api.answers.test_own_hardware import LLAMA
from tests.api.conftest import nested
from tests.support.gguf_files.files import llama, llama_parts
from tests.support.remote import file_server, trust

pytestmark = pytest.mark.asyncio(loop_scope="session")
MODEL = llama(4, tokens=60_000)
Asked = list[tuple[str, str | None]]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Asked]]:
    files = {
        "/tiny.gguf": MODEL + b"\0" * 5_000_000,
        "/config.json": json.dumps(LLAMA).encode(),
        "/page.html": b"<html>",
        **{f"/tiny-0000{number}-of-00003.gguf": part for number, part in enumerate(llama_parts(4, 3), 1)},
        "/other-00001-of-00090.gguf": MODEL,
    }
    with file_server(files) as running:
        yield running


def reader(host: str, **options: Any) -> RemoteFiles:
    return RemoteFiles(
        (host,),
        options.pop("max_bytes", 8_000_000),
        options.pop("timeout_s", 5.0),
        tls=trust(),
        private=True,
        **options,
    )


async def never(_: bytes) -> bool:
    return False


async def test_a_header_is_read_and_no_more(server: tuple[str, Asked]) -> None:
    host, asked = server
    source = await source_of_address(f"https://{host}/tiny.gguf", reader(host))
    assert (source.model.n_layers, source.file_type) == (4, "Q4_K_M")
    assert asked[-1] == ("/tiny.gguf", "bytes=0-7999999")
    lengths: list[int] = []

    async def enough(data: bytes) -> bool:
        lengths.append(len(data))
        return len(data) > 1_000_000

    data = await reader(host).read(f"https://{host}/tiny.gguf", enough)
    assert lengths == sorted(lengths)
    assert 1_000_000 < len(data) < 2_200_000


async def test_all_parts_of_a_split_file_are_read(server: tuple[str, Asked]) -> None:
    host, asked = server
    source = await source_of_address(f"https://{host}/tiny-00001-of-00003.gguf", reader(host))
    assert (
        source.model.total_parameters
        == (await source_of_address(f"https://{host}/tiny.gguf", reader(host))).model.total_parameters
    )
    before = len(asked)
    await source_of_address(f"https://{host}/other-00001-of-00090.gguf", reader(host))
    assert len(asked) == before + 1


@pytest.mark.parametrize("path", ["config.json", "to/config.json", "to/to/config.json", "whole/config.json"])
async def test_a_configuration_is_read_also_behind_redirects(server: tuple[str, Asked], path: str) -> None:
    host, _ = server
    source = await source_of_address(f"https://{host}/{path}", reader(host))
    assert source.model.total_parameters == 8_030_261_248


@pytest.mark.parametrize(
    ("path", "code", "match"),
    [
        ("absent.gguf", "UNAVAILABLE", "status 404"),
        ("to/to/to/to/config.json", "UNAVAILABLE", "more than 3 times"),
        ("to/https!example.org/config.json", "BAD_USER_INPUT", "not a listed host"),
        ("to/http!localhost/config.json", "BAD_USER_INPUT", "https"),
        ("to/file!localhost/etc/passwd", "BAD_USER_INPUT", "https"),
        ("zipped/config.json", "UNAVAILABLE", "encoding"),
        ("other-range/config.json", "UNAVAILABLE", "another range"),
        ("junk/x", "UNAVAILABLE", "does not answer"),
    ],
)
async def test_what_a_server_may_not_do(server: tuple[str, Asked], path: str, code: str, match: str) -> None:
    host, _ = server
    with pytest.raises(QuestionError, match=match) as caught:
        await reader(host).read(f"https://{host}/{path}", never)
    assert caught.value.code is ErrorCode(code)
    assert caught.value.field == "model_url"


async def test_a_file_that_is_no_model_is_a_typed_error(server: tuple[str, Asked]) -> None:
    host, _ = server
    with pytest.raises(ImportFactsError, match="not valid JSON"):
        await source_of_address(f"https://{host}/page.html", reader(host))
    with pytest.raises(ImportFactsError, match="give more"):
        await source_of_address(f"https://{host}/tiny.gguf", reader(host, max_bytes=100_000))


async def test_bytes_and_time_are_bounded(server: tuple[str, Asked]) -> None:
    host, _ = server
    assert len(await reader(host, max_bytes=300_000).read(f"https://{host}/endless/x", never)) == 300_000
    began = time.monotonic()
    with pytest.raises(QuestionError, match=r"longer than 0\.3 seconds"):
        await reader(host, timeout_s=0.3).read(f"https://{host}/slow/x", never)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("http://localhost/a.gguf", "https"),
        ("https://user:word@localhost/a.gguf", "names no user"),
        ("https://localhost:1/a.gguf", "not a listed host"),
        ("https://localhost.example.org/a.gguf", "not a listed host"),
        ("https://169.254.169.254/latest", "not a listed host"),
        ("https://localhost/a b", "printable"),
        ("https://localhost/a\r\nHost: b", "printable"),
        ("https://localhoﬆ/", "printable"),
        ("https://[::1/", "not well-formed"),
        ("https://localhost:99999/", "not well-formed"),
        ("https://localhost/" + "a" * 3000, "2,048"),
        ("", "https"),
    ],
)
async def test_addresses_that_are_refused(address: str, match: str) -> None:
    with pytest.raises(QuestionError, match=match):
        await RemoteFiles(("localhost",), 1000, 1.0, private=True).read(address, never)


async def test_private_networks_are_refused_also_for_a_listed_host(server: tuple[str, Asked]) -> None:
    host, asked = server
    before = len(asked)
    with pytest.raises(QuestionError, match="private network"):
        await RemoteFiles((host,), 1000, 1.0, tls=trust()).read(f"https://{host}/config.json", never)
    assert len(asked) == before


async def test_without_hosts_nothing_is_fetched() -> None:
    with pytest.raises(QuestionError, match="FITGRAPH_REMOTE_HOSTS"):
        await RemoteFiles((), 1000, 1.0).read("https://localhost/a", never)
    with pytest.raises(ValueError, match="is no host"):
        RemoteFiles(("https://example.org",), 1000, 1.0)


async def test_an_unknown_certificate_is_refused(server: tuple[str, Asked]) -> None:
    host, _ = server
    with pytest.raises(QuestionError, match="SSLCertVerificationError"):
        await RemoteFiles((host,), 1000, 2.0, private=True).read(f"https://{host}/config.json", never)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("0.0.0.0", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1", False),
        ("fc00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("2001:0:1::", False), ("ff02::1", False), ("fe80::1%eth0", False), ("x", False),
    ],
)  # fmt: skip
async def test_what_counts_as_public(address: str, public: bool) -> None:
    assert is_public(address) is public


ONE = """query($q: EstimateInput!) { estimate(input: $q) { model { slug } quant { slug } fileSizeBytes
  memory { weightsBytes } status } }"""
MANY = "query($q: [EstimateInput!]!) { estimates(inputs: $q) { error { code field } estimate { fileSizeBytes } } }"


async def test_over_graphql_a_file_is_the_same_pasted_and_fetched(
    app: Starlette, ask: Any, data: Any, server: tuple[str, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, asked = server
    monkeypatch.setattr(app.state.services, "remote", reader(host))
    address = f"https://{host}/tiny.gguf"
    fetched = (await data(ONE, q=nested({"modelUrl": address, "gpu": "rtx-3090"})))["estimate"]
    pasted = (await data(ONE, q=nested({"modelGguf": b64encode(llama(4)).decode(), "gpu": "rtx-3090"})))["estimate"]
    assert fetched["model"] is None
    assert fetched["quant"]["slug"] == "q4-k-m"
    assert fetched["memory"] == pasted["memory"]
    before = len(asked)
    questions = [nested({"modelUrl": address, "gpu": gpu}) for gpu in ("rtx-3090", "rtx-4090")]
    items = (await data(MANY, q=[*questions, nested({"modelUrl": f"https://{host}/absent", "gpu": "rtx-4090"})]))[
        "estimates"
    ]
    assert len(asked) == before + 2
    assert [item["error"] for item in items] == [None, None, {"code": "UNAVAILABLE", "field": ["model", "url"]}]
    await data(MANY, q=questions)
    assert len(asked) == before + 3
    answer = await ask(MANY, q=[nested({"modelUrl": f"{address}?{number}", "gpu": "rtx-4090"}) for number in range(9)])
    assert answer["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_over_graphql_remote_files_are_off_by_default(ask: Any) -> None:
    answer = await ask(ONE, q=nested({"modelUrl": "https://example.org/a.gguf", "gpu": "rtx-3090"}))
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "FITGRAPH_REMOTE_HOSTS" in answer["errors"][0]["message"]
