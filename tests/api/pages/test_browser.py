"""The pages in a real browser, where the machine has one; without one there is nothing to open and nothing fails.

With ``axe-core-python`` installed the accessibility rules are run too. Pictures go to the test's own folder.
"""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from api.server.app import create_app
from api.settings import ApiSettings
from db.entries.files import Catalog
from tests.support import chromium

PAIR = "kimi-linear-48b-a3b-on-tesla-v100-sxm2-32-gb"


_EDITORS_ARE_THERE = (
    "new Promise(done => { const look = () => document.querySelectorAll('textarea[aria-label]').length >= 3"
    " ? done(true) : requestAnimationFrame(look); look(); })"
)


def axe_source() -> str | None:
    spec = importlib.util.find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        return None
    return (Path(spec.origin).parent / "axe.min.js").read_text()


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The address of a real server of ``app``."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def address(settings: ApiSettings, catalog: Catalog) -> Iterator[str]:
    with served(create_app(settings, catalog)) as base:
        yield base


def test_pages_render_without_faults_in_every_browser(address: str, tmp_path: Path) -> None:
    for path in chromium.browsers():
        with chromium.page_of(path, tmp_path / "profile") as tab:
            for name, url, width, height in (
                ("desktop", f"/can/{PAIR}?quant=q4-k-m", 1100, 900),
                ("phone", f"/can/{PAIR}?quant=q4-k-m", 360, 740),
                ("card-light", f"/embed/{PAIR}?theme=light", 400, 180),
                ("card-dark", f"/embed/{PAIR}?theme=dark", 400, 180),
                ("unknown", "/can/nothing-on-nothing", 1100, 900),
                ("chooser", "/can", 360, 740),
                ("landing", "/", 360, 740),
                ("explorer", "/explorer", 1100, 900),
            ):
                tab.open(address + url, width, height)
                if name == "explorer":
                    assert tab.run(_EDITORS_ARE_THERE)
                assert tab.run("document.documentElement.scrollWidth <= innerWidth"), name
                if name.startswith("card"):
                    assert tab.run("document.documentElement.scrollHeight <= innerHeight"), name
                tab.picture(tmp_path / f"{name}.png")
                for dark in (False, True):
                    tab.dark(dark)
                    source = axe_source()
                    if source is not None:
                        tab.run(source + ";0")
                        audit = tab.run("axe.run(document, {iframes: false})")
                        assert audit["violations"] == [], (name, dark)


def test_the_demonstration_writes_at_the_estimated_pace(address: str, tmp_path: Path) -> None:
    for path in chromium.browsers():
        with chromium.page_of(path, tmp_path / "profile") as tab:
            tab.open(f"{address}/can/{PAIR}?workload=reasoning")
            assert tab.run("document.querySelectorAll('pre.command + button').length") >= 4
            tab.run("document.querySelector('.feel button').click()")
            done = (
                "new Promise(done => { const look = () => document.querySelector('.feel output').textContent"
                ".startsWith('A language') ? done(true) : requestAnimationFrame(look); look(); })"
            )
            assert tab.run(done)


def test_without_scripts_the_page_says_the_same(address: str, tmp_path: Path) -> None:
    for path in chromium.browsers():
        texts = []
        for scripts in (True, False):
            with chromium.page_of(path, tmp_path / f"profile-{scripts}") as tab:
                tab.open(f"{address}/can/{PAIR}", scripts=scripts)
                tree = tab.call("DOM.getDocument")["root"]["nodeId"]
                main = tab.call("DOM.querySelector", nodeId=tree, selector="main")["nodeId"]
                html = tab.call("DOM.getOuterHTML", nodeId=main)["outerHTML"]
                texts.append(html.replace('<button type="button">Copy</button>', ""))
        with_scripts, without = texts
        assert without.count("<section") == with_scripts.count("<section") >= 12
        assert 'type="button"' not in without
