"""Published benchmark results of models: ``capability/`` of the catalog.

``benchmarks.json`` names each benchmark with version, kind of work, chance level and ceiling; ``results/`` has one file
of JSON Lines a source, ``sources.json`` the terms of each; ``post-training.json`` tells which models think.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from db.entries.files import CATALOG_ROOT, Entry, Fault, checked_lines
from db.entries.schema_judgement import BenchmarkFile, PostTraining, ResultRow, ResultSource
from db.entries.traits import DIRECTORY, judgement_entries
from estimator.accuracy.capability.cells import Benchmark, Result

_LISTS: Mapping[str, type[BaseModel]] = {
    "benchmarks": BenchmarkFile, "post-training": PostTraining, "sources": ResultSource,
}  # fmt: skip


def benchmark_entries(root: Path | None = None) -> list[Entry]:
    """Benchmarks as their file states them, in slug order."""
    return judgement_entries(root, "benchmarks")


def result_rows(root: Path | None = None) -> Iterator[Entry]:
    """All published scores, files in name order."""
    for path in _result_files(CATALOG_ROOT if root is None else root):
        for line in path.read_bytes().splitlines():
            yield orjson.loads(line)


def benchmarks(root: Path | None = None) -> dict[str, Benchmark]:
    """Benchmarks by slug, as the fit takes them."""
    fields = ("slug", "name", "kind", "family", "scale", "chance", "ceiling", "questions")
    return {entry["slug"]: Benchmark(**{key: entry[key] for key in fields}) for entry in benchmark_entries(root)}


def results(root: Path | None = None) -> list[Result]:
    """Scores as the fit takes them; a model outside the catalog gets a name of its own."""
    return [
        Result(row["model_slug"] or _name_outside(row["model_name"]), row["benchmark"], row["mode"],
               row["measured_by"], row["value"])
        for row in result_rows(root)
    ]  # fmt: skip


def _name_outside(name: str) -> str:
    return "other:" + re.sub(r"[^a-z0-9]+", "-", name.lower())


def _result_files(root: Path) -> list[Path]:
    return sorted((root / DIRECTORY / "results").glob("*.jsonl"))


def check_capability(root: Path, slugs: Mapping[str, Set[str]]) -> list[Fault]:
    """Faults of all files under ``capability/``; a catalog without that folder has none."""
    if not (root / DIRECTORY).is_dir():
        return []
    faults: list[Fault] = []
    known: dict[str, set[str]] = {}
    for name, shape in _LISTS.items():
        file = f"{DIRECTORY}/{name}.json"
        try:
            entries = judgement_entries(root, name)
        except (OSError, orjson.JSONDecodeError) as error:
            faults.append(Fault(file, "-", "-", f"the file cannot be read ({error}); it must be a JSON list"))
            continue
        known[name] = set()
        for number, entry in enumerate(entries, start=1):
            label = str(entry.get("slug", f"item {number}"))
            faults += shape_faults(shape, file, label, entry)
            if label in known[name]:
                faults.append(Fault(file, label, "slug", "another item has the same slug; rename one of them"))
            known[name].add(label)
            if name == "post-training":
                faults += _unknown_models(file, label, entry, ("slug", "parent"), slugs)
                if entry.get("source") is None and not entry.get("recalled"):
                    message = "nothing tells where the facts come from; name the source, or list them in recalled"
                    faults.append(Fault(file, label, "source", message))
    for path in _result_files(root):
        faults += _result_faults(path, str(path.relative_to(root)), known, slugs)
    return faults


def _result_faults(path: Path, file: str, known: Mapping[str, Set[str]], slugs: Mapping[str, Set[str]]) -> list[Fault]:
    faults: list[Fault] = []
    if path.stem not in known.get("sources", ()):
        message = f"sources.json has no item {path.stem!r}; add one with the owner's terms"
        faults.append(Fault(file, "-", "-", message))
    for label, row in checked_lines(path, file, faults):
        faults += shape_faults(ResultRow, file, label, row)
        faults += _unknown_models(file, label, row, ("model_slug",), slugs)
        if row.get("benchmark") not in known.get("benchmarks", ()):
            message = f"benchmarks.json has no benchmark {row.get('benchmark')!r}; correct the slug, or add it"
            faults.append(Fault(file, label, "benchmark", message))
    return faults


def shape_faults(shape: type[BaseModel], file: str, label: str, row: Any) -> list[Fault]:
    """Faults that the strict shape finds in one item or line."""
    try:
        shape.model_validate(row)
    except ValidationError as error:
        return [
            Fault(file, label, ".".join(str(part) for part in fault["loc"]) or "-",
                  f"{fault['msg']}; the file has {fault['input']!r:.80}")
            for fault in error.errors()
        ]  # fmt: skip
    return []


def _unknown_models(
    file: str, label: str, row: Mapping[str, Any], keys: tuple[str, ...], slugs: Mapping[str, Set[str]]
) -> Iterator[Fault]:
    for key in keys:
        slug = row.get(key)
        if slug is not None and slug not in slugs.get("model", ()):
            yield Fault(file, label, key, f"the catalog has no model {slug!r}; correct the slug, or set it to null")
