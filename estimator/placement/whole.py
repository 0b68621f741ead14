"""Loads that keep every weight and the whole cache on the devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.placement.demand import Situation, needs
from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.placement.layer_split import Parts
from estimator.placement.layer_sums import model_tables
from estimator.placement.memory import VLLM_BATCHED_TOKENS, server_activation_bytes
from estimator.placement.pairs import Pairs
from estimator.placement.placements import Placed, Placements
from estimator.placement.safe_context import held_cache, safe_context, safe_context_on_cards
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.structure.kv_cache import CACHE_BYTES
from estimator.types import ENGINES, SERVERS, STRATEGIES, CacheType, Engine, Quant, Strategy
from estimator.verdict import DOES_NOT_FIT, FITS, FITS_TIGHTLY, TIGHT_HEADROOM_FRACTION

#: Share of pairs below which those that hold the model are gathered, and pairs from which on this saves time.
_FEW, _MANY = 0.7, 100
_ALL_GPU, _CPU_ONLY, _NOTHING = map(STRATEGIES.index, (Strategy.ALL_GPU, Strategy.CPU_ONLY, Strategy.NONE))
#: By whether everything fits, and does so tightly or on a CPU: the sum of both.
_STATUS_OF = np.array([DOES_NOT_FIT, FITS, FITS_TIGHTLY], dtype=np.uint8)
_STRATEGY_OF = np.array([_NOTHING, _ALL_GPU, _CPU_ONLY], dtype=np.uint8)
_VLLM = ENGINES.index(Engine.VLLM)
_SERVERS = [ENGINES.index(server) for server in SERVERS]


@dataclass(frozen=True, slots=True)
class WholeLoad:
    """Bytes that everything would take in each cell, (S, P), and where it fits.

    ``held``: all but the compute buffers. ``pipelined``: devices have room for copies of the inputs.
    """

    fits: Flags
    pipelined: Flags
    kv_cache: Floats
    held: Floats
    compute: Floats
    compute_host: Floats
    total: Floats
    room: Floats

    @classmethod
    def of(cls, pairs: Pairs) -> WholeLoad:
        """The load of each pair of a model in each situation."""
        need, usable = pairs.need, pairs.usable
        kv_cache = held_cache(need.kv_last[:, -1, None], need.fixed_last[:, -1, None], pairs.copies)
        if pairs.paging is not None:
            kv_cache = pairs.paging.cache(kv_cache)
        loaded_bytes = pairs.device + pairs.overhead + kv_cache
        compute = pairs.compute()
        fits = pairs.available & _tables_fit(pairs, loaded_bytes + compute) & (usable - loaded_bytes - compute >= 0)
        pipelined, by_cards, lean = fits, pairs.by_cards, pairs.lean[:, None]
        if by_cards.any():
            # Copies of the inputs on every card are the first to give way, then layers.
            pipelined = fits & (~by_cards | _on_cards(pairs, fits & by_cards, pipelined=True))
            without = by_cards & ~pipelined & pairs.available & (usable - loaded_bytes - lean >= 0)
            without &= _tables_fit(pairs, loaded_bytes + lean)
            fits = pipelined | _on_cards(pairs, without, pipelined=False)
            compute = np.where(by_cards & ~pipelined, lean, compute)
        compute = np.broadcast_to(compute, fits.shape)
        compute_host = pairs.compute_host(np.arange(len(fits))[:, None], pipelined)
        total = loaded_bytes + compute
        return cls(fits, pipelined, kv_cache, loaded_bytes, compute, compute_host, total, usable - total)

    def status(self, pairs: Pairs) -> NDArray[np.uint8]:
        """Status of each cell (S, P)."""
        tight = self.room < TIGHT_HEADROOM_FRACTION * pairs.usable
        return _STATUS_OF[self.fits.view(np.uint8) + (self.fits & tight)]

    def placements(self, pairs: Pairs) -> Placements:
        """Everything on the devices where it fits, nothing elsewhere."""
        fits, on_cpu, shape = self.fits, pairs.on_cpu, self.fits.shape

        def filled(values: Any) -> Ints:
            out = np.empty(shape, dtype=np.int64)
            out[...] = values
            return out

        table = np.where(pairs.in_one_pool, 0.0, pairs.tables.table[pairs.q])
        return Placements(
            status=self.status(pairs),
            strategy=_STRATEGY_OF[fits.view(np.uint8) + (fits & on_cpu)],
            gpu_layers=(fits & ~on_cpu) * np.uint16(pairs.model.n_layers + 1),
            cpu_moe_layers=np.zeros(shape, dtype=np.uint16),
            weights=filled(pairs.device),
            kv_cache=filled(self.kv_cache),
            compute=filled(self.compute),
            overhead=np.broadcast_to(pairs.overhead.astype(np.int64), shape),
            host=filled(table + pairs.llama * self.compute_host),
            offload_fraction=np.zeros(shape, dtype=np.float32),
            whole=None,
            split=None,
        )

    def placed(self, pairs: Pairs, runs: Flags) -> Placed | None:
        """The cells of ``runs`` (S, P); None when there are none."""
        holding = np.flatnonzero(runs.any(axis=0))
        if not len(holding):
            return None
        # Where few of many pairs hold the model, gathering them is quicker than asking all.
        count = runs.shape[1]
        few = count >= _MANY and len(holding) < _FEW * count
        p, at = (holding, holding) if few else (np.arange(count), slice(None))
        return Placed(
            p=p,
            g=pairs.g[at],
            q=pairs.q[at],
            s=np.arange(len(runs))[:, None],
            kept=np.asarray(pairs.model.n_layers),
            moved=np.asarray(0),
            output_on_gpu=np.asarray(True),
            # vLLM also keeps the input table on the device; a prompt looks up rows of it and reads none of the rest.
            weights=pairs.tables.device[pairs.q[at]],
            on_host=np.asarray(0.0),
            total=self.total[:, at],
            usable=pairs.usable[at],
            safe_context=self._safe_context(pairs, runs, p, at),
            runs=runs[:, at],
            pipelined=True if pairs.rig.cards is None else self.pipelined[:, at],
        )

    def _safe_context(self, pairs: Pairs, runs: Flags, p: Ints, at: Any) -> Floats:
        model, need, by_cards = pairs.model, pairs.need, pairs.by_cards
        compute = np.where(by_cards, pairs.lean[:, None], self.compute)[:, at]
        room = pairs.usable[at] - self.held[:, at] - compute
        situations = np.arange(len(runs))[:, None]
        copies = None if pairs.copies is None else pairs.copies[at]
        safe = safe_context(model, need, situations, model.n_layers, room, pairs.vllm[at], copies=copies)
        if pairs.paging is not None:
            cache = np.broadcast_to(self.kv_cache, self.held.shape)[:, at]
            safe = pairs.paging.safe_context(np.broadcast_to(room + cache, runs[:, at].shape), p, safe)
        if not by_cards.any():
            return safe
        limited = np.broadcast_to(safe, room.shape).copy()
        s_at, p_at = np.nonzero(runs[:, at] & by_cards[at])
        limited[s_at, p_at] = safe_context_on_cards(pairs, p[p_at], s_at, limited[s_at, p_at])
        return limited


def _on_cards(pairs: Pairs, asked: Flags, *, pipelined: bool) -> Flags:
    """Cells of ``asked`` that have every layer whole on one of the cards."""
    s, p = np.nonzero(asked)
    parts = Parts.of(pairs.tables, pairs.need, pairs.q[p], s)
    holds_all = np.zeros_like(asked)
    holds_all[s, p] = parts.most_layers(pairs.rig.free(pairs.need, p, s, pipelined=pipelined)) == parts.all - 1
    return holds_all


def _tables_fit(pairs: Pairs, on_device: Floats) -> Flags:
    """Where system memory holds the input tables beside ``on_device`` bytes (S, P), which may share it.

    Tables within the reserve of the operating system always do: they are read a row at a time from a mapped file.
    """
    tables = pairs.tables.table[pairs.q] * ~pairs.in_one_pool
    if not (tables > HOST_RESERVE_BYTES).any():
        return np.ones(1, np.bool_)
    memory = pairs.rig.host_memory_bytes[pairs.g]
    together = np.maximum(pairs.usable, memory - HOST_RESERVE_BYTES) - on_device - tables >= 0
    beside = np.where(pairs.rig.shares_host[pairs.g], together, memory - tables >= 0)
    return np.asarray(beside | (tables <= HOST_RESERVE_BYTES))


@dataclass(frozen=True, slots=True)
class LeastWholeLoads:
    """What whole loads of many models take at least on one device, without laying any of them out.

    Bytes: ``weights`` (models, quants); ``cache`` of the planned context of a stream, and ``compute`` buffers
    of an engine or an ``activation`` of a server, (models, 1).

    Caches of vLLM: ``full`` bytes of a token and ``state`` bytes of a stream, (models, 1), and all windows one after the
    other, ``window`` bytes of a token and ``window_tokens`` kept, from ``begins`` (models,) on. All 0 where vLLM's rows differ.
    """

    weights: Floats
    cache: Floats
    compute: Floats
    activation: Floats
    full: Floats
    state: Floats
    window: Floats
    window_tokens: Floats
    begins: Ints

    @classmethod
    def of(
        cls, models: Sequence[ModelArchitecture], quants: tuple[Quant, ...], situation: Situation
    ) -> LeastWholeLoads:
        """The loads of one model or more in a situation, whatever its streams."""
        alone, size = (replace(situation, batch=1, expected_occupancy=False),), CACHE_BYTES[CacheType.F16]
        rows, weights, windows, window_tokens = [], [], [], []
        for model in models:
            tables, need = model_tables(model, quants), needs(model, alone)
            shape = tables.shape
            # Latent rows and compressed contexts are kept in other types there.
            alike = float(model.latent is None and not any(model.compress_ratios))
            rows.append((
                need.kv_last[0, -1], need.compute[0], server_activation_bytes(model, VLLM_BATCHED_TOKENS),
                alike * size * shape.full_elements.sum(), alike * shape.state_bytes.sum(),
            ))  # fmt: skip
            weights.append(tables.device)
            windows.append(alike * size * shape.window_elements)
            window_tokens.append(shape.window_tokens)
        begins = np.cumsum([0, *(len(window) for window in windows[:-1])])
        cache, compute, activation, full, state = np.array(rows, dtype=np.float64).T[:, :, None]
        return cls(
            np.array(weights), cache, compute, activation, full, state,
            np.concatenate(windows), np.concatenate(window_tokens), begins,
        )  # fmt: skip

    def total(self, engine: NDArray[np.uint8], overhead: Floats, situation: Situation) -> Floats:
        """Bytes of each model under ``situation``, (models, quants); of each quant the code of its ``engine``, and what it
        takes beside its own buffers."""
        tokens = situation.held_tokens
        windows = self.window * np.minimum(self.window_tokens, tokens)
        paged = self.full * tokens + np.add.reduceat(windows, self.begins)[:, None] + self.state
        cache = situation.batch * np.where(engine == _VLLM, paged, self.cache)
        buffers = np.where(np.isin(engine, _SERVERS), self.activation, self.compute)
        return np.asarray(self.weights + overhead + cache + buffers)
