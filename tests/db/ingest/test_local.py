"""Local files as sources: where the count of a checkpoint is read, and what is refused."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from db.ingest.batch import import_sources
from db.ingest.local import read_local
from db.ingest.outcomes import assess
from db.ingest.snapshots import CheckpointCount, SourceError
from db.ingest.sources import Source, read_source, sources_of
from db.ingest.writing import SET_ASIDE, write_outcomes
from tests.support.catalogs import CATALOG
from tests.support.hub_repositories.configs import LLAMA, LLAMA_PARAMETERS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "Tiny-1B"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(LLAMA))
    return place


def index(folder: Path, **metadata: int) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": metadata, "weight_map": {"a": "model-1.safetensors"}}))
    return path


def weights(folder: Path, name: str, elements: int) -> Path:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [elements], "data_offsets": [0, 2 * elements]}}).encode()
    path = folder / name
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def test_a_configuration_alone_has_no_count(folder: Path) -> None:
    assert read_local(str(folder / "config.json")).checkpoint is None


def test_an_index_counts_by_its_bytes(folder: Path) -> None:
    path = index(folder, total_size=2 * LLAMA_PARAMETERS)
    expected = CheckpointCount(LLAMA_PARAMETERS, "bytes of the safetensors index in bfloat16")
    for source in (folder, folder / "config.json", path):
        assert read_local(str(source)).checkpoint == expected
    assert assess(read_local(str(folder)), CATALOG, "2026-11-29").slug == "tiny-1b"


def test_an_index_that_states_the_count_is_believed(folder: Path) -> None:
    index(folder, total_size=1, total_parameters=LLAMA_PARAMETERS)
    assert read_local(str(folder)).checkpoint == CheckpointCount(
        LLAMA_PARAMETERS, "total_parameters of the safetensors index"
    )


def test_headers_of_all_files_are_added(folder: Path) -> None:
    weights(folder, "model-1.safetensors", 1000)
    alone = weights(folder, "model-2.safetensors", 500)
    count = read_local(str(folder)).checkpoint
    assert count is not None
    assert count.parameters == 1500
    of_one = read_local(str(alone)).checkpoint
    assert of_one is not None
    assert of_one.parameters == 500


def test_the_repository_that_weights_were_loaded_from_is_a_base(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(LLAMA | {"_name_or_path": "acme/Tiny-1B"}))
    snapshot = read_local(str(folder))
    assert (snapshot.repository, snapshot.card.base_models) == (None, ("acme/Tiny-1B",))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(SourceError, match=r"broken\.gguf"):
        read_local(str(tmp_path / "broken.gguf"))
    with pytest.raises(SourceError, match=r"config\.json"):
        read_local(str(tmp_path))


def test_a_list_states_repository_and_count(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "wanted.jsonl"
    line = {"source": str(folder), "repository": "acme/Tiny-1B", "parameters": LLAMA_PARAMETERS}
    listed.write_text(f"# wanted\nQwen/Qwen3-8B\n\n{json.dumps(line)}\n")
    named, local = sources_of([str(listed)])
    assert named == Source("Qwen/Qwen3-8B")
    snapshot = read_source(local)
    assert snapshot.repository == "acme/Tiny-1B"
    assert snapshot.checkpoint == CheckpointCount(LLAMA_PARAMETERS, "the list of sources")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no such thing", "no repository"),
        ("{", "not valid JSON"),
        ('{"source": "a/b", "count": 1}', "an object has the keys"),
        ('{"source": "a/b", "parameters": -1}', "'parameters' is a count"),
    ],
)
def test_a_bad_line_is_set_aside_by_itself(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    listed = tmp_path / "wanted.txt"
    good = {"source": str(tmp_path / "config.json"), "parameters": LLAMA_PARAMETERS}
    listed.write_text(f"{line}\n{json.dumps(good)}")
    bad, model = import_sources(sources_of([str(listed)]), CATALOG, "2026-11-29")
    assert (bad.kind, model.kind) == ("set-aside", "model")
    assert re.search(f"line 1: .*{message}", bad.reason or "")
    write_outcomes(tmp_path, [bad], CATALOG, "2026-11-29")
    assert not (tmp_path / SET_ASIDE).exists()


@pytest.mark.parametrize(
    "name", ["a/b", "https://huggingface.co/a/b", "hf.co/a/b/", "https://huggingface.co/a/b/tree/main"]
)
def test_a_repository_is_named_by_its_address_too(name: str) -> None:
    assert list(sources_of([name])) == [Source("a/b")]
