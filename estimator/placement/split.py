"""Loads that a split puts on the device and into system memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estimator.placement.hardware import HOST_RESERVE_BYTES
from estimator.placement.layer_split import Parts
from estimator.placement.offload import Split, copied_bytes
from estimator.placement.pairs import Pairs
from estimator.placement.placements import Placed, Placements
from estimator.placement.safe_context import safe_context, safe_context_on_cards
from estimator.placement.whole import WholeLoad
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.types import STRATEGIES, Strategy
from estimator.verdict import DOES_NOT_FIT, FITS, FITS_TIGHTLY, FITS_WITH_OFFLOAD, TIGHT_HEADROOM_FRACTION

_ALL_GPU, _EXPERTS, _LAYERS = map(STRATEGIES.index, (Strategy.ALL_GPU, Strategy.EXPERT_OFFLOAD, Strategy.LAYER_OFFLOAD))


@dataclass(frozen=True, slots=True)
class SplitLoad:
    """Bytes of split cells, arrays of shape (cells,): situation ``s``, pair ``p``, layers kept and experts moved."""

    s: Ints
    p: Ints
    kept: Ints
    moved: Ints
    weights: Floats
    kv_cache: Floats
    compute: Floats
    copies: Floats
    host: Floats
    total: Floats
    offloads: Flags
    pipelined: Flags

    @classmethod
    def of(cls, pairs: Pairs, whole: WholeLoad, out: Placements, s: Ints, p: Ints, split: Split) -> SplitLoad:
        """The load of the cells (``s``, ``p``) under ``split``; ``out`` are the placements of whole loads."""
        tables, need, n, q = pairs.tables, pairs.need, pairs.model.n_layers, pairs.q[p]
        kept, device = split.kept, tables.device[q]
        keep = np.maximum(kept, 0)
        weights = _device_weights(pairs, q, split)
        kv_cache = need.kv_last.ravel()[s * (n + 1) + keep]
        offloads = weights < device
        pipelined = whole.pipelined[s, p] & ~offloads
        host = tables.table[q] + device - weights + need.kv_last[:, n][s] - kv_cache
        host += pairs.compute_host(s, pipelined)
        group = q * len(need.situations) + s
        by_layers, by_experts = (copied_bytes(tables, need, layers=layers).ravel()[group] for layers in (True, False))
        copies = np.where(offloads, np.where(kept < n, by_layers, by_experts), 0.0)
        compute = np.where(offloads, pairs.lean[s], out.compute[s, p]) + copies
        total = weights + kv_cache + compute + pairs.overhead[p]
        return cls(s, p, kept, split.moved, weights, kv_cache, compute, copies, host, total, offloads, pipelined)

    def runs(self, pairs: Pairs, *, forced: bool) -> Flags:
        """Cells whose devices and system memory hold the load."""
        rig = pairs.rig
        runs = (self.kept >= -1) & (self.total <= pairs.usable[self.p])
        if forced and rig.cards is not None:
            parts = Parts.of(pairs.tables, pairs.need, pairs.q[self.p], self.s)
            runs &= parts.reached(self.moved, rig.free(pairs.need, self.p, self.s, self.copies)) > self.kept
        host_room = rig.host_memory_bytes[pairs.g[self.p]] - HOST_RESERVE_BYTES
        return np.asarray(runs & (~self.offloads | (self.host <= host_room)))

    def write(self, pairs: Pairs, out: Placements, runs: Flags, *, forced: bool) -> None:
        """Write the load into ``out``: a forced one into every cell, another where it runs."""
        columns = slice(None) if forced else np.flatnonzero(runs)
        device = pairs.tables.device[pairs.q[self.p]]
        tight = self.total > (1.0 - TIGHT_HEADROOM_FRACTION) * pairs.usable[self.p]
        status = np.where(self.offloads, FITS_WITH_OFFLOAD, np.where(tight, FITS_TIGHTLY, FITS))
        cells = self.s * out.status.shape[1] + self.p
        for column, values in (
            (out.weights, self.weights),
            (out.kv_cache, self.kv_cache),
            (out.compute, self.compute),
            (out.host, self.host),
            (out.cpu_moe_layers, self.moved),
            (out.offload_fraction, 1.0 - self.weights / device),
            (out.gpu_layers, self.kept + 1),
            (out.status, np.where(runs, status, DOES_NOT_FIT)),
        ):
            column.ravel()[cells[columns]] = values[columns]
        by_experts = (self.moved > 0) & (self.kept == pairs.model.n_layers)
        strategy = np.where(~self.offloads, _ALL_GPU, np.where(by_experts, _EXPERTS, _LAYERS))
        out.strategy.ravel()[cells[runs]] = strategy[runs]

    def placed(self, pairs: Pairs) -> Placed:
        """All cells of the load."""
        q, usable = pairs.q[self.p], pairs.usable[self.p]
        kept = np.maximum(self.kept, 0)
        return Placed(
            p=self.p,
            g=pairs.g[self.p],
            q=q,
            s=self.s,
            kept=kept,
            moved=self.moved,
            output_on_gpu=self.kept >= 0,
            weights=self.weights,
            on_host=pairs.tables.device[q] - self.weights,
            total=self.total,
            usable=usable,
            safe_context=self._safe_context(pairs, kept, usable - self.total),
            runs=None,
            pipelined=self.pipelined,
        )

    def _safe_context(self, pairs: Pairs, kept: Ints, room: Floats) -> Floats:
        offloads = self.offloads
        safe = safe_context(pairs.model, pairs.need, self.s, kept, room, np.zeros(1, np.bool_), offloads)
        if pairs.rig.cards is None or offloads.all():
            return safe
        return np.where(offloads, safe, safe_context_on_cards(pairs, self.p, self.s, safe))

    def take(self, cells: Flags) -> SplitLoad:
        return SplitLoad(*(getattr(self, name)[cells] for name in self.__slots__))


def place_split(
    pairs: Pairs, whole: WholeLoad, out: Placements, s: Ints, p: Ints, split: Split, *, forced: bool
) -> Placed | None:
    """Write the splits into the cells where they run; a split that system memory cannot hold is none."""
    if not forced:
        possible = np.flatnonzero(split.kept >= -1)
        s, p, split = s[possible], p[possible], Split(split.kept[possible], split.moved[possible])
    load = SplitLoad.of(pairs, whole, out, s, p, split)
    runs = load.runs(pairs, forced=forced)
    load.write(pairs, out, runs, forced=forced)
    return load.take(runs).placed(pairs) if runs.any() else None


def _device_weights(pairs: Pairs, q: Ints, split: Split) -> Floats:
    """Bytes of weights that stay on the device, (cells,)."""
    tables, n = pairs.tables, pairs.model.n_layers
    kept, moved = split.kept, split.moved
    keep = np.maximum(kept, 0)
    left_experts = np.where(kept == n, tables.host_experts.ravel()[q * (n + 1) + moved], 0.0)
    # Both flags given: experts of the first layers move, of which the layers left on the host already have theirs.
    both = (moved > 0) & (kept < n)
    if both.any():
        left = np.maximum(tables.host_experts[q, moved] - tables.host_experts[q, n - keep], 0.0)
        left_experts = np.where(both, left, left_experts)
    output = (tables.device - tables.device_layers[:, n])[q]
    return np.asarray(
        tables.device_layers.ravel()[q * (n + 1) + keep] - left_experts + np.where(kept >= 0, output, 0.0)
    )
