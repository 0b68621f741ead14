"""What sits where: everything on the GPU if it fits, else the offload that reads least from system memory.

The plan is searched exactly: device need grows with every layer kept and falls with every layer of experts moved, so
the best split of each kind is one look-up in a running sum.

Shapes: S situations, P pairs (every GPU with every quant, GPU first). Arrays are (S, P), so that what depends on the
pair or on the situation alone is computed once and broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.memo import kept_within
from estimator.placement.demand import Needs
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.placement.layer_split import Parts, compute_of_cards
from estimator.placement.layer_sums import ModelTables
from estimator.placement.memory import PIPELINE_COPIES, cache_copies, offload_compute_bytes
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.kv_cache import pad
from estimator.types import STRATEGIES, Backend, Engine, Host, Strategy
from estimator.verdict import DOES_NOT_FIT, FITS, FITS_TIGHTLY, FITS_WITH_OFFLOAD, TIGHT_HEADROOM_FRACTION

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
#: Share of pairs below which those that hold the model are gathered.
_FEW = 0.7
#: By whether everything fits, and does so tightly or on a CPU: the sum of both.
_STATUS_OF = np.array([DOES_NOT_FIT, FITS, FITS_TIGHTLY], dtype=np.uint8)
_STRATEGY_OF = np.array([NOTHING, ALL_GPU, CPU_ONLY], dtype=np.uint8)
#: Width of one group's range of keys in a joint look-up, bytes: above any device, and exact in float64 for 1024 groups.
_KEY_SPAN = float(2**43)


@dataclass(frozen=True, slots=True)
class Rig:
    """The hardware side: ``usable``, ``overhead`` (G, Q) and ``capacity`` (G,) bytes of ``count`` devices together.

    ``cards`` (count, G, Q): what each of several has beside its overhead; a layer sits on one of them. None: one pool.
    """

    usable: Floats
    capacity: Floats
    overhead: Floats
    offloads: NDArray[np.bool_]
    link_bytes_s: Floats
    count: int
    host: Host
    cards: Floats | None = None

    def free(self, need: Needs, p: Ints, s: Ints, moved: Floats | None = None, *, pipelined: bool = False) -> Floats:
        """Bytes of each card for weights and cache, (cards, cells); the first one copies what is ``moved`` elsewhere."""
        assert self.cards is not None
        free = self.cards.reshape(self.count, -1)[:, p] - compute_of_cards(need, self.count, pipelined=pipelined)[:, s]
        if moved is not None:
            free[0] -= moved
        return free


@dataclass(frozen=True, slots=True)
class Placed:
    """Cells that run under one kind of placement, and how.

    Everything broadcasts together. Whole loads: ``p``, ``g``, ``q`` (pairs,), ``s`` (S, 1), the split is one number, and
    ``runs`` (S, pairs) tells which cells run. Split loads: every array is of shape (cells,), and ``runs`` is None.
    ``kept`` layers and the experts of ``moved`` others: on the device; ``weights`` device bytes. ``pipelined``: several
    devices have room to work on micro-batches at once.
    """

    p: Ints
    g: Ints
    q: Ints
    s: Ints
    kept: Any
    moved: Any
    output_on_gpu: Any
    weights: Floats
    on_host: Any
    total: Floats
    usable: Floats
    safe_context: Floats
    runs: NDArray[np.bool_] | None
    pipelined: Any = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Placement of every cell, arrays (S, P); ``whole`` loads on the device and ``split`` ones (None: there are none).

    ``weights`` to ``host`` are bytes, of cells where nothing runs too: what holding everything would take.
    """

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
    whole: Placed | None
    split: Placed | None


@dataclass(slots=True)
class _Split:
    """Best split per cell: layers kept (-1: not even the output head; -2: none is possible) and experts moved."""

    kept: Ints
    moved: Ints


