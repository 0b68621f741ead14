"""`fitgraph recommend --model`: machines for a model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from api.cli.exit_codes import NO_ANSWER


def answer(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["recommend", "--model", *words, "--json"])
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = json.loads(result.output)
    return printed


def test_machines_are_within_the_limits_and_say_why() -> None:
    printed = answer("Qwen3 32B", "--budget-usd", "3000", "--min-tok-s", "20")
    rows = printed["recommendations"]
    assert rows
    assert printed["pick"] == {key: value for key, value in rows[0].items() if key != "rank"}
    for rank, row in enumerate(rows, 1):
        assert row["rank"] == rank
        assert row["price_usd"] <= 3000
        assert row["decode_tok_s"] >= 20
        assert set(row["capability"]) == {"value", "low", "high", "evidence"}
        assert row["reason"].endswith(".")
        assert " in Desktop" not in row["reason"]
    for row in printed["near_misses"]:
        assert row["price_usd"] > 3000 or row["decode_tok_s"] < 20 or row["reason"]


def test_the_table_names_the_pick() -> None:
    result = CliRunner().invoke(app, ["recommend", "--model", "Llama 3.1 8B", "--workload", "chat", "-n", "2"])
    assert result.exit_code == 0
    assert "Best value here" in result.output


def test_near_misses_are_shown_where_nothing_meets_the_wish() -> None:
    words = ["--model", "gpt-oss 120B", "--budget-usd", "2000", "--min-tok-s", "30"]
    result = CliRunner().invoke(app, ["recommend", *words])
    assert result.exit_code == 0
    near = [line for line in result.output.splitlines() if line.startswith("Near: ")]
    assert near
    assert all("$" in line or "tok/s" in line for line in near)


@pytest.mark.parametrize("words", [["no such model"], ["Qwen3 32B", "--mode", "fast"]])
def test_a_wrong_word_is_named(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["recommend", "--model", *words])
    assert result.exit_code == NO_ANSWER
    assert words[-1] in result.output


def test_a_machine_or_a_model_is_asked_about() -> None:
    for words in ([], ["--model", "Qwen3 32B", "--gpu", "RTX 4090"]):
        assert CliRunner().invoke(app, ["recommend", *words]).exit_code == 2
