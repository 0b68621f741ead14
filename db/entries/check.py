"""All faults of a catalog directory: shape first, then the rules within an entity, then those across entities."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from db.entries.capability import check_capability
from db.entries.derivatives import check_derivatives
from db.entries.files import CATALOG_ROOT, DIRECTORIES, Catalog, CatalogError, Entry, Fault, load_catalog, read_entities
from db.entries.measurements import check_measurements
from db.entries.names.index import NameIndex
from db.entries.names.quants import QuantNames
from db.entries.quality import check_quality
from db.entries.rules import RULES, directory_rules, set_rules
from db.entries.schema import EngineFile, GpuFile, HostFile, QuantFile, WorkloadFile
from db.entries.schema_judgement import ComputerFile, PriceFile
from db.entries.schema_models import ModelFile

SHAPES: dict[str, type[BaseModel]] = {
    "model": ModelFile, "gpu": GpuFile, "quant": QuantFile, "workload": WorkloadFile, "engine": EngineFile,
    "host": HostFile, "computer": ComputerFile, "price": PriceFile,
}  # fmt: skip


def load_checked_catalog(root: Path | None = None) -> Catalog:
    """The catalog, only if it has no fault: what may be written to a database. Raises :class:`CatalogError`."""
    faults = check_catalog(root)
    if faults:
        raise CatalogError(faults)
    return load_catalog(root)


def check_catalog(root: Path | None = None) -> list[Fault]:
    """Apply the schema and every rule to all files; returns all faults, sorted by file."""
    root = CATALOG_ROOT if root is None else root
    faults: list[Fault] = []
    sound: dict[str, dict[str, Entry]] = {}
    named: dict[str, set[str]] = {}
    places: dict[tuple[str, str], Path] = {}
    for kind, directory in DIRECTORIES.items():
        files: dict[str, Path] = {}
        sound[kind] = {}
        for path, parsed in read_entities(root, kind):
            relative = path.relative_to(root)
            named.setdefault(kind, set()).add(path.stem)
            entity_faults = [Fault(str(relative), path.stem, "-", parsed)] if isinstance(parsed, str) else []
            if isinstance(parsed, dict):
                entity_faults = _check_entity(kind, relative, parsed, files)
                if not entity_faults:
                    sound[kind][path.stem] = parsed
                    files[path.stem] = places[kind, path.stem] = relative
            faults += entity_faults
        faults += _check_set(kind, directory, sound[kind], files, complete=bool(sound[kind]))
    faults += _unknown_names(sound, named, places)
    faults += check_measurements(root, named)
    faults += check_capability(root, named)
    faults += check_quality(root, named)
    faults += check_derivatives(root, sound["model"], sound["quant"])
    return sorted(set(faults))


def _check_entity(kind: str, file: Path, entry: Entry, file_of_slug: Mapping[str, Path]) -> list[Fault]:
    faults = shape_faults(kind, str(file), file.stem, entry)
    if faults:
        return faults
    if file.stem in file_of_slug:
        return [
            Fault(str(file), file.stem, "slug", f"{file_of_slug[file.stem]} has the same slug; rename one of the files")
        ]
    for rule in (*directory_rules(kind, file), *RULES[kind]):
        faults += [Fault(str(file), file.stem, field, message) for field, message in rule(entry)]
    return faults


def shape_faults(kind: str, file: str, name: str, entry: Mapping[str, Any]) -> list[Fault]:
    """Faults of an entry by the strict shape of ``kind``."""
    try:
        SHAPES[kind].model_validate(entry)
    except ValidationError as error:
        return [
            Fault(file, name, ".".join(map(str, detail["loc"])) or "-", _message(dict(detail)))
            for detail in error.errors()
        ]
    return []


def _message(detail: Mapping[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        return "this key is unknown; correct its spelling or remove it"
    if detail["type"] == "missing":
        return "the key is missing; add it, with null when the fact is unknown"
    return f"{detail['msg']}; the file has {detail['input']!r:.80}"


def _unknown_names(
    entries: Mapping[str, Mapping[str, Entry]], named: Mapping[str, Set[str]], files: Mapping[tuple[str, str], Path]
) -> list[Fault]:
    """Names of other entities that computers and price lists give and that the catalog does not have."""
    return [
        Fault(str(files[kind, slug]), slug, field, f"the catalog has no {field} {entry[field]!r}; correct the slug")
        for kind in ("computer", "price")
        for slug, entry in entries[kind].items()
        for field in ("gpu", "host", "computer")
        if entry.get(field) is not None and entry[field] not in named.get(field, ())
    ]


def _check_set(
    kind: str, directory: str, entries: dict[str, Entry], files: Mapping[str, Path], *, complete: bool
) -> list[Fault]:
    if not complete:
        return [Fault(directory, "-", "-", f"no sound {kind} file; a catalog needs at least one")]
    faults = [
        Fault(str(files[clash.loser]), clash.loser, "aliases",
              f"the name {clash.name!r} already means {clash.winner}; list it as an alias in exactly one of both files")
        for clash in (QuantNames(entries) if kind == "quant" else NameIndex(kind, entries)).clashes
    ]  # fmt: skip
    for rule in set_rules(kind):
        faults += [Fault(str(files[slug]), slug, field, message) for slug, field, message in rule(entries)]
    return faults
