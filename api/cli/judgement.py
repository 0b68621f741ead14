"""Commands of the judgement: what models can do, what quantizations cost, and how well both are known."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from db.entries import capability as capability_entries
from db.entries.files import CATALOG_ROOT, load_catalog
from estimator.calibration.capability_prior import KINDS
from estimator.judgement import capability as capability_table

FAILED = 1


def capability_command(*, as_json: bool) -> int:
    """List every model's capability by kind, best general first. Returns 0."""
    table = capability_table.CapabilityTable.load()
    models = capability_entries.model_traits(load_catalog())
    known = {slug: table.of(model) for slug, model in models.items()}
    order = sorted(known, key=lambda slug: (-known[slug]["general"].value, slug))
    if as_json:
        rows = [
            {"slug": slug, **{kind: _capability_json(each) for kind, each in known[slug].items()}} for slug in order
        ]
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return 0
    shown = Table("Model", box=None, pad_edge=False)
    for kind in KINDS:
        shown.add_column(kind.replace("_", " "), justify="right", no_wrap=True)
    for slug in order:
        shown.add_row(slug, *(_capability_text(known[slug][kind]) for kind in KINDS))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(shown)
    print("value (80 % interval); ° inherited from relatives, * predicted, no own result of this kind")
    return 0


def _capability_json(capability: capability_table.Capability) -> dict[str, Any]:
    return {
        "value": capability.value,
        "low": capability.low,
        "high": capability.high,
        "evidence": capability.evidence.value,
        "results": capability.scores,
        "without_thinking": capability.plain,
    }


def _capability_text(capability: capability_table.Capability) -> str:
    mark = {"MEASURED": " ", "INHERITED": "°", "PREDICTED": "*"}[capability.evidence.value]
    return f"{capability.value:.0f} ({capability.low:.0f}-{capability.high:.0f}){mark}"


def accuracy_command(part: str, *, as_json: bool) -> int:
    """Print the cross-validation figures of a fit. Returns 0."""
    figures = _DATA_FILES[part].figures()
    if as_json:
        print(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode())
        return 0
    for name, group in figures.items():
        if not isinstance(group, Mapping):
            print(f"{name:24} {group:>8,}")
            continue
        print(f"\n{name}")
        for kind, row in group.items():
            cells = row.items() if isinstance(row, Mapping) else [("", row)]
            print(f"  {kind:22}" + "".join(f"  {key} {value}" for key, value in cells))
    return 0


def calibrate_judgement(*, check: bool) -> int:
    """Refit the judgement's data files and write them; with ``check`` compare with the committed ones.

    Returns 0, or 1 when a committed file is not reproduced."""
    failed = False
    for data_file in _DATA_FILES.values():
        fitted = data_text(data_file.fit())
        if not check:
            data_file.path.write_text(fitted, encoding="utf-8")
            print(f"{data_file.path.name}: written")
        elif data_file.path.read_text(encoding="utf-8") == fitted:
            print(f"{data_file.path.name}: reproduced")
        else:
            print(f"fitgraph: {data_file.path.name} is not reproduced; run `fitgraph calibrate`", file=sys.stderr)
            failed = True
    return FAILED if failed else 0


def data_text(data: Mapping[str, Any]) -> str:
    """A data file as it is committed: sorted keys, one value a line."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def files_hash(directory: Path) -> str:
    """Hash of the content and names of all files below a directory."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(each for each in directory.rglob("*") if each.is_file()):
        digest.update(str(path.relative_to(directory)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class _DataFile:
    def __init__(self, path: Path, fit: Callable[[], Mapping[str, Any]], figures: Callable[[], Mapping[str, Any]]):
        self.path, self.fit, self.figures = path, fit, figures


def _fit_capability() -> Mapping[str, Any]:
    from estimator.accuracy.capability_data import capability_data

    return capability_data(
        capability_entries.results(),
        capability_entries.benchmarks(),
        capability_entries.model_traits(load_catalog()),
        files_hash(CATALOG_ROOT / capability_entries.DIRECTORY),
    )


_DATA_FILES: dict[str, _DataFile] = {
    "capability": _DataFile(
        capability_table.DEFAULT_PATH, _fit_capability, lambda: capability_table.CapabilityTable.load().accuracy
    ),
}
