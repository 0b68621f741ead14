"""Derivatives: fine-tunes, merges and re-quantized copies of a model, one line each, without cells of their own.

``derivatives/`` has one JSON Lines file a family. A line gives a repository the fits of its ``base``; ``known_by`` says
whether its name states the base, or its card, only its dimensions and parameter count are equal, or (``text``) only the
dimensions of its text model are, beside towers that no fit counts. ``format`` is the quantization that the repository holds,
null for 16 bits, ``gguf`` for GGUF files of several types, ``other`` for a format that the catalog has no
quantization for. ``date`` is the day on which the repository was created,
``revision`` the commit that an import read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import Field, ValidationError

from db.entries.files import Fault
from db.entries.rules_models import Entry, family_directory
from db.entries.schema import Date, Name, Shape, Slug

DIRECTORY = "derivatives"
#: Format of a repository with GGUF files of several types.
SEVERAL_GGUF = "gguf"
#: Format of a repository whose quantization the catalog does not have.
OTHER = "other"


class DerivativeRow(Shape):
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)]
    base: Slug
    known_by: Literal["name", "shape", "text", "card"]
    license: Name | None
    date: Date | None
    format: Slug | None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None


def check_derivatives(root: Path, models: Mapping[str, Entry], quants: Mapping[str, Entry]) -> list[Fault]:
    """Faults of all files: shape, unknown bases and formats, the wrong family, and repositories that appear twice."""
    faults: list[Fault] = []
    seen = {str(model["hf_repo"]).casefold(): "a model file" for model in models.values() if model.get("hf_repo")}
    for path in sorted((root / DIRECTORY).glob("*.jsonl")):
        file = str(path.relative_to(root))
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            for field, message in _findings(line, path.stem, models, quants, seen):
                faults.append(Fault(file, f"line {number}", field, message))
    return faults


def _findings(
    line: bytes, family: str, models: Mapping[str, Entry], quants: Mapping[str, Entry], seen: dict[str, str]
) -> Iterator[tuple[str, str]]:
    try:
        row = DerivativeRow.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        yield "-", f"the line is not valid JSON ({error}); repair it"
        return
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield ".".join(map(str, detail["loc"])) or "-", detail["msg"]
        return
    base = models.get(row.base)
    if base is None:
        yield "base", f"the catalog has no model {row.base!r}; correct the slug, or add the model"
    elif family_directory(str(base["family"])) != family:
        yield "base", f"the family of {row.base!r} is not {family!r}; move the line to its file"
    if row.format not in (None, SEVERAL_GGUF, OTHER) and row.format not in quants:
        yield "format", f"the catalog has no quantization {row.format!r}; correct the slug"
    name = row.repository.casefold()
    if name in seen:
        yield "repository", f"{row.repository} has {seen[name]} already; keep one"
    seen[name] = f"a line in {family}"
