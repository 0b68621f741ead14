"""The documents name links, files and commands that exist, and generated documents are current."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from api.cli.app import app
from api.errors import ErrorCode
from api.settings import settings_markdown

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "db/catalog/README.md")
    for path in ROOT.glob(pattern)
)
MAKE_TARGETS = set(" ".join(re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)).split())
#: A record keeps the paths of its day.
CURRENT = [page for page in PAGES if not page.startswith("docs/decisions/")]
_PATH = re.compile(r"(?:api|bench|db|docs|estimator|examples|requirements|tests|workers)/[\w./-]*[\w/]")


def code_of(page: str) -> list[str]:
    """The code spans and code lines of a page, each on one line."""
    text = (ROOT / page).read_text()
    spans = re.findall(r"`([^`]+)`", text)
    return [" ".join(part.split()) for part in [*spans, *re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE)]]


def commands_of(command: Any) -> dict[str, Any]:
    """The commands of a group by name; a plain command has none."""
    return dict(command.commands) if isinstance(command, TyperGroup) else {}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_resolves(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text())
    assert [link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", CURRENT)
def test_every_path_of_a_page_exists(page: str) -> None:
    paths = [match[0] for code in code_of(page) if (match := _PATH.match(code))]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists(page: str) -> None:
    commands = commands_of(get_command(app))
    for code in code_of(page):
        for module in re.findall(r"python -m ((?:api|bench|workers)[\w.]*)", code):
            assert find_spec(module) is not None, code
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", code):
            assert target in MAKE_TARGETS, code
        for name, below in re.findall(r"(?:^|\s)fitgraph ([a-z][a-z-]*)(?: ([a-z]+))?", code):
            assert name in commands, code
            assert not commands_of(commands[name]) or not below or below in commands_of(commands[name]), code


def test_the_settings_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["settings"]).output
    assert printed == settings_markdown()
    assert (ROOT / "docs/reference/settings.md").read_text() == printed


def test_every_error_code_is_described() -> None:
    page = (ROOT / "docs/reference/graphql.md").read_text()
    assert [code.value for code in ErrorCode if f"`{code.value}`" not in page] == []


def test_every_command_is_helped_with_a_sentence() -> None:
    overview = CliRunner().invoke(app, ["--help"])
    assert overview.exit_code == 0
    for name, command in commands_of(get_command(app)).items():
        assert name in overview.output
        assert command.help, name
        assert command.help.endswith("."), name
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
