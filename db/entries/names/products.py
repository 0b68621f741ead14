"""Products by name: servers, cloud instances and handhelds, as a number of accelerators of the catalog.

``products.jsonl`` has a line a set of products: their ``names``, ``gpu``, the slug of the accelerator, ``count``, how many of
it each has, ``also``, slugs of those in other versions under the same name, and ``source``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson

from db.entries.names.words import key


@dataclass(frozen=True, slots=True)
class Product:
    """A product called ``name`` with ``count`` accelerators of the slug ``gpu``; other versions of it have one of ``also``."""

    name: str
    gpu: str
    count: int
    also: tuple[str, ...] = ()


@lru_cache(maxsize=2)
def products(file: Path) -> Mapping[str, Product]:
    """Folded name -> product."""
    rows = map(orjson.loads, file.read_bytes().splitlines())
    return {
        key("gpu", name): Product(name, row["gpu"], row["count"], tuple(row.get("also", ())))
        for row in rows
        for name in row["names"]
    }