@kept_within(1 << 20)
def pairs(gpus: int, quants: int) -> tuple[Ints, Ints]:
    """Index of the GPU and of the quant of every pair, each of shape (gpus x quants,)."""
    g = np.repeat(np.arange(gpus), quants)
    q = np.tile(np.arange(quants), gpus)
    g.flags.writeable = q.flags.writeable = False
    return g, q


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
    """Place ``model`` in every situation on every device; ``gpu_layers`` and ``cpu_moe_layers`` fix the split.

    ``available``, ``engine`` and ``backend`` are of shape (G, Q).
    """
    n = model.n_layers
    g_of, q_of = pairs(*available.shape)
    available, engine, backend = available.ravel(), engine.ravel(), backend.ravel()
    usable, overhead = rig.usable.ravel(), rig.overhead.ravel()
    vllm, on_cpu = engine == _VLLM, backend == _CPU
    llama = ~vllm & (engine != _MLX)
    in_one_pool = ~llama | (backend == _METAL) | on_cpu
    own_table = tables.table - (tables.weights.embedding if model.tied_embeddings else 0)
    device = tables.device[q_of] + in_one_pool * own_table[q_of]
    copies = cache_copies(model, rig.count, vllm) if rig.count > 1 and vllm.any() else None
    kv_full = _held_cache(need.kv_last[:, n, None], need.fixed_last[:, n, None], copies)
    held, lean = device + overhead + kv_full, _lean_compute(need, rig)
    compute = _compute(need, rig, vllm)
    fits = available & (usable - held - compute >= 0)
    shape = fits.shape
    by_cards = llama & ~in_one_pool & (rig.cards is not None)
    pipelined = fits
    if by_cards.any():
        # Copies of the inputs on every card are what gives way first, then layers.
        pipelined = fits & (~by_cards | _on_cards(tables, need, rig, fits & by_cards, q_of, pipelined=True))
        without = by_cards & ~pipelined & available & (usable - held - lean[:, None] >= 0)
        fits = pipelined | _on_cards(tables, need, rig, without, q_of, pipelined=False)
        compute = np.where(by_cards & ~pipelined, lean[:, None], compute)
    compute = np.broadcast_to(compute, shape)
    compute_host = _compute_host(need, rig, np.arange(shape[0])[:, None], pipelined)
    total = held + compute
    room = usable - total

    def filled(values: Any) -> Ints:
        out = np.empty(shape, dtype=np.int64)
        out[...] = values
        return out

    tight = room < TIGHT_HEADROOM_FRACTION * usable
    out = Plan(
        status=_STATUS_OF[fits.view(np.uint8) + (fits & tight)],
        strategy=_STRATEGY_OF[fits.view(np.uint8) + (fits & on_cpu)],
        gpu_layers=(fits & ~on_cpu) * np.uint16(n + 1),
        cpu_moe_layers=np.zeros(shape, dtype=np.uint16),
        weights=filled(device),
        kv_cache=filled(kv_full),
        compute=filled(compute),
        overhead=np.broadcast_to(overhead.astype(np.int64), shape),
        host=filled(
            np.where(in_one_pool, 0.0, tables.table[q_of]) + llama * compute_host,
        ),
        offload_fraction=np.zeros(shape, dtype=np.float32),
        whole=None,
        split=None,
    )
    forced = gpu_layers is not None or cpu_moe_layers is not None
    movable = available & llama & ~in_one_pool & rig.offloads[g_of]
    # What the device cannot hold has to fit into system memory: most of the largest models end here.
    host_room = rig.host.memory_bytes - HOST_RESERVE_BYTES - tables.table[q_of] - compute_host
    candidates = movable & ~fits & (room + host_room >= 0)
    whole = fits
    if forced:
        candidates, whole = np.broadcast_to(movable, shape), fits & ~movable
    split = None
    index = np.flatnonzero(candidates)
    if len(index):
        s = index // shape[1]
        p = index - s * shape[1]
        q = q_of[p]
        if forced:
            found = _forced_split(model, len(p), gpu_layers, cpu_moe_layers)
        else:
            free = usable[p] - overhead[p] - compute[s, p]
            found = _search(model, tables, need, free, rig, p, q, s)
        split = _apply(
            model, tables, need, rig, out, (s, p, g_of[p], q), found, usable[p], overhead[p], forced, pipelined
        )
    holding = np.flatnonzero(whole.any(axis=0))
    everything = None
    if len(holding):
        # Where few pairs hold the model, gathering them is quicker than asking all.
        few = len(holding) < _FEW * shape[1]
        p, at = (holding, holding) if few else (np.arange(shape[1]), slice(None))
        total = total[:, at]
        room = usable[at] - held[:, at] - np.where(by_cards, lean[:, None], compute)[:, at]
        situations = np.arange(shape[0])[:, None]
        safe = _safe_context(model, need, situations, n, room, vllm[at], copies=None if copies is None else copies[at])
        if by_cards.any():
            limited = np.broadcast_to(safe, total.shape).copy()
            s_at, p_at = np.nonzero(whole[:, at] & by_cards[at])
            limited[s_at, p_at] = _safe_on_cards(tables, need, rig, p[p_at], s_at, limited[s_at, p_at], q_of[p[p_at]])
            safe = limited
        everything = Placed(
            p=p,
            g=g_of[at],
            q=q_of[at],
            s=situations,
            kept=np.asarray(n),
            moved=np.asarray(0),
            output_on_gpu=np.asarray(True),
            # vLLM also keeps the input table on the device; a prompt looks up rows of it and reads none of the rest.
            weights=tables.device[q_of[at]],
            on_host=np.asarray(0.0),
            total=total,
            usable=usable[at],
            safe_context=safe,
            runs=whole[:, at],
            pipelined=True if rig.cards is None else pipelined[:, at],
        )
    return replace(out, whole=everything, split=split)


