"""The work of a run: the difference between a catalog and the facts that the published fits were computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, select

from db.entries import specs
from db.entries.files import Catalog
from db.entries.store import KINDS, entity_table, entity_values, entry_hash, stored_prints
from db.fits.generations import current_generation_sync
from db.fits.layout import SLOT_COUNT, SLOTS
from db.runs.store import page_runs_sync
from db.settings import Settings
from db.tables import PublishedInput, table_of
from estimator.placement.hosts import host_for
from workers.kernel import fits_version, release_version
from workers.policy import covered_models

#: A model costs a worker at least as much as this many cells, however few GPUs it is computed for.
MODEL_COST_CELLS = 10_000
#: Above this share of all cells a fresh storage with its indexes built at the end is the cheaper way.
REBUILD_SHARE = 0.3
_INPUT = table_of(PublishedInput)
#: Of one kind, as ``stored_prints`` gives them.
_Stored: TypeAlias = Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """Some models against all GPUs, or against ``gpus``; slugs. ``cells`` counts what no engine runs, too."""

    models: tuple[str, ...]
    gpus: tuple[str, ...] | None
    cells: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Changed facts, the reasons, and the blocks that follow.

    ``changed`` are new entries by kind and slug; None: gone. ``inputs`` are, by kind and slug, the fingerprints that differ
    from those of the published fits (None: its fits end), those of all and of the release, and how many there are.
    """

    revision: str
    rebuild: bool
    blocks: tuple[PlannedBlock, ...]
    reasons: tuple[str, ...]
    changed: dict[str, dict[str, dict[str, Any] | None]] = field(repr=False)
    inputs: dict[str, dict[str, Any]] = field(repr=False)
    cells_per_s: float | None = None
    #: Whether what is published was computed by another release, so that everything is computed anew.
    of_new_release: bool = False

    @property
    def release(self) -> str:
        """Fingerprint of the release whose workers compute the run."""
        return release_version()

    @property
    def retired(self) -> tuple[str, ...]:
        """Models and accelerators whose fits end."""
        return tuple(slug for kind in ("model", "gpu") for slug, value in self.inputs[kind].items() if value is None)

    @property
    def cells(self) -> int:
        """Pairings that will be looked at."""
        return sum(block.cells for block in self.blocks)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be computed or published."""
        return not self.blocks and not self.retired and not any(self.changed.values())

    def describe(self) -> str:
        """The plan in a few lines: what changed, how many cells, how long by the pace of the last run."""
        if self.is_empty:
            return "nothing changed: every pairing that is to be precomputed is published"
        pace = f", about {self.cells / self.cells_per_s:.0f} s at the last run's pace" if self.cells_per_s else ""
        kind = "full rebuild" if self.rebuild else "update in place"
        lines = [f"catalog {self.revision[:12]}: {kind}, {len(self.blocks)} blocks, {self.cells:,} pairings{pace}"]
        return "\n".join(lines + [f"  - {reason}" for reason in self.reasons])


@dataclass(frozen=True, slots=True)
class Scope:
    """A choice that is computed whether it changed or not: everything, or models and GPUs by their slugs."""

    everything: bool = False
    models: frozenset[str] = frozenset()
    gpus: frozenset[str] = frozenset()


def plan_run(catalog: Catalog, connection: Connection, settings: Settings, scope: Scope | None = None) -> Plan:
    """Compare what the settings cover of ``catalog`` with what is published. Reads only.

    ``scope`` is computed whether it changed or not. Raises :class:`PolicyError`.
    """
    scope, block_cells = scope or Scope(), settings.block_cells
    stored = {kind: stored_prints(connection, kind) for kind in KINDS}
    changed = {kind: _changed(catalog, stored[kind], kind) for kind in KINDS}
    current = _current_inputs(catalog, stored, changed, covered_models(catalog, settings))
    published = _published_inputs(connection)
    inputs = _differing(current, published)
    models, gpus = current["model"], current["gpu"]
    generation = current_generation_sync(connection)
    reasons = _catalog_reasons(changed)
    if dropped := [slug for slug, value in inputs["model"].items() if value is None and slug in catalog.models]:
        reasons.append(f"{len(dropped)} models are precomputed no more, {dropped[0]} among them")
    new_gpus: list[str] = []
    new_release = "common" in published and published.get("release") != current["release"]
    common_changed = published.get("common") != current["common"]
    everything = _why_everything(generation is None, scope.everything, new_release, common_changed)
    if everything:
        rebuild, stale = True, list(models)
        reasons += everything
    else:
        stale, why = _stale("model", models, inputs, scope.models)
        new_gpus, why_gpus = _stale("gpu", gpus, inputs, scope.gpus)
        reasons += [*why, *why_gpus]
        rebuild = False
    per_gpu = sum(values["estimated"] for values in _all_values(catalog, "quant")) * SLOT_COUNT
    blocks = _blocks(stale, None, len(gpus) * per_gpu, block_cells)
    if new_gpus and not rebuild:
        others = [slug for slug in models if slug not in set(stale)]
        blocks += _blocks(others, tuple(new_gpus), len(new_gpus) * per_gpu, block_cells)
    cells = sum(block.cells for block in blocks)
    if not rebuild and cells > REBUILD_SHARE * len(models) * len(gpus) * per_gpu:
        rebuild, blocks = True, _blocks(list(models), None, len(gpus) * per_gpu, block_cells)
        reasons.append("so much changed that everything is computed afresh")
    return Plan(
        catalog.revision,
        rebuild,
        tuple(blocks),
        tuple(reasons),
        changed,
        inputs,
        _last_pace(connection),
        new_release,
    )


def _stale(
    kind: str, current: Mapping[str, str], differing: Mapping[str, Mapping[str, Any]], scope: frozenset[str]
) -> tuple[list[str], list[str]]:
    """Slugs of a kind that must be computed, and why."""
    changed = differing[kind]
    slugs = [slug for slug in current if slug in changed or slug in scope]
    return slugs, [
        f"{kind} {slug} " + ("is new or its facts changed" if slug in changed else "was asked for") for slug in slugs
    ]


def _differing(
    current: dict[str, dict[str, str]], published: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, Any]]:
    """What a run records: the part of ``current`` that differs from ``published``, so that a small update writes little."""
    inputs: dict[str, dict[str, Any]] = {kind: current[kind] for kind in ("common", "release")}
    for kind in ("model", "gpu"):
        new = {slug: value for slug, value in current[kind].items() if published[kind].get(slug) != value}
        inputs[kind] = new | dict.fromkeys(sorted(published[kind].keys() - current[kind].keys()))
    return inputs | {"counts": {kind: len(current[kind]) for kind in ("model", "gpu")}}


def _all_values(catalog: Catalog, kind: str) -> list[dict[str, Any]]:
    return [entity_values(kind, entry) for entry in catalog.entries(kind).values()]


def _changed(catalog: Catalog, known: _Stored, kind: str) -> dict[str, dict[str, Any] | None]:
    entries = catalog.entries(kind)
    changed: dict[str, dict[str, Any] | None] = {slug: None for slug in known if slug not in entries}
    for slug, entry in entries.items():
        if slug not in known or known[slug][0] != entry_hash(entry):
            changed[slug] = entity_values(kind, entry)
            if kind == "workload":
                changed[slug] = {
                    **entity_values(kind, entry),
                    "slot": [str(slot) for slot in SLOTS].index(entry["kind"]),
                }
    return changed


def _current_inputs(
    catalog: Catalog,
    stored: Mapping[str, _Stored],
    changed: Mapping[str, Mapping[str, dict[str, Any] | None]],
    covered: Container[str],
) -> dict[str, dict[str, str]]:
    """Fingerprints by slug of the covered models and the GPUs, and one of all that every fit depends on."""
    prints = {kind: _fingerprints(stored[kind], changed[kind]) for kind in ("model", "gpu", "quant", "workload")}
    parts = sorted(catalog.engines)
    for kind in ("quant", "workload"):
        parts += [f"{slug}={value}" for slug, value in sorted(prints[kind].items())]
    common = hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
    gpus = {slug: _with_host(catalog, slug, value) for slug, value in prints["gpu"].items()}
    return {
        "model": {slug: value for slug, value in prints["model"].items() if slug in covered},
        "gpu": gpus,
        "common": {"common": common},
        "release": {"release": fits_version()},
    }


def _with_host(catalog: Catalog, gpu: str, fingerprint: str) -> str:
    """Fingerprint of a GPU together with the computer that it is computed in."""
    profiles = [specs.host(entry) for entry in catalog.hosts.values()]
    host = specs.fingerprint(host_for(specs.accelerator(catalog.gpus[gpu]), profiles))
    return hashlib.blake2b(f"{fingerprint}\n{host}".encode(), digest_size=16).hexdigest()


def _fingerprints(stored: _Stored, changed: Mapping[str, dict[str, Any] | None]) -> dict[str, str]:
    fingerprints = {slug: value for slug, (_, value) in stored.items() if value is not None and slug not in changed}
    fingerprints |= {
        slug: values["fingerprint"] for slug, values in changed.items() if values is not None and values["estimated"]
    }
    return dict(sorted(fingerprints.items()))


def _published_inputs(connection: Connection) -> dict[str, dict[str, str]]:
    inputs: dict[str, dict[str, str]] = {"model": {}, "gpu": {}}
    for kind in inputs:
        table = entity_table(kind)
        query = select(table.c.slug, _INPUT.c.fingerprint).where(
            _INPUT.c.kind == kind, _INPUT.c.entity_id == table.c.id
        )
        inputs[kind] = {row[0]: row[1] for row in connection.execute(query).all()}
    alone = select(_INPUT.c.kind, _INPUT.c.fingerprint).where(_INPUT.c.kind.in_(("common", "release")))
    return inputs | {row[0]: {row[0]: row[1]} for row in connection.execute(alone)}


def _blocks(
    models: Sequence[str], gpus: tuple[str, ...] | None, cells_per_model: int, block_cells: int
) -> list[PlannedBlock]:
    """Models in groups of about ``block_cells`` cells of work."""
    size = max(1, block_cells // max(cells_per_model, MODEL_COST_CELLS))
    groups = [tuple(models[start : start + size]) for start in range(0, len(models), size)]
    return [PlannedBlock(group, gpus, len(group) * cells_per_model) for group in groups]


def _catalog_reasons(changed: Mapping[str, Mapping[str, dict[str, Any] | None]]) -> list[str]:
    reasons = []
    for kind, entries in changed.items():
        gone = sum(values is None for values in entries.values())
        if len(entries) > gone:
            reasons.append(f"{len(entries) - gone} {kind} entries are new or changed")
        if gone:
            reasons.append(f"{gone} {kind} entries are gone")
    return reasons


def _why_everything(first: bool, asked: bool, new_release: bool, common_changed: bool) -> list[str]:
    """Why no stored fit is kept; empty when it is."""
    reasons = {
        "this release computes or stores fits otherwise; readers keep what is published until this run is, and the disk "
        "holds both": new_release,
        "nothing is published yet": first and not new_release,
        "everything was asked for": asked,
        "a quant, workload or engine changed": common_changed and not first,
    }
    return [reason for reason, holds in reasons.items() if holds]


def _last_pace(connection: Connection) -> float | None:
    paces = [run.cells_per_s for run in page_runs_sync(connection, limit=20) if run.is_final]
    return next((pace for pace in paces if pace), None)
