"""The bundled catalog, loaded once for all tests of a process. Tests change copies of it alone."""

from __future__ import annotations

from db.entries.files import load_catalog

CATALOG = load_catalog()