def _on_cards(
    tables: ModelTables, need: Needs, rig: Rig, asked: NDArray[np.bool_], q_of: Ints, *, pipelined: bool
) -> NDArray[np.bool_]:
    """Which of the ``asked`` cells have every layer whole on one of the cards."""
    s, p = np.nonzero(asked)
    parts = Parts.of(tables, need, q_of[p], s)
    found = np.zeros_like(asked)
    found[s, p] = parts.most_layers(rig.free(need, p, s, pipelined=pipelined)) == parts.all - 1
    return found


def _safe_on_cards(tables: ModelTables, need: Needs, rig: Rig, p: Ints, s: Ints, pooled: Floats, q: Ints) -> Floats:
    """The longest context of cells that cards hold whole; ``pooled`` is that of all their memory in one pool."""
    return np.minimum(Parts.of(tables, need, q, s).longest_context(rig.free(need, p, s), pooled), pooled)


def _held_cache(cache: Floats, fixed: Floats, copies: Floats | None) -> Floats:
    """Bytes that all devices hold of a cache of which each key and value is kept ``copies`` times, its state once."""
    return cache if copies is None else fixed + (cache - fixed) * copies


def _compute(need: Needs, rig: Rig, vllm: NDArray[np.bool_]) -> Floats:
    """Compute buffers of all devices together, (S, P), or (S, 1) where they are the same of all."""
    llama = compute_of_cards(need, rig.count, pipelined=True).sum(axis=0)[:, None]
    return np.where(vllm, need.vllm_activation * rig.count, llama) if vllm.any() else llama


def _lean_compute(need: Needs, rig: Rig) -> Floats:
    """Compute buffers of all devices together without copies of the inputs, (S,)."""
    return np.asarray(compute_of_cards(need, rig.count, pipelined=False).sum(axis=0))


def _compute_host(need: Needs, rig: Rig, s: Ints, pipelined: NDArray[np.bool_]) -> Floats:
    """System memory of buffers and outputs, of the shape of ``pipelined``: devices so keep their copies of inputs here too."""
    copies = 0.0 if rig.count == 1 else (PIPELINE_COPIES - 1) * (need.inputs - need.hidden)[s]
    return np.asarray(need.compute_host[s] + copies * pipelined)


def _forced_split(model: ModelArchitecture, cells: int, gpu_layers: int | None, cpu_moe_layers: int | None) -> _Split:
    kept = model.n_layers if gpu_layers is None else min(gpu_layers, model.n_layers + 1) - 1
    moved = 0 if cpu_moe_layers is None or not model.is_moe else min(cpu_moe_layers, model.n_layers)
    return _Split(np.full(cells, kept, dtype=np.int64), np.full(cells, moved, dtype=np.int64))


