"""The offload that reads least from system memory.

The split is searched exactly: device need grows with every layer kept and falls with every layer of experts moved, so
the best split of each kind is one look-up in a running sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estimator.placement.demand import Needs
from estimator.placement.layer_split import Parts
from estimator.placement.layer_sums import ModelTables
from estimator.placement.memory import offload_compute_bytes
from estimator.placement.pairs import Pairs
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats, Ints

#: Width of one group's range of keys in a joint look-up, bytes: above any device, and exact in float64 for 1024 groups.
_KEY_SPAN = float(2**43)


@dataclass(frozen=True, slots=True)
class Split:
    """Best split per cell: layers kept (-1: not even the output head; -2: none is possible) and experts moved."""

    kept: Ints
    moved: Ints


def forced_split(model: ModelArchitecture, cells: int, gpu_layers: int | None, cpu_moe_layers: int | None) -> Split:
    kept = model.n_layers if gpu_layers is None else min(gpu_layers, model.n_layers + 1) - 1
    moved = 0 if cpu_moe_layers is None or not model.is_moe else min(cpu_moe_layers, model.n_layers)
    return Split(np.full(cells, kept, dtype=np.int64), np.full(cells, moved, dtype=np.int64))


def best_split(pairs: Pairs, free: Floats, p: Ints, s: Ints) -> Split:
    """The split of each cell that reads least from system memory per token; ``free`` bytes are for weights and cache."""
    model, tables, need, rig, q = pairs.model, pairs.tables, pairs.need, pairs.rig, pairs.q[p]
    n, situations = model.n_layers, len(need.situations)
    output = tables.device - tables.device_layers[:, n]
    group = q * situations + s
    copies = copied_bytes(tables, need, layers=True).ravel()[group]
    if rig.cards is not None:
        parts = Parts.of(tables, need, q, s)
        kept = parts.most_layers(rig.free(need, p, s, copies))
    else:
        by_layers = (tables.device_layers + output[:, None])[:, None, :] + need.kv_last
        room = free - copies
        kept = np.where(room >= 0, _last_within(by_layers.reshape(-1, n + 1), group, room), -2)
    if not model.is_moe:
        return Split(kept, np.zeros_like(kept))
    copies = copied_bytes(tables, need, layers=False).ravel()[group]
    if rig.cards is not None:
        moved = parts.fewest_moved(rig.free(need, p, s, copies))
    else:
        resident = tables.device_layers[:, n] - tables.host_experts[:, n] + output
        taken = copies + (resident[:, None] + need.kv_last[:, n]).ravel()[group]
        on_device = tables.host_experts[:, n, None] - tables.host_experts[:, ::-1]
        staying = _last_within(on_device, q, free - taken)
        moved = np.where(staying >= 0, n - staying, -2)
    # A layer in system memory is read with its cache; experts leave their layer's cache on the device.
    keep = np.maximum(kept, 0)
    left_layers = (tables.active_layers[:, n, None] - tables.active_layers).ravel()[q * (n + 1) + keep]
    host_read = need.read_last + need.passed_last
    left_cache = (host_read[:, n, None] - host_read).ravel()[s * (n + 1) + keep]
    read_by_experts = tables.active_experts.ravel()[q * (n + 1) + np.maximum(moved, 0)]
    experts = (moved >= 0) & ((kept < -1) | (read_by_experts <= left_layers + left_cache))
    return Split(np.where(experts, n, kept), np.where(experts, moved, 0))


def copied_bytes(tables: ModelTables, need: Needs, *, layers: bool) -> Floats:
    """Bytes that an offload adds to the compute buffer: room for the largest weight that is copied over.

    Shape (Q, S). Layers in system memory keep their cache there too, which attention over a prompt copies likewise.
    """
    moved = tables.largest_tensor[:, None]
    if layers:
        moved = np.maximum(moved, need.largest_kv)
    return np.asarray(np.ceil(offload_compute_bytes(need.compute, need.working, moved) - need.compute))


def _last_within(sums: Floats, group: Ints, room: Floats) -> Ints:
    """Last column of the rising sums of its group, shape (groups, columns), that ``room`` holds; -1: not even one.

    One look-up for all cells: every group's sums are shifted into a range of their own.
    """
    columns = sums.shape[1]
    keys = (np.minimum(sums, _KEY_SPAN) + (np.arange(len(sums)) * _KEY_SPAN)[:, None]).ravel()
    room_keys = np.clip(room, -1.0, _KEY_SPAN - 1.0) + group * _KEY_SPAN
    return np.asarray(np.searchsorted(keys, room_keys, side="right") - 1 - group * columns)
