"""Commands of the judgement: what models can do, what quantizations cost, and how well both are known."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from api.cli.choices.capabilities import capability_json
from api.cli.exit_codes import FAILED, NO_ANSWER
from db.entries import capability as capability_entries
from db.entries import quality as quality_entries
from db.entries import specs
from db.entries.files import CATALOG_ROOT, load_catalog
from db.entries.names.meanings import UnknownNameError
from db.entries.traits import DIRECTORY as CAPABILITY_DIRECTORY
from db.entries.traits import model_traits
from estimator.calibration import loss as loss_table
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.scale import KINDS
from estimator.judgement import capability as capability_table
from estimator.structure.training import REFERENCE_YEAR


def capability_command(*, as_json: bool) -> int:
    """List every model's capability by kind, best general first. Returns 0."""
    capabilities = capability_table.CapabilityTable.load()
    models = model_traits(load_catalog())
    known = {slug: capabilities.of(model) for slug, model in models.items()}
    order = sorted(known, key=lambda slug: (-known[slug]["general"].value, slug))
    if as_json:
        rows = [
            {"slug": slug, **{kind: _capability_json(capability) for kind, capability in known[slug].items()}}
            for slug in order
        ]
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return 0
    table = Table("Model", box=None, pad_edge=False)
    for kind in KINDS:
        table.add_column(kind.replace("_", " "), justify="right", no_wrap=True)
    for slug in order:
        table.add_row(slug, *(_capability_text(known[slug][kind]) for kind in KINDS))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    print("value (80 % interval); ° inherited from relatives, * predicted, no own result of this kind")
    return 0


def _capability_json(capability: capability_table.Capability) -> dict[str, Any]:
    return {**capability_json(capability), "results": capability.scores, "without_thinking": capability.plain}


def _capability_text(capability: capability_table.Capability) -> str:
    mark = {"MEASURED": " ", "INHERITED": "°", "PREDICTED": "*"}[capability.evidence.value]
    return f"{capability.value:.0f} ({capability.low:.0f}-{capability.high:.0f}){mark}"


#: Sizes of models that losses are listed for: total and active billions of parameters.
SIZES: Mapping[str, tuple[float, float]] = {
    "1B": (1, 1), "8B": (8, 8), "30B": (30, 30), "120B": (120, 120), "30B-A3B": (30, 3), "120B-A10B": (120, 10),
}  # fmt: skip


def loss_command(model: str | None, *, as_json: bool) -> int:
    """List the loss of every quantization: of one model, or of models of several sizes. Returns 0, or 3: no such model."""
    catalog, loss_law = load_catalog(), loss_table.LossTable.load()
    if model is None:
        models = {name: ModelTraits("", total, active, REFERENCE_YEAR) for name, (total, active) in SIZES.items()}
    else:
        try:
            slug = catalog.resolve("model", model)
        except UnknownNameError as error:
            print(f"fitgraph: {error}", file=sys.stderr)
            return NO_ANSWER
        models = {slug: model_traits(catalog)[slug]}
    quants = {slug: specs.quant(entry) for slug, entry in catalog.quants.items()}
    losses = {name: loss_law.divergences(traits, [(quant, None) for quant in quants.values()])
              for name, traits in models.items()}  # fmt: skip
    if as_json:
        print(orjson.dumps(_loss_rows(list(quants), losses), option=orjson.OPT_INDENT_2).decode())
        return 0
    table = Table("Quantization", box=None, pad_edge=False)
    for name in models:
        table.add_column(name, justify="right", no_wrap=True)
    for q, slug in enumerate(quants):
        table.add_row(slug, *(_loss_text(losses[name][q]) for name in models))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    print("divergence in nats a token; points of capability lost in general / reasoning work")
    return 0


def _loss_rows(quants: list[str], losses: Mapping[str, list[loss_table.Divergence]]) -> list[dict[str, Any]]:
    return [
        {
            "model": name,
            "quant": quants[q],
            "divergence_nats": divergence.nats,
            "low": divergence.low,
            "high": divergence.high,
            "evidence": divergence.evidence.value,
            "points": {kind: loss_table.capability_loss(kind, divergence).points for kind in KINDS},
        }
        for name, divergences in losses.items()
        for q, divergence in enumerate(divergences)
    ]


def _loss_text(divergence: loss_table.Divergence) -> str:
    general, reasoning = (loss_table.capability_loss(kind, divergence).points for kind in ("general", "reasoning"))
    return f"{divergence.nats:.4f} {general:5.1f} / {reasoning:4.1f}"


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


def capability_hash() -> str:
    """Hash of all that the capability fit reads: results, benchmarks, and facts of the models with results."""
    return _facts_hash(CAPABILITY_DIRECTORY, {row["model_slug"] for row in capability_entries.result_rows()})


def loss_hash() -> str:
    """Hash of all that the laws of divergence read: measured rows, and facts of the measured models."""
    rows = (*quality_entries.quant_loss_rows(), *quality_entries.cache_loss_rows())
    return _facts_hash(quality_entries.DIRECTORY, {row["model_slug"] for row in rows})


def _facts_hash(directory: str, slugs: Set[str | None]) -> str:
    """Hash of the files of ``directory`` and the traits of the models. A fit reads of post-training.json the traits alone."""
    digest = hashlib.blake2b(digest_size=16)
    root = CATALOG_ROOT / directory
    for path in sorted(file for file in root.rglob("*") if file.is_file() and file.name != "post-training.json"):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    for slug, traits in model_traits(load_catalog()).items():
        if slug in slugs:
            digest.update(repr(traits).encode())
    return digest.hexdigest()


class _DataFile:
    def __init__(self, path: Path, fit: Callable[[], Mapping[str, Any]], figures: Callable[[], Mapping[str, Any]]):
        self.path, self.fit, self.figures = path, fit, figures


def _fit_capability() -> Mapping[str, Any]:
    from estimator.accuracy.capability.data import capability_data

    return capability_data(
        capability_entries.results(),
        capability_entries.benchmarks(),
        model_traits(load_catalog()),
        capability_hash(),
    )


def _fit_loss() -> Mapping[str, Any]:
    from estimator.accuracy.loss.data import loss_data
    from estimator.accuracy.loss.rows import cache_rows, loss_rows, task_rows

    models = model_traits(load_catalog())
    return loss_data(
        loss_rows(quality_entries.quant_loss_rows(), models),
        cache_rows(quality_entries.cache_loss_rows(), models),
        task_rows(quality_entries.quant_loss_rows(), models),
        loss_hash(),
    )


_DATA_FILES: dict[str, _DataFile] = {
    "capability": _DataFile(
        capability_table.DEFAULT_PATH, _fit_capability, lambda: capability_table.CapabilityTable.load().accuracy
    ),
    "loss": _DataFile(loss_table.DEFAULT_PATH, _fit_loss, lambda: loss_table.LossTable.load().accuracy),
}