def _search(
    model: ModelArchitecture, tables: ModelTables, need: Needs, free: Floats, rig: Rig, p: Ints, q: Ints, s: Ints
) -> _Split:
    """The split of each cell that reads least from system memory per token; ``free`` is what weights and cache get."""
    n, situations = model.n_layers, len(need.situations)
    output = tables.device - tables.device_layers[:, n]
    group = q * situations + s
    copies = _copies(tables, need, layers=True).ravel()[group]
    if rig.cards is not None:
        parts = Parts.of(tables, need, q, s)
        kept = parts.most_layers(rig.free(need, p, s, copies))
    else:
        by_layers = (tables.device_layers + output[:, None])[:, None, :] + need.kv_last
        room = free - copies
        kept = np.where(room >= 0, _last_within(by_layers.reshape(-1, n + 1), group, room), -2)
    if not model.is_moe:
        return _Split(kept, np.zeros_like(kept))
    copies = _copies(tables, need, layers=False).ravel()[group]
    if rig.cards is not None:
        moved = parts.fewest_moved(rig.free(need, p, s, copies))
    else:
        resident = tables.device_layers[:, n] - tables.host_experts[:, n] + output
        taken = copies + (resident[:, None] + need.kv_last[:, n]).ravel()[group]
        on_device = tables.host_experts[:, n, None] - tables.host_experts[:, ::-1]
        found = _last_within(on_device, q, free - taken)
        moved = np.where(found >= 0, n - found, -2)
    # A layer in system memory is read with its cache; experts leave their layer's cache on the device.
    keep = np.maximum(kept, 0)
    left_layers = (tables.active_layers[:, n, None] - tables.active_layers).ravel()[q * (n + 1) + keep]
    left_cache = (need.read_last[:, n, None] - need.read_last).ravel()[s * (n + 1) + keep]
    read_by_experts = tables.active_experts.ravel()[q * (n + 1) + np.maximum(moved, 0)]
    experts = (moved >= 0) & ((kept < -1) | (read_by_experts <= left_layers + left_cache))
    return _Split(np.where(experts, n, kept), np.where(experts, moved, 0))


def _last_within(sums: Floats, group: Ints, room: Floats) -> Ints:
    """Of the rising sums of its group, shape (groups, columns), the last column that ``room`` holds; -1: not even one.

    One look-up for all cells: every group's sums are shifted into a range of their own.
    """
    columns = sums.shape[1]
    keys = (np.minimum(sums, _KEY_SPAN) + (np.arange(len(sums)) * _KEY_SPAN)[:, None]).ravel()
    asked = np.clip(room, -1.0, _KEY_SPAN - 1.0) + group * _KEY_SPAN
    return np.asarray(np.searchsorted(keys, asked, side="right") - 1 - group * columns)


def _copies(tables: ModelTables, need: Needs, *, layers: bool) -> Floats:
    """What a plan with weights in system memory adds to the compute buffer: room for the largest weight copied over.

    Shape (Q, S). Layers in system memory keep their cache there too, which attention over a prompt copies likewise.
    """
    moved = tables.largest_tensor[:, None]
    if layers:
        moved = np.maximum(moved, need.largest_kv)
    return np.asarray(np.ceil(offload_compute_bytes(need.compute, need.working, moved) - need.compute))


