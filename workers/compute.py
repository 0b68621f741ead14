"""Entries to rows: a plain function from ids of a run to packed fits. No task queue in sight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from db import specs
from db.catalog_store import entries_of_run
from db.fit_packing import PackedBlock, concatenate, pack_model
from db.fit_tables import SLOTS
from estimator.architecture import ModelArchitecture
from estimator.calibration import Calibration
from estimator.grid import evaluate_block
from estimator.types import Accelerator, Host, Quant, Workload


@dataclass(frozen=True, slots=True)
class Setting:
    """What every block of a run shares: all GPUs, quants and workloads, by id."""

    gpus: dict[int, Accelerator]
    quants: dict[int, Quant]
    workloads: tuple[Workload, ...]
    host: Host
    calibration: Calibration


class CatalogGapError(LookupError):
    """The catalog of a run lacks what every block needs."""


def load_setting(connection: Connection, run_id: int) -> Setting:
    """Read what the blocks of a run share.

    Raises CatalogGapError when a workload or the default host is missing.
    """
    workloads = {
        each.kind: each for each in map(specs.workload, entries_of_run(connection, run_id, "workload").values())
    }
    missing = [kind.value for kind in SLOTS if kind not in workloads]
    if missing:
        raise CatalogGapError(
            f"the catalog has no workload of kind {', '.join(missing)}; every fit row holds all kinds"
        )
    hosts = [entry for entry in entries_of_run(connection, run_id, "host").values() if entry["default"]]
    if not hosts:
        raise CatalogGapError('the catalog has no default host; mark one host file with "default": true')
    return Setting(
        gpus={key: specs.accelerator(entry) for key, entry in entries_of_run(connection, run_id, "gpu").items()},
        quants={key: specs.quant(entry) for key, entry in entries_of_run(connection, run_id, "quant").items()},
        workloads=tuple(workloads[kind] for kind in SLOTS),
        host=specs.host(hosts[0]),
        calibration=Calibration.load(),
    )


_kept: dict[tuple[str, int], Setting] = {}


def setting_of(connection: Connection, url: str, run_id: int) -> Setting:
    """``load_setting``, kept for the last run that this process worked on."""
    if (url, run_id) not in _kept:
        loaded = load_setting(connection, run_id)
        _kept.clear()
        _kept[url, run_id] = loaded
    return _kept[url, run_id]


def load_models(connection: Connection, run_id: int, model_ids: Iterable[int]) -> dict[int, ModelArchitecture]:
    """Architectures of the models of a block."""
    return {
        key: specs.architecture(entry) for key, entry in entries_of_run(connection, run_id, "model", model_ids).items()
    }


def compute_rows(
    models: dict[int, ModelArchitecture], setting: Setting, generation: int, gpu_ids: Iterable[int] | None = None
) -> PackedBlock:
    """Evaluate ``models`` against all GPUs, or those of ``gpu_ids``, and pack the rows of ``generation``."""
    chosen = tuple(setting.gpus) if gpu_ids is None else tuple(key for key in gpu_ids if key in setting.gpus)
    gpus = tuple(setting.gpus[key] for key in chosen)
    quant_ids, quants = tuple(setting.quants), tuple(setting.quants.values())
    packed = []
    for model_id, model in models.items():
        block = evaluate_block(model, gpus, quants, setting.workloads, setting.host, setting.calibration)
        packed.append(pack_model(model_id, chosen, quant_ids, block, generation))
    return concatenate(packed)
