"""Synthetic catalogs: the bundled one multiplied, or a part of it."""

from __future__ import annotations

import dataclasses

from db.entries.files import DIRECTORIES, Catalog, revision_of


def multiplied(catalog: Catalog, factor: int, gpus: int | None = None) -> Catalog:
    """``catalog`` with every model ``factor`` times under slugs of their own, and ``gpus`` of its GPUs, evenly spread."""
    models = dict(catalog.models)
    for copy in range(2, factor + 1):
        for slug, entry in catalog.models.items():
            new = f"{slug}-{copy}"
            models[new] = {**entry, "slug": new, "name": f"{entry['name']} ({copy})", "aliases": []}
    step = 1 if gpus is None else max(1, len(catalog.gpus) // gpus)
    kept = dict(list(catalog.gpus.items())[::step][:gpus])
    return rebuilt(dataclasses.replace(catalog, models=dict(sorted(models.items())), gpus=kept))


def rebuilt(catalog: Catalog) -> Catalog:
    """``catalog`` with the revision of its content."""
    entries = {directory: getattr(catalog, directory) for directory in DIRECTORIES.values()}
    return Catalog(**entries, revision=revision_of(entries))
