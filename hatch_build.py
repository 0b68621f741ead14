"""Build hook: the four packages of the source tree become sub-packages of ``fitgraph`` in a wheel.

A wheel must put one name into site-packages, and ``api`` or ``db`` are everybody's names. The hook copies the packages and
writes their absolute imports anew: ``from db.entries import specs`` becomes ``from fitgraph.db.entries import specs``. The
report that the page of the accuracy shows comes along. An editable installation keeps the source tree, with a ``fitgraph``
that only starts the command. See docs/decisions/0011.
"""

from __future__ import annotations

import ast
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "fitgraph"
PACKAGES = ("api", "db", "estimator", "workers")
#: Documents that pages show.
SHOWN = ("validation.md", "validation-decode.png", "validation-prefill.png")
_INIT = '"""fitgraph: does a language model fit an accelerator, how fast, and what to run and buy."""\n'
_MAIN = '''"""`python -m fitgraph` is the command `fitgraph`."""

from api.cli.app import main

if __name__ == "__main__":
    main()
'''


class Layout(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the package ``fitgraph`` to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the package into a folder of its own and include that."""
        self._folder = Path(tempfile.mkdtemp(prefix="fitgraph-wheel-"))
        package = self._folder / NAME
        package.mkdir()
        (package / "__init__.py").write_text(_INIT)
        if version == "editable":
            (package / "__main__.py").write_text(_MAIN)
            build_data["force_include_editable"][str(package)] = NAME
            return
        (package / "__main__.py").write_text(below(_MAIN, "__main__.py"))
        for name in PACKAGES:
            copy(Path(self.root) / name, package / name)
        (package / "docs").mkdir()
        for name in SHOWN:
            shutil.copy(Path(self.root) / "docs" / name, package / "docs")
        build_data["force_include"][str(package)] = NAME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder)


def copy(source: Path, target: Path) -> None:
    """Copy a package, with its imports written anew."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for path in target.rglob("*.py"):
        path.write_bytes(below(path.read_text(encoding="utf-8"), str(source)).encode())


def below(text: str, place: str) -> str:
    """Source text whose absolute imports of the four packages go through ``fitgraph``.

    Raises:
        ValueError: an import binds the name of a package and reaches a module through it, as ``import db.session``.
    """
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            _replace(lines, node.lineno, node.col_offset, f"from {node.module}", f"from {NAME}.{node.module}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if not _is_ours(alias.name):
                    continue
                if len(node.names) > 1 or ("." in alias.name and alias.asname is None):
                    raise ValueError(f"{place}: line {node.lineno}: write 'from x import y' for {alias.name}")
                new = f"from {NAME} import {alias.name}" if "." not in alias.name else f"import {NAME}.{alias.name}"
                _replace(lines, node.lineno, node.col_offset, f"import {alias.name}", new)
    return "".join(lines)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def _replace(lines: list[str], number: int, column: int, old: str, new: str) -> None:
    """Replace the text at a place of a line; ``column`` counts bytes of UTF-8."""
    line = lines[number - 1].encode()
    head, tail = line[:column], line[column:]
    if not tail.startswith(old.encode()):
        raise ValueError(f"line {number} is {line.decode()!r}, and {old!r} was expected at {column}")
    lines[number - 1] = (head + new.encode() + tail[len(old.encode()) :]).decode()
