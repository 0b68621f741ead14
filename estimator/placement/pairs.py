"""One model on every pair of GPU and quant: the facts of a pair that every placement of it reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.memo import kept_within
from estimator.placement.demand import Needs
from estimator.placement.layer_split import compute_of_cards
from estimator.placement.layer_sums import ModelTables
from estimator.placement.memory import PIPELINE_COPIES, server_activation_bytes
from estimator.placement.paging import Paging, cache_copies
from estimator.placement.placements import Rig
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import EXLLAMA_ENGINES, SERVERS, Backend, Engine

#: By the code of an engine, whatever it is: whether it is one of those.
_IS_SERVER, _IS_EXLLAMA = (
    np.isin(np.arange(256), [tuple(Engine).index(engine) for engine in engines])
    for engines in (SERVERS, EXLLAMA_ENGINES)
)
_VLLM = tuple(Engine).index(Engine.VLLM)
_MLX = tuple(Engine).index(Engine.MLX)
_METAL = tuple(Backend).index(Backend.METAL)
_CPU = tuple(Backend).index(Backend.CPU)


@kept_within(1 << 20)
def pair_indices(gpus: int, quants: int) -> tuple[Ints, Ints]:
    """Index of the GPU and of the quant of every pair, each of shape (gpus x quants,)."""
    g = np.repeat(np.arange(gpus), quants)
    q = np.tile(np.arange(quants), gpus)
    g.flags.writeable = q.flags.writeable = False
    return g, q


@dataclass(frozen=True, slots=True)
class Pairs:
    """Arrays of shape (P,): GPU and quant, who drives them, and bytes.

    ``splits``: llama.cpp can move weights to system memory. ``device``: bytes of weights that a whole load holds.
    ``copies``: how often several devices keep a key and value (None: once). ``lean``: compute buffers of all devices
    without copies of the inputs, (S,). ``activation``: bytes of a server's step on all devices. ``paging``: caches of vLLM
    (None: no pair has one).
    """

    model: ModelArchitecture
    tables: ModelTables
    need: Needs
    rig: Rig
    g: Ints
    q: Ints
    available: Flags
    llama: Flags
    vllm: Flags
    on_cpu: Flags
    in_one_pool: Flags
    splits: Flags
    by_cards: Flags
    usable: Floats
    overhead: Floats
    device: Floats
    copies: Floats | None
    lean: Floats
    activation: Floats
    paging: Paging | None

    @classmethod
    def of(
        cls,
        model: ModelArchitecture,
        tables: ModelTables,
        need: Needs,
        rig: Rig,
        available: Flags,
        engine: NDArray[np.uint8],
        backend: NDArray[np.uint8],
    ) -> Pairs:
        """The pairs of ``available``, ``engine`` and ``backend``, each of shape (G, Q)."""
        g, q = pair_indices(*available.shape)
        available, engine, backend = available.ravel(), engine.ravel(), backend.ravel()
        vllm, on_cpu = _IS_SERVER[engine], backend == _CPU
        exllama = _IS_EXLLAMA[engine]
        llama = ~vllm & (engine != _MLX)
        in_one_pool = ~llama | (backend == _METAL) | on_cpu
        splits = llama & ~in_one_pool & ~exllama
        steps = rig.batched_tokens(g)
        own_table = tables.table - (tables.weights.embedding if model.tied_embeddings else 0)
        device, activation = tables.device[q] + in_one_pool * own_table[q], np.zeros(1)
        if vllm.any():
            device = device + vllm * _served(tables, own_table, rig)[q]
            activation = server_activation_bytes(model, steps, rig.ranks, rig.server.sequences) * rig.count
        return cls(
            model=model,
            tables=tables,
            need=need,
            rig=rig,
            g=g,
            q=q,
            available=available,
            llama=llama,
            vllm=vllm,
            on_cpu=on_cpu,
            in_one_pool=in_one_pool,
            splits=splits,
            by_cards=llama & ~in_one_pool & (rig.cards is not None),
            usable=rig.usable.ravel(),
            overhead=rig.overhead.ravel(),
            device=device,
            copies=cache_copies(model, rig, vllm | rig.cuts) if rig.cuts or (rig.count > 1 and vllm.any()) else None,
            lean=np.asarray(compute_of_cards(need, rig.count, pipelined=False).sum(axis=0)),
            activation=activation,
            paging=Paging.of(model, need.situations, rig, engine == _VLLM, steps),
        )

    def compute(self) -> Floats:
        """Compute buffers of all devices together, (S, P), or (S, 1) where they are the same for all pairs."""
        llama = compute_of_cards(self.need, self.rig.count, pipelined=not self.rig.cuts).sum(axis=0)[:, None]
        return np.where(self.vllm, self.activation, llama) if self.vllm.any() else llama

    def compute_host(self, s: Ints, pipelined: Flags) -> Floats:
        """System memory of buffers and outputs, of the shape of ``pipelined``, with copies of inputs for the devices."""
        need = self.need
        copies = 0.0 if self.rig.count == 1 or self.rig.cuts else (PIPELINE_COPIES - 1) * (need.inputs - need.hidden)[s]
        return np.asarray(need.compute_host[s] + copies * pipelined)


def _served(tables: ModelTables, own_table: Floats, rig: Rig) -> Floats:
    """Bytes beyond the file that a server holds: padding of its kernels, and the weights of further replicas, (Q,)."""
    device = tables.device + own_table + tables.served_padding
    experts = tables.host_experts[:, -1] + tables.served_padding
    replicas = rig.server.data_parallel - 1
    return np.asarray(tables.served_padding + replicas * (device - experts * rig.server.expert_parallel))
