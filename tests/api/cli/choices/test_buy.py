"""`fitgraph buy`: lists with dated prices, and rent beside purchase."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from api.cli.app import app
from db.entries.files import load_catalog

RUNNER = CliRunner()
MODEL = ["buy", "Qwen3 32B", "--vendor", "apple", "--workload", "chat", "-n", "3"]


def test_lists_as_json() -> None:
    result = RUNNER.invoke(app, [*MODEL, "--json"])
    answer = json.loads(result.stdout)
    lists = {"purchases", "near_misses", "unknown_prices", "not_estimated", "rentals"}
    assert {"needs", "prices_of", "budget_left"} | lists == set(answer)
    assert answer["budget_left"] is None
    first = answer["purchases"][0]
    assert first["price_usd"] == pytest.approx(sum(part["count"] * part["price"]["usd"] for part in first["parts"]))
    assert all(part["price"]["date"] and part["price"]["source"] for part in first["parts"])
    assert all(row["unknown"] for row in answer["unknown_prices"])


def test_lists_as_tables() -> None:
    result = RUNNER.invoke(app, [*MODEL, "--budget-usd", "4000"])
    assert result.exit_code == 0
    assert "at most $4,000" in result.stdout
    assert "Near misses" in result.stdout


def test_more_money_buys_something_better_or_the_answer_says_why_not() -> None:
    answers = {
        budget: json.loads(RUNNER.invoke(app, ["buy", "Qwen3 32B", "--budget-usd", budget, "--json"]).stdout)
        for budget in ("2500", "10000", "40000")
    }
    firsts = {budget: answer["purchases"][0] for budget, answer in answers.items()}
    assert firsts["2500"]["answer_s"] > 1.3 * firsts["40000"]["answer_s"]
    assert firsts["2500"]["worth"] < firsts["10000"]["worth"]
    assert answers["2500"]["budget_left"] is None
    assert firsts["40000"]["price_usd"] < 20000
    assert answers["40000"]["budget_left"].startswith("The first leaves over half of the budget")


def test_the_best_of_a_kind() -> None:
    kind = ["--kind", "mixture-of-experts"]
    result = RUNNER.invoke(app, ["buy", *kind, "--budget-usd", "2500", "--min-tok-s", "20", "--json"])
    rows = json.loads(result.stdout)["purchases"]
    assert rows
    models = load_catalog().models
    for row in rows:
        assert models[row["model"]]["moe"]["n_experts"] > 1
        assert row["price_usd"] <= 2500
        assert row["decode_tok_s"] >= 20
    assert RUNNER.invoke(app, ["buy", "--kind", "large"]).exit_code == 3
    both = RUNNER.invoke(app, ["buy", "Qwen3 8B", "--kind", "coder"])
    assert both.exit_code == 3
    assert "leave out the kind or the models" in both.stderr


@pytest.mark.parametrize(
    ("words", "sought"),
    [
        (["--kind", "mixture-of-experts"], "The best mixture-of-experts model: Coding"),
        ([], "The best model: Coding"),
        (["Qwen3 8B"], "Qwen3 8B: Coding"),
    ],
)
def test_the_head_says_what_is_sought(words: list[str], sought: str) -> None:
    result = RUNNER.invoke(app, ["buy", *words, "--vendor", "apple", "--budget-usd", "1500", "-n", "1"])
    assert result.stdout.startswith(sought)


def test_a_card_without_a_fan_carries_a_caution() -> None:
    result = RUNNER.invoke(app, ["buy", "Qwen3 8B", "--budget-usd", "1500", "-n", "100"])
    assert "Tesla M40 24 GB has no fan" in result.stdout
    assert "RTX 3060 12 GB has no fan" not in result.stdout


def test_no_cards_leave_whole_computers() -> None:
    result = RUNNER.invoke(app, ["buy", "Qwen3 8B", "--cards", "0", "--json", "-n", "1000"])
    rows = json.loads(result.stdout)["purchases"]
    assert rows
    assert all(len(row["parts"]) == 1 and " in " not in row["name"] for row in rows)


def test_rent_or_buy() -> None:
    result = RUNNER.invoke(app, ["buy", "--gpu", "H100 PCIe", "--hours-a-month", "100"])
    assert "100 hours a month cost" in result.stdout
    assert "renting costs less for" in result.stdout
    always = RUNNER.invoke(app, ["buy", "--gpu", "H100 PCIe", "--hours-a-month", "730"])
    assert "buying costs less after" in always.stdout
    module = json.loads(RUNNER.invoke(app, ["buy", "--gpu", "H100 SXM5", "--json"]).stdout)
    assert module["sold_as_card"] is False


def test_an_unknown_model_has_no_answer() -> None:
    assert RUNNER.invoke(app, ["buy", "no such model"]).exit_code == 3
