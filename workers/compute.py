"""Entries to rows: a plain function from ids of a run to packed fits. No task queue in sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from db.entries import specs
from db.entries.store import entries_of_run, hashes_of_run
from db.fits.layout import SLOTS
from db.fits.packing import PackedBlock, concatenate, pack_model
from estimator.calibration.coefficients import Calibration
from estimator.fleet import forget_fleets
from estimator.grid import evaluate_block
from estimator.placement.demand import needs
from estimator.placement.hosts import host_for
from estimator.placement.layer_sums import forget_models
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import is_listed
from estimator.types import Accelerator, EstimatorError, Host, Quant, Workload


@dataclass(frozen=True, slots=True)
class Setting:
    """Inputs that every block of a run shares: all GPUs with their hosts, quants and workloads, by id."""

    gpus: dict[int, Accelerator]
    quants: dict[int, Quant]
    workloads: tuple[Workload, ...]
    hosts: dict[int, Host]
    calibration: Calibration


class CatalogGapError(LookupError):
    """The catalog of a run lacks what every block needs."""


def load_setting(connection: Connection, run_id: int) -> Setting:
    """Read what the blocks of a run share.

    Raises CatalogGapError when a workload, or the host of a kind of GPUs, is missing.
    """
    parsed = {kind: _parsed(connection, run_id, kind) for kind in _PARSERS}
    workloads = {workload.kind: workload for workload in parsed["workload"].values()}
    missing = [kind.value for kind in SLOTS if kind not in workloads]
    if missing:
        raise CatalogGapError(
            f"the catalog has no workload of kind {', '.join(missing)}; every fit row holds all kinds"
        )
    profiles = [specs.host(entry) for entry in entries_of_run(connection, run_id, "host").values()]
    try:
        hosts = {key: host_for(gpu, profiles) for key, gpu in parsed["gpu"].items()}
    except EstimatorError as error:
        raise CatalogGapError(f'{error}; name the kind in "assumed_for" of a host file') from error
    return Setting(
        gpus=parsed["gpu"],
        quants=parsed["quant"],
        workloads=tuple(workloads[kind] for kind in SLOTS),
        hosts=hosts,
        calibration=Calibration.load(),
    )


_PARSERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "gpu": specs.accelerator,
    "quant": specs.quant,
    "workload": specs.workload,
}
#: By kind and id: the hash of an entry and what was made of it, as of the last run of this process.
_known: dict[str, dict[int, tuple[str, Any]]] = {kind: {} for kind in _PARSERS}


def _parsed(connection: Connection, run_id: int, kind: str) -> dict[int, Any]:
    """Entities of a run by id; an update of one entry reads and parses no other."""
    hashes, known = hashes_of_run(connection, run_id, kind), _known[kind]
    changed = [entity_id for entity_id, digest in hashes.items() if known.get(entity_id, ("",))[0] != digest]
    all_changed = len(changed) == len(hashes)
    for entity_id, entry in entries_of_run(connection, run_id, kind, None if all_changed else changed).items():
        known[entity_id] = (hashes[entity_id], _PARSERS[kind](entry))
    _known[kind] = {entity_id: known[entity_id] for entity_id in hashes}
    return {entity_id: _known[kind][entity_id][1] for entity_id in hashes}


_kept: dict[tuple[str, int], Setting] = {}


def setting_of(connection: Connection, url: str, run_id: int) -> Setting:
    """``load_setting``, kept for the last run that this process worked on."""
    if (url, run_id) not in _kept:
        loaded = load_setting(connection, run_id)
        if any(_lists(before) != _lists(loaded) for before in _kept.values()):
            forget_fleets()
        _kept.clear()
        _kept[url, run_id] = loaded
    return _kept[url, run_id]


def _lists(setting: Setting) -> tuple[dict[int, Any], ...]:
    return setting.gpus, setting.quants, setting.hosts


def load_models(connection: Connection, run_id: int, model_ids: Iterable[int]) -> dict[int, ModelArchitecture]:
    return {
        key: specs.architecture(entry) for key, entry in entries_of_run(connection, run_id, "model", model_ids).items()
    }


def compute_rows(
    models: dict[int, ModelArchitecture], setting: Setting, generation: int, gpu_ids: Iterable[int] | None = None
) -> PackedBlock:
    """Evaluate ``models`` against all GPUs, or those of ``gpu_ids``, and pack the rows of ``generation``."""
    chosen = tuple(setting.gpus) if gpu_ids is None else tuple(key for key in gpu_ids if key in setting.gpus)
    gpus = tuple(setting.gpus[key] for key in chosen)
    hosts = tuple(setting.hosts[key] for key in chosen)
    packed = []
    for model_id, model in models.items():
        quants = {key: quant for key, quant in setting.quants.items() if is_listed(quant, model)}
        block = evaluate_block(model, gpus, tuple(quants.values()), setting.workloads, hosts, setting.calibration)
        packed.append(pack_model(model_id, chosen, tuple(quants), block, generation))
    # No other block has these models: what is kept of them would only grow with the catalog.
    forget_models()
    needs.clear()
    return concatenate(packed)
