"""What sits where: everything on the GPU if it fits, else the offload that reads least from system memory.

The plan is searched exactly: device need grows with every layer kept and falls with every layer of experts moved, so
the best split of each kind is one look-up in a running sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.architecture import ModelArchitecture
from estimator.cache import pad
from estimator.memory import PIPELINE_COPIES, offload_compute_bytes, split_compute_bytes
from estimator.needs import Needs
from estimator.tables import ModelTables
from estimator.types import STRATEGIES, Backend, Engine, Host, Strategy
from estimator.verdict import DOES_NOT_FIT, FITS, FITS_TIGHTLY, FITS_WITH_OFFLOAD, TIGHT_HEADROOM_FRACTION

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: System memory that the operating system and programs keep, bytes.
HOST_RESERVE_BYTES = 4 * 1024**3
#: Longest context reported for a model whose own limit is unknown, tokens.
UNKNOWN_CONTEXT_LIMIT = 1 << 24
ALL_GPU, EXPERTS, LAYERS, CPU_ONLY, NOTHING = (
    STRATEGIES.index(each)
    for each in (Strategy.ALL_GPU, Strategy.EXPERT_OFFLOAD, Strategy.LAYER_OFFLOAD, Strategy.CPU_ONLY, Strategy.NONE)
)
_VLLM = tuple(Engine).index(Engine.VLLM)
_MLX = tuple(Engine).index(Engine.MLX)
_METAL = tuple(Backend).index(Backend.METAL)
_CPU = tuple(Backend).index(Backend.CPU)


@dataclass(frozen=True, slots=True)
class Rig:
    """The hardware side: ``usable``, ``overhead`` (G, Q) and ``capacity`` (G,) bytes of ``count`` devices together."""

    usable: Floats
    capacity: Floats
    overhead: Floats
    offloads: NDArray[np.bool_]
    link_bytes_s: Floats
    count: int
    host: Host


@dataclass(frozen=True, slots=True)
class Cells:
    """Indices of the cells that run, each of shape (cells,)."""

    g: Ints
    q: Ints
    s: Ints


@dataclass(frozen=True, slots=True)
class Plan:
    """Placement of every cell, arrays (G, Q, S), and per running cell the split: ``kept`` layers, ``moved`` experts."""

    status: NDArray[np.uint8]
    strategy: NDArray[np.uint8]
    gpu_layers: NDArray[np.uint16]
    cpu_moe_layers: NDArray[np.uint16]
    weights: Ints
    kv_cache: Ints
    compute: Ints
    overhead: Ints
    host: Ints
    offload_fraction: NDArray[np.float32]
    cells: Cells
    kept: Ints
    moved: Ints
    output_on_gpu: NDArray[np.bool_]
    safe_context: Floats
    usable_cells: Floats
    total_cells: Floats


@dataclass(slots=True)
class _Split:
    """Best split per cell (G, Q, S): layers kept (-1: not even the output head) and experts moved; -2 impossible."""

    kept: Ints
    moved: Ints


def plan(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    available: NDArray[np.bool_],
    engine: NDArray[np.uint8],
    backend: NDArray[np.uint8],
    gpu_layers: int | None = None,
    cpu_moe_layers: int | None = None,
) -> Plan:
    """Place ``model`` in every situation on every device; ``gpu_layers`` and ``cpu_moe_layers`` fix the split."""
    n = model.n_layers
    shape = (*available.shape, len(need.situations))
    llama = (engine != _VLLM) & (engine != _MLX)
    in_one_pool = ~llama | (backend == _METAL) | (backend == _CPU)
    own_table = tables.table - (tables.weights.embedding if model.tied_embeddings else 0)
    device = tables.device + in_one_pool * own_table
    table_host = np.where(in_one_pool, 0.0, tables.table)
    kv_full = need.kv_last[:, n]
    compute = _compute(need, rig, engine)
    total = device[:, :, None] + kv_full + compute + rig.overhead[:, :, None]
    room = rig.usable[:, :, None] - total
    fits = available[:, :, None] & (room >= 0)
    forced = gpu_layers is not None or cpu_moe_layers is not None
    movable = available & llama & ~in_one_pool & rig.offloads[:, None]
    candidates = movable[:, :, None] & (~fits | forced)
    weights = np.broadcast_to(device[:, :, None], shape).copy()
    kv_cache = np.broadcast_to(kv_full, shape).copy()
    computed = compute.copy()
    host = np.where(llama[:, :, None], table_host[:, :, None] + _compute_host(need, rig), 0.0)
    status = np.where(fits, FITS, DOES_NOT_FIT).astype(np.uint8)
    status[fits & (room < TIGHT_HEADROOM_FRACTION * rig.usable[:, :, None])] = FITS_TIGHTLY
    cpu_only = np.broadcast_to((backend == _CPU)[:, :, None], shape)
    strategy = np.where(fits, np.where(cpu_only, CPU_ONLY, ALL_GPU), NOTHING).astype(np.uint8)
    kept = np.full(shape, n, dtype=np.int64)
    moved = np.zeros(shape, dtype=np.int64)
    fraction = np.zeros(shape, dtype=np.float32)
    layers = np.where(fits & ~cpu_only, n + 1, 0).astype(np.uint16)

    g, q, s = np.nonzero(candidates)
    if len(g):
        free = rig.usable[g, q] - rig.overhead[g, q] - computed[g, q, s]
        split = (
            _forced_split(model, len(g), gpu_layers, cpu_moe_layers)
            if forced
            else _search(model, tables, need, free, q, s)
        )
        _apply(
            model, tables, need, rig, (g, q, s), split, forced,
            weights, kv_cache, computed, host, status, strategy, kept, moved, fraction, layers,
        )  # fmt: skip
    g, q, s = np.nonzero(status < DOES_NOT_FIT)
    cells = Cells(g, q, s)
    kept_cells = kept[g, q, s]
    overhead = np.broadcast_to(rig.overhead[:, :, None], shape)
    total_cells = weights[g, q, s] + kv_cache[g, q, s] + computed[g, q, s] + overhead[g, q, s]
    return Plan(
        status=status,
        strategy=strategy,
        gpu_layers=layers,
        cpu_moe_layers=moved.astype(np.uint16),
        weights=weights.astype(np.int64),
        kv_cache=kv_cache.astype(np.int64),
        compute=computed.astype(np.int64),
        overhead=overhead.astype(np.int64),
        host=host.astype(np.int64),
        offload_fraction=fraction,
        cells=cells,
        kept=np.maximum(kept_cells, 0),
        moved=moved[g, q, s],
        output_on_gpu=kept_cells >= 0,
        safe_context=_safe_context(
            model,
            need,
            cells,
            kept_cells,
            total_cells,
            rig.usable[g, q],
            engine[g, q] == _VLLM,
            status[g, q, s] == FITS_WITH_OFFLOAD,
        ),
        usable_cells=rig.usable[g, q],
        total_cells=total_cells,
    )


def _compute(need: Needs, rig: Rig, engine: NDArray[np.uint8]) -> Floats:
    """Compute buffers of all devices together, (G, Q, S)."""
    llama = split_compute_bytes(need.compute, need.working, need.inputs, need.hidden, rig.count)
    return np.where((engine == _VLLM)[:, :, None], need.vllm_activation * rig.count, llama)


def _compute_host(need: Needs, rig: Rig) -> Floats:
    """System memory of buffers and outputs, (S,); a split over devices keeps its copies of the inputs here too."""
    copies = 0.0 if rig.count == 1 else (PIPELINE_COPIES - 1) * (need.inputs - need.hidden)
    return np.asarray(need.compute_host + copies)


def _forced_split(model: ModelArchitecture, cells: int, gpu_layers: int | None, cpu_moe_layers: int | None) -> _Split:
    kept = model.n_layers if gpu_layers is None else min(gpu_layers, model.n_layers + 1) - 1
    moved = 0 if cpu_moe_layers is None or not model.is_moe else min(cpu_moe_layers, model.n_layers)
    return _Split(np.full(cells, kept, dtype=np.int64), np.full(cells, moved, dtype=np.int64))


def _search(model: ModelArchitecture, tables: ModelTables, need: Needs, free: Floats, q: Ints, s: Ints) -> _Split:
    """The split of each cell that reads least from system memory per token."""
    n = model.n_layers
    output = tables.device - tables.device_layers[:, n]
    n_situations = len(need.situations)
    group = q * n_situations + s
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order], prepend=-1, append=np.iinfo(np.int64).max))
    kept = np.full(len(free), -2, dtype=np.int64)
    moved = np.full(len(free), -2, dtype=np.int64)
    resident = tables.device_layers[:, n] - tables.host_experts[:, n] + output
    for start, stop in pairwise(bounds):
        where = order[start:stop]
        one_q, one_s = int(q[where[0]]), int(s[where[0]])
        room = free[where] - _copies(tables, need, one_q, one_s, layers=True)
        by_layers = tables.device_layers[one_q] + output[one_q] + need.kv_last[one_s]
        found = np.searchsorted(by_layers, room, side="right") - 1
        kept[where] = np.where(room >= 0, found, -2)
        if model.is_moe:
            on_device = tables.host_experts[one_q, n] - tables.host_experts[one_q, ::-1]
            left = free[where] - _copies(tables, need, one_q, one_s, layers=False)
            left = left - resident[one_q] - need.kv_last[one_s, n]
            found = np.searchsorted(on_device, left, side="right") - 1
            moved[where] = np.where(found >= 0, n - found, -2)
    if not model.is_moe:
        return _Split(kept, np.zeros_like(kept))
    # A layer in system memory is read with its cache; experts leave their layer's cache on the device.
    read_by_layers = tables.active_layers[q, n] - tables.active_layers[q, np.maximum(kept, 0)]
    read_by_layers = read_by_layers + need.read_last[s, n] - need.read_last[s, np.maximum(kept, 0)]
    read_by_experts = tables.active_experts[q, np.maximum(moved, 0)]
    experts = (moved >= 0) & ((kept < -1) | (read_by_experts <= read_by_layers))
    return _Split(np.where(experts, n, kept), np.where(experts, moved, 0))


def _copies(tables: ModelTables, need: Needs, q: Any, s: Any, *, layers: bool) -> Floats:
    """What a plan with weights in system memory adds to the compute buffer: room for the largest weight copied over.

    Layers in system memory keep their cache there too, which attention over a prompt copies likewise.
    """
    moved = tables.largest_tensor[q]
    if layers:
        moved = np.maximum(moved, need.largest_kv[s])
    return np.asarray(np.ceil(offload_compute_bytes(need.compute[s], need.working[s], moved) - need.compute[s]))


def _apply(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    index: tuple[Ints, Ints, Ints],
    split: _Split,
    forced: bool,
    weights: Floats,
    kv_cache: Floats,
    computed: Floats,
    host: Floats,
    status: NDArray[np.uint8],
    strategy: NDArray[np.uint8],
    kept: Ints,
    moved: Ints,
    fraction: NDArray[np.float32],
    layers: NDArray[np.uint16],
) -> None:
    """Write the found splits into the cells where they run; a split that system memory cannot hold is none."""
    g, q, s = index
    n = model.n_layers
    keep = np.maximum(split.kept, 0)
    output = tables.device[q] - tables.device_layers[q, n]
    left_experts = np.where(split.kept == n, tables.host_experts[q, split.moved], 0.0)
    if forced and split.moved[0] > 0 and split.kept[0] < n:
        # Both flags given: experts of the first layers move, of which the layers left on the host already have theirs.
        left_experts = np.maximum(tables.host_experts[q, split.moved] - tables.host_experts[q, n - keep], 0.0)
    on_device = tables.device_layers[q, keep] - left_experts + np.where(split.kept >= 0, output, 0.0)
    kv_device = need.kv_last[s, keep]
    host_bytes = (
        tables.table[q] + tables.device[q] - on_device + need.kv_last[s, n] - kv_device + _compute_host(need, rig)[s]
    )
    offloads = on_device < tables.device[q]
    copies = np.where(
        split.kept < n, _copies(tables, need, q, s, layers=True), _copies(tables, need, q, s, layers=False)
    )
    extra = np.where(offloads, copies, 0.0)
    total = on_device + kv_device + computed[g, q, s] + extra + rig.overhead[g, q]
    runs = (split.kept >= -1) & (total <= rig.usable[g, q])
    runs &= ~offloads | (host_bytes <= rig.host.memory_bytes - HOST_RESERVE_BYTES)
    show = runs | forced
    at = (g[show], q[show], s[show])
    weights[at] = on_device[show]
    kv_cache[at] = kv_device[show]
    computed[at] += extra[show]
    host[at] = host_bytes[show]
    kept[at] = split.kept[show]
    moved[at] = split.moved[show]
    fraction[at] = (1.0 - on_device / tables.device[q])[show]
    layers[at] = (split.kept + 1)[show]
    at = (g[runs], q[runs], s[runs])
    tight = total > (1.0 - TIGHT_HEADROOM_FRACTION) * rig.usable[g, q]
    status[at] = np.where(offloads, FITS_WITH_OFFLOAD, np.where(tight, FITS_TIGHTLY, FITS))[runs]
    by_experts = (split.moved > 0) & (split.kept == n)
    strategy[at] = np.where(~offloads, ALL_GPU, np.where(by_experts, EXPERTS, LAYERS))[runs]
    if forced:
        status[g[~runs], q[~runs], s[~runs]] = DOES_NOT_FIT


def _safe_context(
    model: ModelArchitecture,
    need: Needs,
    cells: Cells,
    kept: Ints,
    total: Floats,
    usable: Floats,
    vllm: NDArray[np.bool_],
    offloads: NDArray[np.bool_],
) -> Floats:
    """The longest context that fits with everything on the GPU, tokens, in whole cache pages of 256.

    Under an offload it is the context that the plan was made for: a longer one would move more weights and be slower.
    """
    s = cells.s
    k = np.maximum(kept, 0)
    context = np.array([float(one.context_tokens) for one in need.situations])
    full, window, fixed = need.full_last[s, k], need.window_last[s, k], need.fixed_last[s, k]
    mask = np.where(vllm, 0.0, need.mask_slope[s] * (full > 0))
    reserve = pad(need.window_cells[s])
    free = usable - total + need.kv_last[s, k] + mask * pad(context[s]) - fixed
    growing = np.maximum(full + mask, 1e-9)
    beyond = (free - window * reserve) / growing
    within = free / np.maximum(full + window + mask, 1e-9)
    tokens = np.where(beyond >= reserve, beyond, np.minimum(within, reserve))
    tokens = np.where(offloads, 0.0, np.floor(tokens / 256.0) * 256.0)
    limit = float(model.context_tokens or UNKNOWN_CONTEXT_LIMIT)
    return np.asarray(np.minimum(np.maximum(tokens, context[s]), limit))


__all__ = ["Cells", "Plan", "Rig", "plan"]
