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

from db.entries.files import CATALOG_ROOT, Catalog, Entry, Fault
from db.entries.schema_judgement import BenchmarkFile, PostTraining, ResultRow, ResultSource
from estimator.accuracy.capability.cells import Benchmark, Result
from estimator.calibration.capability_prior import DEFAULT_CONTEXT, REFERENCE_YEAR, ModelTraits

DIRECTORY = "capability"
MAX_FILE_BYTES = 1_500_000
#: Parts of a native type's name, and bits per weight with scales; a checkpoint with 4-bit experts is known by them.
_NATIVE_BITS = (("fp4", 4.2), ("int4", 4.5), ("fp8", 8.0), ("ternary", 2.0))
_LISTS: Mapping[str, type[BaseModel]] = {
    "benchmarks": BenchmarkFile, "post-training": PostTraining, "sources": ResultSource,
}  # fmt: skip


def benchmark_entries(root: Path | None = None) -> list[Entry]:
    """Benchmarks as their file states them, in slug order."""
    return _entries(root, "benchmarks")


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


def model_traits(catalog: Catalog, root: Path | None = None) -> dict[str, ModelTraits]:
    """Size, date and post-training of every model; an undated one has the date of its family's newest."""
    training = {entry["slug"]: entry for entry in _entries(root, "post-training")}
    newest: dict[str, float] = {}
    for entry in catalog.models.values():
        if entry["release_date"]:
            newest[entry["family"]] = max(newest.get(entry["family"], 0.0), _year(entry["release_date"]))
    return {
        slug: traits_of(entry, training.get(slug, {}), newest.get(entry["family"], REFERENCE_YEAR))
        for slug, entry in catalog.models.items()
    }


def traits_of(entry: Entry, training: Entry, undated: float = REFERENCE_YEAR) -> ModelTraits:
    """The facts of one model file that its expected capability depends on."""
    computed = entry.get("params_computed") or {}
    total = entry["params_total_b"] or (computed.get("text_total") or entry["params_exact_checkpoint"] or 0) / 1e9
    active = entry["params_active_b"] or (computed.get("text_active") or 0) / 1e9 * bool(entry["moe"])
    if not active:
        active = _active_b(entry) if entry["moe"] else total
    return ModelTraits(
        slug=entry["slug"],
        total_b=float(total),
        active_b=float(active),
        released=_year(entry["release_date"]) if entry["release_date"] else undated,
        family=entry["family"],
        publisher=entry["publisher"],
        context_tokens=entry["context_length"] or DEFAULT_CONTEXT,
        thinking=training.get("thinking", "never"),
        specialty=training.get("specialty") or "",
        vision="image" in entry["modalities"],
        base=training.get("tuning") == "base",
        parent=training.get("parent") or "",
        native_bits=next((bits for part, bits in _NATIVE_BITS if part in entry["native_dtype"].lower()), 16.0),
    )


def _active_b(entry: Entry) -> float:
    """Billions of active parameters from the shapes: routed and shared experts, attention, embedding."""
    experts, hidden = entry["moe"], entry["hidden_size"]
    used = experts["experts_per_token"] + experts["n_shared_experts"]
    per_layer = 3 * used * experts["moe_intermediate_size"] * hidden + 4 * hidden * hidden
    return float(entry["n_layers"] * per_layer + entry["vocab_size"] * hidden) / 1e9


def _year(date: str) -> float:
    year, *rest = date.split("-")
    return int(year) + ((int(rest[0]) - 1) / 12 if rest else 0.5)


def _name_outside(name: str) -> str:
    return "other:" + re.sub(r"[^a-z0-9]+", "-", name.lower())


def _entries(root: Path | None, name: str) -> list[Entry]:
    entries: list[Entry] = orjson.loads(((root or CATALOG_ROOT) / DIRECTORY / f"{name}.json").read_bytes())
    return entries


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
            entries = _entries(root, name)
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
            faults += _unknown_models(file, label, entry, ("slug", "parent") if name == "post-training" else (), slugs)
    for path in _result_files(root):
        faults += _result_faults(path, str(path.relative_to(root)), known, slugs)
    return faults


def _result_faults(
    path: Path, file: str, known: Mapping[str, Set[str]], slugs: Mapping[str, Set[str]]
) -> Iterator[Fault]:
    if path.stat().st_size > MAX_FILE_BYTES:
        yield Fault(file, "-", "-", f"the file exceeds {MAX_FILE_BYTES} bytes; split it by source")
    if path.stem not in known.get("sources", ()):
        yield Fault(file, "-", "-", f"sources.json has no item {path.stem!r}; add one with the owner's terms")
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        label = f"line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Fault(file, label, "-", f"the line is not valid JSON ({error}); repair it")
            continue
        yield from shape_faults(ResultRow, file, label, row)
        yield from _unknown_models(file, label, row, ("model_slug",), slugs)
        if row.get("benchmark") not in known.get("benchmarks", ()):
            message = f"benchmarks.json has no benchmark {row.get('benchmark')!r}; correct the slug, or add it"
            yield Fault(file, label, "benchmark", message)


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
