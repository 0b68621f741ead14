"""Changes of the schema are classified, and the released schema is not broken unannounced."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from graphql import build_schema

from api.cli.schema_changes import Impact, classify, schema_diff_command

ROOT = Path(__file__).parents[3]
OLD = """
enum Color { RED GREEN }
type Query {
  plain: Int
  going: Int @deprecated(reason: "Use plain; removed after 2026-06-30.")
  color(of: Int = 1): Color
}
"""
TODAY = dt.date(2026, 7, 1)


def impacts(new: str, today: dt.date = TODAY) -> list[tuple[Impact, str]]:
    return [(change.impact, change.kind) for change in classify(build_schema(OLD), build_schema(new), today)]


def test_nothing_changed() -> None:
    assert impacts(OLD) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("plain: Int\n", "", (Impact.BREAKING, "FIELD_REMOVED")),
        ("plain: Int\n", "plain: String\n", (Impact.BREAKING, "FIELD_CHANGED_KIND")),
        ("of: Int = 1", "of: Int!", (Impact.BREAKING, "ARG_CHANGED_KIND")),
        ("RED GREEN", "RED", (Impact.BREAKING, "VALUE_REMOVED_FROM_ENUM")),
        ("RED GREEN", "RED GREEN BLUE", (Impact.DANGEROUS, "VALUE_ADDED_TO_ENUM")),
        ("of: Int = 1", "of: Int = 2", (Impact.DANGEROUS, "ARG_DEFAULT_VALUE_CHANGE")),
        ("plain: Int\n", "plain: Int\n  more: Int\n", (Impact.SAFE, "ADDED")),
    ],
)
def test_each_kind_of_change(before: str, after: str, expected: tuple[Impact, str]) -> None:
    assert before in OLD
    assert expected in impacts(OLD.replace(before, after))


def test_a_removal_passes_once_its_announced_day_has_come() -> None:
    without = "\n".join(line for line in OLD.splitlines() if "going" not in line)
    assert impacts(without) == [(Impact.ANNOUNCED, "FIELD_REMOVED")]
    assert impacts(without, dt.date(2026, 6, 1)) == [(Impact.BREAKING, "FIELD_REMOVED")]


def test_the_released_schema_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    released = ROOT / "docs/reference/schema.released.graphql"
    assert schema_diff_command(released, ROOT / "schema.graphql", verbose=False) == 0
    assert "0 breaking" in capsys.readouterr().out


def test_a_broken_schema_fails_the_command_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.graphql", tmp_path / "new.graphql"
    old.write_text(OLD)
    new.write_text(OLD.replace("plain: Int\n", ""))
    assert schema_diff_command(old, new, verbose=False) == 1
    assert "deprecation" in capsys.readouterr().out
    new.write_text("type {")
    assert schema_diff_command(old, new, verbose=False) == 2
    assert "is no GraphQL schema" in capsys.readouterr().out
    assert schema_diff_command(old, tmp_path / "none", verbose=False) == 2
