"""The caches of servers: vLLM's blocks of each request, and copies of keys and values on several devices.

Shapes: S situations, P pairs of device and quant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.placement.demand import UNKNOWN_CONTEXT_LIMIT, Situation
from estimator.placement.placements import Rig
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Flags, Floats, Ints
from estimator.structure.kv_cache import kv_heads
from estimator.structure.paged_cache import Reserved, request_bytes
from estimator.types import CacheType

_PAGE_TOKENS = 256
#: Pages of a longest context at most, 16 million tokens: a context beyond has larger pages.
_MAX_PAGES = 65_536


@dataclass(frozen=True, slots=True)
class Paging:
    """vLLM's cache of the pairs that it drives, ``pairs`` (P,), whose steps take ``steps`` (P,) tokens."""

    model: ModelArchitecture
    situations: tuple[Situation, ...]
    rig: Rig
    pairs: Flags
    steps: Ints
    #: Bytes of a request, by the type of its cache.
    reserved: Mapping[CacheType, Reserved]

    @classmethod
    def of(
        cls, model: ModelArchitecture, situations: tuple[Situation, ...], rig: Rig, pairs: Flags, steps: Ints
    ) -> Paging | None:
        """None where vLLM drives no pair."""
        if not pairs.any():
            return None
        caches = {situation.cache for situation in situations}
        reserved = {cache: request_bytes(model, cache, rig.ranks) for cache in caches}
        return cls(model, situations, rig, pairs, steps, reserved)

    def cache(self, other: Floats) -> Floats:
        """Bytes on all devices at the contexts that are held (S, P), and ``other`` where another engine runs."""
        out = np.array(np.broadcast_to(other, (len(self.situations), len(self.pairs))))
        for situations, step, at in self._alike():
            contexts = np.array([float(self.situations[s].held_tokens) for s in situations])
            for s, held in zip(situations, np.ceil(self._bytes(situations[0], step, contexts)), strict=True):
                out[s, at] = held
        return out

    def safe_context(self, room: Floats, p: Ints, other: Floats) -> Floats:
        """The longest contexts within ``room`` bytes of the pairs ``p``, tokens, in whole pages, or ``other``."""
        out = np.array(np.broadcast_to(other, room.shape))
        limit = self.model.context_tokens or UNKNOWN_CONTEXT_LIMIT
        page = _PAGE_TOKENS * -(-limit // (_PAGE_TOKENS * _MAX_PAGES))
        pages = np.arange(1.0, limit // page + 1) * page
        for situations, step, at in self._alike():
            mine, held = np.flatnonzero(at[p]), self._bytes(situations[0], step, pages)
            for s in situations:
                count = np.searchsorted(held, room[s, mine], side="right")
                planned = min(self.situations[s].context_tokens, limit)
                out[s, mine] = np.maximum(count * float(page), planned)
        return out

    def _alike(self) -> Iterator[tuple[list[int], int, Flags]]:
        """Situations whose caches differ in length alone, tokens of a step, and the pairs (P,) that take them."""
        alike: dict[Any, list[int]] = {}
        for s, situation in enumerate(self.situations):
            alike.setdefault((situation.cache, situation.batch), []).append(s)
        for step in np.unique(self.steps[self.pairs]):
            at = self.pairs & (self.steps == step)
            for situations in alike.values():
                yield situations, int(step), at

    def _bytes(self, s: int, step: int, context: Floats) -> Floats:
        """Bytes on all devices of all streams at ``context`` tokens each; a replica serves its part of the streams.

        The tokens of a step are those of all streams together, so windows of streams at all depths hold them once.
        """
        situation, server, ranks = self.situations[s], self.rig.server, self.rig.ranks
        streams = np.ceil(situation.batch / server.data_parallel)
        reserved = self.reserved[situation.cache]
        reserved_bytes = streams * reserved(context, step)
        if situation.expected_occupancy:
            reserved_bytes = reserved(context, step) + (streams - 1) * reserved(context, 1)
        return np.asarray(reserved_bytes * (ranks * server.data_parallel))


def cache_copies(model: ModelArchitecture, rig: Rig, servers: Flags) -> Floats:
    """How often all devices together keep each key and value: tensor parallel beyond the KV heads repeats them."""
    repeated = rig.ranks / min(rig.ranks, kv_heads(model)) * rig.server.data_parallel
    return np.where(servers, repeated, 1.0)
