"""Facts that need a look."""

from __future__ import annotations

from dataclasses import replace

from db.ingest.review.stale import StaleFact, stale_facts
from tests.support.catalogs import CATALOG


def test_null_recalled_and_unconfirmed_facts_are_told_apart() -> None:
    catalog = CATALOG
    gpu = catalog.gpus["rtx-4090"] | {
        "tdp_w": None, "recalled": ["engines", "pcie_gen (of the family)"], "uncertain": ["l2_cache_mb"],
    }  # fmt: skip
    dated = {"release_date_kind": "recalled"}
    model = catalog.models["qwen3-8b"] | dated | {"license": None, "derived_fields": ["n_heads"]}
    part = replace(catalog, gpus={"rtx-4090": gpu}, models={"qwen3-8b": model})
    facts = set(stale_facts(part))
    assert facts >= {
        StaleFact("gpu", "rtx-4090", "tdp_w", "null"),
        StaleFact("gpu", "rtx-4090", "pcie_gen", "recalled"),
        StaleFact("gpu", "rtx-4090", "l2_cache_mb", "unconfirmed"),
        StaleFact("model", "qwen3-8b", "license", "null"),
        StaleFact("model", "qwen3-8b", "release_date", "recalled"),
        StaleFact("model", "qwen3-8b", "n_heads", "unconfirmed"),
    }
    assert StaleFact("gpu", "rtx-4090", "memory_gb", "null") not in facts


def test_recalled_training_is_listed() -> None:
    catalog = CATALOG
    facts = set(stale_facts(replace(catalog, gpus={})))
    recalled = {fact.slug for fact in facts if fact.field == "post_training.thinking"}
    assert "falcon3-7b" in recalled
    assert "qwen3-8b" not in recalled


def test_a_base_that_nobody_read_is_listed() -> None:
    facts = set(stale_facts(replace(CATALOG, gpus={}, models={})))
    assert StaleFact("derivative", "PrimeIntellect/INTELLECT-3", "base", "recalled") in facts
    assert "Qwen/Qwen3-32B-AWQ" not in {fact.slug for fact in facts}


def test_an_imported_field_with_a_source_needs_none() -> None:
    catalog = CATALOG
    known = catalog.models["qwen3-8b"] | {"known_by": {"license": "card", "context_length": "config"}}
    known["release_date_kind"] = "recalled"
    facts = {fact.field for fact in stale_facts(replace(catalog, gpus={}, models={"qwen3-8b": known}))}
    assert not facts & {"license", "context_length"}
    assert "release_date" in facts
