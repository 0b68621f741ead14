"""Where a model sits: everything on the GPU if it fits, else the offload that reads least from system memory.

Shapes: S situations, P pairs (every GPU with every quant, GPU first). Arrays are (S, P): facts of the pair or of the
situation alone are computed once and broadcast.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from estimator.placement.demand import Needs
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.placement.layer_sums import ModelTables
from estimator.placement.offload import best_split, forced_split
from estimator.placement.pairs import Pairs
from estimator.placement.placements import Placements, Rig
from estimator.placement.split import place_split
from estimator.placement.whole import WholeLoad
from estimator.structure.architecture import ModelArchitecture


def place(
    model: ModelArchitecture,
    tables: ModelTables,
    need: Needs,
    rig: Rig,
    available: NDArray[np.bool_],
    engine: NDArray[np.uint8],
    backend: NDArray[np.uint8],
    gpu_layers: int | None = None,
    cpu_moe_layers: int | None = None,
) -> Placements:
    """Place ``model`` in every situation on every device; ``gpu_layers`` and ``cpu_moe_layers`` fix the split.

    ``available``, ``engine`` and ``backend`` are of shape (G, Q).
    """
    pairs = Pairs.of(model, tables, need, rig, available, engine, backend)
    load = WholeLoad.of(pairs)
    out = load.placements(pairs)
    forced = gpu_layers is not None or cpu_moe_layers is not None
    movable = pairs.available & pairs.splits & rig.offloads[pairs.g]
    if forced:
        candidates, whole = np.broadcast_to(movable, load.fits.shape), load.fits & ~movable
    else:
        # System memory has to hold the rest: most of the largest models end here.
        host_room = rig.host_memory_bytes[pairs.g] - HOST_RESERVE_BYTES - tables.table[pairs.q] - load.compute_host
        candidates, whole = movable & ~load.fits & (load.room + host_room >= 0), load.fits
    placed_split = None
    index = np.flatnonzero(candidates)
    if len(index):
        s, p = np.divmod(index, len(pairs.q))
        if forced:
            split = forced_split(model, len(p), gpu_layers, cpu_moe_layers)
        else:
            split = best_split(pairs, pairs.usable[p] - pairs.overhead[p] - load.compute[s, p], p, s)
        placed_split = place_split(pairs, load, out, s, p, split, forced=forced)
    return replace(out, whole=load.placed(pairs, whole), split=placed_split)
