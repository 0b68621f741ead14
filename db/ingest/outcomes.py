"""A snapshot becomes a model file, one line of a derivative, a comparison with a known model, or an entry set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from db.entries import specs
from db.entries.check import shape_faults
from db.entries.derivatives import SEVERAL_GGUF, DerivativeRow
from db.entries.files import CATALOG_ROOT, Catalog, Entry
from db.entries.names.derivatives import derivatives_by_key, plain
from db.entries.names.meanings import UnknownNameError
from db.entries.rules import RULES
from db.imports.checkpoints.quantization import CheckpointFormat, checkpoint_format
from db.imports.errors import ImportFactsError
from db.imports.hub.config import facts_from_config
from db.ingest.entries import model_entry
from db.ingest.gate import COUNT_TOLERANCE, compare
from db.ingest.review.differences import Change, changes_between
from db.ingest.snapshots import Snapshot, SourceError
from estimator.structure.architecture import ModelArchitecture, architecture_from_facts
from estimator.structure.likeness import same_structure
from estimator.types import EstimatorError

Kind = Literal["model", "derivative", "known", "set-aside"]
#: Fields of a known model that a repository may contradict.
_COMPARED = (
    "license", "context_length", "architecture", "hidden_size", "n_layers", "n_heads", "n_kv_heads", "intermediate_size",
    "vocab_size", "tie_word_embeddings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """One source's way into the catalog. ``entry`` is a model file or the line of a derivative, ``slug`` the model or the
    base, ``reason`` that of an entry set aside, ``changes`` what a known model's repository states otherwise. A local file
    without a repository is ``known`` where the catalog has its structure."""

    kind: Kind
    snapshot: Snapshot
    slug: str | None = None
    entry: Entry | None = None
    reason: str | None = None
    changes: tuple[Change, ...] = ()


def assess(snapshot: Snapshot, catalog: Catalog, day: str) -> Outcome:
    """The outcome of importing ``snapshot`` into ``catalog``; ``day`` is that of the import (ISO)."""
    try:
        return _assessed(snapshot, catalog, day)
    except (SourceError, EstimatorError) as error:
        return Outcome("set-aside", snapshot, reason=str(error))


def _assessed(snapshot: Snapshot, catalog: Catalog, day: str) -> Outcome:
    known = model_of_repository(snapshot.repository, catalog)
    if snapshot.is_gguf_only:
        return _copies(snapshot, catalog)
    if snapshot.unread is not None:
        raise SourceError(snapshot.unread)
    facts, own = _facts(snapshot)
    if known is not None:
        return Outcome("known", snapshot, known, changes=_contradictions(catalog.models[known], facts, snapshot))
    comparison = None
    if snapshot.checkpoint is not None and not own.is_quantized:
        comparison = compare(facts, snapshot.checkpoint.parameters)
        if not comparison.passes:
            raise SourceError(f"{comparison} ({comparison.difference:+.2%}; at most {COUNT_TOLERANCE:.2%} may differ)")
    base = _base(snapshot, architecture_from_facts(facts), catalog)
    if base is not None:
        return _derivative(snapshot, *base, _format(own, catalog))
    if own.is_quantized and not own.label.startswith("FP8"):
        raise SourceError(f"its checkpoint is packed as {own.label}, and no base of its structure is in the catalog")
    if comparison is None and snapshot.checkpoint is not None:
        comparison = compare(facts, snapshot.checkpoint.parameters)
    if comparison is None:
        raise SourceError("nothing states the count of its checkpoint: give the safetensors index or files beside it")
    if not comparison.passes:
        raise SourceError(f"{comparison} ({comparison.difference:+.2%}; at most {COUNT_TOLERANCE:.2%} may differ)")
    entry = model_entry(snapshot, facts, comparison, catalog, day)
    faults = [f"{field}: {message}" for field, message in _faults(entry)]
    if faults:
        raise SourceError("; ".join(faults[:3]))
    return Outcome("model", snapshot, entry["slug"], entry)


def model_of_repository(repository: str | None, catalog: Catalog) -> str | None:
    """Slug of the model whose original weights a repository holds."""
    wanted = (repository or "").casefold()
    return next(
        (slug for slug, entry in catalog.models.items() if wanted and str(entry["hf_repo"]).casefold() == wanted), None
    )


def _facts(snapshot: Snapshot) -> tuple[Mapping[str, Any], CheckpointFormat]:
    if snapshot.gguf is not None:
        return snapshot.gguf.facts, CheckpointFormat("16 bits", None, is_quantized=False)
    if snapshot.config is None:
        raise SourceError("it has no config.json")
    try:
        return facts_from_config(snapshot.config), checkpoint_format(snapshot.config, snapshot.config)
    except ImportFactsError as error:
        raise SourceError(str(error)) from None


def _contradictions(entry: Entry, facts: Mapping[str, Any], snapshot: Snapshot) -> tuple[Change, ...]:
    stated = {key: facts[key] for key in _COMPARED if facts.get(key) is not None}
    stated |= {"license": snapshot.card.license} if snapshot.card.license else {}
    if "D" not in entry["mlp_pattern"]:
        stated.pop("intermediate_size", None)
    ours = {key: entry[key] for key in stated}
    return tuple(changes_between("model", str(entry["slug"]), ours, stated))


def _base(snapshot: Snapshot, model: ModelArchitecture, catalog: Catalog) -> tuple[str, str] | None:
    """Slug of the catalog's model of this structure, and how it is known: the card names it, or only the shape is its."""
    for slug in _named_bases(snapshot.card.base_models, catalog):
        if _is_like(catalog.models[slug], model):
            return slug, "card"
    alike = [slug for slug, entry in catalog.models.items() if _is_like(entry, model)]
    day = snapshot.card.created or ""
    return (min(alike, key=lambda slug: _farness(catalog.models[slug], model, day)), "shape") if alike else None


