"""The catalog files as one frozen snapshot: fast to load, content-addressed, names resolved.

Loading parses and indexes; it checks only what every reader relies on (valid JSON, a slug that is the file's name, no
slug twice). :mod:`db.entries.check` applies the strict schema and every rule, and collects all faults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from db.entries.names.derivatives import checkpoints_of, shape_of
from db.entries.names.meanings import Meaning, UnknownNameError
from db.entries.names.resolver import Resolver

CATALOG_ROOT = Path(__file__).parents[1] / "catalog"
#: Kind of entity -> directory of its files.
DIRECTORIES: dict[str, str] = {
    "model": "models", "gpu": "gpus", "quant": "quants", "workload": "workloads", "engine": "engines", "host": "hosts",
    "computer": "computers", "price": "prices",
}  # fmt: skip

Entry = dict[str, Any]
#: Every file of rows stays reviewable and below the size that hosting sites warn about.
MAX_FILE_BYTES = 1_500_000


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with the catalog: the file (relative to the catalog), the entry, the field, and the repair."""

    file: str
    entry: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.entry}: {self.field}: {self.message}"


class CatalogError(ValueError):
    """The catalog cannot be used; ``faults`` says why, one by one."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        listed_faults = "\n".join(str(fault) for fault in faults[:20])
        more = f"\n... and {len(faults) - 20} more" if len(faults) > 20 else ""
        super().__init__(f"{len(faults)} fault(s) in the catalog:\n{listed_faults}{more}")


@dataclass(frozen=True)
class Catalog:
    """All facts of one revision; entries are keyed by slug, in slug order, with the keys of their files."""

    models: dict[str, Entry]
    gpus: dict[str, Entry]
    quants: dict[str, Entry]
    workloads: dict[str, Entry]
    engines: dict[str, Entry]
    hosts: dict[str, Entry]
    computers: dict[str, Entry]
    prices: dict[str, Entry]
    revision: str

    def entries(self, kind: str) -> dict[str, Entry]:
        """Entries of one kind of :data:`DIRECTORIES`."""
        entries: dict[str, Entry] = getattr(self, DIRECTORIES[kind])
        return entries

    def resolve(self, kind: str, text: str, engine: str | None = None) -> str:
        """Slug of the one entity of ``kind`` called ``text``. Raises :class:`UnknownNameError`, for a count above one too."""
        meaning = self.meaning(kind, text, engine)
        if (meaning.count or 1) > 1:
            reason = f"{text!r} names {meaning.count} accelerators, and one is expected here"
            raise UnknownNameError(kind, text, (meaning.slug,), reason)
        return meaning.slug

    def meaning(self, kind: str, text: str, engine: str | None = None) -> Meaning:
        """The entity of ``kind`` called ``text``, with what else the text states. Raises :class:`UnknownNameError`.

        ``engine`` decides which file a quantization's name means that several formats share.
        """
        return self.resolver.meaning(kind, text, engine)

    @cached_property
    def resolver(self) -> Resolver:
        """The names of all kinds."""
        return Resolver({kind: self.entries(kind) for kind in DIRECTORIES}, CATALOG_ROOT)

    @cached_property
    def default_host(self) -> str:
        """Slug of the host profile that is assumed when none is named."""
        return next(slug for slug, entry in self.hosts.items() if entry["default"])


def checked_lines(path: Path, file: str, faults: list[Fault]) -> Iterator[tuple[str, Any]]:
    """Rows of a file of JSON Lines with the label of each; faults of its size and syntax join ``faults``."""
    if path.stat().st_size > MAX_FILE_BYTES:
        faults.append(Fault(file, "-", "-", f"the file exceeds {MAX_FILE_BYTES} bytes; split it by source"))
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        label = f"line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            faults.append(Fault(file, label, "-", f"the line is not valid JSON ({error}); repair it"))
        else:
            yield label, row


def entity_files(root: Path, kind: str) -> list[Path]:
    """Entity files of one kind, in path order."""
    return sorted((root / DIRECTORIES[kind]).rglob("*.json"))


def load_catalog(root: Path | None = None) -> Catalog:
    """Parse every entity file.

    Raises:
        CatalogError: a file is not valid JSON, has no slug of its own name, or repeats a slug.
    """
    root = CATALOG_ROOT if root is None else root
    entities: dict[str, dict[str, Entry]] = {}
    faults: list[Fault] = []
    for kind, directory in DIRECTORIES.items():
        entries: dict[str, Entry] = {}
        for path, parsed in read_entities(root, kind):
            slug = path.stem
            wrong = _wrong_of(slug, parsed, entries)
            if wrong is not None:
                faults.append(Fault(str(path.relative_to(root)), slug, *wrong))
            elif isinstance(parsed, dict):
                entries[slug] = parsed
        entities[directory] = dict(sorted(entries.items()))
        if not entries:
            faults.append(Fault(directory, "-", "-", f"no {kind} files found; a catalog needs at least one"))
    if faults:
        raise CatalogError(faults)
    entities["models"] = _with_thinking(root, _with_copies(root, _with_alike_files(entities["models"])))
    return Catalog(**entities, revision=revision_of(entities))


def _with_thinking(root: Path, models: dict[str, Entry]) -> dict[str, Entry]:
    """Models with ``least_thinking``, the relative length of the thinking that those which always think cannot leave out."""
    path = root / "capability" / "post-training.json"
    always = (item for item in orjson.loads(path.read_bytes()) if item["thinking"] == "always") if path.exists() else ()
    lengths = {item["slug"]: (item["thinking_length"] or {"value": 1.0})["value"] for item in always}
    return {
        slug: {**entry, "least_thinking": lengths[slug]} if slug in lengths else entry for slug, entry in models.items()
    }


def _with_copies(root: Path, models: dict[str, Entry]) -> dict[str, Entry]:
    """Models with the repositories of their quantized copies, which the lists of derivatives name; a file's own stay."""
    copies = checkpoints_of(root / "derivatives", models)
    return {slug: _with_repositories(entry, copies.get(slug, {})) for slug, entry in models.items()}


