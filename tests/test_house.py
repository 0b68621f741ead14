"""The house: no import circle, small rooms, short functions, and a description that matches the tree."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("estimator", "db", "workers", "api")
#: Folders whose files are data or are written by a tool.
NOT_ROOMS = ("db/catalog", "db/migrations/versions", "api/pages/static/vendor")
MAX_FILES, MAX_FUNCTION_LINES, MAX_MODULE_LINES = 16, 60, 400


@cache
def modules() -> dict[str, Path]:
    """Every module of the four packages by its dotted name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {name_of(path): path for path in paths}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            names = [name if name in modules() else module for name in names]
        else:
            continue
        yield from (name for name in names if name in modules())


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of two or more modules that reach one another."""

    @cache
    def reached(start: str) -> frozenset[str]:
        pending, visited = [start], set[str]()
        while pending:
            new = graph[pending.pop()] - visited
            visited |= new
            pending += new
        return frozenset(visited)

    groups = {frozenset(other for other in reached(name) if name in reached(other)) for name in graph}
    return [set(group) for group in groups if group]


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: set(imports_of(path)) - {name} for name, path in modules().items()}
    assert sum(map(len, graph.values())) > 500
    assert circles(graph) == []


def test_rooms_are_small() -> None:
    folders = [ROOT / top for top in (*PACKAGES, "bench", "tests", "docs", "examples")]
    folders += [folder for top in folders for folder in top.rglob("*") if folder.is_dir()]
    for folder in folders:
        place = str(folder.relative_to(ROOT))
        if folder.name == "__pycache__" or "node_modules" in place or place.startswith(NOT_ROOMS):
            continue
        count = sum(path.is_file() and path.suffix != ".pyc" for path in folder.iterdir())
        assert count <= MAX_FILES, f"{place} has {count} files; split it by noun"


@pytest.mark.parametrize("package", [*PACKAGES, "bench"])
def test_modules_and_functions_are_short(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        place = str(path.relative_to(ROOT))
        if place.startswith(NOT_ROOMS):
            continue
        text = path.read_text()
        assert text.count("\n") <= MAX_MODULE_LINES, f"{place} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= MAX_FUNCTION_LINES, f"{place}: {node.name} has {lines} lines"


def test_tests_lie_in_the_room_of_what_they_test() -> None:
    for package in PACKAGES:
        for path in (ROOT / "tests" / package).rglob("test_*.py"):
            room = path.parent.relative_to(ROOT / "tests")
            assert (ROOT / room / "__init__.py").is_file(), f"{path.name} lies in tests/{room}, and {room} is no room"


def test_the_description_names_every_room() -> None:
    text = (ROOT / "docs" / "explanation" / "house.md").read_text()
    described = re.findall(r"^\| `([a-z_/]+)/` \|", text, re.MULTILINE)
    rooms = {
        str(path.parent.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not str(path.relative_to(ROOT)).startswith(NOT_ROOMS)
    }
    assert sorted(described) == sorted(rooms)


def test_the_description_names_the_modules_of_each_room() -> None:
    text = (ROOT / "docs" / "explanation" / "house.md").read_text()
    for folder, modules_listed in re.findall(r"^\| `([a-z_/]+)/` \|[^|]*\|([^|]*)\|", text, re.MULTILINE):
        listed = re.findall(r"`([a-z_0-9]+)`", modules_listed)
        present = [path.stem for path in (ROOT / folder).glob("*.py") if not path.stem.startswith("__")]
        assert sorted(listed) == sorted(present), folder


def test_the_description_has_the_directions_that_the_linter_enforces() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    enforced = {
        contract.get("containers", ["all"])[0]: [re.split(r" [|:] ", layer) for layer in contract["layers"]]
        for contract in contracts
        if contract["type"] == "layers"
    }
    text = (ROOT / "docs" / "explanation" / "house.md").read_text().partition("## Directions")[2]
    described = {
        package: [re.findall(r"`([a-z_]+)`", layer) for layer in order.split(", ")]
        for package, order in re.findall(r"^\| `?([a-z._]+)`? \| (`.*) \|$", text, re.MULTILINE)
    }
    assert described == enforced
