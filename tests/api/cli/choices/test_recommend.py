"""`fitgraph recommend`: what a friend would say of well-known machines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from api.cli.exit_codes import NO_ANSWER
from db.entries import specs
from db.entries.files import load_catalog
from db.entries.traits import model_traits

TRAITS = model_traits(load_catalog())
WORKLOADS = {slug: specs.workload(entry) for slug, entry in load_catalog().workloads.items()}


def answer(*words: str, number: int = 1) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["recommend", *words, "--json", "-n", str(number)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


@pytest.fixture(scope="module")
def desktop() -> dict[str, Any]:
    return answer("--gpu", "RTX 4090", "--workload", "coding", number=1000)


def test_an_entry_has_what_a_choice_needs(desktop: dict[str, Any]) -> None:
    rows = desktop["recommendations"]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["model"] for row in rows}) == len(rows)
    assert desktop["pick"] in [{key: row[key] for key in row if key != "rank"} for row in rows]
    for row in rows:
        assert {"gpu", "quant", "engine", "loss", "price_usd"} <= set(row)
        assert set(row["capability"]) == {"value", "low", "high", "evidence"}
        assert row["reason"].endswith(".")
        assert row["reason"].count(". ") == 0


def test_everything_recommended_is_usable(desktop: dict[str, Any]) -> None:
    use = WORKLOADS["coding"]
    for row in desktop["recommendations"]:
        assert row["decode_tok_s"] >= use.minimum_decode_tok_s
        assert row["ttft_ms"] <= use.usable_ttft_ms
        assert row["answer_s"] <= use.usable_answer_s


def test_the_top_is_large_new_and_quantized(desktop: dict[str, Any]) -> None:
    for row in desktop["recommendations"][:5]:
        traits = TRAITS[row["model"]]
        assert traits.total_b > 20
        assert traits.released > 2025
        assert not traits.base
        assert row["quant"] not in ("f16", "bf16")


def test_the_frontier_has_nothing_dominated(desktop: dict[str, Any]) -> None:
    rows = desktop["recommendations"]
    assert desktop["pick"]["on_frontier"]
    for row in rows:
        if row["on_frontier"]:
            worth, seconds = row["worth"]["value"], row["answer_s"]
            assert not any(
                other["worth"]["value"] > worth + 0.01 and other["answer_s"] < seconds - 0.01 for other in rows
            )


def test_modes_differ(desktop: dict[str, Any]) -> None:
    quick = answer("--gpu", "RTX 4090", "--mode", "interactive")
    shared = answer("--gpu", "RTX 4090", "--mode", "scale-out")
    assert quick["pick"]["answer_s"] < desktop["pick"]["answer_s"]
    assert shared["pick"]["model"] != desktop["pick"]["model"]


def test_more_memory_is_never_worse() -> None:
    one, two = answer("--gpu", "RTX 3090"), answer("--gpu", "RTX 3090", "--count", "2")
    assert two["pick"]["rating"] > one["pick"]["rating"]
    assert two["pick"]["price_usd"] == 2 * one["pick"]["price_usd"]


def test_the_table_is_readable() -> None:
    result = CliRunner().invoke(app, ["recommend", "--gpu", "M4 16GB", "-n", "3"])
    assert result.exit_code == 0
    assert "Coding, balanced" in result.output
    assert "1*" in result.output


@pytest.mark.parametrize("words", [["--mode", "fast"], ["--kind", "clever"], ["--workload", "sleep"], ["--host", "x"]])
def test_a_wrong_word_is_named(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["recommend", "--gpu", "RTX 4090", *words])
    assert result.exit_code == NO_ANSWER
    assert words[1] in result.output
