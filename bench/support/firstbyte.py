"""The first byte of each page against the question behind it: `python -m bench.support.firstbyte`.

A page is a question, answered by the rooms below, and a template filled with the answer. The bench measures CPU time to the
first byte, and of that the part before the template. It asks each page of a small published catalog as the first of its kind
in the process (cold), then for another subject (warm). It fails where a page takes more than LIMIT times its question.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Template

from api.server.app import create_app
from api.settings import ApiSettings
from bench.resultpage import LIMIT, first_byte
from db.entries.files import load_catalog
from db.session import upgrade_database
from tests.api.conftest import GPUS, MODELS, part_of
from tests.support.runs import run_in_process

#: A page too quick to be compared, CPU seconds: its time is that of the server around it.
_QUICK_S = 0.02
PAGES = {
    "home": ("/", "/?again=1"),
    "models": ("/models", "/models?order=new"),
    "accelerators": ("/gpus", "/gpus?order=price"),
    "model": (f"/model/{MODELS[0]}", f"/model/{MODELS[1]}"),
    "accelerator": (f"/gpu/{GPUS[0]}", f"/gpu/{GPUS[1]}"),
    "result": (f"/can/{MODELS[0]}-on-{GPUS[0]}", f"/can/{MODELS[1]}-on-{GPUS[1]}"),
    "this machine": (f"/here?gpu={GPUS[0]}", f"/here?gpu={GPUS[1]}"),
    "comparison": (f"/compare?model={MODELS[0]}&gpu={GPUS[0]}", f"/compare?model={MODELS[1]}&gpu={GPUS[1]}"),
    "purchases": ("/buy?budget=2500", "/buy?budget=1500"),
    "server": (f"/serve?model={MODELS[0]}&gpu={GPUS[0]}", f"/serve?model={MODELS[1]}&gpu={GPUS[1]}"),
    "servers": (f"/serve?model={MODELS[0]}&people=4", f"/serve?model={MODELS[1]}&people=4"),
    "accuracy": ("/accuracy", "/accuracy?again=1"),
}


class Templates:
    """CPU seconds that templates took."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._render = Template.render

    def render(self, template: Template, *values: Any, **named: Any) -> str:
        began = time.process_time()
        text = self._render(template, *values, **named)
        self.seconds += time.process_time() - began
        return text


async def measure() -> int:
    """Print a line a page. Returns 1 when one takes too long for its question."""
    templates, slow = Templates(), []
    Template.render = lambda self, *values, **named: templates.render(self, *values, **named)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        settings = ApiSettings(state_dir=Path(folder))
        catalog = part_of(load_catalog(), MODELS, GPUS)
        upgrade_database(settings.resolved_database_url)
        if run_in_process(settings, catalog) is None:
            raise SystemExit("nothing was published")
        app = create_app(settings, catalog)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:
            for name, paths in PAGES.items():
                for state, path in zip(("cold", "warm"), paths, strict=True):
                    templates.seconds = 0.0
                    spent, _ = await first_byte(client, "GET", path)
                    question = max(spent - templates.seconds, 1e-9)
                    print(f"{name:13} {state} {spent * 1e3:7.1f} ms, {spent / question:4.2f} times its question")
                    if spent > max(_QUICK_S, LIMIT * question):
                        slow.append(f"{name} ({state})")
        await app.state.services.close()
    print(f"limit {LIMIT:g}; over it: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(measure()))
