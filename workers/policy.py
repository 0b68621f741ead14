"""The precompute policy: the models of a catalog that the runs compute."""

from __future__ import annotations

from pathlib import Path

from db.entries.files import Catalog, Entry
from db.entries.names.meanings import UnknownNameError
from db.settings import Precompute, Settings


class PolicyError(ValueError):
    """The list of the precomputed models cannot be read, or names what the catalog has not."""


def covered_models(catalog: Catalog, settings: Settings) -> frozenset[str]:
    """Slugs of the models that the runs compute, as far as their facts allow. Raises :class:`PolicyError`."""
    if settings.precompute is Precompute.LISTED:
        assert settings.precompute_list is not None
        return _listed(catalog, settings.precompute_list)
    if settings.precompute is Precompute.POPULAR:
        least = settings.precompute_downloads
        return frozenset(slug for slug, entry in catalog.models.items() if _downloads(entry) >= least)
    return frozenset(catalog.models)


def _downloads(entry: Entry) -> int:
    """Downloads of 30 days; -1 where no source counts them."""
    counted = entry.get("downloads")
    return -1 if counted is None else int(counted["count"])


def _listed(catalog: Catalog, path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"the list of precomputed models cannot be read: {error}") from error
    names = {number: line.partition("#")[0].strip() for number, line in enumerate(lines, 1)}
    slugs = {name for name in names.values() if name}
    faults = [
        f"{path}:{number}: {_unknown(catalog, name)}"
        for number, name in names.items()
        if name and name not in catalog.models
    ]
    if faults or not slugs:
        raise PolicyError("\n".join(faults) or f"{path}: the list of precomputed models names none")
    return frozenset(slugs)


def _unknown(catalog: Catalog, name: str) -> str:
    """The fault of a name that is no slug, with the slug that it means where it means one."""
    try:
        slug = catalog.resolve("model", name)
    except UnknownNameError as error:
        return str(error)
    return f"{name!r} is no slug; write {slug!r}"
