"""What the expected capability of every model depends on: facts of its file, and its post-training."""

from __future__ import annotations

from pathlib import Path

import orjson

from db.entries.files import CATALOG_ROOT, Catalog, Entry
from estimator.calibration.capability_prior import DEFAULT_CONTEXT, REFERENCE_YEAR, ModelTraits

#: Folder of benchmarks, results and post-training in the catalog.
DIRECTORY = "capability"
#: Parts of a native type's name, and bits per weight with scales; a checkpoint with 4-bit experts is known by them.
_NATIVE_BITS = (("fp4", 4.2), ("int4", 4.5), ("fp8", 8.0), ("ternary", 2.0))


def model_traits(catalog: Catalog, root: Path | None = None) -> dict[str, ModelTraits]:
    """Size, date and post-training of every model; an undated one has the date of its family's newest."""
    training = {entry["slug"]: entry for entry in judgement_entries(root, "post-training")}
    newest: dict[str, float] = {}
    for entry in catalog.models.values():
        if entry["release_date"]:
            newest[entry["family"]] = max(newest.get(entry["family"], 0.0), _year(entry["release_date"]))
    return {
        slug: traits_of(entry, training.get(slug, {}), newest.get(entry["family"], REFERENCE_YEAR))
        for slug, entry in catalog.models.items()
    }


def traits_of(entry: Entry, training: Entry, undated: float = REFERENCE_YEAR) -> ModelTraits:
    """The facts of one model file that its expected capability depends on."""
    computed = entry.get("params_computed") or {}
    total = entry["params_total_b"] or (computed.get("text_total") or entry["params_exact_checkpoint"] or 0) / 1e9
    active = entry["params_active_b"] or (computed.get("text_active") or 0) / 1e9 * bool(entry["moe"])
    if not active:
        active = _active_b(entry) if entry["moe"] else total
    return ModelTraits(
        slug=entry["slug"],
        total_b=float(total),
        active_b=float(active),
        released=_year(entry["release_date"]) if entry["release_date"] else undated,
        family=entry["family"],
        publisher=entry["publisher"],
        context_tokens=entry["context_length"] or DEFAULT_CONTEXT,
        thinking=training.get("thinking", "never"),
        specialty=training.get("specialty") or "",
        vision="image" in entry["modalities"],
        base=training.get("tuning") == "base",
        parent=training.get("parent") or "",
        native_bits=next((bits for part, bits in _NATIVE_BITS if part in entry["native_dtype"].lower()), 16.0),
    )


def _active_b(entry: Entry) -> float:
    """Billions of active parameters from the shapes: routed and shared experts, attention, embedding."""
    experts, hidden = entry["moe"], entry["hidden_size"]
    used = experts["experts_per_token"] + experts["n_shared_experts"]
    per_layer = 3 * used * experts["moe_intermediate_size"] * hidden + 4 * hidden * hidden
    return float(entry["n_layers"] * per_layer + entry["vocab_size"] * hidden) / 1e9


def _year(date: str) -> float:
    year, *rest = date.split("-")
    return int(year) + ((int(rest[0]) - 1) / 12 if rest else 0.5)


def judgement_entries(root: Path | None, name: str) -> list[Entry]:
    """Items of one list under ``capability/``; ``root`` None is the bundled catalog."""
    entries: list[Entry] = orjson.loads(((root or CATALOG_ROOT) / DIRECTORY / f"{name}.json").read_bytes())
    return entries
