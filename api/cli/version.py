"""The version of the program and of the facts that it brings along."""

from __future__ import annotations

from importlib.metadata import version

from db.entries.files import load_catalog


def version_text() -> str:
    """Version and catalog revision in one line."""
    return f"fitgraph {version('fitgraph')}, catalog {load_catalog().revision}"
