"""A watch on a copy of the catalog, with a hub on loopback; skipped where the hub's client is not installed."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from db.entries.check import check_catalog
from db.entries.files import CATALOG_ROOT, load_catalog
from db.ingest.hub import Hub
from db.ingest.watch import WatchList, watch_list, watch_once
from db.ingest.writing import SET_ASIDE, read_lines
from tests.support.hub_repositories.configs import LLAMA, LLAMA_PARAMETERS
from tests.support.hub_repositories.server import Repository, local_hub

with_client = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="the extra fitgraph[hub] is not installed"
)

CONFIG = json.dumps(LLAMA).encode()
DAY = "2026-11-29"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CATALOG_ROOT, tmp_path / "catalog"))


@with_client
def test_only_new_repositories_are_read_and_only_what_passes_changes(root: Path, tmp_path: Path) -> None:
    repositories = {
        "acme/Tiny-1B": Repository({"config.json": CONFIG}, {"license": "mit"}, LLAMA_PARAMETERS),
        "acme/Off-1B": Repository({"config.json": CONFIG}, {}, 2 * LLAMA_PARAMETERS),
        "other/Tiny-GGUF": Repository({"tiny.gguf": b""}, {"base_model": "acme/Tiny-1B"}, downloads=10**6),
        "Qwen/Qwen3-8B": Repository({}, downloads=10**9),
        "other/Unpopular": Repository({}, downloads=1),
    }
    watched = WatchList(publishers=["acme"], newest=5, top=2)
    with local_hub(repositories) as server:
        hub = Hub(server.endpoint, tmp_path / "cache")
        report = watch_once(load_catalog(root), root, watched, hub, DAY, write=True)
        assert {outcome.snapshot.source: outcome.kind for outcome in report.outcomes} == {
            "acme/Off-1B": "set-aside", "acme/Tiny-1B": "model", "other/Tiny-GGUF": "derivative",
        }  # fmt: skip
        assert [(change.kind, change.slug, change.sort) for change in report.changes] == [
            ("model", "tiny-1b", "added"), ("derivative", "other/Tiny-GGUF", "added"),
        ]  # fmt: skip
        again = watch_once(load_catalog(root), root, watched, hub, DAY, write=True)
    assert (again.outcomes, again.changes) == ([], [])
    assert check_catalog(root) == []


@with_client
def test_without_writing_nothing_changes(root: Path, tmp_path: Path) -> None:
    repositories = {"acme/Tiny-1B": Repository({"config.json": CONFIG}, {}, LLAMA_PARAMETERS)}
    before = load_catalog(root).revision
    with local_hub(repositories) as server:
        hub = Hub(server.endpoint, tmp_path / "cache")
        watched = WatchList(publishers=["acme"], newest=5, top=0)
        report = watch_once(load_catalog(root), root, watched, hub, DAY, write=False)
    assert [outcome.kind for outcome in report.outcomes] == ["model"]
    assert load_catalog(root).revision == before


@with_client
def test_a_name_that_means_another_model_is_set_aside(root: Path, tmp_path: Path) -> None:
    wider = LLAMA | {"vocab_size": 600}
    taken = Repository({"config.json": json.dumps(wider).encode()}, {}, LLAMA_PARAMETERS + 2 * 100 * 64)
    with local_hub({"acme/Qwen3_8B": taken}) as server:
        hub = Hub(server.endpoint, tmp_path / "cache")
        watched = WatchList(publishers=["acme"], newest=5, top=0)
        (outcome,) = watch_once(load_catalog(root), root, watched, hub, DAY, write=True).outcomes
    assert outcome.kind == "set-aside"
    assert "qwen3-8b" in (outcome.reason or "")
    assert [row["source"] for row in read_lines(root / SET_ASIDE)] == ["acme/Qwen3_8B"]


def test_the_bundled_list_is_sound() -> None:
    watched = watch_list(CATALOG_ROOT)
    assert {"Qwen", "deepseek-ai", "mistralai"} <= set(watched.publishers)
