"""Estimated sizes of GGUF files against those that publishers print on model cards.

A file's name tells its size where its publisher lets the quantizer decide: the types of the tensors follow from the name
then. Some publishers choose types of their own under the same names; rows whose source says so are shown apart. Rows are
left out by what they state alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from estimator.accuracy.observations import Entities
from estimator.structure.weights import weight_table

_UNITS = {"GB": 1e9, "GiB": 2**30, "MB": 1e6, "MiB": 2**20}


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """A file's printed size, bytes; ``own_mix`` when its publisher chooses the types of tensors."""

    model: str
    name: str
    publisher: str
    stated_bytes: float
    estimated_bytes: float
    own_mix: bool

    @property
    def error(self) -> float:
        """Relative error of the estimate."""
        return self.estimated_bytes / self.stated_bytes - 1.0


def has_own_mix(row: Mapping[str, Any]) -> bool:
    """Whether a publisher gives tensors other types than the quantizer does under the same name, as the row states it:
    unsloth does in general (its "dynamic" files), others where their card says so."""
    return "unsloth" in row["source"] or "--tensor-type" in str(row.get("note"))


def why_not(entities: Entities, row: Mapping[str, Any]) -> str | None:
    """Why a printed size is compared with nothing; None when it is."""
    if row.get("model_slug") not in entities.models:
        return "no catalog entity for its model"
    if row.get("quant_slug") not in entities.quants:
        return "no catalog entity for its quantization"
    if entities.models[row["model_slug"]] is None:
        return "the model's structure is unknown"
    return None


def compared_files(entities: Entities, rows: Iterable[Mapping[str, Any]]) -> list[ComparedFile]:
    """Every printed size that can be compared; published files are made with an importance matrix."""
    files = []
    for row in rows:
        if why_not(entities, row) is not None or (model := entities.models[row["model_slug"]]) is None:
            continue
        quant = replace(entities.quants[row["quant_slug"]], imatrix=True)
        files.append(
            ComparedFile(
                row["model"],
                row["quant"],
                _publisher(row["source"]),
                float(row["size"].replace(",", "")) * _UNITS[row["unit"]],
                float(weight_table(model, (quant,)).file[0]),
                has_own_mix(row),
            )
        )
    return files


def _publisher(source: str) -> str:
    _, _, path = source.partition("huggingface.co/")
    return path.split("/")[0] if path else "a table of llama-bench"


def section(entities: Entities, rows: Sequence[Mapping[str, Any]], planned: int) -> str:
    """The section of the validation report; ``planned`` counts the files of the quantizer's own plan."""
    files = compared_files(entities, rows)
    reasons = Counter(reason for row in rows if (reason := why_not(entities, row)) is not None)
    lines = [
        "## Sizes of GGUF files",
        "",
        "Sizes that cards print, against the size that a file of that name has when llama.cpp's quantizer chooses the types "
        f"of its tensors. The quantizer's own plan of {planned:,} files is reproduced tensor by tensor (in the tests); what is "
        "left is what publishers do. A publisher's own mix is marked by what its source states, never by its error. No name "
        "tells such a mix: a model has the published sizes of such files where they are known, and a question with the "
        "file's header (`model: {gguf}`) has its very bytes.",
        "",
        "| files | number | median error | 90th percentile | largest |",
        "|---|---:|---:|---:|---:|",
        _line("all", files),
        _line("types chosen by the quantizer", [file for file in files if not file.own_mix]),
        _line("types chosen by the publisher, as its source says", [file for file in files if file.own_mix]),
        "",
        _spread(files),
        "",
        "| furthest off | file | publisher | printed | estimated | error |",
        "|---|---|---|---:|---:|---:|",
        *(
            f"| {file.model} | {file.name} | {file.publisher} | {file.stated_bytes / 1e9:.2f} GB | "
            f"{file.estimated_bytes / 1e9:.2f} GB | {file.error:+.1%} |"
            for file in sorted(files, key=lambda file: -abs(file.error))[:12]
        ),
        "",
        "Left out, by what the row states:",
        "",
        *(f"- {count}: {reason}" for reason, count in reasons.most_common()),
        "",
    ]
    return "\n".join(lines)


def _line(name: str, files: list[ComparedFile]) -> str:
    errors = np.abs([file.error for file in files])
    tail = f"{np.quantile(errors, 0.9):.2%} | {errors.max():.1%}"
    return f"| {name} | {len(files)} | {np.median(errors):.2%} | {tail} |"


def _spread(files: list[ComparedFile]) -> str:
    """The noise of the rows themselves: how far sizes of one name differ."""
    by_name: dict[tuple[float, str], list[ComparedFile]] = {}
    for file in files:
        by_name.setdefault((file.estimated_bytes, file.name), []).append(file)
    apart = [
        abs(math.log(file.stated_bytes / other.stated_bytes))
        for group in by_name.values()
        for index, file in enumerate(group)
        for other in group[:index]
        if file.publisher != other.publisher
    ]
    if not apart:
        return "No file of these has been printed by two publishers."
    share = np.mean(np.expm1(apart) > 0.015)
    return (
        f"The noise of the rows: {len(apart)} pairs of files have the same model structure and name and another publisher; "
        f"they differ by {np.expm1(np.median(apart)):.2%} in the median and {np.expm1(np.quantile(apart, 0.9)):.2%} at the "
        f"90th percentile, {share:.0%} of them by more than 1.5 %."
    )
