"""Derivatives: fine-tunes, merges and re-quantized copies of a model, one line each, without cells of their own.

``derivatives/`` has one JSON Lines file a family. A line gives a repository the fits of its ``base``; ``known_by`` says
whether its name states the base, or its card, only its dimensions and parameter count are equal, or (``text``) only the
dimensions of its text model are, beside towers that no fit counts. ``format`` is the quantization that the repository holds,
null for 16 bits, ``gguf`` for GGUF files of several types, ``other`` for a format that the catalog has no
quantization for. ``date`` is the day on which the repository was created,
``revision`` the commit that an import read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import Field, ValidationError

from db.entries.files import Fault
from db.entries.names.derivatives import shape_of
from db.entries.names.texts.words import words
from db.entries.rules_models import Entry, family_directory
from db.entries.schema import Date, Name, Shape, Slug

DIRECTORY = "derivatives"
#: Format of a repository with GGUF files of several types.
SEVERAL_GGUF = "gguf"
#: Format of a repository whose quantization the catalog does not have.
OTHER = "other"
#: Ways to know a base that stand against a name of another release.
_BESIDE_ITS_NAME = frozenset({"card", "recalled"})
_SIZE = re.compile(r"[ae]?((?!0\d)\d{1,3}(?:\.\d+)?)([bmt])")
_FORMAT_BITS = re.compile(r"(?:int|mlx-|bnb-)(\d)(?:bit|-|$)")
_STATED_BITS = re.compile(
    r"(?<![a-z\d])(?:u?int|w)([2-8])(?=a1?\d|[^a-z\d]|$)|(?<![a-z\d.])([2-8])[-_ ]?bits?(?![a-z])|awq([2-8])", re.I
)
_VERSION = re.compile(r"\d(?:\.\d)?")
_BILLIONS = {"b": 1.0, "m": 1e-3, "t": 1e3}
#: Names round: a model of 1.54 billion is called 1B and 2B.
_OF_IMAGES = frozenset({"vl", "vision"})
_NEAR = (0.55, 1.6)
#: An amount in a name that is no more than this is a context, as in "1M".
_CONTEXT_MAX = 0.01


class DerivativeRow(Shape):
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)]
    base: Slug
    known_by: Literal["name", "shape", "text", "card", "recalled"]
    license: Name | None
    date: Date | None
    format: Slug | None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None


def check_derivatives(root: Path, models: Mapping[str, Entry], quants: Mapping[str, Entry]) -> list[Fault]:
    """Faults of all files: shape, unknown bases and formats, the wrong family, and repositories that appear twice."""
    faults: list[Fault] = []
    source_of_repository = {
        str(model["hf_repo"]).casefold(): "a model file" for model in models.values() if model.get("hf_repo")
    }
    for path in sorted((root / DIRECTORY).glob("*.jsonl")):
        file = str(path.relative_to(root))
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            for field, message in _findings(line, path.stem, models, quants, source_of_repository):
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
    elif row.known_by not in _BESIDE_ITS_NAME and (sibling := other_release(row.repository, base, models)) is not None:
        yield "base", f"the name is that of {sibling!r}, which has the same shape; correct the base"
    elif row.known_by != "text" and (told := other_size(row.repository, base)):
        yield "base", f"the name says {told}, which is no size of {row.base!r}; correct the base"
    elif row.known_by == "name" and has_tower(row.repository) and "image" not in base["modalities"]:
        yield "known_by", f"the name tells of images, which {row.base!r} does not read; write text"
    if row.known_by == "card" and row.revision is None:
        yield "revision", "nothing tells which commit of the card was read; state it, or write recalled"
    if row.format not in (None, SEVERAL_GGUF, OTHER) and row.format not in quants:
        yield "format", f"the catalog has no quantization {row.format!r}; correct the slug"
    if bits := other_width(row.repository, row.format or ""):
        yield "format", f"the name says {bits} bits, which {row.format!r} does not have; correct it, or write {OTHER}"
    name = row.repository.casefold()
    if name in seen:
        yield "repository", f"{row.repository} has {seen[name]} already; keep one"
    seen[name] = f"a line in {family}"


def has_tower(repository: str) -> bool:
    """Whether the name of a repository tells that its model reads images."""
    return not _OF_IMAGES.isdisjoint(words("model", repository.split("/")[-1]))


def other_size(repository: str, base: Entry) -> str | None:
    """The size that a repository's name states, in words, where no size of its base is near it; None where one is."""
    names = (str(base["slug"]), str(base["name"]), str(base.get("hf_repo") or "").split("/")[-1])
    known = [amount for name in names for amount in _sizes(name).values()]
    known += [float(base[key]) for key in ("params_total_b", "params_active_b") if base.get(key)]
    stated = _sizes(repository.split("/")[-1])
    if any(
        low * size <= amount <= high * size for amount in stated.values() for size in known for low, high in [_NEAR]
    ):
        return None
    return " and ".join(stated) or None


def other_width(repository: str, format_: str) -> str | None:
    """The bits of weights that a repository's name states where its format has others; None where one of them is its own."""
    format_bits = set(_FORMAT_BITS.findall(format_))
    stated = {next(filter(None, groups)) for groups in _STATED_BITS.findall(repository.split("/")[-1])}
    return " and ".join(sorted(stated)) if format_bits and stated and format_bits.isdisjoint(stated) else None


def _sizes(name: str) -> dict[str, float]:
    """Words of a name that are amounts of parameters -> billions; "8x7b" and amounts with a zero in front are none."""
    matches = (_SIZE.fullmatch(word) for word in words("model", name.replace("0_", "0.")))
    sizes = {match[0]: float(match[1]) * _BILLIONS[match[2]] for match in matches if match}
    return {word: size for word, size in sizes.items() if size > _CONTEXT_MAX}


def other_release(repository: str, base: Entry, models: Mapping[str, Entry]) -> str | None:
    """The model of the base's shape whose family and version the repository's name states, where the base has another."""
    told, own = _versions(repository.split("/")[-1]), _versions(str(base["name"]))
    versions = {pair for pair in told - own if any(family == pair[0] for family, _ in own)}
    if not versions or told & own:
        return None
    siblings = (slug for slug, model in models.items() if versions & _versions(str(model["name"])))
    return next((slug for slug in siblings if shape_of(models[slug]) == shape_of(base)), None)


def _versions(name: str) -> set[tuple[str, str]]:
    """Each word of letters with the version after it, as ("llama", "3.1")."""
    return {
        (word, after) for word, after in pairwise(words("model", name)) if word.isalpha() and _VERSION.fullmatch(after)
    }
