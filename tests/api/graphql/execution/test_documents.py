"""Generated documents are current, and what a user can set or meet is described."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from api.cli.app import app
from api.errors import ErrorCode
from api.settings import settings_markdown

ROOT = Path(__file__).resolve().parents[4]


def test_the_settings_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["settings"]).output
    assert printed == settings_markdown()
    assert (ROOT / "docs/reference/settings.md").read_text() == printed


def test_every_error_code_is_described() -> None:
    page = (ROOT / "docs/reference/graphql.md").read_text()
    assert [code.value for code in ErrorCode if f"`{code.value}`" not in page] == []


def test_every_command_is_helped_with_a_sentence() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name in (
        "up",
        "serve",
        "worker",
        "recompute",
        "runs",
        "estimate",
        "catalog",
        "db",
        "schema",
        "calibrate",
        "validate",
    ):
        assert name in result.output
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_the_readme_names_pages_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    linked = [part.split(")")[0] for part in readme.split("](")[1:]]
    missing = [name for name in linked if not name.startswith("http") and not (ROOT / name).exists()]
    assert missing == []
