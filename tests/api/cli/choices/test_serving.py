"""`fitgraph serving`: the curve of a setup, and of the engine that serves most people where no quantization is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from api.cli.exit_codes import NO_ANSWER


def answer(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["serving", *words, "--json"])
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = json.loads(result.output)
    return printed


def test_without_a_quantization_the_best_server_is_shown() -> None:
    printed = answer("Llama 3.1 8B", "RTX 4090", "--people", "10", "--people", "40", "--system-price-usd", "3000")
    best = printed["engines"][0]
    assert {key: printed[key] for key in best} == best
    assert [point["people"] for point in printed["points"]] == [10, 40]
    first, second = (point["usd_per_million_tokens"] for point in printed["points"])
    assert first["total"] == pytest.approx(first["purchase"] + first["energy"])
    assert second["purchase"] < first["purchase"]


def test_two_accelerators_serve_more_people_than_one() -> None:
    single, two = (
        answer("Qwen3 32B", "RTX 4090", "--quant", "Q4_K_M", "--count", count, "--people", "1") for count in "12"
    )
    assert two["people"] > single["people"]
    assert single["points"][0]["usd_per_million_tokens"]["total"] is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("Llama 3.3 70B", "RTX 3060"), "not even one stream"),
        (("No such model", "RTX 3060"), "No such model"),
        (("Llama 3.1 8B", "RTX 4090", "--people", "1000000"), "people must be 1 to 100,000"),
    ],
)
def test_what_has_no_answer_says_why(words: tuple[str, ...], reason: str) -> None:
    result = CliRunner().invoke(app, ["serving", *words])
    assert result.exit_code == NO_ANSWER
    assert reason in result.output


def test_the_table_has_a_row_a_point() -> None:
    result = CliRunner().invoke(app, ["serving", "Llama 3.1 8B", "RTX 4090", "--people", "7"])
    assert result.exit_code == 0
    assert "people for" in result.output
    assert "vLLM" in result.output
