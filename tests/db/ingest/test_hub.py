"""Repositories through the hub's own client, from a server on loopback; skipped where the client is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.ingest.batch import import_sources
from db.ingest.hub import Hub
from db.ingest.snapshots import SourceError
from db.ingest.sources import Source
from db.ingest.writing import write_outcomes
from tests.support.catalogs import CATALOG
from tests.support.hub_repositories.configs import LLAMA, LLAMA_PARAMETERS
from tests.support.hub_repositories.server import LocalHub, Repository, local_hub

pytest.importorskip("huggingface_hub", reason="the extra fitgraph[hub] is not installed")

CONFIG = json.dumps(LLAMA).encode()


@pytest.fixture
def server() -> Iterator[LocalHub]:
    repositories = {
        "acme/Tiny-1B": Repository({"config.json": CONFIG}, {"license": "mit"}, LLAMA_PARAMETERS),
        "acme/Off-1B": Repository(
            {"config.json": CONFIG}, {}, LLAMA_PARAMETERS * 2, created="2025-05-01T00:00:00.000Z"
        ),
        "other/Tuned": Repository({"config.json": CONFIG}, {"base_model": ["acme/Tiny-1B"]}, LLAMA_PARAMETERS),
        "other/Tuned-GGUF": Repository({"tuned.gguf": b""}, {"base_model": "acme/Tiny-1B"}, downloads=9),
        "other/Picture": Repository({}, {"license": "other", "license_name": "acme-1"}, task="text-to-image"),
    }
    with local_hub(repositories) as running:
        yield running


@pytest.fixture
def hub(server: LocalHub, tmp_path: Path) -> Hub:
    return Hub(server.endpoint, tmp_path / "cache")


def test_a_repository_costs_its_metadata_and_its_configuration(server: LocalHub, hub: Hub) -> None:
    snapshot = hub.snapshot("acme/Tiny-1B")
    assert snapshot.config == LLAMA
    assert snapshot.revision == server.repositories["acme/Tiny-1B"].revision
    assert snapshot.checkpoint is not None
    assert snapshot.checkpoint.parameters == LLAMA_PARAMETERS
    assert (snapshot.card.license, snapshot.card.created, snapshot.card.downloads) == ("mit", "2025-04-27", 1000)
    assert {path.partition("?")[0].split("/")[-1] for path in server.asked} == {"Tiny-1B", "config.json"}


def test_what_holds_no_configuration_says_so(hub: Hub) -> None:
    assert hub.snapshot("other/Tuned-GGUF").is_gguf_only
    picture = hub.snapshot("other/Picture")
    assert (picture.unread, picture.card.license) == ("it has no config.json", "acme-1")


def test_a_repository_that_is_not_there_is_named(hub: Hub) -> None:
    with pytest.raises(SourceError, match="acme/None"):
        hub.snapshot("acme/None")


def test_a_hub_that_is_not_reached_is_a_typed_error() -> None:
    with pytest.raises(SourceError, match="acme/model: the hub was not reached"):
        Hub("http://127.0.0.1:9").snapshot("acme/model")


def test_an_import_of_several_repositories(server: LocalHub, hub: Hub) -> None:
    sources = [Source(name) for name in [*server.repositories, "acme/None"]]
    outcomes = import_sources(sources, CATALOG, "2026-11-29", hub)
    assert [outcome.kind for outcome in outcomes] == [
        "model", "set-aside", "derivative", "derivative", "set-aside", "set-aside",
    ]  # fmt: skip


def test_a_hub_that_is_not_reached_leaves_nothing_written(tmp_path: Path) -> None:
    (outcome,) = import_sources([Source("acme/model")], CATALOG, "2026-11-29", Hub("http://127.0.0.1:9"))
    assert outcome.kind == "set-aside"
    assert write_outcomes(tmp_path, [outcome], CATALOG, "2026-11-29") == []


def test_lists_of_a_publisher_and_of_the_chart(hub: Hub) -> None:
    assert list(hub.newest_of("acme", 5)) == ["acme/Off-1B", "acme/Tiny-1B"]
    assert "other/Tuned-GGUF" not in list(hub.top(3))


def test_the_command_reads_the_endpoint_of_the_environment(server: LocalHub, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "api.cli", "catalog", "import", "acme/Tiny-1B", "other/Tuned", "--into"]
    made = subprocess.run(
        [*command, str(tmp_path / "catalog"), "--json"],
        env=os.environ | {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["outcome"] for line in made.stdout.splitlines()] == ["model", "derivative"]
    assert (tmp_path / "catalog" / "models" / "tiny" / "tiny-1b.json").is_file()
