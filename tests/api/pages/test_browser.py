"""The pages in a real browser, where the machine has one; without one there is nothing to open and nothing fails.

With ``axe-core-python`` installed the accessibility rules are run too. Pictures go to the test's own folder.
"""

from __future__ import annotations

import importlib.util
import re
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


#: A page of every kind, with answers.
PAGES = (
    "/",
    "/search?q=llama",
    "/here?gpu=rtx-3090",
    "/model/llama-3.1-8b",
    "/gpu/rtx-4090",
    "/models",
    "/gpus",
    "/compare?model=llama-3.1-8b&model=llama-2-7b&gpu=rtx-4090&gpu=rtx-3090",
    "/buy?budget=2500&workload=coding&hours=100",
    "/serve?model=llama-3.1-8b&people=20",
    "/serve?model=llama-3.1-8b&gpu=rtx-4090&people=20",
    "/accuracy",
    f"/can/{PAIR}?quant=q4-k-m",
    "/model/nothing",
)
#: How far the parts of a page moved while it was loaded.
_SHIFT = (
    "new Promise(done => { let sum = 0; new PerformanceObserver(list => { for (const entry of list.getEntries())"
    " sum += entry.value }).observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 100) })"
)
#: Tables whose columns are cut off.
_CUT = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
#: Tables that are wider than what they lie in, and cannot be scrolled.
_WIDE = (
    "[...document.querySelectorAll('main table')].filter(e => !e.closest('.scroll')"
    " && e.offsetWidth > e.parentElement.clientWidth).map(e => e.innerText)"
)
#: Links of the head that lie outside the window.
_HIDDEN_LINKS = (
    "[...document.querySelectorAll('header a:not(.skip)')].filter(e => { const box = e.getBoundingClientRect();"
    " return box.left < 0 || box.right > innerWidth }).map(e => e.innerText)"
)
#: Buttons that lie on the text of the command before them.
_ON_TEXT = (
    "[...document.querySelectorAll('pre.command + button')].filter(e => { const button = e.getBoundingClientRect(),"
    " block = e.previousElementSibling, box = block.getBoundingClientRect(),"
    " bottom = box.bottom - parseFloat(getComputedStyle(block).paddingBottom);"
    " return button.left < box.right && button.top < bottom }).map(e => e.previousElementSibling.innerText)"
)
#: What can be operated, is no link in a line of text, and is smaller than a finger needs.
_SMALL = (
    "[...document.querySelectorAll('main a, main button, main input, main select, main summary, nav a')].filter(e => {"
    " const box = e.getBoundingClientRect(); return box.width && getComputedStyle(e).display !== 'inline'"
    " && (box.height < 24 || box.width < 24) }).map(e => e.outerHTML)"
)
#: Whether what has the focus is seen, and seen to have it.
_FOCUSED = (
    "(() => { const e = document.activeElement, box = e.getBoundingClientRect();"
    " return [e.tagName, getComputedStyle(e).outlineStyle !== 'none' && box.bottom > 0 && box.top < innerHeight] })()"
)
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


def test_every_kind_of_page_is_whole_at_every_width(address: str, tmp_path: Path) -> None:
    source = axe_source()
    for path in chromium.browsers():
        with chromium.page_of(path, tmp_path / "profile") as tab:
            for url in PAGES:
                for width, dark in ((1280, False), (1280, True), (390, True)):
                    tab.dark(dark)
                    tab.open(address + url, width)
                    assert tab.run("document.documentElement.scrollWidth <= innerWidth"), (url, width)
                    assert tab.run(_SHIFT) == 0, (url, width)
                    assert tab.run(_SMALL) == [], (url, width)
                    assert tab.run(_WIDE) == [], (url, width)
                    assert tab.run(_HIDDEN_LINKS) == [], (url, width)
                    assert tab.run(_ON_TEXT) == [], (url, width)
                    if width > 1000:
                        assert tab.run(_CUT) == [], url
                    if source is not None:
                        tab.run(source + ";0")
                        assert tab.run("axe.run(document)")["violations"] == [], (url, width)


def test_the_documentation_in_the_explorer_has_the_whole_width_of_a_phone(address: str, tmp_path: Path) -> None:
    for path in chromium.browsers():
        with chromium.page_of(path, tmp_path / "profile") as tab:
            tab.open(f"{address}/explorer", 390)
            assert tab.run(_EDITORS_ARE_THERE)
            tab.run("document.querySelector('.graphiql-sidebar button').click()")
            widths = (
                "new Promise(done => { const look = () => document.querySelector('.graphiql-doc-explorer')"
                " ? done([...document.querySelector('.graphiql-main').children].map(e => e.offsetWidth))"
                " : requestAnimationFrame(look); look(); })"
            )
            assert [width > 300 for width in tab.run(widths)] == [True, False, False]


def test_every_kind_of_page_is_operated_by_keys(address: str, tmp_path: Path) -> None:
    for path in chromium.browsers():
        with chromium.page_of(path, tmp_path / "profile") as tab:
            for url in PAGES:
                tab.open(address + url, 1280)
                tags: list[str] = []
                for _ in range(14):
                    tab.key("Tab")
                    tag, is_visible = tab.run(_FOCUSED)
                    assert is_visible or tag == "BODY", (url, tags, tag)
                    tags.append(tag)
                assert len(set(tags)) > 1, url


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


def test_without_scripts_every_page_says_the_same(address: str, tmp_path: Path) -> None:
    for path in chromium.browsers():
        texts: list[list[str]] = []
        for scripts in (True, False):
            with chromium.page_of(path, tmp_path / f"profile-{scripts}") as tab:
                texts.append([])
                for url in PAGES:
                    tab.open(address + url, scripts=scripts)
                    tree = tab.call("DOM.getDocument")["root"]["nodeId"]
                    main = tab.call("DOM.querySelector", nodeId=tree, selector="main")["nodeId"]
                    html = tab.call("DOM.getOuterHTML", nodeId=main)["outerHTML"]
                    texts[-1].append(re.sub(r'<button type="button">(?:Copy|Play at this speed)</button>', "", html))
        with_scripts, without = texts
        for url, scripted, plain in zip(PAGES, with_scripts, without, strict=True):
            assert words(plain) == words(scripted), url
            assert 'type="button"' not in plain


def words(html: str) -> str:
    """The text of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
