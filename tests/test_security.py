"""SECURITY.md keeps its word: each threat names a test that is there, and settings with the defaults they have."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from api.settings import ApiSettings

ROOT = Path(__file__).parents[1]
THREATS = (
    "alias", "directive", "circular fragments", "batch", "huge lists", "deep nesting", "introspection", "suggested names",
    "cursor tampering", "injection", "oversized variables", "slow heads", "slow bodies", "websocket floods",
)  # fmt: skip


def table() -> list[tuple[str, str, str]]:
    """Threat, defence and test of each line."""
    rows = re.findall(r"^\| (.+) \| (.+) \| `(tests/.+)` \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert len(rows) > 30
    return rows


@cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests of a file that are run: a test under a skip mark is none."""
    names = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(decorator) for decorator in node.decorator_list]
            if not any("mark.skip" in mark or "mark.xfail" in mark for mark in marks):
                names.add(node.name)
    return frozenset(names)


@pytest.mark.parametrize(("threat", "defence", "test"), table())
def test_a_line_holds(threat: str, defence: str, test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(path), threat
    for variable, default in re.findall(r"`FITGRAPH_(\w+)=([^`]*)`", defence):
        value = ApiSettings.model_fields[variable.lower()].default
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert default.replace('["*"]', "('*',)") == text, variable


def test_every_line_has_been_read() -> None:
    lines = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")]
    assert len(lines) == len(table()) + 1


@pytest.mark.parametrize("threat", THREATS)
def test_every_known_threat_has_a_line(threat: str) -> None:
    assert any(threat in row[0] for row in table())


def test_every_limit_is_part_of_a_defence() -> None:
    text = " ".join(row[1] for row in table())
    limits = [
        name for name in ApiSettings.model_fields if re.match(r"max_|websocket_|.*timeout_s|remote_|rate_|subscr", name)
    ]
    assert len(limits) > 20
    assert [name for name in limits if f"FITGRAPH_{name.upper()}" not in text] == []
