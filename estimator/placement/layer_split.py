"""Whole layers on each of several devices: how much of a model they hold together when no layer is cut.

Consecutive layers sit on one device after the other and the output head on the last one, so filling each device from the
end reaches the most layers. *Parts* are counted from the end: the output head, then the last layer, the one before it.

Shapes: N cells, D devices, L layers; sums over parts are (N, L + 2), from nothing to everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.placement.demand import Needs
from estimator.placement.layer_sums import ModelTables
from estimator.placement.memory import split_compute_bytes, unpipelined_compute_bytes
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.structure.kv_cache import pad

_PAGE_TOKENS = 256


def compute_of_cards(need: Needs, count: int, *, pipelined: bool) -> Floats:
    """Compute buffer of each of ``count`` devices, bytes, (D, S)."""
    if pipelined:
        return split_compute_bytes(need.compute, need.working, need.inputs, need.hidden, count)
    return unpipelined_compute_bytes(need.compute, need.working, count)


def reached(sums: Floats, free: Floats) -> Ints:
    """How many parts devices with ``free`` bytes (D, N) hold, (N,); -1 where one has no room for its own buffers."""
    cells = np.arange(len(sums))
    at = np.zeros(len(sums), dtype=np.int64)
    for room in free[::-1]:
        up_to = sums[cells, at] + room
        at = np.maximum((sums <= up_to[:, None]).sum(axis=1) - 1, at)
    return np.where((free < 0).any(axis=0), -1, at)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of N cells, of quants ``q`` and in situations ``s``: ``sums`` of weights with every expert and of cache at
    the planned context, bytes."""

    tables: ModelTables
    need: Needs
    q: Ints
    s: Ints
    sums: Floats

    @classmethod
    def of(cls, tables: ModelTables, need: Needs, q: Ints, s: Ints) -> Parts:
        """The parts of the cells with quants ``q`` and situations ``s``."""
        return cls(tables, need, q, s, _weights(tables)[q] + _rows(_from_nothing(need.kv_last), s))

    @property
    def all(self) -> int:
        """How many parts there are."""
        return int(self.sums.shape[1]) - 1

    def without(self, moved: Ints) -> Floats:
        """Weights and cache with the experts of the first ``moved`` layers (N,) elsewhere."""
        before = self.tables.host_experts[:, ::-1]
        # Those of the layers before each part.
        experts = np.concatenate([before[:, :1], before], axis=1)[self.q]
        gone = experts[np.arange(len(moved)), self.all - moved]
        return np.asarray(self.sums - np.maximum(gone[:, None] - experts, 0.0))

    def reached(self, moved: Ints, free: Floats) -> Ints:
        """As :func:`reached`, with the experts of the first ``moved`` layers (N,) elsewhere."""
        return reached(self.without(moved), free)

    def most_layers(self, free: Floats) -> Ints:
        """Most layers on the devices, (N,); -1 for not even the output head, -2 where buffers have no room."""
        return reached(self.sums, free) - 1

    def fewest_moved(self, free: Floats) -> Ints:
        """Fewest first layers whose experts must leave the devices for every layer to stay; -2 where none suffice."""
        layers = self.all - 1

        def fits(moved: Ints) -> Flags:
            return np.asarray(self.reached(moved, free) == self.all)

        count = len(self.q)
        fewest = _least(fits, np.zeros(count, dtype=np.int64), np.full(count, layers))
        return np.where(fewest > layers, -2, fewest)

    def longest_context(self, free: Floats, most: Floats) -> Floats:
        """The longest context up to ``most`` (N,) that devices hold whole, tokens, the planned one or in whole cache pages.

        ``free`` is at the planned context and without pipelines, which give way to a longer context.
        """
        need = self.need
        planned = np.array([float(situation.context_tokens) for situation in need.situations])[self.s]
        longest = np.maximum(most, planned)
        at = np.flatnonzero(longest > planned)
        at = at[~self._holds(at, free, longest[at])]
        low, high = (np.floor(tokens[at] / _PAGE_TOKENS).astype(np.int64) for tokens in (planned, longest))

        def too_long(pages: Ints) -> Flags:
            return ~self._holds(at, free, pages * float(_PAGE_TOKENS))

        longest_tokens = (_least(too_long, low + 1, high) - 1.0) * _PAGE_TOKENS
        longest[at] = np.maximum(longest_tokens, planned[at])
        return np.asarray(longest)

    def _holds(self, at: Ints, free: Floats, tokens: NDArray[Any]) -> Flags:
        """Whether the cells ``at`` have all their parts on the devices at contexts of ``tokens``, of the shape of ``at``."""
        need, s = self.need, self.s[at]
        full, window, fixed = (_from_nothing(totals) for totals in (need.full_last, need.window_last, need.fixed_last))
        planned = np.array([float(situation.context_tokens) for situation in need.situations])[s]
        # Each device has a mask of its own, which grows with the context as the cache does.
        masks = (need.mask_slope * (full[:, -1] > 0))[s]
        sums = _rows(full, s) * tokens[:, None]
        sums += _weights(self.tables)[self.q[at]]
        sums += _rows(fixed, s)
        if window.any():
            sums += _rows(window, s) * np.minimum(tokens, pad(need.window_cells[s]))[:, None]
        room = free[:, at] - masks * np.maximum(tokens - pad(planned), 0.0)
        return np.asarray(reached(sums, room) == self.all)


def _weights(tables: ModelTables) -> Floats:
    """Weights of the parts of each quant, (Q, L + 2)."""
    output = tables.device - tables.device_layers[:, -1]
    return _from_nothing(tables.device_layers + output[:, None])


def _rows(values: Floats, index: Ints) -> Floats:
    """``values`` at ``index``; one row serves all as it is."""
    return values if len(values) == 1 else values[index]


def _from_nothing(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), values], axis=1)


def _least(holds: Callable[[Ints], Flags], low: Ints, high: Ints) -> Ints:
    """The least number from ``low`` to ``high`` that ``holds``, which holds for every greater one; ``high`` + 1: none."""
    low, high = low.copy(), np.maximum(high, low - 1) + 1
    while (low < high).any():
        middle = (low + high) // 2
        good = holds(np.minimum(middle, high - 1))
        open_ = low < high
        high = np.where(open_ & good, middle, high)
        low = np.where(open_ & ~good, middle + 1, low)
    return low
