"""The bundled catalog: no fault, complete, fast names, faithful measurements."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.entries import specs
from db.entries.check import check_catalog, load_checked_catalog
from db.entries.files import (
    CATALOG_ROOT,
    DIRECTORIES,
    MAX_FILE_BYTES,
    Catalog,
    CatalogError,
    entity_files,
    load_catalog,
)
from db.entries.measurements import MATCHES, Row, memory_rows, serving_rows, speed_rows, thin_rows
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


def test_the_bundled_catalog_has_no_fault() -> None:
    assert check_catalog() == []


def test_every_file_is_an_entry(catalog: Catalog) -> None:
    for kind, directory in DIRECTORIES.items():
        files = {path.stem for path in (CATALOG_ROOT / directory).rglob("*.json")}
        assert set(catalog.entries(kind)) == files
    assert len(catalog.models) >= 416
    assert len(catalog.gpus) >= 495


def test_no_file_is_too_large() -> None:
    assert max(path.stat().st_size for path in CATALOG_ROOT.rglob("*") if path.is_file()) <= MAX_FILE_BYTES


def test_every_entry_has_a_source(catalog: Catalog) -> None:
    for kind in DIRECTORIES:
        for slug, entry in catalog.entries(kind).items():
            sources = [row["source"] for row in entry["prices"]] if kind == "price" else [entry["source"]]
            assert all(sources), slug


def test_the_revision_follows_facts_and_not_formatting(tmp_path: Path) -> None:
    root = small_catalog(tmp_path)
    before = load_catalog(root).revision
    file = root / "gpus" / "nvidia" / "rtx-4090.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts, sort_keys=True))
    assert load_catalog(root).revision == before
    facts["bandwidth_gbps"] = 1008.5
    file.write_text(json.dumps(facts))
    assert load_catalog(root).revision != before


def small_catalog(target: Path) -> Path:
    """A sound catalog of one or a few entities a kind, copied from the bundled one."""
    wanted = [
        "gpus/nvidia/rtx-4090.json", "models/qwen3/qwen3-8b.json", "models/mixtral/mixtral-8x7b.json",
        "quants/q4-k-m.json", "quants/awq-int4.json", "workloads/chat.json", "engines/vllm.json",
        *(f"hosts/{path.name}" for path in entity_files(CATALOG_ROOT, "host")),
        "computers/generic/desktop-1-card-650w-32gb.json",
        "prices/gpus/rtx-4090.json",
    ]  # fmt: skip
    for name in wanted:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((CATALOG_ROOT / name).read_bytes())
    return target


def test_a_bad_file_names_file_entry_and_field(tmp_path: Path) -> None:
    root = small_catalog(tmp_path)
    assert check_catalog(root) == []
    file = root / "gpus" / "nvidia" / "rtx-4090.json"
    facts = json.loads(file.read_text())
    facts["memory_bus_bits"] = "wide"
    facts["colour"] = "black"
    del facts["vendor"]
    file.write_text(json.dumps(facts))
    (root / "hosts" / "broken.json").write_text("{")
    faults = check_catalog(root)
    places = {(fault.file, fault.entry, fault.field) for fault in faults}
    assert places == {
        ("gpus", "-", "-"),
        ("gpus/nvidia/rtx-4090.json", "rtx-4090", "colour"),
        ("gpus/nvidia/rtx-4090.json", "rtx-4090", "memory_bus_bits"),
        ("gpus/nvidia/rtx-4090.json", "rtx-4090", "vendor"),
        ("hosts/broken.json", "broken", "-"),
    }
    assert "unknown" in next(fault.message for fault in faults if fault.field == "colour")
    with pytest.raises(CatalogError, match=r"5 fault\(s\)"):
        load_checked_catalog(root)


def test_loading_refuses_what_it_cannot_index(tmp_path: Path) -> None:
    root = small_catalog(tmp_path)
    (root / "quants" / "q8-0.json").write_text('{"slug": "q9-0"}')
    with pytest.raises(CatalogError, match="must be the file's name, 'q8-0'"):
        load_catalog(root)


@pytest.mark.parametrize(
    ("table", "rows_of_table", "fully_named"),
    [(speed_rows, 7156, 6000), (thin_rows, 2624, 1900), (serving_rows, 8817, 7500)],
)
def test_measurements_refer_to_the_catalog(
    catalog: Catalog, table: Callable[[], Iterator[Row]], rows_of_table: int, fully_named: int
) -> None:
    rows = list(table())
    assert len(rows) == rows_of_table
    for row in rows:
        for kind in ("gpu", "model", "quant"):
            slug = row[f"{kind}_slug"]
            assert slug is None or slug in catalog.entries(kind)
            assert (row[f"{kind}_match"] in MATCHES) == (slug is not None)
    resolved = [row for row in rows if row["gpu_slug"] and row["model_slug"] and row["quant_slug"]]
    assert len(resolved) > fully_named


def test_measured_quants_have_the_entries_of_their_own_names(catalog: Catalog) -> None:
    """A mix or a checkpoint that the catalog has is no variant of the type that its name begins with."""
    for row in (*speed_rows(), *thin_rows()):
        name, slug = str(row.get("quant") or ""), row["quant_slug"]
        if name.startswith("UD-") and slug is not None:
            assert slug.startswith("ud-"), name
        if name.casefold() == "mxfp4" and row["engine"] in ("vllm", "sglang"):
            assert slug == "mxfp4-checkpoint", row["source_url"]


def test_a_row_of_a_server_has_a_speed(tmp_path: Path) -> None:
    root = small_catalog(tmp_path)
    (root / "measurements" / "serving").mkdir(parents=True)
    (root / "measurements" / "serving" / "a.jsonl").write_text('{"gpu": "x", "source_url": "https://example.org"}')
    assert "output_tok_s_total" in {fault.field for fault in check_catalog(root)}


def test_measured_models_have_the_stated_size(catalog: Catalog) -> None:
    """The parameter count in the row is that of the model, or of its checkpoint with what is not text."""
    for row in speed_rows():
        if row["model_slug"] is None or row.get("params_b") is None:
            continue
        entry = catalog.models[row["model_slug"]]
        counts = entry["params_computed"]
        # Embeddings may be counted twice (tied tables stored twice), MTP layers included.
        known = [counts["text_total"], counts["text_total"] + counts["embedding"], entry["params_exact_checkpoint"]]
        known.append(counts["text_total"] + ((entry["mtp"] or {}).get("params") or 0))
        near = min(abs(row["params_b"] * 1e9 / count - 1.0) for count in known if count)
        assert near < 0.02, (row["model"], row["params_b"], row["model_slug"])


def test_names_of_measured_accelerators_resolve_alike(catalog: Catalog) -> None:
    for row in speed_rows():
        if row["gpu_slug"] is None or row["gpu_match"] == "assumed":
            continue
        expected, resolved = (catalog.gpus[slug] for slug in (row["gpu_slug"], catalog.resolve("gpu", row["gpu"])))
        if row["gpu"] == "NVIDIA RTX A5000" and row["vram_gb"] == 16:
            continue  # the row's memory says that it is the laptop part, the name does not
        assert expected["architecture"] == resolved["architecture"], row["gpu"]


def test_memory_tables_are_complete() -> None:
    counts = {
        table: sum(1 for _ in memory_rows(table))
        for table in ("gguf-sizes", "llama-logs", "oracle-results", "predicted-sizes", "vllm-logs")
    }
    assert counts == {
        "gguf-sizes": 231, "llama-logs": 43, "oracle-results": 1208, "predicted-sizes": 2109, "vllm-logs": 17,
    }  # fmt: skip


def test_thin_entities_say_what_is_missing(catalog: Catalog) -> None:
    missing = {slug: specs.missing_facts(entry) for slug, entry in catalog.models.items()}
    assert {slug for slug, facts in missing.items() if facts} == {"llama-3.1-nemotron-ultra-253b"}
    assert "bandwidth_gbps" in specs.missing_facts(catalog.gpus["ascend-910b"])
    assert specs.missing_facts(catalog.gpus["rtx-4090"]) == ()


def test_unverified_fields_are_fields(catalog: Catalog) -> None:
    for slug, entry in catalog.gpus.items():
        assert set(specs.unverified_fields(entry)) <= set(entry), slug
    kimi = specs.unverified_fields(catalog.models["kimi-linear-48b-a3b"])
    assert {"params_active_b", "context_length"} <= set(kimi)
    assert "nvlink_gbps" in specs.unverified_fields(catalog.gpus["tesla-v100-sxm2-32-gb"])
