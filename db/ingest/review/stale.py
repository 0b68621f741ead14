"""Facts that need a look: unknown ones, ones from general knowledge, and ones that nothing has confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from db.entries import specs
from db.entries.derivatives import DIRECTORY
from db.entries.files import CATALOG_ROOT, Catalog, Entry
from db.entries.names.derivatives import recalled_repositories
from db.entries.traits import judgement_entries

State = Literal["null", "recalled", "unconfirmed"]
#: Facts that every entity of the kind has in the world, so that a null is one that nobody found.
_ALWAYS = {
    "model": ("release_date", "license", "context_length", "params_exact_checkpoint"),
    "gpu": ("release_date", "memory_gb", "bandwidth_gbps", "tdp_w", "boost_mhz", "fp32_tflops"),
}


@dataclass(frozen=True, slots=True)
class StaleFact:
    """A field of an entity, and why it needs a look."""

    kind: str
    #: Of a derivative, its repository.
    slug: str
    field: str
    state: State


def stale_facts(catalog: Catalog) -> Iterator[StaleFact]:
    """Null, recalled and never confirmed facts of models, accelerators and derivatives, by kind and slug."""
    for kind, always in _ALWAYS.items():
        for slug, entry in catalog.entries(kind).items():
            yield from (StaleFact(kind, slug, field, "null") for field in always if entry[field] is None)
            recalled = _recalled(kind, entry)
            for field in specs.unverified_fields(entry):
                yield StaleFact(kind, slug, field, "recalled" if field in recalled else "unconfirmed")
    for training in judgement_entries(None, "post-training"):
        if training["slug"] in catalog.models:
            for field in training["recalled"]:
                yield StaleFact("model", training["slug"], f"post_training.{field}", "recalled")
    for repository in recalled_repositories(CATALOG_ROOT / DIRECTORY):
        yield StaleFact("derivative", repository, "base", "recalled")


def _recalled(kind: str, entry: Entry) -> set[str]:
    """Fields from memory; the others that are unverified were solved for, or sources contradict them."""
    if kind == "model":
        derived = set(entry.get("derived_fields") or ())
        return set(specs.unverified_fields(entry)) - derived
    return {specs.field_of(item) for item in entry["recalled"]}