def _apply(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    out: Plan,
    index: tuple[Ints, Ints, Ints, Ints],
    split: _Split,
    usable: Floats,
    overhead: Floats,
    forced: bool,
    pipelined: NDArray[np.bool_],
) -> Placed | None:
    """Write the found splits into the cells where they run; a split that system memory cannot hold is none."""
    if not forced:
        possible = np.flatnonzero(split.kept >= -1)
        index = tuple(each[possible] for each in index)  # type: ignore[assignment]
        usable, overhead = usable[possible], overhead[possible]
        split = _Split(split.kept[possible], split.moved[possible])
    s, p, g, q = index
    n = model.n_layers
    kept, moved = split.kept, split.moved
    keep = np.maximum(kept, 0)
    group = q * len(need.situations) + s
    device = tables.device[q]
    left_experts = np.where(kept == n, tables.host_experts.ravel()[q * (n + 1) + moved], 0.0)
    if forced and moved[0] > 0 and kept[0] < n:
        # Both flags given: experts of the first layers move, of which the layers left on the host already have theirs.
        left_experts = np.maximum(tables.host_experts[q, moved] - tables.host_experts[q, n - keep], 0.0)
    output = (tables.device - tables.device_layers[:, n])[q]
    on_device = tables.device_layers.ravel()[q * (n + 1) + keep] - left_experts + np.where(kept >= 0, output, 0.0)
    kv_device = need.kv_last.ravel()[s * (n + 1) + keep]
    offloads = on_device < device
    pipelined = pipelined[s, p] & ~offloads
    host_bytes = tables.table[q] + device - on_device + need.kv_last[:, n][s] - kv_device
    host_bytes += _compute_host(need, rig, s, pipelined)
    copies = np.where(
        kept < n, _copies(tables, need, layers=True).ravel()[group], _copies(tables, need, layers=False).ravel()[group]
    )
    copies = np.where(offloads, copies, 0.0)
    compute = np.where(offloads, _lean_compute(need, rig)[s], out.compute[s, p]) + copies
    total = on_device + kv_device + compute + overhead
    runs = (kept >= -1) & (total <= usable)
    if forced and rig.cards is not None:
        runs &= Parts.of(tables, need, q, s).reached(moved, rig.free(need, p, s, copies)) > kept
    runs &= ~offloads | (host_bytes <= rig.host.memory_bytes - HOST_RESERVE_BYTES)
    running = np.flatnonzero(runs)
    show = slice(None) if forced else running
    at = s[show] * out.status.shape[1] + p[show]
    out.weights.ravel()[at] = on_device[show]
    out.kv_cache.ravel()[at] = kv_device[show]
    out.compute.ravel()[at] = compute[show]
    out.host.ravel()[at] = host_bytes[show]
    out.cpu_moe_layers.ravel()[at] = moved[show]
    out.offload_fraction.ravel()[at] = (1.0 - on_device / device)[show]
    out.gpu_layers.ravel()[at] = (kept + 1)[show]
    tight = total > (1.0 - TIGHT_HEADROOM_FRACTION) * usable
    status = np.where(offloads, FITS_WITH_OFFLOAD, np.where(tight, FITS_TIGHTLY, FITS))
    by_experts = (moved > 0) & (kept == n)
    strategy = np.where(~offloads, ALL_GPU, np.where(by_experts, EXPERTS, LAYERS))
    out.status.ravel()[at] = np.where(runs, status, DOES_NOT_FIT)[show]
    if forced:
        at = s[running] * out.status.shape[1] + p[running]
    out.strategy.ravel()[at] = strategy[running]
    if not len(running):
        return None
    s, p, g, q, kept = (each[running] for each in (s, p, g, q, kept))
    total, usable, on_device = (each[running] for each in (total, usable, on_device))
    safe = _safe_context(model, need, s, np.maximum(kept, 0), usable - total, np.zeros(1, np.bool_), offloads[running])
    if rig.cards is not None and not offloads[running].all():
        safe = np.where(offloads[running], safe, _safe_on_cards(tables, need, rig, p, s, safe, q))
    return Placed(
        p=p,
        g=g,
        q=q,
        s=s,
        kept=np.maximum(kept, 0),
        moved=moved[running],
        output_on_gpu=kept >= 0,
        weights=on_device,
        on_host=device[running] - on_device,
        total=total,
        usable=usable,
        safe_context=safe,
        runs=None,
        pipelined=pipelined[running],
    )


def _safe_context(
    model: ModelArchitecture,
    need: Needs,
    s: Ints,
    kept: Any,
    room: Floats,
    vllm: NDArray[np.bool_],
    offloads: NDArray[np.bool_] | None = None,
    copies: Floats | None = None,
) -> Floats:
    """The longest context that fits with everything on the GPU, tokens, in whole cache pages of 256; ``room`` is free.

    Under an offload it is the context that the plan was made for: a longer one would move more weights and be slower.
    """
    context = np.array([float(one.context_tokens) for one in need.situations])
    limit = float(model.context_tokens or UNKNOWN_CONTEXT_LIMIT)
    if offloads is not None and offloads.all():
        return np.asarray(np.minimum(context, limit)[s])
    full, window, fixed = need.full_last[s, kept], need.window_last[s, kept], need.fixed_last[s, kept]
    mask = need.mask_slope[s] * (full > 0)
    if vllm.any():
        mask = mask * ~vllm
    reserve = pad(need.window_cells[s])
    held = _held_cache(need.kv_last[s, kept], fixed, copies)
    if copies is not None:
        full, window = full * copies, window * copies
    free = room + (held + mask * pad(context[s]) - fixed)
    beyond = (free - window * reserve) / np.maximum(full + mask, 1e-9)
    if (window > 0).any():
        within = free / np.maximum(full + window + mask, 1e-9)
        beyond = np.where(beyond >= reserve, beyond, np.minimum(within, reserve))
    tokens = np.floor(beyond / 256.0) * 256.0
    if offloads is not None:
        tokens = np.where(offloads, 0.0, tokens)
    return np.asarray(np.minimum(np.maximum(tokens, context[s]), limit))


__all__ = ["Placed", "Plan", "Rig", "pairs", "plan"]
