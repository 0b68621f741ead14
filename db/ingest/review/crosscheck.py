"""The catalog against independent lists of facts: a difference that nothing explains is a fault.

``crosscheck/`` holds the facts of two packages (their licences are in its ``LICENSES.md``) and ``explained.jsonl``: a line
explains one difference with both values, or every difference in one field of one kind of accelerator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from db.entries.files import CATALOG_ROOT, Catalog, Entry
from db.entries.names.meanings import UnknownNameError

DIRECTORY = "crosscheck"
#: Largest relative differences; prices of the list are rounded to 50 US dollars.
_POWER, _PRICE, _ROUNDED_USD, _COUNT = 0.02, 0.05, 25.0, 0.0005
_SHAPE = ("n_layers", "hidden_size", "n_heads", "n_kv_heads", "vocab_size", "context_length")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a list and the catalog differ. ``kind`` is the sort of an accelerator, empty for a model."""

    list: str
    slug: str
    field: str
    ours: Any
    theirs: Any
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.list}: {self.slug}: {self.field}: the catalog has {self.ours}, the list {self.theirs}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison: rows that name an entity here, differences that nothing explains, explained ones, and lines of
    ``explained.jsonl`` that explain nothing (any more)."""

    compared: dict[str, int]
    unexplained: list[Difference]
    explained: list[Difference]
    idle: list[Entry]


def cross_check(catalog: Catalog) -> Verdict:
    """``catalog`` against the bundled lists."""
    folder = CATALOG_ROOT / DIRECTORY
    compared, differences = {}, []
    for name, pairs in (("hardware", _accelerators), ("models", _models)):
        matched = list(pairs(catalog, orjson.loads((folder / f"{name}.json").read_bytes())["rows"]))
        compared[name] = len(matched)
        for entry, row in matched:
            differences += list(_OF_LIST[name](entry, row))
    lines = [orjson.loads(line) for line in (folder / "explained.jsonl").read_bytes().splitlines()]
    explained, used = [], set[int]()
    for difference in differences:
        by = [index for index, line in enumerate(lines) if _explains(line, difference)]
        if by:
            explained.append(difference)
            used.update(by)
    unexplained = [difference for difference in differences if difference not in explained]
    return Verdict(compared, unexplained, explained, [line for i, line in enumerate(lines) if i not in used])


def _explains(line: Entry, difference: Difference) -> bool:
    if (line["list"], line["field"]) != (difference.list, difference.field):
        return False
    if "kind" in line:
        return bool(line["kind"] == difference.kind)
    return (line["slug"], line["ours"], line["theirs"]) == (difference.slug, difference.ours, difference.theirs)


def _accelerators(catalog: Catalog, rows: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    for row in rows:
        try:
            meaning = catalog.meaning("gpu", row["name"])
        except UnknownNameError:
            continue
        if (meaning.count or 1) == 1:
            yield catalog.gpus[meaning.slug], row


def _models(catalog: Catalog, rows: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    known = {str(entry["hf_repo"]).casefold(): entry for entry in catalog.models.values()}
    for row in rows:
        if row["repository"].casefold() in known:
            yield known[row["repository"].casefold()], row


def _of_accelerator(entry: Entry, row: Entry) -> Iterator[Difference]:
    release, slug, kind = entry["release_date"], entry["slug"], entry["kind"]
    year = int(release[:4]) if release else entry["generation_year"]
    size, power, price = entry["memory_gb"], entry["tdp_w"], entry["msrp_usd"]
    if year is not None and year != row["year"]:
        yield Difference("hardware", slug, "year", year, row["year"], kind)
    if size is not None and row["memory_gb"] and all(abs(size - theirs) > 0.6 for theirs in row["memory_gb"]):
        yield Difference("hardware", slug, "memory_gb", size, row["memory_gb"], kind)
    if power is not None and abs(power - row["power_w"]) > _POWER * power:
        yield Difference("hardware", slug, "tdp_w", power, row["power_w"], kind)
    if price is not None and abs(price - row["price_usd"]) > max(_PRICE * price, _ROUNDED_USD):
        yield Difference("hardware", slug, "msrp_usd", price, row["price_usd"], kind)


def _of_model(entry: Entry, row: Entry) -> Iterator[Difference]:
    slug = entry["slug"]
    for field in _SHAPE:
        if None not in (entry[field], row[field]) and entry[field] != row[field]:
            yield Difference("models", slug, field, entry[field], row[field])
    ours, theirs = entry["params_exact_checkpoint"], row["parameters"]
    if ours is not None and theirs is not None and abs(theirs / ours - 1) > _COUNT:
        yield Difference("models", slug, "params_exact_checkpoint", ours, theirs)
    if None not in (entry["license"], row["license"]) and _terms(entry["license"]) != _terms(row["license"]):
        yield Difference("models", slug, "license", entry["license"], row["license"])


def _terms(license_: str) -> str:
    """A licence's name in the spelling of either side."""
    return re.sub(r"-(license|agreement)$", "", license_.casefold())


_OF_LIST = {"hardware": _of_accelerator, "models": _of_model}