def _farness(entry: Entry, model: ModelArchitecture, day: str) -> tuple[bool, bool, bool, int]:
    """What speaks against a base of the same shape, most telling first: another class or context, a release after ``day``,
    and, of those released by then, an older one."""
    released = str(entry["release_date"] or "")
    is_later = bool(day) and released[: len("2026-01")] > day[: len("2026-01")]
    months = int(released[: len("2026-01")].replace("-", "").ljust(6, "0") or 0)
    return (
        entry["architecture"] != model.architecture, entry["context_length"] != model.context_tokens, is_later,
        -months if day else months,
    )  # fmt: skip


def _is_like(entry: Entry, model: ModelArchitecture) -> bool:
    if (entry["hidden_size"], entry["n_layers"]) != (model.hidden, model.n_layers):
        return False
    try:
        known = specs.architecture(entry)
    except EstimatorError:
        return False
    return same_structure(known, model, count_tolerance=COUNT_TOLERANCE)


def _named_bases(names: Iterable[str], catalog: Catalog) -> Iterator[str]:
    """Slugs of the models that base repositories are or derive from."""
    for name in names:
        exact = exact_base(name, catalog)
        if exact is not None:
            yield exact
            continue
        try:
            yield catalog.resolve("model", name)
        except UnknownNameError:
            continue


def exact_base(repository: str, catalog: Catalog) -> str | None:
    """Slug of the model that a repository holds, or of the base of the derivative that it is; no reading of names."""
    derivative = derivatives_by_key(CATALOG_ROOT / "derivatives").get(plain(repository))
    if derivative is not None and derivative.base in catalog.models:
        return derivative.base
    return model_of_repository(repository, catalog)


def _copies(snapshot: Snapshot, catalog: Catalog) -> Outcome:
    """A repository of GGUF files: its card must name the base, which the files alone do not show."""
    for name in snapshot.card.base_models:
        base = exact_base(name, catalog)
        if base is not None:
            return _derivative(snapshot, base, "card", SEVERAL_GGUF)
    named = ", ".join(snapshot.card.base_models) or "none"
    raise SourceError(f"it holds GGUF files only, and the base that its card names is not in the catalog ({named})")


def _format(own: CheckpointFormat, catalog: Catalog) -> str | None:
    if not own.is_quantized:
        return None
    if own.quant not in catalog.quants:
        raise SourceError(f"its checkpoint is in {own.label}, which the catalog has no quantization for")
    return own.quant


def _derivative(snapshot: Snapshot, base: str, known_by: str, format_: str | None) -> Outcome:
    if snapshot.repository is None:
        return Outcome("known", snapshot, base)
    card = snapshot.card
    entry = {
        "repository": snapshot.repository, "base": base, "known_by": known_by, "license": card.license,
        "date": card.created, "format": format_, "revision": snapshot.revision,
    }  # fmt: skip
    DerivativeRow.model_validate(entry)
    return Outcome("derivative", snapshot, base, entry)


def _faults(entry: Entry) -> Iterator[tuple[str, str]]:
    shape = [(fault.field, fault.message) for fault in shape_faults("model", "-", "-", entry)]
    yield from shape
    if not shape:
        for rule in RULES["model"]:
            yield from rule(entry)
