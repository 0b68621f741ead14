"""The catalog against independent lists: nothing unexplained, and the comparison sees what it should."""

from __future__ import annotations

from dataclasses import replace

from db.ingest.review.crosscheck import Difference, cross_check
from tests.support.catalogs import CATALOG


def test_every_difference_is_explained() -> None:
    verdict = cross_check(CATALOG)
    assert verdict.compared["hardware"] > 150
    assert verdict.compared["models"] > 300
    assert [str(difference) for difference in verdict.unexplained] == []
    assert verdict.idle == [], "these lines of explained.jsonl explain nothing: remove them"


def test_a_fact_copied_from_a_sibling_is_seen_with_both_values() -> None:
    copied = {
        **CATALOG.gpus["rtx-4090"],
        "tdp_w": 320,
        "msrp_usd": 1199.0,
        "release_date": "2021-01-01",
        "memory_gb": 16.0,
    }
    shape = {**CATALOG.models["qwen3-8b"], "n_layers": 40, "params_exact_checkpoint": 8_200_000_000}
    changed = replace(CATALOG, gpus=CATALOG.gpus | {"rtx-4090": copied}, models=CATALOG.models | {"qwen3-8b": shape})
    assert cross_check(changed).unexplained == [
        Difference("hardware", "rtx-4090", "year", 2021, 2022, "consumer"),
        Difference("hardware", "rtx-4090", "memory_gb", 16.0, [24], "consumer"),
        Difference("hardware", "rtx-4090", "tdp_w", 320, 450, "consumer"),
        Difference("hardware", "rtx-4090", "msrp_usd", 1199.0, 1600, "consumer"),
        Difference("models", "qwen3-8b", "n_layers", 40, 36),
        Difference("models", "qwen3-8b", "params_exact_checkpoint", 8_200_000_000, 8_190_735_360),
    ]


def test_an_explanation_holds_for_its_values_only() -> None:
    higher = {**CATALOG.gpus["b200"], "memory_gb": 181.0}
    verdict = cross_check(replace(CATALOG, gpus=CATALOG.gpus | {"b200": higher}))
    assert [difference.slug for difference in verdict.unexplained] == ["b200"]
    assert [line["slug"] for line in verdict.idle] == ["b200"]
