"""The hardware that a model is placed on, and where its layers and experts sit.

Shapes: S situations, G GPUs, Q quants, P pairs (every GPU with every quant, GPU first).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.placement.demand import Needs
from estimator.placement.layer_split import compute_of_cards
from estimator.placement.memory import VLLM_BATCHED_TOKENS
from estimator.server_options import DEFAULT_SERVER, ServerOptions
from estimator.structure.arrays import Flags, Floats, Ints


@dataclass(frozen=True, slots=True)
class Rig:
    """The hardware side: ``usable``, ``overhead`` (G, Q) and ``capacity`` (G,) bytes of ``count`` devices together.

    ``host_memory_bytes`` and ``host_bandwidth_bytes_s`` (G,) are those of the computer around each device; ``shares_host``
    (G,) tells where the device's memory is a part of it, ``is_processor`` (G,) which devices are processors.
    ``step_tokens`` (G,) are those of a server's step where ``server`` gives none.
    ``cards`` (count, G, Q): memory of each of several beside its overhead; a layer sits on one of them. None: one pool.
    ``cuts``: llama.cpp cuts every matrix and the cache over the devices.
    """

    usable: Floats
    capacity: Floats
    overhead: Floats
    offloads: Flags
    link_bytes_s: Floats
    count: int
    host_memory_bytes: Floats
    host_bandwidth_bytes_s: Floats
    shares_host: Flags
    is_processor: Flags
    cards: Floats | None = None
    step_tokens: Ints | None = None
    server: ServerOptions = DEFAULT_SERVER
    cuts: bool = False

    def batched_tokens(self, g: Ints) -> Ints:
        """Tokens of a server's step on each of the devices ``g``."""
        if self.server.batched_tokens is not None or self.step_tokens is None:
            return np.full(g.shape, self.server.batched_tokens or VLLM_BATCHED_TOKENS)
        return self.step_tokens[g]

    @property
    def ranks(self) -> int:
        """Devices that share each layer of a server."""
        return self.server.tensor_parallel(self.count)

    def free(self, need: Needs, p: Ints, s: Ints, moved: Floats | None = None, *, pipelined: bool = False) -> Floats:
        """Bytes of each card for weights and cache, (cards, cells); the first one copies weights that are ``moved``."""
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
    runs: Flags | None
    pipelined: Any = True


@dataclass(frozen=True, slots=True)
class Placements:
    """Placement of every cell, arrays (S, P); ``whole`` loads on the device and ``split`` ones (None: there are none).

    ``weights`` to ``host`` are bytes; cells where nothing runs hold the bytes that everything would take.
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
