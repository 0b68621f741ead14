"""`fitgraph buy`: lists with dated prices, and rent beside purchase."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from api.cli.app import app

RUNNER = CliRunner()
MODEL = ["buy", "Qwen3 32B", "--vendor", "apple", "--workload", "chat", "-n", "3"]


def test_lists_as_json() -> None:
    result = RUNNER.invoke(app, [*MODEL, "--json"])
    answer = json.loads(result.stdout)
    assert {"needs", "prices_of", "purchases", "near_misses", "unknown_prices", "not_estimated", "rentals"} == set(
        answer
    )
    first = answer["purchases"][0]
    assert first["price_usd"] == pytest.approx(sum(part["count"] * part["price"]["usd"] for part in first["parts"]))
    assert all(part["price"]["date"] and part["price"]["source"] for part in first["parts"])
    assert all(row["unknown"] for row in answer["unknown_prices"])


def test_lists_as_tables() -> None:
    result = RUNNER.invoke(app, [*MODEL, "--budget-usd", "4000"])
    assert result.exit_code == 0
    assert "at most $4,000" in result.stdout
    assert "Near misses" in result.stdout


def test_rent_or_buy() -> None:
    result = RUNNER.invoke(app, ["buy", "--gpu", "H100 PCIe", "--hours-a-month", "100"])
    assert "100 hours a month cost" in result.stdout
    assert "renting costs less for" in result.stdout
    always = RUNNER.invoke(app, ["buy", "--gpu", "H100 PCIe", "--hours-a-month", "730"])
    assert "buying costs less after" in always.stdout
    told = json.loads(RUNNER.invoke(app, ["buy", "--gpu", "H100 SXM5", "--json"]).stdout)
    assert told["sold_as_card"] is False


def test_an_unknown_model_has_no_answer() -> None:
    assert RUNNER.invoke(app, ["buy", "no such model"]).exit_code == 3
