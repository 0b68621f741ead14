"""`fitgraph catalog prices` and `fitgraph catalog computers`."""

from __future__ import annotations

import json

import pytest

from api.cli.choices.market import computers_command, prices_command


def test_prices_of_one_product_keep_the_suspect_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices_command("RTX 3090", "US", as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["slug"] for row in rows} == {"rtx-3090"}
    assert any(row["suspect"] for row in rows)
    assert all(row["source"] for row in rows)


def test_prices_of_all_are_one_a_kind_and_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices_command(None, "US", as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len({(row["slug"], row["kind"]) for row in rows}) == len(rows) > 250
    assert not any(row["suspect"] or row["spot"] for row in rows)


def test_an_unknown_product_has_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert prices_command("no such thing", "US", as_json=False) == 3
    assert "no such thing" in capsys.readouterr().err


def test_computers_are_listed_with_what_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert computers_command(as_json=True) == 0
    rows = {row["slug"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["desktop-2-cards-1500w-64gb"]["card_places"] == 2
    assert rows["mac-studio-m5-max-40c-128gb"]["price"]["usd"] == 5099
    assert computers_command(as_json=False) == 0
    assert "mac-studio-m5-max-40c-128gb" in capsys.readouterr().out