def _with_alike_files(models: dict[str, Entry]) -> dict[str, Entry]:
    """Models with ``alike_files`` where they have no ``published_files``: those of the newest model with the same tensors.

    Publishers who choose types by model give most models of one shape files of one size: half of the sizes of 744 files are
    those of such another file, nine of ten within 3 %.
    """
    newest: dict[object, Entry] = {}
    for entry in sorted(models.values(), key=lambda entry: str(entry.get("release_date") or "")):
        if entry.get("published_files"):
            newest[_tensors(entry)] = entry
    return {
        slug: entry
        if entry.get("published_files") or (alike := newest.get(_tensors(entry))) is None
        else {**entry, "alike_files": alike["published_files"]}
        for slug, entry in models.items()
    }


def _tensors(entry: Entry) -> tuple[Any, ...]:
    counts = entry.get("params_computed") or {}
    return (*map(repr, shape_of(entry)), entry.get("tie_word_embeddings"), counts.get("text_total"))


def _with_repositories(entry: Entry, copies: dict[str, str]) -> Entry:
    if not copies:
        return entry
    listed = {quant: {"repo": repository, "source": "derivatives"} for quant, repository in copies.items()}
    return {**entry, "checkpoint_repos": {**listed, **(entry.get("checkpoint_repos") or {})}}


def read_entities(root: Path, kind: str) -> Iterator[tuple[Path, Entry | str]]:
    """Every entity file of a kind with its parsed object, or with a sentence saying why it cannot be parsed."""
    for path in entity_files(root, kind):
        try:
            parsed = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            yield path, f"the file is not valid JSON ({error}); repair its syntax"
            continue
        yield path, parsed if isinstance(parsed, dict) else "the file must hold one JSON object"


def _wrong_of(stem: str, parsed: Entry | str, seen: dict[str, Entry]) -> tuple[str, str] | None:
    """The field that is wrong and the repair, or None."""
    if isinstance(parsed, str):
        return "-", parsed
    if parsed.get("slug") != stem:
        return "slug", f"the slug is {parsed.get('slug')!r}; it must be the file's name, {stem!r}"
    if stem in seen:
        return "slug", "another file has the same slug; rename one of them"
    return None


def revision_of(entities: dict[str, dict[str, Entry]]) -> str:
    """Hash of all facts; independent of formatting, key order and file layout."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(orjson.dumps(entities, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()
