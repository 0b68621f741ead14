"""GraphQL clients of frontend teams against the served API. The tests need node and npm (see README)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx

from tests.clients.conftest import Node
from tests.support import chromium
from tests.support.servers import ApiServer, api_server


def test_every_audit_of_graphql_over_http_passes(served: ApiServer, node: Node) -> None:
    assert "ok 61 audits" in node("node", "audits.mjs", served.url)


def test_apollo_client(served: ApiServer, node: Node) -> None:
    assert node("node", "apollo.mjs", served.url).count("ok ") == 5


def test_urql(served: ApiServer, node: Node) -> None:
    assert node("node", "urql.mjs", served.url).count("ok ") == 3


def test_relay(served: ApiServer, node: Node) -> None:
    node("relay-compiler", "relay.config.json", folder="relay")
    assert node("node", "run.mjs", served.url, folder="relay").count("ok ") == 3


def test_generated_types_are_strict(node: Node) -> None:
    node("graphql-codegen", "--config", "codegen.json", folder="codegen")
    node("tsc", "--project", "tsconfig.json", folder="codegen")


def test_a_strict_application_shows_its_views(served: ApiServer, node: Node, tmp_path: Path) -> None:
    node("graphql-codegen", "--config", "codegen.json", folder="app")
    node("tsc", "--project", "tsconfig.json", folder="app")
    assert "ok three views" in node("node", "run.mjs", served.url, folder="app")
    source = (Path(__file__).parent / "app" / "views.ts").read_text()
    assert not re.search(r"\bas\b(?! const)|\bany\b|@ts-|!\.", source)


def test_it_names_the_documents_that_its_build_emitted(
    served: ApiServer, node: Node, work: Path, tmp_path: Path
) -> None:
    node("graphql-codegen", "--config", "codegen.json", folder="app")
    node("tsc", "--project", "tsconfig.json", folder="app")
    manifest = work / "app" / "generated" / "persisted-documents.json"
    with api_server(
        tmp_path, state_dir=str(served.log.parent), trusted_documents=str(manifest), trusted_only="true"
    ) as server:
        assert "ok three views" in node("node", "run.mjs", server.url, "trusting", folder="app")
        text = httpx.post(f"{server.url}/graphql", json={"query": "{ workloads { slug } }"}).json()
        assert text["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_its_views_run_in_a_browser(served: ApiServer, node: Node, work: Path, tmp_path: Path) -> None:
    node("graphql-codegen", "--config", "codegen.json", folder="app")
    node("tsc", "--project", "tsconfig.json", folder="app")
    with served_folder(work / "app") as address:
        for path in chromium.browsers():
            with chromium.page_of(path, tmp_path / "profile") as tab:
                tab.open(f"{address}/index.html")
                for view, lines in (("list", 6), ("pair", 2), ("compare", 4)):
                    script = f"import('./built/views.js').then((app) => app.show('{served.url}', '{view}'))"
                    assert len(tab.run(script)) == lines


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """Address of a server of the files of a folder."""
    (folder / "index.html").write_text("<!doctype html><title>app</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_typed_python_example(served: ApiServer) -> None:
    example = Path(__file__).parents[2] / "examples" / "python" / "fits.py"
    printed = _python(str(example), served.url, "Llama 3.1 8B", "--most", "60")
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert len(lines) == 60
    assert "tok/s" in lines[0]
    grades = [line[0] for line in lines]
    assert grades == sorted(grades, key="SABCDF".index)
    unknown = _python(str(example), served.url, "no such model")
    assert unknown.returncode == 1
    assert "no such model" in unknown.stderr
    refused = _python(str(example), served.url, "Llama 3.1 8B", "--workload", "NONSENSE")
    assert refused.returncode == 1
    assert "BAD_USER_INPUT" in refused.stderr


def test_the_typed_python_example_is_typed() -> None:
    example = Path(__file__).parents[2] / "examples" / "python" / "fits.py"
    checked = _python("-m", "mypy", "--strict", "--config-file", "", str(example))
    assert checked.returncode == 0, checked.stdout


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)
