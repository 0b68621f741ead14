"""Facts that decide the expected capability of a model: those of its file, and its post-training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from db.entries.files import CATALOG_ROOT, Catalog, Entry
from estimator.calibration.capability_prior import DEFAULT_CONTEXT, ModelTraits
from estimator.structure.training import REFERENCE_YEAR, native_bits, sizes_b, year_of

#: Folder of benchmarks, results and post-training in the catalog.
DIRECTORY = "capability"


def model_traits(catalog: Catalog, root: Path | None = None) -> dict[str, ModelTraits]:
    """Size, date and post-training of every model.

    An undated one has the date of its family's newest, and one whose post-training is not listed thinks as the model of its
    family does that is nearest in date.
    """
    training = {entry["slug"]: entry for entry in judgement_entries(root, "post-training")}
    newest: dict[str, float] = {}
    for entry in catalog.models.values():
        if entry["release_date"]:
            newest[entry["family"]] = max(newest.get(entry["family"], 0.0), year_of(entry["release_date"]))
    traits = {
        slug: traits_of(entry, training.get(slug, {}), newest.get(entry["family"], REFERENCE_YEAR))
        for slug, entry in catalog.models.items()
    }
    listed: dict[str, list[ModelTraits]] = defaultdict(list)
    for slug, model in traits.items():
        if slug in training and not model.base:
            listed[model.family].append(model)
    return {slug: model if slug in training else _like(model, listed[model.family]) for slug, model in traits.items()}


def _like(model: ModelTraits, relatives: Sequence[ModelTraits]) -> ModelTraits:
    """``model`` with the thinking of the relative that is nearest in date; as it is where there is none."""
    nearest = min(relatives, key=lambda relative: abs(relative.released - model.released), default=model)
    return replace(model, thinking=nearest.thinking)


def traits_of(entry: Entry, training: Entry, undated: float = REFERENCE_YEAR) -> ModelTraits:
    """The facts of one model file that its expected capability depends on."""
    total, active = sizes_b(entry)
    length = training.get("thinking_length")
    return ModelTraits(
        slug=entry["slug"],
        total_b=total,
        active_b=active,
        released=year_of(entry["release_date"]) if entry["release_date"] else undated,
        family=entry["family"],
        publisher=entry["publisher"],
        context_tokens=entry["context_length"] or DEFAULT_CONTEXT,
        thinking=training.get("thinking", "never"),
        specialty=training.get("specialty") or "",
        vision="image" in entry["modalities"],
        base=training.get("tuning") == "base",
        parent=training.get("parent") or "",
        native_bits=native_bits(entry["native_dtype"]),
        thinking_length=1.0 if length is None else length["value"],
    )


def judgement_entries(root: Path | None, name: str) -> list[Entry]:
    """Items of one list under ``capability/``; ``root`` None is the bundled catalog."""
    entries: list[Entry] = orjson.loads(((root or CATALOG_ROOT) / DIRECTORY / f"{name}.json").read_bytes())
    return entries
